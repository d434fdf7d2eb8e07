"""Sources that vanish, fall silent or are reset, on virtual time: their keys go up, and no others."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.events import Event, MidiIn, Quit, SourceLost
from daemon.input.sources import SENSING_TIMEOUT_NS, SourceWorld
from daemon.offline.virtual_world import VirtualWorld
from music.midi import control_change, is_note, is_note_on, key_of, note_off, note_on
from tests.support.fakes import MS

SENSING, RESET, CLOCK = b"\xfe", b"\xff", b"\xf8"
PEDAL = 64
KEY, UP = note_on(2, 60, 80), note_off(2, 60)


def hear(*events: Event, until: int = 10_000 * MS) -> list[Event]:
    """Return what a conductor hears, but for the end."""
    world = VirtualWorld()
    for scripted in (*events, Quit(until)):
        world.put(scripted)
    sources, heard = SourceWorld(world), list[Event]()
    while True:
        event = sources.wait(None)
        assert event is not None
        if isinstance(event, Quit):
            return heard
        heard.append(event)


def test_a_source_that_is_lost_lets_go_of_its_keys_and_pedals_and_of_no_others() -> None:
    down = [
        MidiIn(0, KEY, 1),
        MidiIn(0, note_on(2, 64, 80), 1),
        MidiIn(1, UP, 1),
        MidiIn(2, control_change(3, PEDAL, 127), 1),
        MidiIn(3, KEY, 2),
    ]
    assert hear(*down, SourceLost(9, 1)) == [
        *down,
        MidiIn(9, note_off(2, 64), 1),
        MidiIn(9, control_change(3, PEDAL, 0), 1),
    ]
    assert hear(*down, SourceLost(9)) == [
        *down,
        MidiIn(9, note_off(2, 64), 1),
        MidiIn(9, control_change(3, PEDAL, 0), 1),
        MidiIn(9, UP, 2),
    ]


def test_what_is_up_is_not_let_go_of_again() -> None:
    played = [MidiIn(0, KEY, 1), MidiIn(1, b"\x92\x3c\x00", 1)]
    assert hear(*played, SourceLost(2, 1), SourceLost(3, 1)) == played


def test_a_key_of_which_nobody_knew_the_source_goes_up_wherever_its_end_comes_from() -> None:
    assert hear(MidiIn(0, KEY), MidiIn(1, UP, 3)) == [MidiIn(0, KEY), MidiIn(1, UP)]
    assert hear(MidiIn(0, KEY), MidiIn(1, KEY, 3), MidiIn(2, UP, 3)) == [
        MidiIn(0, KEY),
        MidiIn(1, KEY, 3),
        MidiIn(2, UP, 3),
    ]
    assert hear(MidiIn(0, KEY), SourceLost(1, 3)) == [MidiIn(0, KEY), MidiIn(1, UP)]


def test_a_reset_lets_go_of_the_keys_of_its_port() -> None:
    down = [MidiIn(0, KEY, 1), MidiIn(0, KEY, 2)]
    assert hear(*down, MidiIn(5, RESET, 2)) == [*down, MidiIn(5, UP, 2), MidiIn(5, RESET, 2)]


def test_a_source_that_senses_is_gone_when_nothing_comes() -> None:
    sensed = [MidiIn(i * 300 * MS, SENSING, 1) for i in range(5)]
    last = sensed[-1].at
    assert hear(MidiIn(1, KEY, 1), MidiIn(2, KEY, 2), *sensed) == [
        MidiIn(1, KEY, 1),
        MidiIn(2, KEY, 2),
        MidiIn(last + SENSING_TIMEOUT_NS, UP, 1),
    ]


def test_whatever_comes_is_a_sign_of_life() -> None:
    alive = [MidiIn(i * 400 * MS, data, 1) for i, data in enumerate([CLOCK, b"\xd2\x10", b"\xb2\x01\x05"] * 8)]
    found = hear(MidiIn(0, SENSING, 1), MidiIn(0, KEY, 1), *alive, until=9_500 * MS)
    assert found == [MidiIn(0, KEY, 1), *alive]


def test_who_never_senses_may_be_silent() -> None:
    assert hear(MidiIn(0, KEY, 1), until=3_600_000 * MS) == [MidiIn(0, KEY, 1)]


def test_after_a_silence_it_is_expected_to_sense_no_more_until_it_does() -> None:
    first = SENSING_TIMEOUT_NS
    again = [MidiIn(first + 10, KEY, 1), MidiIn(first * 9, SENSING, 1)]
    assert hear(MidiIn(0, SENSING, 1), *again) == [again[0], MidiIn(first * 10, UP, 1)]


def test_a_deadline_is_kept_while_a_source_senses() -> None:
    world = VirtualWorld()
    world.put(MidiIn(0, SENSING, 1))
    world.put(MidiIn(1, KEY, 1))
    sources = SourceWorld(world)
    assert sources.wait(5) == MidiIn(1, KEY, 1)
    assert (sources.wait(77), sources.now()) == (None, 77)
    assert (sources.wait(1 + SENSING_TIMEOUT_NS), sources.now()) == (
        MidiIn(1 + SENSING_TIMEOUT_NS, UP, 1),
        1 + SENSING_TIMEOUT_NS,
    )


_EVENTS = st.lists(
    st.one_of(
        st.builds(lambda c, p, v, port: MidiIn(0, note_on(c, p, v), port), *[st.integers(0, 3)] * 4),
        st.builds(lambda c, p, port: MidiIn(0, note_off(c, p), port), *[st.integers(0, 3)] * 3),
        st.builds(lambda port: SourceLost(0, port), st.one_of(st.none(), st.integers(0, 3))),
        st.builds(lambda port, data: MidiIn(0, data, port), st.integers(0, 3), st.sampled_from([SENSING, RESET])),
    ),
    max_size=80,
)


@given(_EVENTS)
def test_nothing_is_down_in_the_end(events: Iterable[Event]) -> None:
    down: set[tuple[int, ...]] = set()
    for event in hear(*events, SourceLost(5)):
        if isinstance(event, MidiIn) and is_note(event.data):
            key = event.port, *key_of(event.data)
            (down.add if is_note_on(event.data) else down.discard)(key)
    assert not down
