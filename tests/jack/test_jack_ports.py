"""Virtual ports on a real JACK server."""

from __future__ import annotations

import subprocess
from contextlib import closing

import pytest

from daemon.events import MidiIn
from daemon.ports import PortError, open_feed, open_ports
from daemon.realtime import LiveWorld

pytestmark = pytest.mark.jack


def port_names() -> list[str]:
    listed = subprocess.run(["jack_lsp"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if name.startswith("houseband ")]


def test_they_are_found_by_themselves_under_names_that_stay_the_same() -> None:
    for _ in range(2):
        ports = open_ports()
        try:
            assert ports.api == "jack"
            assert port_names() == ["houseband in:in", "houseband out:out"]
        finally:
            ports.close()
        assert port_names() == []


def test_what_is_sent_arrives_in_order_and_nothing_is_lost_on_closing() -> None:
    world = LiveWorld()
    ours, theirs = open_ports("jack"), None
    try:
        theirs = open_ports("jack", in_port="houseband out:out", out_port="houseband in:in")
        theirs.listen(world.now, world.put)
        messages = [bytes([0x90, pitch, velocity]) for pitch in range(36, 96) for velocity in (100, 0)]
        for message in messages:
            ours.send(message, world.now())
    finally:
        ours.close()
    try:
        patience = world.now() + 10_000_000_000
        arrived = [world.wait(patience) for _ in messages]
        assert all(isinstance(event, MidiIn) for event in arrived)
        assert [event.data for event in arrived if isinstance(event, MidiIn)] == messages
    finally:
        assert theirs is not None
        theirs.close()


def test_a_port_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(PortError, match=r"^no MIDI port 'nowhere' for --out-port; there are: "):
        open_ports("jack", out_port="nowhere")


def test_a_system_that_does_not_run_is_one_sentence() -> None:
    with pytest.raises(PortError, match="coremidi: not in this build of python-rtmidi"):
        open_ports("coremidi")


def test_the_jam_plays_its_melody_into_the_band_through_jack() -> None:
    world = LiveWorld()
    with closing(open_ports("jack")) as ports:
        ports.listen(world.now, world.put)
        with closing(open_feed("jack", "houseband melody", "houseband in")) as feed:
            feed.send(b"\x90\x3c\x40")
            event = world.wait(world.now() + 10_000_000_000)
    assert isinstance(event, MidiIn)
    assert event.data == b"\x90\x3c\x40"
