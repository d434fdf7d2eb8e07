"""The judges' weights: trained where they are missing, kept by what they were made from."""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch
from rich.console import Console
from torch import nn

import models.key_equivariant
from models import checkpoint
from tests.programs.judges import belonging as contrast
from tests.programs.judges import pieces
from tests.programs.judges import styles as classes
from tests.programs.judges.pieces import JUDGED_STYLES

Net = TypeVar("Net", bound=nn.Module)
#: Held-out windows and pieces that a fresh judge is tried on.
_TRIED_PIECES = 60


def load_belonging(cache: Path, data: Path, runs: Path) -> tuple[contrast.BelongingJudge, dict[str, Any]]:
    """Return the contrastive judge and how it was trained.

    Raises DataError where it must be trained and there is no music.
    """
    recipe = contrast.BelongingRecipe()
    folder = _folder("belonging", recipe, contrast, runs)
    judge = contrast.BelongingJudge(recipe)
    facts = _load(judge, folder)
    if facts is None:
        songs = pieces.load_music(cache, data)
        judge, facts = _learn(contrast.train(pieces.select_pieces(songs, "train"), recipe), recipe.steps, "belonging")
        _save(judge, folder, facts | {"recipe": asdict(recipe)})
    return judge.eval(), {"training": facts}


def load_styles(cache: Path, data: Path, runs: Path) -> tuple[classes.StyleClassifier, dict[str, Any]]:
    """Return the style classifier, how it was trained, and its confusion of held-out bars. Raises DataError."""
    recipe = classes.StyleRecipe()
    folder = _folder("styles", recipe, classes, runs)
    judge = classes.StyleClassifier(recipe)
    facts = _load(judge, folder)
    if facts is None:
        songs = pieces.load_music(cache, data)
        judge, facts = _learn(classes.train(pieces.select_pieces(songs, "train"), recipe), recipe.steps, "styles")
        held_out = pieces.select_pieces(songs, "valid")
        of_style = [[piece for piece in held_out if piece.style == style][:_TRIED_PIECES] for style in JUDGED_STYLES]
        facts["held_out"] = [classes.count_heard(judge, some).tolist() for some in of_style]
        _save(judge, folder, facts | {"recipe": asdict(recipe)})
    return judge.eval(), {"training": facts}


def _learn(run: Iterator[tuple[Net, float]], steps: int, name: str) -> tuple[Net, dict[str, Any]]:
    """Run a training: return the judge and the facts of its training; progress on stderr."""
    console = Console(stderr=True)
    begun, busy = time.monotonic(), time.process_time()
    losses: list[float] = []
    judge: Net | None = None
    for learning, loss in run:
        judge = learning
        losses.append(loss)
        if len(losses) % 50 == 0:
            console.print(f"training the judge of {name}: {len(losses)} of {steps}, loss {sum(losses[-50:]) / 50:.3f}")
    assert judge is not None
    last = losses[-50:]
    facts = {
        "steps": len(losses),
        "loss": round(sum(last) / len(last), 4),
        "seconds": round(time.monotonic() - begun, 1),
        "cpu_seconds": round(time.process_time() - busy, 1),
    }
    return judge, facts


def _folder(name: str, recipe: Any, module: ModuleType, runs: Path) -> Path:
    """Return the folder of a judge: a change of its recipe or of its code makes another judge."""
    made_of: Sequence[ModuleType] = (module, pieces, models.key_equivariant)
    text = "".join([repr(asdict(recipe)), *(inspect.getsource(one) for one in made_of)])
    return runs / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _load(judge: nn.Module, folder: Path) -> dict[str, Any] | None:
    if not (folder / "state.json").exists():
        return None
    tensors, state = checkpoint.load(folder)
    judge.load_state_dict(tensors)
    return {key: value for key, value in state.items() if key != "recipe"}


def _save(judge: nn.Module, folder: Path, state: dict[str, Any]) -> None:
    checkpoint.save(folder, {key: torch.as_tensor(value) for key, value in judge.state_dict().items()}, state)
