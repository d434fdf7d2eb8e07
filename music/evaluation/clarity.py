"""Figures of how clearly an accompaniment tells its harmony, which smearing and doubling cannot please.

Only notes that begin in the passage count. A half bar that rests has no triad, and so not the right one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from music.chords import NO_CHORD, ChordTrack
from music.evaluation.means import compute_share
from music.evaluation.passage import (
    Bools,
    Floats,
    Ints,
    MelodyPassage,
    PlayedNotes,
    count_pitch_classes,
    draw_begun,
)
from music.note import PITCH_CLASSES, TICKS_PER_STEP

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
    classes, annotated = count_pitch_classes(draw_begun(where, ours)), spread_chords(where, chords)
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


def measure_beats(where: MelodyPassage, ours: PlayedNotes) -> dict[str, float]:
    """Return clear, own_root, root_on_1 and changes.

    clear: of the beats that sound, the share that is clear: on the first step something sounds, and of three or more
    pitch classes in the beat (by time, octaves counted) one triad or seventh chord has more than 0.9. own_root: of
    those, the share whose lowest note, at the first step, is the root of the chord that fits best; root_on_1: the same
    of the first beats of bars. changes: how often a bar the triad changes that fits a beat best; beats that rest are
    passed over.
    """
    sounding = draw_begun(where, ours)
    classes = count_pitch_classes(sounding)
    sounds, rooted, on_1 = 0, [], []
    for begin, end in where.list_beats():
        sounds += bool(sounding[begin:end].any())
        weights, lowest = classes[begin:end].sum(axis=0), np.flatnonzero(sounding[begin])
        if (weights > 0).sum() < FEWEST_CLASSES or not lowest.size:
            continue
        shares = _CHORDS @ weights / weights.sum()
        if shares.max() > CLEAR_SHARE:
            roots = np.flatnonzero(shares >= shares.max() - _TIE) % PITCH_CLASSES
            rooted.append(bool((roots == lowest[0] % PITCH_CLASSES).any()))
            on_1 += rooted[-1:] if begin % where.steps_per_bar == 0 else []
    triads = find_beat_triads(where, ours)
    heard = triads[triads != NO_CHORD]
    return {
        "clear": len(rooted) / max(1, sounds),
        "own_root": _share(rooted),
        "root_on_1": _share(on_1),
        "changes": int((heard[1:] != heard[:-1]).sum()) / where.bars,
    }


def find_beat_triads(where: MelodyPassage, ours: PlayedNotes) -> Ints:
    """Return the triad that best fits what sounds in each beat: (beats,).

    0..11 are major on C..B, 12..23 minor; NO_CHORD where nothing sounds.
    """
    classes = count_pitch_classes(draw_begun(where, ours))
    told = [_find_triad(classes[begin:end].sum(axis=0)) for begin, end in where.list_beats()]
    return np.array([NO_CHORD if each is None else each[0] + PITCH_CLASSES * each[1] for each in told], np.int64)


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
    return compute_share(np.array(flags, np.bool_))
