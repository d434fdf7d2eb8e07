"""The scenes of `make daw` on virtual time: a DAW's clock as JACK hands it over, and where the band's notes lie.

Judged as the real ones are, by the same bounds.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.programs.daw.scenes import bounds, measure_scene
from tests.support.fakes import MS
from tests.support.virtual_daw import RATE, Daw, Link, gauss, ns, perform


def begun(period: int, bpm: Callable[[float], float] = lambda _: 120) -> Daw:
    daw = Daw(bpm, period)
    daw.wait(1)
    return daw


def take(period: int) -> Daw:
    daw = begun(period)
    daw.roll(0, 40, fresh=True)
    daw.stop()
    return daw


def tempo(period: int) -> Daw:
    daw = begun(period, lambda beat: 120 if beat < 16 else 90 if beat < 28 else 140)
    daw.roll(0, 56, fresh=True)
    daw.stop()
    return daw


def relocate(period: int) -> Daw:
    daw = begun(period)
    daw.roll(0, 13.3, fresh=True)
    for begin, end in ((32, 41.7), (5, 12.9), (64, 80)):
        daw.stop()
        daw.wait(0.05)
        daw.roll(begin, end)
    daw.stop()
    return daw


def loop(period: int) -> Daw:
    """Every other time round Ardour says where it is a beat late."""
    daw = begun(period)
    daw.roll(8, 16)
    for again in range(4):
        daw.stop()
        daw.roll(8, 16, ahead=1 - again % 2)
    daw.stop()
    return daw


def stop(period: int) -> Daw:
    daw = begun(period)
    daw.roll(0, 14.4, fresh=True)
    daw.stop()
    daw.wait(2)
    daw.roll(14.4, 30.2, ahead=0.6)
    daw.stop()
    daw.wait(1.5)
    daw.roll(8, 24)
    daw.stop()
    return daw


LINKS = {
    "rtmidi": Link("rtmidi"),
    "rtmidi, jittery": Link("rtmidi", gauss(1.6 * MS)),
    "jack": Link("jack"),
}


@pytest.mark.parametrize("scene", [take, tempo, relocate, loop, stop])
@pytest.mark.parametrize(("link", "period"), [*((link, 1024) for link in LINKS), ("rtmidi", 256), ("rtmidi", 2048)])
def test_the_band_is_where_the_daw_is(scene: Callable[[int], Daw], link: str, period: int) -> None:
    daw = scene(period)
    band, conductor = perform(daw, LINKS[link])
    found = measure_scene(daw.sent, band)
    most = bounds(LINKS[link].kind, period)
    assert found["p99_ms"] <= most["p99_ms"]
    assert found["silent_after_stop_ms"] <= most["silent_after_stop_ms"]
    assert found["bars_in_step"] == found["bars"] > 0
    assert found["hanging"] == conductor.counters.clock_lost == conductor.counters.stalls == 0
    assert conductor.counters.isr == 1.0


@pytest.mark.parametrize("seconds", [0.05, 1, 2, 2.3, 4, 60])
@pytest.mark.parametrize("link", ["rtmidi", "jack"])
def test_steps_that_the_master_stood_still_for_are_not_counted_as_late(seconds: float, link: str) -> None:
    daw = begun(1024)
    daw.roll(0, 14.4, fresh=True)
    daw.stop()
    daw.wait(seconds)
    daw.roll(14.4, 30.2, ahead=0.6)
    daw.stop()
    daw.wait(seconds)
    daw.roll(8, 24)
    daw.stop()
    band, conductor = perform(daw, LINKS[link])
    counters = conductor.counters
    assert (counters.isr, counters.uncovered, counters.stalls) == (1.0, 0, 0)
    assert counters.steps in range(175, 185)
    found = measure_scene(daw.sent, band)
    assert found["bars_in_step"] == found["bars"] > 0
    assert found["hanging"] == 0


@pytest.mark.parametrize("guess", [60, 100, 140])
@pytest.mark.parametrize("period", [1024, 2048])
def test_a_wrong_guess_of_the_tempo_does_no_harm(guess: float, period: int) -> None:
    daw = take(period)
    band, conductor = perform(daw, LINKS["rtmidi"], guess)
    found = measure_scene(daw.sent, band)
    assert found["p99_ms"] <= 2 * period / RATE * 1000
    assert found["bars_in_step"] == found["bars"] > 0
    assert conductor.counters.clock_lost == 0


@pytest.mark.parametrize("bpm", [60, 90, 116, 118, 160, 240])
@pytest.mark.parametrize("link", ["rtmidi", "rtmidi, jittery"])
def test_no_tick_is_missed_however_they_bunch_up(bpm: float, link: str) -> None:
    daw = begun(1024, lambda _: bpm)
    daw.roll(0, 64, fresh=True)
    daw.stop()
    band, conductor = perform(daw, LINKS[link], bpm)
    found = measure_scene(daw.sent, band)
    assert conductor.counters.clock_lost == 0
    assert found["bars_in_step"] == found["bars"] > 0
    assert found["p99_ms"] <= 1.25 * bounds("rtmidi", 1024)["p99_ms"]  # at 118 it takes bars until they bunch up at all


def held_up(seed: int, frames: int, period: int) -> Callable[[int], int]:
    """Every three seconds or so, for up to half a second, nothing arrives; then all at once."""
    rng, late, number = random.Random(seed), [MS] * (frames // period + 50), 0
    while number < len(late):
        number += max(1, round(rng.expovariate(1 / 3) * RATE / period))
        held = 500 * MS * rng.random()
        for after in range(number, len(late)):
            late[after] = max(late[after], round(held - (after - number) * ns(period)))
    return lambda number: late[number]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("period", [256, 1024])
def test_what_is_held_up_and_comes_all_at_once_is_neither_lost_nor_another_tempo(seed: int, period: int) -> None:
    daw = begun(period)
    daw.roll(0, 64, fresh=True)
    daw.stop()
    band, conductor = perform(daw, Link("rtmidi", held_up(seed, daw.frame, period)))
    found = measure_scene(daw.sent, band)
    assert conductor.counters.clock_lost == 0
    assert found["bars_in_step"] == found["bars"] > 0
    assert found["hanging"] == 0


@pytest.mark.parametrize("periods", [2, 3, 5])
def test_what_an_xrun_loses_is_known_from_time(periods: int) -> None:
    """Some periods' messages never come: the ticks in them are counted all the same."""
    daw = take(1024)
    gone = range(600, 600 + periods)
    band, conductor = perform(daw, Link("rtmidi", lose=lambda number: number in gone))
    found = measure_scene(daw.sent, band)
    assert conductor.counters.clock_lost == sum(frame // 1024 in gone for frame, data in daw.sent if data == b"\xf8")
    assert found["bars_in_step"] == found["bars"] > 0
