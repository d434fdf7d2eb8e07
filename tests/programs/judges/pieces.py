"""Pieces that the judges look at: a melody and the pitched parts with it, on sixteenth steps, and planes of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data import preparation, song_cache
from models.data.song_cache import CachedSong
from music.corpus import get_song
from music.evaluation.baselines import ROLE_OF_TRACK, Accompaniment
from music.note import PITCH_CLASSES, STEPS_PER_BAR, TICKS_PER_STEP, Note, quantise
from music.styles import list_styles
from music.track_names import PARTS

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]

#: collections that the judges learn from, and the styles of their accompaniments
COLLECTIONS = ("pop909", "bands")
JUDGED_STYLES = list_styles("gan")

_SCALE = (0, 2, 4, 5, 7, 9, 11)
_SCALES = np.array(
    [np.isin(np.arange(PITCH_CLASSES), np.add(_SCALE, key) % PITCH_CLASSES) for key in range(PITCH_CLASSES)], np.float64
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a song. Rows of notes are (n, 3): first step, pitch, length in steps, by first step."""

    song: str
    style: str
    melody: Ints
    parts: Ints  #: of all pitched roles
    first: int  #: step of the bar of the first melody note
    bars: int  #: from there to the melody's end
    key: int  #: 0..11, the tonic of the major scale that holds most of melody and parts


def make_piece(song: str, style: str, melody: Ints, parts: Ints) -> Piece:
    """Return the piece of these rows, whose melody has at least one note."""
    melody, parts = _sort(melody), _sort(parts)
    first = int(melody[0, 0]) // STEPS_PER_BAR * STEPS_PER_BAR
    end = int((melody[:, 0] + melody[:, 2]).max())
    return Piece(
        song,
        style,
        melody,
        parts,
        first,
        -(-(end - first) // STEPS_PER_BAR),
        _find_key(np.concatenate([melody, parts])),
    )


def replace_parts(original: Piece, parts: Accompaniment) -> Piece:
    """Return the same melody, in the same key, with other parts."""
    rows = [make_rows(notes) for role, notes in parts.items() if role != "drums"]
    return replace(original, parts=_sort(np.concatenate([np.zeros((0, 3), np.int32), *rows])))


def make_rows(notes: Iterable[Note]) -> Ints:
    """Return notes as rows of first step, pitch, length in steps."""
    rows = [(n.start // TICKS_PER_STEP, n.pitch, n.length // TICKS_PER_STEP) for n in quantise(notes)]
    return np.array(rows, np.int32).reshape(-1, 3)


def select_pieces(songs: Iterable[CachedSong], split: str) -> list[Piece]:
    """Return a split's pieces of the collections the judges learn from: those with a melody and pitched parts."""
    melody = PARTS.index("melody")
    pitched = [PARTS.index(name) for name, role in ROLE_OF_TRACK.items() if role != "drums"]
    found = []
    for song in songs:
        if song.split == split and song.collection in COLLECTIONS:
            line = song.notes[song.notes[:, 0] == melody][:, 1:4]
            parts = song.notes[np.isin(song.notes[:, 0], pitched)][:, 1:4]
            if len(line) and len(parts):
                found.append(make_piece(get_song(song.name), song.style, line, parts))
    return found


@lru_cache(maxsize=1)
def load_music(cache: Path, folder: Path) -> tuple[CachedSong, ...]:
    """Return the music to learn from, out of the cache, which is made where it is missing.

    From the collections in the folder; raises DataError when they are not there either.
    """
    if not cache.exists():
        missing = [
            name for name in COLLECTIONS if not any((folder / f"{name}{end}").exists() for end in (".tar.gz", ""))
        ]
        if missing:
            raise song_cache.DataError(
                f"{folder}: no {' and no '.join(missing)} to train the judge on; name the folder of the collections "
                "with --data, or prepared music with --cache"
            )
        preparation.prepare(folder, cache, COLLECTIONS)
    return tuple(song_cache.load(cache))


def draw_planes(windows: Sequence[Ints], steps: int, splits: Sequence[int]) -> Floats:
    """Return onsets and sustains by pitch class in each register, onsets of all registers first.

    (windows, 2 * (len(splits) + 1), 12, steps). A window's rows count from its first step; splits: the lowest pitch of
    each register but one.
    """
    registers = len(splits) + 1
    which = np.repeat(np.arange(len(windows)), [len(rows) for rows in windows])
    rows = np.concatenate([np.zeros((0, 3), np.int32), *windows])
    start, pitch, end = rows[:, 0], rows[:, 1], rows[:, 0] + rows[:, 2]
    line = (which * registers + np.searchsorted(splits, pitch, "right")) * PITCH_CLASSES + pitch % PITCH_CLASSES
    size = len(windows) * registers * PITCH_CLASSES
    inside = (start >= 0) & (start < steps)
    onset = np.bincount(line[inside] * steps + start[inside], minlength=size * steps)
    change = np.bincount(line * (steps + 1) + start.clip(0, steps), minlength=size * (steps + 1))
    change = change - np.bincount(line * (steps + 1) + end.clip(0, steps), minlength=size * (steps + 1))
    sounding = change.reshape(size, steps + 1).cumsum(1)[:, :steps]
    shape = (len(windows), registers, PITCH_CLASSES, steps)
    return np.concatenate([onset.reshape(shape) > 0, sounding.reshape(shape) > 0], 1).astype(np.float32)


def cut(rows: Ints, first: int, steps: int) -> Ints:
    """Return the rows that sound in [first, first + steps), counted from there."""
    near = rows[: np.searchsorted(rows[:, 0], first + steps)]
    inside = near[near[:, 0] + near[:, 2] > first]
    return np.asarray(inside - np.array([first, 0, 0], np.int32), np.int32)


def count_onsets(rows: Ints, first: int, bars: int) -> NDArray[np.int64]:
    """Return how many notes begin in each of so many bars from a step on."""
    bar = (rows[:, 0] - first) // STEPS_PER_BAR
    return np.bincount(bar[(bar >= 0) & (bar < bars)], minlength=bars)


def _sort(rows: Ints) -> Ints:
    return np.asarray(rows[np.lexsort((rows[:, 1], rows[:, 0]))], np.int32)


def _find_key(rows: Ints) -> int:
    return int((_SCALES @ np.bincount(rows[:, 1] % PITCH_CLASSES, rows[:, 2], PITCH_CLASSES)).argmax())
