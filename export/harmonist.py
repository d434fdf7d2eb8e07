"""The harmonist: its graphs, for techniques that ask it apart from their own, and its exchange in a checkpoint."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export import fourier
from export.onnx_file import ExportModule
from models import checkpoint
from models.checkpoint import CheckpointError
from models.harmonist.network import Given, Harmonist, measure_agreement
from music.encoding.chord_evidence import EVIDENCE_BEATS, PITCHED_PLANES, PLAIN_PLANES
from music.encoding.melody_context import FUTURE_STEPS, MELODY_PLANES, PAST_STEPS
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT

#: patches that hindsight hears: as many as the harmonist remembers, twice
HINDSIGHT_PATCHES = 2 * PAST_STEPS // STEPS_PER_BEAT


#: The inputs of a graph whose harmonist hears chords that are known: (1, planes * EVIDENCE_BEATS, 12, n) and
#: (1, planes * EVIDENCE_BEATS, n), see music.encoding.chord_evidence.
GIVEN_INPUTS = ("given_pitched", "given_plain")


def make_given(tensors: tuple[Tensor, ...]) -> Given | None:
    """Return the tensors of GIVEN_INPUTS as the harmonist takes them; None where a graph has none."""
    return (tensors[0], tensors[1]) if tensors else None


def make_given_example(patches: int) -> tuple[Tensor, Tensor]:
    """Return chords that are known at n patches, of the right shapes."""
    make = torch.Generator().manual_seed(1)
    pitched = torch.rand(1, PITCHED_PLANES * EVIDENCE_BEATS, PITCH_CLASSES, patches, generator=make) < 0.2
    return pitched.float(), torch.rand(1, PLAIN_PLANES * EVIDENCE_BEATS, patches, generator=make)


class HarmonyGraph(ExportModule):
    """Chords at one now-line: melody (1, planes, 12, PAST_STEPS + FUTURE_STEPS), phase (1, 16), known (1, 1).

    Gives the probability of every chord over the next beats (1, AHEAD_BEATS, CHORDS), and its expected agreement. See
    `music.encoding.melody_context`.
    """

    inputs: tuple[str, ...] = ("melody", "phase", "known")
    outputs = ("chords", "agreement")

    def __init__(self, harmonist: Harmonist) -> None:
        super().__init__()
        self.harmonist = fourier.transform(harmonist.requires_grad_(False).eval())
        if harmonist.given is not None:
            self.inputs = (*self.inputs, *GIVEN_INPUTS)

    def forward(self, melody: Tensor, phase: Tensor, known: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
        told = self.harmonist.predict(melody, phase, known, make_given(given))
        return told.softmax(2), measure_agreement(told, known)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes."""
        make = torch.Generator().manual_seed(0)
        size = (1, MELODY_PLANES, PITCH_CLASSES, PAST_STEPS + FUTURE_STEPS)
        heard = (torch.rand(size, generator=make) < 0.05).float(), torch.eye(STEPS_PER_BAR)[:1], torch.zeros(1, 1)
        return (*heard, *(make_given_example(1) if self.harmonist.given is not None else ()))


class HindsightGraph(ExportModule):
    """Chords of their own beat at every patch of n: melody (1, planes, 12, 4 n), phase (1, 16, n), known (1, 1, n).

    Gives the expected agreement (n, CHORDS).
    """

    inputs: tuple[str, ...] = ("melody", "phase", "known")
    outputs = ("agreement",)

    def __init__(self, harmonist: Harmonist) -> None:
        super().__init__()
        self.harmonist = fourier.transform(harmonist.requires_grad_(False).eval())
        if harmonist.given is not None:
            self.inputs = (*self.inputs, *GIVEN_INPUTS)

    def forward(self, melody: Tensor, phase: Tensor, known: Tensor, *given: Tensor) -> tuple[Tensor]:
        own = torch.arange(HINDSIGHT_PATCHES, device=melody.device)[None]
        told = self.harmonist(melody, phase, own, known, make_given(given))[:, 0]  # (1, CHORDS, n)
        return (measure_agreement(told.transpose(1, 2), known[:, 0])[0],)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes, HINDSIGHT_PATCHES patches."""
        make = torch.Generator().manual_seed(0)
        melody = torch.rand(1, MELODY_PLANES, PITCH_CLASSES, 4 * HINDSIGHT_PATCHES, generator=make) < 0.05
        ends = torch.arange(HINDSIGHT_PATCHES) * 4 % STEPS_PER_BAR
        phase = torch.eye(STEPS_PER_BAR)[ends].T[None].contiguous()
        heard = melody.float(), phase, torch.zeros(1, 1, HINDSIGHT_PATCHES)
        return (*heard, *(make_given_example(HINDSIGHT_PATCHES) if self.harmonist.given is not None else ()))


def replace_harmonist(run: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Put another run's harmonist in the place of a checkpoint's own, and say so in its state.

    Raises CheckpointError.
    """
    other, of = checkpoint.load(run / "checkpoint")
    if of.get("technique") != "harmonist":
        raise CheckpointError(f"{run} holds a run of the {of.get('technique')}, not of the harmonist")
    theirs = {f"average.harmonist.{k}": v for k, v in checkpoint.select_tensors(other, "average").items()}
    own = {k: v.shape for k, v in tensors.items() if k.startswith("average.harmonist.")}
    if any(k not in theirs or theirs[k].shape != shape for k, shape in own.items() if not _hears_given(k)):
        raise CheckpointError(f"the harmonist of {run} is of another size than the run's own")
    for key in own:
        del tensors[key]
    # whether the network hears chords that are known is the harmonist's to say
    recipe = copy.deepcopy(state["recipe"])
    model = recipe.setdefault("model", {})
    model["harmonist"] = model.get("harmonist", {}) | {"given": any(map(_hears_given, theirs))}
    state["recipe"] = recipe
    tensors |= theirs
    state["harmonist"] = {k: of.get(k) for k in ("commit", "version", "command", "data_hash", "step")}


def _hears_given(key: str) -> bool:
    """Tell whether a tensor belongs to what hears chords that are known."""
    return key.startswith("average.harmonist.given.")
