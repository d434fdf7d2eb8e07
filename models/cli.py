"""`houseband train`: prepare music, and train a technique on it. One technique is one line of `TECHNIQUES`."""

from __future__ import annotations

import importlib
import json
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from models import checkpoint
from models.data import song_cache
from models.data.preparation import Preparation
from models.data.song_cache import CachedSong, DataError
from models.training_loop import Objective, run_training
from music.errors import UserError, report_os_errors
from music.files import check_writable, write_atomically

#: columns of a table that goes to a file or a pipe, where no window cuts it off
_PIPED_WIDTH = 400


class TrainableTechnique(NamedTuple):
    """A technique that can be trained.

    Its objective is made of (fabric, recipe, songs, steps, seed), and has a static method `read_recipe`, which makes a
    recipe (a dataclass) of JSON values and raises TypeError for an unknown key.
    """

    #: `module:class` of its objective, a `models.training_loop.Objective`; loaded when it is trained
    objective: str
    #: help of its command
    help: str


TECHNIQUES = {
    "gan": TrainableTechnique("models.gan.objective:GanObjective", "Train the GAN that accompanies."),
    "harmonist": TrainableTechnique(
        "models.harmonist.objective:HarmonistObjective",
        "Train the harmonist that GAN and transformer take their chords from.",
    ),
    "arcnn": TrainableTechnique(
        "models.arcnn.objective:ArcnnObjective",
        "Train the AR-CNN that edits. `--set published=true` trains the published recipe on the same network.",
    ),
    "transformer": TrainableTechnique(
        "models.transformer.objective:TransformerObjective", "Train the transformer that answers step by step."
    ),
}


class TrainCommands(click.Group):
    """The group `train`: a command for every technique there is."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *TECHNIQUES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        if cmd_name not in TECHNIQUES:
            return super().get_command(ctx, cmd_name)

        def run(**options: Any) -> None:
            train(cmd_name, RunOptions(**options))

        return click.Command(cmd_name, callback=run, params=_list_run_options(), help=TECHNIQUES[cmd_name].help)


@click.group(name="train", cls=TrainCommands)
def command() -> None:
    """Train a player on a folder of MIDI files (needs the `train` extra: pip install 'houseband[train]')."""


@command.command(name="prepare")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--cache", type=click.Path(path_type=Path), required=True, help="The .npz file to write.")
@click.option("--collection", "collections", multiple=True, help="Only these archives or folders (repeatable).")
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), help="How many processes.  [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def prepare_command(folder: Path, cache: Path, collections: tuple[str, ...], jobs: int | None, as_json: bool) -> None:
    """Read MIDI once into a compact file that training needs no MIDI package for.

    Reads what lies in folders and in archives (.tar, .tar.gz, .tgz, .zip), and says of every file that is no song to
    learn from why it was skipped.
    """
    from models.data import preparation

    check_writable(cache)
    with report_os_errors():
        made = preparation.prepare(folder, cache, collections or None, jobs)
    if as_json:
        click.echo(json.dumps(made.as_json(), indent=1))
    else:
        _print_preparation(made)


def _print_preparation(made: Preparation, to_stderr: bool = False) -> None:
    """Print a table of the files that were skipped, with the reasons, and what there is."""
    if made.skipped:
        table = Table("skipped", "reason", box=None, pad_edge=False)
        for file in made.skipped:
            table.add_row(Text(file.file, overflow="fold"), Text(file.reason, overflow="fold"))
        console = Console(stderr=to_stderr)
        if not console.is_terminal:
            console.width = _PIPED_WIDTH
        console.print(table)
    click.echo(f"{made.songs} songs, {len(made.skipped)} files skipped, {made.cache} ({made.hash})", err=to_stderr)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a training run, as the command line gives them."""

    folder: Path
    data_folder: Path | None
    cache: Path | None
    collections: tuple[str, ...]
    steps: int
    seed: int
    settings: tuple[str, ...]
    resume: bool
    accelerator: str
    devices: str
    precision: str
    every: int


def _list_run_options() -> list[click.Parameter]:
    """Return the options that the run of every technique has."""
    path, positive = click.Path(path_type=Path), click.IntRange(1)
    return [
        click.Option(["--data", "data_folder"], type=path, help="MIDI files, or archives `<split>/<id>.mid`."),
        click.Option(["--cache"], type=path, help="Prepared music [default: RUN/music.npz]."),
        click.Option(
            ["--collection", "collections"], multiple=True, help="Only these archives or folders (repeatable)."
        ),
        click.Option(["-o", "--out", "folder"], type=path, required=True, help="The run's folder."),
        click.Option(["--steps"], type=positive, default=12000, show_default=True, help="Updates."),
        click.Option(["--seed"], type=int, default=1, show_default=True),
        click.Option(
            ["--set", "settings"],
            multiple=True,
            metavar="KEY=VALUE",
            help="A value of the recipe, e.g. batch=32; with --resume, one that changes.",
        ),
        click.Option(["--resume"], is_flag=True, help="Go on with the run in this folder."),
        click.Option(["--accelerator"], default="auto", show_default=True, help="cpu, cuda, mps or auto."),
        click.Option(["--devices"], default="1", show_default=True, help="How many devices."),
        click.Option(
            ["--precision"],
            default="32-true",
            show_default=True,
            help="Lightning Fabric's name of it. With bf16-mixed gradients explode where the melody rests "
            "(models/LOG.md).",
        ),
        click.Option(["--every"], type=positive, default=200, show_default=True, help="Steps between lines of losses."),
    ]


def train(name: str, options: RunOptions) -> None:
    """Begin the run of a technique, or go on with one. Raises UserError."""
    kind = _load_objective(name)
    folder = options.folder
    cache = options.cache or folder / "music.npz"
    state: dict[str, Any] = {"technique": name, "step": 0, "seed": options.seed}
    tensors: dict[str, Tensor] = {}
    given = dict(_parse_setting(text) for text in options.settings)
    if options.resume:
        tensors, state = _load_run(folder, name)
        given = {**state["recipe"], **given}
        cache = Path(state["cache"]) if not cache.exists() else cache
    elif (folder / "checkpoint").exists():
        raise UserError(f"{folder} holds a run already; go on with --resume or name another folder")
    try:
        recipe = kind.read_recipe(given)
    except TypeError as error:
        raise UserError(f"--set: {error}") from None
    songs = _load_songs(options.data_folder, cache, options.collections)
    state |= {"recipe": asdict(recipe), "cache": str(cache), **_describe_origin(cache), "steps": options.steps}
    fabric = _start_fabric(options)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "run.json", json.dumps(state, indent=1))
    objective: Objective = kind(fabric, recipe, songs, options.steps, options.seed + int(state["step"]))
    if tensors:
        checkpoint.restore_tensors(tensors, objective.modules, objective.optimizers)
    run_training(objective, fabric, folder, options.steps, state, options.every)
    made = f"houseband export {folder} -o {name}.onnx"
    click.echo(f"done: {folder / 'losses.png'}; export it with: {made}", err=True)


def _load_objective(name: str) -> Any:
    """Return the class of a technique's objective."""
    module, _, kind = TECHNIQUES[name].objective.partition(":")
    return getattr(importlib.import_module(module), kind)


def _load_run(folder: Path, technique: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and state of a technique's run. Raises UserError."""
    tensors, state = checkpoint.load(folder / "checkpoint")
    if state.get("technique") != technique:
        raise UserError(f"{folder} holds a run of the {state.get('technique')}, not of the {technique}")
    return tensors, state


def _load_songs(data_folder: Path | None, cache: Path, collections: tuple[str, ...]) -> list[CachedSong]:
    """Return the songs of a cache, which is made where it is missing. Raises DataError."""
    if not cache.exists():
        if data_folder is None:
            raise DataError(f"no cache at {cache}: name a folder of MIDI files with --data")
        from models.data import preparation

        click.echo(f"reading {data_folder} (once; kept in {cache})", err=True)
        _print_preparation(preparation.prepare(data_folder, cache, collections or None), to_stderr=True)
    songs = song_cache.load(cache)
    if not any(song.split == "train" for song in songs):
        raise DataError(f"{cache}: no song in the train split")
    return songs


def _describe_origin(cache: Path) -> dict[str, Any]:
    """Return what tells where a run comes from."""
    return {
        "data_hash": song_cache.hash_file(cache),
        "commit": checkpoint.find_commit(),
        "torch": torch.__version__,
        "command": shlex.join(["houseband", *sys.argv[1:]]),
    }


def _start_fabric(options: RunOptions) -> Fabric:
    count: Any = int(options.devices) if options.devices.isdigit() else options.devices
    fabric = Fabric(accelerator=options.accelerator, devices=count, precision=options.precision)  # type: ignore[arg-type]
    fabric.launch()
    return fabric


def _parse_setting(text: str) -> tuple[str, Any]:
    """Return key and value of KEY=VALUE; the value as JSON, or as text where it is none. Raises UserError."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value  # a name or a path
