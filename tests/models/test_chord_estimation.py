"""Chords that nobody wrote down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.data.chord_estimation import find_chords
from models.harmonist.dataset import make_tunes
from music.chords import NO_CHORD, QUALITIES
from music.note import PITCH_CLASSES
from tests.support.training import make_song


@pytest.mark.parametrize("by", [0, 7])
def test_chords_that_nobody_wrote_down_are_guessed(by: int) -> None:
    written = make_song(bars=8)
    notes = written.notes + np.array([0, 0, by, 0, 0], np.int32) * (written.notes[:, :1] != 6)
    silent = replace(written, notes=notes.astype(np.int32), chords=np.full_like(written.chords, NO_CHORD))
    assert np.array_equal(find_chords(written), written.chords)
    guessed = find_chords(silent)
    assert np.array_equal(guessed[:, 0], (written.chords[:, 0] + by) % PITCH_CLASSES)
    assert {QUALITIES[q] for q in guessed[:, 1].tolist()} <= {"maj", "7"}
    soprano = replace(silent, notes=notes + np.array([7, 0, 0, 0, 0], np.int32) * (notes[:, :1] == 0), collection="x")
    tune, sung = make_tunes([silent], "train")[0], make_tunes([soprano], "train")[0]
    assert np.array_equal(tune.melody, sung.melody)
    assert (tune.kind, sung.kind) == ("bands", "x")
    assert np.array_equal(tune.chords, guessed.T)
