"""After a crash: who listened is known, told, and connected again."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from daemon.midi import alsa_reconnect, alsa_sequencer
from daemon.midi.alsa_reconnect import end_notes_of_dead_band, find_links, find_missing, read_links, write_links

CLIENTS = """\
Client info
  cur  clients : 5
  max  clients : 192

Client   0 : "System" [Kernel]
  Port   0 : "Timer" (Rwe-)
  Port   1 : "Announce" (R-e-)
    Connecting To: 130:0
Client  20 : "Keys: "big" ones" [Kernel Legacy]
  Port   0 : "Keys MIDI 1" (RWeX)
    Connecting To: 128:0, 130:0[real:0]
Client 128 : "houseband in" [User Legacy]
  Port   0 : "houseband in" (-We-)
    Connected From: 20:0
  Output pool :
    Pool size          : 500
Client 129 : "houseband out" [User]
  Port   0 : "houseband out" (R-e-)
    Connecting To: 130:0, 130:1
Client 130 : "FLUID Synth (1)" [User]
  Port   0 : "Synth input port" (-We-)
    Connected From: 20:0, 129:0
  Port   1 : "Second" (-We-)
    Connected From: 129:0
"""
IN, OUT = ("houseband in", "houseband in"), ("houseband out", "houseband out")
KEYS, SYNTH, SECOND = (
    ('Keys: "big" ones', "Keys MIDI 1"),
    ("FLUID Synth (1)", "Synth input port"),
    ("FLUID Synth (1)", "Second"),
)
LINKS = [(KEYS, IN), (OUT, SECOND), (OUT, SYNTH)]


@pytest.fixture
def ports(tmp_path: Path) -> list[alsa_sequencer.SequencerPort]:
    file = tmp_path / "clients"
    file.write_text(CLIENTS)
    return alsa_sequencer.list_ports(file)


def test_the_connections_of_the_band_and_no_others(ports: list[alsa_sequencer.SequencerPort]) -> None:
    assert find_links(ports) == LINKS


def test_a_connection_to_our_input_that_is_gone_is_noticed_once(tmp_path: Path) -> None:
    file = tmp_path / "clients"
    links = alsa_sequencer.SequencerLinks("houseband in", file)
    both = CLIENTS.replace("Connected From: 20:0\n  Output", "Connected From: 20:0, 24:0\n  Output")
    alone = CLIENTS.replace("    Connected From: 20:0\n  Output", "  Output")
    found = []
    for text in (CLIENTS, both, CLIENTS, CLIENTS, alone, alone, CLIENTS, ""):
        file.write_text(text)
        found.append(links.has_lost_one())
    assert found == [False, False, True, False, True, False, False, False]


def test_without_a_sequencer_there_are_none(tmp_path: Path) -> None:
    assert alsa_sequencer.list_ports(tmp_path / "clients") == []


def test_only_what_is_missing_is_connected_again(ports: list[alsa_sequencer.SequencerPort]) -> None:
    assert find_missing(LINKS, ports) == []
    for port in ports:
        port.destinations.clear()
    assert find_missing(LINKS, ports) == [((20, 0), (128, 0)), ((129, 0), (130, 1)), ((129, 0), (130, 0))]
    assert find_missing(LINKS, [port for port in ports if port.name != SYNTH]) == [
        ((20, 0), (128, 0)),
        ((129, 0), (130, 1)),
    ]


def test_what_is_written_down_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "new" / "connections.json"
    assert read_links(file) == []
    write_links(file, LINKS)
    assert read_links(file) == LINKS
    assert list(file.parent.iterdir()) == [file]
    for broken in ("", "{", "[1]", '[[["a"]]]', "null", '["ab"]'):
        file.write_text(broken)
        assert read_links(file) == []


def test_who_listened_is_told_that_all_notes_are_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[int, list[bytes]] = {}

    class FakeOut:
        def __init__(self, api: int, name: str) -> None:
            self.into = -1

        def get_ports(self) -> list[str]:
            return ["Midi Through:Midi Through Port-0 14:0", "FLUID Synth (1):Synth input port 130:0"]

        def open_port(self, index: int) -> None:
            self.into = index

        def send_message(self, data: bytes) -> None:
            sent.setdefault(self.into, []).append(data)

        def close_port(self) -> None:
            self.into = -1

        def delete(self) -> None:
            assert self.into == -1

    module = types.ModuleType("rtmidi")
    module.MidiOut, module.API_LINUX_ALSA = FakeOut, 2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rtmidi", module)
    file = tmp_path / "connections.json"
    assert end_notes_of_dead_band(file) == 0
    write_links(file, LINKS)
    assert end_notes_of_dead_band(file) == 1
    assert sent == {1: alsa_reconnect.make_silencing_messages()}
    assert {data[0] & 0x0F for data in sent[1]} == {1, 2, 3, 4, 9}
    assert {data[1:] for data in sent[1]} == {b"\x40\x00", b"\x7b\x00"}
