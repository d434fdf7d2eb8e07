"""Ticks that were lost at the very beginning, while nobody knows yet how fast the clock is.

A DAW that starts to roll is busy, and so is its MIDI server: what is lost then would leave the band so many ticks
behind its master's bars until that stops. Whether a long gap was one of lost ticks shows only after it: when the ticks
before it lie on the line of those after it, so many ticks earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

#: a gap so many times as long as any before it may hide lost ticks; where ticks bunch up, twice as long is usual
LONG = 2.5
#: an interval (ns) that is none: they wait, and come all at once
RUSHED = 5_000_000
#: ticks after such a gap when it is looked at, the last time when the tempo is well known
LOOKS = (3, 5, 8, 12, 16, 24, 36, 48, 72, 96)
#: how many lost ticks more or fewer than the gap's length says may be the truth
NEAR = 2
#: how late (ns) ticks may lie on average, beyond what those after the gap do, and how much (times) that may be more
SLACK, MORE = 250_000.0, 1.3
#: how many times later they would lie if nothing had been lost
CLEAR = 2

Point = tuple[int, int]  # number, ns


class StartupLossDetector:
    """The first ticks, for as long as they are of interest. interval: what is expected of them, ns."""

    def __init__(self, interval: float) -> None:
        #: numbered as if every tick had come, but for those that are known to be lost
        self.ticks: list[Point] = []
        self._lost = 0
        self._gap: int | None = None  # the place in `ticks` of the first one after the last long gap
        self._longest = self._usual = interval  # gap so far, and before the last long one

    @property
    def over(self) -> bool:
        """Whether nothing more is to be learnt."""
        return len(self.ticks) - (self._gap or 0) > LOOKS[-1]

    def add(self, ns: int) -> bool:
        """The next tick came; whether it is clear now that some before it were lost, or others than was thought."""
        gap = ns - self.ticks[-1][1] if self.ticks else 0
        self.ticks.append((len(self.ticks) + self._lost, ns))
        if len(self.ticks) > 2 and gap > LONG * self._longest:
            self._gap, self._usual = len(self.ticks) - 1, self._longest
        self._longest = max(self._longest, gap)
        return self._gap is not None and len(self.ticks) - self._gap in LOOKS and self._look(self._gap)

    def _look(self, gap: int) -> bool:
        before, after = self.ticks[:gap], self.ticks[gap:]
        counted = after[0][0] - before[-1][0] - 1
        missing = lost(before, [(number - counted, ns) for number, ns in after])
        if missing is None or missing == counted:
            return False
        self._longest = self._usual
        self._lost += missing - counted
        self.ticks = before + [(number + missing - counted, ns) for number, ns in after]
        return True


def lost(before: Sequence[Point], after: Sequence[Point]) -> int | None:
    """How many ticks were lost between those before a gap and those after it, which are numbered as if none was; None
    where the two do not lie on one line, however many it were."""
    interval, late = line(after)
    if interval < RUSHED:
        return None
    about = round((after[0][1] - before[-1][1]) / interval) - 1
    tried = {0, *range(max(0, about - NEAR), about + NEAR + 1)}
    lateness = {count: line([*before, *((number + count, ns) for number, ns in after)])[1] for count in tried}
    best = min(lateness, key=lateness.__getitem__)
    sure = lateness[best] <= MORE * late + SLACK and CLEAR * lateness[best] + SLACK < lateness[0]
    return best if sure else None


def line(points: Sequence[Point]) -> tuple[float, float]:
    """The line that touches points from below in their middle: its slope, and how far above it they lie on average."""
    hull: list[Point] = []
    for point in points:
        while len(hull) > 1 and turns(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    if len(hull) < 2:
        return 0.0, 0.0
    middle = sum(number for number, _ in points) / len(points)
    (a, low), (b, high) = next(edge for edge in pairwise(hull) if edge[1][0] >= middle)
    slope = (high - low) / (b - a)
    return slope, sum(ns - low - (number - a) * slope for number, ns in points) / len(points)


def turns(a: Point, b: Point, c: Point) -> int:
    """Above 0 where the way from a over b to c turns to later."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
