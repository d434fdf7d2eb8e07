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
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from export import check
from export.onnx_file import export, store, strip
from models import checkpoint
from models.harmonist.network import agreement
from models.transformer.network import PERIOD, TRANSFORMER_STYLES, WINDOWS, HandDecoder, Layer, NoteWriter, Transformer
from models.transformer.objective import recipe_from
from music import signature
from music.encoding import melody_context, step_features, step_tokens
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT
from music.signature import Signature

#: steps that the ring holds: those that a state depends on, and what may be written ahead
RING = 320
#: matrices of at least so many numbers become int8
BIG = 20_000


class HandGraph(nn.Module):
    """T steps into the ring; what the last of them says of the next step.

    features (1, T, FEATURES), style (1, styles), position (T,) modulo PERIOD, slots (T,) of the ring, seen (layers, T,
    RING) True where a slot is heard, ring_i (RING, 2 * width) keys and values of a layer. Gives what the writer begins
    with (memory, condition), loudness (1, 4), tune (1, TUNE) and the rings.
    """

    inputs = ("features", "style", "position", "slots", "seen", *(f"ring_{i}" for i in range(len(WINDOWS))))
    outputs = ("memory", "condition", "loudness", "tune", *(f"ring_{i}_out" for i in range(len(WINDOWS))))

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
        state, kept = self.hand.enter(features, style), []
        rings = (ring_0, ring_1, ring_2, ring_3)
        for i, (module, before) in enumerate(zip(self.hand.layers, rings, strict=True)):
            layer = cast(Layer, module)
            query, key, value = layer.keys(state, position)
            rows = torch.cat([key.flatten(-2), value.flatten(-2)], -1)[0]  # (T, 2 * width)
            ring = before.index_put((slots,), rows)
            kept.append(ring)
            k, v = (r.unflatten(-1, (layer.heads, -1)).unsqueeze(0) for r in ring.chunk(2, -1))
            state = layer.finish(state, query, k, v, seen[i])
        state = self.hand.norm(state[:, -1])
        memory, condition = self.writer.start(state)
        return memory, condition, self.hand.loud(state), self.hand.tune(state), *kept

    def example(self, count: int = 3) -> tuple[Tensor, ...]:
        """Inputs of the right shapes, `count` steps."""
        make = torch.Generator().manual_seed(0)
        rings = (torch.randn(RING, 2 * self.width, generator=make) for _ in WINDOWS)
        at = torch.arange(count)
        return (
            (torch.rand(1, count, step_features.FEATURE_COUNT, generator=make) < 0.1).float(),
            torch.eye(len(TRANSFORMER_STYLES))[:1],
            at + 7,
            at,
            torch.rand(len(WINDOWS), count, RING, generator=make) < 0.5,
            *rings,
        )

    def dynamic(self) -> dict[str, Any]:
        """Which sizes vary: T."""
        count = torch.export.Dim("steps", min=1, max=RING)
        varying = {"features": {1: count}, "style": None, "position": {0: count}, "slots": {0: count}}
        return {**varying, "seen": {1: count}, **{f"ring_{i}": None for i in range(len(WINDOWS))}}


class WriterGraph(nn.Module):
    """One token of a step. memory (1, width), condition (1, 3 * width), token (1,): WRITER for the first."""

    inputs = ("memory", "condition", "token")
    outputs = ("logits", "memory_out")

    def __init__(self, writer: NoteWriter) -> None:
        super().__init__()
        self.writer = writer.requires_grad_(False).eval()

    def forward(self, memory: Tensor, condition: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        after = self.writer.step(memory, self.writer.hear(self.writer.token(token)) + condition)
        return self.writer.logits(after), after

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes."""
        make, width = torch.Generator().manual_seed(0), self.writer.width
        return torch.randn(1, width, generator=make), torch.randn(1, 3 * width, generator=make), torch.tensor([5])

    def dynamic(self) -> None:
        """No size varies."""
        return


class HarmonyGraph(nn.Module):
    """Chords at one now-line, see `music.encoding.melody_context`: melody (1, planes, 12, PAST + FUTURE), phase (1,
    PHASES), known (1,
    1). Gives the probability of every chord over the next beats (1, AHEAD, CHORDS), and its expected agreement."""

    inputs = ("melody", "phase", "known")
    outputs = ("chords", "agreement")

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.harmonist = model.harmonist.requires_grad_(False).eval()

    def forward(self, melody: Tensor, phase: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        told = self.harmonist.ahead(melody, phase, known)
        return told.softmax(2), agreement(told, known)

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes."""
        make = torch.Generator().manual_seed(0)
        size = (1, melody_context.MELODY_PLANES, PITCH_CLASSES, melody_context.PAST_STEPS + melody_context.FUTURE_STEPS)
        return (
            (torch.rand(size, generator=make) < 0.05).float(),
            torch.eye(STEPS_PER_BAR)[:1],
            torch.zeros(1, 1),
        )

    def dynamic(self) -> None:
        """No size varies."""
        return


class HindsightGraph(nn.Module):
    """Chords of their own beat at every patch of n: melody (1, planes, 12, 4 n), phase (1, PHASES, n), known (1, 1, n).
    Gives the expected agreement (n, CHORDS)."""

    inputs = ("melody", "phase", "known")
    outputs = ("agreement",)

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.harmonist = model.harmonist.requires_grad_(False).eval()

    def forward(self, melody: Tensor, phase: Tensor, known: Tensor) -> tuple[Tensor]:
        own = torch.arange(PATCHES, device=melody.device)[None]
        told = self.harmonist(melody, phase, own, known)[:, 0]  # (1, CHORDS, n)
        return (agreement(told.transpose(1, 2), known[:, 0])[0],)

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes, 128 patches."""
        make = torch.Generator().manual_seed(0)
        melody = torch.rand(1, melody_context.MELODY_PLANES, PITCH_CLASSES, 4 * PATCHES, generator=make) < 0.05
        phase = torch.eye(STEPS_PER_BAR)[torch.arange(PATCHES) * 4 % STEPS_PER_BAR].T[None].contiguous()
        return melody.float(), phase, torch.zeros(1, 1, PATCHES)

    def dynamic(self) -> None:
        """No size varies."""
        return


#: patches that hindsight hears: as many as the harmonist remembers, twice
PATCHES = 2 * melody_context.PAST_STEPS // STEPS_PER_BEAT


def graphs(
    tensors: dict[str, Tensor], state: dict[str, Any], provenance: dict[str, Any], rounded: bool = True
) -> tuple[dict[str, nn.Module], Signature]:
    """The parts of a checkpoint's averaged model, the hand first, and the signature; rounded: as int8 has them."""
    model = Transformer(recipe_from(state["recipe"]).model)
    model.load_state_dict(checkpoint.part(tensors, "average"))
    if rounded:
        for module in (model.hand, model.writer):
            round_weights(module)
    parts: dict[str, nn.Module] = {
        "hand": HandGraph(model.hand, model.writer),
        "writer": WriterGraph(model.writer),
        "harmony": HarmonyGraph(model),
        "hindsight": HindsightGraph(model),
    }
    settings = {
        "windows": list(WINDOWS),
        "ring": RING,
        "period": PERIOD,
        "vocabulary": step_tokens.WRITER,
        "velocity_std": state["extras"]["velocity_std"],
    }
    return parts, Signature("transformer", {}, {}, TRANSFORMER_STYLES, settings, provenance)


def write(parts: dict[str, nn.Module], made: Signature, target: Path, rounded: bool = True) -> None:
    """Export all parts into `target`; rounded: with int8 weights."""
    models = {name: export(graph) for name, graph in parts.items()}
    hidden = {}
    for name, model in models.items():
        strip(model)
        if rounded and name in ("hand", "writer"):
            store_rounded(model)
        if name != "hand":
            hidden[f"{signature.PART_KEY}.{name}"] = base64.b64encode(model.SerializeToString()).decode()
    store(models["hand"], made, target, hidden)


def _rounding(full: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """int8 (rows, columns) and fp32 scales (rows, 1)."""
    scale = (np.maximum(np.abs(full).max(1, keepdims=True), 1e-9) / 127).astype(np.float32)
    return np.rint(full / scale).astype(np.int8), scale


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Every big matrix as it will be after int8."""
    for weight in module.parameters():
        if weight.ndim == 2 and weight.numel() >= BIG:
            small, scale = _rounding(weight.numpy())
            weight.copy_(torch.from_numpy(small.astype(np.float32) * scale))


def store_rounded(model: onnx.ModelProto) -> None:
    """Store every big matrix as int8 with a scale for every row; Cast and Mul unfold it, once, when a session opens."""
    kept, nodes = [], []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or len(weight.dims) != 2 or np.prod(weight.dims) < BIG:
            kept.append(weight)
            continue
        name, (small, scale) = weight.name, _rounding(numpy_helper.to_array(weight))
        kept += [numpy_helper.from_array(small, f"{name}.int8"), numpy_helper.from_array(scale, f"{name}.scale")]
        nodes.append(helper.make_node("Cast", [f"{name}.int8"], [f"{name}.cast"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    before = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *before])


def report(parts: dict[str, nn.Module], target: Path) -> dict[str, Any]:
    """What the export says of the file: parity of every part with torch, and milliseconds."""
    figures: dict[str, Any] = {"file": target.name, "megabytes": round(target.stat().st_size / 1e6, 2)}
    whole = onnx.load(target)
    onnx.checker.check_model(whole, full_check=True)
    hidden = {e.key: e.value for e in whole.metadata_props}
    for name, graph in parts.items():
        key = f"{signature.PART_KEY}.{name}"
        source: Path | bytes = base64.b64decode(hidden[key]) if key in hidden else target
        inputs = {n: v.numpy() for n, v in zip(graph.inputs, graph.example(), strict=True)}  # type: ignore[arg-type,operator]
        times = check.milliseconds(source, inputs)
        figures[f"{name}: worst difference to torch"] = check.worst_difference(graph, source)
        figures[f"{name}: ms, p50"] = round(float(times[len(times) // 2]), 3)
        figures[f"{name}: ms, p99"] = round(float(times[int(0.99 * len(times))]), 3)
    names = [f"{name}: worst difference to torch" for name in parts]
    return figures | {"worst difference to torch": max(figures[name] for name in names)}
