"""The line through the ticks of a clock: where they really lie in time, and how far apart.

A tick may be late, but never early. So the line touches the earliest ticks from below; of all lines that do, it is the
one nearest to the other ticks, which is an edge of their lower convex hull. How far above it ticks may lie, its width,
is learnt from the past; where ticks bunch up it is the period of an audio server.

Ticks are points (number, nanoseconds since the first tick).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from daemon.clocks.startup_loss import Point, cross_product

#: ticks that the line is drawn through; from this many on the older half is left out
WINDOW_TICKS = 256
#: the same for a line this wide (ns): a timer's grid has a pattern of its own, which is not to be taken for the tempo's
WIDE_WINDOW_TICKS, WIDE_NS = 1024, 4_000_000.0
#: a line this wide, as a share of an interval, may be that of a timer, of which only many ticks say where they lie
WIDE_SHARE = 0.5
#: a line beyond WIDE_NS, wider than it may be by this factor, is none: the tempo has changed a little, and old ticks go
BENT_FACTOR = 1.3
#: ticks until what they show themselves counts more than what was guessed
ENOUGH_TICKS = 8
#: ticks until a line is sure of its width, and after how many more it measures it again
SETTLED_TICKS, MEASURE_EVERY_TICKS = 48, 24
#: intervals between ticks beyond 10 and 500 beats per minute, which no clock has
MIN_INTERVAL_NS, MAX_INTERVAL_NS = 5_000_000.0, 250_000_000.0
#: how far any clock may be off without surprise
MIN_TOLERANCE_NS = 500_000.0
#: the share of ticks that lie within the width, the share of a width that outlives a measurement, and a margin
INSIDE_SHARE, FADE_SHARE, MARGIN = 0.97, 0.8, 1.1
#: the times that an audio server hands over at once: 64 to 8192 frames at usual rates
PERIODS_NS = tuple(2**i * 1e9 / rate for i in range(6, 14) for rate in (44_100, 48_000, 96_000))


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """A time between ticks, `ns` give or take `doubt_ns`."""

    ns: float
    doubt_ns: float


class TickLine:
    """A line through ticks, drawn anew with every one."""

    def __init__(
        self, prior: IntervalEstimate, width_ns: float = 0.0, *, settled: bool = False, least_width_ns: float = 0.0
    ) -> None:
        """Begin a line without ticks.

        prior: the interval before there are any; settled: the width is sure; least_width_ns: what it stays above,
        though the ticks may not show it for long.
        """
        self._least_width_ns = least_width_ns
        self.settled = settled
        self.width_ns = width_ns
        self.prior = prior
        self.points: list[Point] = []
        #: time between two ticks
        self.interval_ns = prior.ns
        #: where tick 0 lies, ns since the first tick
        self.start_ns = 0.0
        #: how far above the line the latest tick lies
        self.spread_ns = 0.0
        self._hulls: tuple[list[Point], list[Point]] = [], []  # of the points, lower and upper
        self._number_sum = 0

    def doubt_prior(self, doubt_ns: float) -> None:
        """Trust what was known of the interval before to so much at the most."""
        self.prior = IntervalEstimate(self.prior.ns, max(self.prior.doubt_ns, doubt_ns))

    def at(self, number: float) -> float:
        """Return where a tick lies on the line, ns since the first tick."""
        return self.start_ns + number * self.interval_ns

    def extend(self, points: list[Point]) -> None:
        """Draw the line on through further ticks, in the order of their numbers."""
        for point in points:
            self.add(point)
            if len(self.points) % MEASURE_EVERY_TICKS == 0:
                self.fit()
                self._measure_width()
        if len(self.points) >= (WIDE_WINDOW_TICKS if self.settled and self.width_ns > WIDE_NS else WINDOW_TICKS):
            self._forget_all_but(len(self.points) // 2)
        self.fit()
        self._drop_refuted_prior()
        if len(self.points) > WINDOW_TICKS and self.spread_ns > BENT_FACTOR * self.tolerance_ns:
            self._forget_all_but(WINDOW_TICKS // 2)
            self.fit()

    def _drop_refuted_prior(self) -> None:
        """Draw a wide line by what its ticks show alone, if that fits them and what was known before does not."""
        count = len(self.points)
        if not self.settled or self.width_ns <= WIDE_NS or count < SETTLED_TICKS:
            return
        limit = BENT_FACTOR * self.tolerance_ns
        if self.spread_ns > limit and self._touch(edge := self._find_edge())[1] <= limit:
            self.prior = IntervalEstimate(edge, self.width_ns / count)
            self.fit()

    def _find_edge(self) -> float:
        """Return the slope of the edge of the lower hull that lies in the middle."""
        middle = self._number_sum / len(self.points)
        a, b = next((a, b) for a, b in pairwise(self._hulls[0]) if b[0] >= middle)
        return (b[1] - a[1]) / (b[0] - a[0])

    def _forget_all_but(self, count: int) -> None:
        """Leave out all but the newest ticks, without drawing the line."""
        newer = self.points[-count:]
        self.points, self._hulls, self._number_sum = [], ([], []), 0
        for point in newer:
            self.add(point)

    def add(self, point: Point) -> None:
        """Take a further tick, without drawing the line."""
        self.points.append(point)
        self._number_sum += point[0]
        for hull, side in zip(self._hulls, (1, -1), strict=True):
            while len(hull) >= 2 and side * cross_product(hull[-2], hull[-1], point) <= 0:
                hull.pop()
            hull.append(point)

    def fit(self) -> None:
        """Draw the line; the interval that was known or guessed before counts for as much as it is worth."""
        count = len(self.points)
        slope = self.prior.ns
        if count > 1:
            edge = self._find_edge()
            seen = self._touch(edge)[1] if count >= ENOUGH_TICKS else self._estimate_jitter()
            width = max(self.width_ns * min(1.0, max(0.0, 2 - count / SETTLED_TICKS)), seen)
            worth = (2 * count * self.prior.doubt_ns) ** 2
            if self.settled or abs(edge - self.prior.ns) > width / count:  # else the guess may well be right
                slope = (edge * worth + self.prior.ns * width**2) / (worth + width**2)
        self.interval_ns = min(max(slope, MIN_INTERVAL_NS), MAX_INTERVAL_NS)
        self.start_ns, self.spread_ns = self._touch(self.interval_ns)
        if self.settled and self.spread_ns < self.width_ns:  # it has not shown all: the middle of where it may lie
            early = (self.width_ns - self.spread_ns) / 2 * min(1.0, max(0.0, 1.5 - count / SETTLED_TICKS))
            self.start_ns -= early
            self.spread_ns += early

    def bounds(self, number: int) -> tuple[float, float]:
        """Return the least and the greatest distance (ns) from the line at which tick `number` is no surprise."""
        count = len(self.points)
        if count < ENOUGH_TICKS and not self.settled:
            return -MAX_INTERVAL_NS, MAX_INTERVAL_NS
        width = self.tolerance_ns
        early = min(0.0, self.spread_ns - width)
        if count >= SETTLED_TICKS:
            return early, width
        certainty = (2 * count / (self.width_ns + 1)) ** 2 + 1 / self.prior.doubt_ns**2  # of the interval
        doubt = (number - self._number_sum / count) / certainty**0.5
        return early - doubt, width + doubt

    @property
    def is_wide(self) -> bool:
        """True if the clock may be one of a slow timer."""
        return self._least_width_ns > 0 or (self.settled and self.width_ns > WIDE_SHARE * self.interval_ns)

    @property
    def tolerance_ns(self) -> float:
        """The distance between ticks, beyond their intervals, that is no surprise."""
        return (self.width_ns if self.settled else max(self.width_ns, self.spread_ns)) * MARGIN + MIN_TOLERANCE_NS

    def _measure_width(self) -> None:
        offs = sorted(ns - self.start_ns - number * self.interval_ns for number, ns in self.points)
        wide = offs[int(INSIDE_SHARE * (len(offs) - 1))]
        if not self.settled:
            self.width_ns = max(self.width_ns, wide)
        elif len(offs) >= 2 * SETTLED_TICKS:  # it has shown all of it; that it is more would have been noticed
            self.width_ns = max(self._least_width_ns, min(self.width_ns, max(wide, self.width_ns * FADE_SHARE)))
        self.settled = self.settled or len(self.points) >= SETTLED_TICKS

    def _touch(self, slope: float) -> tuple[float, float]:
        """Return where a line of this slope that touches all ticks from below begins, and its spread."""
        lower, upper = self._hulls
        start = min(ns - number * slope for number, ns in lower)
        return start, max(ns - number * slope for number, ns in upper) - start

    def _estimate_jitter(self) -> float:
        """Return how wide the line of the first few ticks seems to be, by how unevenly they come."""
        gaps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(self.points)]
        if len(gaps) == 1 or min(gaps) < MIN_INTERVAL_NS:
            gaps.append(self.prior.ns)
        return max(max(gaps) - min(gaps), matching_period_ns(max(gaps)))


def matching_period_ns(interval_ns: float) -> float:
    """Return the audio server's period that an interval equals, and may be instead of the clock's; 0 if it is none."""
    return next((period for period in PERIODS_NS if abs(interval_ns - period) < 0.002 * period), 0.0)
