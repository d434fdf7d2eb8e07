"""The network of a drummer's feel: a window of hits -> how each hit of the step in its middle is played.

A small perceptron (Gillick et al. 2019 learn the same from the same drummers with a recurrent net over whole bars). For
each lane it tells quantiles of offset and velocity: what is played is skewed, and often one of two (a ghost note or an
accent, a straight or a swung sixteenth), which mean and variance would blur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from models.recipe import Bounds
from music.encoding.drum_feel import LANES, LEVELS, WINDOW_FEATURES


@dataclass(frozen=True, slots=True)
class FeelConfig:
    """Sizes of the network."""

    width: Annotated[int, Bounds(8, 1024)] = 128  #: of its two hidden layers
    hand: Annotated[int, Bounds(1, 64)] = 8  #: numbers that tell one drummer's take from others


class Feel(nn.Module):
    """Windows (n, WINDOW_FEATURES), styles (n, styles) and hands (n, hand) -> (n, 2, lanes, levels).

    These are quantiles of offset (steps) and velocity / 127, rising along the last axis.
    """

    def __init__(self, config: FeelConfig, styles: int) -> None:
        super().__init__()
        self.read = nn.Linear(WINDOW_FEATURES + styles + config.hand, config.width)
        self.think = nn.Linear(config.width, config.width)
        self.tell = nn.Linear(config.width, 2 * len(LANES) * len(LEVELS))
        with torch.no_grad():
            self.tell.weight.mul_(0.1)
            bias = torch.full((2, len(LANES), len(LEVELS)), -2.5)
            bias[0, :, 0], bias[1, :, 0] = -0.3, 0.2
            self.tell.bias.copy_(bias.reshape(-1))

    def forward(self, windows: Tensor, style: Tensor, hand: Tensor) -> Tensor:
        hidden = relu(self.read(torch.cat([windows, style, hand], 1)))
        hidden = relu(self.think(hidden))
        told = self.tell(hidden).unflatten(1, (2, len(LANES), len(LEVELS)))
        return torch.cat([told[..., :1], told[..., :1] + softplus(told[..., 1:]).cumsum(-1)], -1)


def compute_quantile_loss(told: Tensor, played: Tensor, is_hit: Tensor) -> Tensor:
    """Return the sum of the quantile (pinball) losses over hits.

    told: (n, 2, lanes, levels); played: (n, 2, lanes); is_hit: (n, lanes) of 0 and 1.
    """
    levels = torch.tensor(LEVELS, device=told.device)
    short = played[..., None] - told
    loss = torch.maximum(levels * short, (levels - 1) * short).mean(-1)
    return (loss.sum(1) * is_hit).sum()
