"""RealtimeKit, a system service that grants priority where the user's own limits allow none.

It is called through systemd's `busctl`, so that no D-Bus library is needed. It wants a limit on how long a real-time
thread computes without a pause; a thread that comes near the limit here goes on without the priority.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from types import FrameType

log = logging.getLogger(__name__)

#: computing time without a pause after which a thread gives its priority up, and after which the kernel would kill it:
#: the most that RealtimeKit allows
SOFT_LIMIT_US, HARD_LIMIT_US = 150_000, 200_000
#: how long an answer is waited for
TIMEOUT_S = 2


def request_realtime(priority: int) -> bool:
    """Ask for real-time priority for the calling thread, which must be the main one; return whether it is granted.

    Takes a moment.
    """
    if sys.platform != "linux" or shutil.which("busctl") is None:
        return False
    import resource

    before = resource.getrlimit(resource.RLIMIT_RTTIME)
    hard = HARD_LIMIT_US if before[1] == resource.RLIM_INFINITY else min(HARD_LIMIT_US, before[1])
    usual = signal.signal(signal.SIGXCPU, _give_priority_up)
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (min(SOFT_LIMIT_US, hard), hard))
    except (OSError, ValueError):
        granted = False
    else:
        granted = _call("MakeThreadRealtimeWithPID", "ttu", priority)
    if not granted:
        signal.signal(signal.SIGXCPU, usual)
    return granted


def request_niceness(niceness: int) -> bool:
    """Ask for a niceness, -15 or more, for the calling thread; return whether it is granted. Takes a moment."""
    return sys.platform == "linux" and _call("MakeThreadHighPriorityWithPID", "tti", niceness)


def _call(method: str, signature: str, value: int) -> bool:
    """Call a method of RealtimeKit for the calling thread; return False where it refuses or does not answer."""
    if shutil.which("busctl") is None:
        return False
    command = [
        "busctl", "--system", f"--timeout={TIMEOUT_S}", "--", "call", "org.freedesktop.RealtimeKit1",
        "/org/freedesktop/RealtimeKit1", "org.freedesktop.RealtimeKit1", method, signature,
        str(os.getpid()), str(threading.get_native_id()), str(value),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    if done.returncode:
        log.debug("RealtimeKit: %s", done.stderr.strip())
    return not done.returncode


def _give_priority_up(_signum: int, _frame: FrameType | None) -> None:
    """Handle SIGXCPU, which comes at the soft limit: late notes are better than being killed."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
