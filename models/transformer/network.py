"""The transformer: writes, at every sixteenth, what the band does at the next one.

The hand is a decoder over steps: one position a sixteenth, which has heard everything up to that sixteenth and speaks
of the next one. Rotary positions (Su et al. 2021), root-mean-square norms, gated MLPs (Shazeer 2020), a sliding window
in every layer (Beltagy et al. 2020), so that the state at a step depends on the last CONTEXT_STEPS and on nothing else:
what a key/value ring holds after an hour is what it would hold had the band just come in.

The melody carries the harmony: the chord comes from the harmonist, which hears nothing but the melody, and the hand is
told everything from the chord's root. Its own past tells it rhythm and voicing, not the key; a band that reads its own
wrong chords believes them. The tokens of one step are written by the writer, a small recurrent net conditioned on the
hand's state (a depth decoder, as in Lee et al. 2022): a step costs one pass through the hand and one small one a token.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.harmonist.network import Harmonist, HarmonistConfig
from music.encoding import step_features, step_tokens
from music.styles import list_styles

TRANSFORMER_STYLES = list_styles("transformer")

#: steps that each layer looks back over, itself included; together what a state depends on
WINDOWS_STEPS = (24, 192, 24, 16)
CONTEXT_STEPS = sum(WINDOWS_STEPS)

#: rotations repeat after so many steps and all have whole periods in it, so that positions may be counted modulo it for
#: ever; the harmonics are 2, 4, 8, 16 steps (a bar) ... and what divides bars of three
PERIOD_STEPS = 3072
HARMONICS_STEPS = (1536, 768, 384, 192, 96, 48, 24, 12, 6, 3, 1024, 512, 256, 128, 64, 32)
HALF_HEAD = 16  #: half of a head
#: choices of what the melody does: rest, go on, or begin a pitch, told from the chord's root as tokens.PITCH is
MELODY_CHOICES = 2 + step_tokens.PITCH_TOKENS
#: what is added to a mean square before its root is taken
NORM_FLOOR = 1e-5
_BLOCK = 32  #: steps; no fewer than the windows of the layers that hear little


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """Widths of the network."""

    hand: int = 192  #: of a state of the hand, a multiple of 32
    inside: int = 512  #: of its MLPs
    writer: int = 192  #: of the depth decoder
    harmonist: HarmonistConfig = field(default_factory=HarmonistConfig)


class Norm(nn.Module):
    """Root-mean-square norm over the last axis, in fp32. (..., d) -> same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + NORM_FLOOR) * self.gain


def compute_rotation(position: Tensor, harmonics: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and sine, (T, 1, half) each, of positions (T,) in steps."""
    angle = (position[:, None, None].float() * harmonics / PERIOD_STEPS) * (2 * torch.pi)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate pairs: x (B, T, heads, 2 * half), in fp32."""
    cos, sin = turn
    a, b = x.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Return the softmax attention of (..., T, d) over (..., S, d); mask: (..., T, S), True where seen."""
    scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    weights: Tensor = scores.masked_fill(~mask, -1e9).softmax(-1).to(value.dtype)
    return weights @ value


class Layer(nn.Module):
    """Pre-norm attention and gated MLP on states (B, T, width)."""

    harmonics: Tensor

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.heads = width // (2 * HALF_HEAD)
        self.norm, self.norm_inside = Norm(width), Norm(width)
        self.ask, self.look, self.carry = (_make_linear(width, width) for _ in range(3))
        self.give = _make_linear(width, width, 0.4)
        self.gate, self.up = _make_linear(width, inside), _make_linear(width, inside)
        self.down = _make_linear(inside, width, 0.5)
        self.register_buffer("harmonics", torch.tensor(HARMONICS_STEPS, dtype=torch.float32), persistent=False)

    def project(self, x: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, (B, T, heads, 32) each, rotated."""
        y = self.norm(x)
        turn = compute_rotation(position, self.harmonics)
        query, key, value = (f(y).unflatten(-1, (self.heads, 2 * HALF_HEAD)) for f in (self.ask, self.look, self.carry))
        return rotate(query, turn).to(value.dtype), rotate(key, turn).to(value.dtype), value

    def finish(self, x: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Return the state after attention and MLP.

        key, value: (B, S, heads, 32); mask: (T, S), True where seen.
        """
        q, k, v = (t.transpose(1, 2) for t in (query, key, value))
        return self._add(x, attend(q, k, v, mask).transpose(1, 2))

    def _add(self, x: Tensor, seen: Tensor) -> Tensor:
        x = x + self.give(seen.flatten(-2))
        y = self.norm_inside(x)
        after: Tensor = x + self.down(functional.silu(self.gate(y)) * self.up(y))
        return after

    def forward(self, x: Tensor, position: Tensor, window: int) -> Tensor:
        """Compute a whole stretch at once, as in training. position: (T,), rising by one."""
        query, key, value = self.project(x, position)
        if window > _BLOCK or x.shape[1] % _BLOCK:
            return self.finish(x, query, key, value, mark_seen(position, position, window))
        blocks = x.shape[1] // _BLOCK  # a block hears itself and the one before: a fraction of the work
        q, k, v = (t.unflatten(1, (blocks, _BLOCK)).transpose(2, 3) for t in (query, key, value))
        k, v = (torch.cat([functional.pad(t[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0)), t], 3) for t in (k, v))
        at = torch.arange(_BLOCK, device=x.device)
        there = torch.arange(-_BLOCK, _BLOCK, device=x.device)
        first = torch.arange(blocks, device=x.device)[:, None, None, None] > 0
        seen = attend(q, k, v, mark_seen(at, there, window) & (first | (there >= 0)))
        return self._add(x, seen.transpose(2, 3).flatten(1, 2))


def _make_linear(source: int, target: int, gain: float = 1.0) -> nn.Linear:
    made = nn.Linear(source, target, bias=False)
    nn.init.normal_(made.weight, std=gain / source**0.5)
    return made


class HandDecoder(nn.Module):
    """Turns the features of every step into a state from which the next step is written.

    And into how loud every role plays it, and what the melody may do there, for when it is to be continued.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.read = nn.Linear(step_features.FEATURE_COUNT + len(TRANSFORMER_STYLES), config.hand)
        nn.init.normal_(self.read.weight, std=0.2)
        #: other metres than those of sixteen steps; without effect until they are learnt
        self.read_pulse = nn.Linear(step_features.PULSE_FEATURES, config.hand, bias=False)
        nn.init.zeros_(self.read_pulse.weight)
        self.layers = nn.ModuleList(Layer(config.hand, config.inside) for _ in WINDOWS_STEPS)
        self.norm = Norm(config.hand)
        self.loud = nn.Linear(config.hand, 4)
        self.tune = nn.Linear(config.hand, MELODY_CHOICES)
        self.loud_log_std = nn.Parameter(torch.full((len(TRANSFORMER_STYLES), 4), -2.0))

    def embed(self, features: Tensor, style: Tensor) -> Tensor:
        """Return the first states (B, T, hand) of features (B, T, FEATURE_COUNT + PULSE_FEATURES) and style.

        style: (B, styles), one-hot.
        """
        step, pulse = features.split([step_features.FEATURE_COUNT, step_features.PULSE_FEATURES], -1)
        state: Tensor = self.read(torch.cat([step, style[:, None].expand(-1, features.shape[1], -1)], -1))
        return state + self.read_pulse(pulse)

    def forward(self, features: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return states, logits of velocity / 127, and logits of the melody's next step.

        (B, T, hand), (B, T, ROLES) and (B, T, MELODY_CHOICES).
        """
        state, position = self.embed(features, style), torch.arange(features.shape[1], device=features.device)
        for layer, window in zip(self.layers, WINDOWS_STEPS, strict=True):
            state = layer(state, position, window)
        state = self.norm(state)
        return state, self.loud(state), self.tune(state)


class NoteWriter(nn.Module):
    """The depth decoder: a gated recurrent net (Cho et al. 2014) over the tokens of one step."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.writer
        self.width = width
        self.token = nn.Embedding(step_tokens.WRITER_TOKENS + 1, 96)  # the last: nothing yet
        nn.init.normal_(self.token.weight, std=0.5)
        self.begin = _make_linear(config.hand, width)
        self.hear = nn.Linear(96, 3 * width)
        self.condition = _make_linear(config.hand, 3 * width)
        self.recall = _make_linear(width, 3 * width)
        self.norm = Norm(width)
        self.write = nn.Linear(width, step_tokens.WRITER_TOKENS)

    def start(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the memory (N, width) to begin with, and the condition (N, 3 * width) heard at every token.

        state: of the hand, (N, hand).
        """
        return self.begin(state).tanh(), self.condition(state)

    def step(self, memory: Tensor, heard: Tensor) -> Tensor:
        """Return the memory (N, width) after a token; heard: (N, 3 * width), the token's and the condition's."""
        reset, keep, new = heard.chunk(3, -1)
        r, k, n = self.recall(memory).chunk(3, -1)
        keep = (keep + k).sigmoid()
        return keep * memory + (1 - keep) * (new + (reset + r).sigmoid() * n).tanh()

    def score(self, memory: Tensor) -> Tensor:
        """Return the logits of the next token: memory (N, width) -> (N, WRITER_TOKENS)."""
        made: Tensor = self.write(self.norm(memory))
        return made

    def forward(self, state: Tensor, before: Tensor, counts: list[int]) -> Tensor:
        """Return the logits (sum of counts, WRITER_TOKENS) of many steps at once, teacher forced.

        Packed, the longest steps first: every step's first token, then the second of those that have one ... state: (N,
        hand); before: (sum of counts,), the tokens before those, WRITER_TOKENS where there is none; counts: how many
        steps have a first token, a second ...
        """
        memory, condition = self.start(state)
        heard = self.hear(self.token(before)).split(counts)
        memories = []
        for here, count in zip(heard, counts, strict=True):
            memory = self.step(memory[:count], here + condition[:count])
            memories.append(memory)
        return self.score(torch.cat(memories))


class Transformer(nn.Module):
    """The hand, the writer, and the harmonist that they take their chords from."""

    def __init__(self, config: TransformerConfig = TransformerConfig()) -> None:
        super().__init__()
        self.config = config
        self.hand, self.writer = HandDecoder(config), NoteWriter(config)
        self.harmonist = Harmonist(config.harmonist).requires_grad_(False).eval()


def mark_seen(step: Tensor, other: Tensor, window: int) -> Tensor:
    """Return (T, S): True where the step of a row hears that of a column, itself and the `window` - 1 before it."""
    back = step[:, None] - other[None, :]
    return (back >= 0) & (back < window)
