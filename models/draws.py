"""Random numbers of a training run: a function of its seed, the step and the example, whatever devices it runs on.

An example draws from a generator of its own, so that a batch is the same on one device as in parts on several, and a
run that goes on from a checkpoint draws what it would have drawn anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

#: what numbers are drawn for, so that no two draws of a step and an example are alike
_EXAMPLE, _EDIT, _SHARED, _NOISE = range(4)


@dataclass(frozen=True, slots=True)
class Draws:
    """Where the examples of a device stand in the whole batch, and what is drawn for them."""

    seed: int
    count: int  #: examples on this device
    device_index: int = 0
    devices: int = 1

    @classmethod
    def of_device(cls, fabric: Fabric, seed: int, batch: int) -> Draws:
        """Return the draws of the device that this process trains on. batch: examples on each device."""
        return cls(seed, batch, fabric.global_rank, fabric.world_size)

    def open_examples(self, step: int) -> list[np.random.Generator]:
        """Return the generator of every example of this device at a step."""
        return [self.open_example(step, place) for place in range(self.count)]

    def open_example(self, step: int, place: int) -> np.random.Generator:
        """Return the generator of one example, the one at `place` on this device."""
        return np.random.default_rng((self.seed, step, _EXAMPLE, self._count_before() + place))

    def open_edit(self, step: int, place: int) -> np.random.Generator:
        """Return the generator of what is done to an example after the update."""
        return np.random.default_rng((self.seed, step, _EDIT, self._count_before() + place))

    def open_shared(self, step: int) -> np.random.Generator:
        """Return the generator of what is the same for all examples on all devices."""
        return np.random.default_rng((self.seed, step, _SHARED))

    def open_noise(self, step: int, device: torch.device) -> BatchNoise:
        """Return the noise of a step."""
        entropy = int(np.random.SeedSequence((self.seed, step, _NOISE)).generate_state(1, np.uint64)[0])
        return BatchNoise(torch.Generator().manual_seed(entropy), self.device_index, self.devices, device)

    def take_rows(self, rows: Tensor) -> Tensor | None:
        """Return this device's rows of what is kept for the whole batch; None where that is of another size."""
        before = self._count_before()
        return rows[before : before + self.count] if len(rows) == self.count * self.devices else None

    def number_places(self, taken: slice) -> Tensor:
        """Return the place in the whole batch of some of this device's examples."""
        return self._count_before() + torch.arange(self.count)[taken]

    def _count_before(self) -> int:
        return self.device_index * self.count


@dataclass(frozen=True, slots=True)
class BatchNoise:
    """Noise for a batch of which this device has a part: drawn for the whole, so that it is the same on one device."""

    generator: torch.Generator  #: of the CPU: the others' numbers are their own
    device_index: int
    devices: int
    device: torch.device

    def draw_uniform(self, shape: Sequence[int]) -> Tensor:
        """Draw numbers in [0, 1), (examples of this device, ...)."""
        return self._take(torch.rand(self._widen(shape), generator=self.generator))

    def draw_normal(self, shape: Sequence[int]) -> Tensor:
        """Draw from the standard normal distribution, (examples of this device, ...)."""
        return self._take(torch.randn(self._widen(shape), generator=self.generator))

    def _widen(self, shape: Sequence[int]) -> list[int]:
        return [shape[0] * self.devices, *shape[1:]]

    def _take(self, whole: Tensor) -> Tensor:
        return whole.tensor_split(self.devices)[self.device_index].to(self.device)
