"""Notes as rows of integers, which arrays compute on, and the step grid on them.

A player is told the same notes at every step, but for the newest: `NoteRows` keeps the rows of those that it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from music.note import TICKS_PER_STEP, Note

Ints = NDArray[np.int64]

#: notes at the end of a list that are compared with those of the list before; four times as many where they differ
_FIRST_COMPARED_NOTES = 4
_NEVER = 1 << 60  #: a tick that does not come
_FIELDS = attrgetter("start", "pitch", "length", "velocity")


class NoteRows:
    """The notes of one part as rows of start, pitch, length (ticks) and velocity, kept from request to request.

    The rows are those that `list_rows` makes, whatever was told before.
    """

    def __init__(self) -> None:
        self._notes: tuple[Note, ...] = ()
        self._rows = list_rows(())
        self.settle()

    def update(self, notes: Sequence[Note]) -> Ints:
        """Return the rows (n, 4) of notes. Nobody changes what was returned."""
        told = tuple(notes)
        if told is self._notes:
            return self._rows
        first = self._find_first(told)
        size = min(len(self._notes) - first, len(told))
        kept, compared = size, _FIRST_COMPARED_NOTES
        while kept and self._notes[first : first + kept] != told[:kept]:
            kept, compared = max(0, size - compared), 4 * compared
        if kept < len(told) or first or kept < len(self._notes):
            self._note_changes(self._notes[:first], self._notes[first + kept :], told[kept:])
            self._rows = np.concatenate([self._rows[first : first + kept], list_rows(told[kept:])])
        self._notes = told
        return self._rows

    def settle(self) -> None:
        """Count changes from now on: what is told is known."""
        self._changed = self._sounds_changed = _NEVER  # ticks from which on notes have changed, and what sounds has
        self._forgotten = -_NEVER  # the last end of notes that are not told of any more

    def find_change(self, since: int, only_sounds: bool = False) -> int:
        """Return the start (tick) of the earliest note that has come, gone or changed, a far tick where none has.

        Of notes that are not told of any more, only those count that end after `since`. only_sounds: a note of which
        nothing but the end has moved counts from the earlier end on.
        """
        changed = self._sounds_changed if only_sounds else self._changed
        return min(changed, since) if self._forgotten > since else changed

    def _note_changes(self, forgotten: Sequence[Note], old: Sequence[Note], new: Sequence[Note]) -> None:
        """Remember from where on notes have changed; forgotten: those at the beginning; old: those that new replace."""
        self._forgotten = max([self._forgotten, *(note.end for note in forgotten)])
        same = next((i for i, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), None)
        same = min(len(old), len(new)) if same is None else same
        old, new = old[same:], new[same:]
        changed = sounds = min([note.start for notes in (old, new) for note in notes], default=_NEVER)
        if len(old) == len(new) == 1 and (old[0].start, old[0].pitch) == (new[0].start, new[0].pitch):
            sounds = min(old[0].end, new[0].end)
        self._changed, self._sounds_changed = min(self._changed, changed), min(self._sounds_changed, sounds)

    def _find_first(self, told: tuple[Note, ...]) -> int:
        """Return where the first of the notes lies among those known; their number where it does not."""
        if not told:
            return len(self._notes)
        try:
            return self._notes.index(told[0])
        except ValueError:
            return len(self._notes)


def list_rows(notes: Iterable[Note]) -> Ints:
    """Return start, pitch, length (ticks) and velocity of notes, (n, 4)."""
    return np.array([_FIELDS(note) for note in notes], np.int64).reshape(-1, 4)


def to_rows(rows: Iterable[Sequence[int]] | Ints) -> Ints:
    """Return rows of start, pitch and length as an array (n, 3)."""
    if not isinstance(rows, np.ndarray):
        rows = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 3)
    return rows


def quantise_rows(rows: Ints) -> Ints:
    """Return rows as `music.note.quantise` moves notes: start, pitch, length in steps, (m, 3), sorted.

    rows: start, pitch and length in ticks, (n, 3 or more). Pitches may be any integers that tell lines apart.
    """
    start = _round_to_step(rows[:, 0])
    end = np.maximum(_round_to_step(rows[:, 0] + rows[:, 2]), start + 1)
    order = np.lexsort((-end, start, rows[:, 1]))
    start, pitch, end = start[order], rows[order, 1], end[order]
    same = pitch[1:] == pitch[:-1]
    again = same & (start[1:] == start[:-1])
    if again.any():  # of those that begin together the longest comes first, and stays
        stays = np.concatenate([[True], ~again])
        start, pitch, end = start[stays], pitch[stays], end[stays]
        same = pitch[1:] == pitch[:-1]
    end[:-1] = np.where(same, np.minimum(end[:-1], start[1:]), end[:-1])
    made = np.stack([start, pitch, end - start], 1)
    sorted_rows: Ints = made[np.lexsort((pitch, start))]
    return sorted_rows


def _round_to_step(ticks: Ints) -> Ints:
    return (ticks + TICKS_PER_STEP // 2) // TICKS_PER_STEP


def spread(starts: Ints, counts: Ints) -> Ints:
    """Return all integers of the ranges [start, start + count), one range after another; counts: none negative."""
    ends = counts.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    ranges: Ints = np.arange(total) + np.repeat(starts - ends + counts, counts)
    return ranges
