"""The control socket: a real server process and real clients, kind and hostile; and a conductor that is watched."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.control.client import ClientError, ControlClient
from daemon.control.client_keys import FIRST_PORT
from daemon.control.connection import BURST_REQUESTS, REQUESTS_PER_SECOND, Connection, TokenBucket, Turnstile
from daemon.control.control_socket import ControlSocket, ServerSetup
from daemon.control.gesture_world import GestureWorld
from daemon.control.gestures import Gestures
from daemon.control.owner_lock import OwnerLock
from daemon.control.protocol import PROTOCOL, TOPICS
from daemon.control.publisher import BarCounter, Publisher
from daemon.control.requests import RequestError, RequestHandler
from daemon.control.server import MAX_CLIENTS, MAX_LINE_BYTES, MAX_RESERVED, MAX_STRANGERS, listen
from daemon.control.server_process import MAX_QUEUED_FACTS
from daemon.core.counters import Counters
from daemon.core.events import ControlChange, Event, ForgetGesture, LearnGesture, MidiIn, Ping, Quit
from daemon.core.observers import ObservedOutput, ObservedWorld, PlayedBar
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo, bar_at, metre_at
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from daemon.system.signals import on_panic
from music.note import Metre, Note
from tests.support.fakes import MS, FakePlayer, midi

Json = dict[str, Any]
AT_120 = TempoMap(500_000)
TUNE = [Note(i * 24, 60 + i * 5 % 12, 20, 70 + i) for i in range(12)]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets there")


class Band:
    """What the server talks to: does every command at once, as the conductor would."""

    def __init__(self, tmp_path: Path, where: str | None = None) -> None:
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.done: list[ControlChange] = []
        self.where = where or str(tmp_path / "control.sock")
        self.learnt = tmp_path / "config.learnt.toml"
        self.control = ControlSocket(self._put, lambda: 7)
        self.control.start(
            ServerSetup(
                self.where,
                ("pop", "rock"),
                ("gan",),
                ("quiet",),
                {"intensity": 0.7, "style": "pop"},
                120.0,
                gestures={"cc 80": "fill"},
                learned={"cc 5": "swing"},
                learned_file=str(self.learnt),
                ports=("in", "out"),
            )
        )

    def _put(self, event: Event) -> None:
        self.events.put(event)
        assert isinstance(event, ControlChange | LearnGesture | ForgetGesture | Ping | MidiIn)
        if isinstance(event, MidiIn) or event.done is None:
            return
        if isinstance(event, ControlChange):
            self.done.append(event)
        if not isinstance(event, ControlChange) or event.key != "density":  # nobody ever does that
            if isinstance(event, ControlChange) and event.key == "chart" and event.explain is not None:
                event.explain("the chart is not taken: it has no bars")
            event.done(not isinstance(event, ControlChange) or event.key not in ("technique", "chart"))
        while self.control.outcomes:
            self.control.tell("done", *self.control.outcomes.popleft())


@pytest.fixture
def band(tmp_path: Path) -> Iterator[Band]:
    there = Band(tmp_path)
    yield there
    there.control.close()


def connected(band: Band) -> ControlClient:
    """A client, as soon as the server is there."""
    for _ in range(2_000):
        try:
            return ControlClient(band.where)
        except ClientError:
            threading.Event().wait(0.01)
    raise AssertionError("no server")


class Raw:
    """A client that says whatever it likes."""

    def __init__(self, band: Band) -> None:
        connected(band).close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(band.where)
        self.file = self.socket.makefile("rb")
        self.hello = self.read()

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> Json:
        found: Json = json.loads(self.file.readline())
        return found

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def test_it_is_the_users_alone(band: Band) -> None:
    connected(band).close()
    mode = Path(band.where).stat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)


def test_get_says_all_or_one(band: Band) -> None:
    client = connected(band)
    state = client.ask("get")["state"]
    assert state["controls"] == {"intensity": 0.7, "style": "pop"}
    assert (state["bpm"], state["styles"], state["presets"]) == (120.0, ["pop", "rock"], ["quiet"])
    assert state["gestures"] == {"cc 80": "fill", "cc 5": "swing"}
    assert client.ask("get", key="intensity")["value"] == 0.7
    assert client.ask("get", key="ports")["value"] == ["in", "out"]
    with pytest.raises(ClientError, match="loudness: nothing by that name; there are controls"):
        client.ask("get", key="loudness")
    client.close()


def test_set_is_passed_on_in_its_own_type_and_answered_when_it_is_done(band: Band) -> None:
    client = connected(band)
    client.ask("set", key="intensity", value="0.5")
    client.ask("set", key="mute.bass", value="toggle")
    client.ask("set", key="fill")
    client.ask("panic")
    client.ask("set", key="preset", value="quiet")
    assert [(c.at, c.key, c.value) for c in band.done] == [
        (7, "intensity", 0.5), (7, "mute.bass", "toggle"), (7, "fill", True), (7, "panic", True),
        (7, "preset", "quiet"),
    ]  # fmt: skip
    with pytest.raises(ClientError, match="the band does not answer"):
        client.ask("set", key="density", value=1, timeout=0.2)
    client.close()
    client = connected(band)
    with pytest.raises(ClientError, match="the band refused it as things stand"):
        client.ask("set", key="technique", value="gan")
    client.close()


def test_why_a_chart_that_takes_long_to_read_is_refused_is_answered(band: Band, tmp_path: Path) -> None:
    """Above 32 kB the band reads it, beside the conductor; the server has no time to."""
    song = tmp_path / "song.txt"
    song.write_text("no chart " * 10_000)
    with contextlib.closing(connected(band)) as client, pytest.raises(ClientError, match="not taken: it has no bars"):
        client.ask("set", key="chart", value=str(song))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"op": "set", "key": "intensity", "value": 2}, "intensity: takes a number from 0 to 1, not 2"),
        ({"op": "set", "key": "style", "value": "polka"}, "style: no style 'polka'; the player knows pop, rock"),
        ({"op": "set", "key": "technique", "value": "arcnn"}, "technique: no technique 'arcnn'; there are gan"),
        ({"op": "set", "key": "preset", "value": "loud"}, "preset: no preset 'loud'; the configuration has quiet"),
        ({"op": "set", "key": "volume", "value": 1}, "volume: no such control"),
        ({"op": "set"}, "key: takes a control's name, not None"),
        ({"op": "subscribe", "to": ["news"]}, "to: takes a list of notes, heard, plans"),
        ({"op": "subscribe"}, "to: takes a list of notes, heard, plans"),
        ({"op": "learn", "key": "volume"}, "volume: no such control"),
        ({"op": "sing"}, "no such op: 'sing'; there are get, set"),
        ({}, "no such op: None; there are get, set"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(band: Band, request_: Json, error: str) -> None:
    raw = Raw(band)
    assert (raw.hello["protocol"], set(raw.hello)) == (PROTOCOL, {"houseband", "protocol"})
    raw.say(json.dumps({**request_, "id": "mine"}).encode() + b"\n")
    answer = raw.read()
    assert (answer["id"], answer["ok"]) == ("mine", False)
    assert answer["error"].startswith(error)
    assert band.done == []
    raw.close()


@pytest.mark.parametrize(
    "line",
    [b"{", b"[1]", b"\xff\xfe", b'"get"', b"{" * 50_000, b"[" * 50_000, b'{"op": 1e999}', b"9" * 5_000, b"\0\0\0",
     b'{"op": "set", "key": "seed", "value": ' + b"9" * 3_000 + b"}", b'{"op": "set", "key": "bpm", "value": NaN}'],
)  # fmt: skip
def test_garbage_is_answered_and_the_next_request_too(band: Band, line: bytes) -> None:
    raw = Raw(band)
    raw.say(b"\n" + line + b'\n{"op": "get", "key": "bpm"}\n')
    assert raw.read()["ok"] is False
    assert raw.read() == {"ok": True, "value": 120.0}
    raw.close()


def test_a_line_without_end_is_cut_off(band: Band) -> None:
    raw = Raw(band)
    with contextlib.suppress(OSError):  # broken pipe or reset, as the system likes
        for _ in range(100):
            raw.say(b"x" * MAX_LINE_BYTES)
        pytest.fail("the server read all of it")
    raw.close()
    connected(band).close()


def test_events_come_to_whom_they_concern(band: Band) -> None:
    client, other = connected(band), connected(band)
    client.ask("subscribe", to=["notes", "tempo"])
    client.ask("subscribe", to=["controls", "counters"])
    client.ask("unsubscribe", to=["counters"])
    client.ask("set", key="fill")  # by now the band knows
    assert band.control.wanted == {"notes", "tempo", "controls"}
    band.control.tell("counters", {"onsets": 3})
    band.control.tell("note", b"\x91\x28\x50", 96, 123)
    band.control.tell("tempo", 500_000, True, 97, 124)
    band.control.tell("controls", {"intensity": 0.2})
    events = client.read_events()
    client.ask("subscribe", to=["edits"])
    band.control.tell("edit", 4, 130, 98, 2, 3, False, (7, "add", 60, 5, 80, -1.5))
    assert [next(events) for _ in range(3)] == [
        {"event": "note", "role": "bass", "on": True, "pitch": 40, "velocity": 80, "tick": 96, "due": 123},
        {"event": "tempo", "bpm": 120.0, "playing": True, "tick": 97, "at": 124, "waiting_for": []},
        {"event": "controls", "controls": {"intensity": 0.2}},
    ]
    assert next(events) == {
        "event": "edit", "serial": 4, "iteration": 7, "action": "add", "pitch": 60, "length": 5, "velocity": 80,
        "log_probability": -1.5, "bar": 2, "step": 3, "undone": False, "tick": 98, "at": 130,
    }  # fmt: skip
    state = other.ask("get")["state"]
    assert (state["counters"], state["controls"], state["tick"]) == ({"onsets": 3}, {"intensity": 0.2}, 97)
    client.close()
    other.close()


def test_another_song_is_told_to_subscribers_and_in_the_state(band: Band) -> None:
    client, other = connected(band), connected(band)
    client.ask("subscribe", to=["songs"])
    stands = {"name": "blue", "title": "Blue", "next": "green", "next_title": "Green", "order": ["blue", "green"]}
    band.control.tell("song", stands, ["verse"], ["blue", "green"], ["friday"])
    assert next(client.read_events()) == {"event": "song", **stands}
    state = other.ask("get")["state"]
    assert (state["song"], state["presets"], state["setlists"]) == (stands, ["verse"], ["friday"])
    client.close()
    other.close()


def test_learning_is_answered_when_it_is_done_and_kept(band: Band) -> None:
    client = connected(band)
    answer: list[Json] = []
    learner = threading.Thread(target=lambda: answer.append(client.ask("learn", key="intensity", timeout=20)))
    learner.start()
    event = band.events.get(timeout=20)
    assert event == LearnGesture(7, "intensity")
    band.control.tell_learned("cc 21 channel 1", "intensity")
    learner.join(20)
    assert answer[0]["gesture"] == "cc 21 channel 1"
    assert client.ask("get", key="gestures")["value"] == {
        "cc 80": "fill", "cc 5": "swing", "cc 21 channel 1": "intensity",
    }  # fmt: skip
    assert '"cc 21 channel 1" = "intensity"' in band.learnt.read_text()
    band.control.tell_learned("cc 22 channel 1", "intensity")
    band.control.tell_learned("cc 5", "")
    client.ask("set", key="fill")
    assert client.ask("get", key="gestures")["value"] == {"cc 80": "fill", "cc 22 channel 1": "intensity"}
    client.close()


def test_who_hangs_up_while_learning_gives_up(band: Band) -> None:
    raw = Raw(band)
    raw.say(b'{"op": "learn", "key": "intensity"}\n')
    assert band.events.get(timeout=20).at == 7
    raw.close()
    event = band.events.get(timeout=20)
    assert event == LearnGesture(7, "")


# The hostile


def test_a_client_that_never_reads_loses_events_and_nobody_else_does(band: Band) -> None:
    deaf, client = Raw(band), connected(band)
    for who in (deaf.say, lambda data: client.ask("subscribe", to=["notes"])):
        who(b'{"op": "subscribe", "to": ["notes"]}\n')
    client.ask("set", key="fill")
    many = 12_000
    fed = threading.Thread(target=_feed, args=(band, many))
    fed.start()
    events = client.read_events()
    assert [next(events)["tick"] for _ in range(many)] == list(range(many))
    fed.join()
    deaf.read()  # its subscription's answer
    seen = 0
    while (event := deaf.read())["event"] != "lost":
        assert event["tick"] == seen
        seen += 1
        if seen == many:
            pytest.fail("everything fitted into the socket's own buffer")
        band.control.tell("note", b"\x91\x28\x50", many, 0)  # so that there is something to lose it before
    assert 0 < event["count"] <= many
    deaf.close()
    client.close()


def _feed(band: Band, many: int) -> None:
    for i in range(many):
        while band.control._server._queue.qsize() > MAX_QUEUED_FACTS // 2:
            threading.Event().wait(0.001)
        band.control.tell("note", b"\x91\x28\x50", i, 0)


def test_a_flood_is_read_no_faster_than_the_rate_and_others_are_answered(band: Band) -> None:
    flood, client = Raw(band), connected(band)
    flood.say(b'{"op": "set", "key": "fill"}\n' * 3_000)
    for _ in range(20):
        assert client.ask("get", key="bpm")["value"] == 120.0
    assert len(band.done) < 1_000
    flood.close()
    client.ask("panic")
    client.close()


def test_there_is_room_for_so_many_and_one_more_is_told_and_may_panic(band: Band) -> None:
    there = [connected(band) for _ in range(MAX_CLIENTS)]
    raw = Raw(band)
    assert raw.read()["error"] == "there are 32 clients already"
    raw.say(b'{"op": "get"}\n')
    assert raw.read()["ok"] is False
    raw.close()
    result = CliRunner().invoke(main, ["status", "--control", band.where])
    assert (result.exit_code, result.stderr) == (2, "Error: there are 32 clients already\n")
    result = CliRunner().invoke(main, ["panic", "--control", band.where])
    assert (result.exit_code, result.output) == (0, "everything that sounded has been ended\n")
    assert [change.key for change in band.done] == ["panic"]
    for client in there:
        client.close()
    connected(band).close()


def test_panic_waits_for_nobody(band: Band) -> None:
    floods = [Raw(band) for _ in range(MAX_CLIENTS)]
    idle = [_connect_raw(band) for _ in range(MAX_RESERVED)]
    for flood in floods:
        flood.say(b'{"op": "set", "key": "fill"}\n' * 300)
    for _ in range(3):
        assert CliRunner().invoke(main, ["panic", "--control", band.where]).exit_code == 0
    assert [change.key for change in band.done].count("panic") == 3
    for each in floods:
        each.close()
    for sock in idle:
        sock.close()


def _connect_raw(band: Band) -> socket.socket:
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(20)
    raw.connect(band.where)
    return raw


def test_requests_are_let_through_in_the_order_in_which_they_came() -> None:
    async def pass_all() -> list[int]:
        turns, passed = Turnstile(1000, 1), []

        async def one(number: int) -> None:
            await turns.wait()
            passed.append(number)

        await asyncio.gather(*(one(number) for number in range(20)))
        return passed

    assert asyncio.run(pass_all()) == list(range(20))


def test_a_bucket_fills_at_its_rate() -> None:
    bucket = TokenBucket(0.0)
    taken = 0
    while not bucket.find_delay_s(0.0):
        bucket.take()
        taken += 1
    assert taken == BURST_REQUESTS
    assert bucket.find_delay_s(0.0) == pytest.approx(1 / REQUESTS_PER_SECOND)
    assert bucket.find_delay_s(1 / REQUESTS_PER_SECOND) == 0
    assert [bucket.find_delay_s(1_000.0), bucket._tokens] == [0, BURST_REQUESTS]


def heard(band: Band, count: int) -> list[tuple[bytes, int]]:
    """The next MIDI that comes in, with its port."""
    events = [band.events.get(timeout=20) for _ in range(count)]
    assert all(isinstance(event, MidiIn) and event.at == 7 for event in events)
    return [(event.data, event.port) for event in events if isinstance(event, MidiIn)]


def test_notes_that_a_client_did_not_end_are_ended_when_it_goes(band: Band) -> None:
    first, second = connected(band), connected(band)
    first.ask("play", notes=[{"pitch": 60}, {"pitch": 64, "velocity": 90}])
    second.ask("play", pitch=60, channel=2)
    first.ask("play", pitch=60, on=False)
    ports = FIRST_PORT, FIRST_PORT + 1
    assert heard(band, 4) == [
        (bytes((0x90, 60, 80)), ports[0]),
        (bytes((0x90, 64, 90)), ports[0]),
        (bytes((0x91, 60, 80)), ports[1]),
        (bytes((0x80, 60, 0)), ports[0]),
    ]
    first.close()
    assert heard(band, 1) == [(bytes((0x80, 64, 0)), ports[0])]
    second.close()
    assert heard(band, 1) == [(bytes((0x81, 60, 0)), ports[1])]


def test_notes_of_clients_are_ended_when_the_server_is_killed(band: Band) -> None:
    client = connected(band)
    client.ask("play", notes=[{"pitch": 60}, {"pitch": 64}])
    heard(band, 2)
    os.kill(band.control.pid, signal.SIGKILL)
    assert sorted(data for data, _ in heard(band, 2)) == [bytes((0x80, 60, 0)), bytes((0x80, 64, 0))]
    client.close()


def test_a_server_that_stands_still_is_never_waited_for(band: Band) -> None:
    connected(band).close()
    os.kill(band.control.pid, signal.SIGSTOP)
    for i in range(20 * MAX_QUEUED_FACTS):
        band.control.tell("note", b"\x91\x28\x50", i, 0)
    assert band.control._server._queue.qsize() <= MAX_QUEUED_FACTS + 1


def test_a_server_that_is_killed_is_told_of_and_another_takes_its_place(
    band: Band, caplog: pytest.LogCaptureFixture
) -> None:
    client = connected(band)
    client.ask("subscribe", to=["notes"])
    client.ask("set", key="fill")
    band.control.tell("controls", {"style": "rock", "technique": "gan", "intensity": 0.25})
    band.control.tell("tempo", 600_000, True, 7, 8)
    band.control.tell_learned("cc 21 channel 1", "intensity")
    client.ask("ping")
    killed = band.control.pid
    os.kill(killed, signal.SIGKILL)
    assert [event for event in client.read_events() if event.get("event") != "controls"] == []
    for i in range(20 * MAX_QUEUED_FACTS):
        band.control.tell("note", b"\x91\x28\x50", i, 0)
    client.close()
    other = connected(band)
    state = other.ask("get")["state"]
    assert band.control.pid != killed
    assert band.control.wanted == frozenset()
    assert (state["restarts"], state["bpm"], state["playing"], state["tick"]) == (1, 100.0, True, 7)
    assert state["controls"]["style"] == "rock"
    assert state["gestures"] == {"cc 80": "fill", "cc 5": "swing", "cc 21 channel 1": "intensity"}
    other.ask("set", key="undo")
    other.close()
    assert "its server ended with signal SIGKILL and is started again" in caplog.text
    told = CliRunner().invoke(main, ["status", "--control", band.where]).output
    assert "its server ended unexpectedly 1 time(s) and was started again" in told


def test_a_server_that_gives_no_sign_of_life_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.control.server_process.PING_INTERVAL_S", 0.5)
    band = Band(tmp_path)
    connected(band).close()
    hung = band.control.pid
    os.kill(hung, signal.SIGSTOP)
    while band.control.pid == hung:
        threading.Event().wait(0.01)
    connected(band).close()
    band.control.close()


def test_while_its_server_is_gone_the_band_is_found_and_panics_by_signal(
    band: Band, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.control.control_socket.FIRST_PAUSE_S", 3600.0)
    band.control._pause_s = 3600.0
    panics: list[int] = []

    def panic() -> None:
        panics.append(1)
        band.control.confirm_panic(True)

    connected(band).close()
    os.kill(band.control.pid, signal.SIGKILL)
    with on_panic(panic):
        result = CliRunner().invoke(main, ["status", "--control", band.where])
        assert (result.exit_code, result.stderr.count("\n")) == (3, 1)
        assert f"the band plays (process {os.getpid()}), but its control socket does not answer" in result.stderr
        result = CliRunner().invoke(main, ["panic", "--control", band.where])
        assert (result.exit_code, result.output) == (0, "everything that sounded has been ended\n")
    assert panics == [1]


# Where it is


def test_a_socket_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "control.sock"))
    left.close()
    first = Band(tmp_path)
    connected(first).close()
    second = Band(tmp_path)
    second.control.close()
    client = connected(first)
    client.ask("panic")
    client.close()
    assert (len(first.done), second.done) == (1, [])
    first.control.close()
    assert not (tmp_path / "control.sock").exists()


def test_on_loopback_a_secret_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    band = Band(tmp_path, "tcp:0")
    client = connected(band)
    assert client.ask("get", key="bpm")["value"] == 120.0
    file = tmp_path / "run" / "houseband" / "control.tcp"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with socket.create_connection(("127.0.0.1", int(file.read_text().split()[0])), timeout=20) as stranger:
        stranger.sendall(b'{"op": "hello", "token": "guess"}\n{"op": "panic"}\n')
        said = stranger.makefile("rb").read().splitlines()
    assert [json.loads(line).get("ok") for line in said] == [None, False]
    client.close()
    band.control.close()
    assert band.done == []


def test_strangers_over_tcp_lock_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    band = Band(tmp_path, "tcp:0")
    connected(band).close()
    port = int((tmp_path / "run" / "houseband" / "control.tcp").read_text().split()[0])
    strangers = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(MAX_STRANGERS + 20)]
    client = connected(band)
    assert client.ask("get", key="bpm")["value"] == 120.0
    with contextlib.suppress(ConnectionResetError):  # it is sent away for the room it takes
        assert strangers[0].makefile("rb").read().count(b"\n") <= 1
    client.ask("panic")
    client.close()
    for stranger in strangers:
        stranger.close()
    band.control.close()
    assert not list((tmp_path / "run" / "houseband").iterdir())


def test_of_bands_that_start_at_once_over_a_stale_socket_one_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.control.owner_lock._TAKEN_AFTER_S", 0.02)
    where = str(tmp_path / "control.sock")
    for _ in range(20):
        left = socket.socket(socket.AF_UNIX)
        left.bind(where)
        left.close()
        begin = threading.Barrier(4)
        outcomes: list[Any] = []

        def start(begin: threading.Barrier = begin, outcomes: list[Any] = outcomes) -> None:
            begin.wait()
            try:
                lock = OwnerLock(where)
            except OSError:
                return
            outcomes.append((lock, listen(where)[0]))

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [(lock, listener)] = outcomes
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(where)
        listener.close()
        lock.release(remove_socket=True)
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_is_no_band_keeps_its_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(tmp_path / "control.sock"))
        foreign.listen(100)
        with pytest.raises(OSError, match=r"another program listens at .*; give this band a `control` of its own"):
            listen(str(tmp_path / "control.sock"))
    assert (tmp_path / "control.sock").exists()


def test_where_nobody_plays_the_commands_say_how_to_start_one(tmp_path: Path) -> None:
    nobody = str(tmp_path / "none.sock")
    for words in (["status"], ["set", "fill"], ["panic"], ["learn", "fill"]):
        result = CliRunner().invoke(main, [*words[:1], "--control", nobody, *words[1:]])
        assert result.exit_code == 3
        assert result.stderr == f"Error: no houseband answers at {nobody}; start one with `houseband run`\n"


def test_the_commands_speak_with_a_band(band: Band) -> None:
    connected(band).close()

    def houseband(*words: str) -> str:
        result = CliRunner().invoke(main, [words[0], "--control", band.where, *words[1:]])
        return result.output + result.stderr if result.exit_code else result.output

    band.control.tell("counters", {**Counters().to_summary(), "isr": 0.5})
    band.control.tell("controls", {"style": "rock", "technique": "gan", "intensity": 0.25, "mute.pad": True})
    assert houseband("set", "fill") == ""
    assert houseband("panic") == "everything that sounded has been ended\n"
    assert [c.key for c in band.done] == ["fill", "panic"]
    said = houseband("status").splitlines()
    assert said[0] == "waiting for the melody: rock, gan, 120 bpm"
    assert said[2:4] == ["intensity 0.25", "muted: pad"]
    assert said[4].startswith("in time 0.5, plan - ms")
    assert json.loads(houseband("status", "--json"))["controls"]["intensity"] == 0.25
    assert "intensity: takes a number from 0 to 1, not '7'" in houseband("set", "intensity", "7")


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (["note"], ["waiting for the melody: "]),
        (["start"], ["stopped, waiting for `houseband set start`: "]),
        (["clock"], ["waiting for the clock that it follows to start: "]),
        (["count-in"], ["counting in: "]),
        ([], ["playing: "]),
        (["port Keys", "player"], ["playing: ", "waiting for the MIDI port 'Keys'", "waiting for the player"]),
        (["note", "port Keys"], ["waiting for the melody: ", "waiting for the MIDI port 'Keys'"]),
    ],
)
def test_status_says_what_is_waited_for(band: Band, reasons: list[str], said: list[str]) -> None:
    connected(band).close()
    band.control.tell("tempo", 500_000, "note" not in reasons, 97, 124)
    band.control.tell("waiting", reasons)
    band.control.tell("controls", {"style": "rock", "technique": "gan"})
    lines = CliRunner().invoke(main, ["status", "--control", band.where]).output.splitlines()
    assert [line.startswith(words) for line, words in zip(lines, said, strict=False)] == [True] * len(said)
    assert lines[len(said)].startswith("ports: ")


def test_a_style_that_the_technique_has_not_learned_is_refused() -> None:
    sent: list[Json] = []
    setup = ServerSetup(
        "nowhere", ("pop", "chorale"), ("gan", "transformer"), ("church",), {"technique": "gan"}, 120.0,
        preset_styles={"church": "chorale"},
        technique_styles={"gan": ("pop",), "transformer": ("pop", "chorale")},
    )  # fmt: skip
    handler = RequestHandler(asdict(setup), lambda message: sent.append(message) is None)  # type: ignore[func-returns-value]
    client = Connection.__new__(Connection)
    with pytest.raises(RequestError, match="no style 'chorale'; the player knows pop"):
        handler.answer(client, {"op": "set", "key": "style", "value": "chorale"})
    with pytest.raises(RequestError, match="no style 'chorale'; the player knows pop"):
        handler.answer(client, {"op": "set", "key": "preset", "value": "church"})
    handler.take_fact(("controls", {"technique": "transformer"}))
    handler.answer(client, {"op": "set", "key": "style", "value": "chorale"})
    assert [message["value"] for message in sent] == ["chorale"]


def test_the_protocol_is_documented() -> None:
    said = CliRunner().invoke(main, ["control"]).output
    words = ("subscribe", "unsubscribe", "learn", "forget", "panic", "hello", "lost", "0600", "tcp:PORT", "F0 7D 68 62")
    for word in (*TOPICS, *words):
        assert word.rstrip("s") in said


# The conductor, watched


class Watcher:
    """Wants everything."""

    wanted = frozenset(TOPICS)

    def __init__(self) -> None:
        self.outcomes: deque[tuple[int, bool, str]] = deque()
        self.told: list[tuple[Any, ...]] = []

    def tell(self, *fact: Any) -> None:
        self.told.append(fact)

    def change(self, at: int, key: str, value: object, serial: int) -> ControlChange:
        return ControlChange(at, key, value, done=lambda accepted: self.outcomes.append((serial, accepted, "")))


def _stage(player: FakePlayer) -> tuple[VirtualWorld, RecordingOutput, InlineComposer, PlayerInfo]:
    world = VirtualWorld(AT_120.ns_at(-96))
    return world, RecordingOutput(world), InlineComposer(world, player, 5 * MS), player.info


def played(watcher: Watcher | None, events: list[Event], wrap: Callable[[ObservedWorld], Any] = lambda w: w) -> Any:
    world, output, composer, info = _stage(FakePlayer())
    for event in (*events, *midi(TUNE, AT_120)):
        world.put(event)
    world.put(Quit(AT_120.ns_at(288)))
    if watcher is None:
        conductor = Conductor(world, output, composer, info, SongInfo(TempoMap(500_000)))
    else:
        publisher = Publisher(watcher)
        hears, sends = wrap(ObservedWorld(world, [publisher])), ObservedOutput(output, [publisher])
        conductor = Conductor(hears, sends, composer, info, SongInfo(TempoMap(500_000)))
        publisher.on_start(conductor)
    conductor.run()
    return output.sent


def test_being_watched_changes_no_send_time() -> None:
    watcher = Watcher()
    events: list[Event] = [
        watcher.change(AT_120.ns_at(50), "intensity", 0.4, 1),
        watcher.change(AT_120.ns_at(99), "bpm", 90.0, 2),
    ]
    assert played(watcher, events) == played(None, events)
    kinds = {fact[0] for fact in watcher.told}
    assert kinds == {"note", "heard", "plan", "tempo", "controls", "counters", "done", "waiting", "bar"}


def test_what_a_watcher_is_told() -> None:
    watcher = Watcher()
    at = AT_120.ns_at(50)
    events: list[Event] = [
        watcher.change(at, "intensity", 0.4, 5),
        watcher.change(at, "style", "polka", 6),
        watcher.change(at, "preset", "p", 7),
    ]
    played(watcher, events, lambda w: GestureWorld(w, Gestures({}, {}), {"p": [("swing", 0.5), ("density", 0.1)]}))
    assert [fact for fact in watcher.told if fact[0] == "done"] == [
        ("done", 5, True, ""),
        ("done", 6, False, ""),
        ("done", 7, True, ""),
    ]
    turned = [fact[1] for fact in watcher.told if fact[0] == "controls"]
    assert [(t["intensity"], t["swing"], t["density"]) for t in turned][-1] == (0.4, 0.5, 0.1)
    notes = [fact for fact in watcher.told if fact[0] == "note"]
    assert notes[0][2] == 6
    assert [fact[2] for fact in watcher.told if fact[0] == "heard"][:2] == [0, 20]
    assert next(fact for fact in watcher.told if fact[0] == "tempo")[1:] == (500_000, False, -96, AT_120.ns_at(-96))


def test_bars_are_told_as_they_begin() -> None:
    watcher = Watcher()
    watcher.wanted = frozenset({"bars"})
    played(watcher, [])
    told = [fact[1:] for fact in watcher.told if fact[0] == "bar"]
    assert told == [
        (number, "4/4", start, start + 96, AT_120.ns_at(start)) for number, start in ((1, 0), (2, 96), (3, 192))
    ]


def test_bars_are_counted_over_changes_of_metre_jumps_and_upbeats() -> None:
    metres = ((0, Metre()), (192, Metre(3, 4)), (192 + 72 * 2, Metre(6, 8)))

    class Bars:
        """A performance of which only the bars are asked."""

        def find_bar(self, tick: int) -> PlayedBar:
            bar = bar_at(metres, tick)
            return PlayedBar(bar.start, bar.end, metre_at(metres, bar.start)[1])

    bars, counter = Bars(), BarCounter()
    ticks = (-100, -1, 0, 95, 96, 191, 192, 264, 335, 336, 336 + 72 * 1000, 264, 0, -97)
    found = [(tick, counter.find(bars, tick).start, counter.number) for tick in ticks]  # type: ignore[arg-type]
    assert found == [
        *((-100, -192, -1), (-1, -96, 0), (0, 0, 1), (95, 0, 1), (96, 96, 2), (191, 96, 2)),
        *((192, 192, 3), (264, 264, 4), (335, 264, 4), (336, 336, 5), (72336, 72336, 1005)),
        *((264, 264, 4), (0, 0, 1), (-97, -192, -1)),
    ]


def test_the_end_of_the_music_is_told_at_once() -> None:
    watcher = Watcher()
    watcher.wanted = frozenset()
    played(watcher, [ControlChange(AT_120.ns_at(250), "stop", True)])
    told = {fact[4]: fact[2] for fact in watcher.told if fact[0] == "tempo"}
    assert told[AT_120.ns_at(250)] is False


def test_nobody_subscribed_nothing_is_worked_out() -> None:
    watcher = Watcher()
    watcher.wanted = frozenset()
    played(watcher, [])
    assert {fact[0] for fact in watcher.told} == {"tempo", "counters", "waiting"}
    assert Settings() == Settings()


def test_the_chords_of_the_hand_are_told() -> None:
    watcher = Watcher()
    chords = [Note(tick, root + up, 80) for tick, root in ((0, 48), (96, 53)) for up in (0, 4, 7)]
    hand = midi(chords, AT_120)
    split = [ControlChange(AT_120.ns_at(-90), key, value) for key, value in (("split", 60), ("harmony", "hands"))]
    played(watcher, [*split, *hand])
    told = [fact[1:] for fact in watcher.told if fact[0] == "chord"]
    assert told[0] == ("C:maj", None, "hands")
    assert told[-1] == ("F:maj", None, "hands")


def test_a_client_learns_of_the_chord_by_event_and_by_state(band: Band) -> None:
    with contextlib.closing(connected(band)) as client:
        client.ask("subscribe", to=["chords"])
        band.control.tell("chord", "F:maj/3", "G:7", "chart")
        event = next(iter(client.read_events()))
        assert event == {"event": "chord", "now": "F:maj/3", "next": "G:7", "source": "chart"}
        assert client.ask("get", key="chord")["value"] == {"now": "F:maj/3", "next": "G:7", "source": "chart"}
    band.control.tell("controls", {"style": "rock", "technique": "gan"})
    result = CliRunner().invoke(main, ["status", "--control", band.where])
    assert "chord: F/A, then G7 (chart)" in result.output.splitlines()


def test_a_client_can_be_closed_while_a_thread_waits_for_its_events(band: Band) -> None:
    client, ended = connected(band), threading.Event()

    def read() -> None:
        for _ in client.read_events():
            pass
        ended.set()

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    client.close()
    assert ended.wait(10)
    reading.join()
