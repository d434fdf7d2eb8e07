"""The devices that a run is trained on, one or many, through Lightning Fabric."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import torch
from lightning_fabric import Fabric

from music.errors import HousebandError, UserError

ACCELERATORS = ("auto", "cpu", "cuda", "mps")
#: names of Lightning Fabric; the first is the usual one. Those that need scaled losses are not among them.
PRECISIONS = ("32-true", "bf16-mixed")
_MAX_DEVICES = 1024


class DeviceError(UserError):
    """Devices that are not there."""


def parse_devices(text: str, accelerator: str) -> int | str | list[int]:
    """Return what an option says of devices: how many, `auto` or a list of them. Raises DeviceError."""
    is_missing = {"cuda": not torch.cuda.is_available(), "mps": not torch.backends.mps.is_available()}
    if is_missing.get(accelerator, False):
        raise DeviceError(f"--accelerator {accelerator}: this machine has none that torch can use; take auto or cpu")
    if text == "auto":
        return text
    if re.fullmatch(r"\d{1,4}(,\d{1,4})+,?|\d{1,4},", text) and accelerator != "cpu":
        return [int(one) for one in text.rstrip(",").split(",")]
    count = int(text) if re.fullmatch(r"\d{1,4}", text) else 0
    if not 1 <= count <= _MAX_DEVICES:
        raise DeviceError(f"--devices {text[:40]}: wants a number from 1 to {_MAX_DEVICES}, a list such as 0,2 or auto")
    cores = os.cpu_count() or 1
    uses_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    if uses_cpu and count > max(2, cores):
        raise DeviceError(f"--devices {count}: this machine has {cores} cores, and each device is one at least")
    return count


def start_fabric(accelerator: str, devices: int | str | list[int], nodes: int, precision: str) -> Fabric:
    """Start the processes of a run and return what they speak through. Raises DeviceError."""
    try:
        fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=precision)  # type: ignore[arg-type]
        fabric.launch()
    except Exception as error:  # noqa: BLE001 - Lightning and torch have exceptions of every kind for what is missing
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DeviceError(f"--accelerator {accelerator} --devices {devices}: {reason}") from None
    return fabric


@contextlib.contextmanager
def report_memory_errors() -> Iterator[None]:
    """Turn what torch and numpy raise for want of memory into a sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        raise HousebandError(
            "there is not enough memory for this run; choose a smaller batch with --set batch=N, or a smaller model"
        ) from None
