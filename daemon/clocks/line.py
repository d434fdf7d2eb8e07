"""A line through jittery clock ticks: where they really lie, and how fast they go.

Least squares over the last beats. What lies off the line is set aside for a few ticks, until it is clear what it is: a
late one, ticks that were lost (all after them lie a whole number of ticks later), another tempo (they lie ever further
off), or a clock that jitters more than was thought. Meanwhile the line goes on as it was.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

#: ticks that the line is drawn through: more than the few beats in which a JACK period and a tick come round
WINDOW = 192
#: ticks off the line until they are judged, and until they are judged in any case
FEW, ENOUGH = 4, 8
#: an interval no clock has: beyond 10 and 500 beats per minute (ns)
SHORTEST, LONGEST = 5_000_000.0, 250_000_000.0
#: what a clock may always be off (ns)
FLOOR = 500_000.0
#: so many of the newest ticks do not say how far off a tick may be: another tempo must not be taken for jitter
NEWEST = 12
#: how much the guess weighs when ticks come two at a time
DOUBT = 40.0
_FADE = 0.99


class Line:
    """Ticks are numbered from 0. interval: what to expect (ns between ticks) until there are a few; known: whether
    this is more than a guess."""

    def __init__(self, interval: float, known: bool = False) -> None:
        #: number of the newest tick
        self.number = -1
        #: ticks that were never heard
        self.lost = 0
        #: how far (ns) the newest tick was from the line
        self.residual = 0
        self._prior = interval
        self._known = known
        self._old: deque[tuple[int, int]] = deque()  # number, ns from the first
        self._sums = (0, 0, 0, 0)  # of numbers, times, numbers squared, products
        self._young: list[tuple[int, int, float]] = []  # number, ns, how far off
        self._slope = interval
        self._mean = (0.0, 0.0)  # number and ns (from the first) that the line goes through
        self._first = 0
        self._recent: deque[float] = deque()  # how far off the newest were, which say nothing yet of
        self._spread = 0.0  # how far off they may be

    @property
    def interval(self) -> float:
        """The time between ticks, ns."""
        return self._slope

    def at(self, number: float) -> int:
        """When (ns) a tick lies on the line."""
        return self._first + round(self._mean[1] + (number - self._mean[0]) * self._slope)

    def fits(self, ns: int) -> bool:
        """Whether a tick now would be the next of this line, to a quarter of a tick."""
        return bool(self._old) and abs(ns - self.at(self.number + 1)) <= max(self._tolerance(), self._slope / 4)

    def tick(self, ns: int) -> None:
        """The next tick came."""
        self.number += 1
        if not self._old:
            self._first = ns
        off = float(ns - self.at(self.number)) if self._old else 0.0
        self.residual = round(off)
        tolerance = self._tolerance()
        if not self._known and len(self._old) < FEW:
            self._keep([(self.number, ns, 0.0)])
            return
        if abs(off) <= tolerance and not self._young:
            self._keep([(self.number, ns, off)])
            return
        self._young.append((self.number, ns, off))
        if len(self._young) >= 2 and all(abs(young[2]) <= tolerance for young in self._young[-2:]):
            self._keep([young for young in self._young if abs(young[2]) <= tolerance])
        elif len(self._young) >= FEW:
            self._judge()

    def _tolerance(self) -> float:
        tolerance = 1.5 * self._spread + FLOOR
        if len(self._old) >= NEWEST:
            return tolerance
        return max(tolerance, self._slope * (0.45 if len(self._old) < FEW else 0.25))

    def _judge(self) -> None:
        offs = [young[2] for young in self._young]
        drift = (offs[-1] - offs[0]) / (len(offs) - 1)  # ns by which every tick lies further off than the one before
        middle = sorted(offs)[len(offs) // 2]
        missing = round(middle / self._slope)
        steady = abs(drift) < self._slope / 8
        if missing >= 1 and steady and abs(middle - missing * self._slope) <= max(self._slope / 4, self._tolerance()):
            self.lost += missing
            self.number += missing
            self._keep([(n + missing, ns, off - missing * self._slope) for n, ns, off in self._young])
        elif self._run_away(offs, drift):
            self._restart()
        elif len(self._young) >= ENOUGH:
            self._recent.extend(offs)
            self._settle(0)
            self._keep(self._young)  # they jitter more than was thought

    def _run_away(self, offs: list[float], drift: float) -> bool:
        """Whether all lie off on one side, ever further."""
        tolerance = self._tolerance()
        return all(off * drift > 0 and abs(off) > tolerance for off in offs) and abs(offs[-1]) > 1.5 * tolerance

    def _doubt(self) -> float:
        """What the guess weighs against the first ticks: nothing where they come evenly, much where they bunch up."""
        times = [ns for _, ns in self._old]
        gaps = [b - a for a, b in pairwise(times)]
        return DOUBT * ((max(gaps) - min(gaps)) / self._prior) ** 2

    def _restart(self) -> None:
        """Another tempo: draw the line through the newest ticks only."""
        young = self._young
        self._old.clear()
        self._sums = (0, 0, 0, 0)
        self._recent.clear()
        self._known = True
        self._prior = (young[-1][1] - young[0][1]) / (len(young) - 1)
        self._spread /= 2
        self._keep([(n, ns, 0.0) for n, ns, _ in young])

    def _keep(self, points: list[tuple[int, int, float]]) -> None:
        self._young = []
        for number, ns, off in points:
            self._add(number, ns - self._first, 1)
            self._recent.append(off)
        self._settle(NEWEST)
        self._draw()

    def _settle(self, but: int) -> None:
        while len(self._recent) > but:
            self._spread = max(abs(self._recent.popleft()), self._spread * _FADE)

    def _add(self, number: int, ns: int, sign: int) -> None:
        """One point more, or (sign -1) the oldest one less."""
        if sign > 0:
            self._old.append((number, ns))
        n, t, square, product = self._sums
        self._sums = n + sign * number, t + sign * ns, square + sign * number**2, product + sign * number * ns
        if len(self._old) > WINDOW:
            self._add(*self._old.popleft(), -1)

    def _draw(self) -> None:
        count = len(self._old)
        n, t, square, product = self._sums
        self._mean = (n / count, t / count)
        self._slope = self._prior
        if count >= (FEW if self._known else 3):
            weight = self._doubt() if count < NEWEST * 2 and not self._known else 0.0
            across, wide = (product * count - n * t) / count, (square * count - n * n) / count
            self._slope = (across + weight * self._prior) / (wide + weight)
        self._slope = min(max(self._slope, SHORTEST), LONGEST)
