"""The chord of a chord model's vocabulary that pitch classes come nearest to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.chords import QUALITIES, QUALITY_TONES, match_chord


@pytest.mark.parametrize("quality", range(len(QUALITIES)))
@pytest.mark.parametrize("root", [0, 7])
def test_a_chord_is_itself(root: int, quality: int) -> None:
    tones = [root + tone for tone in QUALITY_TONES[quality]]
    assert match_chord(tones, root) == (root, quality)
    assert match_chord(tones, bass=root) == (root, quality)


@pytest.mark.parametrize(
    ("tones", "bass", "name"),
    [
        ((0, 4, 7), 4, (0, "maj")),  # first inversion
        ((0, 3, 7), 7, (0, "min")),  # second
        ((0, 7), 0, (0, "maj")),  # an open fifth
        ((0, 4, 7, 9, 2), 0, (0, "maj")),  # C6/9
        ((0, 3, 6, 9), 0, (0, "dim")),  # a diminished seventh
        ((11, 2, 5, 7), 7, (7, "7")),
        ((9, 0, 4, 7), 9, (9, "min7")),
    ],
)
def test_what_hands_play(tones: tuple[int, ...], bass: int, name: tuple[int, str]) -> None:
    assert match_chord(tones, bass=bass) == (name[0], QUALITIES.index(name[1]))


@given(st.sets(st.integers(0, 11), min_size=1), st.integers(-1, 11), st.integers(0, 11))
def test_every_key_is_alike(tones: set[int], bass: int, up: int) -> None:
    found, moved = match_chord(tones, 3, bass), match_chord({t + up for t in tones}, (3 + up) % 12, bass)
    assert found is not None
    assert moved is not None
    assert bass != -1 or moved == ((found[0] + up) % 12, found[1])
    assert match_chord(()) is None
