"""Figures of one file's accompaniments, the band's beside the baselines; and their means over songs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from daemon.core.settings import Settings
from daemon.core.techniques import DEFAULT_TECHNIQUE, find
from daemon.evaluation import piano_roll_png
from daemon.harmony.chart_line import ChartLine
from daemon.harmony.chord_naming import list_changes
from daemon.harmony.harmony_source import CHART
from daemon.offline.render import render_notes
from daemon.players.load import load_player
from daemon.players.player import Player
from music.charts.chart import ChartError
from music.charts.midi_texts import chart_markers
from music.chords import ChordTrack
from music.corpus import SkippedFile, SongFile
from music.evaluation import baselines, literature, metrics
from music.evaluation.baselines import Accompaniment
from music.evaluation.means import Mean, estimate_mean, estimate_pooled
from music.evaluation.passage import Floats, MelodyPassage, collect_notes, find_passage
from music.midi_text import make_printable
from music.midifile import MidiFileError, Song, choose_melody, read
from music.note import Note
from music.styles import BANDS

OWN, BLOCKS, FOLLOWER, OTHER, SILENCE = "own part", "chord blocks", "chord follower", "somebody else's", "silence"
LIVE, OFFLINE = "live", "offline"
#: files that were rendered before
RENDERS = "renders"
#: the band again, with the song's chords given to it
GIVEN = "given chords"


@dataclass(frozen=True, slots=True)
class BandUnderTest:
    """The band that is evaluated."""

    technique: str = DEFAULT_TECHNIQUE
    #: a graph's file; None: the shipped weights
    graph: str | None = None
    settings: Settings = Settings()
    #: None: the style that each file was made in
    style: str | None = None
    #: what a plan is taken to need
    latency_ms: float = 10.0
    #: how often to ask for a plan, as `daemon.offline.render.RenderOptions` has it
    replan: str | None = None


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """One file to score."""

    entry: SongFile
    #: the file whose accompaniment is the baseline `somebody else's`
    other: SongFile | None = None
    band: BandUnderTest | None = None
    #: how the band plays it: LIVE, OFFLINE or both
    modes: tuple[str, ...] = ()
    #: the folder for a picture of it
    pictures: Path | None = None
    #: the chords that the song is given; None: those that it has annotated
    chart: ChartLine | None = None
    #: only the first bars of it; None: all
    bars: int | None = None
    #: the folder with renders of songs, by the songs' names
    renders: Path | None = None
    #: a file that cannot be read is skipped, as in anybody's folder; in a collection it is an error
    skips_broken: bool = False


@dataclass(slots=True)
class EngineTiming:
    """Timing of the engine while it played."""

    #: steps played
    steps: int = 0
    #: those whose own plan had come in time
    in_time: int = 0
    #: knowledge age of the notes begun -> how often
    age_ticks: Counter[int] = field(default_factory=Counter)
    age_ns: Counter[int] = field(default_factory=Counter)
    #: steps that any plan covered
    covered: int = 0

    def add(self, more: EngineTiming) -> None:
        """Add another file's timing."""
        self.steps += more.steps
        self.in_time += more.in_time
        self.covered += more.covered
        self.age_ticks.update(more.age_ticks)
        self.age_ns.update(more.age_ns)


@dataclass(frozen=True, slots=True)
class FileScore:
    """Figures of one file."""

    name: str
    song: str
    bars: int
    #: row (own part, chord blocks, ..., live, offline) -> figure -> value, NaN where it has none
    rows: dict[str, dict[str, float]]
    #: mode -> timing of the engine
    timing: dict[str, EngineTiming]
    #: row -> tally -> what was counted, for the figures of `music.evaluation.metrics.POOLED`
    tallies: dict[str, dict[str, Floats]] = field(default_factory=dict)


def score_file(job: ScoringJob) -> FileScore | SkippedFile:
    """Score one file, or return why it has no score.

    Raises GraphError for a graph that cannot be played, MidiFileError for a file of a collection that cannot be read.
    """
    try:
        return _score(job)
    except MidiFileError as error:
        if not job.skips_broken:
            raise
        reason = str(error).removeprefix(f"{job.entry.collection}/{job.entry.name}: ")
        return SkippedFile(make_printable(job.entry.name), f"cannot be played: {reason}")


def _score(job: ScoringJob) -> FileScore | SkippedFile:
    """Score one file, or return that it lacks melody or accompaniment. Raises MidiFileError, GraphError."""
    song = _cut(job.entry.read(), job.bars)
    melody = _find_melody(song)
    own = baselines.extract_human_parts(song)
    if job.entry.is_own and not own and melody:
        own = baselines.guess_human_parts(song, choose_melody(song))
    if not own or not melody:
        return SkippedFile(make_printable(job.entry.name), "has no melody, or no accompaniment of its own")
    where = find_passage(melody, song.metres[0][1])
    chart = job.chart or _chart_annotated(song)
    chords = ChordTrack(song.markers) or _list_charted(job.chart, song) or None
    rows = {OWN: own} | _make_baselines(job, where, chords)
    rows |= _read_render(job)
    timing = {}
    for mode in job.modes:
        rows[mode], timing[mode] = _play(song, job, mode)
    if job.band is not None and job.modes and chart is not None and not find(job.band.technique).edits_notes:
        rows[GIVEN], timing[GIVEN] = _play(song, job, LIVE if LIVE in job.modes else OFFLINE, chart)
    compared = {row: metrics.Comparison(where, parts, own, chords) for row, parts in rows.items()}
    found = {row: metrics.measure_figures(comparison) for row, comparison in compared.items()}
    tallies = {row: metrics.count_tallies(comparison) for row, comparison in compared.items()}
    tallies[FOLLOWER][metrics.MOVED] = _follow_moved(song, where)
    if LIVE in job.modes:
        tallies[LIVE][metrics.MOVED] = _play_moved(song, job, where)
    if job.modes and GIVEN not in found:  # the column is there, and says that there is nothing
        found[GIVEN] = dict.fromkeys(found[OWN], math.nan)
    if job.pictures is not None:
        _draw(job.pictures, job, melody, where, rows, found)
    return FileScore(job.entry.name, job.entry.song, where.bars, found, timing, tallies)


def score_own_part(entry: SongFile) -> FileScore | None:
    """Score a file's own part alone; None as in `score_file`."""
    song = entry.read()
    own, melody = baselines.extract_human_parts(song), _find_melody(song)
    if not own or not melody:
        return None
    where = find_passage(melody, song.metres[0][1])
    compared = metrics.Comparison(where, own)
    rows, tallies = {OWN: metrics.measure_figures(compared)}, {OWN: metrics.count_tallies(compared)}
    return FileScore(entry.name, entry.song, where.bars, rows, {}, tallies)


def average_songs(scores: Iterable[FileScore]) -> dict[str, dict[str, Mean]]:
    """Return row -> figure -> mean over songs; a song of several files counts once, its files weighted by bars.

    The figures of POOLED are those of all files together.
    """
    songs: dict[str, list[FileScore]] = {}
    for score in scores:
        songs.setdefault(score.song, []).append(score)
    ordered = [files for _, files in sorted(songs.items())]
    rows = dict.fromkeys(row for files in songs.values() for score in files for row in score.rows)
    return {
        row: {
            figure.key: estimate_mean([_average_files(files, row, figure.key) for files in ordered])
            for figure in metrics.METRICS
        }
        | {
            figure.key: estimate_pooled(
                _add_tallies(ordered, row, figure.tally), figure.combine, has_interval=figure.has_interval
            )
            for figure in metrics.POOLED
        }
        for row in rows
    }


def average_recovery(scores: Iterable[FileScore]) -> dict[str, list[float]]:
    """Return row -> NiC of each beat of the moved melody, over files; NaN for a beat on which none has one."""
    found: dict[str, Floats] = {}
    for score in scores:
        for row, tallies in score.tallies.items():
            if metrics.MOVED in tallies:
                found[row] = found.get(row, 0) + tallies[metrics.MOVED]
    return {row: literature.average_beats(beats).tolist() for row, beats in found.items()}


def _add_tallies(songs: Iterable[list[FileScore]], row: str, tally: str) -> list[Floats]:
    """Return what was counted in the files of each song that has the tally."""
    found = [[file.tallies[row][tally] for file in files if tally in file.tallies.get(row, {})] for files in songs]
    return [np.sum(counts, axis=0) for counts in found if counts]


def name_row(row: str, collection: str) -> str:
    """Return a row's heading; parts made by rule are not called human."""
    if row == OWN:
        return "reference part" if collection == BANDS else "human part"
    return row


def sum_timing(scores: Iterable[FileScore]) -> dict[str, EngineTiming]:
    """Return mode -> timing of the engine over all files."""
    total: dict[str, EngineTiming] = {}
    for score in scores:
        for mode, timing in score.timing.items():
            total.setdefault(mode, EngineTiming()).add(timing)
    return total


@lru_cache(maxsize=1)
def load_cached_player(technique: str, graph: str | None) -> Player:
    """Load a player, once in each process."""
    return load_player(technique, graph)


def _find_melody(song: Song) -> tuple[Note, ...]:
    try:
        return choose_melody(song).notes
    except MidiFileError:
        return ()


def _cut(song: Song, bars: int | None) -> Song:
    """Return the first bars of a song, all of it for None; notes that reach beyond end there."""
    if bars is None:
        return song
    end = bars * song.metres[0][1].ticks_per_bar
    parts = (replace(part, notes=_cut_notes(part.notes, end)) for part in song.parts)
    markers = tuple((tick, text) for tick, text in song.markers if tick < end)
    return replace(song, parts=tuple(parts), markers=markers)


def _cut_notes(notes: Iterable[Note], end: int) -> tuple[Note, ...]:
    return tuple(replace(note, length=min(note.end, end) - note.start) for note in notes if note.start < end)


def _chart_annotated(song: Song) -> ChartLine | None:
    """Return the chords that are annotated in a song as a chart of it; None where there are none."""
    try:
        return ChartLine(chart_markers(song))
    except ChartError:
        return None


def _list_charted(chart: ChartLine | None, song: Song) -> ChordTrack:
    """Return the chords that a chart has under a song; none where there is no chart."""
    charted = [] if chart is None else chart.list_chords(0, max(1, song.end))
    return ChordTrack(list_changes(charted, song.end, gaps=False))


def _make_baselines(job: ScoringJob, where: MelodyPassage, chords: ChordTrack | None) -> dict[str, Accompaniment]:
    rows = {BLOCKS: baselines.play_chord_blocks(where, chords)} if chords is not None else {}
    rows[FOLLOWER] = baselines.follow_chords(where)
    other = _read_other(job.other) if job.other is not None else None
    if other is not None and _find_melody(other):
        rows[OTHER] = baselines.borrow_part(where, other)
    return rows | {SILENCE: {}}


def _read_render(job: ScoringJob) -> dict[str, Accompaniment]:
    """Return what a render of the song holds beside the melody, if there is one."""
    if job.renders is None:
        return {}
    path = job.renders / f"{job.entry.name}.mid"
    return {RENDERS: baselines.extract_human_parts(read(path))} if path.is_file() else {}


def _read_other(entry: SongFile) -> Song | None:
    try:
        return entry.read()
    except MidiFileError:  # a file of its own says so
        return None


def _play(song: Song, job: ScoringJob, mode: str, chart: ChartLine | None = None) -> tuple[Accompaniment, EngineTiming]:
    """Return what the band plays to the song's melody, and the timing of the engine. chart: the chords it is given."""
    assert job.band is not None
    player = load_cached_player(job.band.technique, job.band.graph)
    settings = replace(job.band.settings, style=job.band.style or job.entry.named_style or player.info.styles[0])
    if chart is not None:
        settings = replace(settings, harmony=CHART)
    parts, counters = render_notes(song, player, settings, job.band.latency_ms, mode == OFFLINE, job.band.replan, chart)
    ages = Counter(counters.age_ticks.buckets), Counter(counters.age_ns.buckets)
    played = {role: list(notes) for role, notes in parts.items()}
    return played, EngineTiming(counters.steps, counters.in_time, *ages, counters.steps - counters.uncovered)


def _play_moved(song: Song, job: ScoringJob, where: MelodyPassage) -> Floats:
    """Return `literature.count_beats_in_chord` of what the band plays live to the melody that moves away."""
    heard = _move_melody(song, where)
    moved = find_passage(_find_melody(heard), song.metres[0][1])
    parts, _ = _play(heard, job, LIVE)
    return literature.count_beats_in_chord(moved, collect_notes(parts, moved))


def _follow_moved(song: Song, where: MelodyPassage) -> Floats:
    """Return the same of the chord follower."""
    moved = find_passage(_find_melody(_move_melody(song, where)), song.metres[0][1])
    return literature.count_beats_in_chord(moved, collect_notes(baselines.follow_chords(moved), moved))


def _move_melody(song: Song, where: MelodyPassage) -> Song:
    """Return a song's melody alone, moved as `literature.move_melody` has it."""
    melody = choose_melody(song)
    part = replace(melody, notes=tuple(literature.move_melody(melody.notes, where)))
    return replace(song, parts=(part,), markers=())


def _draw(
    folder: Path,
    job: ScoringJob,
    melody: tuple[Note, ...],
    where: MelodyPassage,
    rows: dict[str, Accompaniment],
    found: dict[str, dict[str, float]],
) -> None:
    shown = {}
    for row in (OWN, FOLLOWER, *job.modes, *([GIVEN] if GIVEN in rows else [])):
        worth = ", ".join(f"{key} {found[row][key]:.2f}" for key in ("consonant", "clash", "chroma"))
        shown[f"{name_row(row, job.entry.collection)}: {worth}"] = rows[row]
    path = folder / make_printable(f"{job.entry.collection}-{job.entry.name}.png").replace("/", "-")
    piano_roll_png.draw_piano_rolls(path, f"{job.entry.collection} {job.entry.name}", melody, shown, where)


def _average_files(files: list[FileScore], row: str, key: str) -> float:
    there = [(v.rows[row][key], v.bars) for v in files if row in v.rows and not math.isnan(v.rows[row][key])]
    bars = sum(weight for _, weight in there)
    return sum(value * weight for value, weight in there) / bars if bars else math.nan
