"""The features of one step are a row of the features of many."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from music.encoding import step_features
from music.note import PITCHED_ROLES, ROLES

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
