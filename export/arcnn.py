"""The AR-CNN's graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export import check, onnx_file
from export.onnx_file import ExportModule
from export.techniques import Exporter
from models import checkpoint
from models.arcnn.network import ARCNN_STYLES, Arcnn, compute_log_weights
from models.arcnn.objective import ArcnnObjective
from music.encoding.edit_grid import PLANES, WINDOW_STEPS
from music.note import PITCHES
from music.signature import Signature

#: log-weights below this are as good as never
MIN_LOG_WEIGHT = -16.0


class ArcnnGraph(ExportModule):
    """`Arcnn.forward`: planes and style -> log-weights of the next edit, and scores of an added note's length.

    (1, steps, 128) and (1, steps, 128, lengths).
    """

    inputs = ("planes", "style")
    outputs = ("weights", "lengths")

    def __init__(self, net: Arcnn, calibrated: bool) -> None:
        super().__init__()
        self.net = net.requires_grad_(False).eval()
        self.calibrated = calibrated

    def forward(self, planes: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        edit, logit, lengths = self.net(planes, style)
        weights = compute_log_weights(logit) if self.calibrated else edit - edit.amax((1, 2), keepdim=True)
        weights = weights.clamp(min=MIN_LOG_WEIGHT)
        return weights, lengths.permute(0, 2, 3, 1)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes with music-like values."""
        make = torch.Generator().manual_seed(0)
        onset = torch.rand(1, WINDOW_STEPS, PITCHES, generator=make) < 0.01
        sounding = onset | onset.roll(1, 1) | onset.roll(2, 1)
        kept = onset & (torch.rand(1, WINDOW_STEPS, PITCHES, generator=make) < 0.5)
        planes = torch.stack([onset, sounding, kept], 1).float()
        assert planes.shape[1] == len(PLANES)
        return planes, torch.eye(len(ARCNN_STYLES))[:1]


def build_arcnn(recipe: Mapping[str, Any]) -> Arcnn:
    """Return a fresh network of a recipe in JSON."""
    return Arcnn(ArcnnObjective.read_recipe(recipe).model)


def build_graph(recipe: Mapping[str, Any]) -> ArcnnGraph:
    """Return the graph of a fresh network of a recipe in JSON."""
    return ArcnnGraph(build_arcnn(recipe), ArcnnObjective.read_recipe(recipe).calibrated)


def write(tensors: Mapping[str, Tensor], state: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """Write the averaged network of a checkpoint as a graph; return figures about it. Raises CheckpointError."""
    provenance = onnx_file.select_provenance(state)
    graph = build_graph(state["recipe"])
    checkpoint.load_whole(graph.net, checkpoint.select_tensors(tensors, "average"))
    settings = {"calibrated": graph.calibrated}
    onnx_file.write(graph, Signature("arcnn", {}, {}, ARCNN_STYLES, settings, provenance), target)
    return check.report(graph, target)


EXPORTER = Exporter(write=write, build_network=build_arcnn, build_graph=build_graph)
