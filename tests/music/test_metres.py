"""Metres of a song as a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.charts.metres import MAX_BAR, format_metres, place_metres, read_metres
from music.note import Metre

METRES = st.builds(Metre, st.integers(1, 64), st.sampled_from((1, 2, 4, 8, 16)))


@given(METRES, st.dictionaries(st.integers(2, MAX_BAR), METRES, max_size=20))
def test_metres_are_read_as_they_are_written(first: Metre, others: dict[int, Metre]) -> None:
    metres = ((1, first), *sorted(others.items()))
    assert read_metres(format_metres(metres)) == metres
    ticks = [tick for tick, _ in place_metres(metres)]
    assert ticks == sorted(ticks)


def test_a_metre_holds_from_its_bar_on() -> None:
    assert place_metres(read_metres("4/4, 9:3/4,13 : 4/4")) == ((0, Metre()), (768, Metre(3, 4)), (1056, Metre()))
    assert read_metres(" 1: 6/8 ") == ((1, Metre(6, 8)),)


@pytest.mark.parametrize(
    "text", ["", "4", "4/4,", "4/3", "0/4", "65/4", "2: 3/4", "4/4, 5: 3/4, 5: 4/4", "4/4, 1: 3/4", "4/4 3/4", "x"]
)
def test_a_text_that_gives_no_metres_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"metre|time signature|beats"):
        read_metres(text)


@pytest.mark.parametrize(
    ("written", "pulses"),
    [
        ("7/8", (0, 4, 8)),
        ("7/8 3+2+2", (0, 6, 10)),
        ("7/8 2 + 2 + 3", (0, 4, 8)),
        ("5/8", (0, 4)),
        ("5/4", (0, 4, 8, 12, 16)),
        ("5/4 3+2", (0, 4, 8, 12, 16)),
        ("3/8", (0,)),
        ("6/8", (0, 6)),
        ("3/4", (0, 4, 8)),
        ("4/4", (0, 4, 8, 12)),
        ("1/16", (0,)),
    ],
)
def test_groups_say_where_felt_beats_begin(written: str, pulses: tuple[int, ...]) -> None:
    [(_, metre)] = read_metres(written)
    assert metre.pulse_steps == pulses


@pytest.mark.parametrize("text", ["7/8 2+2", "7/8 2+2+4", "7/8 0+7", "7/8 +7", "7/8 2+2+3+", "7/82+2+3"])
def test_groups_fill_a_bar(text: str) -> None:
    with pytest.raises(ValueError, match=r"metre|time signature|is no bar"):
        read_metres(text)


def test_groups_are_written_as_they_are_read() -> None:
    assert format_metres(read_metres("7/8 2+2+3, 9: 4/4, 13: 5/4  3 + 2")) == "7/8 2+2+3, 9: 4/4, 13: 5/4 3+2"


def test_groups_of_quarters_each_have_a_one() -> None:
    ones = {text: read_metres(text)[0][1].downbeat_steps for text in ("5/4", "5/4 3+2", "7/8 2+2+3", "4/4")}
    assert ones == {"5/4": (0,), "5/4 3+2": (0, 12), "7/8 2+2+3": (0,), "4/4": (0,)}
