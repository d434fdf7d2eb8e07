"""`houseband export`: a run's checkpoint -> one .onnx file that holds everything, signature and provenance included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from export import from_onnx
from export.harmonist import replace_harmonist
from export.techniques import find_exporter
from models import checkpoint
from music.errors import HousebandError, report_os_errors
from music.files import check_distinct, check_writable, write_atomically

#: a graph may differ so much from torch, as a share of its largest value
MAX_DIFFERENCE = 1e-3


@click.command(name="export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The .onnx file to write.")
@click.option(
    "--harmonist", type=click.Path(path_type=Path), help="A run whose harmonist is put in the place of the run's own."
)
@click.option("--report", type=click.Path(path_type=Path), help="Also write the report as JSON.")
def command(run: Path, out: Path, harmonist: Path | None, report: Path | None) -> None:
    """Export a finished training run to a graph that the daemon plays (needs the `train` extra).

    RUN is the run's folder, or a graph of the GAN or the transformer, which --harmonist gives other chords.

    Checks the file with the ONNX checker, compares it with torch, measures it on one core, and says so.
    """
    with report_os_errors():
        _export(run, out, harmonist, report)


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
    if not figures["worst difference to torch"] <= MAX_DIFFERENCE:  # it may be no number
        raise HousebandError("the graph does not compute what torch computes; the run's weights may be damaged")
