"""Figures of how clearly an accompaniment tells its harmony, which smearing and doubling cannot please.

Only notes that begin in the passage count. A half bar that rests has no triad, and so not the right one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from music.chords import NO_CHORD, ChordTrack
from music.evaluation.passage import Bools, Floats, Ints, MelodyPassage, PlayedNotes, count_pitch_classes
from music.note import PITCH_CLASSES, PITCHES, STEPS_PER_BEAT, TICKS_PER_STEP

#: semitones above the root of the two triads that a half bar is taken for
_HALF_BAR_TRIADS = ((0, 4, 7), (0, 3, 7))
#: and of the triads and seventh chords that a beat is taken for
_BEAT_CHORDS = (
    *((0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8), (0, 5, 7)),
    *((0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10), (0, 3, 6, 10), (0, 3, 6, 9)),
    *((0, 4, 7, 9), (0, 2, 4, 7), (0, 2, 3, 7)),
)
#: a beat is clear if at least so many pitch classes sound, and a chord has more than that share of what sounds
FEWEST_CLASSES, CLEAR_SHARE = 3, 0.9
#: shares that differ by less are equal
_TIE = 1e-6
#: what the last of the triads is behind the first where both fit alike
_ORDER = 0.01


class ChordSteps(NamedTuple):
    """The annotated chords on each step of a passage."""

    root: Ints  #: (steps,): pitch class, NO_CHORD where there is none
    tones: Bools  #: (steps, 12)


def spread_chords(where: MelodyPassage, chords: ChordTrack) -> ChordSteps:
    """Return the chord of every step: each begins at the step that is nearest; a foreign bass is none of its tones."""
    steps = ChordSteps(np.full(where.steps, NO_CHORD), np.zeros((where.steps, PITCH_CLASSES), np.bool_))
    for step in range(where.steps):
        chord = chords.find((where.first_step + step) * TICKS_PER_STEP + (TICKS_PER_STEP - 1) // 2)
        if chord is not None:
            steps.root[step] = chord.root
            steps.tones[step, list(chord.tones)] = True
    return steps


def measure_half_bars(where: MelodyPassage, ours: PlayedNotes, chords: ChordTrack) -> dict[str, float]:
    """Return half_bar_root and half_bar_triad: the shares of half bars that tell root, and root and third.

    The triad, major or minor, that fits best all that sounds in the half bar is held against the annotated root that
    fills most of it, and against the third above that root that does. Half bars without a chord are left out.
    """
    classes, annotated = count_pitch_classes(_sound(where, ours)), spread_chords(where, chords)
    roots, triads = [], []
    half = max(1, where.steps_per_bar // 2)
    for bar in range(0, where.steps, where.steps_per_bar):
        for begin, end in ((bar, bar + half), (bar + half, bar + where.steps_per_bar)):
            known = annotated.root[begin:end]
            known = known[known != NO_CHORD]
            if not known.size:
                continue
            root = int(np.bincount(known, minlength=PITCH_CLASSES).argmax())
            thirds = annotated.tones[begin:end].sum(axis=0)
            is_minor = bool(thirds[(root + 3) % PITCH_CLASSES] > thirds[(root + 4) % PITCH_CLASSES])
            told = _find_triad(classes[begin:end].sum(axis=0))
            roots.append(told is not None and told[0] == root)
            triads.append(told == (root, is_minor))
    return {"half_bar_root": _share(roots), "half_bar_triad": _share(triads)}


def measure_root_on_1(where: MelodyPassage, ours: PlayedNotes) -> float:
    """Return the share of the bars whose first beat is clear in which that beat's lowest note is its chord's root.

    The lowest note is that of the beat's first step, and the chord is the one that fits best what sounds in the beat.
    """
    sounding = _sound(where, ours)
    classes = count_pitch_classes(sounding)
    found = []
    for bar in range(0, where.steps, where.steps_per_bar):
        weights = classes[bar : bar + min(STEPS_PER_BEAT, where.steps_per_bar)].sum(axis=0)
        lowest = np.flatnonzero(sounding[bar])
        if (weights > 0).sum() < FEWEST_CLASSES or not lowest.size:
            continue
        shares = _CHORDS @ weights / weights.sum()
        if shares.max() > CLEAR_SHARE:
            roots = np.flatnonzero(shares >= shares.max() - _TIE) % PITCH_CLASSES
            found.append(bool((roots == lowest[0] % PITCH_CLASSES).any()))
    return _share(found)


def _sound(where: MelodyPassage, ours: PlayedNotes) -> Bools:
    """Return the pitches that sound on each step, of the notes that begin in the passage: (steps, 128)."""
    sounding = np.zeros((where.steps, PITCHES), np.bool_)
    for onset, pitch, length in zip(ours.onset, ours.pitch, ours.length, strict=True):
        sounding[onset : onset + length, pitch] = True
    return sounding


def _find_triad(weights: Floats) -> tuple[int, bool] | None:
    """Return (root, True for minor) of the triad that pitch classes fit best; None where none sounds."""
    if not weights.any():
        return None
    best = int((_TRIADS @ weights - _ORDER * np.arange(len(_TRIADS)) / len(_TRIADS)).argmax())
    return best % PITCH_CLASSES, best >= PITCH_CLASSES


def _stack_chords(kinds: Iterable[tuple[int, ...]]) -> Floats:
    """Return, kind by kind on all roots, which pitch classes a chord has: (12 * kinds, 12)."""
    classes = range(PITCH_CLASSES)
    rows = [[float((pc - root) % PITCH_CLASSES in kind) for pc in classes] for kind in kinds for root in classes]
    return np.array(rows, np.float64)


_TRIADS, _CHORDS = _stack_chords(_HALF_BAR_TRIADS), _stack_chords(_BEAT_CHORDS)


def _share(flags: list[bool]) -> float:
    return float(np.mean(flags)) if flags else float("nan")
