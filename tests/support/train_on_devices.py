"""Small runs of every technique on one device, or, in two processes, on two."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import Tensor

from models import checkpoint
from models.cli import TECHNIQUES, _load_objective
from models.data.song_cache import CachedSong
from models.training_loop import Objective, TrainingRun
from tests.support.takes import find_takes
from tests.support.training import ARCNN, GAN, HARMONIST, make_hymn, make_song

UPDATES = 3
#: examples on each of two devices, or a half of those on one
BATCH = 4
#: Adam takes steps of this size along gradients that are nothing but rounding, too, which no two devices share
LEARNING_RATE = 5e-5
TRANSFORMER = {"hand": 64, "inside": 32, "writer": 16, "harmonist": HARMONIST}
#: recipe of each technique, in which all that can happen in an update happens in the first ones
RECIPES: dict[str, dict[str, Any]] = {
    "gan": {
        "model": GAN,
        "own_past_from": 0.0,
        "own_past_by": 0.0,
        "adversarial_from": 0.0,
        "critic_updates": 2,
        "critic_rate": 1e-6,
    },
    "harmonist": {"model": {**HARMONIST, "given": True}, "patches": 16},
    "arcnn": {"model": ARCNN, "own": 1.0, "own_from": 0.0},
    "transformer": {"model": TRANSFORMER},
}


def find_recipe(technique: str) -> dict[str, Any]:
    """Return the recipe of a technique, with the takes that one learns from."""
    return {"takes": find_takes()} if technique == "feel" else RECIPES[technique]


def make_objective(technique: str, fabric: Fabric, batch: int) -> Objective:
    """Return an objective of a technique that has not learnt anything."""
    kind = _load_objective(technique)
    recipe = kind.read_recipe({**find_recipe(technique), "batch": batch, "learning_rate": LEARNING_RATE})
    made: Objective = kind(fabric, recipe, list(_make_songs(technique)), 10, 1)
    return made


def _make_songs(technique: str) -> Iterator[CachedSong]:
    for name in ("a", "b", "c"):
        if technique == "arcnn":
            yield make_hymn(ord(name))
        else:
            yield make_song(name, "pop", bars=6 + ord(name) % 3)
            yield make_song(name, "jazz", bars=12)


def update_and_collect(objective: Objective, steps: range) -> dict[str, Tensor]:
    """Update an objective; return its weights, and what it keeps from one update to the next."""
    for step in steps:
        objective.update(step)
    return checkpoint.collect_tensors(objective.modules, objective.optimizers)


def list_techniques() -> list[str]:
    """Return every technique that can be trained."""
    return list(TECHNIQUES)


def train_all(folder: Path, rank: int, port: int) -> None:
    """Train every technique on this device, one of two, and keep its weights in `TECHNIQUE-RANK.safetensors`."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0", "WORLD_SIZE": "2"}
    os.environ["LOCAL_RANK"] = str(rank)
    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
    fabric.launch()
    for technique in list_techniques():
        objective = make_objective(technique, fabric, BATCH)
        before = _gather_state(objective, fabric, range(UPDATES - 1), folder)
        tensors = update_and_collect(objective, range(UPDATES - 1, UPDATES))
        tensors |= {f"state.{name}": value for name, value in before.items()}
        whole = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
        save_file(whole, folder / f"{technique}-{fabric.global_rank}.safetensors")


def _gather_state(objective: Objective, fabric: Fabric, steps: range, folder: Path) -> Mapping[str, Tensor]:
    """Update; return what is kept of the whole batch, after it has been put back."""
    update_and_collect(objective, steps)
    run = TrainingRun(objective, fabric, folder, UPDATES, {"step": 0})
    state = {name: run._gather(value) for name, value in objective.collect_state().items()}
    objective.restore_state(state)
    return state
