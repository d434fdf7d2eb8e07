"""What an edit is, and what a player allows of edits. Numbers only: the live side loads no arrays for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

#: no bar that can be locked has a higher number
MAX_BAR = 100_000
ADD: Final = "add"
REMOVE: Final = "remove"
Action = Literal["add", "remove"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One note added or removed. iteration: the evaluation it came from, from 1; step: its onset in steps from the
    sheet's beginning; length: steps; log_probability: nats, of its cell among all that could be edited."""

    iteration: int
    action: Action
    step: int
    pitch: int
    length: int
    velocity: int = 80
    log_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a player allows. remove_max: percent of the input's notes that may be gone; add_max: how many added notes
    there may be (a removed one makes room again); locked_pitches: pitches that stay as they are; locked_bars: bars,
    from 1, in which nothing begins or ends to be; low, high: the register that may be edited, both included."""

    remove_max: float = 100.0
    add_max: int = 1000
    locked_pitches: frozenset[int] = frozenset()
    locked_bars: frozenset[int] = frozenset()
    low: int = 0
    high: int = 127


def parse_ranges(text: str) -> frozenset[int]:
    """The numbers in a list of numbers and ranges such as `1-4,7`; none in an empty one. Raises ValueError."""
    found: set[int] = set()
    for part in filter(None, (p.strip() for p in text.split(","))):
        first, dash, last = part.partition("-")
        numbers = range(int(first), (int(last) if dash else int(first)) + 1)
        if not numbers or numbers[-1] > MAX_BAR:
            raise ValueError(f"{part}: not a number or a range of them")
        found.update(numbers)
    return frozenset(found)


def invert(edit: Edit) -> Edit:
    """The edit that takes it back."""
    action: Action = REMOVE if edit.action == ADD else ADD
    return Edit(edit.iteration, action, edit.step, edit.pitch, edit.length, edit.velocity, edit.log_probability)
