"""The broker on a real socket: hello, sessions, refusals, hand-over, ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.plugin import broker as broker_module
from daemon.plugin.broker import Broker

PATIENCE_S = 20.0


class FakeProcess:
    """A performance whose end of the channel the test holds."""

    def __init__(self, number: int, channel: socket.socket) -> None:
        self.number = number
        self.channel = channel.dup()
        self.channel.settimeout(PATIENCE_S)
        self.exit_status: int | None = None
        self.stopped = threading.Event()

    def stop(self, patience_s: float = 0.0) -> int:
        self.stopped.set()
        return 0

    def take(self) -> socket.socket:
        """Take the next connection that is handed over."""
        message, files, _, _ = socket.recv_fds(self.channel, 1, 1)
        assert message == b"c"
        found = socket.socket(fileno=files[0])
        found.settimeout(PATIENCE_S)
        return found


class BrokerStage:
    """A broker in a thread, and the performances that it has started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plugins: list[socket.socket] = []
        self.processes: list[FakeProcess] = []
        self.broker = Broker(path, self._start)
        self.thread = threading.Thread(target=self.broker.run)
        self.thread.start()

    def _start(self, number: int, channel: socket.socket) -> FakeProcess:
        self.processes.append(FakeProcess(number, channel))
        return self.processes[-1]

    def connect(self, data: bytes = b"") -> socket.socket:
        plugin = socket.socket(socket.AF_UNIX)
        plugin.settimeout(PATIENCE_S)
        plugin.connect(str(self.path))
        plugin.sendall(data)
        self.plugins.append(plugin)
        return plugin

    def close(self) -> None:
        self.broker.close()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        for each in (*self.plugins, *(process.channel for process in self.processes)):
            each.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[BrokerStage]:
    found = BrokerStage(tmp_path / "plugin.sock")
    yield found
    found.close()


def first_line(plugin: socket.socket) -> bytes:
    with plugin.makefile("rb") as lines:
        return next(lines, b"")


def test_a_connection_is_handed_over_with_all_that_follows_its_first_line(stage: BrokerStage) -> None:
    plugin = stage.connect(b"hel")
    plugin.sendall(b"lo 1 abc Ardour\nplays 1 1\nat")
    assert first_line(plugin).startswith(b"welcome 1 ")
    [process] = stage.processes
    process.channel.sendall(b"r")
    with process.take() as taken:
        assert taken.recv(100) == b"plays 1 1\nat"


def test_instances_of_a_project_share_a_performance_and_two_projects_do_not(stage: BrokerStage) -> None:
    for name in (b"a", b"b", b"a"):
        assert first_line(stage.connect(b"hello 1 %b x\n" % name)).startswith(b"welcome")
    assert [process.number for process in stage.processes] == [1, 2]
    stage.processes[0].channel.sendall(b"r")
    for _ in range(2):
        stage.processes[0].take().close()


def test_a_third_project_is_refused_with_a_sentence_until_one_has_ended(stage: BrokerStage) -> None:
    for name in (b"a", b"b"):
        first_line(stage.connect(b"hello 1 %b x\n" % name))
    refusal = first_line(stage.connect(b"hello 1 c x\n"))
    assert refusal.startswith(b"refused 5 houseband plays for 2 projects already")
    stage.processes[0].channel.close()
    assert stage.processes[0].stopped.wait(PATIENCE_S)
    assert first_line(stage.connect(b"hello 1 c x\n")).startswith(b"welcome")
    assert stage.processes[2].number == 1


@pytest.mark.parametrize(
    "data", [b"\n", b"GET / HTTP/1.1\r\n", b"x" * 5000, b"hello 1 ../x y\n", b"\xff\x00\n", b"ping\n"]
)
def test_what_is_no_hello_is_refused(stage: BrokerStage, data: bytes) -> None:
    assert first_line(stage.connect(data)).startswith(b"refused 0 ")
    assert stage.processes == []


def test_another_version_is_refused(stage: BrokerStage) -> None:
    assert b"different versions" in first_line(stage.connect(b"hello 9 a x\n"))


def test_the_socket_is_the_users_alone_and_is_gone_at_the_end(tmp_path: Path) -> None:
    stage = BrokerStage(tmp_path / "deep" / "plugin.sock")
    assert stage.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="another houseband"):
        Broker(stage.path, stage._start)
    first_line(stage.connect(b"hello 1 a x\n"))
    stage.broker.close()
    assert stage.processes[0].stopped.wait(PATIENCE_S)
    assert stage.processes[0].channel.recv(1) == b""
    stage.close()
    assert not stage.path.exists()


def test_one_that_a_plugin_has_started_ends_when_nobody_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "TICK_S", 0.001)
    times = iter(range(0, 1 << 60, 1_000_000_000))
    broker = Broker(tmp_path / "plugin.sock", lambda *_: pytest.fail("nobody connects"), now=lambda: next(times))
    broker.run(ends_when_idle=True)
    assert not (tmp_path / "plugin.sock").exists()


def test_a_performance_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    def fail(_number: int, _channel: socket.socket) -> FakeProcess:
        raise OSError("no memory")

    stage = BrokerStage(tmp_path / "plugin.sock")
    stage.broker._start = fail
    assert first_line(stage.connect(b"hello 1 a x\n")) == (
        b"refused 5 houseband cannot play for the project: no memory\n"
    )
    stage.close()
