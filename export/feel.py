"""The graph of a drummer's feel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from export import check, onnx_file
from export.onnx_file import ExportModule
from export.techniques import Exporter
from models import checkpoint
from models.feel.dataset import DRUM_STYLES
from models.feel.network import Feel
from models.feel.objective import FeelObjective
from music.encoding.drum_feel import LANES, LEVEL_DEVIATIONS, OFFSET, WINDOW_FEATURES
from music.signature import Signature


class FeelGraph(ExportModule):
    """Hits as they are played: drawn from the quantiles that `Feel.forward` tells, and corrected.

    windows (n, WINDOW_FEATURES), style (1, styles), hand (1, hand), deviations (n, 2, lanes): standard deviations from
    the median -> played (n, 2, lanes), and the medians of offsets (n, lanes).
    """

    inputs = ("windows", "style", "hand", "deviations")
    outputs = ("played", "medians")
    levels: Tensor
    knots: Tensor
    rises: Tensor
    begin: Tensor

    def __init__(self, net: Feel, hand: int, corrections: Any = None) -> None:
        """Take a network.

        corrections: as `models.feel.objective.measure_corrections` returns them; None: nothing is to be corrected.
        """
        super().__init__()
        self.net, self.hand = net.requires_grad_(False).eval(), hand
        usual = torch.tensor([-1.0, 1.0]).expand(2, len(LANES), 2, 2)
        points = usual if corrections is None else torch.tensor(corrections, dtype=torch.float32)
        told, wanted = points.unbind(2)
        slopes = wanted.diff() / told.diff()
        # a broken line: what is drawn beyond its ends stays at them
        turns = torch.cat([slopes[..., :1], slopes.diff(), -slopes[..., -1:]], -1)
        for name, values in (("knots", told), ("rises", turns), ("begin", wanted[..., 0])):
            self.register_buffer(name, values.contiguous())
        self.register_buffer("levels", torch.tensor(LEVEL_DEVIATIONS))

    def forward(self, windows: Tensor, style: Tensor, hand: Tensor, deviations: Tensor) -> tuple[Tensor, Tensor]:
        count = windows.shape[0]
        told = self.net(windows, style.expand(count, -1), hand.expand(count, -1))
        share = ((deviations[..., None] - self.levels[:-1]) / self.levels.diff()).clamp(0, 1)
        played = told[..., 0] + (share * told.diff()).sum(-1)
        return self.correct(played), self.correct(told[..., len(LEVEL_DEVIATIONS) // 2])[:, OFFSET]

    def correct(self, drawn: Tensor) -> Tensor:
        """Return values (n, 2, lanes) moved to where a drummer's would lie."""
        return self.begin + (torch.relu(drawn[..., None] - self.knots) * self.rises).sum(-1)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes with values like music's."""
        make = torch.Generator().manual_seed(0)
        windows = (torch.rand(17, WINDOW_FEATURES, generator=make) < 0.1).float()
        deviations = torch.randn(17, 2, len(LANES), generator=make)
        return windows, torch.eye(len(DRUM_STYLES))[:1], torch.randn(1, self.hand, generator=make), deviations

    def dynamic(self) -> dict[str, Any] | None:
        """Return that any number of steps may be asked about."""
        steps = torch.export.Dim("steps", min=1, max=4096)
        return {"windows": {0: steps}, "style": {}, "hand": {}, "deviations": {0: steps}}


def build_network(recipe: Mapping[str, Any]) -> nn.Module:
    """Return a fresh network of a recipe in JSON."""
    return Feel(FeelObjective.read_recipe(recipe).model, len(DRUM_STYLES))


def build_graph(recipe: Mapping[str, Any]) -> FeelGraph:
    """Return the graph of a fresh network of a recipe in JSON."""
    config = FeelObjective.read_recipe(recipe).model
    return FeelGraph(Feel(config, len(DRUM_STYLES)), config.hand)


def write(tensors: Mapping[str, Tensor], state: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """Write the averaged network of a checkpoint as a graph; return figures about it. Raises CheckpointError."""
    provenance = onnx_file.select_provenance(state)
    config = FeelObjective.read_recipe(state["recipe"]).model
    net = Feel(config, len(DRUM_STYLES))
    checkpoint.load_whole(net, checkpoint.select_tensors(tensors, "average.feel"))
    settings = onnx_file.select_extras(state, "hands", "correlations", "corrections")
    graph = FeelGraph(net, config.hand, settings.pop("corrections"))
    onnx_file.write(graph, Signature("feel", {}, {}, DRUM_STYLES, settings, provenance), target)
    return check.report(graph, target)


EXPORTER = Exporter(write=write, build_network=build_network, build_graph=build_graph)
