"""A filter for the jittery ticks of a clock: says where they really lie, and finds out what is wrong when some do not.

Ticks that lie off the line of those before are set aside until it is clear what they are, which is when only one of
these fits what was seen:

- late ones, after which all is as before;
- ticks were lost: all after them lie a whole number of ticks later;
- the clock stood still for a moment: they lie later by any time;
- the tempo has changed: they lie ever further off;
- the clock jitters more than was thought.

Meanwhile the line goes on as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.clocks.heard_ticks import HeardTicks
from daemon.clocks.startup_loss import Point, StartupLossDetector
from daemon.clocks.tick_line import (
    ENOUGH_TICKS,
    MIN_TOLERANCE_NS,
    IntervalEstimate,
    TickLine,
    matching_period_ns,
)
from daemon.clocks.timer_grid import Slip, SlipDetector
from daemon.clocks.timer_period import find_period, find_step, fit_narrowest

#: outliers until they are classified first, and until they are in any case; between, a clear case decides
FEW_OUTLIERS, MOST_OUTLIERS = 4, 40
#: the same where a line is wide: blocks of ticks are compared first
MOST_WIDE_OUTLIERS = 100
#: ticks before the outliers by which another tempo may have begun unnoticed
UNNOTICED_TICKS = 16
#: how well an interval is known, as a share of it: a guess, and that of a line of which this one goes on
GUESSED_SHARE, KNOWN_SHARE = 0.1, 0.003
#: what a late tick that is left out adds to the width, as a share of how far it lies outside
LEARNING_SHARE = 0.1
#: how far apart outliers that stay at one distance from the line may lie, as a share of it
NEAR_SHARE = 0.125
#: the last ticks in which the period of a timer is looked for, and after how many more it is looked for again
PERIOD_TICKS, LOOK_EVERY_TICKS = 48, 8
#: what a line through all ticks may be wider than the timer's period is, as a factor
PERIOD_MARGIN = 1.05


@dataclass(frozen=True, slots=True)
class PendingTick:
    """A tick that was set aside."""

    number: int
    ns: int
    after: int  #: ticks since the last one that was not set aside
    off_ns: float  #: from the line


class TickFilter:
    """Takes ticks as they come and numbers them from 0; a number is left out for every tick that was lost."""

    def __init__(self, interval_ns: float, before: TickFilter | None = None) -> None:
        """Expect ticks `interval_ns` apart: a guess, or what `before`, which this goes on from elsewhere, has found."""
        #: number of the newest tick
        self.number = -1
        #: ticks that were never heard
        self.lost = 0
        #: how far (ns) the newest tick was from the line
        self.residual_ns = 0
        self._first_ns = self._newest_ns = 0
        doubt = (KNOWN_SHARE if before else GUESSED_SHARE) * interval_ns
        width = before._line.width_ns if before else 0.0
        self._guessed_from = 0  # ticks from which the line's interval was guessed, if that was for another tempo
        self._least_width_ns: float = before._least_width_ns if before else 0.0  # that of a timer's grid
        self._line: TickLine = self._make_line(IntervalEstimate(interval_ns, doubt), width, settled=before is not None)
        self._startup = None if before else StartupLossDetector(interval_ns)
        self._pending: list[PendingTick] = []
        self._caught_up = False  # late ticks came together with a later one
        self._slips = SlipDetector()
        self._heard = HeardTicks()

    @property
    def interval_ns(self) -> float:
        """The time between ticks."""
        return self._line.interval_ns

    def at(self, number: float) -> int:
        """Return when (ns) a tick lies on the line."""
        return self._first_ns + round(self._line.at(number))

    def fits(self, ns: int) -> bool:
        """Return True if a tick now would be the next one, to a quarter of a tick."""
        off = ns - self.at(self.number + 1)
        return bool(self._line.points) and (abs(off) <= self.interval_ns / 4 or self._is_inside(off))

    def add(self, ns: int) -> None:
        """Take the next tick."""
        self.number += 1
        if self.number == 0:
            self._first_ns = ns
        self._heard.add(ns)
        if self._startup is not None and self._starts_over(self._startup, ns):
            return
        if self._heard.newest >= PERIOD_TICKS // 2 and self._heard.newest % LOOK_EVERY_TICKS == 0 and self._look_back():
            return
        off = float(ns - self.at(self.number)) if self._line.points else 0.0
        # Those that waited and come all at once are late, up to the last of them; a faster clock's are early.
        rushed = off >= -MIN_TOLERANCE_NS and ns - self._newest_ns < self.interval_ns / 2
        self._newest_ns, self.residual_ns = ns, round(off)
        if not self._line.points or (self._is_inside(off) and not self._pending):
            self._accept([(self.number, ns)])
        else:
            self._set_aside(ns, off, rushed)

    def _starts_over(self, startup: StartupLossDetector, ns: int) -> bool:
        """Draw the line anew, with this tick, if it has become clear which ticks were lost at the beginning."""
        found = startup.add(ns)
        self._startup = None if startup.over else startup
        if not found:
            return False
        number = startup.ticks[-1][0]
        self._heard.count_loss(startup.gap, number - self.number)
        self.lost += number - self.number
        self.number, self._newest_ns, self.residual_ns = number, ns, 0
        self._line = self._make_line(self._line.prior)
        self._accept(startup.ticks)
        return True

    def _look_back(self) -> bool:
        """Draw the line anew through all ticks, with this one, if they show a timer, or on one that some were lost."""
        if not self._least_width_ns and (period := find_period(self._heard.times(PERIOD_TICKS))):
            return self._draw_through_heard(period)
        heard, line = self._heard.unbroken, self._line
        if not line.is_wide or len(line.points) < 2 * PERIOD_TICKS:
            return False
        offs = [float(ns - self.at(number + self.lost)) for number, ns in heard]
        missing, mixed, after = find_step(offs, line.width_ns, self.interval_ns)
        if missing and fit_narrowest(heard)[1] <= PERIOD_MARGIN * line.width_ns + MIN_TOLERANCE_NS:
            return False  # it is a slip
        if missing:
            before = self._number(heard[:mixed])
            self._count_lost(missing, heard[after][0])
            prior = IntervalEstimate(self.interval_ns, line.width_ns / len(line.points))
            self._draw_anew(prior, line.width_ns, before + self._number(heard[after:]))
        return missing > 0

    def _count_lost(self, missing: int, heard: int) -> None:
        """Count ticks as lost before the one that came after `heard` ticks."""
        self._heard.count_loss(heard, missing)
        self.lost += missing
        self.number += missing

    def _draw_through_heard(self, period: float) -> bool:
        """Draw the line anew through what was heard, as of a timer of this period, if no tick need be lost for that."""
        heard = self._heard.in_tempo
        slope, width = fit_narrowest(heard)
        if width > PERIOD_MARGIN * period + MIN_TOLERANCE_NS:
            return False
        self._take_back(self._heard.forget_losses(heard[0][0]))
        self._startup = None
        self._least_width_ns = max(period, width)
        prior = IntervalEstimate(slope, period / len(heard))
        self._draw_anew(prior, self._least_width_ns, self._number(heard))
        return True

    def _take_back(self, counted: int) -> None:
        """Count so many ticks as lost no longer."""
        self.lost -= counted
        self.number -= counted

    def _number(self, heard: list[Point]) -> list[Point]:
        """Return ticks that were heard since the last loss, with their numbers here."""
        return [(number + self.lost, ns) for number, ns in heard]

    def _draw_anew(self, prior: IntervalEstimate, width_ns: float, points: list[Point]) -> None:
        """Draw the line anew through ticks up to the newest one."""
        self._line = self._make_line(prior, width_ns, settled=True)
        self._accept(points)
        self._newest_ns = points[-1][1]
        self.residual_ns = round(self._newest_ns - self.at(self.number))

    def _set_aside(self, ns: int, off: float, rushed: bool) -> None:
        """Keep a tick apart, and see whether it is clear now what those kept apart are."""
        if rushed and self._line.settled and self._pending and self._pending[-1].off_ns > self._bounds()[1]:
            self._pending.pop()  # only the last of those that come all at once says where they lie
            self._caught_up = True
        self._pending.append(PendingTick(self.number, ns, self.number - self._line.points[-1][0], off))
        last = self._pending[-2:]
        if (len(last) == 2 or self._caught_up) and all(self._is_inside(tick.off_ns) for tick in last):
            self._accept_as_jitter()
        elif self._fit_all():
            self._accept([(tick.number, tick.ns) for tick in self._pending])
        elif len(self._pending) >= FEW_OUTLIERS and not rushed:
            self._classify_outliers()

    def _bounds(self) -> tuple[float, float]:
        return self._line.bounds(self._pending[0].number if self._pending else self.number)

    def _is_inside(self, off: float) -> bool:
        early, late = self._bounds()
        return early <= off <= late

    def _fit_all(self) -> bool:
        """Return True if one line fits all ticks, no wider than it may be: the old one was not drawn well."""
        if all(tick.off_ns >= 0 for tick in self._pending):
            return False
        trial = TickLine(self._line.prior, self._line.width_ns, settled=self._line.settled)
        for point in (*self._line.points, *((tick.number, tick.ns - self._first_ns) for tick in self._pending)):
            trial.add(point)
        trial.fit()
        return trial.spread_ns <= self._bounds()[1]

    def _classify_outliers(self) -> None:
        """Find out whether the outliers run away from the line or stay at one distance from it."""
        self._forget_before_last_step()
        pending, (early, late) = self._pending, self._bounds()
        lowest, highest = min(tick.off_ns for tick in pending), max(tick.off_ns for tick in pending)
        stay = highest - lowest <= max(self._line.tolerance_ns, lowest * NEAR_SHARE)
        drift = self._find_drift(early, late)
        slope = _least_squares_slope([(tick.after, tick.off_ns) for tick in pending])
        steep = 2 * abs(slope) * (len(pending) - 1) > highest - lowest
        if drift is not None and ((not stay and steep) or len(pending) >= MOST_OUTLIERS):
            self._change_tempo(drift)
        elif stay and drift is None:
            self._explain_offset(lowest, highest, early, late)
        elif len(pending) >= ENOUGH_TICKS and drift is None:
            if steep and not stay:
                self._change_tempo(IntervalEstimate(slope, abs(slope) / 4))
            else:
                self._accept_as_wider()

    def _forget_before_last_step(self) -> None:
        """Leave out the outliers before the last few if those are a step later: more was lost, or these were jitter."""
        before, last = self._pending[:-FEW_OUTLIERS], [tick.off_ns for tick in self._pending[-FEW_OUTLIERS:]]
        together = max(last) - min(last) <= self._line.tolerance_ns < self.interval_ns / 2
        if before and together and max(tick.off_ns for tick in before) < min(last) - self.interval_ns / 2:
            self._pending = self._pending[-FEW_OUTLIERS:]

    def _find_drift(self, early: float, late: float) -> IntervalEstimate | None:
        """Return by how much per tick the outliers run away, on a line that leaves this one shortly before them."""
        last = self._line.points[-1][0]
        recent = self._line.points[-UNNOTICED_TICKS:]
        places: list[tuple[int, float]] = [(n - last, self._first_ns + ns - self.at(n)) for n, ns in recent]
        return _find_drift(places + [(tick.after, tick.off_ns) for tick in self._pending], early, late)

    def _explain_offset(self, lowest: float, highest: float, early: float, late: float) -> None:
        """Take outliers that all lie off by the same: ticks were lost, the clock stood still, or it jitters."""
        interval = self.interval_ns
        missing = round(((lowest + highest) - (early + late)) / 2 / interval)
        whole, doubt = missing * interval, 0.002 * missing * interval - MIN_TOLERANCE_NS / 2
        earliest = whole + min(early - doubt, -MIN_TOLERANCE_NS / 2)
        if matching_period_ns(interval) and -2 < missing < 2:
            self._accept_as_wider()
        elif missing >= 1 and lowest >= earliest and highest <= whole + late + doubt + self._line.width_ns / 2:
            if self._line.is_wide:
                if not self._draw_through_heard(self._line.width_ns) and len(self._pending) >= MOST_WIDE_OUTLIERS:
                    self._redraw(IntervalEstimate(interval, KNOWN_SHARE * interval))
            elif (missing > 1 and self._line.width_ns < interval / 4) or not self._find_grid(whole, missing):
                self._count_lost(missing, self._pending[0].number - self.lost)
                self._accept([(tick.number + missing, tick.ns) for tick in self._pending])
        elif lowest > 0 or highest < -2 * interval or (highest < -interval / 2 and self._line.width_ns < interval / 4):
            if not self._find_grid((lowest + highest - early - late) / 2, 0):
                self._redraw(IntervalEstimate(interval, KNOWN_SHARE * interval))
        else:
            self._accept_as_wider()

    def _find_grid(self, shift_ns: float, missing: int) -> bool:
        """Take outliers for a slip of a timer's grid, if it is clear that they are one; return True if so."""
        slip = Slip(self._pending[0].number - self.lost, shift_ns, missing)
        grid = self._slips.add(slip, self.interval_ns, self._heard.began)
        if grid is None:
            return False
        first = grid.slips[0].heard
        self._take_back(self._heard.forget_losses(first - 1))
        if missing:  # what looked like one was a slip before, too
            self._take_back(self._heard.forget_single_losses())
        self._least_width_ns = self._line.width_ns + abs(shift_ns)
        self._draw_anew(grid.interval, self._least_width_ns, self._number(self._heard.since(first)))
        return True

    def _make_line(self, prior: IntervalEstimate, width_ns: float = 0.0, *, settled: bool = False) -> TickLine:
        self._guessed_from = 0
        return TickLine(prior, width_ns, settled=settled, least_width_ns=self._least_width_ns)

    def _change_tempo(self, drift: IntervalEstimate) -> None:
        """Take outliers for ticks of another tempo: every one lies further off by `drift`."""
        count = len(self._pending)
        doubt = max(drift.doubt_ns, self._line.width_ns / (2 * count), 1.0)
        self._redraw(IntervalEstimate(self.interval_ns + drift.ns, doubt))
        self._guessed_from = count
        self._heard.begin()

    def _accept_as_jitter(self) -> None:
        """Go on as before: what was late is left out, but widens the line a little."""
        late = self._bounds()[1]
        self._line.width_ns += sum(
            min(tick.off_ns - late, late) * LEARNING_SHARE for tick in self._pending if tick.off_ns > late
        )
        self._accept([(tick.number, tick.ns) for tick in self._pending if tick.off_ns <= late])

    def _accept_as_wider(self) -> None:
        """Take the outliers into the line: the clock jitters more than was thought."""
        offs = [0.0, self._line.spread_ns, *(tick.off_ns for tick in self._pending)]
        self._line.width_ns = max(self._line.width_ns, max(offs) - min(offs))
        if self._guessed_from:  # that guess thought the line narrower than it is
            self._line.doubt_prior(self._line.width_ns / (2 * self._guessed_from))
        self._accept([(tick.number, tick.ns) for tick in self._pending])

    def _redraw(self, prior: IntervalEstimate) -> None:
        """Draw the line through the outliers only."""
        self._line = self._make_line(prior, self._line.width_ns, settled=True)
        self._accept([(tick.number, tick.ns) for tick in self._pending])

    def _accept(self, points: list[Point]) -> None:
        """Take ticks, at their own times, into the line; none is set aside any more."""
        self._pending, self._caught_up = [], False
        self._line.extend([(number, ns - self._first_ns) for number, ns in points])


def _find_drift(places: list[tuple[int, float]], early: float, late: float) -> IntervalEstimate | None:
    """Return by how much per tick places run away from a line, on one that leaves it shortly before tick 1.

    None if no such line has all of them where they may be, from `early` to `late`.
    """
    best: IntervalEstimate | None = None
    for before in range(0, UNNOTICED_TICKS + 1, 2):
        since = [(after + before, off) for after, off in places if after + before > 0]
        slowest = max((off - late) / after for after, off in since)
        fastest = min((off - early) / after for after, off in since)
        if slowest <= fastest and (best is None or fastest - slowest > 2 * best.doubt_ns):
            best = IntervalEstimate((slowest + fastest) / 2, (fastest - slowest) / 2)
    return best


def _least_squares_slope(points: list[tuple[int, float]]) -> float:
    x, y = (sum(place) / len(points) for place in zip(*points, strict=True))
    return float(sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points))
