"""Songs as plain arrays, kept in one compressed .npz.

The file is small enough to carry to a machine that has nothing but torch and numpy: no MIDI package is needed to read
it. `models.data.preparation` makes it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music.chords import NO_CHORD, QUALITIES
from music.errors import UserError
from music.files import open_atomically
from music.note import PITCH_CLASSES, PITCHES, STEPS_PER_BAR, Metre
from music.track_names import PARTS

#: column of the notes -> the smallest type it is kept in, and its least and greatest value
_COLUMNS: dict[str, tuple[type[np.unsignedinteger[Any]], int, int]] = {
    "part": (np.uint8, 0, len(PARTS) - 1),
    "start": (np.uint16, 0, 2**31 - 1),
    "pitch": (np.uint8, 0, PITCHES - 1),
    "length": (np.uint16, 1, 2**31 - 1),
    "velocity": (np.uint8, 1, 127),
}
_LABELS = ("name", "collection", "style", "split")
#: whatever a damaged cache makes its readers raise
_DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, AttributeError, KeyError, IndexError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


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
    #: all of it is in
    metre: Metre = Metre()
    bpm: int = 0  #: quarters a minute, at its beginning; 0 where it is not known
    is_fill: bool = False  #: a drummer's bar or two that leads into the next section
    is_played: bool = False  #: bass and chords are a pianist's; `models.data.played_bands` tells, a cache does not
    #: steps at which bars begin in which its drummer plays a fill; `models.data.played_drums` tells, a cache does not
    fills: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """Length in steps, a whole number of bars."""
        end = int((self.notes[:, 1] + self.notes[:, 3]).max()) if len(self.notes) else 0
        return -(-end // self.metre.steps_per_bar) * self.metre.steps_per_bar

    @property
    def is_in_four(self) -> bool:
        """Its bars are of sixteen steps, as those of 4/4."""
        return self.metre.steps_per_bar == STEPS_PER_BAR


def check_replaceable(cache: Path) -> None:
    """Raise DataError for a file that is there and is no cache, but perhaps a song. Raises OSError."""
    if not cache.is_file() or not cache.stat().st_size:
        return
    try:
        with zipfile.ZipFile(cache) as archive:
            is_cache = "index.npy" in archive.namelist()
    except zipfile.BadZipFile:
        is_cache = False
    if not is_cache:
        raise DataError(f"{cache}: is there already, and no cache of training music; name another file")


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
            "metre": [s.metre.numerator, s.metre.denominator],
            "bpm": s.bpm,
            "is_fill": s.is_fill,
        }
        for s in songs
    ]
    columns: dict[str, Any] = {
        name: _narrow(notes[:, i], smallest) for i, (name, (smallest, _, _)) in enumerate(_COLUMNS.items())
    }
    cache.parent.mkdir(parents=True, exist_ok=True)
    with open_atomically(cache) as file:
        np.savez_compressed(
            file,
            index=np.frombuffer(json.dumps(index).encode(), np.uint8),
            **columns,
            chords=np.concatenate([s.chords for s in songs]),
        )


def _narrow(column: NDArray[np.int32], smallest: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    """Return a column in the smallest type, or in a wider one where its values do not fit."""
    fits = not len(column) or (int(column.min()) >= 0 and int(column.max()) <= np.iinfo(smallest).max)
    return column.astype(smallest if fits else np.int32)


def load(cache: Path) -> list[CachedSong]:
    """Return the songs of a cache. Raises DataError when the file is none."""
    if not cache.is_file():
        raise DataError(f"{cache}: not a cache of training music (no regular file); make one with --data")
    try:
        with cache.open("rb") as file, np.load(file) as arrays:
            index = json.loads(arrays["index"].tobytes())
            columns = [arrays[name] for name in _COLUMNS]
            chords = arrays["chords"]
        _check_arrays(index, dict(zip(_COLUMNS, columns, strict=True)), chords)
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{cache}: not a cache of training music ({reason}); make it again with --data") from None
    notes = np.stack([column.astype(np.int32) for column in columns], 1)
    songs, at, beat = [], 0, 0
    for entry in index:
        end, last = at + entry["notes"], beat + entry["beats"]
        name, collection, style, split = (entry[label] for label in _LABELS)
        metre = Metre(*entry.get("metre", (4, 4)))  # earlier caches held no others
        bpm, is_fill = entry.get("bpm", 0), bool(entry.get("is_fill", False))
        songs.append(CachedSong(name, collection, style, split, notes[at:end], chords[beat:last], metre, bpm, is_fill))
        at, beat = end, last
    return songs


def _check_arrays(index: list[dict[str, Any]], columns: dict[str, NDArray[Any]], chords: NDArray[Any]) -> None:
    """Raise an error of _DAMAGE unless the arrays of a cache are what training relies on."""
    for entry in index:
        if not all(isinstance(entry[label], str) for label in _LABELS):
            raise ValueError("a song in it has no name")
        if not all(type(entry[count]) is int and entry[count] >= 0 for count in ("notes", "beats")):
            raise ValueError("a song in it has no size")
        Metre(*entry.get("metre", (4, 4)))
        if type(entry.get("bpm", 0)) is not int:
            raise ValueError("a song in it has no tempo")
    count, beats = sum(entry["notes"] for entry in index), sum(entry["beats"] for entry in index)
    for name, column in columns.items():
        _, least, greatest = _COLUMNS[name]
        if column.shape != (count,) or column.dtype.kind not in "iu":
            raise ValueError(f"its {name} column does not fit the songs")
        if count and not (least <= int(column.min()) and int(column.max()) <= greatest):
            raise ValueError(f"its {name} column holds impossible values")
    if chords.shape != (beats, 2) or chords.dtype != np.int8:
        raise ValueError("its chords do not fit the songs")
    limits = np.array([PITCH_CLASSES, len(QUALITIES)])
    if ((chords < NO_CHORD) | (chords >= limits)).any():
        raise ValueError("its chords are none")


def hash_file(path: Path) -> str:
    """Return the first 16 hex digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
