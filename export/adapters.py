"""One nn.Module a graph: what is exported, with the names and shapes that the player binds."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from models.gan import WRITTEN, Generator
from models.layers import KeyConv
from models.streams import STYLES
from music.canvas import CLASSES, PITCHED_PLANES, PLAIN_PLANES, QUALITIES, STEPS


def dense(module: nn.Module) -> nn.Module:
    """A copy in which every KeyConv is the ordinary Conv1d it computes, so that nothing is assembled while playing."""
    copied = copy.deepcopy(module)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, KeyConv):
                setattr(parent, name, _convolution(child))
    return copied.requires_grad_(False).eval()


@torch.no_grad()
def _convolution(layer: KeyConv) -> nn.Conv1d:
    padding = (layer.kernel - 1) // 2 if layer.stride == 1 else 0
    plain = nn.Conv1d(layer.source.total, layer.target.total, layer.kernel, layer.stride, padding)
    weight, bias = layer.weight()
    plain.weight.copy_(weight)
    plain.bias.copy_(bias)  # type: ignore[union-attr]
    return plain


class GanGraph(nn.Module):
    """Generator.forward with dense weights. Inputs pitched, plain, style, z, noise; outputs chord, pitched, plain."""

    inputs = ("pitched", "plain", "style", "z", "noise")
    outputs = ("chord_choice", "pitched_scores", "plain_scores")

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = dense(generator)
        self.z = generator.config.z

    def forward(self, pitched: Tensor, plain: Tensor, style: Tensor, z: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        made: tuple[Tensor, ...] = self.generator(pitched, plain, style, z, noise)
        return made

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes with music-like values, for tracing and for parity checks."""
        make = torch.Generator().manual_seed(0)
        return (
            (torch.rand(1, PITCHED_PLANES, CLASSES, STEPS, generator=make) < 0.05).float(),
            (torch.rand(1, PLAIN_PLANES, STEPS, generator=make) < 0.3).float(),
            torch.eye(len(STYLES))[:1],
            torch.randn(1, self.z, generator=make),
            torch.randn(1, len(QUALITIES), CLASSES, WRITTEN, generator=make),
        )
