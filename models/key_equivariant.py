"""Layers that hear music in any key the same way.

A hidden state here is a vector per time position with two kinds of channel: `pitched` channels, each a value for every
one of the 12 pitch classes (transposing the music rotates them), and `plain` channels without pitch (rhythm, density,
style). A linear map that commutes with transposition is block-circulant between pitched channels, a mean over pitch
classes from pitched to plain, a broadcast from plain to pitched: 12 times fewer weights, and every key is learned
from every song (group-equivariant convolution, Cohen & Welling 2016, for the cyclic group of 12 transpositions).
The weight is assembled into one dense Conv1d kernel, so that it runs, and is exported, as an ordinary convolution.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.draws import BatchNoise
from music.note import PITCH_CLASSES


class Width(NamedTuple):
    """The channels of a state, whose vector has the pitched ones first."""

    pitched: int  #: channels with a value for each of 12 pitch classes
    plain: int  #: channels with one value

    @property
    def total(self) -> int:
        """Length of the vector."""
        return self.pitched * PITCH_CLASSES + self.plain


class KeyConv(nn.Module):
    """A 1-D convolution over time that commutes with transposition. (B, in.total, T) -> (B, out.total, T')."""

    # where each entry of the dense kernel comes from; single gathers, so that the exported graph stays small
    rotation: Tensor
    source_channel: Tensor
    target_channel: Tensor

    def __init__(self, source: Width, target: Width, kernel: int = 1, stride: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.source, self.target, self.kernel, self.stride = source, target, kernel, stride
        fan_in = source.total * kernel
        std = gain / math.sqrt(fan_in)
        self.pp = nn.Parameter(torch.randn(target.pitched, source.pitched, PITCH_CLASSES, kernel) * std)
        self.pi = nn.Parameter(torch.randn(target.plain, source.pitched, kernel) * std)
        self.ip = nn.Parameter(torch.randn(target.pitched, source.plain, kernel) * std)
        self.ii = nn.Parameter(torch.randn(target.plain, source.plain, kernel) * std)
        with torch.no_grad():  # begin with every pitch class mostly hearing itself
            self.pp[:, :, 0] *= 2.0
        self.bias_pitched = nn.Parameter(torch.zeros(target.pitched))
        self.bias_plain = nn.Parameter(torch.zeros(target.plain))
        classes = torch.arange(PITCH_CLASSES)
        rotation = (classes[:, None] - classes[None, :]) % PITCH_CLASSES
        self.register_buffer("rotation", rotation.flatten(), persistent=False)
        for name, width in (("source_channel", source), ("target_channel", target)):
            channel = torch.arange(width.pitched).repeat_interleave(PITCH_CLASSES)
            self.register_buffer(name, channel, persistent=False)

    def assemble(self) -> tuple[Tensor, Tensor]:
        """Return the dense kernel (out.total, in.total, kernel) and the bias (out.total,)."""
        op, sp, k = self.target.pitched, self.source.pitched, self.kernel
        circulant = self.pp.index_select(2, self.rotation).reshape(op, sp, PITCH_CLASSES, PITCH_CLASSES, k)
        circulant = circulant.permute(0, 2, 1, 3, 4).reshape(op * PITCH_CLASSES, sp * PITCH_CLASSES, k)
        broadcast = self.ip.index_select(0, self.target_channel)
        mean = self.pi.index_select(1, self.source_channel)
        weight = torch.cat([torch.cat([circulant, broadcast], 1), torch.cat([mean, self.ii], 1)], 0)
        bias = torch.cat([self.bias_pitched.index_select(0, self.target_channel), self.bias_plain])
        return weight, bias

    def convolve(self, x: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
        """Convolve as told, whatever stride the layer has."""
        weight, bias = self.assemble()
        return functional.conv1d(x, weight, bias, stride=stride, padding=padding, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.stride, (self.kernel - 1) // 2 if self.stride == 1 else 0)


class KeyNorm(nn.Module):
    """Root-mean-square normalisation at a position (Zhang & Sennrich 2019): (B, total, T) -> same.

    Pitched and plain channels apart, the pitched ones about their mean over pitch classes: what tells pitches apart is
    never drowned by what they share.
    """

    def __init__(self, width: Width, floor: float = 1e-4) -> None:
        """Begin with gains of 1. floor: the mean square below which a state counts as silent.

        Where rests are common, a small floor makes gradients explode.
        """
        super().__init__()
        self.width, self.floor = width, floor
        self.gain_pitched = nn.Parameter(torch.ones(width.pitched))
        self.gain_plain = nn.Parameter(torch.ones(width.plain))

    def forward(self, x: Tensor) -> Tensor:  # (B, total, T)
        split = self.width.pitched * PITCH_CLASSES
        pitched = x[:, :split].unflatten(1, (self.width.pitched, PITCH_CLASSES))
        pitched = pitched - pitched.mean(2, keepdim=True)
        pitched = pitched * torch.rsqrt(pitched.square().mean((1, 2), keepdim=True) + self.floor)
        plain = x[:, split:]
        plain = plain * torch.rsqrt(plain.square().mean(1, keepdim=True) + self.floor)
        return torch.cat(
            [(pitched * self.gain_pitched[:, None, None]).flatten(1, 2), plain * self.gain_plain[:, None]], 1
        )


class Drop(nn.Module):
    """Dropout of whole channels (Tompson et al. 2015): (B, total, T) -> same.

    A pitched channel is dropped for all pitch classes at once.
    """

    def __init__(self, width: Width, share: float) -> None:
        super().__init__()
        self.width, self.share = width, share
        #: draws which channels; None for torch's own generator
        self.noise: BatchNoise | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.share:
            return x
        shape = (x.shape[0], sum(self.width), 1)
        drawn = torch.rand(shape, device=x.device) if self.noise is None else self.noise.draw_uniform(shape)
        keep = drawn >= self.share
        pitched, plain = keep[:, : self.width.pitched], keep[:, self.width.pitched :]
        return x * torch.cat([pitched.repeat_interleave(PITCH_CLASSES, 1), plain], 1) / (1 - self.share)


class Block(nn.Module):
    """A residual block: normalise (or not), convolve over `kernel` positions, SiLU, mix. (B, total, T) -> same."""

    def __init__(self, width: Width, kernel: int = 3, normal: bool = True) -> None:
        super().__init__()
        self.norm: nn.Module = KeyNorm(width) if normal else nn.Identity()
        self.spread = KeyConv(width, width, kernel, gain=1.4)
        self.mix = KeyConv(width, width, 1, gain=0.3)
        self.activate: nn.Module = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(self.activate(self.spread(self.norm(x))))
        return x + mixed


def join(pitched: Tensor, plain: Tensor) -> Tensor:
    """Return (B, C, 12, T) and (B, P, T) as one state (B, C * 12 + P, T)."""
    return torch.cat([pitched.flatten(1, 2), plain], 1)


class Layout:
    """The order of a state's channels: pitched ones first, the pitch classes of each side by side."""

    def concatenate(self, first: Tensor, second: Tensor, width: Width) -> Tensor:
        """Return two states of a width side by side as one state of twice the width."""
        split = width.pitched * PITCH_CLASSES
        return torch.cat([first[:, :split], second[:, :split], first[:, split:], second[:, split:]], 1)

    def spread(self, x: Tensor, width: Width, count: int) -> Tensor:
        """Take positions out of channels: (B, total of `count` times the width, T) -> (B, total, count * T)."""
        b, _, t = x.shape
        (p, i), split = width, width.pitched * count * PITCH_CLASSES
        pitched = x[:, :split].reshape(b, p, count, PITCH_CLASSES, t).permute(0, 1, 3, 4, 2)
        plain = x[:, split:].reshape(b, i, count, t).permute(0, 1, 3, 2)
        return torch.cat([pitched.reshape(b, p * PITCH_CLASSES, -1), plain.reshape(b, i, -1)], 1)
