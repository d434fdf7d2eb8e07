"""Introductions of renderings: what the band plays before the melody, and the bars that a file is given for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from daemon.core.settings import BAND_START, INTRO_START, Settings
from daemon.engine.beginning import USUAL_INTRO_BARS
from daemon.engine.song import bar_at
from daemon.harmony.chart_line import ChartLine
from daemon.harmony.harmony_source import AUTO, CHART
from music import midi, midifile, smf
from music.analysis.key import KEYS, Key
from music.midifile import Part
from music.note import PITCH_CLASSES, TICKS_PER_BEAT, Note

#: how well notes fit a key, by semitones above its tonic: the tonic triad most, foreign tones least
_MAJOR_FIT = (5.0, 0.0, 3.0, 0.0, 4.0, 3.0, 0.0, 4.5, 0.0, 3.0, 0.0, 2.5)
_MINOR_FIT = (5.0, 0.0, 3.0, 4.0, 0.0, 3.0, 0.0, 4.5, 3.0, 0.0, 2.0, 2.0)


@dataclass(frozen=True, slots=True)
class Introduction:
    """The part of a rendering before its melody."""

    begin: int | None = None  #: the tick from which on it plays; None: from the melody on
    enters: int = 0  #: the tick of the bar line at which the melody enters
    bar_1: int = 0  #: the tick at which bar 1 of the chart lies
    key: Key | None = None  #: the key of the song, as far as that is told by the file


NO_INTRODUCTION = Introduction()


def add_introduction(
    song: midifile.Song, melody: Part, settings: Settings, chart: ChartLine | None
) -> tuple[midifile.Song, Part, Introduction]:
    """Return a song with enough bars before its melody for the introduction that settings want, its melody, and that.

    The introduction comes before the bar of the first note; bars that are empty there are used for it.
    """
    wants_intro = settings.intro_bars > 0 or settings.start_with == INTRO_START
    if not wants_intro and settings.start_with != BAND_START:
        return song, melody, NO_INTRODUCTION
    first = min(note.start for note in melody.notes)
    line = bar_at(song.metres, first).start
    bars = (settings.intro_bars or USUAL_INTRO_BARS) if wants_intro else 0
    bar_ticks = song.metres[0][1].ticks_per_bar
    has_intro = chart is not None and settings.harmony in (AUTO, CHART) and chart.has_intro
    if wants_intro and has_intro and chart is not None:
        bars = -(-chart.find_section(0)[1] // bar_ticks)
    begin = line
    for _ in range(bars):
        begin = bar_at(song.metres, begin - 1).start
    added = -(min(begin, 0) // bar_ticks) * bar_ticks
    if settings.start_with == BAND_START or has_intro:
        begin = -added
    moved = insert_bars(song, added)
    key = find_key(song, melody)
    where = Introduction(begin + added, line + added, 0 if has_intro else added, key)
    return moved, moved.parts[song.parts.index(melody)], where


def insert_bars(song: midifile.Song, ticks: int) -> midifile.Song:
    """Return a song whose notes and all else lie later by so many ticks, but for what it begins with."""
    if not ticks:
        return song
    return replace(
        song,
        parts=tuple(replace(part, notes=tuple(_move(note, ticks) for note in part.notes)) for part in song.parts),
        tempos=tuple((tick + ticks if tick else 0, us) for tick, us in song.tempos),
        metres=tuple((tick + ticks if tick else 0, metre) for tick, metre in song.metres),
        markers=tuple((tick + ticks, text) for tick, text in song.markers),
        source=None if song.source is None else _move_source(song.source, ticks),
    )


def _move(note: Note, ticks: int) -> Note:
    return replace(note, start=note.start + ticks)


def _move_source(source: smf.SmfFile, ticks: int) -> smf.SmfFile:
    late = ticks * source.division // TICKS_PER_BEAT
    return replace(source, tracks=[_move_track(track, late) for track in source.tracks])


def _move_track(track: smf.Track, late: int) -> smf.Track:
    """Return a track that is late by so many of the file's ticks; what sets it up stays at its beginning."""
    events = [
        event if event[0] == 0 and not _is_music(event[1], event[2]) else (event[0] + late, *event[1:])
        for event in track.events
    ]
    return replace(track, events=sorted(events, key=lambda event: event[0]), end=track.end + late)


def _is_music(status: int, first: int) -> bool:
    """Tell whether a message at the very beginning goes with the notes there: keys, pedal, markers and words do."""
    if status == smf.META:
        return first in (smf.MARKER, smf.CUE_POINT, smf.LYRIC)
    return status & 0xF0 in (midi.NOTE_ON, midi.NOTE_OFF) or (status & 0xF0, first) == (midi.CONTROL_CHANGE, midi.PEDAL)


def find_key(song: midifile.Song, melody: Part) -> Key:
    """Return the key that a file names, else the one that the notes of its melody fit best."""
    for track in song.source.tracks if song.source is not None else ():
        for _, body in track.find_bodies(smf.KEY_SIGNATURE):
            sharps = body[0] - 256 if len(body) == 2 and body[0] > 127 else body[0] if len(body) == 2 else 99
            if -7 <= sharps <= 7:
                tonic = 7 * sharps % PITCH_CLASSES
                return Key((tonic + 9) % PITCH_CLASSES, True) if body[1] else Key(tonic, False)
    lengths = [0] * PITCH_CLASSES
    for note in melody.notes:
        lengths[note.pitch % PITCH_CLASSES] += note.length
    last = max(melody.notes, key=lambda note: note.start).pitch  # tunes mostly end on the tonic
    lengths[last % PITCH_CLASSES] += sum(lengths) // 8

    def fit(key: Key) -> float:
        fits = _MINOR_FIT if key.is_minor else _MAJOR_FIT
        return sum(length * fits[(pitch - key.tonic) % PITCH_CLASSES] for pitch, length in enumerate(lengths))

    return max(KEYS, key=fit)
