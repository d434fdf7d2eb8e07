"""`houseband export`: a run's checkpoint -> one .onnx file that holds everything, signature and provenance included."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from torch import nn

from export import check, from_onnx
from export.gan import ArcnnGraph, GanGraph
from export.onnx_file import write
from models import checkpoint
from models.arcnn import network as arcnn
from models.arcnn import objective as arcnn_training
from models.arcnn.network import Arcnn
from models.checkpoint import CheckpointError
from models.gan.dataset import GAN_STYLES
from models.gan.network import Generator
from models.gan.objective import recipe_from
from music.errors import HousebandError
from music.files import write_atomically
from music.signature import Signature


def gan_graph(tensors: dict[str, Any], state: dict[str, Any]) -> tuple[nn.Module, Signature]:
    """The averaged generator of a checkpoint as a graph, with its signature. Raises CheckpointError."""
    provenance = _provenance(state)
    generator = Generator(recipe_from(state["recipe"]).model)
    generator.load_state_dict(checkpoint.part(tensors, "average"))
    graph = GanGraph(generator)
    settings = {key: state["extras"][key] for key in ("grooves", "habits", "velocity_std")}
    return graph, Signature("gan", {}, {}, GAN_STYLES, settings, provenance)


def arcnn_graph(tensors: dict[str, Any], state: dict[str, Any]) -> tuple[nn.Module, Signature]:
    """The averaged AR-CNN of a checkpoint as a graph, with its signature. Raises CheckpointError."""
    provenance = _provenance(state)
    recipe = arcnn_training.recipe_from(state["recipe"])
    net = Arcnn(recipe.model)
    net.load_state_dict(checkpoint.part(tensors, "average"))
    settings = {"calibrated": recipe.calibrated}
    return ArcnnGraph(net, recipe.calibrated), Signature("arcnn", {}, {}, arcnn.ARCNN_STYLES, settings, provenance)


#: technique -> what makes a graph of its checkpoint
GRAPHS: dict[str, Callable[[dict[str, Any], dict[str, Any]], tuple[nn.Module, Signature]]] = {
    "gan": gan_graph,
    "arcnn": arcnn_graph,
}


def put_in(run: Path, tensors: dict[str, Any], state: dict[str, Any]) -> None:
    """Another run's harmonist in the place of a checkpoint's own. Raises CheckpointError."""
    other, of = checkpoint.load(run / "checkpoint")
    if of.get("technique") != "harmonist":
        raise CheckpointError(f"{run} holds a run of the {of.get('technique')}, not of the harmonist")
    theirs = {f"average.harmonist.{k}": v for k, v in checkpoint.part(other, "average").items()}
    own = {k: v for k, v in tensors.items() if k.startswith("average.harmonist.")}
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in theirs.items()}:
        raise CheckpointError(f"the harmonist of {run} is of another size than the run's own")
    tensors |= theirs
    state["harmonist"] = {k: of[k] for k in ("commit", "command", "data_hash", "step")}


def _provenance(state: dict[str, Any]) -> dict[str, Any]:
    if "extras" not in state:
        raise CheckpointError("the run has not come to its end; finish it with --resume")
    kept = ("commit", "command", "data_hash", "recipe", "step", "torch", "harmonist")
    return {k: state[k] for k in kept if k in state}


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
    tensors, state = from_onnx.load(run)
    if harmonist is not None:
        put_in(harmonist, tensors, state)
    if state.get("technique") == "transformer":
        _tell(_write_transformer(tensors, state, out), report)
        return
    make = GRAPHS.get(str(state.get("technique")))
    if make is None:
        raise CheckpointError(f"{run}: no exporter for the technique {state.get('technique')!r}")
    graph, made = make(tensors, state)
    write(graph, made, out)
    _tell(check.report(graph, out), report)


def _write_transformer(tensors: dict[str, Any], state: dict[str, Any], out: Path) -> dict[str, Any]:
    from export import transformer

    parts, made = transformer.graphs(tensors, state, _provenance(state))
    transformer.write(parts, made, out)
    return transformer.report(parts, out)


def _tell(figures: dict[str, Any], report: Path | None) -> None:
    for name, value in figures.items():
        click.echo(f"{name:>28}  {value}")
    if report:
        write_atomically(report, json.dumps(figures, indent=1))
    if figures["worst difference to torch"] > 1e-3:
        raise HousebandError("the graph does not compute what torch computes")
