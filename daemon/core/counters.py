"""Counters of the engine, in one place; only the conductor writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


def quantile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that `share` (0..1) of all do not exceed; nan of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def quantile_of_counts(counts: Mapping[int, int], share: float) -> int | None:
    """Return the smallest value that `share` (0..1) of all counted ones do not exceed; None if none was counted.

    counts: value -> how often it occurred.
    """
    left = share * sum(counts.values())
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return None


class Histogram:
    """Counts of values, in buckets of `resolution`; the last bucket takes all from `limit` on."""

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
        """Return the value (its bucket's lower edge) that `share` (0..1) of all do not exceed; None of none."""
        return quantile_of_counts(self.buckets, share)

    @property
    def buckets(self) -> dict[int, int]:
        """Counts by the lower edge of their bucket, sorted. Any thread may read them: the copy is made at once."""
        found = dict(self._buckets)
        return {bucket * self.resolution: found[bucket] for bucket in sorted(found)}


_TEN_SECONDS = 10_000_000_000


def _make_time_histogram() -> Histogram:
    return Histogram(50_000, _TEN_SECONDS)


@dataclass(slots=True)
class Counters:
    """Counters of the engine while it plays. Times are kept to 50 microseconds."""

    #: requests to the player
    asked: int = 0
    #: plans that came
    answered: int = 0
    #: plans of which at least one step was played
    used: int = 0
    #: plans that came after their first step had begun
    late: int = 0
    #: inferences that failed
    failed: int = 0
    #: times at which shipped weights took the place of a graph that kept failing
    stand_ins: int = 0
    #: steps played
    steps: int = 0
    #: steps whose own plan was there
    in_time: int = 0
    #: steps for which there was no plan at all
    uncovered: int = 0
    #: notes begun
    onsets: int = 0
    #: onsets left out because they would have sounded more than half a step late
    dropped: int = 0
    #: control changes with an unusable value
    refused: int = 0
    #: messages of its own that the band heard again
    echoes: int = 0
    #: times at which the machine stood still
    stalls: int = 0
    #: times at which the ports were gone
    losses: int = 0
    #: jumps of the clock that is followed
    jumps: int = 0
    #: ticks of that clock that never came
    clock_lost: int = 0
    #: as the audio server counts them
    xruns: int = 0
    #: knowledge age of every note begun, from the tick up to which its plan had heard the melody; where all of the
    #: melody was seen, none is counted
    age_ticks: Histogram = field(default_factory=lambda: Histogram(1, 10_000))
    age_ns: Histogram = field(default_factory=_make_time_histogram)
    #: time that a plan took
    inference_ns: Histogram = field(default_factory=_make_time_histogram)
    #: time between a message's due time and its sending
    lateness_ns: Histogram = field(default_factory=_make_time_histogram)
    #: distance of a followed clock's ticks from where they should have been
    clock_jitter_ns: Histogram = field(default_factory=_make_time_histogram)

    @property
    def isr(self) -> float | None:
        """The in-time share, 0..1; None before the first step."""
        return self.in_time / self.steps if self.steps else None

    def to_report(self) -> dict[str, object]:
        """Return everything as `--report` writes it: of histograms the count and four quantiles, of times in ms."""
        found: dict[str, object] = {"isr": self.isr}
        for name, value in self._items():
            if isinstance(value, Histogram):
                found[name.replace("_ns", "_ms")] = {
                    "count": value.count,
                    **_find_quantiles(name, value, _REPORTED_SHARES),
                }
            else:
                found[name] = value
        return found

    def to_summary(self) -> dict[str, object]:
        """Return what the control socket tells of it: the counts, and the median and 99th percentile of times in ms."""
        found: dict[str, object] = {"isr": self.isr}
        for name, value in self._items():
            if not isinstance(value, Histogram):
                found[name] = value
            elif name.endswith("_ns"):
                stem = name.replace("_ns", "_ms")
                found |= {f"{stem}_{key}": at for key, at in _find_quantiles(name, value, _SUMMARY_SHARES).items()}
        return found

    def _items(self) -> Iterator[tuple[str, int | Histogram]]:
        return ((name, getattr(self, name)) for name in Counters.__slots__)


_REPORTED_SHARES = (0.5, 0.99, 0.999, 1.0)
_SUMMARY_SHARES = (0.5, 0.99)


def _find_quantiles(name: str, histogram: Histogram, shares: Iterable[float]) -> dict[str, float | None]:
    """Return `p50` and its like by share; what is counted in nanoseconds, by its name, in milliseconds."""
    unit = 1e6 if name.endswith("_ns") else 1
    found = {f"p{100 * share:g}": histogram.quantile(share) for share in shares}
    return {key: None if value is None else value / unit for key, value in found.items()}
