"""The ticks of a clock that came last, numbered as if none had ever been lost, and where some were counted as lost."""

from __future__ import annotations

from collections import deque

from daemon.clocks.startup_loss import Point
from daemon.clocks.tick_line import WINDOW_TICKS


class HeardTicks:
    """Keeps the last ticks, for another reading of them: that of a slow timer, for which none were lost."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=WINDOW_TICKS)
        self._count = 0
        self._losses: list[Point] = []  # ticks heard before each loss, and how many were lost
        #: ticks that had been heard when the tempo changed last
        self.began = 0

    def add(self, ns: int) -> None:
        """Take the next tick."""
        self._points.append((self._count, ns))
        self._count += 1

    @property
    def newest(self) -> int:
        """The number of the newest tick."""
        return self._count - 1

    def times(self, count: int) -> list[int]:
        """Return when (ns) the last `count` ticks came, or all that are kept."""
        return [ns for _, ns in self._points][-count:]

    def since(self, number: int) -> list[Point]:
        """Return the ticks from a number on that are kept."""
        return [point for point in self._points if point[0] >= number]

    @property
    def in_tempo(self) -> list[Point]:
        """The ticks since the tempo changed last."""
        return self.since(self.began)

    @property
    def unbroken(self) -> list[Point]:
        """The ticks since then and since the last loss."""
        return self.since(max(self.began, self._losses[-1][0] if self._losses else 0))

    def begin(self) -> None:
        """Note that the tempo has changed with the newest tick."""
        self.began, self._losses = self.newest, []

    def count_loss(self, number: int, missing: int) -> None:
        """Note that `missing` ticks count as lost before a tick."""
        self._losses = [loss for loss in self._losses if loss[0] > self._points[0][0]]
        self._losses.append((number, missing))

    def forget_losses(self, number: int) -> int:
        """Take back the losses from a tick on; return how many ticks counted as lost there."""
        return self._forget({loss for loss in self._losses if loss[0] > number})

    def forget_single_losses(self) -> int:
        """Take back the losses of one tick each; return how many that were."""
        return self._forget({loss for loss in self._losses if loss[1] == 1})

    def _forget(self, losses: set[Point]) -> int:
        self._losses = [loss for loss in self._losses if loss not in losses]
        return sum(missing for _, missing in losses)
