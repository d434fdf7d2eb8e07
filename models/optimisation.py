"""Steps of gradient descent that every technique takes: learning rates, updates, averaged weights.

On several devices each computes the gradient of its part of the batch, and all make the same update (Lightning
Fabric).
For that to be the update of the whole batch on one device, a loss is a sum over examples divided by what
`average_count` returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    _average_gradients(fabric, parameters)
    learning = [p for p in parameters if p.grad is not None]
    norms = [nn.utils.clip_grad_norm_(group, max_norm) for group in groups or [learning]]
    optimizer.step()
    return torch.stack(norms).norm() if len(norms) > 1 else norms[0]


@torch.no_grad()
def _average_gradients(fabric: Fabric, parameters: Sequence[nn.Parameter]) -> None:
    """Give every parameter the mean of its gradients over the devices, in one message; none where no device has one."""
    if fabric.world_size == 1:
        return
    there = torch.tensor([float(p.grad is not None) for p in parameters], device=fabric.device)
    own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    message = torch.cat([there, *(gradient.flatten().float() for gradient in own)])
    message = average_tensor(fabric, message)
    means = message[len(parameters) :].split([p.numel() for p in parameters])
    for parameter, anywhere, mean in zip(parameters, message.tolist(), means, strict=False):
        if anywhere > 0:
            parameter.grad = mean.reshape(parameter.shape).to(parameter.dtype)


@torch.no_grad()
def average_tensor(fabric: Fabric, tensor: Tensor) -> Tensor:
    """Return the mean of a tensor over the devices."""
    return torch.as_tensor(fabric.all_reduce(tensor, reduce_op="mean")) if fabric.world_size > 1 else tensor


@torch.no_grad()
def average_count(fabric: Fabric, count: Tensor) -> Tensor:
    """Return how much this device's loss is to be divided by: the mean over devices of what it counts; at least 1.

    The mean over devices of (sum / this) is then the sum over all of them, divided by the count over all of them.
    """
    if fabric.world_size == 1:
        return count.clamp(min=1)
    mean = fabric.all_reduce(count.detach().float(), reduce_op="mean")
    return torch.as_tensor(mean).clamp(min=1 / fabric.world_size)


@torch.no_grad()
def share_weights(fabric: Fabric, modules: Iterable[nn.Module]) -> None:
    """Give all devices the weights of the first: two processors may begin with weights that are not quite the same."""
    if fabric.world_size == 1:
        return
    for module in modules:
        for tensor in module.state_dict().values():
            tensor.copy_(fabric.broadcast(tensor.cpu()))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move averaged weights towards a model's: by 1 - decay of the way.

    torch's `AveragedModel` is no substitute: it takes the first weights over whole, which changes every run from its
    first step on, and it renames all tensors in a checkpoint.
    """
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)
