"""Checks of the operating system (real-time priority, locked memory, a folder for takes) and of the studio."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from daemon.diagnostics.check import GOOD, ODD, CheckContext, CheckResult

#: bytes that the two processes may want to lock
LOCKED_BYTES = 256 << 20
#: bytes that a disk should have left for takes
MIN_FREE_BYTES = 50 << 20
#: the packages that serve the page of `houseband studio`
STUDIO_PACKAGES = ("starlette", "uvicorn", "websockets")


def check_real_time(_: CheckContext) -> list[CheckResult]:
    """Ask the system for real-time priority, and give it back."""
    if sys.platform != "linux":
        return [_leave_to_system("real-time scheduling")]
    import resource

    return [explain_real_time(resource.getrlimit(resource.RLIMIT_RTPRIO)[0], granted=is_real_time_allowed())]


def explain_real_time(limit: int, *, granted: bool) -> CheckResult:
    """Say what it means whether real-time priority is granted. limit: the highest that may be asked for."""
    subject = "real-time scheduling"
    if granted:
        return CheckResult(subject, GOOD, "granted")
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or "$USER"
    return CheckResult(
        subject,
        ODD,
        f"not allowed (limit of real-time priority: {limit}); notes may leave late while the machine is busy",
        "put '@audio - rtprio 95' into /etc/security/limits.d/audio.conf, join the group audio "
        f"(sudo usermod -aG audio {user}) and log in anew; as a service: LimitRTPRIO=95",
    )


def is_real_time_allowed() -> bool:
    """Return True where the system grants SCHED_FIFO, which is given back at once."""
    from daemon.system.priority import real_time_section

    with real_time_section():
        return (os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK) == os.SCHED_FIFO


def check_memory_locking(_: CheckContext) -> list[CheckResult]:
    """See how much memory may be kept from being swapped out."""
    if sys.platform != "linux":
        return [_leave_to_system("memory locking")]
    import resource

    return [explain_memory_limit(resource.getrlimit(resource.RLIMIT_MEMLOCK)[0])]


def explain_memory_limit(limit: int) -> CheckResult:
    """Say what it means that so many bytes may be locked; -1 for no limit."""
    subject = "memory locking"
    if limit < 0 or limit >= LOCKED_BYTES:
        return CheckResult(subject, GOOD, "as much as is wanted")
    return CheckResult(
        subject,
        ODD,
        f"limited to {limit >> 10} kB; on a machine short of memory JACK clients stall",
        "put '@audio - memlock unlimited' into /etc/security/limits.d/audio.conf and log in anew; "
        "as a service: LimitMEMLOCK=infinity",
    )


def _leave_to_system(subject: str) -> CheckResult:
    return CheckResult(subject, GOOD, f"{platform.system()} looks after it itself")


def check_takes(context: CheckContext) -> list[CheckResult]:
    """See where takes are kept, and if there is room for more."""
    return [explain_takes(context.setup.takes, context.setup.takes_limit)]


def explain_takes(folder: Path | None, limit: int) -> CheckResult:
    """Say if takes can be kept in a folder, which need not be there yet, and how many of `limit` bytes they fill."""
    from daemon.takes.storage import list_takes

    subject = "takes"
    if folder is None:
        return CheckResult(subject, GOOD, "are not kept, as the configuration says")
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    choose = 'choose another folder: takes = "DIR" in the configuration, or --takes DIR'
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return CheckResult(subject, ODD, f"cannot be kept: {there} is no folder one can write to", choose)
    free = shutil.disk_usage(there).free
    if free < MIN_FREE_BYTES:
        return CheckResult(subject, ODD, f"{free >> 20} MB are left on the disk of {folder}", f"make room, or {choose}")
    try:
        takes = list_takes(folder)
        size = sum(take.stat().st_size for take in takes)
    except OSError as error:  # a folder that cannot be read, or a take that goes while it is looked at
        return CheckResult(subject, ODD, f"cannot be looked at: {error}", choose)
    return CheckResult(subject, GOOD, f"{len(takes)} in {folder}, {size / (1 << 20):.1f} of {limit >> 20} MB")


def check_studio(_: CheckContext, find: Callable[[str], object] = find_spec) -> list[CheckResult]:
    """See whether the studio can be opened. find: returns None for a package that is not installed, for tests."""
    missing = [name for name in STUDIO_PACKAGES if find(name) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        text = f"{', '.join(missing)} {are} not installed; `houseband studio` does not work"
        return [CheckResult("studio", ODD, text, "pip install 'houseband[studio]'")]
    return [CheckResult("studio", GOOD, "`houseband studio` opens it in the browser")]
