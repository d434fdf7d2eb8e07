"""Every reason for which a MIDI system gives no ports is named, with its remedy."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.diagnostics.check import BAD, GOOD, ODD, CheckContext
from daemon.diagnostics.measure import PortLoop
from daemon.diagnostics.midi_checks import check_rtmidi, explain_loop, explain_midi_system
from daemon.midi import port_diagnosis
from daemon.midi.port_diagnosis import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Where nothing is."""
    return Places(tmp_path / "seq", tmp_path / "clients", tmp_path / "unix")


def test_no_midi_system(places: Places) -> None:
    found = explain_midi_system("auto", [], places)
    assert found.state == BAD
    assert "JACK: no server runs" in found.message
    assert "ALSA: the kernel's sequencer is not loaded" in found.message
    assert found.remedy.startswith("load ALSA's sequencer: sudo modprobe snd-seq; or start a JACK server (")


def test_no_permission(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    places.sequencer.touch()

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    monkeypatch.setenv("USER", "ann")
    monkeypatch.setattr(port_diagnosis, "_group_of", lambda _: "audio")
    monkeypatch.setattr(port_diagnosis, "_has_joined", lambda _: False)
    found = explain_midi_system("auto", [], places)
    assert (found.state, f"no permission to open {places.sequencer}" in found.message) == (BAD, True)
    assert found.remedy == "join the group audio: sudo usermod -aG audio ann, then log in anew"
    monkeypatch.setattr(port_diagnosis, "_has_joined", lambda _: True)
    assert explain_midi_system("auto", [], places).remedy.endswith(
        "into the group audio since you logged in: log in anew"
    )


def test_a_container_without_the_device(places: Places) -> None:
    places.kernel.touch()
    found = explain_midi_system("alsa", [], places)
    assert "the kernel has a sequencer" in found.message
    assert "--device /dev/snd" in found.remedy


def _listening(places: Places, *names: str) -> None:
    lines = [f"00: 00000002 00000000 00010000 0001 01 7 /dev/shm/jack_{name}_0" for name in names]
    lines.append("00: 00000003 00000000 00000000 0001 03 7 /dev/shm/jack_client_5_0")
    places.sockets.write_text("\n".join(lines) + "\n")


def test_a_jack_server_of_somebody_else(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JACK_DEFAULT_SERVER", raising=False)
    monkeypatch.setattr(port_diagnosis, "_user_id", lambda: 5)
    _listening(places, "default_7")
    found = explain_midi_system("jack", [], places)
    assert "is that of user 7" in found.message
    assert "same user" in found.remedy
    _listening(places, "studio_5")
    found = explain_midi_system("auto", [], places)
    assert "called 'studio', not 'default'" in found.message
    assert found.remedy == "say which one: export JACK_DEFAULT_SERVER=studio"
    _listening(places)
    assert "no server runs" in explain_midi_system("jack", [], places).message


def test_pipewire_without_its_jack(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipewire-0").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert "pw-jack houseband run" in explain_midi_system("jack", [], places).remedy


def test_python_rtmidi_without_libasound(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def importing(name: str, *rest: Any) -> Any:
        if name == "rtmidi":
            raise ImportError("libasound.so.2: cannot open shared object file: No such file or directory")
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importing)
    (found,) = check_rtmidi(CheckContext())
    assert found.state == BAD
    assert "libasound.so.2: cannot open" in found.message
    assert "apt install libasound2" in found.remedy
    run = CliRunner().invoke(main, ["doctor", "--json"])
    assert run.exit_code == 1
    assert "MIDI system" not in [finding["what"] for finding in json.loads(run.output)["findings"]]


def test_a_loop() -> None:
    assert explain_loop("alsa", PortLoop((200_000,) * 100, 0)).state == GOOD
    assert explain_loop("jack", PortLoop((200_000,) * 100, 3)).message.endswith("3 of 103 messages lost")
    assert explain_loop("jack", PortLoop((), 9)).state == BAD
    assert explain_loop("jack", PortLoop((30_000_000,) * 100, 0)).state == ODD
