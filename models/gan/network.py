"""The GAN: a conditional U-Net that accompanies, a critic that hears what the generator could not.

The generator reads the canvas left of the now-line (melody, committed band, masks, phase, style, groove vector z) and
writes onsets and sustains of bass, chords, pad and drums right of it. The critic judges binary rolls, with the *true*
melody on both sides of the now-line, so that the generator is paid for anticipating. WGAN-GP (Gulrajani et al. 2017);
the groove vector z tells how a band moves: an encoder hears the mean bar of the real part during training, and what
it makes of real bands is what z is drawn from when playing. Between trunk and score stands a bottleneck, one
chord a beat: it keeps a plan in one harmony instead of the mean of several. The chords are the harmonist's
(models/harmonist/network.py), who hears nothing but the melody.

All time positions are beats; a beat's four steps lie side by side in its channels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.gan.dataset import BAND, GAN_STYLES, RHYTHM
from models.harmonist import network as harmonist
from models.harmonist.network import Harmonist, HarmonistConfig
from models.key_equivariant import Block, KeyConv, KeyNorm, Width, concatenate, join
from music.chords import QUALITIES, QUALITY_TONES
from music.encoding.gan_canvas import (
    BAND_KNOWN,
    CANVAS_BEATS,
    DRUM_PLANES,
    FIRST_NOW_STEP,
    FUTURE_STEPS,
    HOLD_THRESHOLD,
    ONSET_THRESHOLD,
    PITCHED_HEADS,
    PITCHED_PLANES,
    PLAIN_HEADS,
    PLAIN_PLANES,
    PLANE,
    REGISTERS,
)
from music.encoding.melody_context import AHEAD_BEATS
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT

WRITTEN = FUTURE_STEPS // STEPS_PER_BEAT  #: beats that may be written
CONTEXT = 12  #: beats of the last level that see the written ones in company

HEAD = Width(sum(PITCHED_HEADS.values()), sum(PLAIN_HEADS.values()))


@dataclass(frozen=True, slots=True)
class GanConfig:
    """Sizes. z: length of the groove vector; fine/coarse: width (pitched, plain) at beats and at bars."""

    z: int = 16
    fine: tuple[int, int] = (20, 80)
    coarse: tuple[int, int] = (28, 112)
    blocks: int = 3
    critic: tuple[int, int] = (12, 48)
    critic_hears_future: bool = True
    harmonist: HarmonistConfig = field(default_factory=HarmonistConfig)

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return asdict(self)


class RollLogits(NamedTuple):
    """What the generator says of the FUTURE steps from FIRST_NOW on: logits (velocity: logits of velocity / 127).

    pitched: head -> (B, octaves, 12, FUTURE); plain: head -> (B, n, FUTURE).
    """

    pitched: dict[str, Tensor]
    plain: dict[str, Tensor]


class SoftRoll(NamedTuple):
    """A band as planes: band (B, planes from BAND on, 12, T), drums (B, DRUM_PLANES, T); 0..1."""

    band: Tensor
    drums: Tensor


def patch(pitched: Tensor, plain: Tensor) -> Tensor:
    """(B, C, 12, T) and (B, P, T) as beats: (B, C * 4 * 12 + P * 4, T / 4)."""
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


class Generator(nn.Module):
    """A U-Net in two parts, `trunk` (canvas -> state) and `score` (state and chords -> Scores), and a harmonist."""

    absolute: Tensor

    def __init__(self, config: GanConfig = GanConfig()) -> None:
        super().__init__()
        self.config = config
        fine, coarse = Width(*config.fine), Width(*config.coarse)
        self.fine, self.coarse = fine, coarse
        plain_in = PLAIN_PLANES * STEPS_PER_BEAT + len(GAN_STYLES) + config.z
        self.read = KeyConv(Width(PITCHED_PLANES * STEPS_PER_BEAT, plain_in), fine, gain=4.0)
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
        self.velocity_log_std = nn.Parameter(torch.full((len(GAN_STYLES), 4), -2.0))
        self.harmonist = Harmonist(config.harmonist).eval()

    def trunk(self, pitched: Tensor, plain: Tensor, style: Tensor, z: Tensor) -> Tensor:
        """Pitched (B, PITCHED_PLANES, 12, STEPS), plain (B, PLAIN_PLANES, STEPS), style (B, styles) one-hot, z (B, z)
        -> state of the last CONTEXT beats (B, fine.total, CONTEXT)."""
        condition = torch.cat([style, z], 1)[:, :, None].expand(-1, -1, CANVAS_BEATS)
        x = self.read(torch.cat([patch(pitched, plain), condition], 1))
        for block in self.down_blocks:
            x = block(x)
        skip = x  # (B, fine, BEATS)
        x = self.down(x)  # (B, coarse, BEATS / 4)
        for block in self.coarse_blocks:
            x = block(x)
        bars = CONTEXT // 4
        x = self.up(x[:, :, -bars:])  # (B, 4 * fine, CONTEXT / 4)
        x = self._spread(x)[:, :, -CONTEXT:]
        x = self.merge(concatenate(x, self.fine, skip[:, :, -CONTEXT:], self.fine))
        for block in self.up_blocks:
            x = block(x)
        return x

    def _spread(self, x: Tensor) -> Tensor:
        """(B, 4 * fine, bars) -> (B, fine, beats): each bar's four beats from its channels."""
        b, _, bars = x.shape
        (p, i), split = self.fine, self.fine.pitched * 4 * PITCH_CLASSES
        pitched = (
            x[:, :split]
            .reshape(b, p, 4, PITCH_CLASSES, bars)
            .permute(0, 1, 3, 4, 2)
            .reshape(b, p * PITCH_CLASSES, bars * 4)
        )
        plain = x[:, split:].reshape(b, i, 4, bars).permute(0, 1, 3, 2).reshape(b, i, bars * 4)
        return torch.cat([pitched, plain], 1)

    def score(self, state: Tensor, chord: Tensor) -> RollLogits:
        """Scores given one chord a beat: chord (B, qualities, 12, WRITTEN), one-hot, nothing left of the line."""
        b = state.shape[0]
        name = self.take_name(self.pitch_name.reshape(1, -1, 1).expand(b, -1, 1))
        taken = functional.pad(self.take_chord(chord.flatten(1, 2)), (CONTEXT - WRITTEN, 0))
        x = state + taken + name
        for block in self.score_blocks:
            x = block(x)
        x = self.write(self.score_norm(x[:, :, -WRITTEN:]))
        split = HEAD.pitched * STEPS_PER_BEAT * PITCH_CLASSES
        pitched = x[:, :split].reshape(b, HEAD.pitched, STEPS_PER_BEAT, PITCH_CLASSES, WRITTEN).permute(0, 1, 3, 4, 2)
        pitched = pitched.reshape(b, HEAD.pitched, PITCH_CLASSES, FUTURE_STEPS) + self.cell_bias[None, :, :, None]
        plain = (
            x[:, split:]
            .reshape(b, HEAD.plain, STEPS_PER_BEAT, WRITTEN)
            .permute(0, 1, 3, 2)
            .reshape(b, HEAD.plain, FUTURE_STEPS)
        )
        heads = dict(zip(PITCHED_HEADS, pitched.split(list(PITCHED_HEADS.values()), 1), strict=True))
        return RollLogits(heads, dict(zip(PLAIN_HEADS, plain.split(list(PLAIN_HEADS.values()), 1), strict=True)))

    def forward(
        self,
        pitched: Tensor,
        plain: Tensor,
        style: Tensor,
        z: Tensor,
        noise: Tensor,
        melody: Tensor,
        phase: Tensor,
        known: Tensor,
    ) -> tuple[Tensor, ...]:
        """One plan. The chord of a beat is the best by the harmonist's agreement plus noise (B, qualities, 12,
        WRITTEN); melody, phase and known are the hearing's, see music.encoding.melody_context. Returns the chord
        (one-hot), then the
        heads in the order of PITCHED_HEADS and PLAIN_HEADS, side by side: (B, HEAD.pitched, 12, FUTURE), (B,
        HEAD.plain, FUTURE)."""
        chord = choose_chords(self.harmonist.ahead(melody, phase, known), plain, noise, known)
        scores = self.score(self.trunk(pitched, plain, style, z), chord)
        return chord, torch.cat(list(scores.pitched.values()), 1), torch.cat(list(scores.plain.values()), 1)


AGREEMENT = 12.0  #: how sharply a doubt about the chord is settled against the noise


def choose_chords(told: Tensor, plain: Tensor, noise: Tensor, known: Tensor) -> Tensor:
    """What the harmonist told (B, AHEAD, CHORDS) as one chord for every written beat that is not over at the now-line
    of the plain planes: (B, qualities, 12, WRITTEN), one-hot; zeros for beats that are. known: (B, 1), see
    music.encoding.melody_context."""
    scores = AGREEMENT * harmonist.agreement(told, known).clamp(min=1e-6).log()
    ahead = 1 - plain[:, BAND_KNOWN, FIRST_NOW_STEP:].reshape(-1, WRITTEN, STEPS_PER_BEAT)[..., -1]  # (B, WRITTEN)
    count = (ahead.cumsum(1) - 1) * ahead + (ahead - 1)  # which of the beats told this is, -1 for none
    place = (count[:, :, None] == torch.arange(AHEAD_BEATS, device=told.device)).to(scores.dtype)  # (B, WRITTEN, AHEAD)
    wanted = place @ scores + noise.flatten(1, 2).transpose(1, 2)  # (B, WRITTEN, CHORDS)
    best = (wanted >= wanted.amax(2, keepdim=True)).to(scores.dtype) * ahead[:, :, None]
    return best.transpose(1, 2).reshape(-1, len(QUALITIES), PITCH_CLASSES, WRITTEN)


BOUND = 2.5  #: no groove vector lies further out


class Encoder(nn.Module):
    """What groove is this? rhythm (B, RHYTHM, STEPS) -> z (B, z).

    It hears the mean bar only, over the bars in which anything begins: what begins at each sixteenth of it, how often,
    and how much sounds. So z tells how a band moves, and nothing of when it plays what."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(RHYTHM * STEPS_PER_BAR, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU())
        self.head = nn.Linear(128, config.z)

    def forward(self, rhythm: Tensor) -> Tensor:
        bars = rhythm.unflatten(2, (-1, STEPS_PER_BAR))  # (B, RHYTHM, bars, 16)
        plays = (bars.amax((1, 3)) > 0).to(rhythm.dtype)  # (B, bars)
        mean = (bars * plays[:, None, :, None]).sum(2) / plays.sum(1).clamp(min=1)[:, None, None]
        z: Tensor = self.head(self.body(2 * mean.flatten(1))).float()
        return BOUND * (z / BOUND).tanh()  # unbounded, it ran away (models/LOG.md, run 1)


class Critic(nn.Module):
    """How real does this band sound under this melody? The last 16 beats of the canvas -> one number a bar, (B, 4).

    Without normalisation: near silence it would make the critic arbitrarily steep where no penalty looks.
    """

    BEATS = 16

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        self.hears_future = config.critic_hears_future
        width = Width(*config.critic)
        plain_in = (DRUM_PLANES + 5) * STEPS_PER_BEAT + len(GAN_STYLES)
        self.read = KeyConv(Width(PITCHED_PLANES * STEPS_PER_BEAT, plain_in), width, gain=2.0)
        self.blocks = nn.ModuleList(Block(width, normal=False) for _ in range(3))
        self.down = KeyConv(width, width, kernel=4, stride=4)
        self.bar_block = Block(width, normal=False)
        self.judge = KeyConv(width, Width(0, 1), gain=1.0)

    def forward(self, melody: Tensor, roll: SoftRoll, phase: Tensor, style: Tensor) -> Tensor:
        """Melody (B, BAND, 12, T), roll over the same T steps, phase (B, 5, T): beat of the bar and the now-line,
        style (B, styles)."""
        steps = self.BEATS * STEPS_PER_BEAT
        pitched = torch.cat([melody, roll.band], 1)[..., -steps:]
        plain = torch.cat([roll.drums, phase], 1)[..., -steps:]
        condition = style[:, :, None].expand(-1, -1, self.BEATS)
        x = self.read(torch.cat([patch(pitched, plain), condition], 1))
        for block in self.blocks:
            x = block(x)
        x = self.bar_block(functional.silu(self.down(x)))
        return self.judge(x)[:, 0]


# --- from scores to a roll -----------------------------------------------------------------------------------------


#: Rows of the noise that `play` takes: gates of bass, chords, pad, their holds, the drums.
RHYTHM_NOISES = 6 + DRUM_PLANES


def tones(chord: Tensor) -> Tensor:
    """The pitch classes of one chord a beat, (B, qualities, 12, WRITTEN) one-hot -> bool (B, 12, FUTURE)."""
    found = torch.zeros_like(chord[:, 0])
    for quality, intervals in enumerate(QUALITY_TONES):
        for interval in intervals:
            found = found + chord[:, quality].roll(interval, 1)
    return (found > 0.5).repeat_interleave(STEPS_PER_BEAT, 2)


def play(scores: RollLogits, past: SoftRoll, line: Tensor, noise: Tensor, fits: Tensor) -> SoftRoll:
    """The band the scores say, as planes of 0 and 1 over the FUTURE steps; gradients pass straight through.

    past: the committed band at those steps, right of the line (B,; in steps of the canvas) empty. noise: (B,
    RHYTHM_NOISES, FUTURE) logistic, added to gates, holds and drums: noise of scale 1 draws from the distribution, 0
    takes the likelier. fits: tones() of the chords. Left of the line the past stays as it is. The player does the same
    in numpy (daemon/players/gan.py; a test holds the two together)."""
    octaves = {part: REGISTERS[part].octaves for part in ("bass", "chords", "pad")}
    soft = _soft(scores)
    with torch.no_grad():
        pitched, plain = scores.pitched, scores.plain
        steps = torch.arange(FUTURE_STEPS, device=line.device) + FIRST_NOW_STEP
        ahead = steps[None] >= line[:, None]  # (B, FUTURE)
        gates = torch.cat([plain["bass_gate"], plain["chords_gate"], plain["pad_gate"]], 1) + noise[:, :3] > 0
        best = pitched["bass_pitch"].flatten(1, 2)
        begins = {"bass": (best >= best.amax(1, keepdim=True)).reshape(pitched["bass_pitch"].shape)}
        holds = {"bass": (plain["bass_hold"][:, :1, None] + noise[:, 3, None, None] > 0).expand_as(begins["bass"])}
        for i, part in ((1, "chords"), (2, "pad")):
            cells = pitched[f"{part}_onset"]
            begins[part] = (cells > ONSET_THRESHOLD) | (cells >= cells.flatten(1, 2).amax(1)[:, None, None])
            holds[part] = pitched[f"{part}_hold"] + noise[:, 3 + i, None, None] > HOLD_THRESHOLD
        planes = []
        for i, part in enumerate(("bass", "chords", "pad")):
            s, o, n = PLANE[part, "sustain"] - BAND, PLANE[part, "onset"] - BAND, octaves[part]
            known = past.band[:, s : s + n] > 0.5, past.band[:, o : o + n] > 0.5
            planes += _sound(part, begins[part], gates[:, i], holds[part], *known, ahead, fits)
        hard = torch.cat(planes, 1).to(past.band.dtype)
        drums = torch.where(ahead[:, None], plain["drums"] + noise[:, 6:] > 0, past.drums > 0.5).to(past.drums.dtype)
    live = ahead.to(hard.dtype)[:, None]
    band_soft, drums_soft = soft.band * live[:, None], soft.drums * live
    return SoftRoll(hard + (band_soft - band_soft.detach()), drums + (drums_soft - drums_soft.detach()))


def _sound(
    part: str, begins: Tensor, gate: Tensor, hold: Tensor, past: Tensor, past_onset: Tensor, ahead: Tensor, fits: Tensor
) -> list[Tensor]:
    """Sustain and onset planes (B, octaves, 12, FUTURE): a note begins only at an onset and sounds while held.

    A new onset of the bass ends its old one. On every beat chords and pad let go of what its chord lacks; where the pad
    would lose a note, it begins the chord anew."""
    sounding = torch.zeros_like(past[..., 0])
    sustain, onsets = [], []
    for t in range(FUTURE_STEPS):
        known = ~ahead[:, None, None, t]
        begin, go_on = begins[..., t] & gate[:, None, None, t], sounding & hold[..., t]
        if part == "bass":
            go_on = go_on & ~begin.flatten(1).any(1)[:, None, None]
        elif t % STEPS_PER_BEAT == 0:
            inside = fits[:, None, :, t]
            if part == "pad":
                lost = (sounding & ~inside).flatten(1).any(1)[:, None, None]
                begin = begin | (begins[..., t] & inside & lost)
            go_on = go_on & inside
        onsets.append(torch.where(known, past_onset[..., t], begin))
        sounding = torch.where(known, past[..., t], begin | go_on)
        sustain.append(sounding)
    return [torch.stack(sustain, -1), torch.stack(onsets, -1)]


def _soft(scores: RollLogits) -> SoftRoll:
    """The differentiable stand-in for `play`: probabilities of onset and of sounding."""
    pitched, plain = scores.pitched, scores.plain
    bass = pitched["bass_pitch"].flatten(1, 2).softmax(1).reshape(pitched["bass_pitch"].shape)
    onsets = [plain["bass_gate"].sigmoid()[:, :, None] * bass]
    sustains = [(plain["bass_gate"].sigmoid() + plain["bass_hold"].sigmoid()).clamp(max=1)[:, :, None] * bass]
    for part in ("chords", "pad"):
        begins = plain[f"{part}_gate"].sigmoid()[:, :, None] * pitched[f"{part}_onset"].sigmoid()
        onsets.append(begins)
        sustains.append(torch.maximum(begins, pitched[f"{part}_hold"].sigmoid()))
    planes = [sustains[0], onsets[0], sustains[1], onsets[1], sustains[2], onsets[2]]
    return SoftRoll(torch.cat(planes, 1), plain["drums"].sigmoid())


# --- losses ---------------------------------------------------------------------------------------------------------


def urgency(line: Tensor) -> Tensor:
    """(B, FUTURE) weight of every step: 0 left of the line, 1 at it, falling to 1/4 far right, where a newer plan will
    come."""
    distance = (torch.arange(FUTURE_STEPS, device=line.device) + FIRST_NOW_STEP)[None] - line[:, None]
    return torch.where(distance >= 0, 0.25 + 0.75 * (-distance / 8).exp(), 0.0)


def score_loss(
    scores: RollLogits, true: SoftRoll, velocity: Tensor, style: Tensor, log_std: Tensor, line: Tensor
) -> dict[str, Tensor]:
    """Negative log-likelihood of the real part right of the line, in nats a step, by head.

    true: the real band over FUTURE steps with one step before it (FUTURE + 1), so that what goes on is known;
    velocity (B, 4, FUTURE); style (B,) indices; log_std: the generator's velocity_log_std.
    """
    weight = urgency(line)
    count = weight.sum().clamp(min=1)
    losses: dict[str, Tensor] = {}

    def binary(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        loss = functional.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
        return (loss * mask).sum() / count

    gates = {}
    for part in ("bass", "chords", "pad"):
        s, o, n = PLANE[part, "sustain"] - BAND, PLANE[part, "onset"] - BAND, REGISTERS[part].octaves
        sounding, onset = true.band[:, s : s + n] > 0.5, true.band[:, o : o + n, :, 1:] > 0.5
        before, now = sounding[..., :-1], sounding[..., 1:]
        gate = onset.flatten(1, 2).any(1)
        gates[part] = gate
        losses[f"{part}_gate"] = binary(scores.plain[f"{part}_gate"][:, 0], gate, weight)
        if part == "bass":
            cell = onset.flatten(1, 2).float().argmax(1)
            chosen = functional.cross_entropy(
                scores.pitched["bass_pitch"].flatten(1, 2).float(), cell, reduction="none"
            )
            losses["bass_pitch"] = (chosen * gate * weight).sum() / count
            may_hold = before.flatten(1, 2).any(1) & ~gate
            losses["bass_hold"] = binary(scores.plain["bass_hold"][:, 0], now.flatten(1, 2).any(1), may_hold * weight)
        else:
            losses[f"{part}_onset"] = binary(scores.pitched[f"{part}_onset"], onset, (gate * weight)[:, None, None])
            may_hold = (before & ~onset) * weight[:, None, None]
            losses[f"{part}_hold"] = binary(scores.pitched[f"{part}_hold"], now, may_hold)
    losses["drums"] = binary(scores.plain["drums"], true.drums[..., 1:], weight[:, None])
    spread = log_std[style][:, :, None].float()
    error = (scores.plain["velocity"].float().sigmoid() - velocity) / spread.exp()
    losses["velocity"] = ((0.5 * error.square() + spread) * (velocity > 0) * weight[:, None]).sum() / count * 0.1
    return losses


def gradient_penalty(
    critic: Critic, melody: Tensor, real: SoftRoll, fake: SoftRoll, phase: Tensor, style: Tensor
) -> Tensor:
    """(|gradient| - 1)^2 between real and fake, in fp32."""
    mix = torch.rand(real.band.shape[0], 1, 1, 1, device=melody.device)
    band = (mix * real.band + (1 - mix) * fake.band).detach().requires_grad_(True)
    drums = (mix[..., 0] * real.drums + (1 - mix[..., 0]) * fake.drums).detach().requires_grad_(True)
    judged = critic(melody, SoftRoll(band, drums), phase, style).mean(1)
    gradients = torch.autograd.grad(judged.sum(), (band, drums), create_graph=True)
    norm = torch.cat([g.flatten(1) for g in gradients], 1).norm(dim=1)
    return (norm - 1).square().mean()
