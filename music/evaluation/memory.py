"""Figures of how well an accompaniment remembers the song: what it plays where the melody returns."""

from __future__ import annotations

import numpy as np

from music.evaluation.means import divide_sums
from music.evaluation.passage import Bools, Floats, MelodyPassage, PlayedNotes, draw_onsets, split_bars

#: bars are compared with those at least so many bars later
NEAREST_BARS = 2
#: where the melody has at least so many onsets in both
FEWEST_ONSETS = 3
SAME, OTHER = 0, 1


def compare_bars(where: MelodyPassage, ours: PlayedNotes) -> Floats:
    """Return, of pairs of bars with the same melody and of pairs with another one, the sum of F1 and their number.

    F1 is that of the onsets (step and pitch) that the accompaniment has in both bars, drums left out; the melody is the
    same if it has the same onsets at the same pitches. Bars in which the accompaniment begins no note are left out.
    Returns (2, 2): rows SAME and OTHER.
    """
    melody, accompaniment = _flatten_bars(where, where.begins), _flatten_bars(where, draw_onsets(where, ours))
    in_both, ours_in_both = melody @ melody.T, accompaniment @ accompaniment.T
    sizes, our_sizes = melody.sum(axis=1), accompaniment.sum(axis=1)
    usable = (sizes >= FEWEST_ONSETS) & (our_sizes > 0)
    earlier, later = np.triu_indices(where.bars, NEAREST_BARS)
    kept = usable[earlier] & usable[later]
    earlier, later = earlier[kept], later[kept]
    same = (in_both[earlier, later] == sizes[earlier]) & (in_both[earlier, later] == sizes[later])
    f1 = 2 * ours_in_both[earlier, later] / (our_sizes[earlier] + our_sizes[later])
    return np.array([[f1[same].sum(), same.sum()], [f1[~same].sum(), (~same).sum()]], np.float64)


def measure_memory(sums: Floats, row: int) -> Floats:
    """Return the mean F1 of all pairs of one row (SAME or OTHER) of `compare_bars`; NaN where there are none.

    sums: of the counts of many songs, (sets of songs, 2, 2).
    """
    return divide_sums(sums[:, row, 0], sums[:, row, 1])


def measure_memory_gap(sums: Floats) -> Floats:
    """Return by how much pairs of bars with the same melody are more alike than those with another one."""
    return measure_memory(sums, SAME) - measure_memory(sums, OTHER)


def _flatten_bars(where: MelodyPassage, begins: Bools) -> Floats:
    return np.asarray(split_bars(where, begins).reshape(where.bars, -1), np.float64)
