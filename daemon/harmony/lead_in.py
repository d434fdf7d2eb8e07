"""The chords of an introduction that no chart gives: a turnaround of the style in the song's key, one chord a bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from music.analysis.key import Key
from music.encoding.chord_evidence import GivenChord, pack_tones
from music.note import PITCH_CLASSES
from music.styles import get_style

#: semitones of the degrees of a scale above its tonic; in minor, dominants have the leading tone
_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_DOMINANT, _LEADING_DEGREE, _LEADING_TONE = 5, 7, 11
#: tones of a dominant seventh chord, which leads to bar 1 in any style
_SEVENTH_TONES = 4


class BarPlace(Protocol):
    """A bar, in ticks."""

    @property
    def start(self) -> int:
        """Its first tick."""
        ...

    @property
    def end(self) -> int:
        """The tick after its last."""
        ...


class LeadIn:
    """Owns the stretch that the band plays before the melody: up to bar 1, and until the melody has come in."""

    def __init__(self, find_bar: Callable[[int], BarPlace]) -> None:
        """find_bar: returns the bar of a tick."""
        #: the key where the settings name none
        self.key: Key | None = None
        self._find_bar = find_bar
        self._begin = self._bar_1 = 0
        self._end: int | None = 0  # None: the melody has not come in

    def begin(self, tick: int, bar_1: int, key: Key | None = None) -> None:
        """Lead in from a tick on. key: the song's, where it is known from elsewhere than the settings."""
        self._begin, self._bar_1, self._end, self.key = tick, bar_1, None, key

    def move(self, bar_1: int) -> None:
        """Lead in to a bar 1 that lies elsewhere."""
        self._bar_1 = bar_1

    def cancel(self) -> None:
        """Lead in no more."""
        self._end = self._begin

    def hear_melody(self, tick: int) -> bool:
        """Take in that the melody plays at a tick; return True if that ends what leads in to it."""
        if self._end is not None:
            return False
        self._end = max(tick, self._bar_1)
        return True

    def lasts(self, tick: int) -> bool:
        """Return True if a tick lies in it."""
        return self._begin <= tick and (self._end is None or tick < self._end)

    def list_chords(self, since: int, until: int, key: Key, style: str) -> list[GivenChord]:
        """Return its chords in the ticks [since, until), in a key as the band sounds."""
        since, until = max(since, self._begin), until if self._end is None else min(until, self._end)
        degrees = get_style(style).turnaround
        found: list[GivenChord] = []
        while since < until:
            bar = self._find_bar(since)
            turn = (bar.start - self._bar_1) // (bar.end - bar.start)
            chord = _make_chord(degrees[turn % len(degrees)], key, style)
            found.append(GivenChord(bar.start, min(bar.end, until), *chord, 1.0))
            since = bar.end
        return found


def make_tonic(start: int, end: int, key: Key, style: str) -> GivenChord:
    """Return the chord of a key that a song ends on."""
    return GivenChord(start, end, *_make_chord(1, key, style), 1.0)


def _make_chord(degree: int, key: Key, style: str) -> tuple[int, int, int]:
    """Return root, tones and bass of the chord on a degree (1..7) of a key."""
    scale = list(_MINOR if key.is_minor else _MAJOR)
    if degree == _DOMINANT:
        scale[_LEADING_DEGREE - 1] = _LEADING_TONE
    count = _SEVENTH_TONES if degree == _DOMINANT else get_style(style).turnaround_tones
    tones = [(key.tonic + scale[(degree - 1 + 2 * third) % len(scale)]) % PITCH_CLASSES for third in range(count)]
    return tones[0], pack_tones(tones), tones[0]
