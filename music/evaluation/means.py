"""Shares and means, and means of figures over songs with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over songs, or a figure of all of them together."""

    value: float
    low: float  #: lower end of its 95% confidence interval (bootstrap); NaN where it has none
    high: float  #: upper end
    songs: int  #: that had the figure


NO_MEAN = Mean(math.nan, math.nan, math.nan, 0)


def estimate_mean(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Mean:
    """Return mean and interval of the values that are not NaN; NaN throughout where none is.

    Songs are resampled, seeded.
    """
    there = np.array([v for v in values if not np.isnan(v)], np.float64)
    if not there.size:
        return NO_MEAN
    drawn = np.random.default_rng(seed).integers(0, there.size, (resamples, there.size))
    low, high = np.percentile(there[drawn].mean(axis=1), (2.5, 97.5))
    return Mean(float(there.mean()), float(low), float(high), int(there.size))


def estimate_pooled(
    songs: Sequence[NDArray[np.float64]],
    combine: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    has_interval: bool = True,
) -> Mean:
    """Return a figure of all songs together, and its interval.

    songs: the tally of each song, which add up; combine: takes sums of tallies, (sets of songs, ...), to the figure of
    each set, NaN where it has none. Songs are resampled, seeded, unless there is no interval. Of songs it tells how
    many have the figure alone.
    """
    if not songs:
        return NO_MEAN
    tallies = np.array(songs, np.float64)
    value, having = float(combine(tallies.sum(axis=0)[None])[0]), int((~np.isnan(combine(tallies))).sum())
    if math.isnan(value):
        return NO_MEAN
    if not has_interval:
        return Mean(value, math.nan, math.nan, having)
    drawn = np.random.default_rng(0).multinomial(len(songs), np.full(len(songs), 1 / len(songs)), RESAMPLES)
    low, high = np.nanpercentile(combine(np.tensordot(drawn.astype(np.float64), tallies, 1)), (2.5, 97.5))
    return Mean(value, float(low), float(high), having)


def divide_sums(parts: NDArray[np.float64], wholes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return parts / wholes, NaN where the whole is 0."""
    return np.asarray(np.divide(parts, wholes, out=np.full(parts.shape, math.nan), where=wholes > 0), np.float64)


def compute_share(flags: NDArray[np.bool_]) -> float:
    """Return the share of flags that are set; NaN of none."""
    return compute_mean(flags.astype(np.float64))


def compute_mean(values: NDArray[np.float64]) -> float:
    """Return the mean; NaN of none."""
    return float(np.mean(values)) if values.size else math.nan


def compute_ratio(part: float, whole: float) -> float:
    """Return part / whole; NaN where the whole is 0."""
    return float(part / whole) if whole else math.nan
