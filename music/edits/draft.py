"""Edits: whole notes added to a sheet or removed from it, one after another, so that they can be undone and replayed.

An edit never changes another note: `add` needs a place where its pitch does not sound, `remove` takes a whole note. So
the edits of a log, applied in order to the notes they were made from, always give the same notes.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music import midi
from music.edits.edit import ADD, REMOVE, Action, Edit, Limits, invert
from music.encoding.edit_grid import Cells, Lengths, find_sounding
from music.errors import UserError
from music.note import PITCHES


class EditError(UserError):
    """An edit that does not fit the notes there are."""


class Draft:
    """Notes under edit. lengths, velocities: as `music.encoding.edit_grid` has them, copied; bars: the steps at which
    bars begin,
    the first 0; ring: the end leads back to the beginning.

    `log` holds the edits applied and not undone, in order.
    """

    def __init__(
        self, lengths: Lengths, velocities: NDArray[np.uint8], bars: Sequence[int] = (0,), ring: bool = False
    ) -> None:
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
        """How many steps the sheet is long."""
        return int(self.lengths.shape[0])

    @property
    def log(self) -> list[Edit]:
        """The edits applied and not undone."""
        return [edit for edit, _ in self._log]

    def room(self, step: int, pitch: int) -> int:
        """For how many steps from `step` on nothing sounds at a pitch; 0 where something does."""
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
        """Whether it can be applied as things stand."""
        if not (0 <= edit.step < self.steps and 0 <= edit.pitch < PITCHES and edit.length >= 1):
            return False
        if edit.action == REMOVE:
            return int(self.lengths[edit.step, edit.pitch]) == edit.length
        return edit.length <= self.room(edit.step, edit.pitch)

    def apply(self, edit: Edit) -> None:
        """Do it. Raises EditError when it does not fit."""
        if not self.fits(edit):
            raise EditError(f"there is no note to remove, or no room for one: {edit}")
        self._log.append((edit, bool(self.own[edit.step, edit.pitch])))
        if edit.action == ADD:
            self._put(edit, own=True)
        else:
            self._take(edit)

    def undo(self, count: int = 1) -> list[Edit]:
        """Take back the last edits: what was done instead, newest first. Fewer where there are not so many; what new
        notes have made impossible is left out."""
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

    def give(self, step: int, pitch: int, length: int, velocity: int) -> None:
        """A new note of the input; what sounds in its way goes. Edits of what goes cannot be undone any more."""
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
        """Take out all that begins in steps [first, last), input and edits: the (step, pitch)s of what was there."""
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

    def may_remove(self, limits: Limits) -> int:
        """How many more notes of the input may go."""
        return int(limits.remove_max * self.given / 100 + 1e-9) - self.removed

    def may_add(self, limits: Limits) -> int:
        """How many more notes may be added."""
        return limits.add_max - self.added

    def locked(self, limits: Limits) -> Cells:
        """(steps, 128): cells that stay as they are."""
        found = self.refused.copy()
        found[:, : limits.low] = found[:, limits.high + 1 :] = True
        found[:, [p for p in limits.locked_pitches if 0 <= p < PITCHES]] = True
        for bar in range(1, len(self.bars) + 1):  # of the locked bars, which may be many, those of the draft
            if bar in limits.locked_bars:
                found[slice(*self._bar(bar))] = True
        return found

    def open_cells(self, limits: Limits) -> tuple[Cells, Cells]:
        """((steps, 128) where a note may be added, likewise where one may be removed). A note that reaches into a
        locked bar is part of it."""
        locked = self.locked(limits)
        onset = self.lengths > 0
        add = ~find_sounding(self.lengths, self.ring) & ~locked
        remove = onset & ~locked
        if limits.locked_bars:
            for step, pitch in zip(*(i.tolist() for i in np.nonzero(remove)), strict=True):
                covers = (step + np.arange(int(self.lengths[step, pitch]))) % self.steps
                remove[step, pitch] = not locked[covers, pitch].any()
        if self.may_remove(limits) <= 0:
            remove &= self.own
        if self.may_add(limits) <= 0:
            add[:] = False
        return add, remove

    def allows(self, edit: Edit, limits: Limits) -> bool:
        """Whether the limits, as they are now, leave room for an edit that fits."""
        if edit.action == ADD:
            within = self.may_add(limits) > 0
        else:
            within = bool(self.own[edit.step, edit.pitch]) or self.may_remove(limits) > 0
        covers = (edit.step + np.arange(edit.length)) % self.steps
        locked = self.locked(limits)[:, edit.pitch]
        return within and not locked[edit.step] and not (limits.locked_bars and locked[covers].any())

    def place(self, step: int) -> tuple[int, int]:
        """(bar, from 1; step in it, from 0)."""
        bar = bisect_right(self.bars, step)
        return bar, step - self.bars[bar - 1]

    def _bar(self, bar: int) -> tuple[int, int]:
        return self.bars[bar - 1], self.bars[bar] if bar < len(self.bars) else self.steps


def drop_cancelled(log: Iterable[Edit]) -> list[Edit]:
    """A log without the notes that were added and removed again: it gives the same notes."""
    kept: list[Edit | None] = []
    added: dict[tuple[int, int], int] = {}
    for edit in log:
        cell = edit.step, edit.pitch
        if edit.action == ADD:
            added[cell] = len(kept)
            kept.append(edit)
        elif cell in added:
            kept[added.pop(cell)] = None
        else:
            kept.append(edit)
    return [edit for edit in kept if edit is not None]


# --- lines of JSON --------------------------------------------------------------------------------------------------


def format_edit(edit: Edit, draft: Draft) -> str:
    """One line of EDITS.jsonl: `bar` counts from 1, `step` within the bar from 0, `start` is steps from bar 1."""
    bar, step = draft.place(edit.step)
    return json.dumps(
        {
            "iteration": edit.iteration,
            "action": edit.action,
            "bar": bar,
            "step": step,
            "pitch": edit.pitch,
            "length": edit.length,
            "log_probability": round(edit.log_probability, 4),
            "velocity": edit.velocity,
            "start": edit.step,
        }
    )


def parse_edit(line: str) -> Edit:
    """The edit in such a line. Raises EditError."""
    try:
        found: dict[str, Any] = json.loads(line)
        action = found["action"]
        if action not in (ADD, REMOVE):
            raise EditError(f"no such action: {action!r}")
        step, pitch, length, velocity = (int(found[key]) for key in ("start", "pitch", "length", "velocity"))
        return Edit(int(found["iteration"]), action, step, pitch, length, velocity, float(found["log_probability"]))
    except (ValueError, KeyError, TypeError):
        raise EditError(f"not a line of edits: {line.strip()[:80]!r}") from None


def replay(draft: Draft, edits: Iterable[Edit]) -> None:
    """Apply edits in order. Raises EditError at the first that does not fit."""
    for edit in edits:
        draft.apply(edit)


# --- MIDI -----------------------------------------------------------------------------------------------------------

#: non-commercial id, then `hb`, then the version of this layout
_HEADER = bytes((midi.SYSEX, 0x7D, 0x68, 0x62, 0x01))


@dataclass(frozen=True, slots=True)
class EditMessage:
    """What a SysEx message tells of an edit. bar from 1, step in it from 0, length in steps."""

    action: Action
    bar: int
    step: int
    pitch: int
    length: int
    velocity: int
    log_probability: float = field(compare=False, default=0.0)


def encode_sysex(edit: Edit, draft: Draft) -> bytes:
    """An edit as a MIDI message that a DAW can record.

    `F0 7D 68 62 01`, then action (0 add, 1 remove), bar (from 1), step in the bar (from 0), pitch, length in steps as
    two bytes (high 7 bits first), velocity, minus the log-probability in hundredths of a nat as two bytes likewise,
    then `F7`. Bars beyond 127 and lengths and probabilities beyond 16383 are told as those.
    """
    bar, step = draft.place(edit.step)
    length = min(edit.length, 16383)
    nats = min(16383, max(0, round(-100 * edit.log_probability)))
    data = (edit.action == REMOVE, min(bar, 127), min(step, 127), edit.pitch, length >> 7, length & 127)
    return _HEADER + bytes((*data, edit.velocity, nats >> 7, nats & 127, midi.SYSEX_END))


def decode_sysex(data: bytes) -> EditMessage:
    """What such a message tells. Raises EditError for another."""
    if len(data) != len(_HEADER) + 10 or data[:5] != _HEADER or data[-1] != midi.SYSEX_END or data[5] > 1:
        raise EditError("not a message of an edit")
    _, bar, step, pitch, high, low, velocity, nats_high, nats_low = data[5:-1]
    action: Action = REMOVE if data[5] else ADD
    return EditMessage(action, bar, step, pitch, high << 7 | low, velocity, -(nats_high << 7 | nats_low) / 100)
