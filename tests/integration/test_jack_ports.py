"""Virtual ports on a real JACK server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest
import rtmidi

from daemon.core.events import MidiIn
from daemon.midi.jack_heartbeat import find_server
from daemon.midi.ports import PortError, PortRequest
from daemon.midi.rtmidi_ports import RtMidiPorts, open_feed, open_rtmidi_ports
from daemon.system.live_world import LiveWorld
from tests.support.jack.stage import hanging

pytestmark = pytest.mark.jack


def port_names() -> list[str]:
    listed = subprocess.run(["jack_lsp"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if re.match("houseband (in|out)", name)]


def test_they_are_found_by_themselves_under_names_that_stay_the_same() -> None:
    for _ in range(2):
        ports = open_rtmidi_ports(PortRequest())
        try:
            assert ports.api == "jack"
            assert port_names() == ["houseband in:in", "houseband out:out"]
        finally:
            ports.close()
        assert port_names() == []


def test_closing_loses_no_end_of_a_note() -> None:
    """An xrun may lose or repeat what is under way; the ends of notes arrive all the same."""
    world = LiveWorld()
    pitches = range(36, 96)
    with closing(open_rtmidi_ports(PortRequest("jack"))) as theirs:
        theirs.listen(world.now, world.put)
        with closing(open_rtmidi_ports(PortRequest("jack", in_port="houseband out", out_port="houseband in"))) as ours:
            for pitch in pitches:
                ours.send(bytes((0x90, pitch, 100)), world.now())
                ours.send(bytes((0x80, pitch, 0)), world.now())
        arrived = []
        while (event := world.wait(world.now() + 300_000_000)) is not None:
            assert isinstance(event, MidiIn)
            arrived.append((event.at, event.data))
    assert hanging(arrived) == set()
    assert {bytes((0x80, pitch, 0)) for pitch in pitches} <= {data for _, data in arrived}


@pytest.mark.parametrize("request_", [PortRequest("jack"), PortRequest("jack", in_port="houseband out")])
def test_a_new_client_finds_the_server_that_knows_the_heartbeat(request_: PortRequest) -> None:
    """A server that stood still for some seconds is not taken for one that is gone."""
    with closing(open_rtmidi_ports(PortRequest("jack"))):
        assert find_server() is True
        with closing(open_rtmidi_ports(request_)):
            assert find_server() is True


def test_a_port_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(PortError, match=r"^no MIDI port 'nowhere' for --out-port; there are: "):
        open_rtmidi_ports(PortRequest("jack", out_port="nowhere"))


def test_a_port_that_is_not_there_yet_is_plugged_in_when_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    world = LiveWorld()
    with closing(open_rtmidi_ports(PortRequest("jack", in_port=":out$", out_port=":in$", wait=True))) as ours:
        assert "no MIDI port ':out$' for --in-port yet: it is waited for; there are now: " in caplog.text
        ours.listen(world.now, world.put)
        for _ in range(3_000):  # more than the way out holds: nobody is there to take it
            ours.send(b"\x90\x3c\x40", 0)
        assert ours.find_failure() is None
        with closing(open_rtmidi_ports(PortRequest("jack"))) as theirs:
            theirs.listen(world.now, world.put)
            assert ours.find_failure() is None
            heard = set()
            for _ in range(20):  # an xrun may lose one
                ours.send(b"\x90\x3d\x40", 0)
                theirs.send(b"\x90\x3e\x40", 0)
                while (event := world.wait(world.now() + 300_000_000)) is not None:
                    heard.add(event.data if isinstance(event, MidiIn) else b"back")
                if len(heard) == 3:
                    break
    assert heard == {b"back", b"\x90\x3d\x40", b"\x90\x3e\x40"}


def test_an_input_is_heard_again_when_its_source_was_away() -> None:
    world = LiveWorld()
    with closing(open_rtmidi_ports(PortRequest("jack", in_port="keys:", wait=True))) as ours:
        ours.listen(world.now, world.put)
        for pitch in (60, 61):
            keys = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="keys")
            keys.open_virtual_port("out")
            assert send_until_heard(world, keys.send_message, ours, bytes((0x90, pitch, 64)))
            keys.close_port()
            keys.delete()
            assert ours.find_failure() is None
            while world.wait(world.now() + 10_000_000) is not None:
                pass


def test_a_sysex_that_nobody_ends_deafens_an_input_only_for_a_moment() -> None:
    world = LiveWorld()
    with closing(open_rtmidi_ports(PortRequest("jack"))) as ours:
        ours.listen(world.now, world.put)
        with closing(open_rtmidi_ports(PortRequest("jack", out_port="houseband in"))) as theirs:
            send = partial(theirs.send, due=0)
            assert send_until_heard(world, send, ours, b"\x90\x3c\x40")
            send(b"\xf0\x7e\x00\x06")
            assert send_until_heard(world, send, ours, b"\x80\x3c\x00")


def send_until_heard(world: LiveWorld, send: Callable[[bytes], None], ports: RtMidiPorts, data: bytes) -> bool:
    """Send a message until it is heard, for an xrun may lose one; return False where something else is, or nothing."""
    for _ in range(20):
        assert ports.find_failure() is None
        send(data)
        event = world.wait(world.now() + 200_000_000)
        if event is not None:
            return isinstance(event, MidiIn) and event.data == data
    return False


def test_a_system_that_does_not_run_is_one_sentence() -> None:
    with pytest.raises(PortError, match="coremidi: not in this build of python-rtmidi"):
        open_rtmidi_ports(PortRequest("coremidi"))


def test_the_jam_plays_its_melody_into_the_band_through_jack() -> None:
    world = LiveWorld()
    with closing(open_rtmidi_ports(PortRequest("jack"))) as ports:
        ports.listen(world.now, world.put)
        with closing(open_feed("jack", "houseband melody", "houseband in")) as feed:
            event = None
            for _ in range(20):  # an xrun may lose one
                feed.send(b"\x90\x3c\x40")
                event = world.wait(world.now() + 500_000_000)
                if event is not None:
                    break
    assert isinstance(event, MidiIn)
    assert event.data == b"\x90\x3c\x40"
