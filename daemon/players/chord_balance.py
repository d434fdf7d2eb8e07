"""Tones of the harmony that the band has neglected.

Left to themselves, players double roots and fifths, so that a bar's harmony is told by half of its tones. What sounded
over the last beats is compared with the share of what sounds that a human accompaniment gives each tone of its chords.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from music.chords import QUALITIES, QUALITY_TONES
from music.note import PITCH_CLASSES, TICKS_PER_STEP, Note

Floats = NDArray[np.float64]

#: How far back notes are looked at.
BALANCE_STEPS = 8
#: Shares of what sounds that lie below this hardly count.
MIN_SHARE = 0.05
#: For each of QUALITIES, the share of what a human accompaniment sounds over such a chord that each tone of
#: QUALITY_TONES has; the rest are tones foreign to the chord. Measured on all beats with a chord of POP909's training
#: split.
_PROFILES = (
    (0.46, 0.19, 0.29),
    (0.46, 0.20, 0.29),
    (0.33, 0.16, 0.23, 0.20),
    (0.32, 0.18, 0.21, 0.21),
    (0.33, 0.20, 0.21, 0.20),
    (0.43, 0.19, 0.23),
    (0.43, 0.17, 0.28),
    (0.42, 0.21, 0.23),
)
#: The same by chord and pitch class: (qualities * 12, 12), where a chord's index is 12 * quality + root.
TONE_SHARES: Floats = np.zeros((len(QUALITIES) * PITCH_CLASSES, PITCH_CLASSES))
for _quality, (_intervals, _shares) in enumerate(zip(QUALITY_TONES, _PROFILES, strict=True)):
    for _root in range(PITCH_CLASSES):
        TONE_SHARES[_quality * PITCH_CLASSES + _root, [(_root + i) % PITCH_CLASSES for i in _intervals]] = _shares


def count_sounding_steps(rows: NDArray[np.int64], step: int) -> Floats:
    """Return how long (steps) each pitch class sounded in the last BALANCE_STEPS steps before a step: (12,).

    rows: notes (music.analysis.note_rows).
    """
    since, until = (step - BALANCE_STEPS) * TICKS_PER_STEP, step * TICKS_PER_STEP
    ticks = np.minimum(rows[:, 0] + rows[:, 2], until) - np.maximum(rows[:, 0], since)
    inside = ticks > 0
    steps: Floats = np.bincount(rows[inside, 1] % PITCH_CLASSES, ticks[inside], PITCH_CLASSES) / TICKS_PER_STEP
    return steps


def add_up_sounding_ticks(notes: Iterable[Note], step: int) -> tuple[int, ...]:
    """Return what `count_sounding_steps` does, of notes that are few and in ticks."""
    since, until = (step - BALANCE_STEPS) * TICKS_PER_STEP, step * TICKS_PER_STEP
    ticks = [0] * PITCH_CLASSES
    for note in notes:
        start = note.start
        inside = min(start + note.length, until) - max(start, since)
        if inside > 0:
            ticks[note.pitch % PITCH_CLASSES] += inside
    return tuple(ticks)


@lru_cache(maxsize=1024)  # most steps are looked at in several plans
def weigh_ticks(ticks: tuple[int, ...]) -> Floats | None:
    """Return the logarithms of the shares (12,) of what sounded, in ticks; None where nothing did."""
    return weigh_shares(np.array(ticks) / TICKS_PER_STEP) if any(ticks) else None


def weigh_shares(wanted: Floats) -> Floats:
    """Return the logarithms of shares, (12, ...), as `weigh_neglected_tones` compares them."""
    made: Floats = np.log(wanted / np.maximum(wanted.sum(0), 1e-6) + MIN_SHARE)
    return made


def weigh_neglected_tones(wanted: Floats, heard: Floats) -> Floats:
    """Return how far each pitch class fell short of its share: a difference of logarithms, 0 where it did not.

    wanted: (12, ...) shares that are wanted; heard: (12,) what was heard. Where nothing was heard, nothing was
    neglected.
    """
    if not heard.any():
        return np.zeros_like(wanted)
    missing: Floats = weigh_shares(wanted).T - weigh_shares(heard)
    return missing.T
