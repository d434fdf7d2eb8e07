"""MIDI clock on virtual time: jitter, tempo changes, dropouts, lost ticks, positions."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clocks.clock import Change, ClockTick, Started, Stopped, TempoOnly
from daemon.clocks.midi_clock import SILENCE_TIMEOUT_NS, MidiClock, SongPosition
from daemon.clocks.tick_filter import TickFilter
from daemon.core.events import MidiIn
from tests.support.fakes import MS

TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
RESET = b"\xff"


def spp(value: int) -> bytes:
    return bytes((0xF2, value & 0x7F, value >> 7))


def interval(bpm: float) -> float:
    return 60e9 / bpm / 24


def ticks(bpm: float, count: int, start: int = 0) -> list[int]:
    return [start + round(i * interval(bpm)) for i in range(count)]


def clock(bpm: float = 120, *, tempo_without_start: bool = False) -> MidiClock:
    return MidiClock(round(60e6 / bpm), tempo_without_start=tempo_without_start)


def tell(clock: MidiClock, events: Iterable[tuple[int, bytes]]) -> list[Change]:
    changes: list[Change] = []
    for at, data in events:
        while (deadline := clock.deadline) is not None and deadline < at:
            changes += clock.on_silence(deadline)
        changes += clock.on_event(MidiIn(at, data))
    return changes


def start(bpm: float, count: int, at: int = 0) -> list[tuple[int, bytes]]:
    return [(at, START), *((ns, TICK) for ns in ticks(bpm, count, at))]


def astray(change: Change, bpm: float, zero: int = 0) -> float:
    """How far (ms) a change's tick is from where it truly lies."""
    assert isinstance(change, Started | ClockTick)
    return abs(change.ns - zero - change.tick * interval(bpm)) / MS


# A steady clock


def test_the_first_tick_after_start_is_the_downbeat() -> None:
    changes = tell(clock(), [(5, START), (7, TICK), (7 + 20_833_333, TICK)])
    assert changes == [Started(0, 7, 500_000, fresh=True), ClockTick(1, 7 + 20_833_333, 500_000)]


@pytest.mark.parametrize("bpm", [40, 90, 120, 121.7, 300])
def test_a_clock_without_jitter_is_followed_exactly(bpm: float) -> None:
    changes = tell(clock(120), start(bpm, 200))
    assert [change.tick for change in changes if isinstance(change, Started | ClockTick)] == list(range(200))
    for change in changes[2:]:
        assert isinstance(change, ClockTick)
        assert abs(change.us - 60e6 / bpm) <= 2
        assert astray(change, bpm) < 0.001


def jittered(times: Sequence[int], sd: float, seed: int) -> list[int]:
    rng = random.Random(seed)
    late = [ns + abs(round(rng.gauss(0, sd))) for ns in times]
    return [max(late[: i + 1]) for i in range(len(late))] if sd else list(times)


def bunched(times: Sequence[int], period: int) -> list[int]:
    """As python-rtmidi hands them over on JACK: once a period."""
    return [-(-ns // period) * period for ns in times]


@pytest.mark.parametrize("bpm", [60, 120, 180])
@pytest.mark.parametrize("seed", range(5))
def test_jitter_is_removed(bpm: float, seed: int) -> None:
    came = jittered(ticks(bpm, 480), 1.6 * MS, seed)
    changes = tell(clock(bpm), [(0, START), *((ns, TICK) for ns in came)])
    settled = [change for change in changes[96:] if isinstance(change, ClockTick)]
    assert [change.tick for change in changes if isinstance(change, Started | ClockTick)] == list(range(480))
    offsets = [change.ns - change.tick * interval(bpm) for change in settled]
    mean = sum(offsets) / len(offsets)
    assert max(abs(offset - mean) for offset in offsets) < 0.6 * MS


@pytest.mark.parametrize("bpm", [90, 120, 140, 200])
@pytest.mark.parametrize("frames", [256, 1024])
def test_ticks_that_bunch_up_are_spread_again(bpm: float, frames: int) -> None:
    period = frames * 1_000_000_000 // 48_000
    came = bunched(ticks(bpm, 960), period)
    changes = tell(clock(bpm), [(0, START), *((ns, TICK) for ns in came)])
    settled = [change for change in changes[192:] if isinstance(change, ClockTick)]
    assert settled[-1].tick == 959
    offsets = [change.ns - change.tick * interval(bpm) for change in settled]
    assert max(offsets) - min(offsets) < period / 3


# Another tempo


@pytest.mark.parametrize(("before", "after"), [(120, 121), (120, 132), (120, 90), (90, 180), (180, 90), (60, 200)])
def test_a_tempo_change_is_followed_within_a_beat(before: float, after: float) -> None:
    events = start(before, 97)
    change_at = events[-1][0]
    events += [(ns, TICK) for ns in ticks(after, 49, change_at)[1:]]
    changes = tell(clock(before), events)
    for change in changes[97 + 24 :]:
        assert isinstance(change, ClockTick)
        true = change_at + (change.tick - 96) * interval(after)
        assert abs(change.ns - true) < 1 * MS
        assert abs(change.us * after / 60e6 - 1) < 0.01
    last = changes[-1]
    assert isinstance(last, ClockTick)
    assert last.tick == 96 + 48


@pytest.mark.parametrize("seed", range(10))
def test_a_tempo_change_is_followed_within_a_beat_in_spite_of_jitter(seed: int) -> None:
    events = jittered(ticks(120, 193), 1.6 * MS, seed)
    events = events[:192] + jittered(ticks(150, 49, ticks(120, 193)[-1]), 1.6 * MS, seed + 100)
    changes = tell(clock(120), [(0, START), *((ns, TICK) for ns in events)])
    for change in changes[192 + 24 :]:
        assert isinstance(change, ClockTick)
        true = ticks(120, 193)[-1] + (change.tick - 192) * interval(150)
        assert abs(change.ns - true) < 6 * MS


def test_a_ritardando_is_followed() -> None:
    at, events, times = 0.0, [(0, START)], []
    for i in range(-24 * 8, 24 * 16):
        times.append(at)
        events.append((round(at), TICK))
        at += interval(120 - 60 * max(0, i) / (24 * 16))
    changes = tell(clock(120), events)
    assert [c.tick for c in changes if isinstance(c, Started | ClockTick)][-1] == 24 * 24 - 1
    worst = max(abs(c.ns - times[c.tick]) for c in changes if isinstance(c, ClockTick))
    assert worst < 4 * MS


# What is lost


@pytest.mark.parametrize("lost", [1, 2, 5, 30])
@pytest.mark.parametrize("sd", [0, 1.6 * MS])
def test_lost_ticks_are_known_from_time(lost: int, sd: float) -> None:
    times = jittered(ticks(120, 300), sd, 3)
    came = times[:150] + times[150 + lost :]
    changes = tell(clock(120), [(0, START), *((ns, TICK) for ns in came)])
    last = changes[-1]
    assert isinstance(last, ClockTick)
    assert (last.tick, last.lost) == (299, lost)
    assert all(astray(change, 120) < 5 for change in changes)
    assert all(abs(change.us - 500_000) < 6_000 for change in changes[100:] if isinstance(change, ClockTick))


@pytest.mark.parametrize("bpm", [76.05, 110, 125, 180])
@pytest.mark.parametrize("sd", [0.3 * MS, 1 * MS, 2 * MS])
def test_lost_ticks_are_known_however_much_it_jitters(bpm: float, sd: float) -> None:
    for lost in (1, 2, 3):
        for seed in range(2):
            times = jittered(ticks(bpm, 400), sd, seed)
            changes = tell(clock(120), [(0, START), *((ns, TICK) for ns in times[:250] + times[250 + lost :])])
            late = [change for change in changes[100:] if isinstance(change, ClockTick)]
            assert (late[-1].tick, late[-1].lost) == (399, lost)
            assert all(abs(change.us * bpm / 60e6 - 1) < 0.01 for change in late)


@pytest.mark.parametrize("sd", [0, 0.3 * MS, 1 * MS])
def test_ticks_lost_twice_in_a_moment_make_no_other_tempo(sd: float) -> None:
    for heard in (1, 2, 3):
        times = jittered(ticks(75, 400), sd, heard)
        came = times[:250] + times[252 : 252 + heard] + times[255 + heard :]
        changes = tell(clock(75), [(0, START), *((ns, TICK) for ns in came)])
        late = [change for change in changes[100:] if isinstance(change, ClockTick)]
        assert (late[-1].tick, late[-1].lost) == (399, 5)
        assert all(abs(change.us * 75 / 60e6 - 1) < 0.01 for change in late)


def test_ticks_lost_now_and_then_are_no_slips_of_a_timer() -> None:
    """Two and two, 40 ms each, and single ones a usual period apart, as a timer might slip."""
    for lost in ((115, 116, 729, 730, 892, 893), (176, 700)):
        came = [ns for i, ns in enumerate(ticks(125, 1000)) if i not in lost]
        last = tell(clock(120), [(0, START), *((ns, TICK) for ns in came)])[-1]
        assert isinstance(last, ClockTick)
        assert (last.tick, last.lost) == (999, len(lost))


@pytest.mark.parametrize("bpm", [90, 120, 140])
@pytest.mark.parametrize("heard", [2, 3, 5, 8, 16, 40])
@pytest.mark.parametrize("lost", [2, 3, 8])
def test_ticks_that_are_lost_while_the_tempo_is_hardly_known_are_told_from_what_follows(
    bpm: float, heard: int, lost: int
) -> None:
    times = ticks(bpm, 150)
    changes = tell(clock(120), [(0, START), *((ns, TICK) for ns in times[:heard] + times[heard + lost :])])
    last = changes[-1]
    assert isinstance(last, ClockTick)
    assert (last.tick, last.lost) == (149, lost)
    assert all(astray(change, bpm) < 1 for change in changes[heard + 24 :])


def test_ticks_that_come_late_at_the_beginning_are_none_that_were_lost() -> None:
    times = ticks(110, 150)
    came = [max(ns, times[14]) if i > 3 else ns for i, ns in enumerate(times)]
    changes = tell(clock(120), [(0, START), *((ns, TICK) for ns in came)])
    last = changes[-1]
    assert isinstance(last, ClockTick)
    assert (last.tick, last.lost) == (149, 0)


def test_single_ticks_lost_now_and_then_do_not_make_it_slower() -> None:
    times = [ns for i, ns in enumerate(ticks(140, 1990)) if i < 24 or i % 37]
    changes = tell(clock(140), [(0, START), *((ns, TICK) for ns in times)])
    last = changes[-1]
    assert isinstance(last, ClockTick)
    assert last.tick == 1989
    assert all(astray(change, 140) < 0.01 for change in changes)


def test_a_clock_that_falls_silent_counts_as_stopped_and_is_found_again_by_time() -> None:
    times = ticks(125, 2000)
    events = [(0, START), *((ns, TICK) for ns in times[:100]), *((ns, TICK) for ns in times[500:600])]
    changes = tell(clock(125), events)
    assert changes[100] == Stopped(times[99] + SILENCE_TIMEOUT_NS)
    again = changes[101]
    assert again == Started(500, times[500], 480_000)
    assert changes[-1] == ClockTick(599, times[599], 480_000)


def test_a_dropout_is_coasted_over() -> None:
    times = ticks(120, 200)
    changes = tell(clock(120), [(0, START), *((ns, TICK) for ns in times[:100] + times[150:])])
    assert not any(isinstance(change, Stopped) for change in changes)
    last = changes[-1]
    assert isinstance(last, ClockTick)
    assert (last.tick, last.lost) == (199, 50)


# Start, Stop, Continue, Song Position


def test_stop_is_told_at_once_and_only_once() -> None:
    events = [*start(120, 30), (630 * MS, STOP), (640 * MS, STOP)]
    assert [change for change in tell(clock(), events) if isinstance(change, Stopped)] == [Stopped(630 * MS)]


def test_continue_goes_on_where_it_stopped() -> None:
    events = [*start(120, 30), (630 * MS, STOP), (5000 * MS, CONTINUE), (5001 * MS, TICK)]
    assert tell(clock(), events)[-1] == Started(30, 5001 * MS, 500_000)


def test_ticks_while_it_stands_still_do_not_move_it() -> None:
    idle = [(ns, TICK) for ns in ticks(120, 100, 640 * MS)]
    events = [*start(120, 30), (630 * MS, STOP), *idle, (2720 * MS, CONTINUE), (2723 * MS, TICK)]
    assert [type(change) for change in tell(clock(), events)][-2:] == [Stopped, Started]
    change = tell(clock(), events)[-1]
    assert isinstance(change, Started)
    assert change.tick == 30


def test_going_on_after_a_long_stop_is_one_start() -> None:
    """That it was silent while it stood still is no silence of a clock that rolls."""
    events = [*start(120, 30), (630 * MS, STOP), (20_000 * MS, CONTINUE)]
    clocked = tell(clock(), [*events, *((20_010 * MS + ns, TICK) for ns in ticks(120, 3))])
    assert [type(change) for change in clocked][29:] == [ClockTick, Stopped, Started, ClockTick, ClockTick]


def test_a_start_that_no_tick_follows_is_nothing() -> None:
    silent = clock()
    assert tell(silent, [(0, START), (5_000 * MS, STOP), (6_000 * MS, CONTINUE)]) == []
    assert silent.deadline is None


def test_a_position_told_while_the_clock_is_away_is_one_start() -> None:
    times = ticks(120, 1_000)
    events = [(0, START), *((ns, TICK) for ns in times[:50])]
    changes = tell(clock(), [*events, (times[500], spp(8)), *((ns, TICK) for ns in times[500:503])])
    assert [type(change) for change in changes][49:] == [ClockTick, Stopped, Started, ClockTick, ClockTick]
    assert changes[51] == Started(48, times[500], 500_000)


def test_song_position_says_where_continue_goes_on() -> None:
    assert tell(clock(), [(0, spp(34)), (1, CONTINUE), (2, TICK)]) == [Started(34 * 6, 2, 500_000)]


def test_start_after_song_position_is_from_the_top() -> None:
    assert tell(clock(), [(0, spp(34)), (1, START), (2, TICK)]) == [Started(0, 2, 500_000, fresh=True)]


def test_song_position_while_it_rolls_is_a_jump() -> None:
    events = start(125, 97)
    at = events[-1][0]
    changes = tell(clock(125), [*events, (at + MS, spp(64)), *((ns, TICK) for ns in ticks(125, 3, at)[1:])])
    assert changes[-2:] == [Started(384, at + 20 * MS, 480_000), ClockTick(385, at + 40 * MS, 480_000)]


def test_a_loop_as_ardour_sends_it() -> None:
    """At the loop's end: Stop, position, Continue and the tick in one period."""
    events = start(120, 96)
    at = round(96 * interval(120))
    events += [(at, STOP), (at, spp(96)), (at, CONTINUE), *((ns, TICK) for ns in ticks(120, 50, at))]
    changes = tell(clock(), events)
    assert changes[96] == Stopped(at)
    assert isinstance(changes[97], Started)
    assert (changes[97].tick % 96, changes[97].fresh) == (0, False)
    assert abs(changes[97].ns - at) < 0.01 * MS
    assert all(isinstance(change, ClockTick) and abs(change.us - 500_000) < 2 for change in changes[98:])


def test_continue_while_it_rolls_means_nothing() -> None:
    """Some sequencers say it at every loop."""
    events = [(ns, TICK) for ns in ticks(120, 400)]
    spoken = sorted([*events, *((round(96 * i * interval(120)) + 1000, CONTINUE) for i in range(1, 4))])
    assert tell(clock(), [(0, START), *spoken]) == tell(clock(), [(0, START), *events])


def test_continue_between_start_and_its_first_tick_means_nothing() -> None:
    assert tell(clock(), [(0, START), (1, CONTINUE), (2, TICK)]) == [Started(0, 2, 500_000, fresh=True)]


def test_a_position_before_a_continue_while_it_rolls_is_a_jump() -> None:
    events = start(125, 97)
    at = events[-1][0]
    said = [(at + MS, spp(64)), (at + MS, CONTINUE), (at + 20 * MS, TICK)]
    assert tell(clock(125), [*events, *said])[-1] == Started(384, at + 20 * MS, 480_000)


def test_a_reset_stops_it_and_it_continues_from_the_top() -> None:
    events = [*start(120, 30), (630 * MS, RESET)]
    assert tell(clock(), events)[-1] == Stopped(630 * MS)
    ignored = [(ns, TICK) for ns in ticks(120, 50, 640 * MS)]
    assert tell(clock(), [*events, *ignored])[-1] == Stopped(630 * MS)
    assert tell(clock(), [*events, (5000 * MS, CONTINUE), (5001 * MS, TICK)])[-1] == Started(0, 5001 * MS, 500_000)


def test_a_clock_that_never_started_says_nothing() -> None:
    assert tell(clock(120), [(ns, TICK) for ns in ticks(100, 600)]) == []


def test_a_clock_that_never_started_gives_its_tempo_where_that_is_wanted() -> None:
    changes = tell(clock(120, tempo_without_start=True), [(ns, TICK) for ns in ticks(100, 60)])
    assert changes[0] == TempoOnly(24, 600 * MS, 600_000)
    assert changes[-1] == TempoOnly(59, 59 * 25 * MS, 600_000)


def test_a_clock_that_runs_all_the_time_keeps_its_tempo_over_a_start() -> None:
    idle = [(ns, TICK) for ns in ticks(100, 200)]
    at = ticks(100, 201)[-1]
    changes = tell(clock(120), [*idle, (at - MS, START), (at, TICK)])
    assert changes[-1] == Started(0, at, 600_000, fresh=True)


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([(0, 0), (48, 96)], 6),
        ([(4, 0), (16, 72)], 6),
        ([(0, 0), (96, 90)], 1),
        ([(24, 0), (144, 120)], 1),
        ([(192, 0), (216, 192)], 1),
        ([(192, 0), (48, 192)], 6),
        ([(216, 0), (20, 100)], 6),
    ],
)
def test_what_song_position_counts_is_found_out(values: list[tuple[int, int]], unit: int) -> None:
    """(value, ticks counted since the last) of a master that goes on where it stopped."""
    place = SongPosition()
    counted = 0
    for value, passed in values:
        counted = place.to_tick(value, counted + passed)
    assert place.unit == unit


def test_what_song_position_counts_can_be_said() -> None:
    assert SongPosition(1).to_tick(100, 0) == 100
    assert SongPosition(6).to_tick(96, 96) == 576


@given(st.lists(st.tuples(st.integers(0, 60_000_000), st.binary(min_size=0, max_size=3)), max_size=200))
def test_no_bytes_at_any_time_confuse_it(said: list[tuple[int, bytes]]) -> None:
    at, events = 0, []
    for gap, data in said:
        at += gap
        events.append((at, data))
    for change in tell(clock(), events):
        if isinstance(change, Started | ClockTick):
            assert change.us > 0


@given(st.lists(st.sampled_from([TICK, START, CONTINUE, STOP, RESET, spp(24), spp(7)]), max_size=300), st.randoms())
def test_any_order_of_its_own_messages_is_borne(said: list[bytes], rng: random.Random) -> None:
    at, events = 0, []
    for data in said:
        at += rng.choice([0, 1, 5 * MS, 20 * MS, 21 * MS, 4000 * MS])
        events.append((at, data))
    for change in tell(clock(), events):
        if isinstance(change, Started | ClockTick):
            assert 120_000 <= change.us <= 6_000_000
            assert change.ns <= at + 1000 * MS


def test_a_line_is_drawn_anew_after_a_tempo_change_and_says_so() -> None:
    line = TickFilter(interval(120))
    for ns in ticks(120, 50):
        line.add(ns)
    for ns in ticks(100, 20, ticks(120, 50)[-1])[1:]:
        line.add(ns)
    assert abs(line.interval_ns - interval(100)) < 1000


@pytest.mark.parametrize("bpm", [100, 120, 140])
@pytest.mark.parametrize("phase", range(0, 20, 3))
@pytest.mark.parametrize("frames", [1024, 2048])
def test_ticks_that_bunch_up_do_not_rush_the_beginning(bpm: float, phase: int, frames: int) -> None:
    """Until the tempo is known, two ticks at one moment are no tempo of 500."""
    period = frames * 1_000_000_000 // 48_000
    came = [ns + phase * MS for ns in bunched([ns - phase * MS for ns in ticks(bpm, 24)], period)]
    changes = tell(clock(120), [(came[0], START), *((ns, TICK) for ns in came)])
    for change in changes:
        assert isinstance(change, Started | ClockTick)
        assert 0.75 < change.us * bpm / 60e6 < 1.33
