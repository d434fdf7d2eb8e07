"""`houseband export`: a run's checkpoint -> one .onnx file that holds everything, signature and provenance included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from export import from_onnx, onnx_file
from export.harmonist import replace_harmonist
from export.techniques import find_exporter
from models import checkpoint
from models.checkpoint import CheckpointError
from models.moments import FOLDER, list_moments, load_moment
from music.errors import HousebandError, UserError, report_os_errors
from music.files import check_distinct, check_writable, write_atomically

#: a graph may differ so much from torch, as a share of its largest value
MAX_DIFFERENCE = 1e-3


@click.command(name="export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The .onnx file to write.")
@click.option(
    "--moments",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Instead, write a graph of each moment that the run has kept, from step-000000.onnx on.",
)
@click.option(
    "--harmonist", type=click.Path(path_type=Path), help="A run whose harmonist is put in the place of the run's own."
)
@click.option("--report", type=click.Path(path_type=Path), help="Also write the report as JSON.")
def command(run: Path, out: Path | None, moments: Path | None, harmonist: Path | None, report: Path | None) -> None:
    """Export a finished training run to a graph that the daemon plays (needs the `train` extra).

    RUN is the run's folder, or a graph of the GAN or the transformer, which --harmonist gives other chords.

    Checks the file with the ONNX checker, compares it with torch, measures it on one core, and says so.
    """
    if (out is None) == (moments is None):
        raise UserError("name the .onnx file to write with -o, or a folder for the moments of a run with --moments")
    with report_os_errors():
        if out is not None:
            _export(run, out, harmonist, report)
        elif moments is not None:
            _export_moments(run, moments, harmonist, report)


def _export_moments(run: Path, folder: Path, harmonist: Path | None, report: Path | None) -> None:
    """Write a graph of every moment of a run; a run that is not over has some, too. Raises HousebandError."""
    if harmonist is not None or report is not None:
        raise UserError("--moments: goes with neither --harmonist nor --report, which are about one graph")
    kept = list_moments(run)
    if not kept:
        raise CheckpointError(f"{run}: no moments of a run in it; a run keeps them in {run / FOLDER} as it goes on")
    folder.mkdir(parents=True, exist_ok=True)
    exporter = find_exporter(load_moment(kept[0][1])[1].get("technique"), run)
    with onnx_file.trace_once():
        for step, path in kept:
            out = folder / f"step-{step:06}.onnx"
            _check_difference(exporter.write(*load_moment(path), out))
            click.echo(out)


def _export(run: Path, out: Path, harmonist: Path | None, report: Path | None) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    check_writable(out, run, harmonist)
    if report is not None:
        check_writable(report, run, harmonist)
        check_distinct(out, report)
    tensors, state = from_onnx.load(run) if run.suffix == ".onnx" else checkpoint.load(run / "checkpoint")
    if harmonist is not None:
        replace_harmonist(harmonist, tensors, state)
    figures = find_exporter(state.get("technique"), run).write(tensors, state, out)
    _print_report(figures, report)


def _print_report(figures: dict[str, Any], report: Path | None) -> None:
    """Print figures, and write them as JSON. Raises HousebandError when the graph computes something else."""
    for name, value in figures.items():
        click.echo(f"{name:>28}  {value}")
    if report:
        write_atomically(report, json.dumps(figures, indent=1))
    _check_difference(figures)


def _check_difference(figures: dict[str, Any]) -> None:
    """Raise HousebandError when a graph computes something else than torch."""
    if not figures["worst difference to torch"] <= MAX_DIFFERENCE:  # it may be no number
        raise HousebandError("the graph does not compute what torch computes; the run's weights may be damaged")
