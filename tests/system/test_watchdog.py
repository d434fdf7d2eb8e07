"""The watchdog is fed by who waits, and by nobody else."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from daemon.core.events import Event, Quit
from daemon.core.observers import ObservedWorld
from daemon.system.watchdog import Watchdog, find_watchdog

SECOND = 1_000_000_000


class Scripted:
    """A world whose time jumps to the next event or deadline."""

    def __init__(self, *events: Event) -> None:
        self.at, self._events = 0, list(events)

    def now(self) -> int:
        return self.at

    def wait(self, until: int | None) -> Event | None:
        if self._events and (until is None or self._events[0].at <= until):
            self.at = max(self.at, self._events[0].at)
            return self._events.pop(0)
        assert until is not None, "nobody will ever wake it"
        self.at = max(self.at, until)
        return None


def test_it_is_fed_while_somebody_waits_however_long() -> None:
    world = Scripted(Quit(10 * SECOND))
    fed: list[int] = []
    dog = ObservedWorld(world, [Watchdog(0, 3 * SECOND, lambda: fed.append(world.at))])
    assert dog.wait(None) == Quit(10 * SECOND)
    assert fed == [0, 3 * SECOND, 6 * SECOND, 9 * SECOND]


def test_deadlines_are_kept_and_feeding_does_not_end_a_wait() -> None:
    world = Scripted()
    fed: list[int] = []
    dog = ObservedWorld(world, [Watchdog(0, 3 * SECOND, lambda: fed.append(world.at))])
    for until in (SECOND, 3 * SECOND, 3 * SECOND, 4 * SECOND, 11 * SECOND):
        assert dog.wait(until) is None
        assert world.at == until
    assert fed == [0, 3 * SECOND, 6 * SECOND, 9 * SECOND]


def test_who_does_not_wait_does_not_feed_it() -> None:
    world = Scripted()
    fed: list[int] = []
    dog = ObservedWorld(world, [Watchdog(0, SECOND, lambda: fed.append(world.at))])
    dog.wait(SECOND // 2)
    world.at = 60 * SECOND  # stuck for a minute
    assert fed == [0]


def test_without_a_watchdog_there_is_none_to_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert find_watchdog(0) is None
    monkeypatch.setenv("WATCHDOG_USEC", "many")
    assert find_watchdog(0) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no service manager of that kind")
def test_the_service_manager_hears_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "9000000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
        world = Scripted(Quit(4 * SECOND))
        assert find_watchdog(0) is None  # it is somebody else's
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        watchdog = find_watchdog(0)
        assert watchdog is not None
        ObservedWorld(world, [watchdog]).wait(None)
        assert [manager.recv(100), manager.recv(100)] == [b"WATCHDOG=1"] * 2
