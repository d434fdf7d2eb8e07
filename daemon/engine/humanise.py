"""How a human hand plays a note: a little before or behind the beat, a little louder or softer."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_MS
from music.note import Note

#: how far (ns, either way) the most human hand strays from the beat, and by how much velocity
MAX_TIMING_NS, MAX_VELOCITY_CHANGE = 12 * NS_PER_MS, 10


@dataclass(frozen=True, slots=True)
class HumanTouch:
    """How one note is played other than written. late: ns behind the beat, below 0 before it; velocity: added."""

    late: int = 0
    velocity: int = 0


_STEADY = HumanTouch()


def humanised(settings: Settings, role: str, note: Note) -> HumanTouch:
    """How a human hand plays this note: the same for the same seed and note, most often near the beat."""
    if not settings.humanise:
        return _STEADY
    random = Random(f"{settings.seed}/{role}/{note.start}/{note.pitch}")
    late = (random.random() + random.random() - 1) * settings.humanise * MAX_TIMING_NS
    return HumanTouch(round(late), round(random.uniform(-1, 1) * settings.humanise * MAX_VELOCITY_CHANGE))


def lookahead_ns(settings: Settings) -> int:
    """By how much (ns) the band must be ahead of its own notes: for the slowest output, and for what comes early."""
    slowest = max((0.0, *settings.offsets_ms.values()))
    return round(slowest * NS_PER_MS) + round(settings.humanise * MAX_TIMING_NS)
