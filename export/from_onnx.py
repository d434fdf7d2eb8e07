"""Exported graphs as weights to train on with, or as the checkpoint they came from, to be exported again.

In a graph norms have been folded into the weights after them, which is the same network with every gain 1, and big
matrices may be int8 with a scale for every row.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from export.onnx_file import read_metadata
from export.techniques import find_exporter
from models import checkpoint
from models.checkpoint import CheckpointError
from music import signature
from music.errors import describe_error
from music.signature import PART_KEY, Signature, format_line

#: weights that a graph lacks: gains are folded into the weights after them, and 1 here
_FOLDED = ("norm.gain_pitched", "norm.gain_plain")
#: weights that graphs from before they were thought of lack; without training they are 0 and do nothing
_ADDED = ("bass_intervals.tell.weight", "bass_intervals.tell.bias")
_INT8_SUFFIX, _SCALE_SUFFIX = ".int8", ".scale"


def read_weights(source: Path, name: str = "") -> dict[str, Tensor]:
    """Return the weights under `name.` in a graph and the graphs it carries; all of them without a name.

    What `models.checkpoint.read_average` is for the folder of a run. Raises CheckpointError.
    """
    with _reporting_damage(source, "no graph to begin with"):
        graph = _read_graph(source)
        told = _read_signature(graph)
        hidden = [base64.b64decode(v) for key, v in read_metadata(graph).items() if key.startswith(f"{PART_KEY}.")]
        graphs = [graph, *(onnx.load_from_string(content) for content in hidden)]
        tensors = [each for g in graphs for each in g.graph.initializer]
        if any(each.data_location == onnx.TensorProto.EXTERNAL for each in tensors):
            raise CheckpointError(f"{source}: it keeps weights in another file; export it as one file")
        found = {each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in tensors}
        for rounded in [key for key in found if key.endswith(_INT8_SUFFIX)]:
            plain = rounded.removesuffix(_INT8_SUFFIX)
            found[plain] = found.pop(rounded).float() * found.pop(f"{plain}{_SCALE_SUFFIX}")
        found |= find_exporter(told.technique, source).read_settings(told.settings)
    return checkpoint.select_tensors(found, name) if name else found


def load(source: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and state of the checkpoint a graph came from; of the tensors the averaged network's only.

    Raises CheckpointError.
    """
    with _reporting_damage(source, "no graph to export again"):
        told = _read_signature(_read_graph(source))
        exporter = find_exporter(told.technique, source)
        if exporter.weights_name is None or "recipe" not in told.provenance:
            raise CheckpointError(f"{source}: a graph of the {told.technique} has no harmonist; export its run instead")
        network = exporter.build_network(told.provenance["recipe"])
        weights = read_weights(source, exporter.weights_name)
        lacking = [
            key
            for key, weight in network.state_dict().items()
            if weight.numel() and not key.endswith(_FOLDED + _ADDED) and not _has_weight(weights, key, weight)
        ]
        if lacking:
            raise CheckpointError(f"{source}: does not fit this program, it lacks {lacking[0]}")
        checkpoint.load_fitting(network, weights)
    tensors = {f"average.{key}": weight for key, weight in network.state_dict().items()}
    return tensors, {**told.provenance, "technique": told.technique, "extras": told.settings}


def _has_weight(weights: dict[str, Tensor], key: str, like: Tensor) -> bool:
    return key in weights and weights[key].shape == like.shape


@contextlib.contextmanager
def _reporting_damage(source: Path, what: str) -> Iterator[None]:
    """Turn whatever a damaged graph makes fail into a CheckpointError that names it."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # noqa: BLE001 - protocol buffers, numpy, torch and the recipe have errors of their own
        raise CheckpointError(f"{source}: {what} ({format_line(describe_error(error))})") from None


def _read_graph(source: Path) -> onnx.ModelProto:
    """Return a graph without what it says lies in other files."""
    return onnx.load(source, load_external_data=False)


def _read_signature(graph: onnx.ModelProto) -> Signature:
    return signature.read_signature(read_metadata(graph))
