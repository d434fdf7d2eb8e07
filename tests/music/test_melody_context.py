"""What the harmonist hears of a melody."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from music.encoding import melody_context
from music.note import Metre


def test_phases_of_other_metres_are_told_in_the_terms_of_four_four() -> None:
    assert [melody_context.find_phase(s) for s in (0, 5, 15, 16)] == [0, 5, 15, 0]
    assert [melody_context.find_phase(s, Metre(3, 4)) for s in (0, 11, 12)] == [0, 11, 0]


def cut_into_voice(notes: dict[int, tuple[int, int]]) -> NDArray[np.int64]:
    """Return rows of one voice; notes: start step -> pitch, length."""
    starts = [*sorted(notes), 1 << 30]
    rows = [(start, notes[start][0], min(notes[start][1], end - start)) for start, end in pairwise(starts)]
    return np.array(rows, np.int64).reshape(-1, 3)


VOICE_NOTE = st.tuples(st.integers(-20, 700), st.integers(30, 100), st.sampled_from((1, 2, 4, 4, 30, 400)))
VOICE_TURN = st.one_of(
    VOICE_NOTE.map(lambda note: ("put", note)),
    st.tuples(st.sampled_from(("remove", "forget", "last")), st.integers(0, 40)),
    st.tuples(st.sampled_from(("step", "jump")), st.integers(1, 2200)),
)


@given(st.lists(VOICE_NOTE, max_size=60), st.integers(0, 5), st.lists(VOICE_TURN, min_size=2, max_size=16))
@settings(deadline=None, max_examples=60)
def test_a_melody_that_grows_is_drawn_as_one_that_is_new(
    played: list[tuple[int, int, int]], again: int, turns: list[tuple[str, Any]]
) -> None:
    notes = {start: (pitch, length) for start, pitch, length in played}
    if again:  # it repeats itself, in another key
        notes |= {start + 256: (pitch + 7 * (again > 2), length) for start, (pitch, length) in notes.items()}
    steps, kept, now = melody_context.MelodySteps(), np.empty((5, 12, 320), np.float32), 60
    for kind, value in [("step", 1), *turns]:
        if kind == "put":
            notes[value[0]] = value[1:]
        elif kind in {"step", "jump"}:
            now = value if kind == "jump" else now + value % 5
        elif notes:
            at = sorted(notes)[{"remove": value % len(notes), "forget": 0, "last": -1}[kind]]
            notes[at] = notes[at][0], value + 1
            if kind != "last":
                del notes[at]
        for heard_all in (False, True):
            for metre in (Metre(), Metre(3, 4)):
                rows = cut_into_voice({s: note for s, note in notes.items() if heard_all or s < now})
                steps.update(rows)
                known = steps.draw_around(kept, now, heard_all, metre)
                wanted, as_known = melody_context.draw_around(rows, now, heard_all, metre)
                assert known == as_known
                assert np.array_equal(kept, wanted)
