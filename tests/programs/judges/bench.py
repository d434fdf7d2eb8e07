"""The music that is judged: songs' melodies with their own parts, with parts made by rule, and with the band's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from daemon.evaluation import scoring
from daemon.evaluation.evaluate import map_in_processes
from daemon.evaluation.scoring import BLOCKS, FOLLOWER, LIVE, OFFLINE, OWN, BandUnderTest
from daemon.offline.render import render_notes
from music.chords import ChordTrack
from music.corpus import SongFile
from music.evaluation import baselines
from music.evaluation.passage import find_passage
from music.midifile import MidiFileError, Song, choose_melody
from music.note import Metre, quantise
from tests.programs.judges import pieces
from tests.programs.judges.pieces import Piece

__all__ = ["BLOCKS", "FOLLOWER", "LIVE", "OFFLINE", "OWN", "Task", "Tried", "play_all"]


@dataclass(frozen=True, slots=True)
class Task:
    """One file to play."""

    entry: SongFile
    band: BandUnderTest | None  #: None: only what a band is measured against
    styles: tuple[str, ...]
    modes: tuple[str, ...]
    bars: int | None = None  #: so many from the bar of the first melody note on; None: all


@dataclass(frozen=True, slots=True)
class Tried:
    """One melody with several accompaniments."""

    rules: dict[str, Piece]  #: by row: own part, chord follower, ...
    band: dict[tuple[str, str], Piece]  #: by (mode, style)


def play_all(tasks: Sequence[Task], jobs: int) -> list[Tried]:
    """Play each file that is in 4/4 and has a melody and an accompaniment of its own."""
    return [tried for tried in map_in_processes(play, tasks, jobs, "the band plays") if tried is not None]


def play(task: Task) -> Tried | None:
    """Play one file; None where it cannot be judged."""
    try:
        song = cut_beginning(task.entry.read(), task.bars)
        melody = choose_melody(song).notes
    except MidiFileError:
        return None
    own = baselines.extract_human_parts(song)
    if not own or not melody or any(metre.ticks_per_bar != Metre().ticks_per_bar for _, metre in song.metres):
        return None
    heard = [pieces.make_rows(notes) for role, notes in own.items() if role != "drums"]
    if not heard:
        return None
    together = np.concatenate(heard)
    original = pieces.make_piece(task.entry.song, task.entry.named_style or "piano", pieces.make_rows(melody), together)
    where = find_passage(melody)
    rules = {OWN: original, FOLLOWER: pieces.replace_parts(original, baselines.follow_chords(where))}
    if song.markers:
        rules[BLOCKS] = pieces.replace_parts(original, baselines.play_chord_blocks(where, ChordTrack(song.markers)))
    return Tried(rules, dict(_play_band(task, song, original)))


def _play_band(task: Task, song: Song, original: Piece) -> Iterator[tuple[tuple[str, str], Piece]]:
    if task.band is None:
        return
    player = scoring.load_cached_player(task.band.technique, task.band.graph)
    for style in task.styles:
        settings = replace(task.band.settings, style=style)
        for mode in task.modes:
            played, _ = render_notes(song, player, settings, task.band.latency_ms, mode == OFFLINE)
            parts = pieces.replace_parts(original, {role: list(notes) for role, notes in played.items()})
            yield (mode, style), replace(parts, style=style)


def cut_beginning(song: Song, bars: int | None) -> Song:
    """Return the song's first bars of melody; its own parts are cut, too."""
    if bars is None:
        return song
    notes = quantise(choose_melody(song).notes)
    per_bar = Metre().ticks_per_bar
    end = (notes[0].start // per_bar + bars) * per_bar if notes else 0
    parts = (replace(part, notes=tuple(n for n in part.notes if n.start < end)) for part in song.parts)
    return replace(song, parts=tuple(parts), source=None)
