"""Bands take the bass and chords of the pianist who played the same song."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.data.parts import extract_melody, split_roles
from models.data.played_bands import find_shift, let_people_play
from models.data.song_cache import CachedSong
from music.track_names import PARTS
from tests.support.training import make_song

LATE_BARS = 2  #: the pianist's piece begins so many bars into the band's song


def make_tune(steps: int = 256) -> list[list[int]]:
    random = np.random.default_rng(1)
    return [[PARTS.index("melody"), start, int(random.integers(60, 80)), 4, 90] for start in range(0, steps, 4)]


def make_band(style: str = "pop") -> CachedSong:
    late = LATE_BARS * 16
    band = make_song("007-" + style, style)
    rows = [row for row in band.notes.tolist() if row[0] != PARTS.index("melody")]
    tune = [[part, start + late, *rest] for part, start, *rest in make_tune()]
    return replace(band, notes=np.array(sorted(rows + tune, key=lambda row: row[1]), np.int32))


def make_piano(pitches: tuple[int, ...] = (40, 47, 52, 64)) -> CachedSong:
    """A broken chord in every bar over a held low note."""
    piano = PARTS.index("piano")
    rows = [[piano, bar * 16 + 4 * i, pitch, 4, 80] for bar in range(16) for i, pitch in enumerate(pitches)]
    notes = np.array(sorted(make_tune() + rows, key=lambda row: row[1]), np.int32)
    return CachedSong("007-b", "pop909", "piano", "train", notes, np.zeros((64, 2), np.int8))


def test_the_bass_of_a_broken_chord_is_its_lowest_note_of_each_half_bar() -> None:
    roles = split_roles(make_piano())
    assert set(roles["bass"][:, 1].tolist()) == {40, 52}  # the 47 within the half bar is a chord's
    assert set(roles["chords"][:, 1].tolist()) == {47, 64}


def test_a_note_above_one_that_is_held_is_no_bass() -> None:
    piano = make_piano()
    held = piano.notes.copy()
    held[(held[:, 2] == 40), 3] = 16
    assert set(split_roles(replace(piano, notes=held))["bass"][:, 1].tolist()) == {40}


@pytest.mark.parametrize("style", ["pop", "rock", "ballad"])
def test_a_band_plays_what_the_pianist_played_with_its_own_drums(style: str) -> None:
    band, piano = make_band(style), make_piano()
    [joined, alone] = let_people_play([band, piano])
    assert alone is piano
    assert (joined.style, joined.collection, joined.split) == (style, "bands", "train")
    roles, played = split_roles(joined), split_roles(piano)
    for role in ("melody", "bass", "chords"):
        assert roles[role].tolist() == played[role].tolist()
    drums = split_roles(band)["drums"]
    drums = drums[(drums[:, 0] >= LATE_BARS * 16) & (drums[:, 0] < LATE_BARS * 16 + piano.steps)]
    assert roles["drums"][:, 0].tolist() == (drums[:, 0] - LATE_BARS * 16).tolist()
    assert joined.steps == piano.steps


def test_jazz_and_songs_that_nobody_played_stay_as_they_are() -> None:
    jazz, other = make_band("jazz"), replace(make_band(), name="008-pop")
    assert let_people_play([jazz, other, make_piano()])[:2] == [jazz, other]


def test_another_tune_of_the_same_number_is_not_joined() -> None:
    band, piano = make_song("007-pop"), make_piano()
    assert let_people_play([band, piano])[0] is band


def test_the_shift_of_a_melody_is_found() -> None:
    assert find_shift(extract_melody(make_piano()), extract_melody(make_band())) == LATE_BARS * 16
    assert find_shift(extract_melody(make_piano())[:0], extract_melody(make_band())) is None
