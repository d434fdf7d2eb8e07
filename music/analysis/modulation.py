"""Find the key change of a melody, and move what was heard before to the new key.

A band that keeps to the old key after a modulation is wrong for as long as it remembers it; one that forgets knows
nothing of the song any more. A musician transposes what is known. The change is told by likelihood: were the notes
since some moment more likely drawn from the pitch classes before it, had those been moved by so many semitones? And by
what is recalled (music.analysis.melody_recall): does the song, moved, go as it went before? numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from music.analysis import melody_recall
from music.analysis.note_rows import to_rows
from music.note import PITCH_CLASSES, PITCHES, REST

#: Steps of melody before a change, at least: there must be a key to leave.
SETTLED_STEPS = 64
#: Notes heard, at least.
MIN_NOTES = 12
#: How far the likelihood of the notes since the change must have grown, in nats, beyond A_NOTE for every note: a
#: borrowed chord or a chromatic run has less than that.
PROOF_NATS, PROOF_NATS_PER_NOTE = 7.0, 0.7
#: Nats that it is worth when what is heard is recalled with certainty in the new key only.
RECALL_NATS = 20.0
#: Keys that much less likely than the likeliest one are not looked at.
NEAR_NATS = 10.0
#: A note counts by the root of its length in steps, up to so many.
_LONGEST_STEPS = 8
#: What is added to every pitch class before the change, on the same scale.
_PRIOR = 0.25

#: (up, pitch class): which pitch class comes to lie there when all are moved up.
_FROM = (np.arange(PITCH_CLASSES) - np.arange(PITCH_CLASSES)[:, None]) % PITCH_CLASSES
_ONE_HOT = np.eye(PITCH_CLASSES)

Rows = Iterable[tuple[int, int, int]] | NDArray[np.int64]  #: start, pitch, length, in steps; (n, 3) where an array


class KeyChange(NamedTuple):
    """A change of key."""

    step: int  #: of the first note in the new key
    semitones: int  #: how far up the music has moved, -5..6


def find_key_change(rows: Rows, now: int, steps_per_bar: int = 16) -> KeyChange | None:
    """Return the likeliest change of key in a melody heard up to step `now`; None where there is hardly one.

    rows: of one voice, sorted by start.
    """
    heard = to_rows(rows)
    if len(heard) < MIN_NOTES:
        return None
    told = heard[:, :3].copy()
    told[-1, 2] = 1  # how long the last note lasts says nothing of those before it
    likely = _find_likely_changes(told.tobytes())
    if not likely:
        return None
    as_it_is, *recalled = measure_recall(heard, [change for _, change in likely], now, steps_per_bar)
    proofs = [nats + RECALL_NATS * (trust - as_it_is) for (nats, _), trust in zip(likely, recalled, strict=True)]
    surest = int(np.argmax(proofs))
    return likely[surest][1] if proofs[surest] > PROOF_NATS else None


@lru_cache(maxsize=4)  # while a note sounds, a player asks at every step
def _find_likely_changes(told: bytes) -> list[tuple[float, KeyChange]]:
    """Return the changes of key that the notes speak for, with nats, of notes as the bytes of int64 rows (n, 3)."""
    start, pitch, length = np.frombuffer(told, np.int64).reshape(-1, 3).T
    one_hot = _ONE_HOT[pitch % PITCH_CLASSES]
    weight = np.sqrt(np.clip(length, 0, _LONGEST_STEPS))[:, None]
    before = np.cumsum(one_hot * weight, 0) - one_hot * weight
    since = np.cumsum(one_hot[::-1], 0)[::-1]
    settled = int(np.searchsorted(start, start[0] + SETTLED_STEPS))  # the first note that may begin in another key
    if settled == len(start):
        return []
    proof = _weigh_changes(before[settled:], since[settled:])
    best, notes = proof.max(0), settled + proof.argmax(0)
    likely = [up for up in range(1, PITCH_CLASSES) if best[up] > max(0.0, best[1:].max() - NEAR_NATS)]
    half = PITCH_CLASSES // 2
    return [(float(best[up]), KeyChange(int(start[notes[up]]), up - PITCH_CLASSES * (up > half))) for up in likely]


def _weigh_changes(before: NDArray[np.float64], since: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what speaks for a change at each note by so many semitones up, (notes, 12) in nats.

    before, since: (notes, 12), what was heard of every pitch class before each note, and from it on.
    """
    shares = np.log((before + _PRIOR) / (before.sum(1, keepdims=True) + PITCH_CLASSES * _PRIOR))
    likely = (shares[:, _FROM] @ since[:, :, None])[:, :, 0]
    proof: NDArray[np.float64] = likely - likely[:, :1] - PROOF_NATS_PER_NOTE * since.sum(1, keepdims=True)
    return proof


def measure_recall(heard: NDArray[np.int64], changes: Sequence[KeyChange], now: int, steps_per_bar: int) -> list[float]:
    """Return how surely the last steps before `now` are recalled, 0..1: as they are, and with each change applied."""
    start, pitch, length = heard[:, :3].T
    first = int(start[0])
    # which note sounds at each step, and what its pitch is, by change; REST where none does
    sounding = melody_recall.sample_melody(np.stack([start - first, np.arange(len(heard)), length], 1), now - first)
    pitches = np.full((1 + len(changes), len(heard) + 1), REST, np.int16)
    pitches[0, :-1] = pitch
    for line, change in zip(pitches[1:], changes, strict=True):
        line[:-1] = _move_pitches(start, pitch, change)
    return [match.trust for match in melody_recall.find_matches(pitches[:, sounding], steps_per_bar)]


def _move_pitches(start: NDArray[np.int64], pitch: NDArray[np.int64], change: KeyChange) -> NDArray[np.int64]:
    """Return pitches, those of notes that start before a change of key moved as it did, in MIDI's compass."""
    moved = pitch + change.semitones
    moved += PITCH_CLASSES * (moved < 0) - PITCH_CLASSES * (moved >= PITCHES)
    return np.where(start < change.step, moved, pitch)


def apply_key_change(rows: Rows, change: KeyChange) -> NDArray[np.int64]:
    """Return the rows, those before a change of key moved as it did, so that all are in the new one.

    Where that is no pitch, a note moves by an octave less.
    """
    moved = to_rows(rows).copy()
    moved[:, 1] = _move_pitches(moved[:, 0], moved[:, 1], change)
    return moved
