"""Bands with drummers: takes of people in the place of drums that were made by rule.

Takes hold drums only (Groove MIDI Dataset); their styles are `grooves/funk` and the like, which no player knows. One
whose style and tempo suit a band lies under its song, bar by bar from the take's beginning, again and again. Phrases of
eight bars, counted from the melody's first bar, often end with a fill; after two of them another take follows.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.data.song_cache import CachedSong
from music import smf
from music.midi_text import decode_text
from music.midifile import Song
from music.note import STEPS_PER_BAR
from music.styles import BANDS, DRUMMERS
from music.track_names import PARTS

#: style of a band -> styles of drummers that suit it, the more often named the more often played
SUITING = {
    "pop": ("pop", "rock", "rock", "soul", "hiphop", "dance", "gospel", "funk"),
    "rock": ("rock", "rock", "rock", "punk", "blues", "funk"),
    "jazz": ("jazz",),
    "ballad": ("rock", "pop", "soul", "gospel", "country"),
}
#: words that the text of a take has: take, style, kind
_TAKE_WORDS = 3
#: a take may be so much faster or slower than the song
MAX_TEMPO_RATIO = 1.3
#: a take that is repeated has so many bars at least
_MIN_TAKE_BARS = 4
#: bars of a phrase, phrases that a take lasts, and share of phrases that end with a fill
PHRASE_BARS, _TAKE_PHRASES, _FILL_SHARE = 8, 2, 0.6
_DRUMS, _MELODY = PARTS.index("drums"), PARTS.index("melody")


def read_take_text(song: Song) -> tuple[str, bool] | None:
    """Return the style of a drummer's take and whether it is a fill, None where it does not say them.

    Its text says both: `Groove MIDI Dataset drummer1/session1/10, jazz/funk, fill`, which is jazz.
    """
    tracks = song.source.tracks if song.source else []
    texts = (decode_text(body).split(", ") for track in tracks for _, body in track.find_bodies(smf.TEXT))
    told = next((words for words in texts if len(words) == _TAKE_WORDS), None)
    return (told[1].partition("/")[0], told[2] == "fill") if told else None


def let_drummers_play(songs: Iterable[CachedSong]) -> list[CachedSong]:
    """Return the songs without drummers' takes, bands in 4/4 with drummers of their split where some suit them.

    The same takes for the same song, whatever other songs of bands there are: they are drawn by the song's name.
    """
    songs = list(songs)
    takes: dict[tuple[str, str], list[CachedSong]] = defaultdict(list)
    for song in songs:
        if song.collection == DRUMMERS and song.is_in_four:
            takes[song.split, song.style].append(song)
    return [_join(song, takes) for song in songs if song.collection != DRUMMERS]


def _join(band: CachedSong, takes: Mapping[tuple[str, str], Sequence[CachedSong]]) -> CachedSong:
    """Return a band's song with drummers; the song as it is where it has no drums, or nobody suits it."""
    by_rule = band.notes[band.notes[:, 0] == _DRUMS]
    if band.collection != BANDS or not band.is_in_four or not len(by_rule):
        return band
    suiting = [
        take
        for style in SUITING.get(band.style, ())
        for take in takes[band.split, f"{DRUMMERS}/{style}"]
        if _suits(take, band)
    ]
    if not suiting:
        return band
    random = np.random.default_rng(zlib.crc32(band.name.encode()))
    tune = band.notes[band.notes[:, 0] == _MELODY, 1]
    first, last = int(by_rule[0, 1]) // STEPS_PER_BAR, band.steps // STEPS_PER_BAR
    turn = (int(tune.min()) // STEPS_PER_BAR if len(tune) else first) % PHRASE_BARS
    ends = [*(bar for bar in range(first + 1, last) if bar % PHRASE_BARS == turn), last]
    rows, fills, begin = [], [], first
    take = suiting[int(random.integers(len(suiting)))]
    for index, end in enumerate(ends):
        phrase = _repeat(take, begin, end)
        if end < last and random.random() < _FILL_SHARE:
            fill = _choose_fill(take, takes[band.split, take.style], random)
            if fill is not None:
                phrase = _end_with_fill(phrase, fill, end)
                fills.append((end - 1) * STEPS_PER_BAR)
        rows.append(phrase)
        begin = end
        if index % _TAKE_PHRASES == 1:
            take = suiting[int(random.integers(len(suiting)))]
    notes = np.concatenate([band.notes[band.notes[:, 0] != _DRUMS], *rows])
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0], notes[:, 1]))]
    return replace(band, name=f"{band.name} with drummers", notes=notes, fills=tuple(fills))


def _suits(take: CachedSong, band: CachedSong) -> bool:
    """Tell whether a take can be repeated under a band's song, at its tempo; one that is not known is near all."""
    is_long = not take.is_fill and take.steps >= _MIN_TAKE_BARS * STEPS_PER_BAR
    is_near = not (take.bpm and band.bpm) or max(take.bpm, band.bpm) <= MAX_TEMPO_RATIO * min(take.bpm, band.bpm)
    return is_long and is_near


def _repeat(take: CachedSong, begin: int, end: int) -> NDArray[np.int32]:
    """Return the rows of a take, repeated over the bars [begin, end) of a song.

    A take that begins with a count or an upbeat begins with its first full bar, and ends with its last one.
    """
    counts = np.bincount(take.notes[:, 1] // STEPS_PER_BAR, minlength=take.steps // STEPS_PER_BAR)
    full = np.flatnonzero(counts >= max(1, np.median(counts) / 2))
    first, bars = int(full[0]), int(full[-1] - full[0] + 1)
    own = take.notes[take.notes[:, 1] // STEPS_PER_BAR - first < bars]
    own = own[own[:, 1] >= first * STEPS_PER_BAR]
    starts = range(begin, end, bars)
    rows = np.concatenate([own + np.array([0, (bar - first) * STEPS_PER_BAR, 0, 0, 0], np.int32) for bar in starts])
    return rows[rows[:, 1] < end * STEPS_PER_BAR]


def _choose_fill(take: CachedSong, takes: Sequence[CachedSong], random: np.random.Generator) -> CachedSong | None:
    """Draw a fill of a take's drummer and style, or else of the style; None where there is none."""
    fills = [fill for fill in takes if fill.is_fill]
    fills = [fill for fill in fills if _get_drummer(fill) == _get_drummer(take)] or fills
    return fills[int(random.integers(len(fills)))] if fills else None


def _end_with_fill(phrase: NDArray[np.int32], fill: CachedSong, end: int) -> NDArray[np.int32]:
    """Return a phrase, which ends before a bar, whose last bar is that of a fill."""
    last = int(fill.notes[:, 1].max()) // STEPS_PER_BAR
    own = fill.notes[fill.notes[:, 1] >= last * STEPS_PER_BAR]
    own = own + np.array([0, (end - 1 - last) * STEPS_PER_BAR, 0, 0, 0], np.int32)
    return np.concatenate([phrase[phrase[:, 1] < (end - 1) * STEPS_PER_BAR], own])


def _get_drummer(take: CachedSong) -> str:
    """Return the drummer of a take: `d1` of `d1-s2-35`."""
    return take.name.partition("-")[0]
