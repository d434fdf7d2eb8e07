"""The parts of a song as the roles of a band, and as melodies of one voice. numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.song_cache import CachedSong
from music.track_names import MELODIES, PARTS

#: of a piano part the lowest note of a step is the bass where it is below this pitch; everything else is the chords
BASS_SPLIT = 52

#: (notes, 4): start step, pitch, length in steps, velocity
Rows = NDArray[np.int32]


def split_roles(song: CachedSong) -> dict[str, Rows]:
    """Return the notes of melody, bass, chords, pad and drums, each sorted by start.

    A part named `piano` is divided by register into bass and chords, `counter` is the pad; of a bass with several
    notes at once the lowest stays.
    """
    by_part = {part: song.notes[song.notes[:, 0] == i][:, 1:] for i, part in enumerate(PARTS)}
    roles = {part: by_part[part] for part in ("melody", "bass", "chords", "pad", "drums")}
    piano = by_part["piano"]
    if len(piano):
        lowest: dict[int, int] = {}
        for start, pitch in piano[:, :2].tolist():
            lowest[start] = min(pitch, lowest.get(start, 128))
        is_bass = np.array([p < BASS_SPLIT and p == lowest[s] for s, p in piano[:, :2].tolist()])
        roles["bass"] = np.concatenate([roles["bass"], piano[is_bass]])
        roles["chords"] = np.concatenate([roles["chords"], piano[~is_bass]])
    if len(by_part["counter"]):
        roles["pad"] = np.concatenate([roles["pad"], by_part["counter"]])
    roles["bass"] = _keep_lowest(roles["bass"])
    return {role: rows[np.argsort(rows[:, 0], kind="stable")] for role, rows in roles.items()}


def extract_melody(song: CachedSong) -> NDArray[np.int64]:
    """Return the melody of a song as one line, (notes, 4) as in `Rows`; empty where the song has none."""
    parts = (song.notes[song.notes[:, 0] == PARTS.index(part), 1:] for part in MELODIES)
    return extract_top_line(next((rows for rows in parts if len(rows)), song.notes[:0, 1:]))


def extract_top_line(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Return the melody as the band hears it live: of notes that begin at once the highest, until the next begins."""
    return np.array(_thin_out(sorted(rows.tolist(), key=lambda r: (r[0], -r[1]))), np.int64).reshape(-1, 4)


def _keep_lowest(rows: Rows) -> Rows:
    return np.array(_thin_out(sorted(rows.tolist())), np.int32).reshape(-1, 4)


def _thin_out(rows: list[list[int]]) -> list[list[int]]:
    """Keep the first of sorted rows that begin at once, and end each where the next one begins."""
    kept: list[list[int]] = []
    for row in rows:
        if kept and kept[-1][0] == row[0]:
            continue
        if kept:
            kept[-1][2] = min(kept[-1][2], row[0] - kept[-1][0])
        kept.append(row)
    return kept
