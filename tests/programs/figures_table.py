"""Make the tables of docs/figures.md out of reports of `houseband evaluate`, as Markdown.

    houseband evaluate --songs 8 --bars 32 --json > gan.json
    houseband evaluate --songs 8 --bars 32 --live --style piano --json > piano.json
    houseband evaluate --songs 8 --bars 32 --technique transformer --json > transformer.json
    python -m tests.programs.figures_table gan.json piano.json transformer.json

A column that two reports share, such as the human part's, is that of the first one; a band that plays in another style
than the first one's has a column of its own. With --given it is the table of what given chords are worth.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from daemon.evaluation.scoring import GIVEN
from music.evaluation.metrics import GROUPS, Metric, Pooled, list_figures

#: keys of the metrics in the table of what given chords are worth
GIVEN_ROWS = ("half_bar_root", "half_bar_triad", "root_on_1", "chord_hit", "clash", "onsets", "groove")


def make_table(rows: dict[str, dict[str, Any]], *, given: bool = False) -> list[str]:
    """Return the lines of a table; rows: whose figures -> key of a metric -> its mean, as in a report.

    given: it is the one of what given chords are worth.
    """
    figures_of = [figure for group in GROUPS for figure in list_figures(group)]
    by_key = {figure.key: figure for figure in figures_of}
    wanted = [by_key[key] for key in GIVEN_ROWS] if given else [figure for figure in figures_of if figure.docs_row]
    shown = {
        heading: figures
        for heading, figures in rows.items()
        if heading != "silence" and (given or GIVEN not in heading)
    }
    lines = [_join(["", *shown]), "|---" * (len(shown) + 1) + "|"]
    for metric in wanted:
        name = metric.docs_row or metric.title
        lines.append(_join([name, *(_format(metric, figures) for figures in shown.values())]))
    return lines


def _format(metric: Metric | Pooled, figures: dict[str, Any]) -> str:
    value = figures[metric.key]["value"]
    return "n/a" if value is None else f"{value:.{metric.digits}f}"


def _join(cells: list[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


@click.command()
@click.argument("reports", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.option("--given", is_flag=True, help="The table of what given chords are worth.")
def main(reports: tuple[Path, ...], given: bool) -> None:
    """Print the table of these REPORTS."""
    rows: dict[str, dict[str, Any]] = {}
    style = None
    for path in reports:
        report = json.loads(path.read_text(encoding="utf-8"))
        style = style or report["style"]
        added = "" if report["style"] == style else f" ({report['style']})"
        band = (report["band"] or {}).get("technique", "no band")
        for heading, figures in report["rows"].items():
            rows.setdefault(heading + added if heading.startswith(f"{band} ") else heading, figures)
    click.echo("\n".join(make_table(rows, given=given)))


if __name__ == "__main__":
    main()
