"""python -m tests.programs.judges belonging | styles | critic: trained judges of what the band plays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from daemon.commands._options import CONTROL_OPTIONS, build_settings, control_options
from daemon.commands.evaluate import DATA
from daemon.core import controls
from daemon.core.errors import report_errors
from daemon.evaluation.scoring import BandUnderTest, load_cached_player
from music.corpus import read_split
from music.errors import UserError, report_os_errors
from tests.programs.judges import trained
from tests.programs.judges.bench import LIVE, OFFLINE, Task, Tried, play_all
from tests.programs.judges.pieces import JUDGED_STYLES

RUNS = Path(__file__).resolve().parents[3] / "runs" / "judges"


def options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that both judges have."""
    path, count = click.Path(path_type=Path), click.IntRange(min=1)
    for option in reversed(
        (
            click.option("--data", metavar="DIR", type=path, default=DATA, help="Where the collections are."),
            click.option("--cache", metavar="FILE.npz", type=path, help="Prepared music [default: RUNS/music.npz]."),
            click.option("--runs", metavar="DIR", type=path, default=RUNS, help="Where trained judges are kept."),
            click.option("--collection", default="pop909", show_default=True, help="Whose melodies are played."),
            click.option(
                "--split", default="valid", show_default=True, help="Neither players nor judges learn from it."
            ),
            click.option(
                "--songs", metavar="N", type=count, default=20, show_default=True, help="So many, by the seed."
            ),
            click.option("--bars", metavar="N", type=count, help="Only so many bars of each file."),
            click.option("--technique", default="gan", show_default=True, help="gan, arcnn or transformer."),
            click.option("--graph", metavar="FILE.onnx", type=path, help="Weights other than the shipped."),
            control_options,
            click.option("--latency-ms", type=click.FloatRange(0, 60_000), default=10, show_default=True),
            click.option("--offline", is_flag=True, help="Also as the band plays with the whole melody in view."),
            click.option(
                "--nobody", is_flag=True, help="No band: only the judge, and what bands are measured against."
            ),
            click.option("--jobs", metavar="N", type=count, help="So many processes; one a core unless said."),
            click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table."),
        )
    ):
        function = option(function)
    return function


@click.group()
def main() -> None:
    """Trained judges of what the band plays. Trained in minutes on one core where they are not yet, and kept."""


@main.command()
@options
def belonging(**given: Any) -> None:
    """Measure how often a part is ranked first of 32 for its own four bars of melody.

    A contrastive judge hears four bars of melody and four of accompaniment (no drums). For every window, its own
    accompaniment stands against 31 windows of other songs: of the same kind (the band's among the band's) or of
    people's parts; as they are written, or all moved to the key of the melody's song, so that the key gives nothing
    away.
    """
    from tests.programs.judges import report

    with report_errors(), report_os_errors():
        judge, facts = trained.load_belonging(_cache(given), given["data"], given["runs"])
        tried = _play(given, None)
        found = report.report_belonging(judge, tried)
    _answer(found | facts, report.make_belonging_tables, given["as_json"])


@main.command()
@options
def styles(**given: Any) -> None:
    """Measure whether one can hear which style the band plays: same melodies in every style, bar by bar.

    A classifier hears one bar of accompaniment (no drums, programs, loudness or roles) and was trained on the bars of
    the training parts of the styles. Beside the band: held-out bars of people's and made parts, and the chord follower,
    who knows no style and is at chance.
    """
    from tests.programs.judges import report

    with report_errors(), report_os_errors():
        judge, facts = trained.load_styles(_cache(given), given["data"], given["runs"])
        known = JUDGED_STYLES if given["nobody"] else load_cached_player(given["technique"], _graph(given)).info.styles
        tried = _play(given, tuple(style for style in JUDGED_STYLES if style in known))
        found = report.report_styles(judge, tried)
    _answer(found | facts, report.make_styles_tables, given["as_json"])


@main.command()
@options
@click.option(
    "--learn", metavar="N", type=click.IntRange(min=2), default=60, show_default=True,
    help="So many songs of the training split, from which the critic learns.",
)  # fmt: skip
def critic(**given: Any) -> None:
    """Measure how often a critic, trained apart afterwards, tells the band's four bars from people's (chance 0.5).

    Bass and chords only, for that is what pop909's pianists played: no pad, no drums, no loudness, no roles, all on the
    grid of sixteenths. The band plays live to the melodies of people's songs; of each window there are people's four
    bars and the band's, in the same song to the same melody. The critic learns from songs of the training split and is
    asked about songs of --split. Beside the band: MMA, whose rule-made bands are among what players learn from; and a
    logistic regression on densities, which hears no harmony. Critics that hear only pitch classes as they begin, or
    only the rhythm, show where it is told.
    """
    from tests.programs.judges import critic_songs, report

    with report_errors(), report_os_errors():
        band, seed = _choose_band(given)
        found = []
        for split, count in (("train", given["learn"]), (given["split"], given["songs"])):
            tasks = critic_songs.list_tasks(given["data"], split, band, given["bars"] or 24, count, seed)
            found.append(critic_songs.play_songs(tasks, given["jobs"] or os.cpu_count() or 1))
        told = report.report_critic(*found)
    _answer(told, report.make_critic_tables, given["as_json"])


def _choose_band(given: dict[str, Any]) -> tuple[BandUnderTest | None, int]:
    """Return the band that the options name, and the seed that songs are drawn by."""
    seed = controls.parse("seed", given["seed"] or 0)
    assert isinstance(seed, int)
    if given["nobody"]:
        return None, seed
    player = load_cached_player(given["technique"], _graph(given))
    values = {key: value for key, value in given.items() if key in CONTROL_OPTIONS}
    settings = build_settings(values, given["assigned"], player.info)
    return BandUnderTest(given["technique"], _graph(given), settings, latency_ms=given["latency_ms"]), seed


def _cache(given: dict[str, Any]) -> Path:
    cache: Path | None = given["cache"]
    return cache or given["runs"] / "music.npz"


def _graph(given: dict[str, Any]) -> str | None:
    return str(given["graph"]) if given["graph"] is not None else None


def _play(given: dict[str, Any], styles: tuple[str, ...] | None) -> list[Tried]:
    """All songs, by the band in these styles, or in the one that is set."""
    band, seed = _choose_band(given)
    if band is not None:
        styles = styles or (band.settings.style,)
    entries = read_split(given["data"], given["collection"], given["split"], songs=given["songs"], seed=seed)
    modes = (LIVE, OFFLINE) if given["offline"] else (LIVE,)
    tried = play_all(
        [Task(entry, band, styles or (), modes, given["bars"]) for entry in entries],
        given["jobs"] or os.cpu_count() or 1,
    )
    if not tried:
        raise UserError(f"no file of {given['collection']} is in 4/4 and has a melody and an accompaniment of its own")
    return tried


def _answer(found: dict[str, Any], tables: Callable[[dict[str, Any]], list[Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 200
    for table in tables(found):
        console.print(table)


if __name__ == "__main__":
    main(prog_name="python -m tests.programs.judges")
