"""Channels of the synthesiser for what is played."""

from __future__ import annotations

from daemon.sound.melody_voices import FREE_CHANNELS, MEMBER_BEND_SEMITONES, MelodyVoices
from music.midi import control_change, note_off, note_on

ZONE = [control_change(0, number, value) for number, value in ((101, 0), (100, 6), (6, 15))]
BEND = bytes((0xE3, 0, 80))


def passed(*messages: bytes) -> list[bytes]:
    voices = MelodyVoices()
    return [made for data in messages for made in voices.pass_on(data)]


def set_up(voice: int) -> list[bytes]:
    return [control_change(voice, number, value) for number, value in ((101, 0), (100, 0), (6, MEMBER_BEND_SEMITONES))]


def test_without_a_zone_all_goes_to_the_melodys_channel() -> None:
    assert passed(note_on(3, 60, 80), BEND, control_change(5, 64, 127), note_off(3, 60)) == [
        note_on(0, 60, 80),
        b"\xe0\x00\x50",
        control_change(0, 64, 127),
        note_off(0, 60),
    ]


def test_one_key_on_two_channels_ends_with_the_last() -> None:
    assert passed(note_on(3, 60, 80), note_on(4, 60, 70), note_off(3, 60), note_off(4, 60)) == [
        note_on(0, 60, 80),
        note_on(0, 60, 70),
        note_off(0, 60),
    ]


def test_a_members_bend_concerns_its_note_alone_and_the_managers_pedal_all() -> None:
    first, second = FREE_CHANNELS[:2]
    played = passed(*ZONE, note_on(3, 60, 80), note_on(4, 60, 80), BEND, control_change(0, 64, 127), note_off(3, 60))
    assert played[len(ZONE) :] == [
        *[*set_up(first), note_on(first, 60, 80)],
        *[*set_up(second), note_on(second, 60, 80)],
        bytes((0xE0 | first, 0, 80)),
        *(control_change(voice, 64, 127) for voice in (0, first, second)),
        note_off(first, 60),
    ]


def test_of_many_members_the_one_that_played_longest_ago_gives_its_channel_up() -> None:
    notes = [note_on(member, 60, 80) for member in range(1, 16)]
    made = passed(*ZONE, *notes)
    ends = [data for data in made if data[0] & 0xF0 == 0x80]
    assert ends == [note_off(channel, 60) for channel in FREE_CHANNELS[: 15 - len(FREE_CHANNELS)]]
    onsets = [data for data in made if data[0] & 0xF0 == 0x90]
    assert [data[0] & 0x0F for data in onsets] == [*FREE_CHANNELS, *FREE_CHANNELS[: 15 - len(FREE_CHANNELS)]]


def test_what_is_no_channel_message_is_not_passed_on() -> None:
    assert passed(b"\xf8", b"\xff", b"\xc0\x05", b"\xf0\x01\xf7") == []
