"""Steps of gradient descent that every technique takes: learning rates, updates, averaged weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer


def warm_up(step: float, steps: int) -> float:
    """Return the factor of the learning rate at the start of a run: rises from 0 to 1 over so many steps."""
    return min(1.0, step / steps)


def anneal(done: float, floor: float) -> float:
    """Return the factor of the learning rate that falls from 1 to `floor` along half a cosine.

    done: share of the run that lies behind, 0..1.
    """
    return float(floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * min(1.0, done))))


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Give all parameters of an optimizer this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = float(rate)


def update_weights(
    fabric: Fabric,
    optimizer: Optimizer,
    loss: Tensor,
    max_norm: float,
    groups: Sequence[Sequence[nn.Parameter]] | None = None,
) -> Tensor:
    """Take one step down the gradient of a loss; return the norm of the gradient before it was clipped, a scalar.

    Gradients are averaged over the devices of the run and clipped to `max_norm`. groups: parameters that are clipped
    apart, so that a large gradient of one group does not shrink the others' (default: all together).
    """
    optimizer.zero_grad()
    loss.backward()
    learning = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    if fabric.world_size > 1:
        for parameter in learning:
            parameter.grad = fabric.all_reduce(parameter.grad, reduce_op="mean")
    norms = [nn.utils.clip_grad_norm_(group, max_norm) for group in groups or [learning]]
    optimizer.step()
    return torch.stack(norms).norm() if len(norms) > 1 else norms[0]


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move averaged weights towards a model's: by 1 - decay of the way.

    torch's `AveragedModel` is no substitute: it takes the first weights over whole, which changes every run from its
    first step on, and it renames all tensors in a checkpoint.
    """
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)
