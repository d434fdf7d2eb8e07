"""From the generator's logits to a piano roll, as the band will play it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.critic import SoftRoll
from models.gan.dataset import BAND
from music.chords import QUALITY_TONES
from music.encoding.gan_canvas import (
    DRUM_PLANES,
    FIRST_NOW_STEP,
    FUTURE_STEPS,
    HOLD_THRESHOLD,
    ONSET_THRESHOLD,
    PLANE,
    REGISTERS,
)
from music.note import PITCHED_ROLES, STEPS_PER_BEAT

WRITTEN_BEATS = FUTURE_STEPS // STEPS_PER_BEAT  #: beats that may be written
#: rows of the noise that `play` takes: gates of the pitched roles, their holds, the drums
RHYTHM_NOISES = 2 * len(PITCHED_ROLES) + DRUM_PLANES


class RollLogits(NamedTuple):
    """Logits of the steps from FIRST_NOW_STEP on, by head; those of `velocity` are of velocity / 127."""

    pitched: dict[str, Tensor]  #: (B, octaves, 12, FUTURE_STEPS) each
    plain: dict[str, Tensor]  #: (B, n, FUTURE_STEPS) each


def mark_tones(chord: Tensor) -> Tensor:
    """Return the pitch classes of one chord a beat: (B, qualities, 12, WRITTEN_BEATS) -> bool (B, 12, FUTURE_STEPS)."""
    found = torch.zeros_like(chord[:, 0])
    for quality, intervals in enumerate(QUALITY_TONES):
        for interval in intervals:
            found = found + chord[:, quality].roll(interval, 1)
    return (found > 0.5).repeat_interleave(STEPS_PER_BEAT, 2)


def play(scores: RollLogits, past: SoftRoll, line: Tensor, noise: Tensor, fits: Tensor) -> SoftRoll:
    """Return the band that the logits tell, as planes of 0 and 1 over FUTURE_STEPS; gradients pass straight through.

    past: the committed band at those steps, empty right of the line; line: (B,), in steps of the canvas; noise: (B,
    RHYTHM_NOISES, FUTURE_STEPS), logistic, added to gates, holds and drums, where scale 1 draws from the distribution
    and 0 takes the likelier; fits: the chords' tones, as `mark_tones` has them. Left of the line the past stays as it
    is. The daemon does the same in numpy (daemon/players/gan.py); a test holds the two together.
    """
    octaves = {part: REGISTERS[part].octaves for part in PITCHED_ROLES}
    soft = _soften(scores)
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
        for i, part in enumerate(PITCHED_ROLES):
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
    """Return sustain and onset planes (B, octaves, 12, FUTURE_STEPS) of one role.

    A note begins only at an onset and sounds while it is held; a new onset of the bass ends its old one. On every beat
    chords and pad let go of the notes that its chord lacks; where the pad would lose one, it begins the chord anew.
    """
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


def _soften(scores: RollLogits) -> SoftRoll:
    """Return the differentiable stand-in for `play`: probabilities of onset and of sounding."""
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
