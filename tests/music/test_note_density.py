"""What a band is used to playing, and how it is called back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from music.analysis import note_density
from music.analysis.note_rows import list_rows
from music.analysis.part_notes import PartNotes
from music.note import PITCHED_ROLES, ROLES, Note
from tests.support.note_histories import histories

STEP = 6


def band(bars: range, **notes_a_bar: int) -> dict[str, tuple[Note, ...]]:
    """So many notes of two steps in every bar, role by role."""
    return {
        role: tuple(Note((bar * 16 + i) * STEP, 40, 2 * STEP) for bar in bars for i in range(count))
        for role, count in notes_a_bar.items()
    }


def compute_bias(
    parts: Mapping[str, Sequence[Note]], now: int, promised: note_density.Floats, density: float = 1.0
) -> tuple[note_density.Floats, note_density.Floats]:
    rows = {role: list_rows(notes) for role, notes in parts.items()}
    return note_density.compute_density_bias(rows, now, promised, density)


def promise(*notes: float, single: float = 0.0) -> note_density.Floats:
    return np.tile(np.array([*notes, *[single] * len(PITCHED_ROLES)]), (note_density.WINDOW_STEPS, 1))


def test_habits_are_notes_a_bar_and_the_share_of_one_step_notes() -> None:
    parts = {
        "bass": (Note(0, 40, STEP), Note(4 * STEP, 40, 4 * STEP), Note(31 * STEP, 40, 8), Note(64 * STEP, 40, STEP)),
        "drums": tuple(Note(i * STEP, 36, STEP) for i in range(32)),
    }
    assert note_density.measure_habits(parts, 0, 32).tolist() == [
        1.5,
        0,
        0,
        16,
        0.5,
        0,
        0,
    ]  # the third bass note is not over yet
    assert note_density.measure_habits({}, 0, 32).tolist() == [0] * note_density.HABIT_COUNT


def test_who_keeps_his_promise_is_left_alone() -> None:
    parts = band(range(8), bass=4, chords=12, pad=2, drums=16)
    more, longer = compute_bias(parts, 128, promise(4, 12, 2, 16))
    assert np.allclose(more, 0)
    assert np.allclose(longer, 0)


def test_who_plays_too_little_is_called_up_and_who_plays_too_much_down() -> None:
    parts = band(range(8), bass=4, chords=12, pad=2, drums=16)
    more, _ = compute_bias(parts, 128, promise(8, 6, 2, 20))
    assert more[0] > 0 > more[1]
    assert more[2] == 0
    assert more[3] > 0
    assert (np.abs(compute_bias(parts, 128, promise(400, 0, 2, 20))[0]) <= note_density.MAX_BIAS).all()


def test_density_is_part_of_the_promise() -> None:
    parts = band(range(8), bass=4, chords=12, pad=2, drums=16)
    assert np.allclose(compute_bias(parts, 128, promise(8, 24, 4, 32), density=0.5)[0], 0)
    assert (compute_bias(parts, 128, promise(4, 12, 2, 16), density=0.0)[0] < 0).all()


def test_notes_that_should_be_shorter_are_cut() -> None:
    parts = band(range(8), bass=4)
    _, longer = compute_bias(parts, 128, promise(4, 0, 0, 0, single=0.5))
    assert longer[0] < 0
    assert longer[1] == longer[2] == 0


def test_a_band_that_has_just_begun_or_paused_is_not_blamed_for_the_silence() -> None:
    want = promise(4, 12, 2, 16)
    assert not np.concatenate(compute_bias({}, 500, want)).any()
    begun = compute_bias(band(range(7, 8), bass=4, chords=12, pad=2, drums=16), 128, want)[0]
    assert np.allclose(begun, 0)
    paused = band(range(2), bass=4, chords=12, pad=2, drums=16)
    again = band(range(6, 8), bass=4, chords=12, pad=2, drums=16)
    assert np.allclose(compute_bias({role: (*paused[role], *again[role]) for role in paused}, 128, want)[0], 0)


def test_who_has_played_nothing_is_left_alone() -> None:
    more, _ = compute_bias(band(range(8), bass=4), 128, promise(4, 12, 2, 16))
    assert more.tolist() == [0, 0, 0, 0]


@given(
    st.lists(st.tuples(st.sampled_from(ROLES), st.integers(0, 2_000), st.integers(1, 200)), max_size=60),
    st.floats(0, 2),
)
def test_whatever_was_played_the_pull_is_bounded(played: list[tuple[str, int, int]], density: float) -> None:
    parts: dict[str, list[Note]] = {}
    for role, start, length in played:
        parts.setdefault(role, []).append(Note(start, 60, length))
    more, longer = compute_bias(parts, 200, promise(4, 12, 0, 16, single=0.3), density)
    assert (np.abs(np.concatenate([more, longer])) <= note_density.MAX_BIAS).all()


@given(st.fixed_dictionaries({role: histories() for role in ROLES}), st.data())
@settings(deadline=None, max_examples=30)
def test_counts_that_are_kept_give_the_bias_of_counts_made_anew(
    told: dict[str, list[tuple[Note, ...]]], data: st.DataObject
) -> None:
    counter, parts = note_density.NoteCounter(), {role: PartNotes() for role in ROLES}
    habits = np.random.default_rng(0).uniform(0.1, 9, (3, note_density.HABIT_COUNT))
    section_steps, bar = data.draw(st.sampled_from([128, 96, 160])), data.draw(st.integers(0, 15))
    now = data.draw(st.integers(-20, 420))
    for turn in range(max(len(lists) for lists in told.values())):
        now = data.draw(st.sampled_from([now + 1, now + 4, now + 130, now + 600, data.draw(st.integers(-20, 420))]))
        played = {role: lists[min(turn, len(lists) - 1)] for role, lists in told.items()}
        for role, notes in played.items():
            parts[role].update(notes, now * STEP)
        counter.update(parts, now)
        kept = counter.compute_bias(parts, habits, section_steps, bar, 0.7)
        steps = np.arange(now - note_density.WINDOW_STEPS, now)
        promised = habits[(steps - bar) // section_steps % len(habits)]
        for one, other in zip(kept, compute_bias(played, now, promised, 0.7), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("section_steps", [64, 128, 160])
def test_a_band_that_has_played_for_long_is_weighed_alike_wherever_its_sections_change(section_steps: int) -> None:
    played = band(range(24), bass=3, chords=9, pad=2, drums=11)
    counter, parts = note_density.NoteCounter(), {role: PartNotes() for role in ROLES}
    habits = np.random.default_rng(1).uniform(0.1, 9, (3, note_density.HABIT_COUNT))
    for now in range(130, 384):
        heard = {role: tuple(note for note in notes if note.start < now * STEP) for role, notes in played.items()}
        for role, notes in heard.items():
            parts[role].update(notes, now * STEP)
        counter.update(parts, now)
        promised = habits[(np.arange(now - note_density.WINDOW_STEPS, now) - 5) // section_steps % len(habits)]
        kept = counter.compute_bias(parts, habits, section_steps, 5)
        for one, other in zip(kept, compute_bias(heard, now, promised), strict=True):
            assert np.array_equal(one, other)
