"""What accompaniments are worth over a collection: renders and baselines, judged side by side."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import Progress

from daemon.evaluation import piano_roll_png, scoring
from daemon.evaluation.report import Report
from daemon.evaluation.scoring import BandUnderTest, Job, Verdict
from daemon.players.graph import Graph, GraphError
from music import styles as known_styles
from music.corpus import CorpusError, SongFile, find_next_song, read_split

Given = TypeVar("Given")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Question:
    """What to judge: a collection's split in a folder of collections, `songs` songs of it drawn by seed (None: all), of
    the bands those made in `style`; who plays (None: nobody) and in which modes; whether to compare with the parts of
    the style; where to draw pictures; by how many processes."""

    data: Path
    collection: str = "pop909"
    split: str = "valid"
    songs: int | None = None
    seed: int = 0
    band: BandUnderTest | None = None
    style: str | None = None
    modes: tuple[str, ...] = ()
    by_style: bool = False
    pictures: Path | None = None
    jobs: int = 1


def evaluate(question: Question) -> Report:
    """The answer. Raises CorpusError, MidiFileError, GraphError or PicturesError, whose messages are for the user."""
    entries = read_split(
        question.data,
        question.collection,
        question.split,
        songs=question.songs,
        seed=question.seed,
        style=question.style,
    )
    facts = _facts(question.band, entries)
    if question.pictures is not None:
        piano_roll_png.check()
        question.pictures.mkdir(parents=True, exist_ok=True)
    work = [
        Job(entry, find_next_song(entries, index), question.band, question.modes, question.pictures)
        for index, entry in enumerate(entries)
    ]
    verdicts = [v for v in each(scoring.judge, work, question.jobs, "judging") if v is not None]
    if not verdicts:
        raise CorpusError(f"no file of {question.collection} has a melody and an accompaniment of its own")
    return Report(
        collection=question.collection,
        split=question.split,
        style=question.style,
        modes=question.modes,
        band=question.band,
        graph=facts,
        files=len(entries),
        verdicts=tuple(verdicts),
        parts_of_style=_parts_of_style(question) if question.by_style else None,
    )


def _facts(band: BandUnderTest | None, entries: Sequence[SongFile]) -> dict[str, Any]:
    """Where the band's graph comes from. Raises GraphError when it cannot be played, in that style."""
    if band is None:
        return {}
    styles = scoring.player_of(band.technique, band.graph).info.styles
    for style in sorted({band.style or entry.named_style or styles[0] for entry in entries}):
        if style not in styles:
            raise GraphError(f"no style {style!r}; the player knows {', '.join(styles)}")
    return dict(Graph(band.graph, band.technique).signature.provenance)


def _parts_of_style(question: Question) -> tuple[Verdict, ...]:
    """The parts of the style as they are made, all of the split, for they differ much from each other: what a band that
    claims to play it can be held against."""
    collection = known_styles.find_collection(question.style)
    parts = read_split(question.data, collection, question.split, style=question.style)
    found = each(scoring.own_groove, parts, question.jobs, "parts of the style")
    return tuple(verdict for verdict in found if verdict is not None)


def each(function: Callable[[Given], Found], items: Sequence[Given], jobs: int, what: str) -> Iterator[Found]:
    """What the function makes of each item, in order, by that many processes, with a progress bar on stderr."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=len(items))
        if min(jobs, len(items)) <= 1:
            for item in items:
                yield function(item)
                progress.advance(task)
            return
        # Ctrl-C ends the children at once and without a word; the parent says what there is to say.
        context, ended = get_context("spawn"), (signal.SIGINT, signal.SIG_DFL)
        with ProcessPoolExecutor(min(jobs, len(items)), context, signal.signal, ended) as pool:
            try:
                for found in pool.map(function, items):
                    yield found
                    progress.advance(task)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
