"""Changes of key: found where there are some, and what was heard before them moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.analysis import melody_recall
from music.analysis.modulation import KeyChange, apply_key_change, find_key_change, measure_recall
from music.encoding import melody_context

Row = tuple[int, int, int]
SCALE = (0, 2, 4, 5, 7, 9, 11)


def end(rows: list[Row]) -> int:
    """The step after a melody."""
    return rows[-1][0] + rows[-1][2]


def tune(notes: int, seed: int = 0, first: int = 0) -> list[Row]:
    """A walk through C major, a note every two steps, that dwells on the tones of the tonic chord."""
    random = np.random.default_rng(seed)
    shares = np.array([4, 1, 3, 1, 3, 1, 0.5])
    drawn = random.choice(SCALE, notes, p=shares / shares.sum())
    return [(first + 2 * i, 60 + int(p), 2) for i, p in enumerate(drawn)]


@pytest.mark.parametrize(
    ("by", "bars"), [(-4, 2), (-3, 2), (-1, 2), (1, 2), (3, 2), (4, 2), (6, 2), (-2, 4), (2, 4)], ids=str
)
def test_a_change_of_key_is_found_within_bars(by: int, bars: int) -> None:
    """The sooner, the fewer tones the two keys share."""
    rows = tune(80) + [(s, p + by, n) for s, p, n in tune(8 * bars, seed=1, first=160)]
    found = find_key_change(rows, end(rows))
    assert found is not None
    assert found.semitones == by
    assert abs(found.step - 160) <= 16


@pytest.mark.parametrize("seed", range(5))
def test_a_verse_that_comes_again_higher_is_known_after_two_beats(seed: int) -> None:
    verse = tune(64, seed)
    rows = verse + [(s + 128, p + 1, n) for s, p, n in verse]
    for count in range(72, 129):
        found = find_key_change(rows[:count], end(rows[:count]))
        assert found is not None
        assert found.semitones == 1
        assert abs(found.step - 128) <= 4


@pytest.mark.parametrize("seed", range(10))
def test_a_song_that_stays_has_none(seed: int) -> None:
    rows = tune(200, seed)
    assert all(find_key_change(rows[:count], 2 * count) is None for count in range(0, 201, 5))


def test_a_chromatic_run_is_no_change_of_key() -> None:
    rows = [*tune(80), *((160 + i, 60 + i, 1) for i in range(12)), *tune(8, seed=2, first=172)]
    assert all(find_key_change(rows[:count], end(rows[:count])) is None for count in range(80, len(rows) + 1))


def test_there_must_be_a_key_to_leave() -> None:
    assert find_key_change([], 8) is None
    assert find_key_change([(s, p + 6 * (s >= 32), n) for s, p, n in tune(40)], 80) is None  # after two bars


def test_what_was_before_goes_to_the_new_key() -> None:
    old, new = tune(80), [(s, p + 6, n) for s, p, n in tune(16, seed=1, first=160)]
    begun = find_key_change(old + new, end(new))
    assert begun is not None
    assert apply_key_change(old + new, begun).tolist() == [
        [s, p + 6, n] if s < begun.step else [s, p, n] for s, p, n in old + new
    ]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 127), st.integers(1, 64)), max_size=80))
def test_any_melody_stays_on_the_keyboard(rows: list[Row]) -> None:
    rows = sorted(rows)
    change = find_key_change(rows, 400)
    if change is not None:
        there = apply_key_change(rows, change).tolist()
        assert [(s, n) for s, _, n in there] == [(s, n) for s, _, n in rows]
        assert all(0 <= p <= 127 for _, p, _ in there)


def test_a_band_hears_a_song_in_the_new_key_as_if_it_had_always_been_there() -> None:
    song = tune(80, seed=3) + tune(24, seed=4, first=160)
    there = [(s, p + 6, n) for s, p, n in song]
    half = [row if row[0] < 160 else high for row, high in zip(song, there, strict=True)]
    now = 208
    assert find_key_change(half, now) == KeyChange(160, 6)
    heard, sure = melody_context.draw_around(half, now, heard_all=False)
    wanted, as_sure = melody_context.draw_around(there, now, heard_all=False)
    assert np.array_equal(heard.any(0), wanted.any(0))
    assert sure == as_sure
    assert melody_context.remembers(half, now)


def test_who_hears_all_hears_it_as_it_is() -> None:
    song = tune(80) + [(s, p + 6, n) for s, p, n in tune(24, seed=1, first=160)]
    heard, sure = melody_context.draw_around(song, 180, heard_all=True)
    assert sure == 1
    assert np.array_equal(
        heard,
        melody_context.draw_melody(
            song, 180 - melody_context.PAST_STEPS, melody_context.PAST_STEPS + melody_context.FUTURE_STEPS
        ),
    )


def test_what_is_right_of_the_line_tells_nothing() -> None:
    song = tune(80) + [(s, p + 6, n) for s, p, n in tune(24, seed=1, first=160)]
    heard, _ = melody_context.draw_around(song, 150, heard_all=False)
    wanted, _ = melody_context.draw_around([r for r in song if r[0] < 150], 150, heard_all=False)
    assert np.array_equal(heard, wanted)


@given(st.lists(st.integers(50, 70), min_size=30, max_size=90), st.lists(st.integers(-5, 6), max_size=3), st.data())
def test_what_is_recalled_after_changes_is_what_the_moved_melody_recalls(
    pitches: list[int], moves: list[int], data: st.DataObject
) -> None:
    rows = np.array([(3 * i, pitch, data.draw(st.integers(1, 5))) for i, pitch in enumerate(pitches)])
    changes = [KeyChange(3 * data.draw(st.integers(0, 90)), by) for by in moves]
    now = 3 * len(rows) + 1
    moved = [rows, *(apply_key_change(rows, change) for change in changes)]
    alone = [melody_recall.find_match(melody_recall.sample_melody(each, now)).trust for each in moved]
    assert measure_recall(rows, changes, now, 16) == alone
