"""The chord looper: finds again what a hand played in one pass of a song, when its place in the form comes round.

A pass is counted in bars. The hand that stops after 4, 8, 12, 16, 24 or 32 bars, or after any number of bars that it
has played before in the same way, is taken to have played the whole form; how sure that is grows with every bar that
agrees with the pass before. Only the last 64 bars of 4/4 are remembered.
"""

from __future__ import annotations

from collections.abc import Sequence

from daemon.harmony.chart_line import place
from daemon.harmony.chord_reading import ReadChord
from daemon.harmony.hands import PlayedChord
from music.encoding.chord_evidence import GivenChord
from music.note import TICKS_PER_BEAT

#: lengths of a form in bars that are likely, the likeliest first
FORM_BARS = (8, 16, 4, 32, 12, 24)
#: beats that are remembered, and the bars of the longest form that repetition is looked for
MAX_BEATS, MAX_FORM_BARS = 256, 32
#: how sure a pass is that was played once: of a likely number of bars, and of any other
_ONCE, _ODD = 0.7, 0.3
#: how sure a pass is that was played twice alike
_TWICE = 0.95
#: beats that must agree, and the share of them, for a pass to count as repeated
_MIN_BEATS, _MIN_SHARE = 16, 0.85


class ChordMemory:
    """Remembers by beat what a hand has played, and expects it again."""

    def __init__(self) -> None:
        self._beats: dict[int, ReadChord] = {}  # beat, counted from bar 1
        self._oldest = 0  # the first of them
        self._period = 0  # beats after which it is expected again; 0: never
        self._certainty = 0.0

    def learn(self, played: Sequence[PlayedChord], until: int, bar_ticks: int, bar_line: int) -> None:
        """Take in what has been played up to tick `until`, after which the hand is free.

        bar_ticks: the length of a bar; bar_line: a tick at which one begins.
        """
        for chord, following in zip(played, [p.start for p in played[1:]] + [until] * bool(played), strict=True):
            first, last = -(-chord.start // TICKS_PER_BEAT), -(-following // TICKS_PER_BEAT)
            for beat in range(first, last):
                if chord.chord is not None:
                    self._beats[beat] = chord.chord
        for beat in [beat for beat in self._beats if beat < until // TICKS_PER_BEAT - MAX_BEATS]:
            del self._beats[beat]
        self._find_period(max(1, bar_ticks // TICKS_PER_BEAT), bar_line // TICKS_PER_BEAT)

    def forget(self) -> None:
        """Forget everything, as where bar 1 moves."""
        self._beats.clear()
        self._period, self._certainty = 0, 0.0

    def list_chords(self, since: int, until: int) -> list[GivenChord]:
        """Return the chords that are expected in the ticks [since, until), each a beat long."""
        found = []
        for beat in range(since // TICKS_PER_BEAT, -(-until // TICKS_PER_BEAT)):
            chord = self._recall(beat)
            if chord is not None:
                start = beat * TICKS_PER_BEAT
                found.append(place(chord, start, start + TICKS_PER_BEAT, self._certainty))
        return found

    def _recall(self, beat: int) -> ReadChord | None:
        if not self._period:
            return None
        earlier = beat - self._period
        while earlier >= self._oldest:
            if earlier in self._beats:
                return self._beats[earlier]
            earlier -= self._period
        return None

    def _find_period(self, beats_per_bar: int, bar_line: int) -> None:
        """Find the number of beats after which what was played comes round."""
        if not self._beats:
            return
        self._oldest = first = min(self._beats)
        last = max(self._beats) + 1
        first -= (first - bar_line) % beats_per_bar
        bars = -(-(last - first) // beats_per_bar)
        best = (_ONCE if bars in FORM_BARS else _ODD, bars)
        for count in (*FORM_BARS, *range(2, min(bars, MAX_FORM_BARS + 1))):
            agreeing, compared = self._compare(count * beats_per_bar)
            if compared >= max(_MIN_BEATS, count * beats_per_bar) and agreeing >= _MIN_SHARE * compared:
                best = (_TWICE * agreeing / compared, count)
                break
        self._certainty, self._period = best[0], best[1] * beats_per_bar

    def _compare(self, period: int) -> tuple[int, int]:
        """Return how many beats were as one period before, and how many could be."""
        beats = self._beats
        pairs = [(chord, beats[beat - period]) for beat, chord in beats.items() if beat - period in beats]
        return sum(now.root == before.root for now, before in pairs), len(pairs)
