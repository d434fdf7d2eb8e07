"""Channels of melody, and the zones of MPE."""

from __future__ import annotations

import pytest

from daemon.input.melody_channels import MelodyChannels

DRUMS = 9


def control(number: int, value: int, channel: int = 0) -> bytes:
    return bytes((0xB0 | channel, number, value))


def configure(channels: MelodyChannels, members: int, manager: int = 0, port: int = 0) -> range:
    for number, value in ((101, 0), (100, 6)):
        assert not channels.hear(control(number, value, manager), port)
    return channels.hear(control(6, members, manager), port)


def zones(channels: MelodyChannels, port: int = 0) -> str:
    """Return what each channel is a part of: lower, upper or no zone."""
    names = {None: "-", 0: "l", 15: "u"}
    return "".join(names[channels.find_manager(channel, port)] for channel in range(16))


def test_without_a_zone_all_but_the_drums_are_melody() -> None:
    channels = MelodyChannels()
    assert [channel for channel in range(16) if not channels.has(channel)] == [DRUMS]
    assert not any(channels.has_been_chosen(channel) for channel in range(16))


def test_zones_lie_where_the_standard_says() -> None:
    channels = MelodyChannels()
    assert configure(channels, 5) == range(6)
    assert zones(channels) == "llllll----------"
    assert configure(channels, 3, 15) == range(12, 16)
    assert zones(channels) == "llllll------uuuu"
    assert configure(channels, 12) == range(13)
    assert zones(channels) == "lllllllllllll-uu"[:13] + "uuu"
    assert configure(channels, 15) == range(16)
    assert zones(channels) == "l" * 16
    assert configure(channels, 14, 15) == range(1, 16)
    assert zones(channels) == "-" + "u" * 15
    assert configure(channels, 0, 15) == range(1, 16)
    assert zones(channels) == "-" * 16


@pytest.mark.parametrize("said", [(101, 1), (100, 5), (99, 0), (98, 6), (101, 127)])
def test_another_parameter_makes_no_zone(said: tuple[int, int]) -> None:
    channels = MelodyChannels()
    for number, value in ((101, 0), (100, 6), said, (6, 15)):
        assert not channels.hear(control(number, value))
    assert zones(channels) == "-" * 16


def test_only_managers_make_zones_and_only_of_channels_that_there_are() -> None:
    channels = MelodyChannels()
    assert not configure(channels, 5, 3)
    assert not configure(channels, 16)
    assert zones(channels) == "-" * 16


def test_both_orders_of_the_parameter_are_understood_and_it_may_be_set_again() -> None:
    channels = MelodyChannels()
    for number, value in ((100, 6), (101, 0), (38, 0), (6, 4)):
        channels.hear(control(number, value))
    assert zones(channels) == "lllll" + "-" * 11
    channels.hear(control(6, 2))
    assert zones(channels) == "lll" + "-" * 13


def test_each_port_has_its_own_zones() -> None:
    channels = MelodyChannels()
    configure(channels, 15, port=2)
    assert zones(channels, 1) == "-" * 16
    assert zones(channels, 2) == "l" * 16
    assert channels.has(DRUMS, 2)
    assert channels.has_been_chosen(15, 2)
    assert not channels.has(DRUMS, 1)


def test_a_system_reset_ends_the_zones_of_its_port() -> None:
    channels = MelodyChannels()
    configure(channels, 15, port=1)
    configure(channels, 15, port=2)
    assert channels.hear(b"\xff", 1) == range(16)
    assert (zones(channels, 1), zones(channels, 2)) == ("-" * 16, "l" * 16)


def test_the_player_names_a_channel_and_with_a_manager_its_zone() -> None:
    channels = MelodyChannels(0)
    assert [channel for channel in range(16) if channels.has(channel)] == [0]
    configure(channels, 3)
    assert [channel for channel in range(16) if channels.has(channel)] == [0, 1, 2, 3]
    member = MelodyChannels(2)
    configure(member, 3)
    assert [channel for channel in range(16) if member.has(channel)] == [2]


@pytest.mark.parametrize("data", [b"\xf8", b"\xb0", b"\xb0\x65", b"\xf0\x01\xf7", b"\x90\x06\x0f", b"\xff"])
def test_any_message_may_come(data: bytes) -> None:
    assert MelodyChannels().hear(data) in (range(0), range(16))
