"""Fold norms into weights: the same function in fewer operations, for export only.

A KeyNorm centres, scales and weighs its state. The weights are linear, so the next KeyConv can hold them; centring and
scaling become a handful of small matrix products. On a canvas of 32 beats the convolutions take half of a plan's time
and small operations the other half.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from models.gan.network import Generator
from models.harmonist.network import Dilated, GivenChordBranch, Harmonist, Pointwise
from models.key_equivariant import Block, KeyConv, KeyNorm
from music.note import PITCH_CLASSES

M = TypeVar("M", bound=nn.Module)


class Scale(nn.Module):
    """The rest of a KeyNorm without its gains: (B, total, T) -> same, centred and scaled at every position."""

    means: Tensor
    back: Tensor
    shares: Tensor
    spread: Tensor

    def __init__(self, norm: KeyNorm) -> None:
        super().__init__()
        self.width, self.floor = norm.width, norm.floor
        width = self.width
        split = width.pitched * PITCH_CLASSES
        back = torch.zeros(width.total, width.pitched)
        for channel in range(width.pitched):
            back[channel * PITCH_CLASSES : (channel + 1) * PITCH_CLASSES, channel] = 1
        shares = torch.zeros(2, width.total)
        shares[0, :split], shares[1, split:] = 1 / split, 1 / width.plain
        matrices = {"means": back.T / PITCH_CLASSES, "back": back, "shares": shares, "spread": (shares > 0).float().T}
        for name, matrix in matrices.items():
            self.register_buffer(name, matrix.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        centred = x - self.back @ (self.means @ x)
        return centred * (self.spread @ (self.shares @ (centred * centred) + self.floor).pow(-0.5))


@torch.no_grad()
def fold_norm(norm: KeyNorm, after: KeyConv) -> Scale:
    """Put the weights of `norm` into those of the convolution after it; returns what is left."""
    _weigh(norm, after)
    return Scale(norm)


@torch.no_grad()
def _weigh(norm: KeyNorm, after: KeyConv) -> None:
    after.pp.mul_(norm.gain_pitched[None, :, None, None])
    after.pi.mul_(norm.gain_pitched[None, :, None])
    after.ip.mul_(norm.gain_plain[None, :, None])
    after.ii.mul_(norm.gain_plain[None, :, None])


def fold(model: M) -> M:
    """Return a copy of a Generator or a Harmonist that computes the same, for export only."""
    model = copy.deepcopy(model)
    for part in list(model.modules()):
        if isinstance(part, (Block, Dilated, Pointwise)) and isinstance(part.norm, KeyNorm):
            part.norm = fold_norm(part.norm, part.spread)
        if isinstance(part, GivenChordBranch):
            part.norm = fold_norm(part.norm, part.head)  # type: ignore[assignment]
        if isinstance(part, Harmonist):
            if part.given is not None:
                _weigh(part.norm, part.given.listen)
            part.norm = fold_norm(part.norm, part.head)  # type: ignore[assignment]
        if isinstance(part, Generator):
            part.bass_intervals.tell.weight.data.mul_(part.score_norm.gain_plain[None, :, None])
            if part.drummer is not None:
                heard = part.drummer.take_band.weight.data[:, : part.fine.plain]  # then come the gates
                heard.mul_(part.score_norm.gain_plain[None, :, None])
            part.score_norm = fold_norm(part.score_norm, part.write)  # type: ignore[assignment]
    return model
