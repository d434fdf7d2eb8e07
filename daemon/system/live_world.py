"""The live world: a monotonic clock and a queue, and what keeps Python out of the way while it plays."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue

from daemon.core.events import Event, SystemResumed
from daemon.system import rtkit
from daemon.system.suspend import SuspendDetector

#: a garbage collection may begin only when nothing is due for this long (ns); one takes about a millisecond
COLLECT_SLACK = 40_000_000
#: objects allocated, beyond those freed, that make a collection worth its while
COLLECT_COUNT = 20_000


class LiveWorld:
    """Clock and inbox of the running program. Any thread may `put`; one thread, the conductor's, waits.

    Time is `time.monotonic_ns`. The queue is a `SimpleQueue`, whose `put` is reentrant: signal handlers use it too.
    """

    def __init__(self) -> None:
        self._inbox: SimpleQueue[Event] = SimpleQueue()
        self._held: Event | None = None
        self._sleep = SuspendDetector()

    def now(self) -> int:
        """Nanoseconds of the machine's monotonic clock."""
        return time.monotonic_ns()

    def put(self, event: Event) -> None:
        """Hand an event to whoever waits."""
        self._inbox.put(event)

    def wait(self, until: int | None) -> Event | None:
        """The next event, or None once `until` has come; whichever came first, as on virtual time.

        An event that came after `until` but is found together with it stays for the next call, so that a flood of
        input cannot hold up what is due.
        """
        event, self._held = self._held, None
        if event is None:
            event = self._take(until)
        if self._sleep.over():
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
        """Collects garbage in a pause that is long enough; never while the collector runs by itself."""
        if not gc.isenabled() and (left is None or left > COLLECT_SLACK) and gc.get_count()[0] > COLLECT_COUNT:
            gc.collect()


@contextlib.contextmanager
def real_time_section() -> Iterator[None]:
    """While the band plays: what has been loaded is no garbage collector's business, collections wait for pauses, a
    thread that wants the interpreter gets it within half a millisecond, and the conductor has real-time priority where
    the system grants it, its other threads a lower one. All is put back afterwards."""
    interval = sys.getswitchinterval()
    enabled = gc.isenabled()
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        with _real_time_priority():
            yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()
        sys.setswitchinterval(interval)


@contextlib.contextmanager
def _real_time_priority() -> Iterator[None]:
    """SCHED_FIFO for the calling thread, where there is such a thing and it is allowed; and real-time priority below it
    for the program's other threads: one that holds the interpreter's lock and does not get the processor, because
    others are busy, would hold up the conductor."""
    if sys.platform != "linux":
        yield
        return
    usual = os.sched_getscheduler(0), os.sched_getparam(0)
    others: list[int] = []
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(rtkit.PRIORITY))
    except OSError:
        rtkit.request_realtime()
    else:
        others = _lift_others()
    try:
        yield
    finally:
        for thread in others:
            with contextlib.suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
        with contextlib.suppress(OSError):  # the flag that keeps children out of it may not be given back
            os.sched_setscheduler(0, *usual)


def _lift_others() -> list[int]:
    """Those that were not urgent, and are now."""
    lifted = []
    for thread in threading.enumerate():
        number = thread.native_id
        if number is None or number == threading.get_native_id():
            continue
        with contextlib.suppress(OSError):
            if os.sched_getscheduler(number) == os.SCHED_OTHER:
                policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
                os.sched_setscheduler(number, policy, os.sched_param(rtkit.WORKER_PRIORITY))
                lifted.append(number)
    return lifted
