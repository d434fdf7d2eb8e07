"""Noticing that the machine was suspended: the monotonic clock stands still meanwhile, so nothing else shows it."""

from __future__ import annotations

import sys
import time

#: a clock that goes on while the machine sleeps: Linux's boot time, and what macOS calls its monotonic clock
_RUNNING_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
if sys.platform == "darwin":
    _RUNNING_CLOCK = time.CLOCK_MONOTONIC
#: the two clocks may drift apart by less without the machine having been suspended
MIN_SUSPEND_NS = 1_000_000_000


class SuspendDetector:
    """Compares two clocks, one of which stands still while the machine sleeps. For one thread, which asks often."""

    def __init__(self) -> None:
        self._suspended_ns = _total_suspended_ns()

    def has_resumed(self) -> bool:
        """Tell whether the machine was suspended since the last call."""
        before, self._suspended_ns = self._suspended_ns, _total_suspended_ns()
        return self._suspended_ns - before > MIN_SUSPEND_NS


def _total_suspended_ns() -> int:
    """Return for how long the machine has been suspended, counted from an arbitrary moment."""
    return 0 if _RUNNING_CLOCK is None else time.clock_gettime_ns(_RUNNING_CLOCK) - time.monotonic_ns()
