"""Ports that come back, with ports that break when they are told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from daemon.core.events import Event, OutputLatency, PortsBack, PortsLost, SourceLost
from daemon.midi import reconnecting
from daemon.midi.ports import PortError
from daemon.midi.reconnecting import ReconnectingPorts
from daemon.system.live_world import LiveWorld


class Breakable:
    """Ports that are well until somebody says what is wrong."""

    api = "fake"
    names = ("in", "out")
    xruns = 0
    loses_ends = False
    latency_ns = 0
    missing: tuple[str, ...] = ("Keys",)

    def __init__(self) -> None:
        self.note: str | None = None
        self.wrong: str | None = None
        self.sent: list[bytes] = []
        self.state = "open"

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        self.state = "listening"

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        self.sent.append(data)

    def find_failure(self) -> str | None:
        return self.wrong

    @property
    def links(self) -> Sequence[tuple[str, str]]:
        return [("in", f"keys {len(self.sent)}")] if self.state == "listening" else []

    def find_listeners(self) -> Sequence[str]:
        return ["synth"]

    def restore_links(self, links: Sequence[tuple[str, str]]) -> None:
        self.linked = list(links)

    def renew_connections(self) -> None:
        self.state = "renewed"

    def end_notes(self) -> None:
        self.state = "silent"

    def close(self) -> None:
        self.state = "closed"

    def drop(self) -> None:
        self.state = "dropped"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnecting, "CHECK_INTERVAL_S", 0.005)
    monkeypatch.setattr(reconnecting, "DROP_DELAY_S", 0)


def watched(make: type[Breakable], errors: list[Exception]) -> tuple[LiveWorld, ReconnectingPorts, list[Breakable]]:
    """A world in which ports are kept: those opened so far, the first at once, every later one after all the errors."""
    opened: list[Breakable] = []

    def open_them() -> Breakable:
        if opened and errors:
            raise errors.pop()
        opened.append(make())
        return opened[-1]

    world = LiveWorld()
    kept = ReconnectingPorts(open_them)
    kept.listen(world.now, world.put)
    return world, kept, opened


def test_ports_that_are_lost_are_opened_again_as_soon_as_they_can_be() -> None:
    refusals: list[Exception] = [PortError("not yet")] * 3
    world, kept, opened = watched(Breakable, refusals)
    kept.send(b"1", 0)
    assert kept.missing == ("Keys",)
    opened[0].wrong = "the server is gone"
    patience = world.now() + 10_000_000_000
    assert isinstance(world.wait(patience), SourceLost)
    assert isinstance(world.wait(patience), PortsLost)
    assert isinstance(world.wait(patience), PortsBack)
    kept.send(b"2", 0)
    kept.close()
    assert [(ports.sent, ports.state) for ports in opened] == [([b"1"], "dropped"), ([b"2"], "closed")]
    assert opened[1].linked == [("in", "keys 1")]
    assert refusals == []


def test_it_is_told_how_late_the_ports_are_heard_and_when_that_changes() -> None:
    world, kept, opened = watched(Breakable, [])
    opened[0].latency_ns = 7
    patience = world.now() + 10_000_000_000
    first = world.wait(patience)
    opened[0].latency_ns = 0
    second = world.wait(patience)
    kept.close()
    told = [event.ns for event in (first, second) if isinstance(event, OutputLatency)]
    assert told == [7, 0]


def test_a_latency_that_is_given_counts_whatever_the_ports_tell() -> None:
    world = LiveWorld()
    ports = Breakable()
    ports.latency_ns = 7
    kept = ReconnectingPorts(lambda: ports, latency_ns=3)
    kept.listen(world.now, world.put)
    told = world.wait(world.now() + 10_000_000_000)
    kept.close()
    assert isinstance(told, OutputLatency)
    assert told.ns == 3


def test_what_is_sent_while_they_are_gone_goes_nowhere() -> None:
    opened: list[Breakable] = []

    def open_once() -> Breakable:
        if opened:
            raise PortError("gone for good")
        opened.append(Breakable())
        return opened[-1]

    world = LiveWorld()
    kept = ReconnectingPorts(open_once)
    kept.listen(world.now, world.put)
    opened[0].wrong = "the server is gone"
    assert isinstance(world.wait(world.now() + 10_000_000_000), SourceLost)
    assert isinstance(world.wait(world.now() + 10_000_000_000), PortsLost)
    kept.send(b"2", 0)
    assert kept.missing == ("in", "out")
    kept.close()
    assert (opened[0].sent, opened[0].state) == ([], "dropped")


def test_the_first_refusal_is_the_callers() -> None:
    def refuse() -> Breakable:
        raise PortError("no MIDI system found")

    with pytest.raises(PortError, match="no MIDI system found"):
        ReconnectingPorts(refuse)


class Confused(Breakable):
    """A MIDI system that falls apart while it is asked."""

    def find_failure(self) -> str | None:
        if self.wrong is None:
            return None
        wrong, self.wrong = self.wrong, "it is gone"
        if wrong == "confused":
            raise RuntimeError("jack_get_ports() failed")
        return wrong


def test_what_a_falling_system_raises_does_not_end_the_watch() -> None:
    errors: list[Exception] = [OSError("error creating client"), ValueError("no such port")]
    world, kept, opened = watched(Confused, errors)
    opened[0].wrong = "confused"
    patience = world.now() + 10_000_000_000
    assert isinstance(world.wait(patience), SourceLost)
    assert isinstance(world.wait(patience), PortsLost)
    assert isinstance(world.wait(patience), PortsBack)
    kept.close()
    assert [ports.state for ports in opened] == ["dropped", "closed"]


def test_ends_are_waited_for_where_there_are_ports() -> None:
    ports = Breakable()
    kept = ReconnectingPorts(lambda: ports)
    kept.end_notes()
    assert ports.state == "silent"
    kept.close()
    kept.end_notes()
    assert ports.state == "closed"


def test_a_loss_is_told_though_the_dead_server_holds_up_who_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnecting, "CLOSE_TIMEOUT_S", 0.01)
    hold = threading.Event()

    class Stuck(Breakable):
        def drop(self) -> None:
            hold.wait()

        def close(self) -> None:
            hold.wait()

        def end_notes(self) -> None:
            hold.wait()

    stuck = Stuck()
    world = LiveWorld()
    kept = ReconnectingPorts(lambda: stuck)
    kept.listen(world.now, world.put)
    stuck.wrong = "the server hangs"
    assert isinstance(world.wait(world.now() + 10_000_000_000), SourceLost)
    assert isinstance(world.wait(world.now() + 10_000_000_000), PortsLost)
    kept.send(b"1", 0)
    assert stuck.sent == []
    kept.close()
    again = ReconnectingPorts(lambda: stuck)
    again.end_notes()
    again.close()  # returns, though that hangs, too
    hold.set()
