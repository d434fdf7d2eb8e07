from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.input.melody import CHORD_SPREAD_TICKS, HELD_TICKS, STUCK_TICKS, MelodyTracker
from daemon.input.melody_channels import MelodyChannels
from music.note import Note

ALL = (-(1 << 62), 1 << 62)
Heard = tuple[int, int, int]  # start, pitch, end


def on(pitch: int, velocity: int = 80, channel: int = 0) -> bytes:
    return bytes((0x90 | channel, pitch, velocity))


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes((0x80 | channel, pitch, 64))


def control(number: int, value: int, channel: int = 0) -> bytes:
    return bytes((0xB0 | channel, number, value))


def melody(messages: Iterable[tuple[int, bytes]], split: int = 0, heard: int = 10_000) -> list[Heard]:
    tracker = MelodyTracker(split)
    for tick, data in messages:
        tracker.hear(tick, data)
    return [(n.start, n.pitch, n.end) for n in tracker.notes(ALL[0], heard)]


def test_a_note_is_heard_from_its_onset_and_ends_where_one_has_heard_to() -> None:
    tracker = MelodyTracker()
    assert tracker.hear(10, on(60, 70)) is True
    assert tracker.notes(ALL[0], 10) == ()
    assert tracker.notes(ALL[0], 11) == (Note(10, 60, 1, 70),)
    assert tracker.hear(30, off(60)) is False
    assert tracker.notes(ALL[0], 20) == (Note(10, 60, 10, 70),)
    assert tracker.notes(ALL[0], 99) == (Note(10, 60, 20, 70),)
    assert tracker.notes(30, 99) == ()


def test_note_on_with_velocity_zero_is_an_off() -> None:
    assert melody([(0, on(60)), (6, on(60, 0))]) == [(0, 60, 6)]


def test_the_top_voice_is_the_melody() -> None:
    high_over_low = [(0, on(48)), (6, on(72)), (11, on(50)), (24, off(72)), (30, off(48)), (30, off(50))]
    assert melody(high_over_low) == [(0, 48, 6), (6, 72, 24)]


@pytest.mark.parametrize("order", [(60, 64, 67), (67, 64, 60), (64, 67, 60)])
def test_a_chord_is_heard_as_its_top(order: tuple[int, ...]) -> None:
    down = [(i, on(pitch)) for i, pitch in enumerate(order)]
    up = [(24, off(pitch)) for pitch in order]
    assert melody(down + up) == [(order.index(67), 67, 24)]


def test_legato_downwards() -> None:
    assert melody([(0, on(72)), (24, on(69)), (26, off(72)), (48, off(69))]) == [(0, 72, 24), (24, 69, 48)]


def test_legato_upwards() -> None:
    assert melody([(0, on(69)), (24, on(72)), (26, off(69)), (48, off(72))]) == [(0, 69, 24), (24, 72, 48)]


def test_a_chord_held_below_does_not_become_the_melody_between_its_notes() -> None:
    messages = [(0, on(48)), (0, on(72)), (20, off(72)), (24, on(74)), (44, off(74)), (96, off(48))]
    assert melody(messages) == [(0, 72, 20), (24, 74, 44)]


def test_the_pedal_lengthens_a_note_until_it_is_lifted() -> None:
    messages = [(0, control(64, 127)), (0, on(72)), (6, off(72)), (40, control(64, 0))]
    assert melody(messages) == [(0, 72, 40)]


def test_the_pedal_lengthens_a_note_until_the_next_which_may_be_lower() -> None:
    messages = [(0, control(64, 127)), (0, on(72)), (6, off(72)), (24, on(60)), (30, off(60)), (48, control(64, 63))]
    assert melody(messages) == [(0, 72, 24), (24, 60, 48)]


@pytest.mark.parametrize("channel", [1, 9])
def test_the_pedal_of_another_channel_is_another_instrument(channel: int) -> None:
    other = [(0, on(40, channel=channel)), (1, off(40, channel)), (1, control(64, 127, channel))]
    assert melody([*other, (2, on(72)), (6, off(72))])[-1] == (2, 72, 6)


def test_a_pedal_whose_channel_has_no_keys_holds_those_of_all() -> None:
    held = [(0, control(64, 127, 5)), (0, on(72)), (6, off(72))]
    assert melody([*held, (40, control(64, 0, 5))]) == [(0, 72, 40)]
    assert melody([*held, (20, on(60, channel=5)), (30, off(60, channel=5)), (40, control(64, 0, 5))]) == [
        (0, 72, 20),
        (20, 60, 40),
    ]


def test_keys_of_two_ports_are_two() -> None:
    tracker = MelodyTracker()
    for tick, data, port in ((0, on(60), 1), (6, on(60), 2), (12, off(60), 1), (24, off(60), 2)):
        tracker.hear(tick, data, port)
    assert [(n.start, n.pitch, n.end) for n in tracker.notes(*ALL)] == [(0, 60, 6), (6, 60, 24)]


def make_mpe(members: int = 15, manager: int = 0) -> MelodyChannels:
    channels = MelodyChannels()
    for number, value in ((101, 0), (100, 6), (6, members)):
        channels.hear(control(number, value, manager))
    return channels


@pytest.mark.parametrize(("manager", "member", "outside"), [(0, 4, 12), (15, 12, 4)])
def test_the_pedal_of_a_zones_manager_holds_the_zone(manager: int, member: int, outside: int) -> None:
    tracker = MelodyTracker(channels=make_mpe(7, manager))
    messages = [on(50, channel=manager), off(50, manager), control(64, 127, manager)]
    messages += [on(72, channel=member), off(72, member), on(60, channel=outside), off(60, outside)]
    for number, data in enumerate(messages):
        tracker.hear(6 * number, data)
    tracker.hear(90, control(64, 0, manager))
    assert [(n.start, n.pitch, n.end) for n in tracker.notes(*ALL)] == [(0, 50, 6), (18, 72, 30), (30, 60, 36)]


@pytest.mark.parametrize(("number", "end"), [(120, 50), (121, 60), (123, 90)])
def test_what_a_zones_manager_says_holds_for_the_zone(number: int, end: int) -> None:
    tracker = MelodyTracker(channels=make_mpe())
    messages = ((0, control(64, 127, 3)), (40, on(79, channel=3)), (50, control(number, 0)), (60, off(79, 3)))
    for tick, data in (*messages, (90, control(64, 0, 3))):
        tracker.hear(tick, data)
    assert [n.end for n in tracker.notes(*ALL)] == [end]


def test_every_channel_of_a_zone_is_melody() -> None:
    tracker = MelodyTracker(channels=make_mpe())
    assert all(tracker.hear(channel * 6, on(60, channel=channel)) for channel in range(16))


@pytest.mark.parametrize("channel", [9, 15])
def test_the_channel_that_the_player_names_is_melody(channel: int) -> None:
    tracker = MelodyTracker(channels=MelodyChannels(channel))
    assert not tracker.hear(0, on(60))
    assert tracker.hear(0, on(60, channel=channel))


def test_keys_whose_offs_were_lost_are_up_when_nobody_has_moved_for_long() -> None:
    tracker = MelodyTracker()
    for tick, data in ((0, on(60)), (0, on(64)), (6, on(72)), (12, off(72)), (24, on(74)), (30, off(74))):
        tracker.hear(tick, data)
    assert tracker.silent_since(29 + HELD_TICKS) is None
    assert tracker.silent_since(30 + HELD_TICKS) == 30 + HELD_TICKS
    tracker.hear(5_000, on(62))
    assert tracker.silent_since(5_000) is None
    tracker.hear(5_006, off(62))
    assert tracker.silent_since(5_006) == 5_006  # the lost ones count no more


@pytest.mark.parametrize("split", [0, 70])
def test_one_key_that_was_left_behind_is_no_held_chord(split: int) -> None:
    tracker = MelodyTracker(split)
    tracker.hear(0, on(60))
    for tick in range(24, 240, 24):
        tracker.hear(tick, on(72))
        tracker.hear(tick + 12, off(72))
    assert tracker.silent_since(STUCK_TICKS - 1) is None
    assert tracker.silent_since(STUCK_TICKS) == STUCK_TICKS
    tracker.hear(600, on(72))
    assert tracker.silent_since(700) is None
    tracker.hear(700, off(72))
    assert tracker.silent_since(700) == 700


def test_one_key_that_was_struck_last_is_held() -> None:
    tracker = MelodyTracker()
    for tick, data in ((0, on(72)), (12, off(72)), (24, on(60)), (26, on(64)), (40, off(64))):
        tracker.hear(tick, data)
    assert tracker.silent_since(39 + HELD_TICKS) is None


def test_a_note_that_nobody_holds_any_longer_ends_for_the_players_too() -> None:
    tracker = MelodyTracker()
    tracker.hear(0, on(60))
    assert [n.end for n in tracker.notes(ALL[0], 100)] == [100]
    assert [n.end for n in tracker.notes(ALL[0], 9_000)] == [HELD_TICKS]
    assert tracker.notes(HELD_TICKS, 9_000) == ()
    tracker.hear(9_000, off(60))
    assert [n.end for n in tracker.notes(*ALL)] == [HELD_TICKS]
    assert tracker.silent_since(9_000) == HELD_TICKS


def test_who_plays_on_holds_what_he_holds() -> None:
    tracker = MelodyTracker()
    tracker.hear(0, on(40))
    tracker.hear(0, on(47))
    for tick in range(24, 4_800, 24):
        tracker.hear(tick, on(72))
        tracker.hear(tick + 12, off(72))
    assert tracker.silent_since(4_800) is None


def test_all_notes_off_leaves_what_the_pedal_holds() -> None:
    held = [(0, control(64, 127)), (0, on(72))]
    assert melody([*held, (9, control(123, 0)), (20, control(64, 0))]) == [(0, 72, 20)]
    assert melody([*held, (9, control(120, 0)), (20, control(64, 0))]) == [(0, 72, 9)]


def test_keys_and_pedals_of_channels_are_released() -> None:
    tracker = MelodyTracker()
    tracker.hear(0, control(64, 127, 2), 1)
    tracker.hear(0, on(72, channel=2), 1)
    tracker.release_channels(12, 2, range(16))
    assert tracker.silent_since(12) is None
    tracker.release_channels(18, 1, range(16))
    assert tracker.notes(*ALL) == (Note(0, 72, 18, 80),)
    assert tracker.silent_since(18) == 18


@pytest.mark.parametrize("number", [64, 121])
def test_reset_controllers_lifts_the_pedal(number: int) -> None:
    assert melody([(0, control(64, 127)), (0, on(72)), (6, off(72)), (9, control(number, 0))]) == [(0, 72, 9)]


@pytest.mark.parametrize("number", [120, 123])
def test_all_notes_off(number: int) -> None:
    assert melody([(0, on(72)), (9, control(number, 0)), (20, off(72)), (24, on(50)), (30, off(50))]) == [
        (0, 72, 9),
        (24, 50, 30),
    ]


def test_what_lies_below_the_split_is_not_heard() -> None:
    assert melody([(0, on(59)), (6, on(60)), (12, off(60)), (18, off(59))], split=60) == [(6, 60, 12)]


def test_drums_are_no_melody() -> None:
    assert melody([(0, on(60, channel=9)), (6, off(60, channel=9))]) == []


def test_a_note_struck_again_without_an_off_begins_again() -> None:
    assert melody([(0, on(60)), (12, on(60)), (18, off(60))]) == [(0, 60, 12), (12, 60, 18)]


def test_a_lost_off_hides_what_is_below_for_some_bars_only() -> None:
    stuck = [(0, on(90)), (24, on(60)), (30, off(60)), (STUCK_TICKS + 1, on(62)), (STUCK_TICKS + 7, off(62))]
    assert melody(stuck) == [(0, 90, STUCK_TICKS + 1), (STUCK_TICKS + 1, 62, STUCK_TICKS + 7)]


def test_staccato_within_a_tick_is_a_note() -> None:
    assert melody([(0, on(60)), (0, off(60)), (6, on(62)), (6, off(62))]) == [(0, 60, 1), (6, 62, 7)]


def test_the_level_is_followed_in_time_however_many_notes_there_are() -> None:
    """Four beats after a change, what was before counts 1 / e, whether the beats have one note each or four."""
    found = []
    for gap in (24, 6):
        tracker = MelodyTracker()
        tracker.hear(0, on(60, 40))
        for tick in range(gap, 97, gap):
            tracker.hear(tick, on(60, 100))
        found.append(tracker.level)
    assert found == pytest.approx([100 - 60 * math.exp(-1)] * 2)


def test_the_level_follows_the_player() -> None:
    tracker = MelodyTracker()
    assert tracker.level == 0
    tracker.hear(0, on(60, 40))
    assert tracker.level == 40
    for i in range(1, 60):
        tracker.hear(i * 6, on(60, 120))
    assert 117 < tracker.level <= 120


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=5)), max_size=200))
def test_any_bytes_leave_one_voice_in_order(messages: list[tuple[int, bytes]]) -> None:
    _check_one_voice(messages)


_LIVELY = st.one_of(
    st.builds(on, st.integers(55, 75), st.integers(0, 127), st.integers(0, 1)),
    st.builds(off, st.integers(55, 75), st.integers(0, 1)),
    st.builds(control, st.sampled_from([64, 120, 121, 123]), st.integers(0, 127), st.integers(0, 1)),
)


@given(st.lists(st.tuples(st.integers(0, 8), _LIVELY), max_size=100))
def test_any_playing_leaves_one_voice_in_order(messages: list[tuple[int, bytes]]) -> None:
    _check_one_voice(messages)


def _check_one_voice(messages: list[tuple[int, bytes]]) -> None:
    tracker = MelodyTracker()
    tick = 0
    for after, data in messages:
        tick += after
        tracker.hear(tick, data)
        notes = tracker.notes(ALL[0], tick)
        assert all(a.end <= b.start for a, b in pairwise(notes))
        assert all(n.start < tick and n.end <= tick for n in notes)
    tracker.release(tick)
    assert len(tracker.notes(*ALL)) <= tick + 1


@given(st.lists(st.tuples(st.integers(0, 8), _LIVELY), max_size=60), st.integers(0, 200))
def test_what_comes_later_does_not_reach_back(messages: list[tuple[int, bytes]], cut: int) -> None:
    """Notes as of a tick are the same when a later one has already come in, unless both are one chord."""
    tracker = MelodyTracker()
    tick = 0
    for after, data in messages:
        tick += after
        if tick >= cut:
            break
        tracker.hear(tick, data)
    before = tracker.notes(ALL[0], cut)
    tracker.hear(cut + CHORD_SPREAD_TICKS, on(100))
    assert tracker.notes(ALL[0], cut) == before


def test_a_flood_takes_no_room() -> None:
    tracker = MelodyTracker()
    for i in range(20_000):
        tracker.hear(0, on(i % 128, 1 + i % 127, i % 9))
    assert len(tracker.notes(*ALL)) <= 1
