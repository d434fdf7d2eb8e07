"""The GAN's graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export import check, fourier, onnx_file
from export.harmonist import GIVEN_INPUTS, make_given, make_given_example
from export.onnx_file import ExportModule
from export.techniques import Exporter
from models import checkpoint
from models.gan.dataset import BAND, GAN_STYLES
from models.gan.network import Generator
from models.gan.objective import GanRecipe
from models.gan.roll import WRITTEN_BEATS
from models.recipe import read_recipe
from music.chords import QUALITIES
from music.encoding.gan_canvas import CANVAS_STEPS, FILL, PITCHED_PLANES, PLAIN_PLANES, mark_fills, mark_pulse
from music.encoding.melody_context import FUTURE_STEPS, PAST_STEPS
from music.note import PITCH_CLASSES, STEPS_PER_BAR, Metre
from music.signature import Signature


class GanGraph(ExportModule):
    """`Generator.forward`: canvas, style, groove vector, noise and the harmonist's input -> chords and logits.

    A drummer of its own is told where fills are, and a harmonist that hears them the chords that are known. It computes
    on Fourier coefficients of pitch (export.fourier). The weights stay as compact in the file as in training;
    onnxruntime assembles each convolution's kernel once, when it folds constants at load.
    """

    inputs: tuple[str, ...] = ("pitched", "plain", "pulse", "style", "z", "noise", "melody", "phase", "known")
    outputs = ("chord_choice", "pitched_scores", "plain_scores")

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = fourier.transform(generator.requires_grad_(False).eval())
        self.z = generator.groove_size
        self.hears_fill = generator.drummer is not None
        if self.hears_fill:
            self.inputs = (*self.inputs, FILL)
        self.hears_given = generator.harmonist.given is not None
        if self.hears_given:
            self.inputs = (*self.inputs, *GIVEN_INPUTS)

    def forward(  # torch.onnx names inputs by position
        self,
        pitched: Tensor,
        plain: Tensor,
        pulse: Tensor,
        style: Tensor,
        z: Tensor,
        noise: Tensor,
        melody: Tensor,
        phase: Tensor,
        known: Tensor,
        *more: Tensor,
    ) -> tuple[Tensor, ...]:
        fill, given = (more[0], more[1:]) if self.hears_fill else (None, more)
        made: tuple[Tensor, ...] = self.generator(
            pitched, plain, pulse, style, z, noise, melody, phase, known, fill, make_given(given)
        )
        return made

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes with music-like values."""
        make = torch.Generator().manual_seed(0)
        return (
            (torch.rand(1, PITCHED_PLANES, PITCH_CLASSES, CANVAS_STEPS, generator=make) < 0.05).float(),
            (torch.rand(1, PLAIN_PLANES, CANVAS_STEPS, generator=make) < 0.3).float(),
            torch.as_tensor(mark_pulse(0, Metre(3, 4)))[None],
            torch.eye(len(GAN_STYLES))[:1],
            torch.randn(1, self.z, generator=make),
            torch.randn(1, len(QUALITIES), PITCH_CLASSES, WRITTEN_BEATS, generator=make),
            (torch.rand(1, BAND, PITCH_CLASSES, PAST_STEPS + FUTURE_STEPS, generator=make) < 0.05).float(),
            torch.eye(STEPS_PER_BAR)[:1],
            torch.zeros(1, 1),
            *([torch.as_tensor(mark_fills(0, 0, Metre(), 0))[None]] if self.hears_fill else ()),
            *(make_given_example(1) if self.hears_given else ()),
        )


def build_generator(recipe: Mapping[str, Any]) -> Generator:
    """Return a fresh generator of a recipe in JSON; one from before drummers had a network of their own has none."""
    model = recipe.get("model", {})
    told = {**recipe, "model": {"drummer": 0, **model}} if isinstance(model, Mapping) else recipe
    return Generator(read_recipe(GanRecipe, told).model)


def write(tensors: Mapping[str, Tensor], state: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """Write the averaged generator of a checkpoint as a graph; return figures about it. Raises CheckpointError."""
    provenance = onnx_file.select_provenance(state)
    generator = build_generator(state["recipe"])
    checkpoint.load_whole(generator, checkpoint.select_tensors(tensors, "average"))
    graph = GanGraph(generator)
    settings = onnx_file.select_extras(state, "grooves", "habits", "velocity_std")
    onnx_file.write(graph, Signature("gan", {}, {}, GAN_STYLES, settings, provenance), target)
    return check.report(graph, target)


def read_settings(settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights that a graph holds in its settings."""
    spread = settings.get("velocity_std")
    return {} if spread is None else {"generator.velocity_log_std": torch.tensor(spread).log()}


EXPORTER = Exporter(
    write=write,
    build_network=build_generator,
    build_graph=lambda recipe: GanGraph(build_generator(recipe)),
    weights_name="generator",
    read_settings=read_settings,
)
