"""A live band that hears what no keyboard sends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hostile_midi import play


@settings(max_examples=15)
@given(st.integers(0, 1 << 30))
def test_it_plays_on_ends_every_note_and_leaves_a_take(seed: int) -> None:
    play(seed, count=100)
