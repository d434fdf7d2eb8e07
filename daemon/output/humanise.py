"""Small deviations in time and loudness, as a human hand plays; and how far ahead the band must be to play early."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_MS
from music.note import Note

#: by how much the most human hand is early or late, and louder or softer
MAX_TIMING_NS, MAX_VELOCITY_CHANGE = 12 * NS_PER_MS, 10


@dataclass(frozen=True, slots=True)
class HumanTouch:
    """A note's deviation from what is written."""

    late_ns: int = 0  #: below 0: it is early
    velocity: int = 0  #: added to the note's


_NO_TOUCH = HumanTouch()


def humanise(settings: Settings, role: str, note: Note) -> HumanTouch:
    """Return the deviation of a note: the same for the same seed and note, and most often small."""
    if not settings.humanise:
        return _NO_TOUCH
    random = Random(f"{settings.seed}/{role}/{note.start}/{note.pitch}")
    late = (random.random() + random.random() - 1) * settings.humanise * MAX_TIMING_NS
    return HumanTouch(round(late), round(random.uniform(-1, 1) * settings.humanise * MAX_VELOCITY_CHANGE))


def find_lookahead_ns(settings: Settings) -> int:
    """Return by how much (ns) the band must be ahead of the clock: for the slowest synthesiser, and for early notes."""
    slowest = max((0.0, *settings.offsets_ms.values()))
    return round(slowest * NS_PER_MS) + round(settings.humanise * MAX_TIMING_NS)
