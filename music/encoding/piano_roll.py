"""Piano rolls: time x pitch, an onset plane beside the sustain plane (without it repeated notes fuse)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from music.note import PITCHES, TICKS_PER_STEP, Note, quantise


@dataclass(frozen=True, slots=True)
class PianoRoll:
    """Notes on the step grid."""

    onset: NDArray[np.bool_]  #: (steps, 128): a note begins
    sustain: NDArray[np.bool_]  #: (steps, 128): a note sounds, its first step included

    @property
    def steps(self) -> int:
        """Length in steps."""
        return int(self.onset.shape[0])


def make_silence(steps: int) -> PianoRoll:
    """Return a silent roll of so many steps."""
    return PianoRoll(np.zeros((steps, PITCHES), np.bool_), np.zeros((steps, PITCHES), np.bool_))


def from_notes(notes: Iterable[Note], first_step: int, steps: int) -> PianoRoll:
    """Return the roll of [first_step, first_step + steps); notes are quantised. One begun before has no onset."""
    roll = make_silence(steps)
    for note in quantise(notes):
        start = note.start // TICKS_PER_STEP - first_step
        end = note.end // TICKS_PER_STEP - first_step
        if end <= 0 or start >= steps:
            continue
        if start >= 0:
            roll.onset[start, note.pitch] = True
        roll.sustain[max(start, 0) : min(end, steps), note.pitch] = True
    return roll


def to_notes(roll: PianoRoll, first_step: int = 0, velocity: int = 80) -> list[Note]:
    """Return the notes that begin in a roll, sorted. Sustain without an onset before it is no note."""
    notes = []
    starts, pitches = np.nonzero(roll.onset)
    for start, pitch in zip(starts.tolist(), pitches.tolist(), strict=True):
        goes_on = roll.sustain[start + 1 :, pitch] & ~roll.onset[start + 1 :, pitch]
        stops = np.flatnonzero(~goes_on)
        length = 1 + (int(stops[0]) if stops.size else goes_on.size)
        notes.append(Note((first_step + start) * TICKS_PER_STEP, pitch, length * TICKS_PER_STEP, velocity))
    return sorted(notes)
