"""`houseband seeds`: short auditions of a song, one for each seed, to choose from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.commands._console import print_table, show_progress
from daemon.commands._files import report_write_errors
from daemon.commands._options import (
    build_settings,
    channel_option,
    control_options,
    graph_option,
    technique_option,
    track_option,
)
from daemon.config.cli_options import make_key_option
from daemon.core.techniques import find
from music.errors import UserError
from music.midi_text import make_printable

if TYPE_CHECKING:
    from daemon.evaluation.auditions import Audition

#: the name of the folder, behind that of the file
_FOLDER = "-seeds"


@click.command(short_help="Let several seeds audition for a song.")
@click.argument("melody", metavar="IN.mid", type=click.Path(path_type=Path))
@click.option("--count", metavar="N", type=click.IntRange(1, 1000), default=12, show_default=True, help="How many.")
@click.option("--bars", metavar="N", type=click.IntRange(1, 512), default=8, show_default=True, help="Of so many bars.")
@click.option("-o", "--output", metavar="DIR", type=click.Path(path_type=Path), help="A folder.  [default: IN-seeds]")
@technique_option
@graph_option
@track_option
@channel_option
@make_key_option("bpm", help="Beats per minute instead of the file's tempo.")
@make_key_option("chart")
@control_options
@click.option("--offline", is_flag=True, help="The players see the whole melody, not only what has been heard.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    melody: Path,
    count: int,
    bars: int,
    output: Path | None,
    technique: str,
    graph: Path | None,
    track: str | None,
    channel: int | None,
    bpm: float | None,
    chart: str | None,
    assigned: tuple[str, ...],
    offline: bool,
    as_json: bool,
    **values: object,
) -> None:
    """Render the first bars of a melody with several seeds, from --seed on, to choose one by ear, eye and figures.

    The folder has a MIDI file (`seed-3.mid`) and a piano roll (`seed-3.svg`) of each, and a page of all of them,
    `index.html`. Render the whole song with the seed that you like: `houseband render IN.mid -o OUT.mid --seed 3`.
    """
    from daemon.evaluation.auditions import make_auditions
    from daemon.harmony.chart_line import open_chart
    from daemon.offline.render import RenderOptions
    from daemon.players.load import load_band
    from music import midifile

    if find(technique).edits_notes:
        raise UserError(f"--technique {technique}: edits the melody and has no band that could audition")
    song = midifile.read(melody)
    part = midifile.choose_melody(song, track, channel)
    folder = output or Path(f"{melody.stem}{_FOLDER}")
    player = load_band(technique, graph)
    settings = build_settings(values, assigned, player.info)
    if chart is not None and not any(text.partition("=")[0] == "harmony" for text in assigned):
        settings = replace(settings, harmony="auto")
    options = RenderOptions(settings, bpm, offline=offline, chart=open_chart(chart).line if chart else None)
    seeds = [settings.seed + number for number in range(count)]
    with report_write_errors(folder):
        folder.mkdir(exist_ok=True)
    with report_write_errors(folder), show_progress(f"{count} seeds play {melody.name}") as progress:
        found = make_auditions(song, part, player, options, seeds, bars, folder, progress)
    _print(found, folder, as_json=as_json)


def _print(auditions: list[Audition], folder: Path, *, as_json: bool) -> None:
    from daemon.evaluation.auditions import FIGURES, PAGE, format_figure

    page = make_printable(str(folder / PAGE))
    if as_json:
        told = {"page": page, "auditions": [each.describe() for each in auditions]}
        click.echo(json.dumps(told, indent=1, allow_nan=False))
        return
    from rich.table import Table

    table = Table(box=None)
    for heading in ("seed", *(figure.title for figure in FIGURES), *auditions[0].notes):
        table.add_column(heading, justify="right")
    for each in auditions:
        figures = [format_figure(figure, each.figures) for figure in FIGURES]
        counts = [str(each.notes.get(part, 0)) for part in auditions[0].notes]
        table.add_row(str(each.seed), *figures, *counts)
    print_table(table, 200)
    click.echo(f"{page}: {len(auditions)} auditions")
