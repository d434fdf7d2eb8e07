"""Deviations from the grid, as human hands play; and how far ahead the band must be to play early.

Where a drummer's feel tells them (daemon/arranging/drummer_feel.py), timing is the drummer's, and the whole band plays
it; notes that nobody was asked about, such as those of a loop, stray at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_MS
from daemon.output.schedule import DRUMS, ScheduledNote

#: by how much a note is early or late at most, whatever the tempo: in ten drummers' hits nine differ by less
MAX_TIMING_NS = 60 * NS_PER_MS
#: by how much the most human hand is early or late at random, and louder or softer
MAX_STRAY_NS, MAX_VELOCITY_CHANGE = 12 * NS_PER_MS, 10


@dataclass(frozen=True, slots=True)
class HumanTouch:
    """A note's deviation from what is written."""

    late_ns: int = 0  #: below 0: it is early
    velocity: int = 0  #: added to the note's


#: that of a hand that plays what is written
NO_TOUCH = HumanTouch()


def humanise(settings: Settings, scheduled: ScheduledNote, step_ns: int) -> HumanTouch:
    """Return the deviation of a note: the same for the same seed and note, and most often small.

    step_ns: how long the step lasts that it begins in.
    """
    if not settings.humanise:
        return NO_TOUCH
    role, note = scheduled.role, scheduled.note
    random = Random(f"{settings.seed}/{role}/{note.start}/{note.pitch}")
    late = (random.random() + random.random() - 1) * MAX_STRAY_NS
    louder = random.uniform(-1, 1) * settings.humanise * MAX_VELOCITY_CHANGE
    if scheduled.offset is not None:
        late = max(-MAX_TIMING_NS, min(scheduled.offset * step_ns / 1000, MAX_TIMING_NS))
        if role == DRUMS:  # whose velocities are a drummer's
            louder = 0.0
    return HumanTouch(round(late * settings.humanise), round(louder))


def find_lookahead_ns(settings: Settings) -> int:
    """Return by how much (ns) the band must be ahead of the clock: for the slowest synthesiser, and for early notes."""
    slowest = max((0.0, *settings.offsets_ms.values()))
    return round(slowest * NS_PER_MS) + round(settings.humanise * MAX_TIMING_NS)
