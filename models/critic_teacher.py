"""Teaching of a critic, on what was played in the last updates."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from models.critic import Critic, CriticExamples, compute_gradient_penalty, measure_gap
from models.draws import BatchNoise, Draws
from models.optimisation import average_count, update_weights

CRITIC_CLIP = 10.0


class CriticTeacher:
    """Updates a critic, and keeps what it learns from."""

    def __init__(
        self,
        fabric: Fabric,
        critic: Critic,
        optimizer: torch.optim.Optimizer,
        draws: Draws,
        penalty: float,
        memory: int,
    ) -> None:
        """penalty: weight of the gradient penalty; memory: it learns from what was played in so many updates."""
        self.critic = critic
        self._fabric, self._optimizer, self._draws = fabric, optimizer, draws
        self._penalty = penalty
        #: what was played in the last updates, and what is real
        self.examples: deque[CriticExamples] = deque(maxlen=memory)

    def teach(self, updates: int, noise: BatchNoise, shared: np.random.Generator) -> dict[str, float]:
        """Update the critic several times; return its losses.

        Every second example, the even or the odd: a critic update is dear, and neighbours in time are alike. The
        penalty is that of every third of them, or of all where they are few.
        """
        gaps, penalties = [], []
        for _ in range(updates):
            chosen = self.examples[int(shared.integers(len(self.examples)))]
            half = slice(int(shared.integers(2)), None, 2)
            shown = chosen.select(half)
            with self._fabric.autocast():
                gap = measure_gap(self.critic, shown)
            mix = noise.draw_uniform((shown.melody.shape[0], 1, 1, 1))
            is_one = self._choose_penalised(half, int(shared.integers(3))).to(mix.device)
            with torch.autocast(self._fabric.device.type, enabled=False):
                each = compute_gradient_penalty(self.critic, *shown.select(is_one), mix[is_one])
                penalty = each.sum() / average_count(self._fabric, is_one.sum())
            update_weights(self._fabric, self._optimizer, gap + self._penalty * penalty, CRITIC_CLIP)
            gaps.append(float(gap.detach()))
            penalties.append(float(penalty.detach()))
        return {"critic": float(np.mean(gaps)), "penalty": float(np.mean(penalties))}

    def _choose_penalised(self, half: slice, turn: int) -> Tensor:
        """Return which examples of a half of this device's batch have their penalty computed, (n,)."""
        places = self._draws.number_places(half)
        is_all = len(places) * self._draws.devices <= 4 * 3
        return torch.full_like(places, True, dtype=torch.bool) if is_all else places // 2 % 3 == turn
