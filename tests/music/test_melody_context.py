"""What the harmonist hears of a melody."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from music.analysis.note_rows import list_rows
from music.encoding import melody_context
from music.note import Metre, Note


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
@settings(deadline=None, max_examples=40)
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


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_a_melody_as_it_is_played_is_heard_as_one_that_is_new(data: st.DataObject) -> None:
    inputs, notes, now = melody_context.HarmonistInputs(), list[Note](), 2
    for _ in range(data.draw(st.integers(1, 25))):
        kind = data.draw(st.sampled_from(["play", "play", "play", "edit", "leap", "forget", "phrase"]))
        if kind == "leap":
            now = data.draw(st.integers(0, 2400))
        elif kind == "edit" and notes:
            at = data.draw(st.integers(0, len(notes) - 1))
            notes[at] = Note(notes[at].start, data.draw(st.integers(40, 90)), notes[at].length)
        elif kind == "forget":
            del notes[: data.draw(st.integers(0, 3))]
        else:
            for _ in range(40 if kind == "phrase" else 1):
                tick = max(notes[-1].end if notes else -20, now * 6 - data.draw(st.integers(0, 9)))
                notes.append(Note(tick, data.draw(st.integers(30, 100)), data.draw(st.sampled_from((1, 3, 6, 12, 50)))))
                now += data.draw(st.sampled_from((0, 1, 2)))
        metre, bar = data.draw(st.sampled_from((Metre(), Metre(3, 4)))), data.draw(st.integers(0, 3))
        heard_all = data.draw(st.booleans())
        kept = inputs.hear(list_rows(notes), now, heard_all, metre, bar)
        new = melody_context.build_harmonist_input(notes, now, heard_all, metre, bar)
        assert np.array_equal(kept.melody, new.melody)
        assert np.array_equal(kept.known, new.known)
        assert np.array_equal(kept.phase, new.phase)
        now += 1
