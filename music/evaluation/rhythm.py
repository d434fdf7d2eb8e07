"""Figures of how an accompaniment moves: its groove, its drums, and histograms of its notes beside the human ones."""

from __future__ import annotations

import math

import numpy as np

from music.evaluation.means import compute_mean, compute_share
from music.evaluation.passage import (
    Floats,
    MelodyPassage,
    Parts,
    PlayedNotes,
    count_pitch_classes,
    count_values,
    draw_onsets,
    find_any,
    find_drum_onsets,
    split_bars,
)
from music.note import STEPS_PER_BEAT

#: histograms end there: what is longer, or denser, counts in the last bin
LONGEST_STEPS = 16
MAX_POLYPHONY = 8


def measure_groove(where: MelodyPassage, ours: PlayedNotes) -> dict[str, float]:
    """Return onsets, on_beat, crumbs, empty, repeated, distinct and groove.

    Two bars are equal when they have the same onsets at the same pitches. Bars without an onset are not compared with
    the one before; among the distinct bars they are one bar.
    """
    counts = split_bars(where, count_values(ours.onset, where.steps))
    filled = find_any(counts > 0)
    bars = split_bars(where, draw_onsets(where, ours)).reshape(where.bars, -1)
    alike = ~find_any(bars[1:] != bars[:-1])[filled[1:]]
    return {
        "onsets": compute_mean(counts.sum(axis=1)),
        "on_beat": compute_share(ours.onset % where.steps_per_bar % STEPS_PER_BEAT == 0),
        "crumbs": compute_share(ours.length == 1),
        "empty": compute_share(~find_any(split_bars(where, find_any(ours.sounding)))),
        "repeated": compute_share(alike),
        "distinct": len({bar.tobytes() for bar in bars}) / where.bars,
        "groove": compute_mean(_correlate_bars(counts)),
    }


def measure_drums(where: MelodyPassage, parts: Parts, human: Parts | None) -> dict[str, float]:
    """Return drum_onsets, and drum_overlap: NaN unless the human accompaniment drums."""
    ours = find_drum_onsets(parts, where)
    theirs = find_drum_onsets({} if human is None else human, where)
    overlap = math.nan
    if theirs.size:
        mine, other = (count_values(onsets % where.steps_per_bar, where.steps_per_bar) for onsets in (ours, theirs))
        overlap = _measure_overlap(mine, other)
    return {"drum_onsets": ours.size / where.bars, "drum_overlap": overlap}


def _correlate_bars(counts: Floats) -> Floats:
    """Return Pearson's correlation between each bar and the next.

    A bar whose positions are all alike has none and is left out.
    """
    centred = counts - counts.mean(axis=1, keepdims=True)
    size = np.linalg.norm(centred, axis=1)
    defined = (size[1:] > 0) & (size[:-1] > 0)
    product = (centred[1:] * centred[:-1]).sum(axis=1)[defined]
    return np.asarray(product / (size[1:] * size[:-1])[defined], np.float64)


def measure_overlaps(where: MelodyPassage, ours: PlayedNotes, theirs: PlayedNotes) -> dict[str, float]:
    """Return how much each of `count_histograms` has in common with theirs: 1 alike, 0 nothing."""
    mine, other = count_histograms(where, ours), count_histograms(where, theirs)
    return {name: _measure_overlap(mine[name], other[name]) for name in mine}


def count_histograms(where: MelodyPassage, ours: PlayedNotes) -> dict[str, Floats]:
    """Return counts: position of onsets in the bar, duration in steps, polyphony of sounding steps, pitch classes.

    Durations count 1..LONGEST_STEPS, longer ones in the last bin; polyphony 1..MAX_POLYPHONY likewise; pitch classes of
    note-steps.
    """
    together = ours.sounding.sum(axis=1)
    together = together[together > 0]
    return {
        "position": count_values(ours.onset % where.steps_per_bar, where.steps_per_bar),
        "duration": count_values(np.minimum(ours.length, LONGEST_STEPS) - 1, LONGEST_STEPS),
        "polyphony": count_values(np.minimum(together, MAX_POLYPHONY) - 1, MAX_POLYPHONY),
        "pitch_class": count_pitch_classes(ours.sounding).sum(axis=0),
    }


def _measure_overlap(mine: Floats, other: Floats) -> float:
    if not mine.any() or not other.any():
        return math.nan if not other.any() else 0.0
    return float(np.minimum(mine / mine.sum(), other / other.sum()).sum())
