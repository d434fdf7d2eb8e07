"""Where the bars of a song lie."""

from __future__ import annotations

import pytest

from daemon.engine.song import Bar, BarLines, SongInfo, bar_at, bar_starts
from music.note import Metre


def test_bars_follow_the_metres() -> None:
    metres = ((0, Metre(3, 4)), (144, Metre(6, 8)), (200, Metre()))
    assert bar_at(metres, -1) == Bar(-72, 0)
    assert bar_at(metres, 80) == Bar(72, 144)
    assert bar_at(metres, 150) == Bar(144, 200, 12)  # cut off by the next metre
    assert bar_at(metres, 296) == Bar(296, 392)


@pytest.mark.parametrize(
    ("metre", "begin"), [(Metre(), 48), (Metre(3, 4), 48), (Metre(2, 4), 24), (Metre(6, 8), 36), (Metre(5, 4), 72)]
)
def test_a_fill_is_whole_beats_and_half_a_bar_at_most(metre: Metre, begin: int) -> None:
    assert bar_at(((0, metre),), 0).fill == begin


def test_a_metre_holds_from_its_tick_on_and_the_first_one_before_it_too() -> None:
    song = SongInfo(metres=((24, Metre(3, 4)), (96, Metre())))
    assert [song.metre_at(tick) for tick in (0, 24, 95, 96)] == [
        (24, Metre(3, 4)),
        (24, Metre(3, 4)),
        (24, Metre(3, 4)),
        (96, Metre()),
    ]
    assert song.bar_at(100) == Bar(96, 192)


@pytest.mark.parametrize(("end", "steps"), [(0, [0]), (1, [0, 12]), (72, [0, 12]), (145, [0, 12, 24, 40])])
def test_bars_begin_up_to_the_first_bar_line_at_or_after_the_end(end: int, steps: list[int]) -> None:
    assert bar_starts(((0, Metre(3, 4)), (144, Metre())), end) == steps


def test_other_metres_hold_from_a_bar_line_on_which_is_their_bar_1() -> None:
    bars = BarLines(((0, Metre()),))
    bars.change_metres(((0, Metre(3, 4)), (144, Metre(2, 4))), 96)
    found = [bars.bar_at(tick) for tick in (95, 96, 239, 240, 290)]
    assert found == [Bar(0, 96), Bar(96, 168), Bar(168, 240), Bar(240, 288), Bar(288, 336)]
    assert bars.metre_at(100) == (96, Metre(3, 4))


def test_a_change_at_once_cuts_the_bar_short_and_one_while_nothing_plays_leaves_none_behind() -> None:
    bars = BarLines(((0, Metre()),))
    bars.change_metres(((0, Metre(3, 4)),), 42)
    assert [bars.bar_at(tick) for tick in (41, 42)] == [Bar(0, 42), Bar(42, 114)]
    bars.change_metres(((0, Metre(2, 4)),), None)
    assert bars.bar_at(41) == Bar(0, 48)


def test_a_song_that_is_begun_anew_has_its_changes_of_metre_from_its_new_bar_1_on() -> None:
    bars = BarLines(((0, Metre()), (192, Metre(3, 4))))
    bars.restart(1000)
    assert [bars.bar_at(tick) for tick in (999, 1000, 1192)] == [Bar(904, 1000), Bar(1000, 1096), Bar(1192, 1264)]
    bars.restart()
    assert bars.bar_at(1000) == Bar(1000, 1096)


def test_bars_that_a_clock_counts_are_counted_from_where_it_says_whatever_the_metre() -> None:
    bars = BarLines(((0, Metre()),))
    bars.restart(5)
    bars.change_metres(((0, Metre(3, 4)),), 96, is_led=True)
    assert [bars.bar_at(tick) for tick in (96, 149)] == [Bar(96, 149), Bar(149, 221)]
