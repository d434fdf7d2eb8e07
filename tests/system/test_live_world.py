from __future__ import annotations

import gc
import sys
import threading
import time

import pytest

from daemon.core.events import ControlChange, Event, Quit, SystemResumed
from daemon.system import suspend
from daemon.system.live_world import LiveWorld
from daemon.system.priority import real_time_section

SECOND = 1_000_000_000


def at(moment: int) -> ControlChange:
    return ControlChange(moment, "panic", None)


def test_time_never_runs_back() -> None:
    world = LiveWorld()
    assert world.now() <= world.now()


def test_a_deadline_ends_the_wait_and_never_early() -> None:
    world = LiveWorld()
    until = world.now() + 3_000_000
    assert world.wait(until) is None
    assert world.now() >= until


def test_a_deadline_that_has_passed_ends_it_at_once() -> None:
    world = LiveWorld()
    assert world.wait(world.now() - SECOND) is None


def test_events_come_in_order_with_a_deadline_or_without() -> None:
    world = LiveWorld()
    events = [at(world.now()), at(world.now()), at(world.now())]
    for event in events:
        world.put(event)
    assert [world.wait(None), world.wait(world.now() + 60 * SECOND), world.wait(None)] == events


def test_what_came_after_the_deadline_stays_for_the_next_call() -> None:
    world = LiveWorld()
    due = world.now()
    early, late = at(due), at(due + 1)
    world.put(early)
    world.put(late)
    assert world.wait(due) is early
    assert world.wait(due) is None
    assert world.wait(due) is None
    assert world.wait(due + 1) is late
    assert world.wait(due + 1) is None


def test_an_event_from_another_thread_ends_the_wait() -> None:
    world = LiveWorld()
    waiting = threading.Event()
    got: list[Event | None] = []

    def wait() -> None:
        waiting.set()
        got.append(world.wait(None))
        got.append(world.wait(world.now() + 60 * SECOND))

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    sent: list[Event] = [Quit(world.now()), at(world.now())]
    for event in sent:
        world.put(event)
    thread.join()
    assert got == sent


def test_threads_lose_nothing() -> None:
    world = LiveWorld()

    def send(port: str) -> None:
        for n in range(500):
            world.put(ControlChange(0, port, n))

    threads = [threading.Thread(target=send, args=(str(port),)) for port in range(4)]
    for thread in threads:
        thread.start()
    got: dict[str, list[object]] = {str(port): [] for port in range(4)}
    for _ in range(2000):
        event = world.wait(None)
        assert isinstance(event, ControlChange)
        got[event.key].append(event.value)
    for thread in threads:
        thread.join()
    assert all(values == list(range(500)) for values in got.values())


def test_garbage_is_collected_in_pauses_only_and_all_is_put_back() -> None:
    world = LiveWorld()
    interval = sys.getswitchinterval()
    collections: list[str] = []

    def watch(phase: str, _info: dict[str, int]) -> None:
        collections.append(phase)

    def litter() -> None:
        rubbish = [[] for _ in range(30_000)]  # type: list[list[object]]
        for one in rubbish:
            one.append(one)

    with real_time_section():
        assert not gc.isenabled()
        assert sys.getswitchinterval() < interval
        gc.callbacks.append(watch)
        try:
            litter()
            assert world.wait(time.monotonic_ns() + 1_000_000) is None
            assert collections == []
            assert world.wait(time.monotonic_ns() + 50_000_000) is None
            assert collections == ["start", "stop"]
        finally:
            gc.callbacks.remove(watch)
    assert gc.isenabled()
    assert sys.getswitchinterval() == interval


def test_a_sleep_of_the_machine_is_told_before_what_came_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world's clock stands still meanwhile; the other one goes on."""
    away = 0
    monkeypatch.setattr(suspend, "_total_suspended_ns", lambda: away)
    world = LiveWorld()
    world.put(at(world.now()))
    assert isinstance(world.wait(None), ControlChange)
    away = 3_600_000_000_000
    world.put(at(world.now()))
    assert isinstance(world.wait(None), SystemResumed)
    assert isinstance(world.wait(world.now()), ControlChange)
    assert world.wait(world.now()) is None
    away += suspend.MIN_SUSPEND_NS  # which is no sleep
    assert world.wait(world.now()) is None


def test_the_clock_that_goes_on_is_there() -> None:
    assert not suspend.SuspendDetector().has_resumed()
