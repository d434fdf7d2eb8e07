"""Bands in which people play wherever people played.

The bands of the training music were made by a rule-based program. For songs of which a pianist's arrangement is there,
too (pop909), bass and chords are taken from the pianist: the lowest voice, and the rest. Pad and drums stay those of
the program, for nobody played them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from models.data.parts import extract_melody
from models.data.song_cache import CachedSong
from music.styles import BANDS
from music.track_names import PARTS

#: the collection of songs that a pianist accompanies
PLAYED = "pop909"
#: Styles whose bass and chords a pop pianist can stand for: a walking bass is none.
PLAYED_STYLES = frozenset({"pop", "rock", "ballad"})
#: share of the notes of a pianist's melody that stand at one distance in the band's, for both to be the same song
SAME_SHARE = 0.9

_MELODY, _PIANO = PARTS.index("melody"), PARTS.index("piano")
_BY_RULE = [PARTS.index(part) for part in ("pad", "drums")]


def let_people_play(songs: Iterable[CachedSong]) -> list[CachedSong]:
    """Return the songs, those of bands with the bass and chords of the pianist who played the same song, if one did.

    A pianist's arrangement may be in several pieces, as bars of other metres are cut out; each piece makes a song.
    """
    songs = list(songs)
    played: dict[str, list[CachedSong]] = defaultdict(list)
    for song in songs:
        if song.collection == PLAYED:
            played[_read_number(song)].append(song)
    result: list[CachedSong] = []
    for song in songs:
        pieces = played[_read_number(song)] if song.collection == BANDS and song.style in PLAYED_STYLES else []
        joined = [joint for piece in pieces if (joint := _join(song, piece)) is not None]
        result += joined or [song]
    return result


def _read_number(song: CachedSong) -> str:
    """Return the part of a song's name that its arrangements share: `001` of `001-pop` and of `001-b`."""
    return PurePath(song.name).stem.partition("-")[0]


def _join(band: CachedSong, piece: CachedSong) -> CachedSong | None:
    """Return a pianist's piece of a song with the band's pad and drums; None where their melodies differ."""
    if piece.metre != band.metre:
        return None
    shift = find_shift(extract_melody(piece), extract_melody(band))
    if shift is None or shift % band.metre.steps_per_bar:
        return None
    rows = band.notes[np.isin(band.notes[:, 0], _BY_RULE)] - np.array([0, shift, 0, 0, 0], np.int32)
    rows = rows[(rows[:, 1] >= 0) & (rows[:, 1] < piece.steps)]
    rows[:, 3] = np.minimum(rows[:, 3], piece.steps - rows[:, 1])
    own = piece.notes[np.isin(piece.notes[:, 0], [_MELODY, _PIANO])]
    notes = np.concatenate([own, rows])
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0], notes[:, 1]))]
    name = f"{band.name} with {piece.name}"
    made = CachedSong(name, band.collection, band.style, band.split, notes, piece.chords, piece.metre, band.bpm)
    return replace(made, is_played=True)


def find_shift(part: NDArray[np.int64], whole: NDArray[np.int64]) -> int | None:
    """Return the steps by which a melody's notes stand later in another melody of the same song; None for another song.

    part, whole: as `models.data.parts.extract_melody` returns them.
    """
    starts: dict[int, list[int]] = defaultdict(list)
    for start, pitch in whole[:, :2].tolist():
        starts[pitch].append(start)
    shifts = Counter(other - start for start, pitch in part[:, :2].tolist() for other in starts[pitch])
    if not shifts:
        return None
    shift, count = shifts.most_common(1)[0]
    return shift if count >= SAME_SHARE * len(part) else None
