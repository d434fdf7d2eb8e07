"""A line through jittery clock ticks: where they really lie, and how fast they go.

A tick may be late, but never early: so the line is the one that touches the earliest from below (of all that do so the
one that is nearest to the rest, which is an edge of their lower convex hull). How far above it ticks may lie, the
width, is known from the past; where they bunch up it is a JACK period. What lies outside is set aside until it is clear
what it is, which is when only one of these fits what was seen: late ones, after which all is as before; ticks that were
lost (all after them lie a whole number of ticks later); a master that stood still for a moment (they lie later by any
time); another tempo (they lie ever further off); or a clock that jitters more than was thought. Meanwhile the line goes
on as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from daemon.clocks.startup_loss import Point, StartupLossDetector, turns

#: ticks that the line is drawn through; from this many on the older half is left out
WINDOW = 256
#: ticks outside until they are judged, until they are judged though nothing fits, and in any case
FEW, ENOUGH, MOST = 4, 8, 40
#: ticks before those by which another tempo may have begun unnoticed
BEFORE = 16
#: ticks until a line is sure of its width, and after how many it looks at it again
SETTLED, AGAIN = 48, 24
#: an interval no clock has: beyond 10 and 500 beats per minute (ns)
SHORTEST, LONGEST = 5_000_000.0, 250_000_000.0
#: what a clock may always be off (ns)
FLOOR = 500_000.0
#: how well an interval is known, as a share of it: a guess, and one of a line of which this goes on
GUESSED, KNOWN = 0.1, 0.003
#: the share of ticks that lie within the width, how much of a width outlives AGAIN ticks, and what is added to be sure
_INSIDE, _FADE, _SLACK = 0.97, 0.8, 1.1

#: what a late one that is left out adds to the width, as a share of how far it lies outside
LEARN = 0.1
#: what a server hands over at a time, ns
PERIODS = tuple(2**i * 1e9 / rate for i in range(6, 14) for rate in (44_100, 48_000, 96_000))


@dataclass(frozen=True, slots=True)
class PendingTick:
    """A tick that was set aside. after: ticks since the last one that was not; off: ns from the line."""

    number: int
    ns: int
    after: int
    off: float


class TickFilter:
    """Ticks are numbered from 0. interval: what to expect (ns between ticks) until there are a few; before: the line of
    which this goes on elsewhere, None where the interval is only a guess."""

    def __init__(self, interval: float, before: TickFilter | None = None) -> None:
        #: number of the newest tick
        self.number = -1
        #: ticks that were never heard
        self.lost = 0
        #: how far (ns) the newest tick was from the line
        self.residual = 0
        self._known = before is not None
        self._first = self._newest = 0
        self._prior, self._doubt = interval, (KNOWN if before else GUESSED) * interval  # interval, give or take
        self._width: float = before._width if before else 0.0
        self._beginning = None if before else StartupLossDetector(interval)
        self._clear()

    def _clear(self) -> None:
        self._old: list[Point] = []
        self._hulls: tuple[list[Point], list[Point]] = [], []  # of the old, lower and upper
        self._sum = 0  # of their numbers
        self._slope, self._start = self._prior, 0.0  # the line: ns per tick, and where (ns from the first) tick 0 is
        self._range = 0.0  # how far above it the latest lies
        self._young: list[PendingTick] = []
        self._caught_up = False  # late ones came with a later tick

    @property
    def interval(self) -> float:
        """The time between ticks, ns."""
        return self._slope

    def at(self, number: float) -> int:
        """When (ns) a tick lies on the line."""
        return self._first + round(self._start + number * self._slope)

    def fits(self, ns: int) -> bool:
        """Whether a tick now would be the next of this line, to a quarter of a tick."""
        off = ns - self.at(self.number + 1)
        return bool(self._old) and (abs(off) <= self._slope / 4 or self._is_inside(off))

    def tick(self, ns: int) -> None:
        """The next tick came."""
        self.number += 1
        if self.number == 0:
            self._first = ns
        if self._beginning is not None and self._begins(self._beginning, ns):
            return
        off = float(ns - self.at(self.number)) if self._old else 0.0
        # Those that waited and come all at once are late, up to the last of them; a faster clock's are early.
        rushed, self._newest = off >= -FLOOR and ns - self._newest < self._slope / 2, ns
        self.residual = round(off)
        if not self._old or (self._is_inside(off) and not self._young):
            self._keep([(self.number, ns)])
            return
        if rushed and self._known and self._young and self._young[-1].off > self._bounds()[1]:
            self._young.pop()  # only the last of those that come all at once says where they lie
            self._caught_up = True
        self._young.append(PendingTick(self.number, ns, self.number - self._old[-1][0], off))
        last = self._young[-2:]
        if (len(last) == 2 or self._caught_up) and all(self._is_inside(young.off) for young in last):
            self._forgive()
        elif self._blends():
            self._keep([(young.number, young.ns) for young in self._young])
        elif len(self._young) >= FEW and not rushed:
            self._judge()

    def _begins(self, beginning: StartupLossDetector, ns: int) -> bool:
        """Whether all has been drawn anew, with this tick, because it is clear now what was lost at the beginning."""
        found = beginning.tick(ns)
        self._beginning = None if beginning.over else beginning
        if not found:
            return False
        number = beginning.ticks[-1][0]
        self.lost += number - self.number
        self.number, self._newest, self.residual = number, ns, 0
        self._known, self._width = False, 0.0
        self._clear()
        self._keep(beginning.ticks)
        return True

    def _blends(self) -> bool:
        """Whether there is a line for old and young together, no wider than the width: this one was not drawn well."""
        if all(tick.off >= 0 for tick in self._young):
            return False
        trial = TickFilter(self._prior)
        trial._doubt, trial._known, trial._width = self._doubt, self._known, self._width
        for point in (*self._old, *((tick.number, tick.ns - self._first) for tick in self._young)):
            trial._add(point)
        trial._draw()
        return trial._range <= self._bounds()[1]

    def _forgive(self) -> None:
        """All is as before: what was late is left out, but may be told from the width."""
        late = self._bounds()[1]
        self._width += sum(min(tick.off - late, late) * LEARN for tick in self._young if tick.off > late)
        self._keep([(tick.number, tick.ns) for tick in self._young if tick.off <= late])

    def _bounds(self) -> tuple[float, float]:
        """Between which (ns from the line) the next tick is no surprise."""
        count = len(self._old)
        if count < ENOUGH and not self._known:
            return -LONGEST, LONGEST
        width = self._inside()
        early = min(0.0, self._range - width)
        if count >= SETTLED:
            return early, width
        sure = (2 * count / (self._width + 1)) ** 2 + 1 / self._doubt**2  # of how fast it is
        unsure = ((self._young[0].number if self._young else self.number) - self._sum / count) / sure**0.5
        return early - unsure, width + unsure

    def _inside(self) -> float:
        """How far apart ticks may lie without being a surprise."""
        return (self._width if self._known else max(self._width, self._range)) * _SLACK + FLOOR

    def _is_inside(self, off: float) -> bool:
        early, late = self._bounds()
        return early <= off <= late

    def _judge(self) -> None:
        """Whether ticks that lie outside run away from the line or stay where they are."""
        young, (early, late) = self._young, self._bounds()
        lowest, highest = min(tick.off for tick in young), max(tick.off for tick in young)
        stays = highest - lowest <= self._inside()
        runs = self._run(early, late)
        drift = _slope([(tick.after, tick.off) for tick in young])
        steep = 2 * abs(drift) * (len(young) - 1) > highest - lowest
        if runs is not None and ((not stays and steep) or len(young) >= MOST):
            self._turn(*runs)
        elif stays and runs is None:
            self._stay(lowest, highest, early, late)
        elif len(young) >= ENOUGH and runs is None:
            if steep and not stays:
                self._turn(drift, abs(drift) / 4)
            else:
                self._widen()

    def _run(self, early: float, late: float) -> tuple[float, float] | None:
        """How fast (ns per tick, give or take) they run away, on a line that leaves this one some ticks before the
        first of them; None where no such line has all of them where they may be."""
        last = self._old[-1][0]
        places: list[tuple[int, float]] = [(n - last, self._first + ns - self.at(n)) for n, ns in self._old[-BEFORE:]]
        places += [(tick.after, tick.off) for tick in self._young]
        best: tuple[float, float] | None = None
        for before in range(0, BEFORE + 1, 2):
            since = [(after + before, off) for after, off in places if after + before > 0]
            slowest = max((off - late) / after for after, off in since)
            fastest = min((off - early) / after for after, off in since)
            if slowest <= fastest and (best is None or fastest - slowest > 2 * best[1]):
                best = (slowest + fastest) / 2, (fastest - slowest) / 2
        return best

    def _stay(self, lowest: float, highest: float, early: float, late: float) -> None:
        """They all lie off by the same."""
        missing = round(((lowest + highest) - (early + late)) / 2 / self._slope)
        whole, unsure = missing * self._slope, 0.002 * missing * self._slope - FLOOR / 2
        if _once_a_period(self._slope) and -2 < missing < 2:
            self._widen()
        elif missing >= 1 and lowest >= whole + early - unsure and highest <= whole + late + unsure:
            self.lost += missing
            self.number += missing
            self._keep([(tick.number + missing, tick.ns) for tick in self._young])
        elif lowest > 0 or highest < -2 * self._slope:
            self._prior, self._doubt, self._known = self._slope, KNOWN * self._slope, True
            self._begin_again()
        else:
            self._widen()

    def _turn(self, drift: float, doubt: float) -> None:
        """Another tempo: every tick lies further off by `drift`, give or take `doubt`."""
        doubt = max(doubt, self._width / (2 * len(self._young)), 1.0)
        self._prior, self._doubt, self._known = self._slope + drift, doubt, True
        self._begin_again()

    def _widen(self) -> None:
        """They jitter more than was thought."""
        offs = [0.0, self._range, *(tick.off for tick in self._young)]
        self._width = max(self._width, max(offs) - min(offs))
        self._keep([(tick.number, tick.ns) for tick in self._young])

    def _begin_again(self) -> None:
        """Draw the line through the newest ticks only."""
        young = self._young
        self._clear()
        self._keep([(tick.number, tick.ns) for tick in young])

    def _keep(self, points: Iterable[Point]) -> None:
        self._young, self._caught_up = [], False
        for number, ns in points:
            self._add((number, ns - self._first))
            if len(self._old) % AGAIN == 0:
                self._draw()
                self._look()
        if len(self._old) >= WINDOW:
            old = self._old[WINDOW // 2 :]
            self._old, self._hulls, self._sum = [], ([], []), 0
            for point in old:
                self._add(point)
        self._draw()

    def _add(self, point: Point) -> None:
        self._old.append(point)
        self._sum += point[0]
        for hull, side in zip(self._hulls, (1, -1), strict=True):
            while len(hull) >= 2 and side * turns(hull[-2], hull[-1], point) <= 0:
                hull.pop()
            hull.append(point)

    def _look(self) -> None:
        """How wide it is."""
        offs = sorted(ns - self._start - number * self._slope for number, ns in self._old)
        wide = offs[int(_INSIDE * (len(offs) - 1))]
        if not self._known:
            self._width = max(self._width, wide)
        elif len(offs) >= 2 * SETTLED:  # it has shown all of it; that it is more would have been noticed
            self._width = min(self._width, max(wide, self._width * _FADE))
        self._known = self._known or len(self._old) >= SETTLED

    def _draw(self) -> None:
        """The line, in which the interval that was known or guessed before counts as much as it is worth."""
        count, middle = len(self._old), self._sum / len(self._old)
        slope = self._prior
        if count > 1:
            a, b = next((a, b) for a, b in pairwise(self._hulls[0]) if b[0] >= middle)
            edge = (b[1] - a[1]) / (b[0] - a[0])
            seen = self._above(edge)[1] if count >= ENOUGH else self._bunching()
            width = max(self._width * min(1.0, max(0.0, 2 - count / SETTLED)), seen)
            worth = (2 * count * self._doubt) ** 2
            if self._known or abs(edge - self._prior) > width / count:  # else the guess may well be right
                slope = (edge * worth + self._prior * width**2) / (worth + width**2)
        self._slope = min(max(slope, SHORTEST), LONGEST)
        self._start, self._range = self._above(self._slope)
        if self._known and self._range < self._width:  # it has not shown all: the middle of where it may lie
            early = (self._width - self._range) / 2 * min(1.0, max(0.0, 1.5 - count / SETTLED))
            self._start -= early
            self._range += early

    def _above(self, slope: float) -> tuple[float, float]:
        """Where the line that touches all from below with that slope begins, and how far above it the latest lies."""
        lower, upper = self._hulls
        start = min(ns - number * slope for number, ns in lower)
        return start, max(ns - number * slope for number, ns in upper) - start

    def _bunching(self) -> float:
        """How wide the first few seem to be, by how unevenly they come."""
        gaps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(self._old)]
        if len(gaps) == 1 or min(gaps) < SHORTEST:
            gaps.append(self._prior)
        return max(max(gaps) - min(gaps), _once_a_period(max(gaps)))


def _once_a_period(interval: float) -> float:
    """The period that an interval is: it may be the server's, and not the clock's; 0 where it is none."""
    return next((period for period in PERIODS if abs(interval - period) < 0.002 * period), 0.0)


def _slope(points: list[tuple[int, float]]) -> float:
    """Least squares."""
    x, y = (sum(place) / len(points) for place in zip(*points, strict=True))
    return float(sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points))
