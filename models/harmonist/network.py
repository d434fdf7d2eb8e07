"""The harmonist: predicts the chords that belong under a melody, now and over the next beats.

It hears the melody alone. A band that reads the harmony off its own past takes a mistake for the key; a net that hears
nothing but the melody cannot (models/LOG.md). Causal dilated convolutions (van den Oord et al. 2016) over patches that
end at the now-line, in layers that hear every key alike; where the whole melody is visible, a second stack hears it
from the other side. Live, that stack hears what followed when the melody last went like this
(music.analysis.melody_recall): from the second verse on the harmonist knows what is probably coming, as a player does.

Dense in training, `forward` predicts at every patch of a long melody; `predict` computes only what the last patch
needs, a pyramid of strided convolutions, and is what plays. A patch is a beat long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.key_equivariant import Drop, KeyConv, KeyNorm, Width, join
from models.recipe import Bounds
from music.chords import QUALITIES, QUALITY_TONES
from music.encoding.chord_evidence import CERTAINTY, EVIDENCE_BEATS, PAST_BEATS, PITCHED_PLANES, PLAIN_PLANES
from music.encoding.melody_context import AHEAD_BEATS, MELODY_PLANES, PAST_STEPS
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT

CHORDS = len(QUALITIES) * PITCH_CLASSES
MEMORY_PATCHES = PAST_STEPS // STEPS_PER_BEAT  #: patches that count for the key
#: time constants of the key's histograms
FADES_PATCHES = (2.0, 8.0, 32.0, 128.0)
#: mean square below which a state counts as silent: rests are common
SILENCE_FLOOR = 1e-2
#: Chords known at n patches: (B, PITCHED_PLANES * EVIDENCE_BEATS, 12, n) and (B, PLAIN_PLANES * EVIDENCE_BEATS, n).
Given = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class HarmonistConfig:
    """Sizes of the network. Each layer hears twice as far as the one before."""

    width: tuple[int, int] = (16, 64)  #: (pitched, plain) channels
    past: Annotated[int, Bounds(1, 12)] = 5  #: layers left of the now-line
    future: Annotated[int, Bounds(1, 12)] = 3  #: layers right of it
    drop: Annotated[float, Bounds(0, 0.99)] = 0.1  #: share of channels left out of every block in training
    given: bool = False  #: hears chords that are known from elsewhere (music.encoding.chord_evidence), too


class Dilated(nn.Module):
    """A residual block that hears three patches, `dilation` apart, to the left (or right) of every position."""

    def __init__(self, width: Width, dilation: int, right: bool = False, drop: float = 0.0) -> None:
        super().__init__()
        self.drop = Drop(width, drop)
        self.norm = KeyNorm(width, SILENCE_FLOOR)
        self.spread = KeyConv(width, width, 3, gain=1.4)
        self.mix = KeyConv(width, width, 1, gain=0.3)
        self.activate: nn.Module = nn.SiLU()
        self.dilation, self.right = dilation, right

    def forward(self, x: Tensor) -> Tensor:
        """Compute every position: (B, total, T) -> same."""
        reach = 2 * self.dilation
        y = functional.pad(self.norm(x), (0, reach) if self.right else (reach, 0))
        spread = self.activate(self.spread.convolve(y, dilation=self.dilation))
        mixed: Tensor = self.mix(self.drop(spread))
        return x + mixed

    def halve(self, x: Tensor) -> Tensor:
        """Compute every other position, counted from the now-line: (B, total, 2 n) -> (B, total, n).

        The positions given lie `dilation` apart.
        """
        y = functional.pad(self.norm(x), (0, 1) if self.right else (1, 0))
        mixed: Tensor = self.mix(self.activate(self.spread.convolve(y, stride=2)))
        return x[:, :, (0 if self.right else 1) :: 2] + mixed


class Pointwise(nn.Module):
    """A residual block at one position."""

    def __init__(self, width: Width, drop: float = 0.0) -> None:
        super().__init__()
        self.drop = Drop(width, drop)
        self.norm = KeyNorm(width, SILENCE_FLOOR)
        self.spread = KeyConv(width, width, 1, gain=1.4)
        self.mix = KeyConv(width, width, 1, gain=0.3)
        self.activate: nn.Module = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(self.drop(self.activate(self.spread(self.norm(x)))))
        return x + mixed


class GivenChordBranch(nn.Module):
    """Corrects the scores by the chords that are known; where none is, they stay as they are to the last bit."""

    def __init__(self, width: Width, drop: float = 0.0) -> None:
        super().__init__()
        heard = Width(PITCHED_PLANES * EVIDENCE_BEATS, PLAIN_PLANES * EVIDENCE_BEATS)
        told = Width(AHEAD_BEATS * len(QUALITIES), 0)
        self.read = KeyConv(heard, width, gain=3.0)
        self.listen = KeyConv(width, width)
        self.think = nn.ModuleList(Pointwise(width, drop) for _ in range(2))
        self.norm = KeyNorm(width, SILENCE_FLOOR)
        self.head = KeyConv(width, told, gain=0.0)
        self.tell = KeyConv(heard, told, gain=0.0)
        self.trust = nn.Parameter(torch.zeros(AHEAD_BEATS))

    def forward(self, told: Tensor, state: Tensor, pitched: Tensor, plain: Tensor) -> Tensor:
        """Return the corrected scores.

        told: (B, AHEAD_BEATS, CHORDS, n), by the melody alone; state: (B, width, n), normalised; pitched:
        (B, PITCHED_PLANES * EVIDENCE_BEATS, 12, n); plain: (B, PLAIN_PLANES * EVIDENCE_BEATS, n).
        """
        b, _, _, n = told.shape
        known = join(pitched, plain)
        own = self.read(known) + self.listen(state)
        for block in self.think:
            own = block(own)
        said = (self.head(self.norm(own)) + self.tell(known)).reshape(b, AHEAD_BEATS, CHORDS, n)
        certainty = plain.unflatten(1, (PLAIN_PLANES, EVIDENCE_BEATS))[:, CERTAINTY]  # (B, EVIDENCE_BEATS, n)
        is_told = certainty.amax(1)[:, None, None]
        doubt = 1 - certainty[:, PAST_BEATS:, None] * torch.sigmoid(self.trust)[:, None, None]
        corrected: Tensor = told * doubt + said * is_told
        return corrected


class Harmonist(nn.Module):
    """Predicts chord scores of the next AHEAD_BEATS from the melody."""

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
        self.take_key = KeyConv(Width(len(FADES_PATCHES), 0), width, gain=3.0)
        self.think = nn.ModuleList(Pointwise(width, config.drop) for _ in range(2))
        self.norm = KeyNorm(width, SILENCE_FLOOR)
        self.head = KeyConv(width, Width(AHEAD_BEATS * len(QUALITIES), 0), gain=0.5)
        self.given = GivenChordBranch(width, config.drop) if config.given else None
        age = torch.arange(MEMORY_PATCHES - 1, -1, -1)
        self.register_buffer("fade", torch.stack([(-age / f).exp() for f in FADES_PATCHES])[:, None], persistent=False)

    def forward(
        self, melody: Tensor, phase: Tensor, place: Tensor, known: Tensor, given: Given | None = None
    ) -> Tensor:
        """Predict at the end of each of n patches: return scores (B, AHEAD_BEATS, CHORDS, n), quality-major.

        melody: (B, MELODY_PLANES, 12, 4 n); phase: (B, 16, n), of the step after each patch; place: (B, n), the patch
        after which is heard what follows, its own or an earlier one; known: (B, 1, n), how sure it is that this is what
        follows (music.encoding.melody_context). given: the chords that are known, for a net that hears them.
        """
        x = join(_cut_patches(melody), phase)
        state = self.read(x)
        for block in self.past:
            state = block(state)
        right = self.read_future(x)
        for block in self.future:
            right = block(right)
        right = functional.pad(right[:, :, 1:], (0, 1))
        right = right.gather(2, place[:, None].expand(-1, right.shape[1], -1))
        key = functional.pad(_measure_durations(melody).flatten(0, 1)[:, None], (MEMORY_PATCHES - 1, 0))
        return self._score(state + self._weigh_future(right, known), functional.conv1d(key, self.fade.to(key)), given)

    def predict(self, melody: Tensor, phase: Tensor, known: Tensor, given: Given | None = None) -> Tensor:
        """Predict at the now-line: return scores (B, AHEAD_BEATS, CHORDS), those of forward() for the last past patch.

        melody: (B, MELODY_PLANES, 12, PAST_STEPS + FUTURE_STEPS); phase: (B, 16); known: (B, 1), how sure it is that
        what stands right of the line follows; given: the chords that are known, n = 1, for a net that hears them.
        """
        patches, b = _cut_patches(melody), len(melody)
        line = PAST_STEPS // STEPS_PER_BEAT
        # the step after every patch of the past and of the future, one patch further each: phases rotate by a beat
        turns = torch.stack([phase.roll(STEPS_PER_BEAT * k, 1) for k in range(4)], 2)  # (B, 16, 4)
        count = patches.shape[-1]
        phases = turns.repeat(1, 1, -(-count // 4) + 1)
        begin = (1 - line) % 4
        x = join(patches, phases[:, :, begin : begin + count])
        state, right = self.read(x[:, :, :line]), self.read_future(x[:, :, line:])
        for i in range(self.config.past):
            state = self._as_dilated(self.past[i]).halve(state)
        for i in range(self.config.future):
            right = self._as_dilated(self.future[i]).halve(right)
        state = state[:, :, -1:] + self._weigh_future(right[:, :, :1], known[:, :, None])
        key = _measure_durations(melody[..., :PAST_STEPS]).flatten(0, 1)[:, None]  # (B * 12, 1, MEMORY_PATCHES)
        told = self._score(state, functional.conv1d(key, self.fade.to(key)), given)
        return told.reshape(b, AHEAD_BEATS, CHORDS)

    def _weigh_future(self, right: Tensor, known: Tensor) -> Tensor:
        """Return what follows, (B, width, n), as far as it is known."""
        told: Tensor = self.take_future(right) * known + self.take_trust(torch.cat([known, known.square()], 1))
        return told

    @staticmethod
    def _as_dilated(module: nn.Module) -> Dilated:
        assert isinstance(module, Dilated)
        return module

    def _score(self, state: Tensor, key: Tensor, given: Given | None) -> Tensor:
        """Return the scores: state (B, width, n), key (B * 12, fades, n) -> (B, AHEAD_BEATS, CHORDS, n)."""
        b, _, n = state.shape
        shares = key.reshape(b, PITCH_CLASSES, len(FADES_PATCHES), n).transpose(1, 2)
        shares = shares / (shares.sum(2, keepdim=True) + 0.25)
        state = state + self.take_key(4 * shares.flatten(1, 2))
        for block in self.think:
            state = block(state)
        state = self.norm(state)
        told: Tensor = self.head(state).reshape(b, AHEAD_BEATS, CHORDS, n)
        if self.given is not None and given is not None:
            told = self.given(told, state, *given)
        return told


def _cut_patches(melody: Tensor) -> Tensor:
    """Lay the four steps of each patch side by side: (B, C, 12, T) -> (B, C * 4, 12, T / 4)."""
    b, c, classes, t = melody.shape
    cut = melody.reshape(b, c, classes, t // STEPS_PER_BEAT, STEPS_PER_BEAT).permute(0, 1, 4, 2, 3)
    return cut.reshape(b, c * STEPS_PER_BEAT, classes, t // STEPS_PER_BEAT)


def _measure_durations(melody: Tensor) -> Tensor:
    """Return how long each pitch class sounds in each patch, in beats: (B, MELODY_PLANES, 12, T) -> (B, 12, T / 4)."""
    sounding = melody[:, :-1].amax(1)
    return functional.avg_pool1d(sounding, STEPS_PER_BEAT)


def compute_chord_loss(told: Tensor, chords: Tensor) -> Tensor:
    """Return the cross-entropy (nats) of chords under scores told: (B, AHEAD_BEATS, n), 0 where unknown.

    told: (B, AHEAD_BEATS, CHORDS, n); chords: (B, 2, AHEAD_BEATS, n), root and quality, -1 where unknown.
    """
    root, quality = chords[:, 0], chords[:, 1]
    target = torch.where(root >= 0, quality * PITCH_CLASSES + root, -100)
    return functional.cross_entropy(told.permute(0, 2, 1, 3).float(), target, ignore_index=-100, reduction="none")


# --- choosing -------------------------------------------------------------------------------------------------------


#: weight of the share of the played chord's tones that are meant, beside the cosine. Where nothing more will be heard
#: the cosine alone counts, which asks for the right chord rather than for a safe one.
HIT_WEIGHT = 0.5


def _compare_chords() -> tuple[Tensor, Tensor]:
    """Return COSINE and SHARE."""
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
COSINE, SHARE = _compare_chords()


def measure_agreement(scores: Tensor, known: Tensor) -> Tensor:
    """Return how well each chord is expected to agree with the one that is meant, 0..1, of scores (B, n, CHORDS).

    known: (B, n or 1), 1 where what follows has been heard (music.encoding.melody_context). In doubt between C and A
    minor the chord that shares most with both does least harm; the likeliest one alone need not be it (a minimum-risk
    decision).
    """
    safe = HIT_WEIGHT * (known < 1).to(scores)[:, :, None]
    odds = scores.softmax(2)
    return (1 - safe) * (odds @ COSINE.to(scores)) + safe * (odds @ SHARE.to(scores))
