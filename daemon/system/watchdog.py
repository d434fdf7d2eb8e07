"""The service manager's watchdog, fed by the conductor itself: whenever it waits. A loop that is stuck is found out;
a worker that is stuck is none of its business."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from daemon.core.events import Event
from daemon.core.world import World
from daemon.system.sd_notify import notify_socket

NS_PER_US = 1_000


class WatchdogWorld:
    """A World that feeds the watchdog every `interval` ns while somebody waits here. feed: must not wait."""

    def __init__(self, world: World, interval: int, feed: Callable[[], None]) -> None:
        self._world, self._interval, self._feed = world, interval, feed
        self._next = world.now()

    def now(self) -> int:
        """As the world's."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """As the world's."""
        while True:
            now = self._world.now()
            if now >= self._next:
                self._feed()
                self._next = now + self._interval
            event = self._world.wait(self._next if until is None else min(until, self._next))
            if event is not None or (until is not None and until <= self._next and self._world.now() >= until):
                return event


def with_watchdog(world: World) -> World:
    """The world, with a watchdog to feed where the service manager set one for this process."""
    try:
        limit = int(os.environ.get("WATCHDOG_USEC", "0"))
        pid = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return world
    if limit <= 0 or pid != os.getpid():
        return world
    manager = notify_socket()
    if manager is None:
        return world
    descriptor = manager.detach()  # open for as long as we live
    return WatchdogWorld(world, limit * NS_PER_US // 3, lambda: _feed(descriptor))


def _feed(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # its queue is full, or it starts anew: the next one will do
        os.write(descriptor, b"WATCHDOG=1")
