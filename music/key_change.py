"""When did the melody go to another key? What was heard before is then best remembered in the new one.

A band that keeps to the old key after a modulation is wrong for as long as it remembers it; one that forgets knows
nothing of the song any more. A musician transposes what is known. The change is told by likelihood: were the notes
since some moment more likely drawn from the pitch classes before it, had those been moved by so many semitones? numpy
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLASSES = 12
#: Steps of melody before a change, at least: there must be a key to leave.
SETTLED = 64
#: Notes heard, at least.
FEWEST = 12
#: How far the likelihood of the notes since the change must have grown, in nats: all together, beyond so much a note. A
#: borrowed chord or a chromatic run has less than that.
PROOF, PROOF_A_NOTE = 7.0, 0.7
#: A note counts by the root of its length in steps, up to so many.
_LONG = 8
#: What is added to every pitch class before the change, on the same scale.
_ALPHA = 0.25


class KeyChange(NamedTuple):
    """step: of the first note in the new key; semitones: -5..6, how far up the music has moved."""

    step: int
    semitones: int


def key_change(rows: Sequence[tuple[int, int, int]]) -> KeyChange | None:
    """The likeliest change of key in a melody's rows of (start, pitch, length), in steps, sorted by start; None where
    there is hardly one."""
    if len(rows) < FEWEST:
        return None
    start, pitch, length = np.array(rows, np.int64).T
    one_hot = np.eye(CLASSES)[pitch % CLASSES]
    weight = np.sqrt(np.clip(length, 0, _LONG))[:, None]
    before = np.cumsum(one_hot * weight, 0) - one_hot * weight
    since = np.cumsum(one_hot[::-1], 0)[::-1]
    proof = _proof(before, since)
    proof[start - start[0] < SETTLED] = -np.inf
    note, up = np.unravel_index(int(proof.argmax()), proof.shape)
    if proof[note, up] <= PROOF:
        return None
    return KeyChange(int(start[note]), int(up) if up <= CLASSES // 2 else int(up) - CLASSES)


def _proof(before: NDArray[np.float64], since: NDArray[np.float64]) -> NDArray[np.float64]:
    """(notes, 12) in nats: what speaks for a change at each note, by so many semitones up. before, since: (notes, 12)
    what was heard of every pitch class before each note, and from it on."""
    shares = np.log((before + _ALPHA) / (before.sum(1, keepdims=True) + CLASSES * _ALPHA))
    likely = np.stack([(since * np.roll(shares, up, 1)).sum(1) for up in range(CLASSES)], 1)
    proof: NDArray[np.float64] = likely - likely[:, :1] - PROOF_A_NOTE * since.sum(1, keepdims=True)
    return proof


def in_the_new_key(rows: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The rows, those before a change of key moved as it did, so that all are in one key."""
    change = key_change(rows)
    if change is None:
        return list(rows)
    return [(s, _moved(p, change.semitones), n) if s < change.step else (s, p, n) for s, p, n in rows]


def _moved(pitch: int, semitones: int) -> int:
    """A pitch moved, by an octave less where there is none."""
    moved = pitch + semitones
    return moved - CLASSES if moved > 127 else moved + CLASSES if moved < 0 else moved
