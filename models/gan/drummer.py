"""The drummer of the GAN: a small network of its own, which hears what the band is about to play.

Drummers' hits are learnt from other music than chords are (models.data.played_drums), and what a band owes its singer
shall not change with them. So the drummer has a groove vector of its own, and may be taught alone. All time positions
are beats, as in models.gan.network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from music.encoding.gan_canvas import (
    CANVAS_BEATS,
    DRUM_PLANES,
    PLAIN_PLANES,
    PULSE_PLANES,
)
from music.note import PITCHED_ROLES, STEPS_PER_BEAT

#: beats between the taps of each layer: a bar of four beats is heard as directly as the beat before
DILATIONS = (1, 2, 4, 8)


class DilatedBlock(nn.Module):
    """A residual block without normalisation over beats that lie apart: (B, width, T) -> same. It begins as nothing."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.spread = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        nn.init.zeros_(self.mix.weight)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(functional.silu(self.spread(x)))
        return x + mixed


class Drummer(nn.Module):
    """Hits for the last beats of the canvas, in two parts as the generator: `listen` and `score`."""

    def __init__(self, width: int, styles: int, z: int, band: int) -> None:
        """width: channels; z: length of the groove vector; band: channels that tell what the band means to play."""
        super().__init__()
        inside = (PLAIN_PLANES + PULSE_PLANES) * STEPS_PER_BEAT + 1 + styles + z
        self.read = nn.Conv1d(inside, width, 1)
        self.blocks = nn.Sequential(*(DilatedBlock(width, dilation) for dilation in DILATIONS))
        self.take_band = nn.Conv1d(band + len(PITCHED_ROLES) * STEPS_PER_BEAT, width, 1)
        self.last = nn.Conv1d(width, width, 3, padding=1)
        self.write = nn.Conv1d(width, DRUM_PLANES * STEPS_PER_BEAT, 1)

    def listen(self, plain: Tensor, pulse: Tensor, style: Tensor, z: Tensor, fill: Tensor) -> Tensor:
        """Return what is known from the canvas, (B, width, CANVAS_BEATS).

        plain: (B, PLAIN_PLANES, CANVAS_STEPS); pulse: (B, PULSE_PLANES, CANVAS_STEPS); style: (B, styles) one-hot; z:
        (B, z); fill: (B, CANVAS_BEATS) of 0 and 1, beats of bars that lead into another section.
        """
        steps = torch.cat([plain, pulse], 1).unflatten(2, (CANVAS_BEATS, STEPS_PER_BEAT))
        beats = steps.permute(0, 1, 3, 2).flatten(1, 2)
        condition = torch.cat([style, z], 1)[:, :, None].expand(-1, -1, CANVAS_BEATS)
        made: Tensor = self.blocks(self.read(torch.cat([beats, fill[:, None], condition], 1)))
        return made

    def score(self, heard: Tensor, band: Tensor, gates: Tensor) -> Tensor:
        """Return the logits of hits, (B, DRUM_PLANES, T steps), for the last beats that were heard.

        heard: from `listen`; band: (B, channels, T beats); gates: (B, pitched roles, T steps), logits of what begins.
        """
        beats = band.shape[2]
        begins = gates.sigmoid().unflatten(2, (beats, STEPS_PER_BEAT)).permute(0, 1, 3, 2).flatten(1, 2)
        x = heard[:, :, -beats:] + self.take_band(torch.cat([band, begins], 1))
        x = x + functional.silu(self.last(functional.silu(x)))
        hits: Tensor = self.write(x).unflatten(1, (DRUM_PLANES, STEPS_PER_BEAT))
        return hits.permute(0, 1, 3, 2).flatten(2, 3)
