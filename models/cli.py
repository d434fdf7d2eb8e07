"""`houseband train`: one loop for every technique, on CPU or CUDA, one device or many (Lightning Fabric).

A run is a folder: `losses.csv`, `losses.png`, `run.json` (command, commit, data) and `checkpoint/`. A killed run goes
on with `--resume`.
"""

from __future__ import annotations

import csv
import json
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
import torch
from lightning_fabric import Fabric
from torch import Tensor

from models import checkpoint
from models.data import song_cache
from models.data.song_cache import CachedSong, DataError
from music.errors import UserError
from music.files import write_atomically


class Objective(Protocol):
    """What a technique brings to the loop."""

    def turn(self, step: int) -> dict[str, float]: ...
    def validate(self) -> dict[str, float]: ...
    def tensors(self) -> dict[str, Tensor]: ...
    def restore(self, tensors: dict[str, Tensor]) -> None: ...
    def extras(self) -> dict[str, Any]: ...


class LossLog:
    """Means of the losses between two lines of `losses.csv`, and the plot of them."""

    def __init__(self, folder: Path, keep_until: int) -> None:
        self.path = folder / "losses.csv"
        self.rows: list[dict[str, str]] = []
        self.sums: dict[str, list[float]] = defaultdict(list)
        if self.path.exists():
            with self.path.open() as file:
                self.rows = [r for r in csv.DictReader(file) if int(r["step"]) <= keep_until]

    def add(self, figures: dict[str, float]) -> None:
        """Remember one turn's losses."""
        for name, value in figures.items():
            self.sums[name].append(value)

    def line(self, step: int, seconds: float, figures: dict[str, float]) -> dict[str, str]:
        """Close a line of the table with `figures` beside the means."""
        means = {name: sum(values) / len(values) for name, values in self.sums.items()} | figures
        row = {"step": str(step), "seconds": f"{seconds:.1f}"} | {k: f"{v:.5g}" for k, v in means.items()}
        self.rows.append(row)
        self.sums.clear()
        columns = list(dict.fromkeys(k for r in self.rows for k in r))
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        return row

    def plot(self) -> None:
        """Draw every column over the steps into `losses.png`."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        names = [k for k in dict.fromkeys(k for r in self.rows for k in r) if k not in ("step", "seconds")]
        groups: dict[str, list[str]] = defaultdict(list)
        for name in names:
            groups[name.split("_")[-1] if name.startswith("valid") else name].append(name)
        rows = -(-len(groups) // 4)
        columns = min(4, len(groups))
        figure, axes = pyplot.subplots(rows, columns, figsize=(4 * columns, 2.6 * rows), squeeze=False)
        for axis, (title, members) in zip(axes.flat, groups.items(), strict=False):
            for name in members:
                points = [(int(r["step"]), float(r[name])) for r in self.rows if r.get(name)]
                axis.plot(*zip(*points, strict=True), label=name, linewidth=1)
            axis.set_title(title, fontsize=9)
            axis.legend(fontsize=6, framealpha=0.4)
        for axis in axes.flat[len(groups) :]:
            axis.set_axis_off()
        figure.tight_layout()
        figure.savefig(self.path.with_suffix(".png"), dpi=80)
        pyplot.close(figure)


def run(
    objective: Objective,
    fabric: Fabric,
    folder: Path,
    steps: int,
    state: dict[str, Any],
    every: int = 200,
    save_every: float = 60.0,
) -> None:
    """The loop: turns from state['step'] to `steps`, losses every `every`, a checkpoint every `save_every` seconds."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    log = LossLog(folder, int(state["step"]))
    begun = time.monotonic() - float(state.get("seconds", 0))
    saved = time.monotonic()
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Progress(*columns, disable=not (fabric.is_global_zero and sys.stderr.isatty()), auto_refresh=True) as progress:
        task = progress.add_task("training", total=steps, completed=int(state["step"]), losses="")
        for step in range(int(state["step"]), steps):
            log.add(objective.turn(step))
            progress.advance(task)
            last = step + 1 == steps
            if (step + 1) % every == 0 or last:
                row = (
                    log.line(step + 1, time.monotonic() - begun, objective.validate()) if fabric.is_global_zero else {}
                )
                short = " ".join(
                    f"{k} {row[k]}"
                    for k in row
                    if k in ("reconstruction", "chord", "critic", "generator", "edit", "nats")
                )
                progress.update(task, losses=short)
                if fabric.is_global_zero and not sys.stderr.isatty():
                    click.echo(" ".join(f"{k}={v}" for k, v in row.items()))
            if fabric.is_global_zero and (last or time.monotonic() - saved > save_every):
                state |= {"step": step + 1, "seconds": time.monotonic() - begun}
                if last:
                    state["extras"] = objective.extras()
                checkpoint.save(folder / "checkpoint", objective.tensors(), state)
                saved = time.monotonic()
    if fabric.is_global_zero:
        log.plot()


def _songs(data_folder: Path | None, cache: Path, collections: tuple[str, ...]) -> list[CachedSong]:
    if not cache.exists():
        if data_folder is None:
            raise DataError(f"no cache at {cache}: name a folder of MIDI files with --data")
        click.echo(f"reading {data_folder} (once; kept in {cache})", err=True)
        from models.data import preparation

        preparation.prepare(data_folder, cache, collections or None)
    return song_cache.load(cache)


@click.group(name="train")
def command() -> None:
    """Train a player on a folder of MIDI files (needs the `train` extra: pip install 'houseband[train]')."""


@command.command(name="prepare")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--cache", type=click.Path(path_type=Path), required=True, help="The .npz file to write.")
@click.option("--collection", "collections", multiple=True, help="Only these archives or folders (repeatable).")
def prepare_command(folder: Path, cache: Path, collections: tuple[str, ...]) -> None:
    """Read MIDI once into a compact file that training needs no MIDI package for."""
    from models.data import preparation

    counts = preparation.prepare(folder, cache, collections or None)
    click.echo(f"{counts['songs']} songs, {counts['skipped']} files skipped, {cache} ({counts['hash']})")


def run_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that every technique's run has."""
    path = click.Path(path_type=Path)
    precision = (
        "Lightning Fabric's name of it. With bf16-mixed gradients explode where the melody rests (models/LOG.md)."
    )
    set_help = "A value of the recipe, e.g. batch=32; with --resume, one that changes."
    for option in reversed(
        (
            click.option("--data", "data_folder", type=path, help="MIDI files, or archives `<split>/<id>.mid`."),
            click.option("--cache", type=path, help="Prepared music [default: RUN/music.npz]."),
            click.option(
                "--collection", "collections", multiple=True, help="Only these archives or folders (repeatable)."
            ),
            click.option("-o", "--out", "folder", type=path, required=True, help="The run's folder."),
            click.option("--steps", type=click.IntRange(1), default=12000, show_default=True, help="Updates."),
            click.option("--seed", type=int, default=1, show_default=True),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="KEY=VALUE",
                help=set_help,
            ),
            click.option("--resume", is_flag=True, help="Go on with the run in this folder."),
            click.option("--accelerator", default="auto", show_default=True, help="cpu, cuda, mps or auto."),
            click.option("--devices", default="1", show_default=True, help="How many devices."),
            click.option("--precision", default="32-true", show_default=True, help=precision),
            click.option(
                "--every", type=click.IntRange(1), default=200, show_default=True, help="Steps between lines of losses."
            ),
        )
    ):
        function = option(function)
    return function


@command.command(name="gan")
@run_options
def gan_command(**options: Any) -> None:
    """Train the GAN that accompanies."""
    from models.gan.objective import GanObjective, recipe_from

    train("gan", recipe_from, GanObjective, **options)


@command.command(name="harmonist")
@run_options
def harmonist_command(**options: Any) -> None:
    """Train the harmonist that GAN and transformer take their chords from."""
    from models.harmonist.objective import HarmonistObjective, recipe_from

    train("harmonist", recipe_from, HarmonistObjective, **options)


@command.command(name="arcnn")
@run_options
def arcnn_command(**options: Any) -> None:
    """Train the AR-CNN that edits. `--set published=true` trains the published recipe on the same network."""
    from models.arcnn.objective import ArcnnObjective, recipe_from

    train("arcnn", recipe_from, ArcnnObjective, **options)


@command.command(name="transformer")
@run_options
def transformer_command(**options: Any) -> None:
    """Train the transformer that answers step by step."""
    from models.transformer.objective import TransformerObjective, recipe_from

    train("transformer", recipe_from, TransformerObjective, **options)


class TrainingRecipe(Protocol):
    """What a run is told, by technique."""

    def as_dict(self) -> dict[str, Any]: ...


R = TypeVar("R", bound=TrainingRecipe)


def train(
    technique: str,
    recipe_from: Callable[[dict[str, Any]], R],
    make: Callable[[Fabric, R, list[CachedSong], int, int], Objective],
    *,
    data_folder: Path | None,
    cache: Path | None,
    collections: tuple[str, ...],
    folder: Path,
    steps: int,
    seed: int,
    settings: tuple[str, ...],
    resume: bool,
    accelerator: str,
    devices: str,
    precision: str,
    every: int,
) -> None:
    """One run of a technique, begun or gone on with. Raises UserError."""
    cache = cache or folder / "music.npz"
    state: dict[str, Any] = {"technique": technique, "step": 0, "seed": seed}
    tensors: dict[str, Tensor] = {}
    try:
        if resume:
            tensors, state = checkpoint.load(folder / "checkpoint")
            if state.get("technique") != technique:
                raise UserError(f"{folder} holds a run of the {state.get('technique')}, not of the {technique}")
            recipe = recipe_from({**state["recipe"], **dict(_setting(s) for s in settings)})
            cache = Path(state["cache"]) if not cache.exists() else cache
        else:
            if (folder / "checkpoint").exists():
                raise UserError(f"{folder} holds a run already; go on with --resume or name another folder")
            recipe = recipe_from(dict(_setting(s) for s in settings))
        songs = _songs(data_folder, cache, collections)
    except TypeError as error:
        raise UserError(f"--set: {error}") from None
    if not any(s.split == "train" for s in songs):
        raise UserError(f"{cache}: no song in the train split")
    state |= {"recipe": recipe.as_dict(), "cache": str(cache)}
    state |= {"data_hash": song_cache.file_hash(cache), "commit": checkpoint.git_commit(), "torch": torch.__version__}
    state |= {"command": shlex.join(["houseband", *sys.argv[1:]]), "steps": steps}
    count = int(devices) if devices.isdigit() else devices
    fabric = Fabric(accelerator=accelerator, devices=count, precision=precision)  # type: ignore[arg-type]
    fabric.launch()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "run.json", json.dumps(state, indent=1))
    objective = make(fabric, recipe, songs, steps, seed + int(state["step"]))
    if tensors:
        objective.restore(tensors)
    run(objective, fabric, folder, steps, state, every)
    made = f"houseband export {folder} -o {technique}.onnx"
    click.echo(f"done: {folder / 'losses.png'}; export it with: {made}", err=True)


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value  # a name or a path
