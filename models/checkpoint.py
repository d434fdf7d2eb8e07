"""Checkpoints of training runs: a folder with tensors as safetensors and everything else as JSON; never pickle."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from music.errors import UserError
from music.files import open_atomically, prepare_replacement

#: Entry points that read weights out of files: the name is the suffix without its dot, the object a function like
#: `read_average`. The export package has one for .onnx, so that nothing here depends on how graphs are written.
WEIGHT_READERS = "houseband.weights"


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
            _save_file(whole, weights_file, weights, mark)
            if weights.exists():
                weights.replace(previous)
    previous.unlink(missing_ok=True)


def _save_file(tensors: dict[str, Tensor], path: Path, target: Path, mark: str) -> None:
    """Write tensors with the step. Raises CheckpointError."""
    try:
        save_file(tensors, path, metadata={"step": mark})
    except SafetensorError as error:
        raise CheckpointError(f"{target}: cannot be written ({error}); the checkpoint before it is whole") from None


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and state of a checkpoint; `technique`, `step` and `recipe` are in the state.

    Raises CheckpointError, which says what is missing, when the folder holds no whole one.
    """
    run = folder.parent
    if not run.is_dir():
        raise CheckpointError(f"{run}: not a training run: there is no such folder")
    if not folder.is_dir():
        raise CheckpointError(
            f"{run}: not a training run, or ended before its first checkpoint: it has no {folder.name}/"
        )
    try:
        state = json.loads((folder / "state.json").read_text())
        _check_state(state)
        for name in ("weights.safetensors", "weights.previous"):
            path = folder / name
            if path.exists() and _read_step(path) == str(state.get("step", 0)):
                return load_file(path), state
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        reason = f"no {error.filename}" if isinstance(error, FileNotFoundError) else str(error)
        raise CheckpointError(f"{folder}: not a checkpoint of a training run ({reason})") from None
    if not any((folder / name).exists() for name in ("weights.safetensors", "weights.previous")):
        raise CheckpointError(f"{folder}: not a checkpoint of a training run (no weights.safetensors)")
    raise CheckpointError(f"{folder}: weights and state do not belong together")


def _check_state(state: Any) -> None:
    """Raise ValueError unless a state has what every reader relies on."""
    wanted = {"technique": str, "step": int, "recipe": dict, "cache": str}
    for key, kind in wanted.items():
        if not isinstance(state, dict) or not isinstance(state.get(key), kind):
            raise ValueError(f"its state.json has no {key}")
    counts, losses = (state["step"], state.get("steps", 1), state.get("seed", 1)), state.get("losses", {})
    are_sound = all(isinstance(count, int) and count >= 0 for count in counts)
    are_losses = isinstance(losses, dict) and all(isinstance(values, list) for values in losses.values())
    if not are_sound or not are_losses or not isinstance(state.get("seconds", 0), int | float):
        raise ValueError("its state.json has impossible values")


def _read_step(path: Path) -> str:
    """Return the step that a file of tensors was written at."""
    with safe_open(path, "pt") as file:
        return str((file.metadata() or {}).get("step", ""))


def select_tensors(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors of one module of a checkpoint: those under `name.`, by their names in the module."""
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


def collect_tensors(modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    """Return all tensors of modules and optimizers under the names that a checkpoint has for them."""
    found = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, entry in optimizer.state_dict()["state"].items():
            found |= {f"{name}.{index}.{key}": torch.as_tensor(value) for key, value in entry.items()}
    return found


def restore_tensors(
    tensors: Mapping[str, Tensor], modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> None:
    """Put back what `collect_tensors` returned. Raises CheckpointError where it does not fit."""
    for name, module in modules.items():
        load_whole(module, select_tensors(tensors, name))
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in select_tensors(tensors, name).items():
            index, entry = key.split(".", 1)
            state.setdefault(int(index), {})[entry] = value
        groups = optimizer.state_dict()["param_groups"]
        try:
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        except (ValueError, RuntimeError, KeyError) as error:
            raise CheckpointError(f"the checkpoint: its {name} does not fit the recipe ({error})") from None


# --- weights to begin with ------------------------------------------------------------------------------------------


def read_average(source: Path, name: str = "") -> dict[str, Tensor]:
    """Return the averaged weights of a run's folder or, for a file, what the reader of such files finds in it.

    name: the module whose weights are wanted, in a file that holds several; a run holds one. Raises CheckpointError.
    """
    for reader in metadata.entry_points(group=WEIGHT_READERS):
        if source.suffix == f".{reader.name}":
            weights: dict[str, Tensor] = reader.load()(source, name)
            return weights
    if source.is_file():
        raise CheckpointError(f"{source}: nothing installed reads such a file; install houseband[train,torch] again")
    return select_tensors(load(source / "checkpoint")[0], "average")


def load_whole(module: nn.Module, weights: Mapping[str, Tensor], where: str = "the checkpoint") -> None:
    """Put weights into a module, all of them. Raises CheckpointError when they are not of such a one."""
    try:
        module.load_state_dict(dict(weights))
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{where}: its weights do not fit the recipe ({reason})") from None


def load_fitting(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put weights into a module as far as they fit by name and shape; the module's others stay as they are."""
    own = module.state_dict()
    module.load_state_dict({k: v for k, v in weights.items() if k in own and v.shape == own[k].shape}, strict=False)


# --- where a run comes from -----------------------------------------------------------------------------------------


def find_commit() -> str:
    """Return the commit of the checkout this file is in, '+' where it has changes; 'unknown' outside of one.

    An environment may lie in a checkout of something else: this file has to be one of those under version control.
    """
    here = Path(__file__).parent
    known = ["git", "ls-files", "--error-unmatch", Path(__file__).name]
    try:
        subprocess.run(known, cwd=here, capture_output=True, check=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--", "."], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def find_version() -> str:
    """Return the version of the installed package; 'unknown' for a checkout that is run as it is."""
    try:
        return metadata.version("houseband")
    except metadata.PackageNotFoundError:
        return "unknown"
