"""The transformer's graphs: four parts in one file, each a session of its own.

hand      the layers over steps, with a ring of keys and values that is input and output at once
writer    one token of a step
harmony   the chords of the next beats at one now-line
hindsight the same at every now-line of a stretch, for a player that comes in in the middle

The hand is the graph of the file; the others travel in its metadata (`music.signature.PART_KEY`), so that no sidecar
can be lost. Big matrices are int8 with a scale for every row, unfolded when a session is opened: what is computed is
fp32, so that a step gives the same whether it was fed alone or with others.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from export import check, onnx_file
from export.harmonist import HarmonyGraph, HindsightGraph
from export.onnx_file import ExportModule
from export.techniques import Exporter
from models import checkpoint
from models.recipe import read_recipe
from models.transformer.network import (
    PERIOD_STEPS,
    TRANSFORMER_STYLES,
    WINDOWS_STEPS,
    HandDecoder,
    Layer,
    NoteWriter,
    Transformer,
)
from models.transformer.objective import TransformerRecipe
from music.encoding import step_features, step_tokens
from music.signature import PART_KEY, Signature

#: steps that the ring holds: those that a state depends on, and what may be written ahead
RING_STEPS = 320
#: matrices of at least so many numbers become int8
INT8_NUMBERS = 20_000
#: parts whose big matrices become int8
INT8_PARTS = ("hand", "writer")


class HandGraph(ExportModule):
    """Puts T steps into the ring, and gives what the last of them says of the next step.

    features: (1, T, FEATURE_COUNT); style: (1, styles); position: (T,), modulo PERIOD_STEPS; slots: (T,), of the ring;
    seen: (layers, T, RING_STEPS), True where a slot is heard; ring_i: (RING_STEPS, 2 * width), keys and values of a
    layer. Gives what the writer begins with (memory, condition), loudness (1, ROLES), tune (1, MELODY_CHOICES) and the
    rings.
    """

    inputs = ("features", "style", "position", "slots", "seen", *(f"ring_{i}" for i in range(len(WINDOWS_STEPS))))
    outputs = ("memory", "condition", "loudness", "tune", *(f"ring_{i}_out" for i in range(len(WINDOWS_STEPS))))

    def __init__(self, hand: HandDecoder, writer: NoteWriter) -> None:
        super().__init__()
        self.hand, self.writer = hand.requires_grad_(False).eval(), writer.requires_grad_(False).eval()
        self.width = hand.read.out_features

    def forward(  # torch.onnx names inputs by position
        self,
        features: Tensor,
        style: Tensor,
        position: Tensor,
        slots: Tensor,
        seen: Tensor,
        ring_0: Tensor,
        ring_1: Tensor,
        ring_2: Tensor,
        ring_3: Tensor,
    ) -> tuple[Tensor, ...]:
        state, kept = self.hand.embed(features, style), []
        rings = (ring_0, ring_1, ring_2, ring_3)
        for i, (module, before) in enumerate(zip(self.hand.layers, rings, strict=True)):
            layer = cast(Layer, module)
            query, key, value = layer.project(state, position)
            rows = torch.cat([key.flatten(-2), value.flatten(-2)], -1)[0]  # (T, 2 * width)
            ring = before.index_put((slots,), rows)
            kept.append(ring)
            k, v = (r.unflatten(-1, (layer.heads, -1)).unsqueeze(0) for r in ring.chunk(2, -1))
            state = layer.finish(state, query, k, v, seen[i])
        state = self.hand.norm(state[:, -1])
        memory, condition = self.writer.start(state)
        return memory, condition, self.hand.loud(state), self.hand.tune(state), *kept

    def example(self, count: int = 3) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes, `count` steps."""
        make = torch.Generator().manual_seed(0)
        rings = (torch.randn(RING_STEPS, 2 * self.width, generator=make) for _ in WINDOWS_STEPS)
        at = torch.arange(count)
        return (
            (torch.rand(1, count, step_features.FEATURE_COUNT, generator=make) < 0.1).float(),
            torch.eye(len(TRANSFORMER_STYLES))[:1],
            at + 7,
            at,
            torch.rand(len(WINDOWS_STEPS), count, RING_STEPS, generator=make) < 0.5,
            *rings,
        )

    def dynamic(self) -> dict[str, Any]:
        """Return which sizes vary: T."""
        count = torch.export.Dim("steps", min=1, max=RING_STEPS)
        varying = {"features": {1: count}, "style": None, "position": {0: count}, "slots": {0: count}}
        return {**varying, "seen": {1: count}, **{f"ring_{i}": None for i in range(len(WINDOWS_STEPS))}}


class WriterGraph(ExportModule):
    """One token of a step: memory (1, width), condition (1, 3 * width), token (1,): WRITER_TOKENS for the first."""

    inputs = ("memory", "condition", "token")
    outputs = ("logits", "memory_out")

    def __init__(self, writer: NoteWriter) -> None:
        super().__init__()
        self.writer = writer.requires_grad_(False).eval()

    def forward(self, memory: Tensor, condition: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        after = self.writer.step(memory, self.writer.hear(self.writer.token(token)) + condition)
        return self.writer.score(after), after

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes."""
        make, width = torch.Generator().manual_seed(0), self.writer.width
        return torch.randn(1, width, generator=make), torch.randn(1, 3 * width, generator=make), torch.tensor([5])


def build_transformer(recipe: Mapping[str, Any]) -> Transformer:
    """Return a fresh network of a recipe in JSON."""
    return Transformer(read_recipe(TransformerRecipe, recipe).model)


def build_parts(model: Transformer) -> dict[str, ExportModule]:
    """Return the graphs of a network, the hand first."""
    return {
        "hand": HandGraph(model.hand, model.writer),
        "writer": WriterGraph(model.writer),
        "harmony": HarmonyGraph(model.harmonist),
        "hindsight": HindsightGraph(model.harmonist),
    }


def write(tensors: Mapping[str, Tensor], state: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """Write the averaged network of a checkpoint, its big matrices rounded to int8; return figures about the file.

    Raises CheckpointError.
    """
    provenance = onnx_file.select_provenance(state)
    model = build_transformer(state["recipe"])
    checkpoint.load_whole(model, checkpoint.select_tensors(tensors, "average"))
    for module in (model.hand, model.writer):
        round_weights(module)
    parts = build_parts(model)
    settings = {
        "windows": list(WINDOWS_STEPS),
        "ring": RING_STEPS,
        "period": PERIOD_STEPS,
        "vocabulary": step_tokens.WRITER_TOKENS,
        **onnx_file.select_extras(state, "velocity_std"),
    }
    write_parts(parts, Signature("transformer", {}, {}, TRANSFORMER_STYLES, settings, provenance), target)
    return report(parts, target)


def write_parts(parts: Mapping[str, ExportModule], made: Signature, target: Path, *, rounded: bool = True) -> None:
    """Write all parts into one file; rounded: big matrices as int8, which the parts' weights must fit exactly."""
    models = {name: onnx_file.export(graph) for name, graph in parts.items()}
    hidden = {}
    for name, model in models.items():
        onnx_file.strip(model)
        if rounded and name in INT8_PARTS:
            store_rounded(model)
        if name != "hand":
            hidden[f"{PART_KEY}.{name}"] = base64.b64encode(model.SerializeToString()).decode()
    onnx_file.store(models["hand"], made, target, hidden)


def read_settings(settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights that a graph holds in its settings."""
    spread = settings.get("velocity_std")
    return {} if spread is None else {"hand.loud_log_std": torch.tensor(spread).log()}


# --- int8 -----------------------------------------------------------------------------------------------------------


def _round(full: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return a matrix as int8 (rows, columns) and fp32 scales (rows, 1)."""
    scale = (np.maximum(np.abs(full).max(1, keepdims=True), 1e-9) / 127).astype(np.float32)
    return np.rint(full / scale).astype(np.int8), scale


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Set every big matrix of a module to what it will be after int8."""
    for weight in module.parameters():
        if weight.ndim == 2 and weight.numel() >= INT8_NUMBERS:
            small, scale = _round(weight.numpy())
            weight.copy_(torch.from_numpy(small.astype(np.float32) * scale))


def store_rounded(model: onnx.ModelProto) -> None:
    """Store every big matrix as int8 with a scale for every row; Cast and Mul unfold it, once, when a session opens."""
    kept, nodes = [], []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or len(weight.dims) != 2 or np.prod(weight.dims) < INT8_NUMBERS:
            kept.append(weight)
            continue
        name, (small, scale) = weight.name, _round(numpy_helper.to_array(weight))
        kept += [numpy_helper.from_array(small, f"{name}.int8"), numpy_helper.from_array(scale, f"{name}.scale")]
        nodes.append(helper.make_node("Cast", [f"{name}.int8"], [f"{name}.cast"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    before = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *before])


# --- checking -------------------------------------------------------------------------------------------------------


def report(parts: Mapping[str, ExportModule], target: Path) -> dict[str, Any]:
    """Return what is to be said of a file: for every part its parity with torch, and milliseconds."""
    figures: dict[str, Any] = {"file": target.name, "megabytes": round(target.stat().st_size / 1e6, 2)}
    whole = onnx.load(target)
    onnx.checker.check_model(whole, full_check=True)
    hidden = onnx_file.read_metadata(whole)
    for name, graph in parts.items():
        key = f"{PART_KEY}.{name}"
        source: Path | bytes = base64.b64decode(hidden[key]) if key in hidden else target
        times = check.time_runs(source, check.make_inputs(graph))
        figures[f"{name}: worst difference to torch"] = check.measure_difference(graph, source)
        figures[f"{name}: ms, p50"] = round(float(times[len(times) // 2]), 3)
        figures[f"{name}: ms, p99"] = round(float(times[int(0.99 * len(times))]), 3)
    names = [f"{name}: worst difference to torch" for name in parts]
    return figures | {"worst difference to torch": max(figures[name] for name in names)}


EXPORTER = Exporter(write=write, build_network=build_transformer, weights_name="", read_settings=read_settings)
