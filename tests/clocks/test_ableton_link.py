"""A thread that asks an Ableton Link session, with a session that needs no network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from daemon.clocks import ableton_link
from daemon.clocks.ableton_link import LinkSession
from daemon.clocks.clock import ClockError
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
    monkeypatch.setattr(ableton_link, "POLL_S", 0.001)
    monkeypatch.setattr(ableton_link, "SETTLING_S", 0.01)
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


def test_without_the_extra_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aalink", None)
    with pytest.raises(ClockError, match=r"needs houseband\[link\]"):
        LinkSession(lambda: 0, lambda _: None, 120.0)
