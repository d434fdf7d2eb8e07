"""Drummers' takes with the timing that the cache of songs does not keep, as windows of hits and how each was played.

Takes are those of the Groove MIDI Dataset (Gillick et al. 2019, CC BY 4.0): played on an electronic kit to a click.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data.played_drums import read_take_text
from models.data.song_cache import DataError
from music import corpus
from music.corpus import SongFile
from music.encoding.drum_feel import (
    COMING_STEPS,
    LANE_OF,
    LANES,
    OFFSET,
    PAST_STEPS,
    VELOCITY,
    cut_windows,
    mark_places,
)
from music.midi import NOTE_ON
from music.midifile import MidiFileError, Song
from music.note import CHANNELS, STEPS_PER_BEAT, Metre
from music.styles import DRUMMERS

#: styles of drummers, in the order of the network's input
DRUM_STYLES = (
    *("rock", "pop", "funk", "soul", "jazz", "hiphop", "latin", "neworleans", "afrobeat", "afrocuban", "dance"),
    *("reggae", "country", "punk", "blues", "gospel", "highlife", "middleeastern"),
)
#: style of a band -> styles of the drummers whose hands it plays with; a band in another style plays as pop does
SUITING = {
    "pop": ("pop", "soul", "rock", "hiphop", "gospel"),
    "rock": ("rock", "punk"),
    "jazz": ("jazz",),
    "ballad": ("pop", "soul", "rock", "country"),
    "country": ("country", "rock"),
    "blues": ("blues", "jazz"),
    "latin": ("latin", "afrocuban"),
}
#: style of a band -> beats a minute at which those drummers play at most
SLOWEST = {"ballad": 100.0}


@dataclass(frozen=True, slots=True)
class DrumTake:
    """A drummer's take on the step grid, and how its hits lie beside it. Of two hits in a place the louder counts."""

    name: str
    split: str
    style: str  #: one of DRUM_STYLES
    is_fill: bool
    bpm: float
    metre: Metre
    hits: NDArray[np.float32]  #: (lanes, steps) of 0 and 1
    played: NDArray[np.float32]  #: (2, lanes, steps): offset in steps, velocity / 127

    @property
    def steps(self) -> int:
        """Its length."""
        return self.hits.shape[1]


class FeelExamples(NamedTuple):
    """Steps of takes in which something is hit."""

    windows: NDArray[np.float32]  #: (n, WINDOW_FEATURES)
    played: NDArray[np.float32]  #: (n, 2, lanes)
    is_hit: NDArray[np.float32]  #: (n, lanes) of 0 and 1
    take: NDArray[np.int64]  #: (n,) which of the takes
    step: NDArray[np.int64]  #: (n,) of the take


def read_takes(folder: Path) -> list[DrumTake]:
    """Return the takes below a folder, sorted by name. Raises DataError where there is none."""
    takes = [
        take
        for _, file in corpus.read_songs(corpus.list_songs(folder, (DRUMMERS,)).files)
        if isinstance(file, SongFile) and (take := _read_take(file)) is not None
    ]
    if not takes:
        raise DataError(f"{folder}: holds no takes of drummers ({DRUMMERS}); name their folder with --set takes=FOLDER")
    return sorted(takes, key=lambda take: (take.split, take.name))


def _read_take(file: SongFile) -> DrumTake | None:
    """Return the take in a file; None for one without hits, or whose text does not say its style."""
    try:
        song = file.read()
    except MidiFileError:
        return None
    told = read_take_text(song)
    rows = _list_hits(song)
    if told is None or told[0] not in DRUM_STYLES or not rows:
        return None
    metre = song.metres[0][1]
    bars = -(-(max(step for step, *_ in rows) + 1) // metre.steps_per_bar)
    played = np.zeros((2, len(LANES), bars * metre.steps_per_bar), np.float32)
    for step, lane, offset, velocity in rows:
        if step >= 0 and velocity > played[VELOCITY, lane, step]:
            played[OFFSET, lane, step], played[VELOCITY, lane, step] = offset, velocity
    hits = (played[VELOCITY] > 0).astype(np.float32)
    bpm = 60_000_000 / song.tempos[0][1]
    return DrumTake(file.name, file.split, told[0], told[1], bpm, metre, hits, played)


def _list_hits(song: Song) -> list[tuple[int, int, float, float]]:
    """Return step, lane, offset in steps and velocity / 127 of every hit, as finely as the file has them."""
    rows = []
    if song.source is None:
        return []
    per_step = song.source.division / STEPS_PER_BEAT
    for track in song.source.tracks:
        for tick, status, pitch, velocity, _ in track.events:
            if status == NOTE_ON | CHANNELS["drums"] and velocity and pitch in LANE_OF:
                at = tick / per_step
                step = int(np.floor(at + 0.5))
                rows.append((step, LANE_OF[pitch], at - step, velocity / 127))
    return rows


def make_examples(takes: list[DrumTake]) -> FeelExamples:
    """Return every step of takes in which something is hit."""
    parts = []
    for index, take in enumerate(takes):
        padded = np.pad(take.hits, ((0, 0), (PAST_STEPS, COMING_STEPS)))
        windows = cut_windows(padded, mark_places(0, take.steps, take.metre), take.bpm)
        hit = np.flatnonzero(take.hits.any(0))
        played = take.played.transpose(2, 0, 1)[hit]
        parts.append((windows[hit], played, take.hits.T[hit], np.full(len(hit), index), hit))
    return FeelExamples(*(np.concatenate(each) for each in zip(*parts, strict=True)))
