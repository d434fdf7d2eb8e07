"""What a killed band has left on is ended by a process that outlives it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.live import crash_silencer, crash_silencer_child
from daemon.live.crash_silencer import CrashSilencer
from daemon.midi.ports import StartedKeys
from music import midi
from tests.house.source import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a process is given no open file there")

_BAND = """
import os, signal, sys
from daemon.live.crash_silencer import CrashSilencer
from daemon.midi.ports import StartedKeys
silencer = CrashSilencer("tests.support.silencer_child:watch")
started = StartedKeys(silencer.keys)
for data in (b"\\x91\\x24\\x40", b"\\x99\\x26\\x40", b"\\x81\\x24\\x00", b"\\x92\\x3c\\x40"):
    started.add(data)
silencer.tell_listeners("alsa", ["tape:in"])
silencer.tell_listeners("jack", ["synth:in", "tape:in"])
print("playing", flush=True)
sys.stdin.readline()
silencer.close()
"""


def run_band(told: Path, end: Callable[[subprocess.Popen[str]], None]) -> None:
    """Let a band play, and end it. told: where the process that outlives it writes what it has to send."""
    command = [sys.executable, "-c", _BAND]
    environment = {**os.environ, "SILENCER_TOLD": str(told)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as band:
        assert band.stdout is not None
        assert band.stdout.readline() == "playing\n"
        end(band)


def test_a_band_that_is_killed_is_silenced_those_that_sound_first(tmp_path: Path) -> None:
    told = tmp_path / "told"
    os.mkfifo(told)  # where there is something to read once it has been written
    with open(os.open(told, os.O_RDONLY | os.O_NONBLOCK)) as ends:  # noqa: PTH123
        run_band(told, lambda band: band.kill())
        assert select.select([ends], [], [], 60)[0]
        expected = [midi.note_off(2, 60), midi.note_off(9, 38), midi.note_off(1, 36)]
        assert ends.read().split() == ["API_UNIX_JACK", "synth:in", "tape:in", *(data.hex() for data in expected)]


def test_a_band_that_ends_by_itself_has_left_nothing(tmp_path: Path) -> None:
    def end(band: subprocess.Popen[str]) -> None:
        assert band.stdin is not None
        band.stdin.write("\n")

    run_band(tmp_path / "told", end)
    assert not (tmp_path / "told").exists()


@pytest.mark.parametrize(
    ("api", "there", "told"),
    [
        ("API_UNIX_JACK", ["synth:in", "tape:in", "pads:in"], {"tape:in": 1, "synth:in": 1}),
        ("API_UNIX_JACK", ["houseband in:in", "synth:in"], {"synth:in": 1}),
        ("API_UNIX_JACK", ["houseband in:in", "pads:in", "synth:in", "tape:in"], {"tape:in": 1, "synth:in": 1}),
        ("API_LINUX_ALSA", ["Keys:out 20:0", "tape:in 128:0"], {"tape:in 128:0": 1}),
    ],
)
def test_whoever_listened_is_told(
    api: str, there: list[str], told: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash_silencer_child, "BURST_PAUSE_S", 0.0)
    sent: dict[str, list[bytes]] = {}
    number = {"API_UNIX_JACK": 3, "API_LINUX_ALSA": 2}[api]

    class Output:
        name = ""

        def __init__(self, api: int, name: str) -> None:
            assert api == number

        def is_port_open(self) -> bool:
            return bool(self.name)

        def get_ports(self) -> list[str]:
            return list(there)

        def open_port(self, index: int) -> None:
            if "houseband in:in" in there:  # the dead band's ports disappear meanwhile
                there.remove("houseband in:in")
            self.name = there[index]

        def close_port(self) -> None:
            self.name = ""

        def send_message(self, data: bytes) -> None:
            sent.setdefault(self.name, []).append(data)

    fake: Any = SimpleNamespace(API_UNIX_JACK=3, API_LINUX_ALSA=2, MidiOut=Output)
    monkeypatch.setitem(sys.modules, "rtmidi", fake)
    ends = [midi.note_off(1, pitch) for pitch in range(100)]
    crash_silencer_child.end_notes(ends, api, ["tape:in", "gone:in", "synth:in"])
    expected = [*ends, midi.control_change(1, midi.PEDAL, 0), midi.all_notes_off(1)] * crash_silencer_child.REPEATS
    assert sent == dict.fromkeys(told, expected)


def test_a_system_that_went_with_the_band_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_silencer_child, "BURST_PAUSE_S", 0.0)

    def fail(_api: int, name: str) -> None:
        raise OSError("no server")

    monkeypatch.setitem(sys.modules, "rtmidi", SimpleNamespace(API_UNIX_JACK=3, MidiOut=fail))
    crash_silencer_child.end_notes([midi.note_off(1, 36)], "API_UNIX_JACK", ["synth:in"])


@pytest.mark.parametrize("names", [["synth:in"], ["s\u00fcnth"] * 40, [], ["x" * 10_000]])
def test_who_listens_is_written_down_whole_or_not_at_all(names: list[str]) -> None:
    silencer = CrashSilencer("tests.support.silencer_child:watch")
    silencer.tell_listeners("jack", ["before"])
    silencer.tell_listeners("jack", names)
    kept = names if len(str(names)) < 9_000 else ["before"]
    assert crash_silencer_child.read_listeners(bytes(silencer.keys[midi.KEY_COUNT :])) == ["API_UNIX_JACK", *kept]
    silencer.close()
    assert crash_silencer_child.read_listeners(bytes(100)) == [""]


def test_where_no_process_can_be_had_the_band_plays_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(crash_silencer, "ChildProcess", fail)
    silencer = CrashSilencer()
    started = StartedKeys(silencer.keys)
    started.add(b"\x91\x24\x40")
    assert started.make_note_offs() == [midi.note_off(1, 36)]
    silencer.close()
    assert started.make_note_offs() == []
    assert caplog.messages == ["if the band is killed, nobody will end its notes: no more processes"]


def test_the_process_ignores_what_ends_the_band() -> None:
    silencer = CrashSilencer("tests.support.silencer_child:watch")
    child = silencer._child
    assert child is not None
    child.stdout.read(1)
    os.kill(child.pid, signal.SIGTERM)
    assert child.exit_status is None
    silencer.close()
    assert child.exit_status == 0
