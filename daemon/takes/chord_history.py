"""The chords of a take as they are written down: only what has changed, corrections of the last beats included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from music.note import TICKS_PER_BEAT

#: (tick, label): the chord that holds from a tick on; an empty label where none is known
ChordChange = tuple[int, str]
#: ticks before the newest change in which changes may still be corrected
CORRECTION_TICKS = 32 * TICKS_PER_BEAT


class ChordHistory:
    """Turns what the band is told of, again and again, into changes, each of which replaces others from its tick on."""

    def __init__(self) -> None:
        self._known: list[ChordChange] = []  # the changes that hold, of the last beats

    def update(self, chords: Sequence[ChordChange]) -> list[ChordChange]:
        """Return the changes that chords bring, which are known from the first one's tick on. chords: by tick."""
        if not chords:
            return []
        before = [change for change in self._known if change[0] < chords[0][0]]
        known = before[-1:]
        for change in chords:
            if (known[-1][1] if known else "") != change[1]:
                known.append(change)
        old = self._known[max(0, len(before) - 1) :]
        same = next((i for i, (a, b) in enumerate(zip(old, known, strict=False)) if a != b), min(len(old), len(known)))
        changes = known[same:]
        if same < len(old) and (not changes or old[same][0] < changes[0][0]):  # what was there does not hold any more
            changes.insert(0, (old[same][0], known[same - 1][1] if same else ""))
        self._known = known
        return changes


class ChordCollector:
    """Takes changes in as `ChordHistory` returns them, and hands on what they come to, by tick.

    Its memory does not grow: a change is handed on when it is older than CORRECTION_TICKS, and then it stands.
    """

    def __init__(self) -> None:
        self._changes: list[ChordChange] = []
        self._begin: int | None = None  # changes come at later ticks than this, which has been handed on

    def add(self, tick: int, label: str) -> Iterator[ChordChange]:
        """Take in a change; yield those that stand by now."""
        if self._begin is not None:
            tick = max(tick, self._begin + 1)
        while self._changes and self._changes[-1][0] >= tick:
            self._changes.pop()
        self._changes.append((tick, label))
        while self._changes[0][0] < tick - CORRECTION_TICKS:
            yield self._take_first()

    def finish(self) -> Iterator[ChordChange]:
        """Yield the rest."""
        while self._changes:
            yield self._take_first()

    def _take_first(self) -> ChordChange:
        first = self._changes.pop(0)
        self._begin = first[0]
        return first
