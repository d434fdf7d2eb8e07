"""What the engine counts while it plays, in one place. Written by the conductor alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class Histogram:
    """How often which value occurred, in buckets of `resolution`; the last bucket takes all from `limit` on."""

    def __init__(self, resolution: int = 1, limit: int = 1 << 62) -> None:
        self.resolution = resolution
        self.count = 0
        self._last = limit // resolution
        self._buckets: Counter[int] = Counter()

    def add(self, value: int) -> None:
        """Count one value; below zero counts as zero."""
        self.count += 1
        self._buckets[min(max(0, value) // self.resolution, self._last)] += 1

    def quantile(self, share: float) -> int | None:
        """The value (its bucket's lower edge) that `share` (0..1) of all do not exceed; None while there is none."""
        found = self.buckets
        left = share * sum(found.values())
        for edge, count in found.items():
            left -= count
            if left <= 0:
                return edge
        return None

    @property
    def buckets(self) -> dict[int, int]:
        """Lower edge -> how often, sorted. Any thread may ask: the copy is made at once."""
        found = dict(self._buckets)
        return {bucket * self.resolution: found[bucket] for bucket in sorted(found)}


_TEN_SECONDS = 10_000_000_000


def _times() -> Histogram:
    return Histogram(50_000, _TEN_SECONDS)


@dataclass(slots=True)
class Counters:
    """asked: questions to the player; answered: plans that came; used: plans of which at least one step was played;
    late: plans that came after their first step had begun; failed: inferences that failed; steps: steps played;
    in_time: those whose own plan was there; uncovered: those for which there was no plan at all; onsets: notes begun;
    dropped: onsets that would have sounded more than half a step late; refused: commands with an unusable value;
    echoes: messages of its own that the band heard again; stalls: times at which the machine stood still; losses: times
    at which the ports were gone; jumps: leaps of the master; clock_lost: ticks of its clock that never came; xruns:
    as the audio server counts them.

    age_ticks, age_ns: knowledge age of every note begun, counted from the tick up to which its plan had heard the
    melody (all of it seen, none is counted); inference_ns: time a plan took; lateness_ns: how long after
    its due time a message was sent; clock_jitter_ns: how far ticks of a followed clock were off. Times to 50
    microseconds.
    """

    asked: int = 0
    answered: int = 0
    used: int = 0
    late: int = 0
    failed: int = 0
    steps: int = 0
    in_time: int = 0
    uncovered: int = 0
    onsets: int = 0
    dropped: int = 0
    refused: int = 0
    echoes: int = 0
    stalls: int = 0
    losses: int = 0
    jumps: int = 0
    clock_lost: int = 0
    xruns: int = 0
    age_ticks: Histogram = field(default_factory=lambda: Histogram(1, 10_000))
    age_ns: Histogram = field(default_factory=_times)
    inference_ns: Histogram = field(default_factory=_times)
    lateness_ns: Histogram = field(default_factory=_times)
    clock_jitter_ns: Histogram = field(default_factory=_times)

    @property
    def isr(self) -> float | None:
        """The in-time share, 0..1; None before the first step."""
        return self.in_time / self.steps if self.steps else None
