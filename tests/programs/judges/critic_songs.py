"""What the critic hears: bass and chords to the same melodies by people, by the band, and by a rule-based program.

Of pop909, whose songs pianists played: bass and chords are all that they played, so that of the band, and of MMA's
accompaniment of the same song, nothing else is heard either, neither pad nor drums. Everything lies on the grid of
sixteenths, rounded by the same function, without loudness and without roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from daemon.evaluation import scoring
from daemon.evaluation.evaluate import map_in_processes
from daemon.evaluation.scoring import BandUnderTest
from daemon.offline.render import render_notes
from models.data.parts import extract_top_line
from models.data.played_bands import PLAYED, PLAYED_STYLES, find_shift
from music.corpus import SongFile, read_split
from music.evaluation import baselines
from music.evaluation.baselines import Accompaniment
from music.midifile import MidiFileError, Song, choose_melody
from music.note import STEPS_PER_BAR, Metre, Note
from music.styles import BANDS
from tests.programs.judges import bench, pieces
from tests.programs.judges.pieces import Ints, count_onsets

PEOPLE, BAND, MADE = "people", "band", "MMA"
#: MMA's, where the band plays a style of which it has none for these songs
MADE_STYLE = "pop"
HEARD_ROLES = ("bass", "chords")
BARS = 4
STEPS = BARS * STEPS_PER_BAR
#: a window begins every so many bars, and the first so far behind the melody's beginning, when the band has heard some
HOP_BARS, FIRST_BAR = 2, 4
#: so many notes begin at least in a window, of the melody and of each who accompany it
ONSETS = 4


@dataclass(frozen=True, slots=True)
class CriticTask:
    """A song to be played."""

    entry: SongFile
    #: MMA's accompaniment of the same song, where there is one
    made: SongFile | None
    #: None: nobody beside people and MMA
    band: BandUnderTest | None
    #: so many bars of it
    bars: int


@dataclass(frozen=True, slots=True)
class CriticSong:
    """A melody, and what each played to it. Rows as those of a Piece."""

    song: str
    melody: Ints
    first: int  #: step of the bar in which the melody begins
    bars: int
    parts: dict[str, Ints]  #: who -> bass and chords together


@dataclass(frozen=True, slots=True)
class Pair:
    """Four bars of people's accompaniment, and of another to the same four bars of melody."""

    song: str
    melody: Ints  #: rows count from the window's first step
    people: Ints
    other: Ints


def list_tasks(
    data: Path, split: str, band: BandUnderTest | None, bars: int, songs: int, seed: int
) -> list[CriticTask]:
    """Return so many songs of pop909's split, of several files of a song the first. Raises CorpusError.

    The band plays each with a seed of its own: with one for all, its one manner of playing would be what is told.
    """
    style = MADE_STYLE if band is None or band.settings.style not in PLAYED_STYLES else band.settings.style
    made = {entry.song: entry for entry in read_split(data, BANDS, split, style=style)}
    entries = {entry.song: entry for entry in reversed(read_split(data, PLAYED, split, songs=songs, seed=seed))}
    return [
        CriticTask(entry, made.get(song), _reseed(band, seed + index), bars)
        for index, (song, entry) in enumerate(sorted(entries.items()))
    ]


def _reseed(band: BandUnderTest | None, seed: int) -> BandUnderTest | None:
    return None if band is None else replace(band, settings=replace(band.settings, seed=seed))


def play_songs(tasks: Sequence[CriticTask], jobs: int) -> list[CriticSong]:
    """Play each song that is in 4/4 and has a melody and an accompaniment."""
    return [song for song in map_in_processes(play, tasks, jobs, "the band plays") if song is not None]


def play(task: CriticTask) -> CriticSong | None:
    """Play a song; None where it cannot be judged."""
    try:
        song = bench.cut_beginning(task.entry.read(), task.bars)
        melody = pieces.make_rows(choose_melody(song).notes)
    except MidiFileError:
        return None
    people = _join(baselines.extract_human_parts(song))
    if not len(melody) or not len(people) or any(m.ticks_per_bar != Metre().ticks_per_bar for _, m in song.metres):
        return None
    parts = {PEOPLE: people}
    if task.band is not None:
        player = scoring.load_cached_player(task.band.technique, task.band.graph)
        played, _ = render_notes(song, player, task.band.settings, task.band.latency_ms)
        parts[BAND] = _join({role: list(notes) for role, notes in played.items()})
    made = None if task.made is None else _fit(task.made.read(), melody)
    if made is not None:
        parts[MADE] = made
    first = int(melody[0, 0]) // STEPS_PER_BAR * STEPS_PER_BAR
    bars = -(-(int((melody[:, 0] + melody[:, 2]).max()) - first) // STEPS_PER_BAR)
    return CriticSong(task.entry.song, melody, first, bars, parts)


def cut_pairs(songs: Sequence[CriticSong], other: str) -> list[Pair]:
    """Return the windows of all songs in which melody, people and another play: as many of one as of the other."""
    found = []
    for song in songs:
        if other not in song.parts or song.bars < BARS:
            continue
        lines = (song.melody, song.parts[PEOPLE], song.parts[other])
        four = np.ones(BARS, np.int64)
        counts = [np.convolve(count_onsets(line, song.first, song.bars), four, "valid") for line in lines]
        for bar in range(FIRST_BAR, song.bars - BARS + 1, HOP_BARS):
            if min(int(count[bar]) for count in counts) >= ONSETS:
                first = song.first + bar * STEPS_PER_BAR
                found.append(Pair(song.song, *(pieces.cut(line, first, STEPS) for line in lines)))
    return found


def _join(parts: Accompaniment) -> Ints:
    """Return bass and chords as rows, sorted; of notes of one pitch that begin at once the longest stays."""
    notes: list[Note] = [note for role in HEARD_ROLES for note in parts.get(role, [])]
    rows = pieces.make_rows(notes)
    rows = rows[np.lexsort((-rows[:, 2], rows[:, 1], rows[:, 0]))]
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (rows[1:, :2] != rows[:-1, :2]).any(1)
    return np.asarray(rows[is_new], np.int32)


def _fit(made: Song, melody: Ints) -> Ints | None:
    """Return bass and chords of an accompaniment of the same song, moved to where the melody lies; None if it is not.

    Raises MidiFileError.
    """
    whole = pieces.make_rows(choose_melody(made).notes)
    lines = [extract_top_line(np.concatenate([rows, rows[:, :1]], 1)) for rows in (melody, whole)]
    shift = find_shift(*lines)
    rows = _join(baselines.extract_human_parts(made))
    if shift is None or shift % STEPS_PER_BAR or not len(rows):
        return None
    return np.asarray(rows - np.array([shift, 0, 0], np.int32), np.int32)
