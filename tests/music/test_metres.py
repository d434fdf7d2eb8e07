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
