"""Networks on Fourier coefficients of pitch: the same function in a sixth of the products, for export only.

A map that commutes with transposition is a circular convolution over the 12 pitch classes. On Fourier coefficients
every frequency keeps to itself, and only the mean meets the channels without pitch. So a dense kernel of (12 p + i)
squared falls apart into five blocks of (2 p) squared, for frequencies 1 to 5, and one of (2 p + i) squared for
frequency 6, the mean and the plain channels. Only SiLU needs the pitch classes themselves.

A state has its coefficients outermost: cosine and sine of frequencies 1 to 5, the cosine of 6 and the mean, each of all
pitched channels, then the plain channels.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.fold_norms import Scale, fold
from models.gan.network import Generator
from models.harmonist.network import Dilated, GivenChordBranch, Harmonist, Pointwise
from models.key_equivariant import Block, KeyConv, KeyNorm, Layout, Width
from music.note import PITCH_CLASSES

M = TypeVar("M", bound=nn.Module)

PAIRS = 5  #: frequencies with a cosine and a sine of their own
_ROOT = math.sqrt(PITCH_CLASSES)


def list_waves() -> Tensor:
    """Return the orthonormal basis (12, 12) in the order of coefficients, by pitch class."""
    at = torch.arange(PITCH_CLASSES, dtype=torch.float64) * 2 * math.pi / PITCH_CLASSES
    pairs = [wave(f * at) * math.sqrt(2) for f in range(1, PAIRS + 1) for wave in (torch.cos, torch.sin)]
    return (torch.stack([*pairs, torch.cos(6 * at), torch.ones_like(at)]) / _ROOT).float()


class Waves(nn.Module):
    """The way between states by pitch class and their coefficients, and SiLU on the coefficients' pitch classes."""

    basis: Tensor
    back: Tensor

    def __init__(self, width: Width) -> None:
        super().__init__()
        self.width, self.split = width, width.pitched * PITCH_CLASSES
        self.register_buffer("basis", list_waves(), persistent=False)
        self.register_buffer("back", list_waves().T.contiguous(), persistent=False)

    def enter(self, x: Tensor) -> Tensor:
        """Return the coefficients of a state by pitch class."""
        pitched = x[:, : self.split].reshape(len(x), self.width.pitched, PITCH_CLASSES, -1).transpose(1, 2)
        return self._join(self.basis @ pitched.reshape(len(x), PITCH_CLASSES, -1), x[:, self.split :])

    def leave(self, x: Tensor) -> Tensor:
        """Return the state by pitch class of coefficients."""
        pitched = self.back @ x[:, : self.split].reshape(len(x), PITCH_CLASSES, -1)
        pitched = pitched.reshape(len(x), PITCH_CLASSES, self.width.pitched, -1).transpose(1, 2)
        return self._join(pitched, x[:, self.split :])

    def forward(self, x: Tensor) -> Tensor:
        """Return the coefficients of SiLU."""
        pitched = functional.silu(self.back @ x[:, : self.split].reshape(len(x), PITCH_CLASSES, -1))
        return self._join(self.basis @ pitched, functional.silu(x[:, self.split :]))

    def _join(self, pitched: Tensor, plain: Tensor) -> Tensor:
        pitched = pitched.reshape(len(plain), self.split, plain.shape[2])
        return torch.cat([pitched, plain], 1) if self.width.plain else pitched


class WaveConv(nn.Module):
    """A KeyConv whose state, on one side or both, is made of coefficients."""

    basis: Tensor

    def __init__(self, conv: KeyConv, enters: bool = False, leaves: bool = False) -> None:
        """Take a layer's weights over. enters: its input is by pitch class; leaves: its output is."""
        super().__init__()
        self.source, self.target, self.kernel, self.stride = conv.source, conv.target, conv.kernel, conv.stride
        for name, weight in conv.named_parameters():
            self.register_parameter(name, weight)
        self.register_buffer("basis", list_waves(), persistent=False)
        self.before = Waves(conv.source) if enters else None
        self.after = Waves(conv.target) if leaves else None

    def assemble(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return kernel and bias of the pairs, (10 out, 2 in, kernel) in groups, and of the rest."""
        (out, o), (into, i), k = self.target, self.source, self.kernel
        told = torch.einsum("fd,osdk->fosk", self.basis, self.get_parameter("pp")) * _ROOT
        pairs = told[: 2 * PAIRS] * math.sqrt(0.5)
        cos, sin = pairs[::2], pairs[1::2]
        turned = torch.cat([torch.cat([cos, -sin], 2), torch.cat([sin, cos], 2)], 1)
        none, pi, ip, ii = torch.zeros(out, into, k), *(self.get_parameter(name) for name in ("pi", "ip", "ii"))
        rest = [
            torch.cat([told[-2], none, torch.zeros(out, i, k)], 1),
            torch.cat([none, told[-1], ip * _ROOT], 1),
            torch.cat([torch.zeros(o, into, k), pi * _ROOT, ii], 1),
        ]
        bias = [torch.zeros(out), self.get_parameter("bias_pitched") * _ROOT, self.get_parameter("bias_plain")]
        # without a bias of its own a convolution is exported with one that is made anew at every run
        silent = torch.zeros(2 * PAIRS * out)
        return (turned.reshape(2 * PAIRS * out, 2 * into, k), silent), (torch.cat(rest), torch.cat(bias))

    def convolve(self, x: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
        """Convolve as told, whatever stride the layer has."""
        if self.before is not None:
            x = self.before.enter(x)
        pairs, rest = self.assemble()
        split = 2 * PAIRS * self.source.pitched
        told = functional.conv1d(x[:, split:], *rest, stride, padding, dilation)
        if self.source.pitched:
            apart = functional.conv1d(x[:, :split], *pairs, stride, padding, dilation, PAIRS)
            told = torch.cat([apart, told], 1)
        else:
            told = functional.pad(told, (0, 0, 2 * PAIRS * self.target.pitched, 0))
        return told if self.after is None else self.after.leave(told)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.stride, (self.kernel - 1) // 2 if self.stride == 1 else 0)


class WaveScale(nn.Module):
    """A Scale on coefficients: centring is to leave the mean out, and the sum of squares is the same."""

    shares: Tensor
    spread: Tensor

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        (pitched, plain), self.floor = scale.width, scale.floor
        shares, spread = torch.zeros(2, scale.width.total), torch.zeros(scale.width.total, 2)
        split, mean = pitched * PITCH_CLASSES, pitched * (PITCH_CLASSES - 1)
        shares[0, :mean], shares[1, split:] = 1 / split, 1 / plain
        spread[:mean, 0], spread[split:, 1] = 1, 1
        self.register_buffer("shares", shares, persistent=False)
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.spread @ (self.shares @ (x * x) + self.floor).pow(-0.5))


class WaveLayout(Layout):
    """The order of a state's channels with the coefficients outermost."""

    def concatenate(self, first: Tensor, second: Tensor, width: Width) -> Tensor:
        split = width.pitched * PITCH_CLASSES
        pitched = [x[:, :split].reshape(len(x), PITCH_CLASSES, width.pitched, -1) for x in (first, second)]
        both = torch.cat(pitched, 2).reshape(len(first), 2 * split, -1)
        return torch.cat([both, first[:, split:], second[:, split:]], 1)

    def spread(self, x: Tensor, width: Width, count: int) -> Tensor:
        made = x.reshape(len(x), width.total, count, -1).transpose(2, 3)  # coefficients or not, `count` is innermost
        return made.reshape(len(x), width.total, -1)


def transform(model: M) -> M:
    """Return a copy of a Generator or a Harmonist, its norms folded, that computes the same on coefficients."""
    model = fold(model)
    for part in list(model.modules()):
        if isinstance(part, (Block, Dilated, Pointwise)):
            part.activate = Waves(part.spread.target)
        if isinstance(part, Harmonist):
            _replace_convolutions(part, ("read", "read_future", "take_key"), ("head",))
        if isinstance(part, GivenChordBranch):
            _replace_convolutions(part, ("read", "tell"), ("head", "tell"))
        if isinstance(part, Generator):
            _replace_convolutions(part, ("read", "take_chord", "take_name"), ("write",))
            part.layout = WaveLayout()
    for part in list(model.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, KeyConv):
                setattr(part, name, WaveConv(child))
            elif isinstance(child, Scale):
                setattr(part, name, WaveScale(child))
    assert not any(isinstance(part, KeyNorm) for part in model.modules())
    return model


def _replace_convolutions(part: nn.Module, entering: tuple[str, ...], leaving: tuple[str, ...]) -> None:
    for name in dict.fromkeys((*entering, *leaving)):
        conv = part.get_submodule(name)
        assert isinstance(conv, KeyConv)
        setattr(part, name, WaveConv(conv, name in entering, name in leaving))
