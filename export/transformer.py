"""The transformer's graphs: four parts in one file, each a session of its own.

hand      the layers over steps, with rings of keys and values that are input and output at once
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
from onnxscript import opset18
from torch import Tensor, nn
from torch.nn import functional

from export import check, onnx_file
from export.harmonist import HarmonyGraph, HindsightGraph
from export.onnx_file import ExportModule
from export.techniques import Exporter
from models import checkpoint
from models.recipe import read_recipe
from models.transformer.network import (
    HALF_HEAD,
    NORM_FLOOR,
    PERIOD_STEPS,
    TRANSFORMER_STYLES,
    WINDOWS_STEPS,
    HandDecoder,
    Layer,
    Norm,
    NoteWriter,
    Transformer,
    compute_rotation,
)
from models.transformer.objective import TransformerRecipe
from music.encoding import step_features, step_tokens
from music.signature import PART_KEY, Signature

#: steps that a layer's rings hold: those that it looks back over, and what is written ahead or together
RING_STEPS = (64, 320, 64, 64)
#: matrices of at least so many numbers become int8
INT8_NUMBERS = 20_000
#: parts whose big matrices become int8
INT8_PARTS = ("hand", "writer")

_HEAD = 2 * HALF_HEAD
_FEATURES = step_features.FEATURE_COUNT + step_features.PULSE_FEATURES
_LAYERS = range(len(WINDOWS_STEPS))
#: inputs of the hand: which slots each layer hears, and its rings
MASKS = tuple(f"mask_{i}" for i in _LAYERS)
RINGS = tuple(f"{what}_{i}" for i in _LAYERS for what in ("keys", "values"))
#: what stands in a mask where a slot is not heard; 0 where it is
UNHEARD = -1e9


@torch.library.custom_op("houseband::scatter_rows", mutates_args=())
def scatter_rows(ring: Tensor, places: Tensor, rows: Tensor) -> Tensor:
    """Return a ring (heads, slots, n) with rows (T, heads, n) at places (T, heads, 2): head and slot.

    As an operation of its own it is one ScatterND. torch's own indexing is exported with transpositions and expansions
    around it, which copy the ring.
    """
    made = ring.clone()
    made[places[..., 0], places[..., 1]] = rows
    return made


@scatter_rows.register_fake
def _scatter_rows_like(ring: Tensor, _places: Tensor, _rows: Tensor) -> Tensor:
    return torch.empty_like(ring)


def _translate_scatter_rows(ring: Any, places: Any, rows: Any) -> Any:
    return opset18.ScatterND(ring, places, rows)


class HandGraph(ExportModule):
    """Puts T steps into the rings, and gives what the last of them says of the next step.

    features: (1, T, FEATURE_COUNT + PULSE_FEATURES); style: (1, styles); position: (T,), modulo PERIOD_STEPS; step:
    (T,), modulo every ring's size its slot there; mask_i: (T, RING_STEPS[i]), 0 where a layer hears a slot, else
    UNHEARD; keys_i and values_i: (heads, RING_STEPS[i], 32), a layer's rings. Gives what the writer begins with
    (memory, condition), loudness (1, ROLES), tune (1, MELODY_CHOICES) and the rings.

    This is `HandDecoder.forward` in few operations: at a single step they cost more than their products do.
    """

    inputs = ("features", "style", "position", "step", *MASKS, *RINGS)
    outputs = ("memory", "condition", "loudness", "tune", *(f"{name}_out" for name in RINGS))
    head_numbers: Tensor

    def __init__(self, hand: HandDecoder, writer: NoteWriter) -> None:
        super().__init__()
        self.hand, self.writer = hand.requires_grad_(False).eval(), writer.requires_grad_(False).eval()
        self.heads = hand.read.out_features // _HEAD
        self.register_buffer("head_numbers", torch.arange(self.heads)[None, :, None], persistent=False)

    def forward(self, features: Tensor, style: Tensor, position: Tensor, step: Tensor, *rest: Tensor) -> Any:
        layers = [cast(Layer, module) for module in self.hand.layers]
        masks, rings, kept = rest[: len(layers)], rest[len(layers) :], []
        cos, sin = compute_rotation(position, layers[0].harmonics)
        turn = torch.cat([cos, cos], 2), torch.cat([-sin, sin], 2)  # (T, 1, 32) each
        places = {size: self._find_places(step, size) for size in sorted(set(RING_STEPS))}
        state = self.hand.embed(features, style)[0]
        for i, (layer, mask) in enumerate(zip(layers, masks, strict=True)):
            query, key, value = self._project(layer, state, turn)
            keys, values = (
                scatter_rows(ring, places[RING_STEPS[i]], rows)
                for ring, rows in zip(rings[2 * i : 2 * i + 2], (key, value), strict=True)
            )
            kept += [keys, values]
            heard = (query.transpose(0, 1) @ keys.transpose(1, 2) + mask).softmax(2) @ values  # (heads, T, 32)
            state = state + layer.give(heard.transpose(0, 1).flatten(1))
            y = _normalise(state, layer.norm_inside)
            state = state + layer.down(functional.silu(layer.gate(y)) * layer.up(y))
        state = _normalise(state[-1:], self.hand.norm)
        return *self.writer.start(state), self.hand.loud(state), self.hand.tune(state), *kept

    def _find_places(self, step: Tensor, size: int) -> Tensor:
        """Return head and slot of every row of steps (T,) in a ring: (T, heads, 2)."""
        count = step.shape[0]
        slots = (step % size)[:, None, None].expand(-1, self.heads, -1)
        return torch.cat([self.head_numbers.expand(count, -1, -1), slots], 2)

    def _project(self, layer: Layer, state: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of states (T, width), (T, heads, 32) each, rotated and the queries scaled."""
        weight = torch.cat([layer.ask.weight * _HEAD**-0.5, layer.look.weight, layer.carry.weight])
        made = functional.linear(_normalise(state, layer.norm), weight)
        both, value = made.unflatten(1, (-1, _HEAD)).split([2 * self.heads, self.heads], 1)
        a, b = both.chunk(2, 2)
        query, key = (both * turn[0] + torch.cat([b, a], 2) * turn[1]).chunk(2, 1)
        return query, key, value

    def example(self, count: int = 3) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes, `count` steps."""
        make = torch.Generator().manual_seed(0)
        rings = [torch.randn(self.heads, size, _HEAD, generator=make) for size in RING_STEPS for _ in "kv"]
        heard = [torch.rand(count, size, generator=make) < 0.5 for size in RING_STEPS]
        return (
            (torch.rand(1, count, _FEATURES, generator=make) < 0.1).float(),
            torch.eye(len(TRANSFORMER_STYLES))[:1],
            torch.arange(count) + 7,
            torch.arange(count),
            *(torch.where(each, 0.0, UNHEARD) for each in heard),
            *rings,
        )

    def dynamic(self) -> dict[str, Any]:
        """Return which sizes vary: T."""
        count = {0: torch.export.Dim("steps", min=1, max=min(RING_STEPS))}
        rest = (*(count for _ in MASKS), *(None for _ in RINGS))
        return {"features": {1: count[0]}, "style": None, "position": count, "step": count, "rest": rest}

    def list_translations(self) -> dict[Any, Any]:
        return {torch.ops.houseband.scatter_rows.default: _translate_scatter_rows}


def _normalise(x: Tensor, norm: nn.Module) -> Tensor:
    """Return what a Norm does, written as onnxruntime knows it and makes one operation of it."""
    assert isinstance(norm, Norm)
    made: Tensor = x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + NORM_FLOOR) * norm.gain
    return made


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
