"""Checkpoints: tensors as safetensors, everything else as JSON; never pickle. A checkpoint is a folder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message is one sentence for the user."""


def save(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write `weights.safetensors` and `state.json`, each renamed into place so that a kill leaves the old or the new.

    The state names the tensors' step too, so that a kill between the two is noticed by `load`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = {k: v.detach().contiguous().cpu().clone() for k, v in tensors.items()}
    mark = str(state.get("step", 0))
    save_file(whole, folder / "weights.part", metadata={"step": mark})
    (folder / "state.part").write_text(json.dumps(state, indent=1))
    previous = folder / "weights.safetensors"
    if previous.exists():
        previous.replace(folder / "weights.previous")
    (folder / "weights.part").replace(previous)
    (folder / "state.part").replace(folder / "state.json")
    (folder / "weights.previous").unlink(missing_ok=True)


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state. Raises CheckpointError when the folder holds no whole checkpoint."""
    try:
        state = json.loads((folder / "state.json").read_text())
        for name in ("weights.safetensors", "weights.previous"):
            path = folder / name
            if path.exists() and _step(path) == str(state.get("step", 0)):
                return load_file(path), state
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: not a checkpoint of a training run ({error})") from None
    raise CheckpointError(f"{folder}: weights and state do not belong together")


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one module among a checkpoint's: those under `name.`, without it."""
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


def tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where a recipe has tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _step(path: Path) -> str:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("step", "")


def optimizer_tensors(name: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimizer's per-parameter tensors under flat names."""
    return {
        f"{name}.{index}.{key}": torch.as_tensor(value)
        for index, entry in optimizer.state_dict()["state"].items()
        for key, value in entry.items()
    }


def restore_optimizer(name: str, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what optimizer_tensors took."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"{name}."):
            index, entry = key.removeprefix(f"{name}.").split(".", 1)
            state.setdefault(int(index), {})[entry] = value
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})


def git_commit() -> str:
    """The commit of the checkout this file is in, '+' where it has changes; 'unknown' outside of one."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--", "."], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")
