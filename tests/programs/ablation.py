"""python -m tests.programs.ablation: what each idea of the GAN brings, as one table.

Every variant goes on from the same weights, with the same songs, seed and number of updates, and differs in one thing
only; then it plays the same validation songs through the live engine. Minutes of training a variant: figures tell the
direction, not the size, of what an idea brings in a whole run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from daemon.commands.evaluate import DATA

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "models" / "pretrained" / "gan.onnx"

#: name -> what the recipe is told
VARIANTS: dict[str, dict[str, Any]] = {
    "all": {},
    "critic hears the past only": {"model": {"critic_hears_future": False}},
    "no critic": {"adversarial": 0},
    "never its own past": {"own_past": 0},
    "no noise": {"noise": False},
}
FIGURES = (
    "consonant",
    "ur",
    "clash",
    "chord_hit",
    "chroma",
    "onsets",
    "on_beat",
    "crumbs",
    "repeated",
    "distinct",
    "groove",
)


@click.command()
@click.option("--cache", type=click.Path(path_type=Path), required=True, help="Prepared music: pop909 and bands.")
@click.option("--data", type=click.Path(path_type=Path), default=DATA, help="Where the collections are.")
@click.option("--begin-with", type=click.Path(path_type=Path), default=SHIPPED, help="The weights that all go on from.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=ROOT / "runs" / "ablation", help="Where runs are kept."
)
@click.option("--steps", default=200, show_default=True, help="Updates of every variant.")
@click.option("--batch", default=32, show_default=True)
@click.option("--songs", default=4, show_default=True, help="Validation songs of pop909 that are played.")
@click.option("--jobs", type=int, help="So many processes; one a core unless said.")
@click.option("--json", "as_json", is_flag=True)
def main(
    cache: Path,
    data: Path,
    begin_with: Path,
    runs: Path,
    steps: int,
    batch: int,
    songs: int,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Train the variants and print what they are worth."""
    found: dict[str, dict[str, float]] = {}
    for name, changed in VARIANTS.items():
        graph = _train(name, changed, cache, begin_with, runs, steps, batch)
        found[name] = _evaluate(graph, data, songs, jobs, "step")
        if name == "all":
            found |= {
                f"all, planning every {often}": _evaluate(graph, data, songs, jobs, often) for often in ("beat", "bar")
            }
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    table = Table("", *FIGURES)
    for name, row in found.items():
        table.add_row(name, *(f"{row[key]:.3f}" for key in FIGURES))
    Console(width=200).print(table)


def _train(name: str, changed: dict[str, Any], cache: Path, begin: Path, runs: Path, steps: int, batch: int) -> Path:
    """Train a variant and export it, once; return its graph."""
    run = runs / name.replace(" ", "-")
    graph = run / "gan.onnx"
    if not graph.exists():
        told = {
            "batch": batch,
            "begin_with": str(begin),
            "learning_rate": 4e-4,
            "own_past_from": 0,
            "own_past_by": 0.001,
        }
        told |= {"adversarial_from": 0.2, **changed}
        settings = [text for key, value in told.items() for text in ("--set", f"{key}={json.dumps(value)}")]
        _houseband("train", "gan", "--cache", str(cache), "-o", str(run), "--steps", str(steps), *settings)
        _houseband("export", str(run), "-o", str(graph))
    return graph


def _evaluate(graph: Path, data: Path, songs: int, jobs: int | None, replan: str) -> dict[str, float]:
    """Return figure -> mean over songs, live."""
    few = ["--jobs", str(jobs)] if jobs else []
    asked = ["--graph", str(graph), "--data", str(data), "--songs", str(songs), "--live", "--json", "--replan", replan]
    report = json.loads(_houseband("evaluate", *asked, *few))
    means = report["rows"]["gan live"]
    return {key: float(means[key]["value"]) for key in FIGURES}


def _houseband(*words: str) -> str:
    """Run a command and return what it prints. Raises CalledProcessError; what it has to say is on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "daemon", *words], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    )
    return done.stdout


if __name__ == "__main__":
    main()
