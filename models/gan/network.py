"""The GAN's generator: a conditional U-Net that accompanies.

The generator reads the canvas left of the now-line (melody, committed band, masks, phase, style, groove vector z) and
writes onsets and sustains of bass, chords, pad and drums right of it. Its critic (models.critic) judges binary rolls,
with the *true* melody on both sides of the now-line, so that the generator is paid for anticipating. The groove vector
z tells how a band moves: an encoder hears the mean bar of the real part during training, and its vectors of real bands
are those that z is drawn from when playing. Between encoding and scoring stands a bottleneck, one chord a beat: it
keeps a plan in one harmony instead of the mean of several. The chords are the harmonist's
(models/harmonist/network.py), which hears nothing but the melody.

All time positions are beats; a beat's four steps lie side by side in its channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.critic import cut_beats
from models.gan.dataset import GAN_STYLES, RHYTHM_ROWS
from models.gan.drummer import Drummer
from models.gan.roll import WRITTEN_BEATS, RollLogits
from models.harmonist.network import Given, Harmonist, HarmonistConfig, measure_agreement
from models.key_equivariant import Block, KeyConv, KeyNorm, Layout, Width
from models.recipe import Bounds, Count
from music.chords import QUALITIES
from music.encoding.gan_canvas import (
    BAND_KNOWN,
    CANVAS_BEATS,
    FIRST_NOW_STEP,
    FUTURE_STEPS,
    PITCHED_HEADS,
    PITCHED_PLANES,
    PLAIN_HEADS,
    PLAIN_PLANES,
    PULSE_PLANES,
)
from music.encoding.melody_context import AHEAD_BEATS
from music.note import PITCH_CLASSES, PITCHED_ROLES, STEPS_PER_BAR, STEPS_PER_BEAT

CONTEXT_BEATS = 12  #: beats of the last level: those that may be written, and some before them for company
#: chords whose root the bass is told of: that of its beat, and the next beat's
TOLD_ROOTS = 2
#: how sharply a doubt about the chord is settled against the noise
AGREEMENT_GAIN = 12.0
#: no groove vector lies further out
GROOVE_BOUND = 2.5

#: where the plain heads lie side by side
_PLAIN_ROWS = {
    head: slice(end - size, end)
    for (head, size), end in zip(PLAIN_HEADS.items(), accumulate(PLAIN_HEADS.values()), strict=True)
}
#: channels of all heads together
HEAD = Width(sum(PITCHED_HEADS.values()), sum(PLAIN_HEADS.values()))


@dataclass(frozen=True, slots=True)
class GanConfig:
    """Sizes of the networks. A width is (pitched, plain) channels."""

    z: int = 16  #: length of the groove vector; the drummer has one of its own, as long
    fine: tuple[int, int] = (20, 80)  #: width at beats
    coarse: tuple[int, int] = (28, 112)  #: width at bars
    blocks: Count = 3  #: residual blocks a level
    drummer: Count = 96  #: width of the drummer's own network; 0: the band's network writes the drums, too
    critic: tuple[int, int] = (12, 48)  #: width
    critic_hears_future: bool = True  #: it hears the true melody right of the now-line, too
    critic_beats: Annotated[int, Bounds(4, CANVAS_BEATS)] = 32  #: it hears so many, the last of the canvas
    harmonist: HarmonistConfig = field(default_factory=HarmonistConfig)


class CanvasState(NamedTuple):
    """A canvas as the generator has understood it."""

    band: Tensor  #: (B, fine.total, CONTEXT_BEATS)
    drummer: Tensor | None  #: (B, drummer, CANVAS_BEATS); None without a drummer of its own


class Generator(nn.Module):
    """A U-Net in two parts, `encode` (canvas -> state) and `score` (state and chords -> logits), and a harmonist."""

    def __init__(self, config: GanConfig = GanConfig()) -> None:
        super().__init__()
        self.config = config
        fine, coarse = Width(*config.fine), Width(*config.coarse)
        self.fine, self.coarse = fine, coarse
        plain_in = PLAIN_PLANES * STEPS_PER_BEAT + len(GAN_STYLES) + config.z
        self.read = KeyConv(Width(PITCHED_PLANES * STEPS_PER_BEAT, plain_in), fine, gain=4.0)
        self.take_pulse = nn.Conv1d(PULSE_PLANES * STEPS_PER_BEAT, fine.plain, 3, padding=1, bias=False)
        with torch.no_grad():  # a generator that was trained without it goes on as it was
            self.take_pulse.weight.zero_()
        self.down_blocks = nn.ModuleList(Block(fine) for _ in range(config.blocks))
        self.down = KeyConv(fine, coarse, kernel=4, stride=4)
        self.coarse_blocks = nn.ModuleList(Block(coarse) for _ in range(config.blocks))
        self.up = KeyConv(coarse, Width(fine.pitched * 4, fine.plain * 4))
        self.merge = KeyConv(Width(fine.pitched * 2, fine.plain * 2), fine)
        self.up_blocks = nn.ModuleList(Block(fine) for _ in range(config.blocks))
        self.take_chord = KeyConv(Width(len(QUALITIES), 0), fine, gain=3.0)
        # registers are absolute: the one break of symmetry
        self.pitch_name = nn.Parameter(torch.randn(2, PITCH_CLASSES) * 0.3)
        self.take_name = KeyConv(Width(2, 0), fine)
        self.score_blocks = nn.ModuleList(Block(fine) for _ in range(2))
        self.score_norm = KeyNorm(fine)
        self.write = KeyConv(fine, Width(HEAD.pitched * STEPS_PER_BEAT, HEAD.plain * STEPS_PER_BEAT), gain=0.5)
        self.cell_bias = nn.Parameter(torch.zeros(HEAD.pitched, PITCH_CLASSES))
        self.bass_intervals = BassIntervals(fine.plain)
        self.velocity_log_std = nn.Parameter(torch.full((len(GAN_STYLES), 4), -2.0))
        self.drummer = Drummer(config.drummer, len(GAN_STYLES), config.z, fine.plain) if config.drummer else None
        self.harmonist = Harmonist(config.harmonist).eval()
        self.layout = Layout()

    def encode(
        self, pitched: Tensor, plain: Tensor, pulse: Tensor, style: Tensor, z: Tensor, fill: Tensor | None = None
    ) -> CanvasState:
        """Return the state of a canvas.

        pitched: (B, PITCHED_PLANES, 12, CANVAS_STEPS); plain: (B, PLAIN_PLANES, CANVAS_STEPS);
        pulse: (B, PULSE_PLANES, CANVAS_STEPS); style: (B, styles) one-hot; z: (B, groove_size); fill: (B,
        CANVAS_BEATS), beats of bars that lead into another section, which a drummer of its own hears.
        """
        heard = None
        if self.drummer is not None:
            assert fill is not None
            z, own = z.split(self.config.z, 1)
            heard = self.drummer.listen(plain, pulse, style, own, fill)
        condition = torch.cat([style, z], 1)[:, :, None].expand(-1, -1, CANVAS_BEATS)
        x = self.read(torch.cat([cut_beats(pitched, plain), condition], 1))
        beats = pulse.reshape(-1, PULSE_PLANES, CANVAS_BEATS, STEPS_PER_BEAT).permute(0, 1, 3, 2).flatten(1, 2)
        x = x + functional.pad(self.take_pulse(beats), (0, 0, self.fine.total - self.fine.plain, 0))
        for block in self.down_blocks:
            x = block(x)
        skip = x  # (B, fine, BEATS)
        x = self.down(x)  # (B, coarse, BEATS / 4)
        for block in self.coarse_blocks:
            x = block(x)
        bars = CONTEXT_BEATS // 4
        x = self.up(x[:, :, -bars:])  # (B, 4 * fine, CONTEXT_BEATS / 4)
        x = self.layout.spread(x, self.fine, 4)[:, :, -CONTEXT_BEATS:]
        x = self.merge(self.layout.concatenate(x, skip[:, :, -CONTEXT_BEATS:], self.fine))
        for block in self.up_blocks:
            x = block(x)
        return CanvasState(x, heard)

    @property
    def groove_size(self) -> int:
        """Length of what tells a groove: the band's vector, then the drummer's."""
        return self.config.z * (1 if self.drummer is None else 2)

    def score(self, state: CanvasState, chord: Tensor) -> RollLogits:
        """Return the logits given one chord a beat: (B, qualities, 12, WRITTEN_BEATS) one-hot, 0 left of the line."""
        b = chord.shape[0]
        name = self.take_name(self.pitch_name.reshape(1, -1, 1).expand(b, -1, 1))
        taken = functional.pad(self.take_chord(chord.flatten(1, 2)), (CONTEXT_BEATS - WRITTEN_BEATS, 0))
        x = state.band + taken + name
        for block in self.score_blocks:
            x = block(x)
        normal = self.score_norm(x[:, :, -WRITTEN_BEATS:])
        x = self.write(normal)
        split = HEAD.pitched * STEPS_PER_BEAT * PITCH_CLASSES
        pitched = (
            x[:, :split].reshape(b, HEAD.pitched, STEPS_PER_BEAT, PITCH_CLASSES, WRITTEN_BEATS).permute(0, 1, 3, 4, 2)
        )
        pitched = pitched.reshape(b, HEAD.pitched, PITCH_CLASSES, FUTURE_STEPS) + self.cell_bias[None, :, :, None]
        plain = (
            x[:, split:]
            .reshape(b, HEAD.plain, STEPS_PER_BEAT, WRITTEN_BEATS)
            .permute(0, 1, 3, 2)
            .reshape(b, HEAD.plain, FUTURE_STEPS)
        )
        heads = dict(zip(PITCHED_HEADS, pitched.split(list(PITCHED_HEADS.values()), 1), strict=True))
        heard = normal[:, -self.fine.plain :]
        heads["bass_pitch"] = heads["bass_pitch"] + self.bass_intervals(heard, chord)
        if self.drummer is None or state.drummer is None:
            return RollLogits(heads, dict(zip(PLAIN_HEADS, plain.split(list(PLAIN_HEADS.values()), 1), strict=True)))
        others = {head: plain[:, rows] for head, rows in _PLAIN_ROWS.items()}
        gates = torch.cat([others[f"{role}_gate"] for role in PITCHED_ROLES], 1)
        return RollLogits(heads, others | {"drums": self.drummer.score(state.drummer, heard, gates)})

    def forward(
        self,
        pitched: Tensor,
        plain: Tensor,
        pulse: Tensor,
        style: Tensor,
        z: Tensor,
        noise: Tensor,
        melody: Tensor,
        phase: Tensor,
        known: Tensor,
        fill: Tensor | None = None,
        given: Given | None = None,
    ) -> tuple[Tensor, ...]:
        """Plan: return the chords, one-hot, then the logits of all pitched and of all plain heads, side by side.

        noise: (B, qualities, 12, WRITTEN_BEATS), added when a chord is chosen; melody, phase and known are the
        harmonist's input (music.encoding.melody_context), and given the chords that are known; the rest is as `encode`
        takes it. The heads stand in the order of PITCHED_HEADS and PLAIN_HEADS: (B, HEAD.pitched, 12, FUTURE_STEPS) and
        (B, HEAD.plain, FUTURE_STEPS).
        """
        chord = choose_chords(self.harmonist.predict(melody, phase, known, given), plain, noise, known)
        scores = self.score(self.encode(pitched, plain, pulse, style, z, fill), chord)
        return chord, torch.cat(list(scores.pitched.values()), 1), torch.cat(list(scores.plain.values()), 1)


class BassIntervals(nn.Module):
    """Scores of the bass by its interval above the chord's root, now and next: the root by default, others as learnt.

    It begins with zeros, so that a generator that was trained without it goes on as it was.
    """

    source: Tensor  #: (144,): where the score of each pair of pitch class and root is found among the intervals

    def __init__(self, plain: int) -> None:
        """plain: channels without pitch that it hears."""
        super().__init__()
        self.tell = nn.Conv1d(plain, TOLD_ROOTS * PITCH_CLASSES * STEPS_PER_BEAT, 1)
        with torch.no_grad():
            for weight in self.tell.parameters():
                weight.zero_()
        classes = torch.arange(PITCH_CLASSES)
        self.register_buffer("source", ((classes[:, None] - classes) % PITCH_CLASSES).flatten(), persistent=False)

    def forward(self, plain: Tensor, chord: Tensor) -> Tensor:
        """Return what is added to the scores of the bass: (B, 1, 12, FUTURE_STEPS).

        plain: (B, channels, WRITTEN_BEATS); chord: (B, qualities, 12, WRITTEN_BEATS) one-hot.
        """
        b = plain.shape[0]
        root = chord.sum(1)
        roots = torch.stack([root, torch.cat([root[..., 1:], root[..., -1:]], 2)], 1)  # (B, TOLD_ROOTS, 12, beats)
        told = self.tell(plain).reshape(b, TOLD_ROOTS, PITCH_CLASSES, STEPS_PER_BEAT, WRITTEN_BEATS)
        pairs = told.index_select(2, self.source).unflatten(2, (PITCH_CLASSES, PITCH_CLASSES))
        scores = (pairs * roots[:, :, None, :, None].to(pairs.dtype)).sum((1, 3))  # (B, 12, STEPS_PER_BEAT, beats)
        return scores.transpose(2, 3).reshape(b, 1, PITCH_CLASSES, FUTURE_STEPS)


def choose_chords(told: Tensor, plain: Tensor, noise: Tensor, known: Tensor) -> Tensor:
    """Choose one chord for every beat that may be written: (B, qualities, 12, WRITTEN_BEATS) one-hot.

    Beats that are over at the now-line, which the plain planes tell, have zeros. told: the harmonist's scores of the
    next beats (B, AHEAD_BEATS, CHORDS); noise: (B, qualities, 12, WRITTEN_BEATS); known: (B, 1), see
    music.encoding.melody_context.
    """
    scores = AGREEMENT_GAIN * measure_agreement(told, known).clamp(min=1e-6).log()
    ahead = (
        1 - plain[:, BAND_KNOWN, FIRST_NOW_STEP:].reshape(-1, WRITTEN_BEATS, STEPS_PER_BEAT)[..., -1]
    )  # (B, WRITTEN_BEATS)
    count = (ahead.cumsum(1) - 1) * ahead + (ahead - 1)  # which of the beats told this is, -1 for none
    place = (count[:, :, None] == torch.arange(AHEAD_BEATS, device=told.device)).to(
        scores.dtype
    )  # (B, WRITTEN_BEATS, AHEAD)
    wanted = place @ scores + noise.flatten(1, 2).transpose(1, 2)  # (B, WRITTEN_BEATS, CHORDS)
    best = (wanted >= wanted.amax(2, keepdim=True)).to(scores.dtype) * ahead[:, :, None]
    return best.transpose(1, 2).reshape(-1, len(QUALITIES), PITCH_CLASSES, WRITTEN_BEATS)


class Encoder(nn.Module):
    """Tells a groove: the mean bar of a band or its drums (B, rows, STEPS_PER_BAR) -> groove vector z (B, z).

    The mean bar (models.gan.dataset.find_mean_bar) is what begins at each sixteenth, how often, and how much sounds. So
    z tells how a band moves, and nothing of when it plays what.
    """

    def __init__(self, config: GanConfig, rows: int = RHYTHM_ROWS) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(rows * STEPS_PER_BAR, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU())
        self.head = nn.Linear(128, config.z)

    def forward(self, bar: Tensor) -> Tensor:
        z: Tensor = self.head(self.body(2 * bar.flatten(1))).float()
        return GROOVE_BOUND * (z / GROOVE_BOUND).tanh()  # unbounded, it ran away (models/LOG.md, run 1)
