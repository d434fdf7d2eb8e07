"""A Composer whose requests are looked at for the chords that the band is told of."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.observers import Observer
from daemon.core.plan import PlanRequest
from daemon.core.world import Composer
from daemon.harmony.chord_naming import list_changes
from music.encoding.chord_evidence import GivenChord
from music.note import TICKS_PER_STEP

_ALWAYS = -(1 << 62)


class ChordTeller:
    """Tells of every request which chords hold up to the step that is asked for, in the player's key."""

    def __init__(self) -> None:
        self._now = _ALWAYS  # tick of the last request
        self._transpose: int | None = None  # that of the last request
        self._is_known = False  # a chord holds at that tick
        self._unknown_at = _ALWAYS  # the tick from which on none is known, unless one is
        self._told = self._since = _ALWAYS  # what began up to the one tick counts from the other on

    def list_changes(self, request: PlanRequest) -> list[tuple[int, str]]:
        """Return (tick, label) of the changes of chord, by tick; an empty label where none is known any more.

        They replace all that was told from the first one's tick on. Empty where nothing is to be told. What was told
        stands for the time in which none was known, and for that before `transpose` was changed.
        """
        now, transpose = request.now * TICKS_PER_STEP, request.settings.transpose
        if now < self._now:  # the performance has begun anew
            self._is_known, self._unknown_at, self._told = False, _ALWAYS, _ALWAYS
        elif self._transpose not in (None, transpose):
            self._told = self._since = now
        self._now, self._transpose = now, transpose
        changes = list_changes(self._list_new(request.harmony), now, transpose)
        if changes and changes[-1][1] and not self._is_known and self._unknown_at > self._told:
            self._told, self._since = self._unknown_at, now
            changes = list_changes(self._list_new(request.harmony), now, transpose)
        if not changes and self._is_known:
            changes = [(now, "")]
        if changes:
            self._is_known = changes[-1][1] != ""
            if not self._is_known:
                self._unknown_at = changes[-1][0]
        return changes

    def _list_new(self, chords: Sequence[GivenChord]) -> Sequence[GivenChord]:
        """Return chords without that which has been told for good."""
        if not chords or chords[0].start > self._told:
            return chords
        return [
            chord._replace(start=max(chord.start, self._since)) if chord.start <= self._told else chord
            for chord in chords
            if chord.start > self._told or chord.end > self._since
        ]


class ObservedComposer:
    """A Composer that reports the chords of every request to observers, once it has asked."""

    def __init__(self, composer: Composer, observers: Sequence[Observer]) -> None:
        self._composer = composer
        self._on_chords = tuple(each.on_chords for each in observers if type(each).on_chords is not Observer.on_chords)
        self._teller = ChordTeller()

    def ask(self, request: PlanRequest) -> None:
        """Ask, and report the chords up to the step that is asked for."""
        self._composer.ask(request)
        if self._on_chords and (changes := self._teller.list_changes(request)):
            for on_chords in self._on_chords:
                on_chords(changes)
