"""The parts of a song as the roles of a band, and as melodies of one voice. numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.song_cache import CachedSong
from music.track_names import MELODIES, PARTS

#: of a piano part the lowest voice is the bass where it is below this pitch; everything else is the chords
BASS_SPLIT = 55
#: A left hand that breaks a chord upwards does not lead the bass there: within half a bar, a note that lies so many
#: semitones or more above the bass belongs to the chords. Of the bass notes of pop909's pianists 0.89 are then roots of
#: the annotated chord, of the lowest notes of all steps 0.72 were.
ARPEGGIO_RISE, HALF_BAR_STEPS = 3, 8

#: (notes, 4): start step, pitch, length in steps, velocity
Rows = NDArray[np.int32]


def split_roles(song: CachedSong) -> dict[str, Rows]:
    """Return the notes of melody, bass, chords, pad and drums, each sorted by start.

    Of a part named `piano` the lowest voice is the bass and the rest the chords, `counter` is the pad; of a bass with
    several notes at once the lowest stays.
    """
    by_part = {part: song.notes[song.notes[:, 0] == i][:, 1:] for i, part in enumerate(PARTS)}
    roles = {part: by_part[part] for part in ("melody", "bass", "chords", "pad", "drums")}
    piano = by_part["piano"]
    if len(piano):
        is_bass = _find_lowest_voice(piano)
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


def _find_lowest_voice(piano: Rows) -> NDArray[np.bool_]:
    """Return which notes of a piano part, sorted by start, are its lowest voice."""
    is_bass = np.zeros(len(piano), bool)
    by_start: dict[int, list[int]] = {}
    for i, start in enumerate(piano[:, 0].tolist()):
        by_start.setdefault(start, []).append(i)
    bass: tuple[int, int] | None = None  # start and pitch of the newest
    sounding: list[tuple[int, int]] = []  # end and pitch
    for start, begun in sorted(by_start.items()):
        lowest = min(begun, key=lambda i: int(piano[i, 1]))
        pitch = int(piano[lowest, 1])
        sounding = [note for note in sounding if note[0] > start]
        breaks = (
            bass is not None
            and start // HALF_BAR_STEPS == bass[0] // HALF_BAR_STEPS
            and pitch >= bass[1] + ARPEGGIO_RISE
        )
        if pitch < BASS_SPLIT and not breaks and all(pitch <= other for _, other in sounding):
            is_bass[lowest], bass = True, (start, pitch)
        sounding += [(start + int(piano[i, 2]), int(piano[i, 1])) for i in begun]
    return is_bass


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
