"""An exported graph as the checkpoint it came from, so that it can be exported again with another harmonist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from models import checkpoint
from models.checkpoint import CheckpointError
from models.gan import objective as gan_training
from models.gan.network import Generator
from models.transformer import objective as transformer_training
from models.transformer.network import Transformer
from music import signature
from music.signature import SignatureError

#: technique -> what the graph calls the model, and a fresh one of a recipe
_MODELS: dict[str, tuple[str, Callable[[dict[str, Any]], nn.Module]]] = {
    "gan": ("generator", lambda recipe: Generator(gan_training.recipe_from(recipe).model)),
    "transformer": ("", lambda recipe: Transformer(transformer_training.recipe_from(recipe).model)),
}
#: Weights that a graph lacks: gains are folded into the weights after them, and 1 here.
_FOLDED = ("norm.gain_pitched", "norm.gain_plain")


def load(source: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state of a run's folder, or of an exported .onnx; of that the averaged model only. Raises
    CheckpointError."""
    if source.suffix != ".onnx":
        return checkpoint.load(source / "checkpoint")
    try:
        metadata = {e.key: e.value for e in onnx.load(source, load_external_data=False).metadata_props}
        told = signature.read_signature(metadata)
    except (OSError, DecodeError, SignatureError) as error:
        raise CheckpointError(f"{source}: no graph to export again ({error})") from None
    if told.technique not in _MODELS or "recipe" not in told.provenance:
        raise CheckpointError(f"{source}: a graph of the {told.technique} has no harmonist; export its run instead")
    name, make = _MODELS[told.technique]
    model = make(told.provenance["recipe"])
    weights = checkpoint.learnt(source, name)
    lacking = [
        key
        for key, weight in model.state_dict().items()
        if weight.numel() and not key.endswith(_FOLDED) and (key not in weights or weights[key].shape != weight.shape)
    ]
    if lacking:
        raise CheckpointError(f"{source}: does not fit this program, it lacks {lacking[0]}")
    checkpoint.take(model, weights)
    tensors = {f"average.{key}": weight for key, weight in model.state_dict().items()}
    return tensors, {**told.provenance, "technique": told.technique, "extras": told.settings}
