"""The cache of songs that training reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.data import song_cache
from tests.support.training import make_song


def test_cache_round_trip(tmp_path: Path) -> None:
    songs = [make_song("a"), make_song("b", style="jazz", split="valid", bars=6)]
    song_cache.save(tmp_path / "c.npz", songs)
    for made, found in zip(songs, song_cache.load(tmp_path / "c.npz"), strict=True):
        assert (made.name, made.style, made.split) == (found.name, found.style, found.split)
        assert np.array_equal(made.notes, found.notes)
        assert np.array_equal(made.chords, found.chords)
    with pytest.raises(song_cache.DataError, match="not a cache"):
        song_cache.load(tmp_path / "none.npz")
