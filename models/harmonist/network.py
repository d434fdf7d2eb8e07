"""The harmonist: which chord belongs under this melody, now and over the next beats? It hears the melody alone.

A band that reads the harmony off its own past takes a mistake for the key; a net that hears nothing but the melody
cannot (models/LOG.md). Causal dilated convolutions (van den Oord et al. 2016) over patches that end at the now-line, in
layers that hear every key alike; where the whole melody is visible, a second stack hears it from the other side. Live,
that stack hears what followed when the melody last went like this (music.analysis.melody_recall): from the second verse
on the
harmonist knows what is probably coming, as a player does.

Dense in training, `forward` tells the chords at every patch of a long melody; `ahead` computes only what the last patch
needs, a pyramid of strided convolutions, and is what plays.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.key_equivariant import Drop, KeyConv, KeyNorm, Width, join
from music.chords import QUALITIES, QUALITY_TONES
from music.encoding.melody_context import AHEAD_BEATS, MELODY_PLANES, PAST_STEPS
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT

CHORDS = len(QUALITIES) * PITCH_CLASSES
MEMORY = PAST_STEPS // STEPS_PER_BEAT  #: patches that count for the key
#: Time constants of the key's histograms, in patches.
FADES = (2.0, 8.0, 32.0, 128.0)
FLOOR = 1e-2


@dataclass(frozen=True, slots=True)
class HarmonistConfig:
    """Sizes. width: (pitched, plain) channels; past, future: layers, each hearing twice as far as the one before; drop:
    share of channels left out of every block in training."""

    width: tuple[int, int] = (16, 64)
    past: int = 5
    future: int = 3
    drop: float = 0.1

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return asdict(self)


class Dilated(nn.Module):
    """A residual block that hears three patches, `dilation` apart, to the left (or right) of every position."""

    def __init__(self, width: Width, dilation: int, right: bool = False, drop: float = 0.0) -> None:
        super().__init__()
        self.drop = Drop(width, drop)
        self.norm = KeyNorm(width, FLOOR)
        self.spread = KeyConv(width, width, 3, gain=1.4)
        self.mix = KeyConv(width, width, 1, gain=0.3)
        self.dilation, self.right = dilation, right

    def forward(self, x: Tensor) -> Tensor:
        """At every position: (B, total, T) -> same."""
        reach = 2 * self.dilation
        weight, bias = self.spread.weight()
        y = functional.pad(self.norm(x), (0, reach) if self.right else (reach, 0))
        spread = functional.silu(functional.conv1d(y, weight, bias, dilation=self.dilation))
        mixed: Tensor = self.mix(self.drop(spread))
        return x + mixed

    def halve(self, x: Tensor) -> Tensor:
        """At every other position, counted from the now-line, of positions `dilation` apart: (B, total, 2 n) -> (B,
        total, n)."""
        weight, bias = self.spread.weight()
        y = functional.pad(self.norm(x), (0, 1) if self.right else (1, 0))
        mixed: Tensor = self.mix(functional.silu(functional.conv1d(y, weight, bias, stride=2)))
        return x[:, :, (0 if self.right else 1) :: 2] + mixed


class Pointwise(nn.Module):
    """A residual block at one position."""

    def __init__(self, width: Width, drop: float = 0.0) -> None:
        super().__init__()
        self.drop = Drop(width, drop)
        self.norm = KeyNorm(width, FLOOR)
        self.spread = KeyConv(width, width, 1, gain=1.4)
        self.mix = KeyConv(width, width, 1, gain=0.3)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(self.drop(functional.silu(self.spread(self.norm(x)))))
        return x + mixed


class Harmonist(nn.Module):
    """Chord scores of the next AHEAD beats from the melody."""

    fade: Tensor

    def __init__(self, config: HarmonistConfig = HarmonistConfig()) -> None:
        super().__init__()
        self.config = config
        width = Width(*config.width)
        heard = Width(MELODY_PLANES * STEPS_PER_BEAT, STEPS_PER_BAR)
        self.read = KeyConv(heard, width, gain=3.0)
        self.past = nn.ModuleList(Dilated(width, 2**i, drop=config.drop) for i in range(config.past))
        self.read_future = KeyConv(heard, width, gain=3.0)
        self.future = nn.ModuleList(Dilated(width, 2**i, right=True, drop=config.drop) for i in range(config.future))
        self.take_future = KeyConv(width, width)
        self.take_trust = KeyConv(Width(0, 2), width)
        self.take_key = KeyConv(Width(len(FADES), 0), width, gain=3.0)
        self.think = nn.ModuleList(Pointwise(width, config.drop) for _ in range(2))
        self.norm = KeyNorm(width, FLOOR)
        self.head = KeyConv(width, Width(AHEAD_BEATS * len(QUALITIES), 0), gain=0.5)
        age = torch.arange(MEMORY - 1, -1, -1)
        self.register_buffer("fade", torch.stack([(-age / f).exp() for f in FADES])[:, None], persistent=False)

    def forward(self, melody: Tensor, phase: Tensor, place: Tensor, known: Tensor) -> Tensor:
        """Everywhere. melody (B, MELODY_PLANES, 12, 4 n), phase (B, PHASES, n) of the step after each patch; place (B,
        n): the patch after which it is heard what follows, its own or an earlier one; known (B, 1, n): how sure it is
        that this is what follows, see music.encoding.melody_context. Returns (B, AHEAD, CHORDS, n), quality-major."""
        x = join(_patches(melody), phase)
        state = self.read(x)
        for block in self.past:
            state = block(state)
        right = self.read_future(x)
        for block in self.future:
            right = block(right)
        right = functional.pad(right[:, :, 1:], (0, 1))
        right = right.gather(2, place[:, None].expand(-1, right.shape[1], -1))
        key = functional.pad(_durations(melody).flatten(0, 1)[:, None], (MEMORY - 1, 0))
        return self._tell(state + self._follows(right, known), functional.conv1d(key, self.fade.to(key)))

    def ahead(self, melody: Tensor, phase: Tensor, known: Tensor) -> Tensor:
        """At the now-line. melody (B, MELODY_PLANES, 12, PAST + FUTURE), phase (B, PHASES), known (B, 1): how sure it
        is that what stands right of the line follows. Returns (B, AHEAD, CHORDS). As forward() tells it for the last
        patch of the past."""
        patches, b = _patches(melody), len(melody)
        line = PAST_STEPS // STEPS_PER_BEAT
        # the step after every patch of the past and of the future, one patch further each: phases rotate by a beat
        turns = torch.stack([phase.roll(STEPS_PER_BEAT * k, 1) for k in range(4)], 2)  # (B, PHASES, 4)
        count = patches.shape[-1]
        phases = turns.repeat(1, 1, -(-count // 4) + 1)
        begin = (1 - line) % 4
        x = join(patches, phases[:, :, begin : begin + count])
        state, right = self.read(x[:, :, :line]), self.read_future(x[:, :, line:])
        for i in range(self.config.past):
            state = self._block(self.past[i]).halve(state)
        for i in range(self.config.future):
            right = self._block(self.future[i]).halve(right)
        state = state[:, :, -1:] + self._follows(right[:, :, :1], known[:, :, None])
        key = _durations(melody[..., :PAST_STEPS]).flatten(0, 1)[:, None]  # (B * 12, 1, MEMORY)
        told = self._tell(state, functional.conv1d(key, self.fade.to(key)))
        return told.reshape(b, AHEAD_BEATS, CHORDS)

    def _follows(self, right: Tensor, known: Tensor) -> Tensor:
        """What follows, (B, width, n), as far as it is known."""
        told: Tensor = self.take_future(right) * known + self.take_trust(torch.cat([known, known.square()], 1))
        return told

    @staticmethod
    def _block(module: nn.Module) -> Dilated:
        assert isinstance(module, Dilated)
        return module

    def _tell(self, state: Tensor, key: Tensor) -> Tensor:
        """State (B, width, n), key (B * 12, fades, n) -> (B, AHEAD, CHORDS, n)."""
        b, _, n = state.shape
        shares = key.reshape(b, PITCH_CLASSES, len(FADES), n).transpose(1, 2)
        shares = shares / (shares.sum(2, keepdim=True) + 0.25)
        state = state + self.take_key(4 * shares.flatten(1, 2))
        for block in self.think:
            state = block(state)
        told: Tensor = self.head(self.norm(state))
        return told.reshape(b, AHEAD_BEATS, CHORDS, n)


def _patches(melody: Tensor) -> Tensor:
    """(B, C, 12, T) -> (B, C * 4, 12, T / 4)."""
    b, c, classes, t = melody.shape
    cut = melody.reshape(b, c, classes, t // STEPS_PER_BEAT, STEPS_PER_BEAT).permute(0, 1, 4, 2, 3)
    return cut.reshape(b, c * STEPS_PER_BEAT, classes, t // STEPS_PER_BEAT)


def _durations(melody: Tensor) -> Tensor:
    """How long every pitch class sounds in every patch, in beats: (B, MELODY_PLANES, 12, T) -> (B, 12, T / 4)."""
    sounding = melody[:, :-1].amax(1)
    return functional.avg_pool1d(sounding, STEPS_PER_BEAT)


def chord_loss(told: Tensor, chords: Tensor) -> Tensor:
    """Cross-entropy (nats) of chords (B, 2, AHEAD, n; root and quality, -1 unknown) under told (B, AHEAD, CHORDS, n):
    (B, AHEAD, n), 0 where unknown."""
    root, quality = chords[:, 0], chords[:, 1]
    target = torch.where(root >= 0, quality * PITCH_CLASSES + root, -100)
    return functional.cross_entropy(told.permute(0, 2, 1, 3).float(), target, ignore_index=-100, reduction="none")


# --- choosing -------------------------------------------------------------------------------------------------------


#: What counts in kinship: the share of the played chord's tones that are meant, beside the cosine. Where nothing more
#: will be heard the cosine alone counts, which asks for the right chord rather than for a safe one.
HITS = 0.5


def _kinship() -> tuple[Tensor, Tensor]:
    tones = torch.zeros(len(QUALITIES), PITCH_CLASSES, PITCH_CLASSES)
    for quality, intervals in enumerate(QUALITY_TONES):
        for root in range(PITCH_CLASSES):
            tones[quality, root, [(root + i) % PITCH_CLASSES for i in intervals]] = 1
    inside = tones.flatten(0, 1)
    hits = inside @ inside.T / inside.sum(1)  # (meant, played)
    unit = functional.normalize(inside + torch.eye(PITCH_CLASSES).repeat(len(QUALITIES), 1), dim=1)
    return unit @ unit.T, hits


#: (CHORDS meant, CHORDS played): the cosine between the two as weighted pitch classes, the root counting twice; and the
#: share of what is played that is meant.
COSINE, SHARE = _kinship()


def agreement(scores: Tensor, known: Tensor) -> Tensor:
    """Chord scores (B, n, CHORDS) -> how well each chord is expected to agree with the one that is meant, 0..1. known
    (B, n or 1): 1 where what follows has been heard, see music.encoding.melody_context.

    In doubt between C and A minor the chord that shares most with both does least harm; the likeliest one alone need
    not be it (a minimum-risk decision)."""
    safe = HITS * (known < 1).to(scores)[:, :, None]
    odds = scores.softmax(2)
    return (1 - safe) * (odds @ COSINE.to(scores)) + safe * (odds @ SHARE.to(scores))
