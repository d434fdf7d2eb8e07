"""What the players make of one file, beside what it is measured against; and the means over many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from daemon.core.settings import Settings
from daemon.evaluation import piano_roll_png
from daemon.offline.render import render_notes
from daemon.players.load import load_player
from daemon.players.player import Player
from music.chords import ChordTrack
from music.corpus import SongFile
from music.evaluation import baselines, metrics
from music.evaluation.baselines import Accompaniment
from music.evaluation.metrics import Mean, MelodyPassage
from music.midifile import MidiFileError, Song, choose_melody
from music.note import Note
from music.styles import BANDS

OWN, BLOCKS, FOLLOWER, OTHER, SILENCE = "own part", "chord blocks", "chord follower", "somebody else's", "silence"
LIVE, OFFLINE = "live", "offline"

#: The figures of groove that tell a style, for a comparison with the parts it is made of.
GROOVE = ("onsets", "on_beat", "crumbs", "empty", "repeated", "distinct", "groove", "drum_onsets")


@dataclass(frozen=True, slots=True)
class BandUnderTest:
    """Who is judged: a technique, its graph (None: the shipped weights), how its controls stand, the style it plays
    (None: the one each file was made in), the inference time it is charged, and how often it plans anew."""

    technique: str = "gan"
    graph: str | None = None
    settings: Settings = Settings()
    style: str | None = None
    latency_ms: float = 10.0
    replan: str = "step"


@dataclass(frozen=True, slots=True)
class Job:
    """One file to judge. other: whose part is somebody else's; modes: how the band plays it, live, offline or both;
    pictures: the folder for a picture of it."""

    entry: SongFile
    other: SongFile | None = None
    band: BandUnderTest | None = None
    modes: tuple[str, ...] = ()
    pictures: Path | None = None


@dataclass(slots=True)
class Timing:
    """How the live engine kept time. steps, in_time: played, and those whose own plan had come; age_ticks, age_ns:
    knowledge age of the notes begun, value -> how often."""

    steps: int = 0
    in_time: int = 0
    age_ticks: Counter[int] = field(default_factory=Counter)
    age_ns: Counter[int] = field(default_factory=Counter)

    def add(self, more: Timing) -> None:
        """Take another file's in."""
        self.steps += more.steps
        self.in_time += more.in_time
        self.age_ticks.update(more.age_ticks)
        self.age_ns.update(more.age_ns)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One file's figures: row (own part, chord blocks, ..., live, offline) -> figure -> value, NaN where it has none;
    timing: mode -> how the engine kept time."""

    name: str
    song: str
    bars: int
    rows: dict[str, dict[str, float]]
    timing: dict[str, Timing]


def judge(job: Job) -> Verdict | None:
    """The verdict on one file; None for one without a melody or without an accompaniment of its own.

    Raises MidiFileError for what is not a MIDI file, GraphError for a graph that cannot be played.
    """
    song = job.entry.read()
    own = baselines.extract_human_parts(song)
    melody = _melody(song)
    if not own or not melody:
        return None
    where = metrics.find_passage(melody, song.metres[0][1])
    chords = ChordTrack(song.markers) if song.markers else None
    rows = {OWN: own} | _baselines(job, where, chords)
    timing = {}
    for mode in job.modes:
        rows[mode], timing[mode] = _play(song, job, mode)
    found = {row: metrics.measure_all(where, parts, own, chords) for row, parts in rows.items()}
    if job.pictures is not None:
        _picture(job.pictures, job, melody, where, rows, found)
    return Verdict(job.entry.name, job.entry.song, where.bars, found, timing)


def own_groove(entry: SongFile) -> Verdict | None:
    """The verdict on a file's own part alone: how parts of its style move."""
    song = entry.read()
    own, melody = baselines.extract_human_parts(song), _melody(song)
    if not own or not melody:
        return None
    where = metrics.find_passage(melody, song.metres[0][1])
    return Verdict(entry.name, entry.song, where.bars, {OWN: metrics.measure_all(where, own)}, {})


def over_songs(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Mean]]:
    """Row -> figure -> mean over songs. A song of several files is one: its files' mean, weighted by their bars."""
    songs: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        songs.setdefault(verdict.song, []).append(verdict)
    rows = dict.fromkeys(row for files in songs.values() for verdict in files for row in verdict.rows)
    return {
        row: {
            figure.key: metrics.estimate_mean([_of_song(files, row, figure.key) for _, files in sorted(songs.items())])
            for figure in metrics.METRICS
        }
        for row in rows
    }


def heading(row: str, collection: str) -> str:
    """What a row is called: parts made by rule are no human's."""
    if row == OWN:
        return "reference part" if collection == BANDS else "human part"
    return row


def timing_of(verdicts: Iterable[Verdict]) -> dict[str, Timing]:
    """Mode -> how the engine kept time over all files."""
    total: dict[str, Timing] = {}
    for verdict in verdicts:
        for mode, timing in verdict.timing.items():
            total.setdefault(mode, Timing()).add(timing)
    return total


@lru_cache(maxsize=1)
def player_of(technique: str, graph: str | None) -> Player:
    """The player, loaded once a process."""
    return load_player(technique, graph)


def _melody(song: Song) -> tuple[Note, ...]:
    try:
        return choose_melody(song).notes
    except MidiFileError:
        return ()


def _baselines(job: Job, where: MelodyPassage, chords: ChordTrack | None) -> dict[str, Accompaniment]:
    rows = {BLOCKS: baselines.play_chord_blocks(where, chords)} if chords is not None else {}
    rows[FOLLOWER] = baselines.follow_chords(where)
    other = job.other.read() if job.other is not None else None
    if other is not None and _melody(other):
        rows[OTHER] = baselines.borrow_part(where, other)
    return rows | {SILENCE: {}}


def _play(song: Song, job: Job, mode: str) -> tuple[Accompaniment, Timing]:
    """What the live engine plays to the song's melody, and how it kept time."""
    assert job.band is not None
    player = player_of(job.band.technique, job.band.graph)
    settings = replace(job.band.settings, style=job.band.style or job.entry.named_style or player.info.styles[0])
    parts, counters = render_notes(song, player, settings, job.band.latency_ms, mode == OFFLINE, job.band.replan)
    ages = Counter(counters.age_ticks.buckets), Counter(counters.age_ns.buckets)
    played = {role: list(notes) for role, notes in parts.items()}
    return played, Timing(counters.steps, counters.in_time, *ages)


def _picture(
    folder: Path,
    job: Job,
    melody: tuple[Note, ...],
    where: MelodyPassage,
    rows: dict[str, Accompaniment],
    found: dict[str, dict[str, float]],
) -> None:
    shown = {}
    for row in (OWN, FOLLOWER, *job.modes):
        worth = ", ".join(f"{key} {found[row][key]:.2f}" for key in ("cr", "clash", "chroma"))
        shown[f"{heading(row, job.entry.collection)}: {worth}"] = rows[row]
    path = folder / f"{job.entry.collection}-{job.entry.name}.png"
    piano_roll_png.draw(path, f"{job.entry.collection} {job.entry.name}", melody, shown, where)


def _of_song(files: list[Verdict], row: str, key: str) -> float:
    there = [(v.rows[row][key], v.bars) for v in files if row in v.rows and not math.isnan(v.rows[row][key])]
    bars = sum(weight for _, weight in there)
    return sum(value * weight for value, weight in there) / bars if bars else math.nan
