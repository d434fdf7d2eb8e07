"""Priorities that keep other threads and programs, and Python itself, out of the way of those that keep time."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Iterator

from daemon.system import rtkit

#: real-time priorities: of the conductor's thread, and of all that works for it
CONDUCTOR_PRIORITY, WORKER_PRIORITY = 10, 9
#: niceness of what works for the conductor where real-time priority is not to be had
WORKER_NICENESS = -11
#: how long another thread may keep the interpreter's lock while somebody wants it
_SWITCH_INTERVAL_S = 0.0005


@contextlib.contextmanager
def real_time_section() -> Iterator[None]:
    """Let the calling thread keep time as well as the system allows; all is put back afterwards.

    Objects that exist by now are left out of garbage collection, which does not run by itself; a thread that wants the
    interpreter gets it soon; the calling thread has real-time priority, and the program's other threads a lower one.
    """
    interval = sys.getswitchinterval()
    enabled = gc.isenabled()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
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


def raise_priority(inherit: bool = True) -> bool:
    """Let the calling thread, which works for the conductor, go before other programs; return False where it may not.

    It gets real-time priority below the conductor's where the limits allow it: niceness counts for little against what
    another session runs, for Linux shares the processor among sessions first. inherit: whether threads and processes
    that it starts get the priority, too. Takes a moment.
    """
    if sys.platform == "win32":
        return False
    if sys.platform == "linux":
        policy = os.SCHED_RR | (0 if inherit else os.SCHED_RESET_ON_FORK)
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, policy, os.sched_param(WORKER_PRIORITY))
            return True
    try:
        os.setpriority(os.PRIO_PROCESS, 0, WORKER_NICENESS)
    except OSError:
        return rtkit.request_niceness(WORKER_NICENESS)
    return True


@contextlib.contextmanager
def _real_time_priority() -> Iterator[None]:
    """Give the calling thread SCHED_FIFO where that is allowed, and the program's other threads a priority below it.

    A thread that holds the interpreter's lock and does not get the processor, because other programs are busy, would
    hold up the conductor.
    """
    if sys.platform != "linux":
        yield
        return
    usual = os.sched_getscheduler(0), os.sched_getparam(0)
    others: list[int] = []
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(CONDUCTOR_PRIORITY))
    except OSError:
        rtkit.request_realtime(CONDUCTOR_PRIORITY)
    else:
        others = _raise_other_threads()
    try:
        yield
    finally:
        for thread in others:
            with contextlib.suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
        with contextlib.suppress(OSError):  # the flag that keeps children out of it may not be given back
            os.sched_setscheduler(0, *usual)


def _raise_other_threads() -> list[int]:
    """Give WORKER_PRIORITY to the threads that have no real-time priority; return their native ids."""
    raised = []
    for thread in threading.enumerate():
        number = thread.native_id
        if number is None or number == threading.get_native_id():
            continue
        with contextlib.suppress(OSError):
            if os.sched_getscheduler(number) == os.SCHED_OTHER:
                policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
                os.sched_setscheduler(number, policy, os.sched_param(WORKER_PRIORITY))
                raised.append(number)
    return raised
