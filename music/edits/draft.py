"""Drafts: sheets of notes to which whole notes are added or removed, one after another; edits can be undone.

An edit never changes another note: `add` needs a place where its pitch does not sound, `remove` takes a whole note. So
the edits of a log, applied in order to the notes they were made from, always give the same notes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from music.edits.edit import ADD, REMOVE, Edit, Limits, invert
from music.encoding.edit_grid import Cells, Lengths, find_sounding
from music.errors import UserError
from music.note import PITCHES


class EditError(UserError):
    """An edit that does not fit the notes there are."""


class Draft:
    """Notes under edit, and the log of the edits that were applied and not undone."""

    def __init__(
        self, lengths: Lengths, velocities: NDArray[np.uint8], bars: Sequence[int] = (0,), ring: bool = False
    ) -> None:
        """Begin with a sheet, which is copied.

        lengths, velocities: as `music.encoding.edit_grid` has them; bars: the steps at which bars begin, the first 0;
        ring: the end leads back to the beginning.
        """
        self.lengths, self.velocities = lengths.copy(), velocities.copy()
        self.bars, self.ring = tuple(bars), ring
        #: notes of the input
        self.given = int((lengths > 0).sum())
        #: cells whose note was put there by an edit
        self.own: Cells = np.zeros(lengths.shape, np.bool_)
        #: cells of which an edit was taken back: they are left alone
        self.refused: Cells = np.zeros(lengths.shape, np.bool_)
        #: notes of the input that are gone, added notes that are there
        self.removed = self.added = 0
        self._log: list[tuple[Edit, bool]] = []  # and whether a removed note was an added one

    @property
    def steps(self) -> int:
        """Length in steps."""
        return int(self.lengths.shape[0])

    @property
    def log(self) -> list[Edit]:
        """The edits applied and not undone."""
        return [edit for edit, _ in self._log]

    def find_room(self, step: int, pitch: int) -> int:
        """Return for how many steps from `step` on nothing sounds at a pitch; 0 where something does."""
        column = self.lengths[:, pitch]
        onsets = np.flatnonzero(column)
        before, after = step - onsets, onsets - step
        if self.ring:
            before, after = before % self.steps, after % self.steps
            if (before < column[onsets]).any():
                return 0
            return int(after.min()) if onsets.size else self.steps
        if ((before >= 0) & (before < column[onsets])).any():
            return 0
        after = after[after > 0]
        return int(after.min()) if after.size else self.steps - step

    def fits(self, edit: Edit) -> bool:
        """Tell whether an edit can be applied as things stand."""
        if not (0 <= edit.step < self.steps and 0 <= edit.pitch < PITCHES and edit.length >= 1):
            return False
        if edit.action == REMOVE:
            return int(self.lengths[edit.step, edit.pitch]) == edit.length
        return edit.length <= self.find_room(edit.step, edit.pitch)

    def apply(self, edit: Edit) -> None:
        """Apply an edit. Raises EditError when it does not fit."""
        if not self.fits(edit):
            raise EditError(f"there is no note to remove, or no room for one: {edit}")
        self._log.append((edit, bool(self.own[edit.step, edit.pitch])))
        if edit.action == ADD:
            self._put(edit, own=True)
        else:
            self._take(edit)

    def undo(self, count: int = 1) -> list[Edit]:
        """Take back the last `count` edits, or all; return what was done instead, newest first.

        What new notes have made impossible is left out.
        """
        done = []
        for _ in range(min(count, len(self._log))):
            edit, was_own = self._log.pop()
            self.refused[edit.step, edit.pitch] = True
            back = invert(edit)
            if not self.fits(back):
                continue
            if edit.action == ADD:
                self._take(edit)
            else:
                self._put(edit, own=was_own)
            done.append(back)
        return done

    def put_input(self, step: int, pitch: int, length: int, velocity: int) -> None:
        """Put in a new note of the input; what sounds in its way goes, and edits of it cannot be undone any more."""
        length = min(length, self.steps if self.ring else self.steps - step)
        while True:
            onsets = np.flatnonzero(self.lengths[:, pitch])
            behind, ahead = step - onsets, onsets - step
            if self.ring:
                behind, ahead = behind % self.steps, ahead % self.steps
            over = (behind >= 0) & (behind < self.lengths[onsets, pitch]) | (ahead >= 0) & (ahead < length)
            if not over.any():
                break
            self._forget(int(onsets[over][0]), pitch)
        self.lengths[step, pitch], self.velocities[step, pitch] = length, velocity
        self.refused[step, pitch] = False
        self.given += 1

    def clear(self, first: int, last: int) -> list[tuple[int, int]]:
        """Take out all that begins in steps [first, last), input and edits; return (step, pitch) of each note."""
        steps, pitches = np.nonzero(self.lengths[first:last])
        gone = [(step + first, pitch) for step, pitch in zip(steps.tolist(), pitches.tolist(), strict=True)]
        for step, pitch in gone:
            self._forget(step, pitch)
        lost = [edit for edit, own in self._log if first <= edit.step < last and edit.action == REMOVE and not own]
        self.given -= len(lost)
        self.removed -= len(lost)
        self._log = [(edit, own) for edit, own in self._log if not first <= edit.step < last]
        self.refused[first:last] = False
        return gone

    def _forget(self, step: int, pitch: int) -> None:
        """Take a note out, and the edit that put it there out of the log."""
        if self.own[step, pitch]:
            self.added -= 1
            self._log = [
                entry for entry in self._log if (entry[0].action, entry[0].step, entry[0].pitch) != (ADD, step, pitch)
            ]
        else:
            self.given -= 1
        self.lengths[step, pitch], self.velocities[step, pitch], self.own[step, pitch] = 0, 0, False

    def _put(self, edit: Edit, own: bool) -> None:
        cell = edit.step, edit.pitch
        self.lengths[cell], self.velocities[cell], self.own[cell] = edit.length, edit.velocity, own
        if own:
            self.added += 1
        else:
            self.removed -= 1

    def _take(self, edit: Edit) -> None:
        cell = edit.step, edit.pitch
        if self.own[cell]:
            self.added -= 1
        else:
            self.removed += 1
        self.lengths[cell], self.velocities[cell], self.own[cell] = 0, 0, False

    def count_removable(self, limits: Limits) -> int:
        """Return how many more notes of the input may go."""
        return int(limits.remove_max * self.given / 100 + 1e-9) - self.removed

    def count_addable(self, limits: Limits) -> int:
        """Return how many more notes may be added."""
        return limits.add_max - self.added

    def find_locked(self, limits: Limits) -> Cells:
        """Return the cells that stay as they are, (steps, 128)."""
        found = self.refused.copy()
        if limits.low > 0 or limits.high + 1 < PITCHES:
            found[:, : limits.low] = found[:, limits.high + 1 :] = True
        if limits.locked_pitches:
            found[:, [p for p in limits.locked_pitches if 0 <= p < PITCHES]] = True
        if not limits.locked_bars:
            return found
        for bar in range(1, len(self.bars) + 1):  # of the locked bars, which may be many, those of the draft
            if bar in limits.locked_bars:
                found[slice(*self._find_bar(bar))] = True
        return found

    def find_open_cells(self, limits: Limits) -> tuple[Cells, Cells]:
        """Return the cells where a note may be added, and those where one may be removed, (steps, 128) each.

        A note that reaches into a locked bar is part of it.
        """
        locked = self.find_locked(limits)
        onset = self.lengths > 0
        add = ~find_sounding(self.lengths, self.ring) & ~locked
        remove = onset & ~locked
        if limits.locked_bars:
            for step, pitch in zip(*(i.tolist() for i in np.nonzero(remove)), strict=True):
                covers = (step + np.arange(int(self.lengths[step, pitch]))) % self.steps
                remove[step, pitch] = not locked[covers, pitch].any()
        if self.count_removable(limits) <= 0:
            remove &= self.own
        if self.count_addable(limits) <= 0:
            add[:] = False
        return add, remove

    def allows(self, edit: Edit, limits: Limits) -> bool:
        """Tell whether the limits, as they are now, leave room for an edit that fits."""
        if edit.action == ADD:
            within = self.count_addable(limits) > 0
        else:
            within = bool(self.own[edit.step, edit.pitch]) or self.count_removable(limits) > 0
        covers = (edit.step + np.arange(edit.length)) % self.steps
        locked = self.find_locked(limits)[:, edit.pitch]
        return within and not locked[edit.step] and not (limits.locked_bars and locked[covers].any())

    def locate(self, step: int) -> tuple[int, int]:
        """Return the bar of a step, from 1, and the step in it, from 0."""
        bar = bisect_right(self.bars, step)
        return bar, step - self.bars[bar - 1]

    def _find_bar(self, bar: int) -> tuple[int, int]:
        """Return the steps from the first of a bar to before the last."""
        return self.bars[bar - 1], self.bars[bar] if bar < len(self.bars) else self.steps
