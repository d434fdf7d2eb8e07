"""The window through which a drummer's feel is told: hits by lane around a step, and the step's place in its bar.

Shared by training and by the live player, so that both see the same. A feel says of every hit how loud it is and how
far from its place on the step grid.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from music.note import Metre

#: lanes -> General MIDI drum notes; shakers and tambourines are played as a closed hi-hat is
LANES: dict[str, tuple[int, ...]] = {
    "kick": (35, 36),
    "snare": (38, 40),
    "stick": (37, 39),
    "closed hi-hat": (42, 54, 69, 70, 82),
    "pedal hi-hat": (44,),
    "open hi-hat": (46,),
    "low tom": (41, 43, 45),
    "high tom": (47, 48, 50),
    "crash": (49, 52, 55, 57),
    "ride": (51, 53, 59),
}
#: drum note -> number of its lane
LANE_OF = {pitch: i for i, pitches in enumerate(LANES.values()) for pitch in pitches}
KICK, CLOSED_HAT = LANE_OF[36], LANE_OF[42]

#: steps before and behind a step whose hits are seen
PAST_STEPS, COMING_STEPS = 16, 8
WINDOW_STEPS = PAST_STEPS + 1 + COMING_STEPS
#: places in a beat of four sixteenths, then those in one of six; beats of a bar that are told apart
_PLACES, _BEATS = 4 + 6, 4
PLACE_FEATURES = _PLACES + _BEATS + 1
#: numbers that a window has, place and tempo included
WINDOW_FEATURES = len(LANES) * WINDOW_STEPS + PLACE_FEATURES + 1

#: probabilities at which the network tells what is played: 0.5 is the median
LEVELS = (0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.98)
#: the same as deviations of the standard normal distribution
LEVEL_DEVIATIONS = (-2.0537, -1.2816, -0.6745, -0.2533, 0.0, 0.2533, 0.6745, 1.2816, 2.0537)
#: what is told of each hit: offset in steps (below 0: early), and velocity / 127
OFFSET, VELOCITY = 0, 1


def mark_places(first: int, steps: int, metre: Metre) -> NDArray[np.float32]:
    """Return the places in bar and beat of steps that count from a bar line: (steps, PLACE_FEATURES) of 0 and 1."""
    return _mark_places(first % metre.steps_per_bar, steps, metre)


@lru_cache(maxsize=64)
def _mark_places(first: int, steps: int, metre: Metre) -> NDArray[np.float32]:
    in_bar = (first + np.arange(steps)) % metre.steps_per_bar
    per_pulse = metre.steps_per_pulse
    beat, place = in_bar // per_pulse, in_bar % per_pulse
    last = in_bar + per_pulse >= metre.steps_per_bar
    rows = np.arange(steps)
    marked = np.zeros((steps, PLACE_FEATURES), np.float32)
    column = 4 + place * 6 // per_pulse if per_pulse % 3 == 0 else place * 4 // per_pulse
    marked[rows, column] = 1
    marked[rows, _PLACES + np.minimum(beat, _BEATS - 1)] = 1
    marked[rows, -1] = last
    return marked


def cut_windows(hits: NDArray[np.float32], places: NDArray[np.float32], bpm: float) -> NDArray[np.float32]:
    """Return the windows of steps in a row: (steps, WINDOW_FEATURES).

    hits: (lanes, PAST_STEPS + steps + COMING_STEPS); places: (steps, PLACE_FEATURES); bpm: quarters a minute.
    """
    return join_windows(hits.reshape(-1).take(_list_cells(len(places), hits.shape[1])), places, bpm)


def join_windows(hits: NDArray[np.float32], places: NDArray[np.float32], bpm: float) -> NDArray[np.float32]:
    """Return the windows of any steps, (steps, WINDOW_FEATURES), each of its hits around it and its place.

    hits: (steps, lanes, WINDOW_STEPS) or flat; places: (steps, PLACE_FEATURES); bpm: quarters a minute.
    """
    cells = len(LANES) * WINDOW_STEPS
    made = np.empty((len(places), WINDOW_FEATURES), np.float32)
    made[:, :cells] = hits.reshape(len(places), cells)
    made[:, cells:-1] = places
    made[:, -1] = np.log2(bpm / 120)
    return made


@lru_cache(maxsize=8)
def _list_cells(steps: int, width: int) -> NDArray[np.int64]:
    """Return where the cells of the windows of steps stand in hits that are `width` wide: (steps, cells)."""
    lane = np.arange(len(LANES))[:, None] * width + np.arange(WINDOW_STEPS)
    return np.arange(steps)[:, None] + lane.reshape(-1)
