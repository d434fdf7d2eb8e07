"""Which backend opens the ports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from daemon.midi import backends
from daemon.midi.backends import API_CHOICES, BACKEND_CHOICES, PortBackend, find_running_apis, open_ports
from daemon.midi.ports import MidiPorts, PortError, PortRequest

ROOT = Path(__file__).resolve().parents[2]


def toy(name: str, *apis: str, works: bool = True) -> PortBackend:
    """A backend whose ports are its name."""

    def open_them(_: PortRequest) -> MidiPorts:
        if not works:
            raise PortError(f"{name} does not work")
        return cast(MidiPorts, name)

    return PortBackend(name, apis, open_them, lambda api: [each for each in apis if api in ("auto", each)])


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = toy("best", "jack", works=False), toy("usual", "jack", "alsa"), toy("network", "rtp", works=False)
    monkeypatch.setattr(backends, "BACKENDS", {row.name: row for row in rows})


@pytest.mark.parametrize(
    ("request_", "opened"),
    [
        (PortRequest(), "usual"),  # after the best one failed
        (PortRequest("alsa"), "usual"),
        (PortRequest(backend="usual"), "usual"),
    ],
)
def test_the_first_that_can_opens_the_ports(toys: None, request_: PortRequest, opened: str) -> None:
    assert cast(object, open_ports(request_)) == opened


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (PortRequest(backend="best"), "best does not work"),
        (PortRequest("rtp"), "network does not work"),
        (PortRequest("tin can"), "no backend opens MIDI ports on tin can"),
    ],
)
def test_where_none_can_the_last_says_why(toys: None, request_: PortRequest, sentence: str) -> None:
    with pytest.raises(PortError, match=sentence):
        open_ports(request_)


def test_systems_that_run_are_asked_of_all(toys: None) -> None:
    assert find_running_apis() == ["jack", "alsa", "rtp"]
    assert find_running_apis("rtp") == ["rtp"]


def test_choices_come_from_the_table() -> None:
    assert BACKEND_CHOICES == ("auto", "rtmidi", "jack")
    assert API_CHOICES == ("auto", "alsa", "jack", "coremidi", "windows")


def test_no_ports_at_all_are_ports_that_hear_and_send_nothing() -> None:
    ports = open_ports(PortRequest("none"))
    assert (ports.api, ports.names, ports.missing, ports.find_failure()) == ("none", ("", ""), (), None)
    ports.send(b"\x90\x3c\x40", 0)
    ports.end_notes()
    ports.close()
    assert find_running_apis("none") == []


@pytest.mark.parametrize("named", [PortRequest("none", in_port="Keys"), PortRequest("none", out_port="Synth")])
def test_where_there_are_to_be_no_ports_none_is_named(named: PortRequest) -> None:
    with pytest.raises(PortError, match="--api none"):
        open_ports(named)


def test_the_table_loads_no_backend() -> None:
    loaded = "[name for name in ('rtmidi', 'jack', 'daemon.midi.rtmidi_ports') if name in sys.modules]"
    code = f"import sys, daemon.midi.backends; sys.exit(bool({loaded}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 0
