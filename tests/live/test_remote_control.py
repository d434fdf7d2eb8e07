"""Gestures, socket and conductor together on the live clock; and that what is learnt survives a restart."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from daemon.control.client import ControlClient
from daemon.control.gestures import DEFAULT_GESTURES
from daemon.control.learned import read_learned
from daemon.core.events import MidiIn, Quit
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.live.remote_control import RemoteControl
from daemon.offline.virtual_world import VirtualWorld
from daemon.system.live_world import LiveWorld
from tests.control.test_control_socket import Band, connected
from tests.support.fakes import FakePlayer


class Performance:
    """A live conductor with a socket, in a thread. Nobody composes: here it is the controls that matter."""

    def __init__(self, folder: Path) -> None:
        self.world, self.sent, self._stack = LiveWorld(), list[bytes](), ExitStack()
        file = folder / "config.learnt.toml"
        self.where = str(folder / "control.sock")
        remote = RemoteControl(
            DEFAULT_GESTURES,
            read_learned(file),
            file,
            {"mine": (("swing", 0.5), ("mute.pad", True))},
            self.where,
        )
        server = remote.start(self.world, self._stack)
        attached = remote.attach(
            server, self.world, self, FakePlayer().info, Settings(technique="gan"), 120.0, ("in", "out")
        )
        conductor = Conductor(attached.world, attached.output, self, FakePlayer().info, SongInfo())
        attached.on_start(conductor)
        self._thread = threading.Thread(target=conductor.run)
        self._thread.start()

    def ask(self, request: PlanRequest) -> None:
        """As a composer that never answers."""

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        self.sent.append(data)

    def plays(self, *messages: bytes) -> None:
        for data in messages:
            self.world.put(MidiIn(self.world.now(), data))

    def close(self) -> None:
        self.world.put(Quit(self.world.now()))
        self._thread.join()
        self._stack.close()


def client_of(performance: Performance) -> ControlClient:
    band = Band.__new__(Band)
    band.where = performance.where
    return connected(band)


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets there")
def test_a_learnt_knob_turns_its_control_after_a_restart_too(tmp_path: Path) -> None:
    with closing(Performance(tmp_path)) as first, closing(client_of(first)) as client:
        learning = threading.Thread(target=lambda: made.append(client.ask("learn", key="intensity", timeout=20)))
        made: list[dict[str, object]] = []
        learning.start()
        while learning.is_alive():  # whether the band has heard of it yet or not: somebody turns the knob
            first.plays(b"\xb2\x15\x7f")
            learning.join(0.05)
        assert made[0]["gesture"] == "cc 21 channel 3"
    with closing(Performance(tmp_path)) as second, closing(client_of(second)) as client:
        client.ask("subscribe", to=["controls"])
        second.plays(b"\xb2\x15\x00")
        assert next(client.read_events())["controls"]["intensity"] == 0.0
        client.ask("forget", key="intensity")
    assert read_learned(tmp_path / "config.learnt.toml") == {}


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets there")
def test_what_is_set_is_read_back_at_once_and_presets_turn_all_they_have(tmp_path: Path) -> None:
    with closing(Performance(tmp_path)) as band, closing(client_of(band)) as client:
        client.ask("set", key="intensity", value="0.25")
        assert client.ask("get", key="intensity")["value"] == 0.25
        client.ask("set", key="preset", value="mine")
        assert (client.ask("get", key="swing")["value"], client.ask("get", key="mute.pad")["value"]) == (0.5, True)
        band.plays(b"\x9f\x2d\x40")  # the usual gesture: a key that turns the pad's mute over
        client.ask("panic")
        assert client.ask("get", key="mute.pad")["value"] is False
        band.plays(b"\x90\x3c\x40")
        client.ask("set", key="bpm", value=90)
        assert (client.ask("get", key="playing")["value"], client.ask("get", key="bpm")["value"]) == (True, 90.0)


def test_without_a_socket_gestures_are_understood_all_the_same() -> None:
    remote = RemoteControl(DEFAULT_GESTURES)
    with ExitStack() as stack:
        assert remote.start(LiveWorld(), stack) is None
    world = VirtualWorld()
    world.put(MidiIn(1, b"\xb0\x50\x7f"))
    attached = remote.attach(None, world, Performance.__new__(Performance), FakePlayer().info, Settings(), 120.0, ())
    event = attached.world.wait(None)
    assert getattr(event, "key", None) == "fill"
