"""The service manager's watchdog, notified by the conductor itself whenever it waits.

A conductor that is stuck is found out and the service restarted; a player that is stuck is replaced by the worker.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from daemon.core.observers import Observer
from daemon.core.tempo import NS_PER_US
from daemon.system.sd_notify import open_notify_socket


class Watchdog(Observer):
    """Notifies the service manager at a fixed interval for as long as the conductor keeps coming to wait."""

    def __init__(self, now: int, interval_ns: int, notify: Callable[[], None]) -> None:
        """now: the time (ns) of the first notification; notify: must not wait."""
        self._next, self._interval, self._notify = now, interval_ns, notify

    def on_wait(self, now: int, until: int | None) -> int:
        """Notify the service manager if it is time to, and return the time (ns) of the next notification."""
        if now >= self._next:
            self._notify()
            self._next = now + self._interval
        return self._next


def find_watchdog(now: int) -> Watchdog | None:
    """Return the watchdog that the service manager has set for this process, None if it has set none."""
    try:
        limit = int(os.environ.get("WATCHDOG_USEC", "0"))
        pid = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    if limit <= 0 or pid != os.getpid():
        return None
    manager = open_notify_socket()
    if manager is None:
        return None
    descriptor = manager.detach()  # stays open as long as the process lives
    return Watchdog(now, limit * NS_PER_US // 3, lambda: _notify(descriptor))


def _notify(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # its queue is full, or it is restarting: the next one will do
        os.write(descriptor, b"WATCHDOG=1")
