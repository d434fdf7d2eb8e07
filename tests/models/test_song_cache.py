"""The cache of songs that training reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

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


def test_positions_and_lengths_never_wrap(tmp_path: Path) -> None:
    """Sixteen bits end at bar 4096."""
    song = make_song(bars=2)
    notes = song.notes.copy()
    notes[:, 1] += 70_000
    notes[0, 3] = 100_000
    song_cache.save(tmp_path / "c.npz", [make_song(), replace(song, notes=notes)])
    assert np.array_equal(song_cache.load(tmp_path / "c.npz")[1].notes, notes)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pitch", lambda a: a + 100),
        ("start", lambda a: a[1:]),
        ("velocity", lambda a: a * 0),
        ("length", lambda a: a.astype(np.float32)),
        ("chords", lambda a: a + 20),
        ("chords", lambda a: a[:, 0]),
        ("index", lambda a: a[5:]),
        ("index", lambda a: np.frombuffer(b"[3]", np.uint8)),
        ("index", lambda a: np.frombuffer(b'[{"name": "a"}]', np.uint8)),
    ],
)
def test_a_damaged_cache_is_one_sentence(tmp_path: Path, name: str, change: Any) -> None:
    song_cache.save(tmp_path / "c.npz", [make_song(bars=4)])
    with np.load(tmp_path / "c.npz") as arrays:
        kept = dict(arrays)
    np.savez(tmp_path / "d.npz", **(kept | {name: change(kept[name])}))
    with pytest.raises(song_cache.DataError, match="not a cache"):
        song_cache.load(tmp_path / "d.npz")


def test_what_is_no_cache_is_one_sentence(tmp_path: Path) -> None:
    song_cache.save(tmp_path / "c.npz", [make_song(bars=4)])
    whole = (tmp_path / "c.npz").read_bytes()
    for content in (b"", b"PK\3\4", whole[:-200], whole[:300] + b"\0" * 50 + whole[350:]):
        (tmp_path / "d.npz").write_bytes(content)
        with pytest.raises(song_cache.DataError, match="not a cache"):
            song_cache.load(tmp_path / "d.npz")
    np.save(tmp_path / "e.npy", np.zeros(3))
    with pytest.raises(song_cache.DataError, match="not a cache"):
        song_cache.load(tmp_path / "e.npy")
    with pytest.raises(song_cache.DataError, match="not a cache"):
        song_cache.load(tmp_path)


def test_what_is_no_cache_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "song.mid").write_bytes(b"MThd")
    with pytest.raises(song_cache.DataError, match="no cache"):
        song_cache.check_replaceable(tmp_path / "song.mid")
    (tmp_path / "empty.npz").touch()
    song_cache.save(tmp_path / "cache.npz", [make_song()])
    for name in ("empty.npz", "cache.npz", "new.npz"):
        song_cache.check_replaceable(tmp_path / name)
