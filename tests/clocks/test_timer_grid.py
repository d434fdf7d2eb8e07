"""Clocks whose sender has a coarse timer, on virtual time: their mean is followed, and no slip is a lost tick."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest

from daemon.clocks.clock import Change, ClockTick
from daemon.clocks.midi_clock import MidiClock
from daemon.clocks.timer_grid import Slip, SlipDetector
from daemon.core.events import MidiIn

USUAL_MS = (10, 15.6, 15.625, 16, 1000 / 60, 20)
OTHERS_MS = (8, 17, 18, 25)
TEMPOS = (75, 100, 110, 120, 132, 140, 145, 150, 155, 160, 180)
SECONDS, SETTLED_S = 24, 12


def quantise(times: Sequence[float], grid_ms: float, phase: float, jitter_ms: float = 0.0) -> list[int]:
    """Return when (ns) ticks come that should be sent at `times` (s), and are when the timer next goes off."""
    rng, grid = random.Random(1), grid_ms / 1000
    late = [math.ceil(at / grid + phase - 1e-9) * grid + abs(rng.gauss(0, jitter_ms)) / 1000 for at in times]
    return [round(at * 1e9) for at in itertools.accumulate(late, max)]


def true_times(bpm: float, seconds: float = SECONDS, start: float = 0.0) -> list[float]:
    return [start + i * 60 / bpm / 24 for i in range(int(seconds * bpm / 60 * 24))]


def follow(came: Sequence[int]) -> list[ClockTick]:
    clock = MidiClock(500_000)
    changes: list[Change] = [*clock.on_event(MidiIn(0, b"\xfa"))]
    for at in came:
        changes += clock.on_event(MidiIn(at, b"\xf8"))
    return [change for change in changes if isinstance(change, ClockTick)]


def check(found: Sequence[ClockTick], bpm: float, share: float = 0.002) -> None:
    """The tempo is right, no tick is thought lost, and the last is the one that it is."""
    late = [tick for tick in found if tick.ns > SETTLED_S * 1_000_000_000]
    assert max(abs(tick.us * bpm / 60e6 - 1) for tick in late) < share
    assert (found[-1].tick, found[-1].lost) == (len(found), 0)


@pytest.mark.parametrize(("phase", "tempos"), [(0, TEMPOS[::2]), (0.71, TEMPOS[1::2])])
@pytest.mark.parametrize("grid_ms", [*USUAL_MS, *OTHERS_MS])
def test_the_mean_is_followed(grid_ms: float, phase: float, tempos: Sequence[float]) -> None:
    for bpm in tempos:
        check(follow(quantise(true_times(bpm), grid_ms, phase)), bpm)


@pytest.mark.parametrize(("bpm", "grid_ms"), [(105, 10), (145, 12.5)])
def test_a_guess_from_few_ticks_does_not_bend_the_mean_for_ever(bpm: float, grid_ms: float) -> None:
    """These clocks look like narrow ones of other tempi for the first 30 ticks."""
    check(follow(quantise(true_times(bpm), grid_ms, 0.3)), bpm, 0.0005)


@pytest.mark.parametrize(
    ("grid_ms", "bpm"),
    [(26.39, 180), (30, 160), (32, 155), (32, 150), (34.1, 145), (36.9, 124.43), (45, 110), (30, 300), (25, 30)],
)
def test_the_mean_is_followed_where_several_ticks_come_at_once(grid_ms: float, bpm: float) -> None:
    for phase in (0.18, 0.53, 0.64):
        check(follow(quantise(true_times(bpm), grid_ms, phase)), bpm)


@pytest.mark.parametrize("phase", [0.25, 0.75, 0.94])
def test_a_rare_slip_of_a_fast_clock_is_no_loss(phase: float) -> None:
    """Four ticks in a packet, and once in eight seconds three of them."""
    found = follow(quantise(true_times(300), 33.3, phase))
    assert (found[-1].tick, found[-1].lost) == (len(found), 0)


@pytest.mark.parametrize("interval_ms", [7.5, 11.25, 22.5, 30, 48.75])
def test_ticks_that_come_in_packets_are_followed(interval_ms: float) -> None:
    """As over Bluetooth, which hands over at each connection interval what has gathered."""
    for bpm in (110, 150, 161.36):
        for jitter_ms in (0, 0.2):
            check(follow(quantise(true_times(bpm), interval_ms, 0.81, jitter_ms)), bpm, 0.003)


@pytest.mark.parametrize(("before_ms", "after_ms"), [(15.625, 1), (1, 15.625), (10, 16), (33.3, 16), (39.3, 0.5)])
def test_a_timer_that_changes_its_period_is_followed(before_ms: float, after_ms: float) -> None:
    """As Windows' does while another program asks for a finer one."""
    for bpm in (120, 140.87, 155):
        times = true_times(bpm)
        came = quantise(times[:400], before_ms, 0.4)
        found = follow([*came, *(max(ns, came[-1]) for ns in quantise(times[400:], after_ms, 0.7))])
        late = [tick for tick in found if tick.ns > 16_000_000_000]
        assert max(abs(tick.us * bpm / 60e6 - 1) for tick in late) < 0.002
        assert (found[-1].tick, found[-1].lost) == (len(times) - 1, 0)


@pytest.mark.parametrize("grid_ms", USUAL_MS)
def test_the_mean_is_followed_where_the_timer_jitters(grid_ms: float) -> None:
    for bpm in (90, 120, 132, 150, 180):
        check(follow(quantise(true_times(bpm), grid_ms, 0.4, 0.3)), bpm, 0.003)


@pytest.mark.parametrize(("bpm", "grid_ms"), [(150, 15.625), (120, 20)])
def test_a_grid_is_known_within_four_seconds(bpm: float, grid_ms: float) -> None:
    for phase in range(10):
        found = follow(quantise(true_times(bpm, 10), grid_ms, phase / 10))
        assert all(abs(tick.us * bpm / 60e6 - 1) < 0.004 for tick in found if tick.ns > 4_000_000_000)
        assert not any(tick.lost for tick in found if tick.ns > 4_000_000_000)


@pytest.mark.parametrize(("before", "after"), [(150, 140), (120, 126), (120, 90), (130, 120)])
@pytest.mark.parametrize("grid_ms", [15.625, 20])
def test_another_tempo_on_a_grid_is_followed(before: float, after: float, grid_ms: float) -> None:
    times = true_times(before, 8)
    times += true_times(after, SECONDS, times[-1] + 60 / before / 24)
    found = follow(quantise(times, grid_ms, 0.4))
    late = [tick for tick in found if tick.ns > 16_000_000_000]
    assert max(abs(tick.us * after / 60e6 - 1) for tick in late) < 0.004
    assert found[-1].tick == len(times) - 1


@pytest.mark.parametrize(("bpm", "grid_ms"), [(150, 15.625), (120, 20), (132, 16)])
@pytest.mark.parametrize("lost", [2, 5, 30])
def test_ticks_that_are_lost_on_a_known_grid_are_counted(bpm: float, grid_ms: float, lost: int) -> None:
    came = quantise(true_times(bpm), grid_ms, 0.4)
    found = follow(came[:700] + came[700 + lost :])
    assert (found[-1].tick, found[-1].lost) == (len(came) - 1, lost)


@pytest.mark.parametrize(("bpm", "grid_ms"), [(150, 15.625), (120, 25), (132, 16), (150, 26.577), (110, 38.197)])
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_single_ticks_that_are_lost_on_a_grid_are_counted(bpm: float, grid_ms: float, lost: int) -> None:
    came = quantise(true_times(bpm), grid_ms, 0.14)
    found = follow(came[:500] + came[500 + lost :])
    assert (found[-1].tick, found[-1].lost) == (len(came) - 1, lost)


@pytest.mark.parametrize(
    ("grid_ms", "before", "after"),
    [(30.968, 80, 78.4), (15.659, 150, 148.5), (36.86, 150, 148.5), (16.667, 132.84, 130.18), (30, 200, 180)],
)
def test_another_tempo_on_a_grid_is_no_loss(grid_ms: float, before: float, after: float) -> None:
    """At once, and step by step over six seconds."""
    at_once = true_times(before, 8)
    ramp = [*at_once]
    for i in range(int(12 * after / 60 * 24)):
        ramp.append(ramp[-1] + 60 / 24 / (before + (after - before) * min(1, i * 60 / after / 24 / 6)))
    at_once += true_times(after, 18, at_once[-1] + 60 / before / 24)
    for times in (at_once, ramp):
        found = follow(quantise(times, grid_ms, 0.31))
        late = [tick for tick in found if tick.ns > times[-1] * 1e9 - 2_000_000_000]
        assert max(abs(tick.us * after / 60e6 - 1) for tick in late) < 0.005
        assert (found[-1].tick, found[-1].lost) == (len(times) - 1, 0)


def test_ticks_lost_at_even_distances_from_a_clock_of_a_whole_tempo_are_no_slips() -> None:
    slips, interval = SlipDetector(), 60e9 / 140 / 24
    assert all(slips.add(Slip(36 * i, interval, 1), interval, 0) is None for i in range(1, 50))


def test_ticks_lost_now_and_then_are_no_slips() -> None:
    slips, interval = SlipDetector(), 20e6
    assert all(slips.add(Slip(at, interval, 1), interval, 0) is None for at in (90, 130, 400, 420, 530))


def test_slips_tell_the_mean() -> None:
    slips = SlipDetector()
    assert slips.add(Slip(20, 20e6, 1), 20e6, 0) is None
    found = slips.add(Slip(44, 20e6, 1), 20e6, 0)
    assert found is not None
    assert abs(found.interval.ns - 20.8333e6) < found.interval.doubt_ns
    assert len(found.slips) == 2
