"""The band's own notes, heard again."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from daemon.input.loopback_filter import MAX_LOOP_NS, LoopbackFilter

NOTE, END = b"\x91\x3c\x50", b"\x81\x3c\x00"
#: ways to say that NOTE ends
ENDS = (END, b"\x81\x3c\x40", b"\x91\x3c\x00")


def test_each_message_that_was_sent_excuses_one() -> None:
    loopback = LoopbackFilter()
    loopback.add(NOTE, 10)
    loopback.add(NOTE, 20)
    assert [loopback.is_own(NOTE, 30) for _ in range(3)] == [True, True, False]


def test_each_port_may_hear_it() -> None:
    loopback = LoopbackFilter()
    loopback.add(NOTE, 10)
    assert [loopback.is_own(NOTE, 30, port) for port in (1, 2, 1)] == [True, True, False]


@pytest.mark.parametrize("end", ENDS)
def test_an_end_is_its_own_where_the_note_was(end: bytes) -> None:
    loopback = LoopbackFilter()
    loopback.add(NOTE, 10)
    assert loopback.is_own(NOTE, 20)
    loopback.add(END, 1_000)
    assert not loopback.is_own(end, 1_010, 1)
    assert loopback.is_own(end, 1_010)
    assert not loopback.is_own(end, 1_020)


@pytest.mark.parametrize("end", ENDS)
def test_a_players_end_is_heard_though_the_band_ended_the_same_note(end: bytes) -> None:
    loopback = LoopbackFilter()
    loopback.add(NOTE, 10)
    loopback.add(END, 1_000)
    assert not loopback.is_own(end, 1_010)
    assert not loopback.is_own(b"\x91\x3c\x51", 1_015)
    assert not loopback.is_own(end, 1_020)


def test_an_end_is_a_players_until_the_band_has_ended_the_note_that_came_back() -> None:
    loopback = LoopbackFilter()
    loopback.add(END, 5)
    loopback.add(NOTE, 10)
    assert loopback.is_own(NOTE, 20)
    assert not loopback.is_own(END, 30)
    loopback.add(END, 40)
    assert loopback.is_own(END, 50)


def note(number: int) -> bytes:
    return bytes((0x91, 40 + number, 80))


def send_notes(loopback: LoopbackFilter, count: int, back: Iterable[int], port: int = 0) -> list[bool]:
    """Send notes one after the other, of which some are heard a little later; return which of these are own."""
    heard = set(back)
    own = []
    for number in range(count):
        loopback.add(note(number), number * MAX_LOOP_NS)
        if number in heard:
            own.append(loopback.is_own(note(number), number * MAX_LOOP_NS + 30, port))
    return own


def test_a_player_who_strikes_the_bands_key_just_as_hard_is_heard() -> None:
    assert send_notes(LoopbackFilter(), 40, (5, 12, 13, 31)) == [False] * 4


def test_a_wire_that_loses_a_note_now_and_then_is_still_one() -> None:
    assert send_notes(LoopbackFilter(), 40, [number for number in range(40) if number % 6 != 3]) == [True] * 33


def test_a_wire_that_is_made_meanwhile_is_known_after_three_notes() -> None:
    assert send_notes(LoopbackFilter(), 40, range(20, 40)) == [False] * 3 + [True] * 17


def test_the_notes_of_a_chord_come_back_in_any_order() -> None:
    loopback = LoopbackFilter()
    for beat in range(9):
        for number in range(3):
            loopback.add(note(number), beat * MAX_LOOP_NS)
        assert all(loopback.is_own(note(number), beat * MAX_LOOP_NS + 10) for number in (2, 0, 1))


def test_what_comes_before_it_was_sent_or_long_after_is_somebody_elses() -> None:
    loopback = LoopbackFilter()
    loopback.add(NOTE, 100)
    assert not loopback.is_own(NOTE, 99)
    assert not loopback.is_own(NOTE, 101 + MAX_LOOP_NS)
    assert not loopback.is_own(b"\x90\x3c\x50", 110)


def test_it_forgets() -> None:
    loopback = LoopbackFilter()
    for i in range(100_000):
        loopback.add(bytes((0x90, i // 128 % 128, i % 128)), i * MAX_LOOP_NS // 100)
    assert len(loopback._sent) < 3_000
