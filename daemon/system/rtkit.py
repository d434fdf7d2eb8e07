"""Real-time priority where the limits allow none: RealtimeKit grants it, where it runs.

Asked through systemd's `busctl`, so that no D-Bus library is needed. RealtimeKit wants a limit on how long a real-time
thread computes without a pause; who comes near it here goes on without the priority.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from types import FrameType

log = logging.getLogger(__name__)

PRIORITY = 10
#: that of who works for the one that has PRIORITY
WORKER_PRIORITY = 9
#: microseconds of computing without a pause: when to give the priority up, and the most that RealtimeKit allows
SOFT, HARD = 150_000, 200_000
#: how nice a worker is that others wait for; RealtimeKit's least is -15
NICE = -11
#: seconds for an answer
PATIENCE = 2


def request_realtime() -> bool:
    """Ask for the calling thread, which must be the main one; False where it is not granted. Takes a moment."""
    if sys.platform != "linux" or shutil.which("busctl") is None:
        return False
    import resource

    before = resource.getrlimit(resource.RLIMIT_RTTIME)
    hard = HARD if before[1] == resource.RLIM_INFINITY else min(HARD, before[1])
    usual = signal.signal(signal.SIGXCPU, _give_up)
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (min(SOFT, hard), hard))
    except (OSError, ValueError):
        granted = False
    else:
        granted = _call("MakeThreadRealtimeWithPID", "ttu", PRIORITY)
    if not granted:
        signal.signal(signal.SIGXCPU, usual)
    return granted


def raise_priority(pass_on: bool = True) -> bool:
    """The calling thread goes before others that are busy; False where that is not granted. Takes a moment.

    With real-time priority below the conductor's where the limits allow it: being less nice counts for little against
    what another session runs (Linux shares the processor among sessions first). pass_on: whether threads and processes
    that it begins do so, too.
    """
    if sys.platform == "win32":
        return False
    if sys.platform == "linux":
        policy = os.SCHED_RR | (0 if pass_on else os.SCHED_RESET_ON_FORK)
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, policy, os.sched_param(WORKER_PRIORITY))
            return True
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError:
        return sys.platform == "linux" and _call("MakeThreadHighPriorityWithPID", "tti", NICE)
    return True


def _call(method: str, signature: str, value: int) -> bool:
    """Calls RealtimeKit for the calling thread; False where it says no, or nothing."""
    if shutil.which("busctl") is None:
        return False
    command = [
        "busctl", "--system", f"--timeout={PATIENCE}", "--", "call", "org.freedesktop.RealtimeKit1",
        "/org/freedesktop/RealtimeKit1", "org.freedesktop.RealtimeKit1", method, signature,
        str(os.getpid()), str(threading.get_native_id()), str(value),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    if done.returncode:
        log.debug("RealtimeKit: %s", done.stderr.strip())
    return not done.returncode


def _give_up(_signum: int, _frame: FrameType | None) -> None:
    """Better late notes than to be killed."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
