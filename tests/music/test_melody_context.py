"""What the harmonist hears of a melody."""

from __future__ import annotations

from music.encoding import melody_context
from music.note import Metre


def test_phases_of_other_metres_are_told_in_the_terms_of_four_four() -> None:
    assert [melody_context.find_phase(s) for s in (0, 5, 15, 16)] == [0, 5, 15, 0]
    assert [melody_context.find_phase(s, Metre(3, 4)) for s in (0, 11, 12)] == [0, 11, 0]
