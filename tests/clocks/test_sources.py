"""Threads that ask a JACK transport and a Link session, with a transport and a session that need no server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.clocks import sources
from daemon.clocks.clock import ClockError
from daemon.clocks.sources import JackTransport, LinkSession
from daemon.core.events import Position


class Session:
    """A Link session as one of its peers sees it. Setting the tempo would set everybody's."""

    def __init__(self, bpm: float, joined: SimpleQueue[Session]) -> None:
        self.own, self._joined = bpm, joined
        self.quantum, self.beat, self.num_peers, self.playing = 1.0, 5.5, 0, False
        self.start_stop_sync_enabled = self._enabled = False

    @property
    def enabled(self) -> bool:
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = enabled
        if enabled:
            self._joined.put(self)

    @property
    def tempo(self) -> float:
        return 97.0 if self.num_peers else self.own


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> SimpleQueue[Session]:
    """The sessions that are joined."""
    joined: SimpleQueue[Session] = SimpleQueue()
    monkeypatch.setitem(sys.modules, "aalink", SimpleNamespace(Link=lambda bpm: Session(bpm, joined)))
    monkeypatch.setattr(sources, "LINK_EVERY", 0.001)
    monkeypatch.setattr(sources, "LINK_PATIENCE", 0.01)
    return joined


def told(queue: SimpleQueue[Position], until: Callable[[Position], bool]) -> Position:
    """The first position of a kind."""
    while not until(position := queue.get(timeout=10)):
        pass
    return position


def test_a_link_session_is_followed_and_never_led(link: SimpleQueue[Session]) -> None:
    queue: SimpleQueue[Position] = SimpleQueue()
    with closing(LinkSession(lambda: 7, queue.put, 120.0, 3.0)):
        session = link.get(timeout=10)
        session.num_peers = 1
        first = told(queue, lambda _: True)  # who knows no start and stop has only the beat
        assert (first.rolling, first.tick, first.us) == (True, 132, 618_557)
        session.playing = True
        session.beat = 6.0
        assert told(queue, lambda position: position.tick == 144).rolling
        session.playing = False
        assert not told(queue, lambda position: not position.rolling).rolling
        assert session.quantum == 3.0  # where in a bar it is, peers agree on
    assert not session.enabled


def test_alone_in_a_session_there_is_nobody_to_follow_until_somebody_plays(link: SimpleQueue[Session]) -> None:
    queue: SimpleQueue[Position] = SimpleQueue()
    with closing(LinkSession(lambda: 7, queue.put, 120.0)):
        session = link.get(timeout=10)
        assert queue.empty()
        session.playing = True
        assert told(queue, lambda _: True).us == 500_000


class Transport:
    """A JACK client, as far as its transport goes."""

    def __init__(self, state: str = "rolling") -> None:
        self.state, self.closed = state, False
        self.gone: Callable[[], None] = lambda: None

    def set_shutdown_callback(self, gone: Callable[[], None]) -> None:
        self.gone = gone

    def activate(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def transport_query(self) -> tuple[str, dict[str, Any]]:
        where = {"bar": 2, "beat": 1, "tick": 0, "beats_per_bar": 4, "beat_type": 4, "ticks_per_beat": 960}
        return self.state, {**where, "beats_per_minute": 100.0, "frame": 0, "frame_rate": 48_000}


class Servers:
    """What python's `jack` is made of: servers, of which one after the other dies."""

    ROLLING = "rolling"

    class JackError(Exception):
        pass

    def __init__(self, *clients: Transport | None) -> None:
        self.coming = list(clients)

    def Client(self, _name: str, no_start_server: bool) -> Transport:  # noqa: N802 - its name
        assert no_start_server
        client = self.coming.pop(0) if self.coming else None
        if client is None:
            raise self.JackError("no server")
        return client


def test_a_transport_is_followed_and_found_again_when_its_server_was_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "JACK_EVERY", 0.001)
    monkeypatch.setattr(sources, "JACK_AGAIN", 0.001)
    first, second = Transport(), Transport()
    monkeypatch.setitem(sys.modules, "jack", Servers(first, None, None, second))
    queue: SimpleQueue[Position] = SimpleQueue()
    with closing(JackTransport(lambda: 7, queue.put, 120.0)):
        at = told(queue, lambda _: True)
        assert (at.rolling, at.tick, at.us) == (True, 96, 600_000)
        first.state = "stopped"
        assert not told(queue, lambda position: not position.rolling).rolling
        first.gone()
        assert told(queue, lambda position: position.rolling).tick == 96
        assert first.closed
    assert second.closed


def test_without_a_server_or_the_extra_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jack", Servers())
    with pytest.raises(ClockError, match=r"^--clock jack finds no JACK server"):
        JackTransport(lambda: 0, lambda _: None, 120.0)
    for name in ("jack", "aalink"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ClockError, match=r"needs houseband\[jack\]"):
        JackTransport(lambda: 0, lambda _: None, 120.0)
    with pytest.raises(ClockError, match=r"needs houseband\[link\]"):
        LinkSession(lambda: 0, lambda _: None, 120.0)
