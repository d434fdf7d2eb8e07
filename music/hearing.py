"""What a harmonist hears: the melody on both sides of the now-line, cut into patches of a beat's length that end at it.

Unlike the canvas, which begins on a bar line, it moves on with every step, and it reaches back further. Shared by
training and by the live players, so that both hear the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from music import canvas
from music.note import STEPS_PER_BEAT, TICKS_PER_STEP, Metre, Note, quantise

PATCH = 4  #: steps in a patch
PAST = 256  #: steps left of the now-line: 16 bars of 4/4
FUTURE = 64  #: steps right of it, heard only where the whole melody is visible
AHEAD = 8  #: beats whose chords are told, from the one that the now-line lies in on
PHASES = 16  #: where in the bar the now-line lies, in steps, in the terms of 4/4
MELODY_PLANES = canvas.PLANE["bass", "sustain"]


@dataclass(frozen=True, slots=True)
class Hearing:
    """melody: (MELODY_PLANES, 12, PAST + FUTURE), the now-line after PAST steps; known: (1,), 1 where the future is
    visible; phase: (PHASES,) one-hot. All float32 of 0 and 1."""

    melody: NDArray[np.float32]
    known: NDArray[np.float32]
    phase: NDArray[np.float32]


def of(melody: Iterable[Note], now: int, heard_all: bool, metre: Metre = Metre(), bar: int = 0) -> Hearing:
    """What is heard at a now-line (a step): melody in ticks; what is right of the line is left out unless heard_all.

    bar: a step at which a bar begins.
    """
    planes = np.zeros((canvas.PITCHED_PLANES, canvas.CLASSES, PAST + FUTURE), np.float32)
    first = now - PAST
    near = [n for n in melody if n.end // TICKS_PER_STEP + 1 > first and n.start < (now + FUTURE) * TICKS_PER_STEP]
    rows = ((n.start // TICKS_PER_STEP - first, n.pitch, n.length // TICKS_PER_STEP) for n in quantise(near))
    canvas.draw(planes, "melody", rows)
    heard = planes[:MELODY_PLANES]
    if not heard_all:
        heard[:, :, PAST:] = 0
    phase = np.zeros(PHASES, np.float32)
    phase[phase_of(now - bar, metre)] = 1
    return Hearing(heard, np.array([heard_all], np.float32), phase)


def phase_of(step: int, metre: Metre = Metre()) -> int:
    """Where in the bar a step (counted from a bar line) lies, 0..15; other metres are told in the terms of 4/4."""
    beat = int(canvas.beat_of_bar(step, 1, metre)[0])
    return beat * STEPS_PER_BEAT + step % metre.steps_per_bar % STEPS_PER_BEAT
