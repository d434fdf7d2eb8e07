"""Evaluation of the band over a collection: its accompaniments and baselines, measured side by side."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import Progress

from daemon.core.techniques import check_style
from daemon.evaluation import piano_roll_png, scoring
from daemon.evaluation.report import Report
from daemon.evaluation.scoring import BandUnderTest, FileScore, ScoringJob
from daemon.harmony.chart_line import ChartLine
from daemon.players.graph import Graph
from music import styles as known_styles
from music.corpus import CorpusError, SkippedFile, SongFile, find_next_song, read_own_songs, read_split
from music.midi_text import make_printable

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """The songs to evaluate on, and the band."""

    #: the folder of collections, or of any songs
    data: Path
    #: '' for all that lies in the folder
    collection: str = "pop909"
    #: None: all of a folder of any songs
    split: str | None = "valid"
    #: how many songs to draw by seed; None: all
    songs: int | None = None
    seed: int = 0
    #: None: baselines only
    band: BandUnderTest | None = None
    #: only files made in this style; None: all
    style: str | None = None
    #: how the band plays: LIVE, OFFLINE or both
    modes: tuple[str, ...] = ()
    #: the chords that the songs are given; None: those that each has annotated
    chart: ChartLine | None = None
    #: only the first bars of each song; None: all
    bars: int | None = None
    #: the folder with renders of the songs to measure beside them
    renders: Path | None = None
    #: compare the groove with the parts that the style is made of
    by_style: bool = False
    #: the folder for pictures; None: draw none
    pictures: Path | None = None
    #: how many processes
    jobs: int = 1


def evaluate(options: EvaluationOptions) -> Report:
    """Evaluate, and return the report. Raises CorpusError, MidiFileError, GraphError, PictureError."""
    entries, skipped = _read_entries(options)
    provenance = _read_provenance(options.band, entries)
    if options.pictures is not None:
        piano_roll_png.check_matplotlib()
        options.pictures.mkdir(parents=True, exist_ok=True)
    work = [
        ScoringJob(
            entry,
            find_next_song(entries, index),
            options.band,
            options.modes,
            options.pictures,
            options.chart,
            options.bars,
            options.renders,
            skips_broken=not options.collection,
        )
        for index, entry in enumerate(entries)
    ]
    found = list(map_in_processes(scoring.score_file, work, options.jobs, "measuring"))
    scores = [score for score in found if isinstance(score, FileScore)]
    skipped += [score for score in found if isinstance(score, SkippedFile)]
    collection = options.collection or Path(os.path.realpath(options.data)).name
    if not scores:
        first = f"; {skipped[0].file} {skipped[0].reason}" if skipped else ""
        raise CorpusError(f"no file of {collection} has a melody and an accompaniment of its own{first}")
    if options.renders is not None and not any(scoring.RENDERS in score.rows for score in scores):
        where = make_printable(str(options.renders))
        raise CorpusError(f"no render of these songs in {where}: call them as the songs, such as {scores[0].name}.mid")
    return Report(
        collection=collection,
        split=options.split or "all",
        style=options.style,
        modes=options.modes,
        band=options.band,
        graph=provenance,
        files=len(entries),
        scores=tuple(scores),
        parts_of_style=_score_parts_of_style(options) if options.by_style else None,
        skipped=tuple(skipped),
        first_bars=options.bars,
    )


def _read_entries(options: EvaluationOptions) -> tuple[list[SongFile], list[SkippedFile]]:
    """Return the songs to evaluate on, and what cannot be read beside them. Raises CorpusError."""
    if not options.collection:
        return read_own_songs(options.data, options.split, songs=options.songs, seed=options.seed)
    split = options.split or "valid"
    entries = read_split(
        options.data, options.collection, split, songs=options.songs, seed=options.seed, style=options.style
    )
    return entries, []


def _read_provenance(band: BandUnderTest | None, entries: Sequence[SongFile]) -> dict[str, Any]:
    """Return what the band's graph says of its origin. Raises UserError when it cannot be played in these styles."""
    if band is None:
        return {}
    styles = scoring.load_cached_player(band.technique, band.graph).info.styles
    for style in sorted({band.style or entry.named_style or styles[0] for entry in entries}):
        check_style(style, styles)
    return dict(Graph(band.graph, band.technique).signature.provenance)


def _score_parts_of_style(options: EvaluationOptions) -> tuple[FileScore, ...]:
    """Score the parts that the style is made of: all of the split, for they differ much from each other."""
    collection = known_styles.find_collection(options.style)
    parts = read_split(options.data, collection, options.split or "valid", style=options.style)
    scores = map_in_processes(scoring.score_own_part, parts, options.jobs, "parts of the style")
    return tuple(score for score in scores if score is not None)


def map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int, what: str
) -> Iterator[Result]:
    """Yield what the function returns for each item, in order, with a progress bar on stderr.

    jobs: how many processes; what: the bar's label.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=len(items))
        if min(jobs, len(items)) <= 1:
            for item in items:
                yield function(item)
                progress.advance(task)
            return
        # Ctrl-C ends the children at once and silently; the parent reports it.
        context, ended = get_context("spawn"), (signal.SIGINT, signal.SIG_DFL)
        with ProcessPoolExecutor(min(jobs, len(items)), context, signal.signal, ended) as pool:
            try:
                for found in pool.map(function, items):
                    yield found
                    progress.advance(task)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
