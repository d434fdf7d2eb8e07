"""Moments of a training run: the same bars as the weights of each play them, in one picture and one sound."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.core.techniques import find
from daemon.core.tempo import TempoMap, us_per_beat
from daemon.evaluation import piano_roll_png
from daemon.evaluation.auditions import cut_note, find_bars
from daemon.offline.file_editing import EditOptions, edit_song
from daemon.offline.render import RenderOptions, perform
from daemon.players.arcnn import EditScorer
from daemon.players.graph import Graph, read_technique
from daemon.players.load import load_player
from daemon.sound import wav
from daemon.sound.synth import Synth
from music import midifile
from music.evaluation.passage import find_passage
from music.midifile import Part, Song
from music.note import EDITS, MELODY, TICKS_PER_BEAT, Note

#: evaluations of the AR-CNN, which edits the melody by itself
EDITING_ITERATIONS = 48
PICTURE, SOUND, MIDI = "moments.png", "moments.wav", "moments.mid"
_GRAPH = re.compile(r"step-(\d+)\.onnx")

Notes = Mapping[str, Sequence[Note]]
#: the controls, by a graph's technique and styles
ChooseOptions = Callable[[str, tuple[str, ...]], RenderOptions]


@dataclass(frozen=True, slots=True)
class PlayedMoment:
    """The notes that the weights of a moment play."""

    #: updates until then
    step: int
    #: role -> notes, in ticks, and as they sound in `unit` parts to the beat
    parts: Notes
    sounded: Notes
    unit: int
    #: role -> (tick, message) of what chooses its instrument
    programs: Mapping[str, Sequence[tuple[int, bytes]]]


def find_graphs(folder: Path) -> list[tuple[int, Path]]:
    """Return (updates, file) of the moments' graphs in a folder, by updates."""
    named = [(_GRAPH.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(name[1]), path) for name, path in named if name is not None)


def cut_beginning(song: Song, melody: Part, bars: int) -> tuple[Song, Part]:
    """Return a song of the first bars of a melody, moved to its beginning, at one tempo and in one metre."""
    begin, end, _ = find_bars(song, melody, bars)
    notes = [cut_note(note, end) for note in melody.notes if note.start < end]
    moved = replace(melody, name=MELODY, notes=tuple(replace(note, start=note.start - begin) for note in notes))
    tempo = next((us for tick, us in reversed(song.tempos) if tick <= begin), song.tempos[0][1])
    metre = next((metre for tick, metre in reversed(song.metres) if tick <= begin), song.metres[0][1])
    return Song((moved,), ((0, tempo),), ((0, metre),), name=song.name), moved


def play_moments(
    graphs: Iterable[tuple[int, Path]], song: Song, melody: Part, choose: ChooseOptions
) -> Iterable[PlayedMoment]:
    """Yield what each graph plays to a song of one melody. Raises GraphError, InferenceError, MidiFileError."""
    for step, path in graphs:
        technique = read_technique(path)
        if find(technique).edits_notes:
            yield _edit(step, song, Graph(path, technique), technique, choose)
            continue
        player = load_player(technique, path)
        done = perform(song, melody, player, choose(technique, player.info.styles))
        yield PlayedMoment(step, done.parts, done.sounded, done.unit, done.programs)


def _edit(step: int, song: Song, graph: Graph, technique: str, choose: ChooseOptions) -> PlayedMoment:
    """Return a melody as the AR-CNN edits it."""
    editor = EditScorer(graph)
    settings = choose(technique, editor.styles).settings
    options = EditOptions(settings.style, settings.limits, EDITING_ITERATIONS, 0.0, settings.seed)
    parts = {EDITS: edit_song(song, editor, options).notes}
    return PlayedMoment(step, parts, parts, TICKS_PER_BEAT, {})


def write_moments(
    folder: Path, title: str, song: Song, melody: Part, moments: Sequence[PlayedMoment], bpm: float | None, synth: Synth
) -> None:
    """Write all moments into a folder: a piano roll of each under each other, and all in a row as sound and as MIDI.

    A bar of silence lies between two. Raises PictureError without matplotlib, OSError.
    """
    metre = song.metres[0][1]
    rows = {f"after {moment.step:,} updates": moment.parts for moment in moments}
    where = find_passage(melody.notes, metre)
    piano_roll_png.draw_piano_rolls(folder / PICTURE, title, melody.notes, rows, where)
    unit = max(moment.unit for moment in moments)
    each = (where.bars + 1) * metre.ticks_per_bar * (unit // TICKS_PER_BEAT)
    parts: dict[str, list[Note]] = {}
    for index, moment in enumerate(moments):
        line = {MELODY: _scale(melody.notes, unit // TICKS_PER_BEAT)}
        for role, notes in (*line.items(), *moment.sounded.items()):
            scaled = notes if role == MELODY else _scale(notes, unit // moment.unit)
            shifted = [replace(note, start=note.start + index * each) for note in scaled if note.start >= 0]
            parts.setdefault(role, []).extend(shifted)
    tempos = ((0, song.tempos[0][1] if bpm is None else us_per_beat(bpm)),)
    programs = {role: [(0, data) for _, data in found] for role, found in moments[-1].programs.items()}
    marks = [(index * each * TICKS_PER_BEAT // unit, f"{moment.step} updates") for index, moment in enumerate(moments)]
    midifile.write(
        folder / MIDI, parts, tempos=tempos, metres=song.metres, markers=marks, note_ticks=unit, controls=programs
    )
    wav.write(folder / SOUND, parts, TempoMap.from_marks(tempos), synth, (), unit, controls=programs)


def _scale(notes: Iterable[Note], factor: int) -> list[Note]:
    return [replace(note, start=note.start * factor, length=note.length * factor) for note in notes]
