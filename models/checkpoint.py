"""Checkpoints: tensors as safetensors, everything else as JSON; never pickle. A checkpoint is a folder."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from music import signature
from music.errors import UserError
from music.files import open_atomically, prepare_replacement
from music.signature import PART_KEY, SignatureError


class CheckpointError(UserError):
    """A checkpoint that cannot be used."""


def save(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write `weights.safetensors` and `state.json`, each renamed into place so that a kill leaves the old or the new.

    The state names the tensors' step too, so that a kill between the two is noticed by `load`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = {k: v.detach().contiguous().cpu().clone() for k, v in tensors.items()}
    mark = str(state.get("step", 0))
    weights, previous = folder / "weights.safetensors", folder / "weights.previous"
    with open_atomically(folder / "state.json") as state_file:
        state_file.write(json.dumps(state, indent=1).encode())
        with prepare_replacement(weights) as weights_file:
            save_file(whole, weights_file, metadata={"step": mark})
            if weights.exists():
                weights.replace(previous)
    previous.unlink(missing_ok=True)


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


def learnt(source: Path, name: str) -> dict[str, Tensor]:
    """What a model called `name` in its graphs has learnt: the averaged weights of a run's folder, or those of an
    exported graph, where norms have been folded into the weights after them (which is the same model with every gain 1)
    and big matrices may have been rounded. Raises CheckpointError."""
    if source.suffix != ".onnx":
        return part(load(source / "checkpoint")[0], "average")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(source)
        told = signature.read_signature({e.key: e.value for e in graph.metadata_props}).settings
        hidden = [base64.b64decode(e.value) for e in graph.metadata_props if e.key.startswith(f"{PART_KEY}.")]
        graphs = [graph, *(onnx.load_from_string(bytes_) for bytes_ in hidden)]
    except (OSError, ValueError, DecodeError, SignatureError) as error:
        raise CheckpointError(f"{source}: no graph to begin with ({error})") from None
    found = {
        w.name: torch.from_numpy(onnx.numpy_helper.to_array(w).copy()) for g in graphs for w in g.graph.initializer
    }
    for rounded in [key for key in found if key.endswith(".int8")]:
        plain = rounded.removesuffix(".int8")
        found[plain] = found.pop(rounded).float() * found.pop(f"{plain}.scale")
    if "velocity_std" in told:  # not in the graph, but beside it
        deviation = torch.tensor(told["velocity_std"]).log()
        found |= {f"{name}.velocity_log_std": deviation, "hand.loud_log_std": deviation}
    return part(found, name) if name else found


def take(module: nn.Module, learnt: dict[str, Tensor]) -> None:
    """Put weights into a module as far as they fit; the others stay as they are."""
    mine = module.state_dict()
    module.load_state_dict({k: v for k, v in learnt.items() if k in mine and v.shape == mine[k].shape}, strict=False)


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
