"""Sheets: the notes of some bars on the step grid, as arrays that edits change.

Cell (step, pitch) of `lengths` holds the length in steps of the note that begins there, 0 for none. Notes of one pitch
never overlap. The AR-CNN looks at windows of a sheet, as planes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from music.analysis.note_rows import spread
from music.note import PITCHES, TICKS_PER_STEP, Note, quantise

#: steps of the AR-CNN's window: 8 bars of 4/4
WINDOW_STEPS = 128
#: what the network sees of every cell: a note begins, a note sounds, the note that begins may not be removed
PLANES = ("onset", "sounding", "kept")
#: lengths in steps that an added note can have
LENGTHS_STEPS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32)

Lengths = NDArray[np.int16]
Cells = NDArray[np.bool_]


def from_notes(notes: Iterable[Note], first_step: int, steps: int) -> tuple[Lengths, NDArray[np.uint8]]:
    """Return lengths and velocities, (steps, 128) each, of the notes that begin in [first_step, first_step + steps).

    They are quantised; one that would sound longer ends with the sheet.
    """
    lengths = np.zeros((steps, PITCHES), np.int16)
    velocities = np.zeros((steps, PITCHES), np.uint8)
    for note in quantise(notes):
        step = note.start // TICKS_PER_STEP - first_step
        if 0 <= step < steps:
            lengths[step, note.pitch] = min(note.length // TICKS_PER_STEP, steps - step)
            velocities[step, note.pitch] = note.velocity
    return lengths, velocities


def to_notes(lengths: Lengths, velocities: NDArray[np.uint8], first_step: int = 0) -> list[Note]:
    """Return the notes of a sheet, sorted."""
    steps, pitches = np.nonzero(lengths)
    return [
        Note(
            (first_step + step) * TICKS_PER_STEP,
            pitch,
            int(lengths[step, pitch]) * TICKS_PER_STEP,
            int(velocities[step, pitch]),
        )
        for step, pitch in zip(steps.tolist(), pitches.tolist(), strict=True)
    ]


def find_sounding(lengths: Lengths, ring: bool = False) -> Cells:
    """Return where a note sounds, (steps, 128), its first step included. ring: longer ones go on at the beginning."""
    steps = lengths.shape[0]
    sounds = np.zeros(lengths.shape, np.bool_)
    starts, pitches = np.divmod(np.flatnonzero(lengths != 0), PITCHES)  # ten times as fast as nonzero on two axes
    counts = np.minimum(lengths[starts, pitches], steps).astype(np.int64)
    at, pitches = spread(starts, counts), np.repeat(pitches, counts)
    if ring:
        sounds[at % steps, pitches] = True
    else:
        inside = at < steps
        sounds[at[inside], pitches[inside]] = True
    return sounds


def stack_planes(lengths: Lengths, kept: Cells, ring: bool = False) -> NDArray[np.float32]:
    """Return a sheet as the network sees it, (PLANES, steps, 128). kept: cells whose notes may not be removed."""
    return find_planes(lengths, kept, ring).astype(np.float32)


def find_planes(lengths: Lengths, kept: Cells, ring: bool = False) -> Cells:
    """Return what `stack_planes` does, as booleans."""
    planes = np.empty((len(PLANES), *lengths.shape), np.bool_)
    np.greater(lengths, 0, out=planes[0])
    planes[1] = find_sounding(lengths, ring)
    np.logical_and(planes[0], kept, out=planes[2])
    return planes
