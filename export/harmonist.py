"""The harmonist: its graphs, for techniques that ask it apart from their own, and its exchange in a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export.onnx_file import ExportModule
from models import checkpoint
from models.checkpoint import CheckpointError
from models.harmonist.network import Harmonist, measure_agreement
from music.encoding.melody_context import FUTURE_STEPS, MELODY_PLANES, PAST_STEPS
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT

#: patches that hindsight hears: as many as the harmonist remembers, twice
HINDSIGHT_PATCHES = 2 * PAST_STEPS // STEPS_PER_BEAT


class HarmonyGraph(ExportModule):
    """Chords at one now-line: melody (1, planes, 12, PAST_STEPS + FUTURE_STEPS), phase (1, 16), known (1, 1).

    Gives the probability of every chord over the next beats (1, AHEAD_BEATS, CHORDS), and its expected agreement. See
    `music.encoding.melody_context`.
    """

    inputs = ("melody", "phase", "known")
    outputs = ("chords", "agreement")

    def __init__(self, harmonist: Harmonist) -> None:
        super().__init__()
        self.harmonist = harmonist.requires_grad_(False).eval()

    def forward(self, melody: Tensor, phase: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        told = self.harmonist.predict(melody, phase, known)
        return told.softmax(2), measure_agreement(told, known)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes."""
        make = torch.Generator().manual_seed(0)
        size = (1, MELODY_PLANES, PITCH_CLASSES, PAST_STEPS + FUTURE_STEPS)
        return (torch.rand(size, generator=make) < 0.05).float(), torch.eye(STEPS_PER_BAR)[:1], torch.zeros(1, 1)


class HindsightGraph(ExportModule):
    """Chords of their own beat at every patch of n: melody (1, planes, 12, 4 n), phase (1, 16, n), known (1, 1, n).

    Gives the expected agreement (n, CHORDS).
    """

    inputs = ("melody", "phase", "known")
    outputs = ("agreement",)

    def __init__(self, harmonist: Harmonist) -> None:
        super().__init__()
        self.harmonist = harmonist.requires_grad_(False).eval()

    def forward(self, melody: Tensor, phase: Tensor, known: Tensor) -> tuple[Tensor]:
        own = torch.arange(HINDSIGHT_PATCHES, device=melody.device)[None]
        told = self.harmonist(melody, phase, own, known)[:, 0]  # (1, CHORDS, n)
        return (measure_agreement(told.transpose(1, 2), known[:, 0])[0],)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes, HINDSIGHT_PATCHES patches."""
        make = torch.Generator().manual_seed(0)
        melody = torch.rand(1, MELODY_PLANES, PITCH_CLASSES, 4 * HINDSIGHT_PATCHES, generator=make) < 0.05
        ends = torch.arange(HINDSIGHT_PATCHES) * 4 % STEPS_PER_BAR
        phase = torch.eye(STEPS_PER_BAR)[ends].T[None].contiguous()
        return melody.float(), phase, torch.zeros(1, 1, HINDSIGHT_PATCHES)


def replace_harmonist(run: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Put another run's harmonist in the place of a checkpoint's own, and say so in its state.

    Raises CheckpointError.
    """
    other, of = checkpoint.load(run / "checkpoint")
    if of.get("technique") != "harmonist":
        raise CheckpointError(f"{run} holds a run of the {of.get('technique')}, not of the harmonist")
    theirs = {f"average.harmonist.{k}": v for k, v in checkpoint.select_tensors(other, "average").items()}
    own = {k: v for k, v in tensors.items() if k.startswith("average.harmonist.")}
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in theirs.items()}:
        raise CheckpointError(f"the harmonist of {run} is of another size than the run's own")
    tensors |= theirs
    state["harmonist"] = {k: of.get(k) for k in ("commit", "version", "command", "data_hash", "step")}
