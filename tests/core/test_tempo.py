from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.tempo import MARKS_DROPPED_AT_ONCE, NS_PER_MS, TempoMap, us_per_beat

TEMPI = st.integers(1, 16_777_215)
TICKS = st.integers(-(10**6), 10**8)


@pytest.mark.parametrize(("bpm", "us"), [(120, 500_000), (60, 1_000_000), (90.5, 662_983), (300, 200_000)])
def test_bpm_as_midi_files_hold_it(bpm: float, us: int) -> None:
    assert us_per_beat(bpm) == us
    assert us_per_beat(60_000_000 / us) == us


def test_ticks_at_120_bpm() -> None:
    tempo = TempoMap(500_000, tick=0, ns=1_000)
    assert [tempo.ns_at(t) for t in (-24, 0, 1, 2, 3, 24)] == [
        -499_999_000, 1_000, 20_834_334, 41_667_667, 62_501_000, 500_001_000,
    ]  # fmt: skip
    assert [tempo.tick_at(ns) for ns in (999, 1_000, 20_834_333, 20_834_334, 62_501_000)] == [-1, 0, 0, 1, 3]


@given(TEMPI, TICKS, st.integers(-(10**12), 10**18), TICKS)
def test_a_tick_begins_in_itself(us: int, anchor: int, ns: int, tick: int) -> None:
    tempo = TempoMap(us, anchor, ns)
    at = tempo.ns_at(tick)
    assert tempo.tick_at(at) == tempo.tick_from(at) == tick
    assert tempo.tick_at(at - 1) == tick - 1
    assert tempo.tick_from(at - 1) == tick


@given(TEMPI, st.lists(st.tuples(st.integers(1, 500), TEMPI), max_size=20), st.integers(0, 10_000))
def test_no_tick_moves_when_the_tempo_changes_and_none_comes_out_of_order(
    us: int, changes: list[tuple[int, int]], look: int
) -> None:
    tempo = TempoMap(us)
    at = 0
    for after, us in changes:
        at += after
        before = [tempo.ns_at(t) for t in range(at - 2, at + 1)]
        tempo.change(at, us)
        assert [tempo.ns_at(t) for t in range(at - 2, at + 1)] == before
        assert tempo.us_at(at) == us
    assert tempo.tick_at(tempo.ns_at(look)) == look
    assert tempo.ns_at(look) < tempo.ns_at(look + 1)


def test_nothing_accumulates_over_a_day() -> None:
    tempo = TempoMap(461_538)
    assert tempo.ns_at(24 * 187_200) == 187_200 * 461_538_000
    for beat in range(1, 187_200):
        if beat % 1_000 == 0:
            tempo.change(24 * beat, 461_538)
    assert tempo.ns_at(24 * 187_200) == 187_200 * 461_538_000


def test_marks_of_a_file_with_any_tick_at_any_time() -> None:
    marks = ((0, 500_000), (96, 250_000), (192, 1_000_000))
    tempo = TempoMap.from_marks(marks, tick=-48, ns=7)
    assert tempo.marks == marks
    assert [tempo.ns_at(t) - 7 for t in (-48, 0, 96, 192, 216)] == [
        0, 1_000_000_000, 3_000_000_000, 4_000_000_000, 5_000_000_000,
    ]  # fmt: skip


def test_a_change_forgets_what_was_to_come() -> None:
    tempo = TempoMap.from_marks(((0, 500_000), (96, 250_000)))
    tempo.change(48, 1_000_000)
    assert tempo.marks == ((0, 500_000), (48, 1_000_000))


def test_a_leap_goes_forward_only_and_keeps_the_past() -> None:
    tempo = TempoMap(500_000)
    tempo.change(24, 250_000)
    tempo.jump(96, 600_000_000, 1_000_000)
    assert [tempo.tick_at(ns) for ns in (0, 500_000_000, 599_999_999, 600_000_000, 1_600_000_000)] == [
        0, 24, 33, 96, 120,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no leap forward to tick 96"):
        tempo.jump(96, 600_000_000, 1_000_000)


def test_a_leap_just_before_a_mark_forgets_the_mark() -> None:
    tempo = TempoMap(500_000)
    tempo.change(1, 250_000)
    tempo.jump(96, 5, 500_000)
    assert tempo.marks == ((0, 500_000), (96, 500_000))


@pytest.mark.parametrize("us", [0, -1])
def test_no_tempo_stands_still(us: int) -> None:
    with pytest.raises(ValueError, match="no such tempo"):
        TempoMap(us)
    with pytest.raises(ValueError, match="no such tempo"):
        TempoMap(500_000).change(1, us)


def test_marks_that_can_no_longer_be_asked_for_are_dropped_over_twenty_hours_of_following_a_clock() -> None:
    us, kept, rng = us_per_beat(300), 64 * 96, random.Random(1)
    tempo, whole = TempoMap(us, 0, 0, kept), TempoMap(us)
    most = 0
    for tick in range(0, 20 * 3600 * 5 * 24, 96):
        late = rng.randrange(5 * NS_PER_MS)
        for each in (tempo, whole):
            each.steer(tick, tick + 6, (tick + 6) * us * 1_000 // 24 + late, us)
        most = max(most, len(tempo.marks))
        past = tick - rng.randrange(kept)
        assert tempo.ns_at(past) == whole.ns_at(past)
        assert tempo.mark_at(whole.ns_at(past)) == whole.mark_at(whole.ns_at(past))
    assert len(whole.marks) > 150_000
    assert most <= 2 * kept // 96 + MARKS_DROPPED_AT_ONCE + 2


def test_marks_that_were_dropped_can_be_put_back() -> None:
    whole, short = TempoMap(500_000), TempoMap(500_000, kept_ticks=24)
    for tick in range(12, 12_000, 12):
        for each in (whole, short):
            each.change(tick, 500_000 + tick)
    dropped = whole.marks_between(-1, short.mark_at(0)[1] + 3_000_000_000)
    assert len(short.marks) < 300
    assert short.with_older(dropped).marks == whole.marks
    assert [short.with_older(dropped).ns_at(tick) for tick in range(0, 12_100, 7)] == [
        whole.ns_at(tick) for tick in range(0, 12_100, 7)
    ]


def test_a_ritardando_slows_every_step_by_the_middle_of_it_and_ends_at_a_percent() -> None:
    tempo = TempoMap(500_000)
    tempo.change(12, 400_000)
    tempo.slow_down(0, 24, 50, 6)
    # the share of the tempo that is left is 1 - 0.5 * 3/24, ... 9/24, 15/24, 21/24
    assert tempo.marks == (
        (0, 533_333), (6, 615_384), (12, 581_818), (18, 711_111), (24, 800_000),
    )  # fmt: skip
    tempo.change(48, 400_000)
    assert tempo.us_at(47) == 800_000


@given(TEMPI, st.integers(0, 100), st.integers(1, 200), st.integers(1, 100), st.integers(1, 48))
def test_a_ritardando_only_ever_slows_down(us: int, begin: int, length: int, percent: int, step: int) -> None:
    tempo = TempoMap(us)
    before = [tempo.ns_at(tick) for tick in range(begin + 1)]
    tempo.slow_down(begin, begin + length, percent, step)
    assert [tempo.ns_at(tick) for tick in range(begin + 1)] == before
    told = [us for _, us in tempo.marks]
    assert told == sorted(told)
    assert told[-1] == us * 100 // percent
