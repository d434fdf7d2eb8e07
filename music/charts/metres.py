"""Metres of a song as a text: a time signature, and the bars from which on others hold, such as `4/4, 9: 3/4`.

A time signature may say what its bars are felt in: `7/8 2+2+3`.
"""

from __future__ import annotations

import re

from music.note import Metre

#: the last bar from which on another metre may hold
MAX_BAR = 9999
#: beats of a bar
MAX_NUMERATOR = 64
_SYNTAX = re.compile(r"(?:(\d{1,4})\s*:\s*)?(\d{1,3})\s*/\s*(\d{1,3})(?:\s+(\d{1,2}(?:\s*\+\s*\d{1,2})*))?")

#: (bar, counted from 1, from which on it holds; Metre), by bar, the first of bar 1
BarMetres = tuple[tuple[int, Metre], ...]


def read_metres(text: str) -> BarMetres:
    """Return the metres that a text gives. Raises ValueError."""
    found: list[tuple[int, Metre]] = []
    for part in text.split(","):
        match = _SYNTAX.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"no time signature: {part.strip()[:20]!r}")
        groups = tuple(int(group) for group in match[4].split("+")) if match[4] else ()
        bar, metre = int(match[1] or 1), Metre(int(match[2]), int(match[3]), groups)
        if metre.numerator > MAX_NUMERATOR:
            raise ValueError(f"a bar has at most {MAX_NUMERATOR} beats")
        if bar != 1 if not found else bar <= found[-1][0]:
            raise ValueError("the first metre is that of bar 1, and the others follow by bar")
        found.append((bar, metre))
    return tuple(found)


def format_metres(metres: BarMetres) -> str:
    """Return metres as `read_metres` takes them."""
    (_, first), *others = metres
    return ", ".join((_format_metre(first), *(f"{bar}: {_format_metre(metre)}" for bar, metre in others)))


def _format_metre(metre: Metre) -> str:
    return f"{metre} {'+'.join(map(str, metre.groups))}" if metre.groups else str(metre)


def place_metres(metres: BarMetres) -> tuple[tuple[int, Metre], ...]:
    """Return metres by tick, with bar 1 at tick 0."""
    placed: list[tuple[int, Metre]] = []
    tick, before = 0, metres[0]
    for bar, metre in metres:
        tick += (bar - before[0]) * before[1].ticks_per_bar
        placed.append((tick, metre))
        before = bar, metre
    return tuple(placed)
