"""Detects clock ticks that were lost at the very beginning, while it is not known yet how fast the clock is.

A DAW that starts to roll is busy, and so is its MIDI server: what is lost then would leave the band that many ticks
behind the DAW's bars until that stops. Whether a long gap was one of lost ticks shows only after it: when the ticks
before it lie on the line of those after it, so many ticks earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

#: a gap this many times as long as any before it may hide lost ticks; where ticks bunch up, twice as long is usual
LONG_GAP = 2.5
#: a shorter interval is none: ticks have waited, and come all at once
MIN_INTERVAL_NS = 5_000_000
#: after how many ticks such a gap is looked at, the last time when the tempo is well known
LOOK_AFTER_TICKS = (3, 5, 8, 12, 16, 24, 36, 48, 72, 96)
#: how many more or fewer ticks may have been lost than the length of the gap says
NEAR_TICKS = 2
#: how much later than those after the gap all ticks may lie on average: by this, and this many times as late
SLACK_NS, SLACK_FACTOR = 250_000.0, 1.3
#: how many times as late they would have to lie if nothing had been lost
CLEAR_FACTOR = 2

#: a tick's number and its time in ns
Point = tuple[int, int]


class StartupLossDetector:
    """Keeps the first ticks, for as long as something may be learnt from them, and numbers them anew when it is."""

    def __init__(self, interval_ns: float) -> None:
        """Expect ticks `interval_ns` apart."""
        #: numbered as if every tick had come, but for those that are known to be lost
        self.ticks: list[Point] = []
        self._lost = 0
        self._gap: int | None = None  # see `gap`
        self._longest = self._usual = interval_ns  # the longest gap so far, and that before the last long one

    @property
    def gap(self) -> int:
        """The place in `ticks` of the first one after the last long gap."""
        return self._gap or 0

    @property
    def over(self) -> bool:
        """True when nothing more is to be learnt."""
        return len(self.ticks) - (self._gap or 0) > LOOK_AFTER_TICKS[-1]

    def add(self, ns: int) -> bool:
        """Take the next tick. Return True if it shows that other ticks were lost before it than was thought."""
        gap = ns - self.ticks[-1][1] if self.ticks else 0
        self.ticks.append((len(self.ticks) + self._lost, ns))
        if len(self.ticks) > 2 and gap > LONG_GAP * self._longest:
            self._gap, self._usual = len(self.ticks) - 1, self._longest
        self._longest = max(self._longest, gap)
        return self._gap is not None and len(self.ticks) - self._gap in LOOK_AFTER_TICKS and self._renumber(self._gap)

    def _renumber(self, gap: int) -> bool:
        """Correct the numbers of the ticks after a gap. Return False if as many were lost in it as was thought."""
        before, after = self.ticks[:gap], self.ticks[gap:]
        counted = after[0][0] - before[-1][0] - 1
        missing = count_lost(before, [(number - counted, ns) for number, ns in after])
        if missing is None or missing == counted:
            return False
        self._longest = self._usual
        self._lost += missing - counted
        self.ticks = before + [(number + missing - counted, ns) for number, ns in after]
        return True


def count_lost(before: Sequence[Point], after: Sequence[Point]) -> int | None:
    """Return how many ticks were lost between those before a gap and those after it, numbered as if none was.

    None if the two do not lie on one line, however many it were.
    """
    interval, late = fit_line(after)
    if interval < MIN_INTERVAL_NS:
        return None
    about = round((after[0][1] - before[-1][1]) / interval) - 1
    tried = {0, *range(max(0, about - NEAR_TICKS), about + NEAR_TICKS + 1)}
    lateness = {count: fit_line([*before, *((number + count, ns) for number, ns in after)])[1] for count in tried}
    best = min(lateness, key=lateness.__getitem__)
    sure = lateness[best] <= SLACK_FACTOR * late + SLACK_NS and CLEAR_FACTOR * lateness[best] + SLACK_NS < lateness[0]
    return best if sure else None


def fit_line(points: Sequence[Point]) -> tuple[float, float]:
    """Return the slope of the line that touches points from below in their middle, and how far above it they lie."""
    hull: list[Point] = []
    for point in points:
        while len(hull) > 1 and cross_product(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    if len(hull) < 2:
        return 0.0, 0.0
    middle = sum(number for number, _ in points) / len(points)
    (a, low), (b, high) = next(edge for edge in pairwise(hull) if edge[1][0] >= middle)
    slope = (high - low) / (b - a)
    return slope, sum(ns - low - (number - a) * slope for number, ns in points) / len(points)


def cross_product(a: Point, b: Point, c: Point) -> int:
    """Return a number above 0 if the way from a over b to c turns towards later times, below 0 if towards earlier."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
