"""Means of figures over songs, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over songs."""

    value: float
    low: float  #: lower end of its 95% confidence interval (bootstrap)
    high: float  #: upper end
    songs: int  #: that had the figure


def estimate_mean(values: Sequence[float], seed: int = 0, resamples: int = 1000) -> Mean:
    """Return mean and interval of the values that are not NaN; NaN throughout where none is.

    Songs are resampled, seeded.
    """
    there = np.array([v for v in values if not np.isnan(v)], np.float64)
    if not there.size:
        return Mean(np.nan, np.nan, np.nan, 0)
    drawn = np.random.default_rng(seed).integers(0, there.size, (resamples, there.size))
    low, high = np.percentile(there[drawn].mean(axis=1), (2.5, 97.5))
    return Mean(float(there.mean()), float(low), float(high), int(there.size))
