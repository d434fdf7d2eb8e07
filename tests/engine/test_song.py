"""Where the bars of a song lie."""

from __future__ import annotations

import pytest

from daemon.engine.song import Bar, SongInfo, bar_at, bar_starts
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
