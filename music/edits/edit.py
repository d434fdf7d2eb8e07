"""Edits of notes, and the limits that a player sets them. Numbers only: the live side loads no arrays for it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final, Literal

#: no bar that can be locked has a higher number
MAX_BAR = 100_000
ADD: Final = "add"
REMOVE: Final = "remove"
Action = Literal["add", "remove"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One note added or removed."""

    iteration: int  #: the evaluation it came from, from 1
    action: Action
    step: int  #: its onset, from the sheet's beginning
    pitch: int
    length: int  #: steps
    velocity: int = 80
    log_probability: float = 0.0  #: nats, of its cell among all that could be edited


@dataclass(frozen=True, slots=True)
class Limits:
    """The edits that a player allows."""

    remove_max: float = 100.0  #: percent of the input's notes that may be gone
    add_max: int = 1000  #: added notes that there may be; one that is removed makes room again
    locked_pitches: frozenset[int] = frozenset()  #: stay as they are
    locked_bars: frozenset[int] = frozenset()  #: bars, from 1, in which nothing begins or ends to be
    low: int = 0  #: lowest pitch that may be edited
    high: int = 127  #: highest


@functools.lru_cache(maxsize=64)
def parse_ranges(text: str) -> frozenset[int]:
    """Return the numbers in a list of numbers and ranges such as `1-4,7`; none in an empty one. Raises ValueError.

    However many ranges overlap, no number is visited twice; and a text is read once, for players ask again and again.
    """
    ranges: list[range] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        first, dash, last = part.partition("-")
        numbers = range(int(first), (int(last) if dash else int(first)) + 1)
        if not numbers or numbers[-1] > MAX_BAR:
            raise ValueError(f"{part}: not a number or a range of them")
        ranges.append(numbers)
    found: set[int] = set()
    end = 0
    for numbers in sorted(ranges, key=lambda numbers: numbers.start):
        found.update(range(max(numbers.start, end), numbers.stop))
        end = max(end, numbers.stop)
    return frozenset(found)


def invert(edit: Edit) -> Edit:
    """Return the edit that takes an edit back."""
    action: Action = REMOVE if edit.action == ADD else ADD
    return Edit(edit.iteration, action, edit.step, edit.pitch, edit.length, edit.velocity, edit.log_probability)
