"""Losses of the GAN's generator: the likelihood of the real band."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from models.critic import SoftRoll
from models.gan.dataset import BAND
from models.gan.roll import RollLogits
from music.encoding.gan_canvas import FIRST_NOW_STEP, FUTURE_STEPS, PLANE, REGISTERS
from music.note import PITCHED_ROLES


def weigh_steps(line: Tensor) -> Tensor:
    """Return the weight of every step (B, FUTURE_STEPS): 0 left of the line, 1 at it.

    It falls to 1/4 far right, where a newer plan will come. line: (B,), in steps of the canvas.
    """
    distance = (torch.arange(FUTURE_STEPS, device=line.device) + FIRST_NOW_STEP)[None] - line[:, None]
    return torch.where(distance >= 0, 0.25 + 0.75 * (-distance / 8).exp(), 0.0)


def compute_losses(
    scores: RollLogits,
    true: SoftRoll,
    velocity: Tensor,
    style: Tensor,
    log_std: Tensor,
    line: Tensor,
    average: Callable[[Tensor], Tensor],
) -> dict[str, Tensor]:
    """Return the negative log-likelihood of the real band right of the line, in nats a step, by head.

    true: the real band over FUTURE_STEPS with one step before them, so that it is known what goes on; velocity: (B,
    ROLES, FUTURE_STEPS); style: (B,) indices; log_std: the generator's velocity_log_std; line: (B,), in steps of the
    canvas; average: from what this device counts to what a sum is divided by.
    """
    weight = weigh_steps(line)
    count = average(weight.sum())
    losses: dict[str, Tensor] = {}

    def binary(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        loss = functional.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
        return (loss * mask).sum() / count

    gates = {}
    for part in PITCHED_ROLES:
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
