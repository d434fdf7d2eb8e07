"""`houseband train`: prepare music, and train a technique on it. One technique is one line of `TECHNIQUES`."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.rank_zero import rank_zero_only
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from models import checkpoint
from models.data import song_cache
from models.data.preparation import Preparation
from models.data.song_cache import CachedSong, DataError
from models.devices import ACCELERATORS, PRECISIONS, parse_devices, report_memory_errors, start_fabric
from models.optimisation import share_weights
from models.recipe import RecipeError
from models.training_loop import STATE, Objective, TrainingRun, TrainingStopped
from music.errors import UserError, report_os_errors
from music.files import check_writable, write_atomically

DEFAULT_STEPS, DEFAULT_SEED = 12_000, 1
#: columns of a table that goes to a file or a pipe, where no window cuts it off
_PIPED_WIDTH = 400


class TrainableTechnique(NamedTuple):
    """A technique that can be trained.

    Its objective is made of (fabric, recipe, songs, steps, seed), and has a static method `read_recipe`, which makes a
    recipe (a dataclass) of JSON values and raises RecipeError for an unknown key or a bad value.
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
    "feel": TrainableTechnique(
        "models.feel.objective:FeelObjective",
        "Train a drummer's feel: how loud, and how far from the grid. `--set takes=FOLDER` names drummers' takes.",
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
    """Train a player on a folder of MIDI files (needs extras: pip install 'houseband[train,torch]')."""


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
    from models.data import preparation, song_cache

    check_writable(cache)
    with report_os_errors():
        song_cache.check_replaceable(cache)
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
    steps: int | None
    seed: int | None
    settings: tuple[str, ...]
    resume: bool
    accelerator: str
    devices: str
    nodes: int
    precision: str
    every: int


def _list_run_options() -> list[click.Parameter]:
    """Return the options that the run of every technique has."""
    path, positive = click.Path(path_type=Path), click.IntRange(1)
    return [
        click.Option(["--data", "data_folder"], type=path, help="A folder of MIDI files, or archives of them."),
        click.Option(["--cache"], type=path, help="Prepared music [default: RUN/music.npz]."),
        click.Option(
            ["--collection", "collections"], multiple=True, help="Only these archives or folders (repeatable)."
        ),
        click.Option(["-o", "--out", "folder"], type=path, required=True, help="The run's folder."),
        click.Option(
            ["--steps"], type=positive, help=f"Updates  [default: {DEFAULT_STEPS}, or the run's with --resume]"
        ),
        click.Option(
            ["--seed"], type=click.IntRange(0, 2**32 - 1), help=f"[default: {DEFAULT_SEED}, or the run's with --resume]"
        ),
        click.Option(
            ["--set", "settings"],
            multiple=True,
            metavar="KEY=VALUE",
            help="A value of the recipe, e.g. batch=32; with --resume, one that changes.",
        ),
        click.Option(["--resume"], is_flag=True, help="Go on with the run in this folder."),
        click.Option(
            ["--accelerator"], type=click.Choice(ACCELERATORS), default="auto", show_default=True, help="What computes."
        ),
        click.Option(
            ["--devices"],
            default="1",
            show_default=True,
            help="How many devices, or which: 0,2. Each has a batch of its own; N devices learn from N times as many.",
        ),
        click.Option(
            ["--nodes"],
            type=positive,
            default=1,
            show_default=True,
            help="How many machines; the command runs on each, with MASTER_ADDR, MASTER_PORT and NODE_RANK set.",
        ),
        click.Option(
            ["--precision"],
            type=click.Choice(PRECISIONS),
            default=PRECISIONS[0],
            show_default=True,
            help="Lightning Fabric's name of it. With bf16-mixed gradients explode where the melody rests "
            "(models/LOG.md).",
        ),
        click.Option(["--every"], type=positive, default=200, show_default=True, help="Steps between lines of losses."),
    ]


def train(name: str, options: RunOptions) -> None:
    """Begin the run of a technique, or go on with one. Raises HousebandError."""
    with report_os_errors(), report_memory_errors():
        _train(name, options)


def _train(name: str, options: RunOptions) -> None:
    kind = _load_objective(name)
    devices = parse_devices(options.devices, options.accelerator)
    folder = options.folder
    tensors, state = _load_run(folder, name) if options.resume else ({}, _begin_run(folder, name))
    given = dict(_parse_setting(text) for text in options.settings)
    try:
        recipe = kind.read_recipe({**state.get("recipe", {}), **given})
    except RecipeError as error:
        raise RecipeError(f"--set {error}") from None
    cache = options.cache or (Path(state["cache"]) if options.resume else folder / "music.npz")
    steps, seed = options.steps or state.get("steps", DEFAULT_STEPS), state.get("seed", DEFAULT_SEED)
    seed = seed if options.seed is None else options.seed
    _check_folder(folder)
    _check_music(cache, options)
    is_first = rank_zero_only.rank == 0  # type: ignore[attr-defined]  # of the processes of a run on several devices
    if is_first:
        _make_cache(cache, options)
    fabric = start_fabric(options.accelerator, devices, options.nodes, options.precision)
    songs = _share_songs(fabric, cache, options)
    state |= {"recipe": asdict(recipe), "cache": str(cache), **_describe_origin(cache), "steps": steps, "seed": seed}
    if fabric.is_global_zero:
        write_atomically(folder / "run.json", json.dumps(state, indent=1))
    objective: Objective = kind(fabric, recipe, songs, steps, seed)
    if options.resume:
        checkpoint.restore_tensors(tensors, objective.modules, objective.optimizers)
        objective.restore_state(checkpoint.select_tensors(tensors, STATE))
    else:
        objective.begin()
    share_weights(fabric, objective.modules.values())
    try:
        TrainingRun(objective, fabric, folder, steps, state).run(options.every)
    except TrainingStopped:
        if fabric.is_global_zero:
            raise
        return  # the first says it, and an error of another would have the first killed
    if fabric.is_global_zero:
        made = f"houseband export {folder} -o {name}.onnx"
        click.echo(f"done: {folder / 'losses.png'}; export it with: {made}", err=True)


def _begin_run(folder: Path, technique: str) -> dict[str, Any]:
    """Return the state of a new run. Raises UserError where the folder holds one."""
    if os.path.lexists(folder / "checkpoint"):
        raise UserError(f"{folder} holds a run already; go on with --resume or name another folder")
    return {"technique": technique, "step": 0}


def _check_folder(folder: Path) -> None:
    """Make a run's folder. Raises UserError for one that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be a run's folder ({error.strerror}); name another with -o") from None
    check_writable(folder / "run.json")


def _check_music(cache: Path, options: RunOptions) -> None:
    """Raise DataError when there is neither a cache nor a folder of songs to make it of."""
    if cache.exists() or options.data_folder is not None:
        return
    if options.resume:
        raise DataError(
            f"the music that the run learns from is gone: there is no {cache}; "
            "name the file with --cache, or make it again from a folder of songs with --data"
        )
    raise DataError(f"no cache at {cache}: name a folder of MIDI files with --data")


def _make_cache(cache: Path, options: RunOptions) -> None:
    """Make the cache of a run where it is missing. Raises DataError."""
    if cache.exists() or options.data_folder is None:
        return
    from models.data import preparation

    click.echo(f"reading {options.data_folder} (once; kept in {cache})", err=True)
    made = preparation.prepare(options.data_folder, cache, options.collections or None)
    _print_preparation(made, to_stderr=True)


def _share_songs(fabric: Fabric, cache: Path, options: RunOptions) -> list[CachedSong]:
    """Return the songs of a cache; on a machine that has no such file, its first process makes it. Raises DataError."""
    if fabric.world_size > 1:
        fabric.barrier()
        if fabric.local_rank == 0:
            _make_cache(cache, options)
        fabric.barrier()
    songs = song_cache.load(cache)
    if not any(song.split == "train" for song in songs):
        raise DataError(f"{cache}: no song in the train split")
    return songs


def _load_objective(name: str) -> Any:
    """Return the class of a technique's objective."""
    module, _, kind = TECHNIQUES[name].objective.partition(":")
    return getattr(importlib.import_module(module), kind)


def _load_run(folder: Path, technique: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and state of a technique's run. Raises UserError."""
    tensors, state = checkpoint.load(folder / "checkpoint")
    if state["technique"] != technique:
        raise UserError(f"{folder} holds a run of the {state['technique']}, not of the {technique}")
    state.pop("extras", None)  # of its end, which is another now
    return tensors, state


def _describe_origin(cache: Path) -> dict[str, Any]:
    """Return what tells where a run comes from."""
    return {
        "data_hash": song_cache.hash_file(cache),
        "commit": checkpoint.find_commit(),
        "version": checkpoint.find_version(),
        "torch": torch.__version__,
        "command": shlex.join(["houseband", *sys.argv[1:]]),
    }


def _parse_setting(text: str) -> tuple[str, Any]:
    """Return key and value of KEY=VALUE; the value as JSON, or as text where it is none. Raises UserError."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: not KEY=VALUE")
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):
        return key, value  # a name or a path
