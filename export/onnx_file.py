"""From a torch module to one .onnx file that holds everything, signature and provenance included."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from models.checkpoint import CheckpointError
from music import signature
from music.files import write_atomically
from music.signature import Shapes, Signature


class ExportModule(nn.Module):
    """A torch module that becomes a graph, with the names and shapes that the player binds."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes, for tracing and for checks; always the same."""
        raise NotImplementedError

    def dynamic(self) -> dict[str, Any] | None:
        """Return which sizes vary, as torch.onnx wants it; None for none."""
        return None

    def list_translations(self) -> dict[Any, Any] | None:
        """Return how operations that torch does not know become ONNX's, as torch.onnx wants it; None for none."""
        return None


def write(graph: ExportModule, made: Signature, target: Path) -> onnx.ModelProto:
    """Export a module to `target`, with its signature inside; nothing half-written is left."""
    return store(export(graph), made, target)


#: what has been traced within `trace_once`: kind of a module, with names and shapes of its weights -> its model
_traced: dict[object, onnx.ModelProto] | None = None


@contextmanager
def trace_once() -> Iterator[None]:
    """Trace only the first of modules that differ in nothing but their weights, for tracing takes most of an export.

    The others get its model with their own weights. Whether that computes what torch computes, `check` tells.
    """
    global _traced  # noqa: PLW0603  # exporters call `export` for each of their graphs, and none of them has to know
    _traced = {}
    try:
        yield
    finally:
        _traced = None


def export(graph: ExportModule) -> onnx.ModelProto:
    """Return a module as an ONNX model."""
    if _traced is None:
        return _trace(graph)
    weights = {name: value.detach() for name, value in (*graph.named_parameters(), *graph.named_buffers())}
    key = type(graph), tuple((name, value.shape, value.dtype) for name, value in weights.items())
    if key not in _traced:
        _traced[key] = _trace(graph)
    model = onnx.ModelProto()
    model.CopyFrom(_traced[key])
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name].cpu().numpy(), tensor.name))
    return model


def _trace(graph: ExportModule) -> onnx.ModelProto:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            graph.example(),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=graph.dynamic(),
            opset_version=18,
            dynamo=True,
            optimize=False,  # folding the weights here would make the file eight times as large
            verbose=False,
            custom_translation_table=graph.list_translations(),
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    replace_sequences(model)
    return model


def replace_sequences(model: onnx.ModelProto) -> None:
    """Put a Split in the place of a sequence that is split off a tensor and taken apart again.

    torch exports `chunk` as such a sequence, and each of its parts is copied twice.
    """
    values = {weight.name: onnx.numpy_helper.to_array(weight) for weight in model.graph.initializer}
    values |= {
        node.output[0]: onnx.numpy_helper.to_array(node.attribute[0].t)
        for node in model.graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    taken: dict[str, dict[int, str]] = {}
    for node in model.graph.node:
        if node.op_type == "SequenceAt":
            taken.setdefault(node.input[0], {})[int(values[node.input[1]])] = node.output[0]
    nodes = []
    for node in model.graph.node:
        if node.op_type == "SplitToSequence":
            parts = taken[node.output[0]]
            assert sorted(parts) == list(range(len(parts)))  # all are taken, or the sizes would be others
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            outputs = [parts[i] for i in range(len(parts))]
            even = values[node.input[1]].ndim == 0
            how: dict[str, Any] = {"num_outputs": len(parts)} if even else {}
            nodes.append(onnx.helper.make_node("Split", node.input[: 1 if even else 2], outputs, axis=axis, **how))
        elif node.op_type != "SequenceAt":
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def strip(model: onnx.ModelProto) -> None:
    """Take out where in the Python code things came from: it is of no use to a player."""
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""


def store(
    model: onnx.ModelProto, made: Signature, target: Path, parts: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """Put a signature, with the shapes as they are, and further parts (key -> text) into a model, and write it."""
    made = replace(made, inputs=_list_shapes(model.graph.input), outputs=_list_shapes(model.graph.output))
    strip(model)
    for key, value in {signature.METADATA_KEY: made.to_json(), **(parts or {})}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    model.producer_name = "houseband"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, model.SerializeToString())
    return model


def read_metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Return the texts that a model carries, by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def select_provenance(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a graph says of the run it comes from. Raises CheckpointError for a run that is not over."""
    if "extras" not in state:
        raise CheckpointError("the run has not come to its end; finish it with --resume")
    kept = ("commit", "version", "command", "data_hash", "recipe", "step", "torch", "harmonist")
    return {key: state[key] for key in kept if key in state}


def select_extras(state: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Return what the end of a run has told beside the weights. Raises CheckpointError where it lacks something."""
    extras = state.get("extras")
    if not isinstance(extras, dict) or not set(keys) <= set(extras):
        raise CheckpointError(f"the checkpoint lacks {', '.join(keys)}; finish the run with --resume")
    return {key: extras[key] for key in keys}


def _list_shapes(values: Any) -> Shapes:
    """Return the shapes of a graph's inputs or outputs by name; a size that varies is a name."""
    return {v.name: tuple(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}
