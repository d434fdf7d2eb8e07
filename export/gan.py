"""One nn.Module a graph: what is exported, with the names and shapes that the player binds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.fold_norms import fold
from models.arcnn import network as arcnn
from models.arcnn.network import Arcnn
from models.gan.dataset import BAND, GAN_STYLES
from models.gan.network import WRITTEN, Generator
from music.chords import QUALITIES
from music.encoding import melody_context
from music.encoding.edit_grid import PLANES, WINDOW_STEPS
from music.encoding.gan_canvas import CANVAS_STEPS, PITCHED_PLANES, PLAIN_PLANES
from music.note import PITCH_CLASSES, PITCHES, STEPS_PER_BAR


class GanGraph(nn.Module):
    """Generator.forward. Inputs the canvas (pitched, plain), style, z, noise and the hearing (melody, phase, known);
    outputs the chord, the pitched and the plain scores.

    The weights stay as compact in the file as in training; onnxruntime assembles each convolution's kernel once, when
    it folds constants at load.
    """

    inputs = ("pitched", "plain", "style", "z", "noise", "melody", "phase", "known")
    outputs = ("chord_choice", "pitched_scores", "plain_scores")

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = fold(generator.requires_grad_(False).eval())
        self.z = generator.config.z

    def forward(  # torch.onnx names inputs by position
        self,
        pitched: Tensor,
        plain: Tensor,
        style: Tensor,
        z: Tensor,
        noise: Tensor,
        melody: Tensor,
        phase: Tensor,
        known: Tensor,
    ) -> tuple[Tensor, ...]:
        made: tuple[Tensor, ...] = self.generator(pitched, plain, style, z, noise, melody, phase, known)
        return made

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes with music-like values, for tracing and for parity checks."""
        make = torch.Generator().manual_seed(0)
        return (
            (torch.rand(1, PITCHED_PLANES, PITCH_CLASSES, CANVAS_STEPS, generator=make) < 0.05).float(),
            (torch.rand(1, PLAIN_PLANES, CANVAS_STEPS, generator=make) < 0.3).float(),
            torch.eye(len(GAN_STYLES))[:1],
            torch.randn(1, self.z, generator=make),
            torch.randn(1, len(QUALITIES), PITCH_CLASSES, WRITTEN, generator=make),
            (
                torch.rand(
                    1, BAND, PITCH_CLASSES, melody_context.PAST_STEPS + melody_context.FUTURE_STEPS, generator=make
                )
                < 0.05
            ).float(),
            torch.eye(STEPS_PER_BAR)[:1],
            torch.zeros(1, 1),
        )


#: log-weights below this are as good as never
IMPOSSIBLE = -16.0


class ArcnnGraph(nn.Module):
    """Arcnn.forward. Inputs planes, style; outputs the log-weights of the next edit (1, steps, 128) and the scores of
    an added note's length (1, steps, 128, lengths)."""

    inputs = ("planes", "style")
    outputs = ("weights", "lengths")

    def __init__(self, net: Arcnn, calibrated: bool) -> None:
        super().__init__()
        self.net = net.requires_grad_(False).eval()
        self.calibrated = calibrated

    def forward(self, planes: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        edit, logit, lengths = self.net(planes, style)
        weights = arcnn.log_weights(logit) if self.calibrated else edit - edit.amax((1, 2), keepdim=True)
        weights = weights.clamp(min=IMPOSSIBLE)
        return weights, lengths.permute(0, 2, 3, 1)

    def example(self) -> tuple[Tensor, ...]:
        """As GanGraph's."""
        make = torch.Generator().manual_seed(0)
        onset = torch.rand(1, WINDOW_STEPS, PITCHES, generator=make) < 0.01
        sounding = onset | onset.roll(1, 1) | onset.roll(2, 1)
        kept = onset & (torch.rand(1, WINDOW_STEPS, PITCHES, generator=make) < 0.5)
        planes = torch.stack([onset, sounding, kept], 1).float()
        assert planes.shape[1] == len(PLANES)
        return planes, torch.eye(len(arcnn.ARCNN_STYLES))[:1]
