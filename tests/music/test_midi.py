"""The bytes of MIDI messages, and notes paired from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music import midi
from music.midi import TimedNote, note_off, note_on, pair_notes


def test_messages_are_their_bytes() -> None:
    assert note_on(9, 36, 100) == bytes.fromhex("99 24 64")
    assert note_off(1, 40) == bytes.fromhex("81 28 00")
    assert midi.control_change(0, midi.PEDAL, 127) == bytes.fromhex("b0 40 7f")
    assert midi.program_change(2, 33) == bytes.fromhex("c2 21")
    assert midi.all_notes_off(15) == bytes.fromhex("bf 7b 00")
    assert midi.with_channel(note_on(9, 36, 100), 1) == note_on(1, 36, 100)


@pytest.mark.parametrize(
    ("data", "begins", "ends", "system"),
    [
        ("90 3c 40", True, False, False),
        ("90 3c 00", False, True, False),  # running status favours note-ons of velocity 0 as ends
        ("8f 3c 40", False, True, False),
        ("90 3c", False, False, False),
        ("b0 40 7f", False, False, False),
        ("f8", False, False, True),
        ("f0 7d f7", False, False, True),
    ],
)
def test_a_message_is_told_by_its_status(data: str, begins: bool, ends: bool, system: bool) -> None:
    message = bytes.fromhex(data)
    assert (midi.is_note_on(message), midi.is_note_off(message), midi.is_system(message)) == (begins, ends, system)
    assert midi.is_note(message) == (begins or ends)


@pytest.mark.parametrize(
    "data",
    [
        "90 3c 40",
        "bf 7b 00",
        "e0 7f 7f",
        "c2 21",
        "d0 00",
        "f1 71",
        "f2 7f 7f",
        "f3 00",
        "f6",
        "f8",
        "fe",
        "ff",
        "f0 f7",
        "f0 7e 00 06 01 f7",
    ],
)
def test_whole_messages_are_valid(data: str) -> None:
    assert midi.is_valid_message(bytes.fromhex(data))


@pytest.mark.parametrize(
    "data",
    [
        "",
        "3c",  # no status
        "90 ae 64",  # a pitch above 127, as a broken cable makes it
        "90 3c 80",
        "90 3c",
        "90 3c 40 00",
        "c2 ff",
        "c2 21 00",
        "f2 00",
        "f4",  # no message has this status, nor the next two
        "f9",
        "fd",
        "f7",
        "f8 00",
        "f0",
        "f0 7e 00 06",  # no end
        "f0 7e 90 f7",  # another message has cut it off
    ],
)
def test_what_is_no_whole_message_is_not_valid(data: str) -> None:
    assert not midi.is_valid_message(bytes.fromhex(data))


def test_a_channel_message_has_kind_channel_and_key() -> None:
    message = note_on(9, 36, 100)
    assert (midi.kind_of(message), midi.channel_of(message), midi.key_of(message)) == (midi.NOTE_ON, 9, (9, 36))


def test_notes_are_paired_in_the_order_in_which_they_end() -> None:
    messages = [
        (0, note_on(0, 60, 80)),
        (0, note_on(1, 60, 70)),
        (3, midi.control_change(0, midi.PEDAL, 127)),
        (6, note_on(0, 60, 0)),
        (7, note_off(5, 60)),  # ends nothing
        (9, note_off(1, 60)),
    ]
    assert list(pair_notes(messages)) == [TimedNote(0, 60, 80, 0, 6), TimedNote(1, 60, 70, 0, 9)]


def test_a_note_without_an_end_ends_where_that_is_said_or_is_left_out() -> None:
    messages = [(2, note_on(0, 60, 80))]
    assert list(pair_notes(messages)) == []
    assert list(pair_notes(messages, 8)) == [TimedNote(0, 60, 80, 2, 8)]


def test_a_second_onset_ends_the_first_or_sounds_beside_it() -> None:
    messages = [(0, note_on(0, 60, 80)), (4, note_on(0, 60, 90)), (6, note_off(0, 60)), (8, note_off(0, 60))]
    assert list(pair_notes(messages)) == [TimedNote(0, 60, 80, 0, 4), TimedNote(0, 60, 90, 4, 6)]
    beside = [TimedNote(0, 60, 80, 0, 6), TimedNote(0, 60, 90, 4, 8)]
    assert list(pair_notes(messages, overlap=True)) == beside


CHANNEL_MESSAGES = st.builds(
    lambda status, channel, data: bytes((status | channel, *data[: 1 if status in (0xC0, 0xD0) else 2])),
    st.sampled_from([0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0]),
    st.integers(0, 15),
    st.lists(st.integers(0, 127), min_size=2, max_size=2),
)
SYSTEM_MESSAGES = st.one_of(
    st.sampled_from([b"\xf8", b"\xfa", b"\xff", b"\xf2\x01\x02", b"\xf6"]),
    st.binary(max_size=5).map(lambda data: b"\xf0" + bytes(byte & 127 for byte in data) + b"\xf7"),
)
MESSAGES = st.lists(st.one_of(CHANNEL_MESSAGES, SYSTEM_MESSAGES))


@given(MESSAGES, st.binary(max_size=5))
def test_messages_in_one_piece_are_taken_apart_whatever_was_not_ended_before_them(
    messages: list[bytes], rest: bytes
) -> None:
    assert all(map(midi.is_valid_message, messages))
    unfinished = b"\xf0" + bytes(byte & 127 for byte in rest)
    after = [b"\x90\x3c\x40", *messages]
    assert list(midi.split_messages(unfinished + b"".join(after))) == after


@given(st.binary(max_size=40))
def test_of_any_bytes_only_whole_messages_are_left(data: bytes) -> None:
    assert all(map(midi.is_valid_message, midi.split_messages(data)))
