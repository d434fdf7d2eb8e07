"""The clock and the inbox of a band that plays live."""

from __future__ import annotations

import gc
import time
from queue import Empty, SimpleQueue

from daemon.core.events import Event, SystemResumed
from daemon.system.suspend import SuspendDetector

#: a garbage collection, which takes about a millisecond, begins only when nothing is due for this long
MIN_PAUSE_NS = 40_000_000
#: objects allocated, beyond those freed, that make a collection worth its while
MIN_GARBAGE = 20_000


class LiveWorld:
    """The clock and the inbox of the conductor. Any thread may `put`; one thread, the conductor's, waits.

    Time is `time.monotonic_ns`. The queue is a `SimpleQueue`, whose `put` is reentrant: signal handlers use it too.
    """

    def __init__(self) -> None:
        self._inbox: SimpleQueue[Event] = SimpleQueue()
        self._held: Event | None = None
        self._suspend = SuspendDetector()

    def now(self) -> int:
        """Return the time of the machine's monotonic clock in nanoseconds."""
        return time.monotonic_ns()

    def put(self, event: Event) -> None:
        """Hand an event to the waiting thread."""
        self._inbox.put(event)

    def wait(self, until: int | None) -> Event | None:
        """Return the next event, or None once `until` (ns) has come, whichever is first; None waits for an event.

        An event that came after `until` but is found together with it stays for the next call, so that a flood of
        input cannot hold up what is due.
        """
        event, self._held = self._held, None
        if event is None:
            inbox = self._inbox  # nobody else takes from it
            event = self._take(until) if inbox.empty() else inbox.get_nowait()
        if self._suspend.has_resumed():
            self._held = event
            return SystemResumed(self.now())
        if event is not None and until is not None and event.at > until:
            self._held = event
            return None
        return event

    def _take(self, until: int | None) -> Event | None:
        if until is None:
            self._collect(None)
            return self._inbox.get()
        while True:
            left = until - time.monotonic_ns()
            self._collect(left)
            try:
                return self._inbox.get_nowait() if left <= 0 else self._inbox.get(timeout=left / 1e9)
            except Empty:
                if time.monotonic_ns() >= until:
                    return None

    def _collect(self, left: int | None) -> None:
        """Collect garbage if the pause is long enough; never while the collector runs by itself."""
        if not gc.isenabled() and (left is None or left > MIN_PAUSE_NS) and gc.get_count()[0] > MIN_GARBAGE:
            gc.collect()
