"""The notes of a part as a player is told them at one request after another: what has changed, and what is recent.

A player is told the same notes at every step, but for the newest; whoever keeps something that he has made of them
changes it by what was removed and added, instead of making it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress

from music.note import TICKS_PER_STEP, Note

#: notes at the end of a list that are compared with those of the list before; four times as many where they differ
_FIRST_COMPARED_NOTES = 4
#: for so long after its end a note is recent
RECENT_TICKS = 8 * TICKS_PER_STEP
#: a tick that does not come
NEVER_TICK = 1 << 62


class PartNotes:
    """The notes of one part, in the order in which they are told: by start, but for what a leap back has left."""

    def __init__(self) -> None:
        #: those that were told last
        self.notes: tuple[Note, ...] = ()
        #: what the last update took away and what it brought; a note that it changed is in both
        self.removed: tuple[Note, ...] = ()
        self.added: tuple[Note, ...] = ()
        #: notes that end after `recent_since`, a tick, in any order
        self.recent: list[Note] = []
        self.recent_since = -RECENT_TICKS
        #: where the earliest note begins, a far tick where there is none
        self.earliest = NEVER_TICK

    def update(self, notes: Sequence[Note], tick: int) -> None:
        """Take the notes that are told at a tick."""
        self._compare(tuple(notes))
        since = tick - RECENT_TICKS
        if since < self.recent_since:
            self.recent = [note for note in self.notes if note.end > since]
        else:
            self.recent = [note for note in self.recent if note.end > since]
            for note in self.removed:
                if note.end > since:
                    self.recent.remove(note)
            self.recent += [note for note in self.added if note.end > since]
        self.recent_since = since

    def _compare(self, told: tuple[Note, ...]) -> None:
        """Find what has changed."""
        old, self.notes = self.notes, told
        self.removed = self.added = ()
        if told == old:  # mostly the same objects, which is soon seen
            return
        first, kept = find_kept(old, told)
        before, after = old[first + kept :], told[kept:]
        differ = [one is not other and one != other for one, other in zip(before, after, strict=False)]
        both = len(differ)
        self.removed = (*old[:first], *compress(before, differ), *before[both:])
        self.added = (*compress(after, differ), *after[both:])
        known: Iterable[Note] = self.added
        if any(note.start <= self.earliest for note in self.removed):
            known, self.earliest = told, NEVER_TICK
        self.earliest = min([self.earliest, *[note.start for note in known]])


def find_kept(old: tuple[Note, ...], told: tuple[Note, ...]) -> tuple[int, int]:
    """Return where the first note that is told lies among the old ones, and how many from there on are told again."""
    try:
        first = old.index(told[0]) if told else len(old)
    except ValueError:
        return len(old), 0
    size = min(len(old) - first, len(told))
    kept, compared = size, _FIRST_COMPARED_NOTES
    while kept and old[first : first + kept] != told[:kept]:
        kept, compared = max(0, size - compared), 4 * compared
    while kept < size and old[first + kept] == told[kept]:
        kept += 1
    return first, kept
