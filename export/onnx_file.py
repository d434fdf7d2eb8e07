"""From a torch module to one .onnx file that holds everything, signature and provenance included."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from torch import nn

from export import check
from music import signature
from music.files import write_atomically
from music.signature import Signature


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
    for key, value in {signature.METADATA_KEY: made.to_json(), **(parts or {})}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    model.producer_name = "houseband"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, model.SerializeToString())
    return model
