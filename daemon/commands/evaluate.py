"""`houseband evaluate`: figures of the band's accompaniment over a collection, beside baselines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.commands._console import print_table
from daemon.commands._options import (
    build_settings,
    control_options,
    graph_option,
    latency_option,
    replan_option,
    technique_option,
)
from daemon.config.cli_options import make_key_option
from music.errors import report_os_errors

if TYPE_CHECKING:
    from daemon.evaluation.report import Report
    from daemon.evaluation.scoring import BandUnderTest

#: the folder of collections in the project, beside the checkout
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
#: what is evaluated on where nothing else is said
COLLECTION, SPLIT = "pop909", "valid"
LIVE, OFFLINE, BASELINES = "live", "offline", "baselines"
#: lines of the table of timing, and what they tell
TIMING = (
    ("in time", "share of steps whose own plan had come before they sounded"),
    ("covered", "share of steps that any plan covered: the interaction success rate (ISR) of StreamMUSE"),
    ("age p50", "how old the newest melody note was that a note's plan knew, when the note sounded: median"),
    ("age p99", "and 99th percentile"),
)
_ABOUT_FIGURES = """\
The figures stand in groups; those of other papers are by the papers' own definitions. For the recovery among them the
band plays the beginning of each song once more, live, to a melody that moves by six semitones at beat 17. Files that
are rendered already are measured in a moment: --baselines --renders DIR."""


class _CommandWithFigures(click.Command):
    """A command whose help ends with what the figures mean."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lists of figures, as the tables have them."""
        from music.evaluation.metrics import GROUPS, list_figures

        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(_ABOUT_FIGURES)
        for group in GROUPS:
            with formatter.section(f"Figures: {group}"):
                formatter.write_dl([(figure.title, figure.what) for figure in list_figures(group)])
        with formatter.section("Figures: timing"):
            formatter.write_dl(list(TIMING))
        super().format_epilog(ctx, formatter)


@click.command(cls=_CommandWithFigures)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=DATA,
    help="Where the collections are, or any folder of songs, or a song.",
)
@click.option(
    "--collection",
    metavar="NAME",
    help=f"Which of them to evaluate on.  [default: {COLLECTION}, or all songs of a folder without it]",
)
@click.option(
    "--split",
    metavar="NAME",
    help=f"Which part of it; no player has learnt from `valid`.  [default: {SPLIT}, or all songs of any folder]",
)
@click.option(
    "--songs", metavar="N", type=click.IntRange(min=1), help="How many of its songs to draw by the seed; else all."
)
@click.option("--bars", metavar="N", type=click.IntRange(min=1), help="Only the first N bars of each song.")
@technique_option
@graph_option
@control_options
@make_key_option("chart", help="A chart to give to the band in the column `given chords`, instead of annotated chords.")
@latency_option
@replan_option
@click.option("--live", "mode", flag_value=LIVE, help="Only as it plays live, hearing the melody as it comes.")
@click.option("--offline", "mode", flag_value=OFFLINE, help="Only as it plays with the whole melody in view.")
@click.option("--baselines", "mode", flag_value=BASELINES, help="No player: only what players are measured against.")
@click.option("--by-style", is_flag=True, help="Compare the groove with the parts that the style is made of.")
@click.option(
    "--renders",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Measure the renders that lie there, too; each has the name of its song's file.",
)
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), help="How many processes.  [default: one a core]")
@click.option("--pictures", metavar="DIR", type=click.Path(path_type=Path), help="Draw piano rolls there (matplotlib).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    data: Path,
    collection: str | None,
    split: str | None,
    songs: int | None,
    bars: int | None,
    technique: str,
    graph: Path | None,
    assigned: tuple[str, ...],
    chart: str | None,
    latency_ms: float,
    replan: str | None,
    mode: str | None,
    by_style: bool,
    renders: Path | None,
    jobs: int | None,
    pictures: Path | None,
    as_json: bool,
    style: str | None,
    seed: int | None,
    **values: object,
) -> None:
    """Print figures of how good the accompaniment is.

    Plays the melodies of a collection to the band and prints figures of its answer beside those of the song's own part,
    its annotated chords as blocks, a rule that follows the melody causally, somebody else's part, and silence: means
    over songs, with 95% intervals. On the bands each file is played in its own style unless --style is given.

    The column `given chords` is the band once more, as it plays live (with --offline, offline), told of the song's
    chords by a chart: those annotated as markers on the song's track `harmony`, or those of --chart FILE, which are
    what it is measured against, too, where a song has none annotated. Where there are no chords it is n/a.
    """
    from daemon.evaluation.evaluate import EvaluationOptions, evaluate
    from daemon.harmony.chart_line import open_chart

    modes = {None: (LIVE, OFFLINE), BASELINES: ()}.get(mode, (str(mode),))
    collection, split = _choose_songs(data, collection, split)
    values |= {"style": style, "seed": seed}
    band = _build_band(technique, graph, values, assigned, collection, latency_ms, replan) if modes else None
    options = EvaluationOptions(
        data=data,
        collection=collection,
        split=split,
        songs=songs,
        bars=bars,
        seed=band.settings.seed if band else seed or 0,
        band=band,
        style=band.style if band else style,
        modes=modes,
        chart=open_chart(chart).line if chart else None,
        renders=renders,
        by_style=by_style,
        pictures=pictures,
        jobs=jobs or os.cpu_count() or 1,
    )
    with report_os_errors():
        report = evaluate(options)
    _print_report(report, as_json=as_json, tells_skipped=not collection)


def _print_report(report: Report, *, as_json: bool, tells_skipped: bool) -> None:
    """Print a table for each group of figures, and on stderr what was skipped; or JSON."""
    from daemon.evaluation.report import LEGEND

    if as_json:
        click.echo(json.dumps(report.as_json(), indent=1, allow_nan=False))
        return
    click.echo(report.make_title())
    for table in report.make_tables():
        print_table(table, 400)
    click.echo(LEGEND)
    for file in report.skipped if tells_skipped else ():
        click.echo(f"skipped: {file.file} {file.reason}", err=True)


def _choose_songs(data: Path, collection: str | None, split: str | None) -> tuple[str, str | None]:
    """Return the collection, '' for all that lies in the folder, and the split, None for all. Raises CorpusError."""
    from music.corpus import CorpusError, find_split, list_songs

    try:
        find_split(data, collection or COLLECTION, split or SPLIT)
    except CorpusError:
        is_named = collection is not None or (data / COLLECTION).exists()
        if is_named or not data.exists() or not list_songs(data).files:
            raise
        return "", split
    return collection or COLLECTION, split or SPLIT


def _build_band(
    technique: str,
    graph: Path | None,
    values: dict[str, object],
    assigned: tuple[str, ...],
    collection: str,
    latency_ms: float,
    replan: str | None,
) -> BandUnderTest:
    """Return the band that the options name. Raises GraphError, SettingError."""
    from daemon.evaluation.scoring import BandUnderTest, load_cached_player
    from music.styles import names_style

    name = str(graph) if graph is not None else None
    settings = build_settings(values, assigned, load_cached_player(technique, name).info)
    style = None if names_style(collection) and values["style"] is None else settings.style
    return BandUnderTest(technique, name, settings, style, latency_ms, replan)
