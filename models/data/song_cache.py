"""Songs as plain arrays, kept in one compressed .npz.

The file is small enough to carry to a machine that has nothing but torch and numpy: no MIDI package is needed to read
it. `models.data.preparation` makes it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from music.errors import UserError
from music.files import open_atomically


class DataError(UserError):
    """Training data that cannot be used."""


@dataclass(frozen=True, slots=True)
class CachedSong:
    """One song on the step grid."""

    name: str
    collection: str
    style: str
    split: str
    #: (n, 5) rows of part (index in music.track_names.PARTS), start step, pitch, length in steps, velocity, by start
    notes: NDArray[np.int32]
    #: (beats, 2) rows of root 0..11 and index in music.chords.QUALITIES; music.chords.NO_CHORD where none is known
    chords: NDArray[np.int8]

    @property
    def steps(self) -> int:
        """Length in steps, a whole number of 4/4 bars."""
        end = int((self.notes[:, 1] + self.notes[:, 3]).max()) if len(self.notes) else 0
        return -(-end // 16) * 16


def save(cache: Path, songs: list[CachedSong]) -> None:
    """Write songs as one compressed .npz. Raises OSError."""
    notes = np.concatenate([s.notes for s in songs])
    index = [
        {
            "name": s.name,
            "collection": s.collection,
            "style": s.style,
            "split": s.split,
            "notes": len(s.notes),
            "beats": len(s.chords),
        }
        for s in songs
    ]
    cache.parent.mkdir(parents=True, exist_ok=True)
    with open_atomically(cache) as file:
        np.savez_compressed(
            file,
            index=np.frombuffer(json.dumps(index).encode(), np.uint8),
            part=notes[:, 0].astype(np.uint8),
            start=notes[:, 1].astype(np.uint16),
            pitch=notes[:, 2].astype(np.uint8),
            length=np.minimum(notes[:, 3], 65535).astype(np.uint16),
            velocity=notes[:, 4].astype(np.uint8),
            chords=np.concatenate([s.chords for s in songs]),
        )


def load(cache: Path) -> list[CachedSong]:
    """Return the songs of a cache. Raises DataError when the file is none."""
    try:
        with np.load(cache) as arrays:
            index = json.loads(arrays["index"].tobytes())
            columns = [arrays[k].astype(np.int32) for k in ("part", "start", "pitch", "length", "velocity")]
            chords = arrays["chords"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{cache}: not a cache of training music ({error}); make it again with --data") from None
    notes = np.stack(columns, 1)
    songs, at, beat = [], 0, 0
    for entry in index:
        songs.append(
            CachedSong(
                entry["name"],
                entry["collection"],
                entry["style"],
                entry["split"],
                notes[at : at + entry["notes"]],
                chords[beat : beat + entry["beats"]],
            )
        )
        at += entry["notes"]
        beat += entry["beats"]
    return songs


def hash_file(path: Path) -> str:
    """Return the first 16 hex digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
