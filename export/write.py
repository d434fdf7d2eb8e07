"""`houseband export`: a run's checkpoint -> one .onnx file that holds everything, signature and provenance included."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import onnx
import torch
from torch import nn

from export import check
from export.adapters import ArcnnGraph, GanGraph
from models import arcnn, arcnn_training, checkpoint
from models.arcnn import Arcnn
from models.checkpoint import CheckpointError
from models.gan import Generator
from models.gan_training import recipe_from
from models.streams import STYLES
from models.train import Usage
from music import signature
from music.signature import Signature


def gan_graph(tensors: dict[str, Any], state: dict[str, Any]) -> tuple[nn.Module, Signature]:
    """The averaged generator of a checkpoint as a graph, with its signature. Raises CheckpointError."""
    provenance = _provenance(state)
    generator = Generator(recipe_from(state["recipe"]).model)
    generator.load_state_dict(_averaged(tensors))
    graph = GanGraph(generator)
    settings = {"grooves": state["extras"]["grooves"], "velocity_std": state["extras"]["velocity_std"]}
    return graph, Signature("gan", {}, {}, STYLES, settings, provenance)


def arcnn_graph(tensors: dict[str, Any], state: dict[str, Any]) -> tuple[nn.Module, Signature]:
    """The averaged AR-CNN of a checkpoint as a graph, with its signature. Raises CheckpointError."""
    provenance = _provenance(state)
    recipe = arcnn_training.recipe_from(state["recipe"])
    net = Arcnn(recipe.model)
    net.load_state_dict(_averaged(tensors))
    settings = {"calibrated": recipe.calibrated}
    return ArcnnGraph(net, recipe.calibrated), Signature("arcnn", {}, {}, tuple(arcnn.STYLES), settings, provenance)


#: technique -> what makes a graph of its checkpoint
GRAPHS: dict[str, Callable[[dict[str, Any], dict[str, Any]], tuple[nn.Module, Signature]]] = {
    "gan": gan_graph,
    "arcnn": arcnn_graph,
}


def _provenance(state: dict[str, Any]) -> dict[str, Any]:
    if "extras" not in state:
        raise CheckpointError("the run has not come to its end; finish it with --resume")
    return {k: state[k] for k in ("commit", "command", "data_hash", "recipe", "step", "torch")}


def _averaged(tensors: dict[str, Any]) -> dict[str, Any]:
    return {k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")}


def write(graph: nn.Module, made: Signature, target: Path) -> onnx.ModelProto:
    """Export `graph` (with example(), inputs, outputs) to `target`, signature inside; nothing half-written is left."""
    return store(export(graph), made, target)


def export(graph: nn.Module) -> onnx.ModelProto:
    """A module with example(), inputs, outputs and, where sizes vary, dynamic() as an ONNX model."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            graph.example(),  # type: ignore[operator]
            input_names=list(graph.inputs),  # type: ignore[arg-type]
            output_names=list(graph.outputs),  # type: ignore[arg-type]
            dynamic_shapes=graph.dynamic() if hasattr(graph, "dynamic") else None,  # type: ignore[operator]
            opset_version=18,
            dynamo=True,
            optimize=False,  # folding the weights here would make the file eight times as large
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model


def strip(model: onnx.ModelProto) -> None:
    """Take out where in the Python code things came from: it is of no use to a player."""
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""


def store(
    model: onnx.ModelProto, made: Signature, target: Path, parts: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """Put the signature, with the shapes as they are, and further parts (key -> text) into a model and write it."""
    made = replace(made, inputs=check.shapes(model.graph.input), outputs=check.shapes(model.graph.output))
    strip(model)
    for key, value in {signature.KEY: made.to_json(), **(parts or {})}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    model.producer_name = "houseband"
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    onnx.save(model, temporary)
    temporary.replace(target)
    return model


@click.command(name="export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The .onnx file to write.")
@click.option("--report", type=click.Path(path_type=Path), help="Also write the report as JSON.")
def command(run: Path, out: Path, report: Path | None) -> None:
    """Export a finished training run to a graph that the daemon plays (needs the `train` extra).

    Checks the file with the ONNX checker, compares it with torch, measures it on one core, and says so.
    """
    try:
        tensors, state = checkpoint.load(run / "checkpoint")
        if state.get("technique") == "transformer":
            _tell(_write_transformer(tensors, state, out), report)
            return
        make = GRAPHS.get(str(state.get("technique")))
        if make is None:
            raise CheckpointError(f"{run}: no exporter for the technique {state.get('technique')!r}")
        graph, made = make(tensors, state)
    except CheckpointError as error:
        raise Usage(str(error)) from None
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
        report.write_text(json.dumps(figures, indent=1))
    if figures["worst difference to torch"] > 1e-3:
        raise click.ClickException("the graph does not compute what torch computes")
