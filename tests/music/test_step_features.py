"""The features of one step are a row of the features of many."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from music.encoding import step_features
from music.note import PITCHED_ROLES, ROLES, Metre

STEPS = 12
rows = st.lists(st.tuples(st.integers(-8, STEPS), st.integers(0, 127), st.integers(1, 20)), max_size=12).map(sorted)
chords = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 7)) | st.just((-1, -1)), min_size=13, max_size=13)


@settings(max_examples=60, deadline=None)
@given(rows, st.fixed_dictionaries(dict.fromkeys(ROLES, rows)), chords, st.integers(0, STEPS), st.integers(0, 15))
def test_one_step_is_as_it_is_among_others(
    melody: list[tuple[int, int, int]],
    band: dict[str, list[tuple[int, int, int]]],
    harmony: list[tuple[int, int]],
    begun: int,
    phase: int,
) -> None:
    heard = step_features.extract_melody(melody, 0, STEPS)
    played = {role: np.array(band[role], np.int64).reshape(-1, 3) for role in (*PITCHED_ROLES, "drums")}
    phases = (phase + np.arange(STEPS)) % 16
    wanted = step_features.build_features(
        heard, step_features.extract_band(played, 0, STEPS), np.array(harmony).T, phases, begun=begun
    )
    for step in range(STEPS):
        sounding = int(heard.pitch[step]), bool(heard.struck[step])
        here = tuple(harmony[step : step + 2])
        made = step_features.build_step(sounding, band, step, here, int(phases[step]), step >= begun)
        assert np.array_equal(made[0], wanted[step])


@given(st.integers(-100, 100), st.sampled_from(["4/4", "2/2", "3/4", "6/8", "12/8", "9/8", "6/4", "5/4", "7/8"]))
def test_places_and_pulses_tell_where_bars_and_beats_begin(first: int, written: str) -> None:
    numerator, denominator = map(int, written.split("/"))
    metre = Metre(numerator, denominator)
    steps = first + np.arange(48)
    places, pulses = step_features.find_places(steps, metre), step_features.mark_pulses(steps, metre)
    assert ((places >= 0) & (places < 16)).all()
    if metre.steps_per_bar == 16:
        assert not pulses.any()
        assert np.array_equal(places, steps % 16)
    else:
        bars, beats, other = pulses.T
        assert np.array_equal(np.flatnonzero(bars), np.flatnonzero(steps % metre.steps_per_bar == 0))
        assert ((beats == 1) | (bars == 0)).all()
        assert other.all()
        assert (places[bars == 1] == 0).all()


def test_a_dotted_quarter_is_the_beat_of_six_eighths() -> None:
    assert np.flatnonzero(step_features.mark_pulses(np.arange(12), Metre(6, 8))[:, 1]).tolist() == [0, 6]
    assert np.flatnonzero(step_features.mark_pulses(np.arange(12), Metre(3, 4))[:, 1]).tolist() == [0, 4, 8]
