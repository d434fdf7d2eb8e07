"""Ten moments of a training run: the averaged weights, which are what is exported, from noise to music.

Each is one file of a run's folder, `moments/step-000250.safetensors`, with all that an export needs beside the tensors
in its metadata. The first is from before the first update, and each of the others from twice as far as the one before
it. A run whose length is changed where it goes on keeps, of those that it has, the ones nearest to where they would be.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.checkpoint import CheckpointError, collect_tensors
from music.files import prepare_replacement

MOMENTS = 10
#: the folder, in a run's
FOLDER = "moments"
#: what of a run's state an exporter looks at
_STATE_KEYS = ("technique", "recipe", "cache", "data_hash", "commit", "version", "torch", "command", "harmonist")
_NAME = re.compile(r"step-(\d+)\.safetensors")


def plan_moments(steps: int) -> list[int]:
    """Return the steps whose weights a run of so many updates keeps: 0, ..., steps / 4, steps / 2, steps.

    At most MOMENTS of them, fewer where a run is so short that some are the same.
    """
    return sorted({0, *(steps >> halvings for halvings in range(MOMENTS - 1))})


class MomentFiles:
    """The moments in a run's folder."""

    def __init__(self, run: Path, step: int) -> None:
        """Go on from a step: moments of later ones belong to a run that was never saved."""
        self.folder = run / FOLDER
        for kept, path in list_moments(run):
            if kept > step:
                path.unlink()

    def keep(self, step: int, steps: int, average: nn.Module, state: Mapping[str, Any], extras: dict[str, Any]) -> None:
        """Write the weights of a step of a run of so many, and remove those that its plan does not want any more.

        state: as a checkpoint has it; extras: what the exporter needs beside the weights. Raises CheckpointError,
        OSError.
        """
        told = {key: state[key] for key in _STATE_KEYS if key in state} | {"step": step, "extras": extras}
        tensors = {
            k: v.detach().contiguous().cpu().clone() for k, v in collect_tensors({"average": average}, {}).items()
        }
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"step-{step:06}.safetensors"
        try:
            with prepare_replacement(path) as file:
                save_file(tensors, file, metadata={"state": json.dumps(told)})
        except SafetensorError as error:
            raise CheckpointError(f"{path}: cannot be written ({error}); the run itself is whole") from None
        kept = dict(list_moments(self.folder.parent))
        wanted = {_find_nearest(list(kept), moment) for moment in plan_moments(steps) if moment <= step}
        for other, path in kept.items():
            if other not in wanted:
                path.unlink()


def list_moments(run: Path) -> list[tuple[int, Path]]:
    """Return (step, file) of the moments that a run has kept, by step."""
    names = [(_NAME.fullmatch(path.name), path) for path in (run / FOLDER).glob("step-*.safetensors")]
    return sorted((int(name[1]), path) for name, path in names if name is not None)


def load_moment(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and state of a moment, as of a checkpoint that has ended there. Raises CheckpointError."""
    try:
        with safe_open(path, "pt") as file:
            state = json.loads((file.metadata() or {})["state"])
        if not isinstance(state, dict) or not isinstance(state.get("recipe"), dict):
            raise ValueError("it does not say which run it is of")
        return load_file(path), state
    except (OSError, ValueError, KeyError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a moment of a training run ({error}); remove it") from None


def _find_nearest(steps: list[int], wanted: int) -> int:
    """Return the step that is nearest to a wanted one, by their ratio; the earlier of two."""
    return min(sorted(steps), key=lambda step: abs(math.log((step + 1) / (wanted + 1))))
