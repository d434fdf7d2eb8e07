"""The transformer: a hand that writes, at every sixteenth, what the band does at the next one.

A decoder over steps: one position a sixteenth, which has heard everything up to that sixteenth and speaks of the next
one. Rotary positions (Su et al. 2021), root-mean-square norms, gated MLPs (Shazeer 2020), a sliding window in every
layer (Beltagy et al. 2020), so that the state at a step depends on the last CONTEXT steps and on nothing else: what a
key/value ring holds after an hour is what it would hold had the band just come in.

The melody carries the harmony: the chord comes from the harmonist, which hears nothing but the melody, and the hand is
told everything from the chord's root. Its own past tells it rhythm and voicing, not the key; a band that reads its own
wrong chords believes them (DESIGN, 'Own past'). The tokens of one step are written by a small recurrent net conditioned
on the hand's state (a depth decoder, as in Lee et al. 2022): a step costs one pass through the hand and one small one a
token.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.harmonist.network import Harmonist, HarmonistConfig
from music.encoding import step_features, step_tokens
from music.styles import list_styles

TRANSFORMER_STYLES = list_styles("transformer")

#: steps that each layer looks back over, itself included; together what a state depends on
WINDOWS = (24, 192, 24, 16)
CONTEXT = sum(WINDOWS)

#: Rotations repeat after PERIOD steps and all have whole periods in it, so that positions may be counted modulo PERIOD
#: for ever. Harmonics of it, in steps: 2, 4, 8, 16 (a bar) ... and what divides bars of three.
PERIOD = 3072
HARMONICS = (1536, 768, 384, 192, 96, 48, 24, 12, 6, 3, 1024, 512, 256, 128, 64, 32)
_HALF = 16  #: half of a head
#: What the melody may do: rest, go on, or begin a pitch, told from the chord's root as tokens.PITCH is.
TUNE = 2 + step_tokens.PITCH_TOKENS
_BLOCK = 32  #: no smaller than the windows of the layers that hear little


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """Sizes. hand, inside: widths of a state (a multiple of 32) and of an MLP; writer: of the depth decoder."""

    hand: int = 192
    inside: int = 512
    writer: int = 192
    harmonist: HarmonistConfig = field(default_factory=HarmonistConfig)

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return asdict(self)


class Norm(nn.Module):
    """Root-mean-square norm over the last axis, in fp32. (..., d) -> same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-5) * self.gain


def rotation(position: Tensor, harmonics: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine, (T, 1, half) each, of positions (T,) in steps."""
    angle = (position[:, None, None].float() * harmonics / PERIOD) * (2 * torch.pi)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate pairs: x (B, T, heads, 2 * half), in fp32."""
    cos, sin = turn
    a, b = x.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention over (..., S, d); mask (..., T, S) True where seen."""
    scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    weights: Tensor = scores.masked_fill(~mask, -1e9).softmax(-1).to(value.dtype)
    return weights @ value


class Layer(nn.Module):
    """Pre-norm attention and gated MLP on states (B, T, width)."""

    harmonics: Tensor

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.heads = width // (2 * _HALF)
        self.norm, self.norm_inside = Norm(width), Norm(width)
        self.ask, self.look, self.carry = (_linear(width, width) for _ in range(3))
        self.give = _linear(width, width, 0.4)
        self.gate, self.up = _linear(width, inside), _linear(width, inside)
        self.down = _linear(inside, width, 0.5)
        self.register_buffer("harmonics", torch.tensor(HARMONICS, dtype=torch.float32), persistent=False)

    def keys(self, x: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (B, T, heads, 32) each, rotated."""
        y = self.norm(x)
        turn = rotation(position, self.harmonics)
        query, key, value = (f(y).unflatten(-1, (self.heads, 2 * _HALF)) for f in (self.ask, self.look, self.carry))
        return rotate(query, turn).to(value.dtype), rotate(key, turn).to(value.dtype), value

    def finish(self, x: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """The state after attention over keys and values (B, S, heads, 32), mask (T, S) True where seen, and MLP."""
        q, k, v = (t.transpose(1, 2) for t in (query, key, value))
        return self._after(x, attention(q, k, v, mask).transpose(1, 2))

    def _after(self, x: Tensor, seen: Tensor) -> Tensor:
        x = x + self.give(seen.flatten(-2))
        y = self.norm_inside(x)
        after: Tensor = x + self.down(functional.silu(self.gate(y)) * self.up(y))
        return after

    def forward(self, x: Tensor, position: Tensor, window: int) -> Tensor:
        """The whole of a stretch at once, as in training. position: (T,), rising by one."""
        query, key, value = self.keys(x, position)
        if window > _BLOCK or x.shape[1] % _BLOCK:
            return self.finish(x, query, key, value, seen_from(position, position, window))
        blocks = x.shape[1] // _BLOCK  # a block hears itself and the one before: a fraction of the work
        q, k, v = (t.unflatten(1, (blocks, _BLOCK)).transpose(2, 3) for t in (query, key, value))
        k, v = (torch.cat([functional.pad(t[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0)), t], 3) for t in (k, v))
        at = torch.arange(_BLOCK, device=x.device)
        there = torch.arange(-_BLOCK, _BLOCK, device=x.device)
        first = torch.arange(blocks, device=x.device)[:, None, None, None] > 0
        seen = attention(q, k, v, seen_from(at, there, window) & (first | (there >= 0)))
        return self._after(x, seen.transpose(2, 3).flatten(1, 2))


def _linear(source: int, target: int, gain: float = 1.0) -> nn.Linear:
    made = nn.Linear(source, target, bias=False)
    nn.init.normal_(made.weight, std=gain / source**0.5)
    return made


class HandDecoder(nn.Module):
    """Features of every step -> a state from which the next step is written; how loud every role plays it; and what the
    melody may do there, for who wants it continued."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.read = nn.Linear(step_features.FEATURE_COUNT + len(TRANSFORMER_STYLES), config.hand)
        nn.init.normal_(self.read.weight, std=0.2)
        self.layers = nn.ModuleList(Layer(config.hand, config.inside) for _ in WINDOWS)
        self.norm = Norm(config.hand)
        self.loud = nn.Linear(config.hand, 4)
        self.tune = nn.Linear(config.hand, TUNE)
        self.loud_log_std = nn.Parameter(torch.full((len(TRANSFORMER_STYLES), 4), -2.0))

    def enter(self, features: Tensor, style: Tensor) -> Tensor:
        """Features (B, T, steps.FEATURES), style (B, styles) one-hot -> states (B, T, hand)."""
        state: Tensor = self.read(torch.cat([features, style[:, None].expand(-1, features.shape[1], -1)], -1))
        return state

    def forward(self, features: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """State (B, T, hand), logits of velocity / 127 (B, T, 4), and of the melody's next step (B, T, TUNE)."""
        state, position = self.enter(features, style), torch.arange(features.shape[1], device=features.device)
        for layer, window in zip(self.layers, WINDOWS, strict=True):
            state = layer(state, position, window)
        state = self.norm(state)
        return state, self.loud(state), self.tune(state)


class NoteWriter(nn.Module):
    """The depth decoder: a gated recurrent net (Cho et al. 2014) over the tokens of one step."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.writer
        self.width = width
        self.token = nn.Embedding(step_tokens.WRITER + 1, 96)  # the last: nothing yet
        nn.init.normal_(self.token.weight, std=0.5)
        self.begin = _linear(config.hand, width)
        self.hear = nn.Linear(96, 3 * width)
        self.condition = _linear(config.hand, 3 * width)
        self.recall = _linear(width, 3 * width)
        self.norm = Norm(width)
        self.write = nn.Linear(width, step_tokens.WRITER)

    def start(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """State of the hand (N, hand) -> (N, width) to begin with and (N, 3 * width) that is heard at every token."""
        return self.begin(state).tanh(), self.condition(state)

    def step(self, memory: Tensor, heard: Tensor) -> Tensor:
        """Memory (N, width) after what is heard (N, 3 * width): a token's and the condition's."""
        reset, keep, new = heard.chunk(3, -1)
        r, k, n = self.recall(memory).chunk(3, -1)
        keep = (keep + k).sigmoid()
        return keep * memory + (1 - keep) * (new + (reset + r).sigmoid() * n).tanh()

    def logits(self, memory: Tensor) -> Tensor:
        """(N, width) -> (N, WRITER)."""
        made: Tensor = self.write(self.norm(memory))
        return made

    def forward(self, state: Tensor, before: Tensor, counts: list[int]) -> Tensor:
        """Logits (sum of counts, WRITER), teacher forced, of many steps at once, the longest first, packed: first every
        step's first token, then the second of those that have one ... state (N, hand); before: (sum of counts,) the
        tokens before those, WRITER where there is none; counts: how many steps have a first token, a second ..."""
        memory, condition = self.start(state)
        heard = self.hear(self.token(before)).split(counts)
        memories = []
        for here, count in zip(heard, counts, strict=True):
            memory = self.step(memory[:count], here + condition[:count])
            memories.append(memory)
        return self.logits(torch.cat(memories))


class Transformer(nn.Module):
    """Hand and writer, and the harmonist that they take their chords from."""

    def __init__(self, config: TransformerConfig = TransformerConfig()) -> None:
        super().__init__()
        self.config = config
        self.hand, self.writer = HandDecoder(config), NoteWriter(config)
        self.harmonist = Harmonist(config.harmonist).requires_grad_(False).eval()


def seen_from(step: Tensor, other: Tensor, window: int) -> Tensor:
    """(T, S) True where the step of a row hears the step of a column: itself and `window` - 1 before it."""
    back = step[:, None] - other[None, :]
    return (back >= 0) & (back < window)
