"""The transport alone: every transition, where ticks lie, and the grid it walks along."""

from __future__ import annotations

import pytest

from daemon.core.tempo import NS_PER_S, TempoMap
from daemon.engine.song import SongInfo
from daemon.engine.transport import SLEEP_NS, STALL_TICKS, Stall, Transport, TransportState
from music.note import Metre

AT_120 = TempoMap(500_000)
SECOND = NS_PER_S


def known() -> Transport:
    """One that knows from the start where its ticks lie."""
    return Transport(SongInfo(TempoMap(500_000)))


def test_it_waits_for_a_note_that_says_where_bar_1_is() -> None:
    transport = Transport(SongInfo(bpm=100, pickup=24))
    assert (transport.state, transport.anchored, transport.tempo) == (TransportState.ARMED, False, None)
    assert (transport.tick_at(SECOND), transport.tick_of_input(SECOND)) == (0, -24)
    transport.anchor(-24, SECOND)
    assert (transport.state, transport.anchored) == (TransportState.ARMED, True)
    assert transport.tempo is not None
    assert (transport.tempo.ns_at(-24), transport.tempo.us_at(0)) == (SECOND, 600_000)
    assert transport.tick_of_input(SECOND) == -24


def test_where_the_song_says_where_bar_1_is_nothing_is_waited_for() -> None:
    assert known().anchored
    assert known().tick_of_input(AT_120.ns_at(7)) == 7


def test_a_count_in_says_where_bar_1_is() -> None:
    transport = Transport(SongInfo(count_in=2, metres=((0, Metre(3, 4)),)))
    clicks = transport.count_in(SECOND)
    assert [(n.start, n.pitch, n.length, n.velocity) for n in clicks] == [
        (-144, 76, 3, 100),
        (-120, 77, 3, 100),
        (-96, 77, 3, 100),
        (-72, 76, 3, 100),
        (-48, 77, 3, 100),
        (-24, 77, 3, 100),
    ]
    assert (transport.tick_at(SECOND), transport.anchored) == (-144, True)


def test_it_begins_in_the_middle_of_a_step_and_walks_by_halves() -> None:
    transport = known()
    assert (transport.next_tick(None), transport.next_tick(40)) == (None, 40)
    transport.begin(2)
    assert (transport.state, transport.playing, transport.armed) == (TransportState.PLAYING, True, False)
    assert (transport.next_tick(None), transport.next_tick(40), transport.next_tick(3)) == (15, 15, 3)
    assert (transport.is_at_grid(15), transport.is_at_grid(12), transport.last_step) == (True, False, 2)
    transport.pass_grid()
    assert (transport.next_tick(None), transport.last_step) == (18, 2)
    transport.pass_grid()
    assert (transport.next_tick(None), transport.last_step) == (21, 3)


def test_skipping_goes_to_the_grid_and_never_back() -> None:
    transport = known()
    transport.begin(2)
    transport.skip_to(19)
    assert transport.grid == 21
    transport.skip_to(3)
    assert transport.grid == 21


def test_a_stop_waits_to_be_armed_and_arming_changes_nothing_while_it_plays() -> None:
    transport = known()
    transport.begin(0)
    transport.arm()
    assert transport.state is TransportState.PLAYING
    transport.stop()
    assert (transport.state, transport.playing, transport.armed) == (TransportState.STOPPED, False, False)
    assert not transport.is_at_grid(transport.grid)
    transport.arm()
    assert (transport.state, transport.armed) == (TransportState.ARMED, True)


@pytest.mark.parametrize(
    ("song", "led", "anchored"),
    [
        (SongInfo(), False, False),
        (SongInfo(), True, True),
        (SongInfo(count_in=1), False, True),
        (SongInfo(TempoMap(500_000)), False, True),
    ],
)
def test_after_a_stop_the_next_note_says_where_bar_1_is_unless_that_was_given(
    song: SongInfo, led: bool, anchored: bool
) -> None:
    transport = Transport(song)
    if song.count_in:
        transport.count_in(0)
    elif not transport.anchored:
        transport.anchor(0, 0)
    transport.led = led
    transport.begin(0)
    transport.stop()
    assert transport.anchored is anchored


def test_a_second_performance_begins_at_the_next_bar_with_its_pickup_before_it() -> None:
    transport = Transport(SongInfo(pickup=24))
    transport.anchor(-24, 0)
    transport.begin(-4)
    transport.stop()
    assert transport.tempo is not None
    now = transport.tempo.ns_at(100)
    assert transport.tick_of_input(now) == 2 * 96 - 24
    transport.anchor(168, now)
    assert transport.tick_at(now) == 168


@pytest.mark.parametrize("state", [TransportState.STOPPED, TransportState.ARMED, TransportState.PLAYING])
def test_held_nothing_is_due_and_released_it_is_as_before(state: TransportState) -> None:
    transport = known()
    if state is TransportState.PLAYING:
        transport.begin(0)
    elif state is TransportState.STOPPED:
        transport.stop()
    assert transport.state is state
    before = transport.next_tick(1), transport.next_tick(None)
    transport.hold(SECOND)
    assert (transport.state, transport.held_since) == (TransportState.HELD, SECOND)
    assert (transport.next_tick(1), transport.find_stall(10_000)) == (None, None)
    assert transport.playing is (state is TransportState.PLAYING)
    transport.release()
    assert (transport.state, transport.held_since) == (state, None)
    assert (transport.next_tick(1), transport.next_tick(None)) == before


def test_a_leap_goes_forward_and_ends_armed() -> None:
    transport = known()
    transport.begin(0)
    at = AT_120.ns_at(50)
    transport.leap(96, at, 250_000)
    assert (transport.state, transport.tick_at(at)) == (TransportState.ARMED, 96)
    assert transport.tick_at(at + SECOND // 4) == 120
    with pytest.raises(ValueError, match="no leap forward"):
        transport.leap(96, at + SECOND, 250_000)


def test_the_tempo_changes_from_the_next_tick_on_unless_a_clock_leads() -> None:
    transport = known()
    transport.change_tempo(AT_120.ns_at(24) + 1, 60)
    assert transport.tempo is not None
    assert (transport.us, transport.tempo.marks) == (1_000_000, ((0, 500_000), (25, 1_000_000)))
    transport.led = True
    transport.change_tempo(AT_120.ns_at(24) + 1, 90)
    assert (transport.us, transport.tempo.marks) == (1_000_000, ((0, 500_000), (25, 1_000_000)))


def test_a_tempo_changed_before_the_first_note_holds_from_it_on() -> None:
    transport = Transport(SongInfo())
    transport.change_tempo(0, 60)
    transport.anchor(0, SECOND)
    assert transport.tick_at(2 * SECOND) == 24


def test_taps_make_a_tempo() -> None:
    transport = known()
    assert [transport.tap(i * SECOND // 2) for i in range(3)] == [None, 120.0, 120.0]


def test_the_tick_before_another() -> None:
    assert known().tick_before(48, SECOND) == 0
    assert known().tick_before(48, 0) == 48
    assert Transport(SongInfo()).tick_before(48, SECOND) == 48


@pytest.mark.parametrize(
    ("behind", "stall"),
    [
        (STALL_TICKS, None),
        (STALL_TICKS + 3, Stall(missed_steps=17, slept=False)),
        (24 * 40 + 3, Stall(missed_steps=161, slept=True)),
    ],
)
def test_far_behind_the_machine_has_stalled_and_very_far_behind_it_has_slept(behind: int, stall: Stall | None) -> None:
    transport = known()
    assert transport.find_stall(10_000) is None
    transport.begin(0)
    assert AT_120.ns_at(24 * 40) == SLEEP_NS
    assert transport.find_stall(transport.grid + behind) == stall
