"""The piano roll that `houseband jam` and `houseband top` draw in the terminal: a lane for each role."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from music.note import MELODY

if TYPE_CHECKING:
    from rich.text import Text

T = TypeVar("T")
#: seconds between two pictures
FRAME_S = 1 / 15
#: role -> its colour and its share of the height, from top to bottom
LANES = {
    MELODY: ("bright_yellow", 5),
    "chords": ("bright_cyan", 5),
    "pad": ("bright_blue", 3),
    "bass": ("bright_green", 3),
    "drums": ("bright_magenta", 3),
}
#: where a note begins and goes on, where a planned one will, a bar line, the now-line
ONSET, HELD, PLANNED_ONSET, PLANNED_HELD, BAR_LINE, NOW_LINE = "#=o-|!"
_BLOCKS = str.maketrans("#=o-|!", "█━▒┄│┃")


@dataclass(frozen=True, slots=True)
class RollNote:
    """A note as it is drawn, in steps."""

    start: int
    last: int  #: the last step in which it sounds
    pitch: int
    planned: bool = False  #: not yet sounding


def lane_heights(total: int) -> dict[str, int]:
    """Return the rows of each role's lane, of so many in all, at least one each."""
    whole = sum(share for _, share in LANES.values())
    return {role: max(1, total * share // whole) for role, (_, share) in LANES.items()}


def lane(
    notes: Iterable[RollNote], first: int, width: int, rows: int, steps_per_bar: int, now: int | None = None
) -> list[str]:
    """Return the rows of a lane, the highest pitch first; a column is a step, the leftmost one step `first`.

    now: the step at which the now-line stands, None for none.
    """
    end = first + width
    shown = [note for note in notes if note.last >= first and note.start < end]
    blank = [NOW_LINE if step == now else BAR_LINE if step % steps_per_bar == 0 else " " for step in range(first, end)]
    cells = [list(blank) for _ in range(rows)]
    low = min((note.pitch for note in shown), default=0)
    high = max((note.pitch for note in shown), default=0)
    span = max(high - low + 1, rows)
    low -= (span - (high - low + 1)) // 2  # a few pitches stand in the middle
    for note in sorted(shown, key=lambda n: (not n.planned, n.start, n.last, n.pitch)):  # what sounds covers plans
        row = cells[rows - 1 - (note.pitch - low) * rows // span]
        onset, held = (PLANNED_ONSET, PLANNED_HELD) if note.planned else (ONSET, HELD)
        for step in range(max(note.start, first), min(note.last, end - 1) + 1):
            row[step - first] = onset if step == note.start else held
    return ["".join(row) for row in cells]


def draw(text: Text, lanes: Mapping[str, list[str]], labels: Mapping[str, str], *, ascii_only: bool) -> None:
    """Append lanes (role -> rows) to a text, each with its label, all of one length, before its first row."""
    for role, rows in lanes.items():
        colour, label = LANES[role][0], labels[role]
        for number, row in enumerate(rows):
            text.append(label if number == 0 else " " * len(label), colour)
            for style, run in groupby(row, _style):
                signs = "".join(run)
                text.append(signs if ascii_only else signs.translate(_BLOCKS), style or colour)
            text.append("\n")


def _style(sign: str) -> str | None:
    """Return the style of a sign; None for the lane's colour."""
    if sign in (ONSET, HELD):
        return None
    return "white" if sign == NOW_LINE else "bright_black"


def frames(messages: SimpleQueue[T | None], take: Callable[[T], None]) -> Iterator[bool]:
    """Pass messages to `take` as they come, and yield whenever it is time for the next picture.

    Yields False, and after the last message, for which None stands in the queue, once True.
    """
    due = time.monotonic()
    while True:
        try:
            message = messages.get(timeout=max(0.0, due - time.monotonic()))
        except Empty:
            yield False
            due = time.monotonic() + FRAME_S
            continue
        if message is None:
            yield True
            return
        take(message)
