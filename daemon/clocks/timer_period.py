"""Finds the period of a sender's timer in the moments at which its ticks come, where several come at once.

A timer that is slower than the clock, or a transport that carries what has gathered every so often (Bluetooth's
connection interval, a screen's frame), hands over ticks in packets. Packets lie a whole number of periods apart, and
there are fewer of them than ticks; the ticks' mean has the tempo, and one that is missing from a packet is in the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from daemon.clocks.startup_loss import Point, cross_product

#: ticks that come no further apart come at once, and the shortest period that is looked for
SAME_PACKET_NS, MIN_PERIOD_NS = 2_000_000, 5_000_000
#: gaps between packets that show a period, and how far each may be from a whole number of periods, as a share of one
ENOUGH_GAPS, GAP_SHARE = 8, 0.12
#: ticks that a burst at an end of the series may add to what packets hold on average
BURST_TICKS = 6
#: ticks in a block, when blocks are compared: each must show this share of the timer's pattern, which is a period wide
BLOCK_TICKS, PATTERN_SHARE = (12, 24, 48), 0.7
#: how near to a whole number of intervals a block must lie from one before, and to the next, as a share of an interval
WHOLE_SHARE, LEVEL_SHARE = 0.25, 0.15


def find_period(times: Sequence[int]) -> float:
    """Return the period (ns) at which packets of ticks come; 0 if the ticks come one by one, or at any time."""
    starts = [times[0]]
    for ns in times:
        if ns - starts[-1] > SAME_PACKET_NS:
            starts.append(ns)
    gaps = [b - a for a, b in pairwise(starts)]
    if len(gaps) < ENOUGH_GAPS or min(gaps) < MIN_PERIOD_NS:
        return 0.0
    counts = [round(gap / min(gaps)) for gap in gaps]
    period = sum(gaps) / sum(counts)
    if any(abs(gap - count * period) > GAP_SHARE * period for gap, count in zip(gaps, counts, strict=True)):
        return 0.0
    ticks_per_period = (len(times) - 1) * period / (times[-1] - times[0])
    return period if ticks_per_period > 1 + BURST_TICKS / len(times) else 0.0


def find_step(offs: Sequence[float], period: float, interval: float) -> tuple[int, int, int]:
    """Return how many ticks were lost, and between which places of `offs`; zeros if none were.

    offs: how far (ns) successive ticks of a timer of this period lie from a line drawn before. Where ticks were lost,
    all after them lie that many intervals later; where the tempo has changed, they lie ever later.
    """
    for size in BLOCK_TICKS:
        if len(offs) < 4 * size:
            break
        newest, second, _, before = (offs[len(offs) - (i + 1) * size : len(offs) - i * size] for i in range(4))
        if any(max(block) - min(block) < PATTERN_SHARE * period for block in (newest, second, before)):
            continue
        late, then, early = (sum(block) / size / interval for block in (newest, second, before))
        missing = round(late - early)
        if abs(min(before)) > WHOLE_SHARE * interval or round(min(newest) / interval) != missing:
            continue
        if missing >= 1 and abs(late - early - missing) < WHOLE_SHARE and abs(late - then) < LEVEL_SHARE:
            return missing, len(offs) - 3 * size, len(offs) - 2 * size
    return 0, 0, 0


def fit_narrowest(points: Sequence[Point]) -> tuple[float, float]:
    """Return the slope of the line around which points lie most narrowly, and how far apart (ns) they lie beside it."""
    lower, upper = _hull(points, 1), _hull(points, -1)
    best = (0.0, float("inf"))
    for a, b in (*pairwise(lower), *pairwise(upper)):
        slope = (b[1] - a[1]) / (b[0] - a[0])
        width = max(ns - number * slope for number, ns in upper) - min(ns - number * slope for number, ns in lower)
        best = min(best, (slope, width), key=lambda line: line[1])
    return best


def _hull(points: Sequence[Point], side: int) -> list[Point]:
    """Return the lower (side 1) or upper (-1) hull of points in the order of their numbers."""
    hull: list[Point] = []
    for point in points:
        while len(hull) >= 2 and side * cross_product(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return hull
