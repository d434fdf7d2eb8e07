"""The critic of a band: a network that tells how real eight bars sound under their melody.

A Wasserstein critic with a gradient penalty (Gulrajani et al. 2017): its score has no unit, and only differences count.
It hears bands as planes (music.encoding.gan_canvas), whoever plays them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.key_equivariant import Block, KeyConv, Width, join
from music.encoding.gan_canvas import CANVAS_BEATS, DRUM_PLANES, PITCHED_PLANES
from music.note import PITCH_CLASSES, STEPS_PER_BEAT


class SoftRoll(NamedTuple):
    """A band as planes of 0..1 over T steps."""

    band: Tensor  #: (B, band planes, 12, T)
    drums: Tensor  #: (B, DRUM_PLANES, T)


class CriticExamples(NamedTuple):
    """B examples for a critic: a true and a played band under one melody, over T steps."""

    melody: Tensor  #: (B, melody planes, 12, T)
    real: SoftRoll
    fake: SoftRoll
    phase: Tensor  #: (B, 5, T)
    style: Tensor  #: (B, styles)

    def select(self, index: slice | Tensor) -> CriticExamples:
        """Return some of the examples."""
        real, fake = (SoftRoll(*(planes[index] for planes in roll)) for roll in (self.real, self.fake))
        return CriticExamples(self.melody[index], real, fake, self.phase[index], self.style[index])


#: names of what examples consist of, in checkpoints
_PLANES = ("melody", "real_band", "real_drums", "fake_band", "fake_drums", "phase", "style")
_PREFIX = "critic."


def pack_examples(examples: Sequence[CriticExamples]) -> dict[str, Tensor]:
    """Return batches of examples, which are binary, as a checkpoint keeps them: a row for each place in the batch."""
    columns = zip(*([e.melody, *e.real, *e.fake, e.phase, e.style] for e in examples), strict=True)
    return {
        _PREFIX + name: torch.stack([to_bits(each) for each in planes], 1)
        for name, planes in zip(_PLANES, columns, strict=False)
    }


def unpack_examples(rows: Mapping[str, Tensor], device: torch.device) -> list[CriticExamples]:
    """Return the batches that `pack_examples` packed; none where not all of it is there."""
    planes = [rows[_PREFIX + name] for name in _PLANES if _PREFIX + name in rows]
    if len(planes) < len(_PLANES):
        return []
    found = []
    for example in zip(*(each.float().to(device).unbind(1) for each in planes), strict=True):
        melody, real_band, real_drums, fake_band, fake_drums, phase, style = example
        found.append(
            CriticExamples(melody, SoftRoll(real_band, real_drums), SoftRoll(fake_band, fake_drums), phase, style)
        )
    return found


def to_bits(planes: Tensor) -> Tensor:
    """Return planes of 0 and 1 as bytes."""
    return (planes > 0.5).to(torch.uint8)


def cut_beats(pitched: Tensor, plain: Tensor) -> Tensor:
    """Lay the four steps of each beat side by side: (B, C, 12, T) and (B, P, T) -> (B, C * 4 * 12 + P * 4, T / 4)."""
    b, c, _, t = pitched.shape
    beats = (
        pitched.reshape(b, c, PITCH_CLASSES, t // STEPS_PER_BEAT, STEPS_PER_BEAT)
        .permute(0, 1, 4, 2, 3)
        .reshape(b, c * STEPS_PER_BEAT, PITCH_CLASSES, -1)
    )
    plain_beats = (
        plain.reshape(b, -1, t // STEPS_PER_BEAT, STEPS_PER_BEAT)
        .permute(0, 1, 3, 2)
        .reshape(b, -1, t // STEPS_PER_BEAT)
    )
    return join(beats, plain_beats)


class Critic(nn.Module):
    """Tells how real a band sounds under its melody: the last beats of the canvas -> one number for each four of them.

    Without normalisation: near silence it would make the critic arbitrarily steep where no penalty looks.
    """

    def __init__(self, width: Width, styles: int, beats: int = CANVAS_BEATS) -> None:
        """width: of its layers; styles: how many there are; beats: it hears so many, a multiple of four."""
        super().__init__()
        self.beats = beats
        plain_in = (DRUM_PLANES + 5) * STEPS_PER_BEAT + styles
        self.read = KeyConv(Width(PITCHED_PLANES * STEPS_PER_BEAT, plain_in), width, gain=2.0)
        self.blocks = nn.ModuleList(Block(width, normal=False) for _ in range(3))
        self.down = KeyConv(width, width, kernel=4, stride=4)
        self.bar_block = Block(width, normal=False)
        self.judge = KeyConv(width, Width(0, 1), gain=1.0)

    def forward(self, melody: Tensor, roll: SoftRoll, phase: Tensor, style: Tensor) -> Tensor:
        """Judge a band; return (B, beats / 4).

        melody: (B, melody planes, 12, T); roll: over the same T steps; phase: (B, 5, T), beat of the bar and what is
        known of the band; style: (B, styles).
        """
        steps = self.beats * STEPS_PER_BEAT
        pitched = torch.cat([melody, roll.band], 1)[..., -steps:]
        plain = torch.cat([roll.drums, phase], 1)[..., -steps:]
        condition = style[:, :, None].expand(-1, -1, self.beats)
        x = self.read(torch.cat([cut_beats(pitched, plain), condition], 1))
        for block in self.blocks:
            x = block(x)
        x = self.bar_block(functional.silu(self.down(x)))
        return self.judge(x)[:, 0]


def compute_gradient_penalty(
    critic: Critic, melody: Tensor, real: SoftRoll, fake: SoftRoll, phase: Tensor, style: Tensor, mix: Tensor
) -> Tensor:
    """Return (|gradient| - 1)^2 of the critic between real and fake bands, (B,), in fp32.

    mix: how far towards the real one, (B, 1, 1, 1).
    """
    band = (mix * real.band + (1 - mix) * fake.band).detach().requires_grad_(True)
    drums = (mix[..., 0] * real.drums + (1 - mix[..., 0]) * fake.drums).detach().requires_grad_(True)
    judged = critic(melody, SoftRoll(band, drums), phase, style).mean(1)
    gradients = torch.autograd.grad(judged.sum(), (band, drums), create_graph=True)
    norm = torch.cat([g.flatten(1) for g in gradients], 1).norm(dim=1)
    return (norm - 1).square()


def measure_gap(critic: Critic, shown: CriticExamples) -> Tensor:
    """Return the mean score of what was played less that of what is real, which a critic learns to make small."""
    played = critic(shown.melody, shown.fake, shown.phase, shown.style).float().mean()
    real = critic(shown.melody, shown.real, shown.phase, shown.style).float().mean()
    gap: Tensor = played - real
    return gap
