"""The connections of a session, on real sockets: hostile bytes, slow readers, silence, hand-over."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from daemon.core.tempo import NS_PER_S
from daemon.plugin import links as module
from daemon.plugin.lines import Line, Plays
from daemon.plugin.links import PluginLinks

PATIENCE_S = 20.0


class Stage:
    """Links, a channel to them, and what they put."""

    def __init__(self) -> None:
        self.wall_ns = 0
        self.links = PluginLinks(lambda: self.wall_ns)
        self.put: SimpleQueue[tuple[int, Line | None]] = SimpleQueue()
        self.orphaned = threading.Event()
        self.backlog = 0
        self.plugins: list[socket.socket] = []
        self.ours, theirs = socket.socketpair()
        self.links.start(theirs, lambda *what: self.put.put(what), self.orphaned.set, lambda: self.backlog)
        assert self.ours.recv(1) == b"r"

    def connect(self) -> socket.socket:
        plugin, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.ours, [b"c"], [theirs.fileno()])
        plugin.settimeout(PATIENCE_S)
        self.plugins.append(plugin)
        return plugin

    def next_put(self) -> tuple[int, Line | None]:
        return self.put.get(timeout=PATIENCE_S)

    def close(self) -> None:
        self.links.close()
        for each in (self.ours, *self.plugins):
            each.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    found = Stage()
    yield found
    found.close()


def read_all(plugin: socket.socket) -> bytes:
    """Read until the other side ends the connection."""
    found = b""
    while True:
        try:
            data = plugin.recv(1 << 16)
        except ConnectionError:
            return found
        if not data:
            return found
        found += data


def test_lines_come_in_however_they_are_cut(stage: Stage) -> None:
    plugin = stage.connect()
    for part in (b"pl", b"ays 3 1\nplays 1", b" 0\nunknown words\n"):
        plugin.sendall(part)
    assert stage.next_put() == (1, Plays(3, True))
    assert stage.next_put() == (1, Plays(1, False))


def test_what_is_told_arrives_in_order_after_the_greeting(stage: Stage) -> None:
    stage.links.greet(b"state 1 soon\n")
    plugin = stage.connect()
    plugin.sendall(b"plays 1 1\n")
    stage.next_put()
    for count in range(1000):
        stage.links.tell(1, b"until 1 %d\n" % count)
    with plugin.makefile("rb") as lines:
        told = [line for line in itertools.islice(lines, 1001) if line != b"ping\n"]
    assert told[0] == b"state 1 soon\n"
    assert told[1:] == [b"until 1 %d\n" % count for count in range(len(told) - 1)]


@pytest.mark.parametrize(
    "data", [b"at 1 2\n", b"x" * 5000, b"y" * 5000 + b"\n", b"in 1 0 300 0 0\n", b"hello \xff\xfe\n"]
)
def test_bytes_that_are_no_lines_end_their_own_connection_only(stage: Stage, data: bytes) -> None:
    other, plugin = stage.connect(), stage.connect()
    plugin.sendall(data)
    assert b"error " in read_all(plugin)
    assert stage.next_put() == (2, None)
    other.sendall(b"plays 1 1\n")
    assert stage.next_put() == (1, Plays(1, True))


def test_a_plugin_that_does_not_read_is_left_and_holds_up_nobody(stage: Stage) -> None:
    plugin, other = stage.connect(), stage.connect()
    for each in (plugin, other):
        each.sendall(b"plays 1 1\n")
    assert {stage.next_put()[0] for _ in range(2)} == {1, 2}
    line = b"note 1 bass 0 36 80 0" + b" " * 900 + b"\n"
    for _ in range(4000):
        stage.links.tell(1, line)
    assert stage.next_put() == (1, None)
    stage.links.tell(2, b"panic\n")
    with other.makefile("rb") as lines:
        assert b"panic\n" in lines
    assert stage.links.dropped == 1


def test_a_connection_that_ends_is_told(stage: Stage) -> None:
    first, second = stage.connect(), stage.connect()
    first.close()
    assert stage.next_put() == (1, None)
    second.sendall(b"plays 1 1\nbye\nplays 2 1\n")
    assert stage.next_put() == (2, Plays(1, True))
    assert stage.next_put() == (2, None)


def test_silence_is_a_connection_that_is_lost(stage: Stage) -> None:
    plugin = stage.connect()
    plugin.sendall(b"plays 1 1\n")
    stage.next_put()
    stage.wall_ns = 2 * NS_PER_S
    with plugin.makefile("rb") as lines:
        assert next(lines) == b"ping\n"
    stage.wall_ns = 8 * NS_PER_S
    assert stage.next_put() == (1, None)


def test_nothing_more_is_read_while_the_conductor_is_behind(stage: Stage) -> None:
    plugin = stage.connect()
    plugin.sendall(b"plays 1 1\n")
    stage.next_put()
    stage.backlog = module.MAX_BACKLOG
    for _ in range(2):  # a round of the thread has seen it once the second one's greeting has come
        stage.links.tell(1, b"ping\n")
        assert plugin.recv(100)
    plugin.sendall(b"plays 2 1\n")
    stage.links.tell(1, b"panic\n")
    while b"panic" not in plugin.recv(100):
        pass
    assert stage.put.empty()
    stage.backlog = 0
    assert stage.next_put() == (1, Plays(2, True))


def test_there_are_not_more_than_so_many(stage: Stage) -> None:
    plugins = [stage.connect() for _ in range(module.MAX_CONNECTIONS + 1)]
    assert read_all(plugins[-1]).startswith(b"refused 5 ")


def test_whoever_hands_over_connections_may_not_go(stage: Stage) -> None:
    stage.ours.close()
    assert stage.orphaned.wait(PATIENCE_S)
