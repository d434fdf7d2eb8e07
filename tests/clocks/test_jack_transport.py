"""A thread that asks a JACK transport, with a transport that needs no server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clocks import jack_transport
from daemon.clocks.clock import ClockError
from daemon.clocks.jack_transport import JackTransport, count_frames
from daemon.core.events import Position


def told(queue: SimpleQueue[Position], until: Callable[[Position], bool]) -> Position:
    """The first position of a kind."""
    while not until(position := queue.get(timeout=10)):
        pass
    return position


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

    last_frame_time, frame_time = (1 << 32) - 100, 380  # 10 ms later

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
    monkeypatch.setattr(jack_transport, "POLL_S", 0.001)
    monkeypatch.setattr(jack_transport, "RECONNECT_S", 0.001)
    first, second = Transport(), Transport()
    monkeypatch.setitem(sys.modules, "jack", Servers(first, None, None, second))
    queue: SimpleQueue[Position] = SimpleQueue()
    with closing(JackTransport(lambda: 17_000_000, queue.put, 120.0)):
        at = told(queue, lambda _: True)
        assert (at.rolling, at.tick, at.us, at.ns) == (True, 96, 600_000, 7_000_000)
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
    monkeypatch.setitem(sys.modules, "jack", None)
    with pytest.raises(ClockError, match=r"needs houseband\[jack\]"):
        JackTransport(lambda: 0, lambda _: None, 120.0)


@given(st.integers(0, (1 << 32) - 1), st.integers(-100_000, 100_000))
def test_frames_are_counted_over_the_end_of_32_bits_and_back_where_now_is_estimated_too_early(
    since: int, frames: int
) -> None:
    assert count_frames(since, (since + frames) % (1 << 32)) == frames


def test_a_period_that_came_late_is_not_a_day_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jack_transport, "POLL_S", 0.001)
    client = Transport()
    client.last_frame_time, client.frame_time = 1000, 952  # 1 ms before the period's start
    monkeypatch.setitem(sys.modules, "jack", Servers(client))
    queue: SimpleQueue[Position] = SimpleQueue()
    with closing(JackTransport(lambda: 17_000_000, queue.put, 120.0)):
        assert told(queue, lambda _: True).ns == 18_000_000
