"""Tap tempo: the moments at which somebody taps -> beats per minute."""

from __future__ import annotations

from collections import deque
from statistics import median

from daemon.core.tempo import NS_PER_S

#: a longer pause (ns) begins a new count; a shorter interval is the same tap, bouncing
LONGEST, SHORTEST = 2 * NS_PER_S, 3 * NS_PER_S // 20
#: the tempo is that of so many intervals
COUNTED = 4


class TapTempo:
    """Listens to taps. The tempo is the median of the last intervals, so that one clumsy tap does no harm."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._intervals: deque[int] = deque(maxlen=COUNTED)

    def tap(self, at: int) -> float | None:
        """Somebody taps at `at` (ns). Beats per minute, 30..400, from the second tap on; None before."""
        before = self._last
        if before is not None and 0 <= at - before < SHORTEST:
            return None
        self._last = at
        if before is None or not 0 < at - before <= LONGEST:
            self._intervals.clear()
            return None
        self._intervals.append(at - before)
        return 60 * NS_PER_S / median(self._intervals)
