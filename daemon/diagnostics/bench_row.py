"""One figure of the bench beside its reference, and how it is made of what several rounds measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.counters import quantile

#: the values of each round
Rounds = Sequence[list[float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the bench."""

    figure: str
    unit: str
    value: float | None = None
    #: what the reference is
    against: str = ""
    #: its value, in the same unit
    reference: float | None = None
    #: of the two in their best rounds; None without a reference
    ratio: float | None = None
    #: what the design promises, in words
    bound: str = ""
    #: True where that is kept
    kept: bool | None = None
    #: why there is no value
    note: str = ""


def compare_rounds(
    figure: str, unit: str, mine: Rounds, against: str, theirs: Rounds, bound: str = "", most: float = 0.0
) -> Row:
    """Return a figure beside its reference, both measured in rounds; most: the highest value that `bound` allows.

    The values are medians of everything; the ratio is that of the best rounds of either side, for what else the machine
    does only ever adds.
    """
    value, reference = median(flatten(mine)), median(flatten(theirs))
    kept = value <= most if bound else None
    ratio = best_median(mine) / best_median(theirs)
    return Row(figure, unit, value, against, reference, ratio, bound, kept)


def median(values: Sequence[float]) -> float:
    """Return the median; nan of none."""
    return quantile(values, 0.5)


def flatten(rounds: Rounds) -> list[float]:
    """Return the values of all rounds."""
    return [value for values in rounds for value in values]


def best_median(rounds: Rounds) -> float:
    """Return the least of the rounds' medians."""
    return min(median(values) for values in rounds if values)
