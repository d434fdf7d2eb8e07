"""Make the table of docs/figures.md out of reports of `houseband evaluate`, as Markdown.

    houseband evaluate --songs 8 --json > gan.json
    houseband evaluate --songs 8 --technique transformer --json > transformer.json
    python -m tests.programs.figures_table gan.json transformer.json

A column that two reports share, such as the human part's, is that of the first one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from music.evaluation.metrics import METRICS, Metric


def make_table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Return the lines of the table; rows: whose figures -> key of a metric -> its mean, as in a report."""
    shown = {heading: figures for heading, figures in rows.items() if heading != "silence"}
    lines = [_join(["", *shown]), "|---" * (len(shown) + 1) + "|"]
    for metric in METRICS:
        if metric.docs_row:
            lines.append(_join([metric.docs_row, *(_format(metric, figures) for figures in shown.values())]))
    return lines


def _format(metric: Metric, figures: dict[str, Any]) -> str:
    value = figures[metric.key]["value"]
    return "-" if value is None else f"{value:.{metric.digits}f}"


def _join(cells: list[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


@click.command()
@click.argument("reports", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
def main(reports: tuple[Path, ...]) -> None:
    """Print the table of these REPORTS."""
    rows: dict[str, dict[str, Any]] = {}
    for report in reports:
        rows = json.loads(report.read_text(encoding="utf-8"))["rows"] | rows
    click.echo("\n".join(make_table(rows)))


if __name__ == "__main__":
    main()
