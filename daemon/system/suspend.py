"""Whether the machine has slept: the clock that everything goes by stands still meanwhile, so nobody else notices."""

from __future__ import annotations

import sys
import time

#: a clock that goes on while the machine sleeps, where there is one: Linux's, and what macOS calls by that name
_AWAKE: int | None = getattr(time, "CLOCK_BOOTTIME", None)
if sys.platform == "darwin":
    _AWAKE = time.CLOCK_MONOTONIC
#: shorter ones (ns) are none
SHORTEST = 1_000_000_000


class SuspendDetector:
    """Asked now and then, from one thread."""

    def __init__(self) -> None:
        self._away = _away()

    def over(self) -> bool:
        """Whether it has slept since this was asked last."""
        before, self._away = self._away, _away()
        return self._away - before > SHORTEST


def _away() -> int:
    """For how long (ns, from anywhere) it has slept up to now."""
    return 0 if _AWAKE is None else time.clock_gettime_ns(_AWAKE) - time.monotonic_ns()
