"""`houseband bench`: the performance figures, each beside a reference measured in the same run."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.commands._console import print_table, show_progress
from daemon.commands._files import report_write_errors
from daemon.commands._options import technique_option
from music.errors import UserError
from music.files import check_writable

if TYPE_CHECKING:
    from daemon.diagnostics.bench import Bench
    from daemon.diagnostics.bench_row import Row


@click.command(short_help="Measure this machine's performance figures, each beside a reference.")
@technique_option
@click.option("--graph", metavar="FILE.onnx", help="Weights to play instead of the shipped ones.")
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="How often to measure.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=5, show_default=True, help="How long a round plays.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--plots", metavar="FILE.png", type=click.Path(path_type=Path), help="Draw histograms (matplotlib).")
@click.option(
    "--compare", metavar="FILE.json", type=click.Path(path_type=Path), help="Print how its ratios differ from these."
)
def command(
    technique: str,
    graph: str | None,
    rounds: int,
    seconds: float,
    as_json: bool,
    plots: Path | None,
    compare: Path | None,
) -> None:
    """Measure how well the band keeps time here, and what it costs. Takes two to three minutes; close other programs.

    Every figure stands beside a reference measured in the same run. Values are medians of all rounds; the ratio is that
    of the best round of either side, which is what can be compared between runs. Where no MIDI system runs, a JACK
    server without hardware is started for the while, if jackd is there: with periods of 128 frames for what passes
    through, and of 1024, JACK's own, for everything else.
    """
    from daemon.diagnostics.bench import Bench, compare_runs, draw_histograms
    from daemon.diagnostics.bench_process import BenchOptions
    from daemon.players.load import load_player

    earlier = _read_earlier(compare)
    load_player(technique, graph)
    if plots is not None:
        _check_plots(plots)
    with show_progress("measuring"):
        bench = Bench(BenchOptions(technique, graph, rounds, seconds, lambda text: click.echo(f"{text} ...", err=True)))
        bench.run()
    if plots is not None:
        with report_write_errors(plots):
            draw_histograms(plots, bench.histograms)
    if as_json:
        click.echo(json.dumps(_to_json(bench), indent=1))
    else:
        _print_rows(bench.rows)
    if earlier is not None:
        for name, share in compare_runs(earlier, [asdict(row) for row in bench.rows]).items():
            click.echo(f"{100 * share:5.1f} % {name}", err=True)


def _read_earlier(path: Path | None) -> list[dict[str, object]] | None:
    """Return the figures of an earlier run's JSON; None without a file. Raises UserError."""
    if path is None:
        return None
    try:
        figures: list[dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))["figures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not what `houseband bench --json` wrote ({error})") from None
    return figures


def _check_plots(path: Path) -> None:
    """Raise UserError where no plots could be written there."""
    from daemon.evaluation.piano_roll_png import check_matplotlib

    check_matplotlib()
    check_writable(path)


def _to_json(bench: Bench) -> dict[str, object]:
    machine = {"system": platform.platform(), "python": platform.python_version()}
    return {"machine": machine, "rounds": bench.options.rounds, "figures": [asdict(row) for row in bench.rows]}


def _print_rows(rows: list[Row]) -> None:
    from rich.table import Table

    table = Table("figure", "value", "", "beside", "reference", "ratio", "bound")
    for row in rows:
        kept = "" if row.kept is None else " (kept)" if row.kept else " (MISSED)"
        table.add_row(
            row.figure, _format_number(row.value), row.unit, row.against or row.note, _format_number(row.reference),
            _format_number(row.ratio), row.bound + kept,
        )  # fmt: skip
    print_table(table, 160)


def _format_number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
