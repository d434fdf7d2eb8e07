"""What all kinds of ports have in common."""

from __future__ import annotations

import logging

import pytest

from daemon.core.events import Event, PortsBack, PortsLost, SourceLost
from daemon.midi.ports import PortEvents, PortRequest, StartedKeys, describe_missing, find_port
from music import midi

NAMES = ["Keys:out_2", "Keys:out", "Pads (USB):out"]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("Keys:out", 1),  # in full, though the first contains it
        ("keys", 0),
        ("pads (usb)", 2),  # no regular expression, but a part of the name
        ("^pads", 2),
        ("OUT$", 1),
        ("no(where", None),
        ("a{99999999999}", None),
        ("(" * 5_000, None),
        ("synth", None),
    ],
)
def test_a_port_is_found_by_its_name_a_part_of_it_or_a_regular_expression(wanted: str, index: int | None) -> None:
    assert find_port(NAMES, wanted) == index


def test_a_port_is_found_by_what_it_is_called_besides_unless_a_name_fits_exactly() -> None:
    others = [["Grand piano"], ["Keys:out_2"], ["alsa_pcm:Pads/midi"]]
    assert find_port(NAMES, "PIANO", others) == 0
    assert find_port(NAMES, "Keys:out_2", others) == 0
    assert find_port(NAMES, "^alsa_pcm:", others) == 2
    assert find_port(NAMES, "pads/", others) == 2
    assert find_port(NAMES, "Grand piano", others) == 0


@pytest.mark.parametrize("wanted", ["(a+)+$", "(a|aa)*b", "a*a*a*a*a*a*a*a*b"])
def test_no_name_and_no_pattern_keep_the_search_for_a_port_from_ending(wanted: str) -> None:
    assert find_port(["a" * 250 + "!"], wanted) is None


def test_several_inputs_are_named_with_commas() -> None:
    assert PortRequest(in_port=" keys, ^pads ,").in_ports == ["keys", "^pads"]
    assert PortRequest().in_ports == []


def test_a_port_that_is_waited_for_is_named_beside_those_that_are_there() -> None:
    assert describe_missing("keys", True, []) == (
        "no MIDI port 'keys' for --in-port yet: it is waited for; there are now: none"
    )


def test_the_end_of_a_device_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    events, got = PortEvents(), list[Event]()
    events.report_lost("Keys", True)  # nobody listens yet
    events.listen(lambda: 7, got.append)
    events.report_lost("Keys", True)
    events.report_lost("Keys", True, 3)
    events.report_source_lost(2)
    assert got == [SourceLost(7), SourceLost(7, 3), SourceLost(7, 2)]
    events.report_found("Keys", True)  # of an input there is nothing more to tell
    events.report_lost("Synth", False)
    events.report_found("Synth", False)
    events.stop()
    events.report_lost("Synth", False)
    assert got[3:] == [PortsLost(7), PortsBack(7)]
    assert caplog.messages[0] == "the MIDI port 'Keys' is gone; it is looked for"
    assert caplog.messages[-2] == "the MIDI port 'Synth' is there now"


def test_every_key_that_was_begun_has_one_note_off() -> None:
    started = StartedKeys()
    for data in (midi.note_on(2, 62, 80), midi.note_on(1, 60, 80), midi.note_off(1, 60), midi.note_on(1, 60, 80)):
        started.add(data)
    assert started.make_note_offs() == [midi.note_off(1, 60), midi.note_off(2, 62)]
