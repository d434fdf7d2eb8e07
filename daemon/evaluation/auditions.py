"""Auditions: the beginning of a song as several seeds play it, each with a picture and figures to choose by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from daemon.engine.song import bar_at
from daemon.evaluation.piano_roll_png import COLOURS
from daemon.evaluation.piano_roll_svg import draw_piano_roll
from daemon.offline.render import RenderedSong, RenderOptions, perform
from daemon.players.player import Player
from music import midifile
from music.evaluation.metrics import METRICS, Comparison, Metric
from music.evaluation.passage import find_passage
from music.files import write_atomically
from music.midifile import Part, Song
from music.note import MELODY, TICKS_PER_BEAT, Note

#: the figures that tell a part from another without anything to compare it with
_FIGURES = ("clear", "own_root", "changes", "consonant", "clash", "cluster", "voice_step", "distinct", "onsets")
FIGURES: tuple[Metric, ...] = tuple(metric for metric in METRICS if metric.key in _FIGURES)
PAGE = "index.html"


@dataclass(frozen=True, slots=True)
class Audition:
    """The beginning of a song as one seed plays it."""

    seed: int
    #: the MIDI file, with the melody, and the picture (SVG)
    file: Path
    picture: Path
    #: part -> the number of its notes
    notes: Mapping[str, int]
    #: key of FIGURES -> value; NaN where there is none
    figures: Mapping[str, float]

    def describe(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        figures = {key: None if math.isnan(value) else round(value, 4) for key, value in self.figures.items()}
        return {
            "seed": self.seed,
            "file": str(self.file),
            "picture": str(self.picture),
            "notes": dict(self.notes),
            "figures": figures,
        }


def make_auditions(
    song: Song,
    melody: Part,
    player: Player,
    options: RenderOptions,
    seeds: Sequence[int],
    bars: int,
    folder: Path,
    progress: Callable[[float], None] | None = None,
) -> list[Audition]:
    """Render the first bars of a melody with each seed into a folder, with a picture of each and a page of all.

    Raises MidiFileError, InferenceError, and OSError for what cannot be written.
    """
    begin, end, lines = find_bars(song, melody, bars)
    heard = replace(melody, notes=tuple(cut_note(note, end) for note in melody.notes if note.start < end))
    found = []
    for index, seed in enumerate(seeds):
        done = perform(song, heard, player, replace(options, settings=replace(options.settings, seed=seed)))
        found.append(_write(song, heard, done, seed, folder, (begin, end, lines)))
        if progress is not None:
            progress((index + 1) / len(seeds))
    write_atomically(folder / PAGE, _make_page(song, found, options))
    return found


def measure(song: Song, melody: Sequence[Note], parts: Mapping[str, Sequence[Note]]) -> dict[str, float]:
    """Return FIGURES of a band's parts under a melody, by key."""
    where = find_passage(melody, song.metres[0][1])
    comparison = Comparison(where, {role: list(notes) for role, notes in parts.items()})
    return {figure.key: float(figure.measure(comparison)) for figure in FIGURES}


def find_bars(song: Song, melody: Part, bars: int) -> tuple[int, int, list[int]]:
    """Return where the first bars of a melody begin and end, and where each of them begins."""
    tick = begin = bar_at(song.metres, min(note.start for note in melody.notes)).start
    lines = []
    for _ in range(bars):
        lines.append(tick)
        tick = bar_at(song.metres, tick).end
        if tick >= max(note.end for note in melody.notes):
            break
    return begin, tick, lines


def cut_note(note: Note, end: int) -> Note:
    """Return a note that ends at a tick at the latest."""
    return replace(note, length=min(note.end, end) - note.start)


def _write(
    song: Song, melody: Part, done: RenderedSong, seed: int, folder: Path, where: tuple[int, int, list[int]]
) -> Audition:
    """Write the file and the picture of an audition."""
    scale = done.unit // TICKS_PER_BEAT
    line = [replace(note, start=note.start * scale, length=note.length * scale) for note in melody.notes]
    parts = {MELODY: line, **{role: notes for role, notes in done.sounded.items() if notes}}
    file, picture = folder / f"seed-{seed}.mid", folder / f"seed-{seed}.svg"
    midifile.write(*(file, parts), tempos=done.tempos, metres=song.metres, note_ticks=done.unit, harmony=done.harmony)
    begin, end, bars = where
    drawn = draw_piano_roll(
        *(f"seed {seed}", parts, begin * scale, end * scale, [bar * scale for bar in bars], done.unit)
    )
    write_atomically(picture, drawn)
    notes = {part: len(found) for part, found in parts.items() if part != MELODY}
    return Audition(seed, file, picture, notes, measure(song, melody.notes, done.parts))


def _make_page(song: Song, auditions: Sequence[Audition], options: RenderOptions) -> str:
    """Return a page of all auditions: pictures, figures, and links to the files."""
    title = escape(f"{Path(song.name).name}, {options.settings.style}")
    legend = " ".join(f'<span style="color:{colour}">■ {role}</span>' for role, colour in COLOURS.items())
    about = "".join(f"<dt>{escape(figure.title)}</dt><dd>{escape(figure.what)}</dd>" for figure in FIGURES)
    rows = []
    for each in auditions:
        figures = ", ".join(f"{figure.title} {format_figure(figure, each.figures)}" for figure in FIGURES)
        notes = ", ".join(f"{part} {count}" for part, count in each.notes.items())
        rows.append(
            f'<h2><a href="{each.file.name}">seed {each.seed}</a></h2><img src="{each.picture.name}" alt="piano roll">'
            f"<p>{escape(figures)}<br>notes: {escape(notes)}</p>"
        )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f'<body style="font-family:sans-serif"><h1>{title}</h1><p>{legend}</p>{"".join(rows)}<dl>{about}</dl>'
        "</body></html>\n"
    )


def format_figure(figure: Metric, figures: Mapping[str, float]) -> str:
    """Return a figure as tables have it."""
    value = figures[figure.key]
    return "n/a" if math.isnan(value) else f"{value:.{figure.digits}f}"
