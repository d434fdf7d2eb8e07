"""The loop that every technique is trained in, on CPU or CUDA, one device or many (Lightning Fabric).

A run is a folder: `losses.csv` and `losses.png`, `run.json` (command, commit, data) and `checkpoint/`. A run that was
killed goes on from its checkpoint.
"""

from __future__ import annotations

import csv
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import click
from lightning_fabric import Fabric
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn
from torch.optim import Optimizer

from models import checkpoint

#: so many of a run's losses stand beside its progress bar
SHOWN_LOSSES = 3


class Objective(Protocol):
    """The part of training that a technique brings: networks, optimizers, and an update of them."""

    #: by the names that their tensors have in a checkpoint; `average` holds the weights that are exported
    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]

    def update(self, step: int) -> dict[str, float]:
        """Take one step of training, counted from 0; return its losses."""

    def validate(self) -> dict[str, float]:
        """Return losses of the averaged weights on songs that are not learned from; keys begin with `valid_`."""

    def collect_extras(self) -> dict[str, Any]:
        """Return what the exporter needs beside the weights, as JSON values."""


class LossLog:
    """The table `losses.csv`: a row holds the means of the losses since the row before, and validation losses."""

    def __init__(self, folder: Path, last_step: int) -> None:
        """Go on with the table in a run's folder; rows of later steps than `last_step` are left out."""
        self.path = folder / "losses.csv"
        self.rows: list[dict[str, str]] = []
        self._sums: dict[str, list[float]] = defaultdict(list)
        if self.path.exists():
            with self.path.open() as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= last_step]

    def add(self, losses: Mapping[str, float]) -> None:
        """Remember the losses of one update."""
        for name, value in losses.items():
            self._sums[name].append(value)

    def write_row(self, step: int, seconds: float, validated: Mapping[str, float]) -> dict[str, str]:
        """Close a row with validation losses beside the means, write the table, and return the row."""
        means = {name: sum(values) / len(values) for name, values in self._sums.items()} | dict(validated)
        row = {"step": str(step), "seconds": f"{seconds:.1f}"} | {k: f"{v:.5g}" for k, v in means.items()}
        self.rows.append(row)
        self._sums.clear()
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._list_columns(), restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        return row

    def plot(self) -> None:
        """Draw every column over the steps into `losses.png`; validation losses of one kind share a panel."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        panels: dict[str, list[str]] = defaultdict(list)
        for name in self._list_columns():
            if name not in ("step", "seconds"):
                panels[name.split("_")[-1] if name.startswith("valid") else name].append(name)
        columns, rows = min(4, len(panels)), -(-len(panels) // 4)
        figure, axes = pyplot.subplots(rows, columns, figsize=(4 * columns, 2.6 * rows), squeeze=False)
        for axis, (title, names) in zip(axes.flat, panels.items(), strict=False):
            for name in names:
                points = [(int(row["step"]), float(row[name])) for row in self.rows if row.get(name)]
                axis.plot(*zip(*points, strict=True), label=name, linewidth=1)
            axis.set_title(title, fontsize=9)
            axis.legend(fontsize=6, framealpha=0.4)
        for axis in axes.flat[len(panels) :]:
            axis.set_axis_off()
        figure.tight_layout()
        figure.savefig(self.path.with_suffix(".png"), dpi=80)
        pyplot.close(figure)

    def _list_columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row))


def run_training(
    objective: Objective,
    fabric: Fabric,
    folder: Path,
    steps: int,
    state: dict[str, Any],
    every: int = 200,
    save_every_s: float = 60.0,
) -> None:
    """Update from step state["step"] to `steps`, and keep losses and checkpoints in the run's folder.

    A row of losses is written every `every` steps, a checkpoint every `save_every_s` seconds, both at the end. The
    state, which is what the checkpoint holds beside the tensors, is changed as the run goes on.
    """
    log = LossLog(folder, int(state["step"]))
    begun_s = time.monotonic() - float(state.get("seconds", 0))
    saved_s = time.monotonic()
    is_first = fabric.is_global_zero  # of several devices one writes
    with _open_progress(hidden=not (is_first and sys.stderr.isatty())) as progress:
        task = progress.add_task("training", total=steps, completed=int(state["step"]), losses="")
        for step in range(int(state["step"]), steps):
            log.add(objective.update(step))
            progress.advance(task)
            is_last = step + 1 == steps
            if not is_first:
                continue
            if (step + 1) % every == 0 or is_last:
                row = log.write_row(step + 1, time.monotonic() - begun_s, objective.validate())
                progress.update(task, losses=_describe_losses(row))
                if not sys.stderr.isatty():
                    click.echo(" ".join(f"{name}={value}" for name, value in row.items()))
            if is_last or time.monotonic() - saved_s > save_every_s:
                state |= {"step": step + 1, "seconds": time.monotonic() - begun_s}
                if is_last:
                    state["extras"] = objective.collect_extras()
                tensors = checkpoint.collect_tensors(objective.modules, objective.optimizers)
                checkpoint.save(folder / "checkpoint", tensors, state)
                saved_s = time.monotonic()
    if is_first:
        log.plot()


def _open_progress(hidden: bool) -> Progress:
    return Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        disable=hidden,
        auto_refresh=True,
    )


def _describe_losses(row: Mapping[str, str]) -> str:
    """Return the first losses of a row, as text beside the progress bar."""
    losses = [name for name in row if name not in ("step", "seconds") and not name.startswith("valid_")]
    return " ".join(f"{name} {row[name]}" for name in losses[:SHOWN_LOSSES])
