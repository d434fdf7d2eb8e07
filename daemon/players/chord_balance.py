"""Which tones of the harmony has the band neglected?

Left to themselves players double roots and fifths, and a bar's harmony is told by half of its tones. What sounded over
the last beats is held against how much of what sounds a human accompaniment gives each tone of its chords.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from music.chords import QUALITIES, QUALITY_TONES
from music.note import PITCH_CLASSES, TICKS_PER_STEP, Note

Floats = NDArray[np.float64]

#: Steps that are looked back on.
BALANCED = 8
#: Shares of what sounds below this hardly count.
SLIGHT = 0.05
#: How much of what a human accompaniment sounds over a chord each of its tones has, root first, as QUALITIES and
#: QUALITY_TONES have them; the rest are tones foreign to it (POP909's training split, all beats with a chord).
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
#: (chords, 12), quality-major: the same for every chord, by pitch class.
SHARES: Floats = np.zeros((len(QUALITIES) * PITCH_CLASSES, PITCH_CLASSES))
for _quality, (_intervals, _shares) in enumerate(zip(QUALITY_TONES, _PROFILES, strict=True)):
    for _root in range(PITCH_CLASSES):
        SHARES[_quality * PITCH_CLASSES + _root, [(_root + i) % PITCH_CLASSES for i in _intervals]] = _shares


def sounded(notes: Iterable[Note], step: int) -> Floats:
    """(12,) for how many steps every pitch class sounded in the last BALANCED steps before a step."""
    since, until = (step - BALANCED) * TICKS_PER_STEP, step * TICKS_PER_STEP
    found = np.zeros(PITCH_CLASSES)
    for note in notes:
        found[note.pitch % PITCH_CLASSES] += max(0, min(note.end, until) - max(note.start, since)) / TICKS_PER_STEP
    return found


def neglected_tones(wanted: Floats, heard: Floats) -> Floats:
    """How much less of each pitch class was heard (12,) than its share of what is wanted (12, ...): a difference of
    logarithms, 0 where it had its due. Where nothing was heard nothing was neglected."""
    if not heard.any():
        return np.zeros_like(wanted)
    missing: Floats = np.log(wanted / np.maximum(wanted.sum(0), 1e-6) + SLIGHT).T - np.log(heard / heard.sum() + SLIGHT)
    return missing.T
