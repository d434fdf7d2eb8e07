"""Ends sent again where nobody tells of losses, on virtual time."""

from __future__ import annotations

import pytest

from daemon.core.events import Event, MidiIn, Quit
from daemon.midi.end_repeater import DELAY_NS, EndRepeatWorld
from daemon.midi.reconnecting import ReconnectingPorts
from daemon.offline.virtual_world import VirtualWorld
from music import midi
from tests.midi.test_reconnecting import Breakable
from tests.support.fakes import MS

ON, OFF, OTHER = midi.note_on(1, 36, 80), midi.note_off(1, 36), midi.note_off(1, 38)


class Desk:
    """Ports on virtual time; what they send, and when."""

    def __init__(self, *, loses_ends: bool = True) -> None:
        self.clock = VirtualWorld()
        self.sent: list[tuple[int, bytes]] = []
        made = Breakable()
        made.loses_ends = loses_ends
        made.send = lambda data, due, at=None: self.sent.append((self.clock.now() // MS, data))  # type: ignore[method-assign]
        self.ports = ReconnectingPorts(lambda: made)
        self.ports._now = self.clock.now  # no thread is started that would keep the ports
        self.world = EndRepeatWorld(self.clock, self.ports)

    def play(self, *messages: tuple[int, bytes], until: int = 2_000) -> list[tuple[int, bytes]]:
        """Send messages as a conductor would, each at its time (ms); return all that was sent."""
        for at, data in messages:
            assert self.world.wait(at * MS) is None
            assert self.world.now() == at * MS
            self.ports.send(data, at * MS)
        assert self.world.wait(until * MS) is None
        return self.sent


def test_every_end_is_sent_once_more() -> None:
    again = 100 + DELAY_NS // MS
    played = [(0, ON), (100, OFF), (110, OTHER)]
    assert Desk().play(*played) == [*played, (again, OFF), (again + 10, OTHER)]


@pytest.mark.parametrize("struck", [101, 100 + DELAY_NS // MS])
def test_a_key_that_was_struck_again_is_not_ended(struck: int) -> None:
    played = [(0, ON), (100, OFF), (struck, ON)]
    desk = Desk()
    assert desk.play(*played) == played
    assert desk.ports.repeat_at is None


def test_a_key_that_ends_again_is_ended_once_more_after_that() -> None:
    played = [(0, ON), (100, OFF), (150, ON), (250, OFF)]
    assert Desk().play(*played) == [*played, (250 + DELAY_NS // MS, OFF)]


def test_where_losses_are_told_nothing_is_sent_again() -> None:
    played = [(0, ON), (100, OFF)]
    assert Desk(loses_ends=False).play(*played) == played


def test_events_come_meanwhile_as_they_would() -> None:
    desk = Desk()
    events: list[Event] = [MidiIn(350 * MS, b"\x90\x3c\x40"), MidiIn(450 * MS, b"\x80\x3c\x00"), Quit(2_000 * MS)]
    for event in events:
        desk.clock.put(event)
    desk.play((100, OFF), until=300)
    assert [desk.world.wait(None) for _ in events] == events
    assert desk.sent == [(100, OFF), (100 + DELAY_NS // MS, OFF)]


def test_ports_that_are_gone_meanwhile_are_sent_nothing() -> None:
    desk = Desk()
    desk.play((100, OFF), until=150)
    desk.ports._ports = None
    assert desk.world.wait(1_000 * MS) is None
    assert desk.sent == [(100, OFF)]
    assert desk.ports.repeat_at is None
