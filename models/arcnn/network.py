"""The AR-CNN: predicts the next edit of 8 bars of piano roll: one logit a cell, and the length of an added note.

A U-Net in which two views of the roll meet. The near one keeps every pitch (a beat x 128 pitches) and sees the steps of
a voice, clashes, and, through kernels that reach over all pitches, how many notes sound above and below: which voice is
missing. The far one folds octaves onto pitch classes (`models.key_equivariant`: transposition-equivariant convolutions
over time, at beats and at bars) and sees harmony and form. Time is cut into patches of a beat.

The softmax of all cells' logits is the distribution of the next edit: the XOR between this roll and the real piece, a
missing onset where none is, a wrong one where one is. How many edits are left, it does not say. `Calibration` does:
from those logits, and what is known of the whole window, it tells how probable each cell is to differ, which says how
many edits to take at once and when to stop. It learns beside the network and never moves it: learnt together, on the
same windows, the order of the edits came out worse (models/LOG.md). The published recipe (an AR-CNN as of AWS
DeepComposer: uniform XOR, no conditioning) is a setting of the same network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.key_equivariant import Block, KeyConv, KeyNorm, Width
from models.recipe import Count
from music.encoding.edit_grid import LENGTHS_STEPS, PLANES, WINDOW_STEPS
from music.note import PITCH_CLASSES, PITCHES, STEPS_PER_BEAT
from music.styles import list_styles

ARCNN_STYLES = list_styles("arcnn")
BEATS = WINDOW_STEPS // STEPS_PER_BEAT
BEATS_PER_BAR = 4
#: pitches at the tops of the hat functions that tell how high a note is: one an octave, each reaching to the next
HEIGHT_PITCHES = (28, 40, 52, 64, 76, 88, 100)
#: the pitches that are looked at in training, from a C to before a C; hardly a note lies outside
LOW_PITCH, HIGH_PITCH = 24, 108
#: semitones either way in which a kernel over pitches tells distances apart; all that is further counts alike
REACH_SEMITONES = 30
#: over how many semitones such kernels fade, at the beginning
FADES_SEMITONES = (1.5, 4.0, 9.0, 1000.0)


@dataclass(frozen=True, slots=True)
class ArcnnConfig:
    """Sizes of the network. A cell is a beat x a pitch."""

    near: int = 24  #: channels of a cell before it hears the far view
    near_blocks: Count = 1
    folded: int = 12  #: channels that are folded onto pitch classes
    beat: tuple[int, int] = (16, 32)  #: (pitched, plain) channels of the far view at beats
    bar: tuple[int, int] = (24, 48)  #: likewise at bars
    bar_blocks: Count = 2
    write_blocks: Count = 2  #: of the far view, after bars have been heard
    cell: int = 24  #: channels of a cell after it has heard the far view
    cell_blocks: Count = 2
    conditioned: bool = True  #: hear the style, and which notes are kept


def weigh_heights() -> Tensor:
    """Return how much of a pitch lies at each of HEIGHT_PITCHES, (128, heights); each row sums to 1."""
    tops = torch.tensor(HEIGHT_PITCHES, dtype=torch.float32)
    pitch = torch.arange(PITCHES, dtype=torch.float32).clamp(HEIGHT_PITCHES[0], HEIGHT_PITCHES[-1])
    return (1 - (pitch[:, None] - tops[None]).abs() / (HEIGHT_PITCHES[1] - HEIGHT_PITCHES[0])).clamp(min=0)


def make_fold() -> Tensor:
    """Return the matrix that folds pitches onto pitch classes, apart by height: (128, heights * 12)."""
    classes = torch.eye(PITCH_CLASSES)[torch.arange(PITCHES) % PITCH_CLASSES]  # (128, 12)
    return (weigh_heights()[:, :, None] * classes[:, None]).flatten(1)


class PitchReach(nn.Module):
    """A convolution over pitches, whose kernel reaches over all of them: (B, C, T, P) -> same, for any P."""

    distance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        distance = torch.arange(-REACH_SEMITONES, REACH_SEMITONES + 1).float()
        side = torch.tensor([-1.0, 1.0])[torch.arange(channels) % 2]  # hears what lies below, or above
        fade = torch.tensor(FADES_SEMITONES)[torch.arange(channels) // 2 % len(FADES_SEMITONES)]
        shape = (-distance.abs() / fade[:, None]).exp() * (distance * side[:, None] > 0)
        self.kernel = nn.Parameter(shape / shape.square().sum(1, keepdim=True).sqrt())
        pitch = torch.arange(PITCHES)
        far = (pitch[:, None] - pitch[None]).clamp(-REACH_SEMITONES, REACH_SEMITONES) + REACH_SEMITONES  # (from, to)
        self.register_buffer("distance", far, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        b, c, t, p = x.shape
        weight = self.kernel.index_select(1, self.distance[:p, :p].flatten()).reshape(c, p, p)
        mixed = torch.bmm(x.transpose(0, 1).reshape(c, b * t, p), weight)
        return mixed.reshape(c, b, t, p).transpose(0, 1)


class CellBlock(nn.Module):
    """A residual block over beats x pitches: the beats beside, then all pitches. (B, C, T, P) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reaching = channels // 2
        self.near = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0))
        self.reach = PitchReach(self.reaching)
        self.mix = nn.Conv2d(channels + self.reaching, channels, 1)
        with torch.no_grad():
            self.mix.weight *= 0.5

    def forward(self, x: Tensor) -> Tensor:
        near = functional.silu(self.near(x))
        far = functional.silu(self.reach(near[:, : self.reaching]))
        seen = torch.cat([near, far.contiguous(memory_format=torch.channels_last)], 1)
        mixed: Tensor = self.mix(seen)
        return x + mixed


class Calibration(nn.Module):
    """Logits of a softmax -> logits of probabilities: scaled, and moved as a whole by the window around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.read = nn.Linear(channels + 3, 32)
        self.move = nn.Linear(32, 1)
        self.scale = nn.Parameter(torch.ones(2))  # of what is to be added, of what is to be removed
        self.offset = nn.Parameter(torch.full((2,), -4.0))

    def measure_window(self, edit: Tensor, cells: Tensor, planes: Tensor) -> Tensor:
        """Return how far the window moves all logits, (B, 1)."""
        onset = planes[:, 0]
        there = edit.masked_fill(onset < 0.5, -30.0)
        known = (edit.logsumexp((1, 2)) - 8, there.logsumexp((1, 2)), onset.sum((1, 2)).log1p() - 4)
        seen = torch.cat([cells.mean((2, 3)), torch.stack(known, 1)], 1)
        moved: Tensor = self.move(functional.silu(self.read(seen)))
        return moved - known[0][:, None]

    def forward(self, edit: Tensor, planes: Tensor, window: Tensor) -> Tensor:
        moved = edit + window[:, :, None]
        return torch.where(
            planes[:, 0] > 0.5, moved * self.scale[1] + self.offset[1], moved * self.scale[0] + self.offset[0]
        )


class Arcnn(nn.Module):
    """The network: planes (B, 3, 128 steps, 128 pitches) and style (B, styles) -> three outputs.

    Edit logits (B, 128, 128), the logits of a cell's probability to differ (B, 128, 128), and the scores of an added
    note's length (B, lengths, 128, 128).
    """

    fold: Tensor
    phase: Tensor
    heights: Tensor

    def __init__(self, config: ArcnnConfig) -> None:
        super().__init__()
        self.config = config
        near, cell = config.near, config.cell
        beat, bar = Width(*config.beat), Width(*config.bar)
        self.read_near = nn.Conv2d(len(PLANES), near, (STEPS_PER_BEAT, 9), (STEPS_PER_BEAT, 1), (0, 4))
        self.height = nn.Parameter(torch.zeros(near, len(HEIGHT_PITCHES)))
        self.near_blocks = nn.ModuleList(CellBlock(near) for _ in range(config.near_blocks))
        self.to_far = nn.Conv2d(near, config.folded, 1)
        self.read_far = KeyConv(
            Width(config.folded * len(HEIGHT_PITCHES), len(ARCNN_STYLES) + BEATS_PER_BAR), beat, gain=2.0
        )
        self.beat_block = Block(beat)
        self.down = KeyConv(beat, bar, BEATS_PER_BAR, BEATS_PER_BAR)
        self.bar_blocks = nn.ModuleList(Block(bar) for _ in range(config.bar_blocks))
        self.up = KeyConv(bar, Width(beat.pitched * BEATS_PER_BAR, beat.plain * BEATS_PER_BAR), gain=0.5)
        self.write_blocks = nn.ModuleList(Block(beat) for _ in range(config.write_blocks))
        self.norm = KeyNorm(beat)
        self.to_cells = KeyConv(beat, Width(cell, 0))
        self.near_to_cells = nn.Conv2d(near, cell, 1)
        self.cell_height = nn.Parameter(torch.zeros(cell, len(HEIGHT_PITCHES)))
        self.cell_blocks = nn.ModuleList(CellBlock(cell) for _ in range(config.cell_blocks))
        self.write = nn.Conv2d(cell, STEPS_PER_BEAT * 2, 1)
        self.write_lengths = nn.Linear(cell, STEPS_PER_BEAT * len(LENGTHS_STEPS))
        self.calibration = Calibration(cell)
        self.register_buffer("fold", make_fold(), persistent=False)
        self.register_buffer("heights", weigh_heights(), persistent=False)
        phase = torch.eye(BEATS_PER_BAR).repeat(1, BEATS // BEATS_PER_BAR)
        self.register_buffer("phase", phase[None], persistent=False)
        with torch.no_grad():
            self.write.weight *= 0.3
            bias = torch.tensor(
                [-5.0] * STEPS_PER_BEAT + [-1.5] * STEPS_PER_BEAT
            )  # most cells hold no missing note, some a wrong one
            self.write.bias = nn.Parameter(bias)

    def forward(self, planes: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        edit, cells = self.look(planes, style)
        here = slice(LOW_PITCH, HIGH_PITCH)
        window = self.calibration.measure_window(edit[..., here], cells[..., here], planes[..., here])
        return edit, self.calibration(edit, planes, window), self.score_lengths(cells)

    def look(self, planes: Tensor, style: Tensor, low: int = 0) -> tuple[Tensor, Tensor]:
        """Return edit logits, and the state of every cell (B, cell, 32, 128).

        To save time the planes may be those of some octaves only, from the pitch `low`, a C, on; so is the answer.
        """
        here = slice(low, low + planes.shape[3])
        seen = planes
        if not self.config.conditioned:
            style, seen = torch.zeros_like(style), torch.cat([planes[:, :2], torch.zeros_like(planes[:, 2:])], 1)
        height = self.heights[here].T  # (heights, pitches)
        near = functional.silu(self.read_near(seen) + (self.height @ height)[:, None])  # (B, near, 32, 128)
        for block in self.near_blocks:
            near = block(near)
        far = self.hear_far(near, style, here)  # (B, cell * 12, 32)
        cells = far.unflatten(1, (-1, PITCH_CLASSES)).transpose(2, 3)  # (B, cell, 32, 12)
        cells = torch.cat([cells] * (PITCHES // PITCH_CLASSES + 1), 3)[..., : planes.shape[3]]
        cells = functional.silu(cells + self.near_to_cells(near) + (self.cell_height @ height)[:, None])
        for block in self.cell_blocks:
            cells = block(cells)
        scores = self.write(cells).float()  # (B, 2 * 4, 32, 128)
        scores = scores.unflatten(1, (2, STEPS_PER_BEAT)).transpose(2, 3).flatten(2, 3)  # (B, 2, 128, 128)
        return torch.where(planes[:, 0] > 0.5, scores[:, 1], scores[:, 0]), cells

    def score_lengths(self, cells: Tensor) -> Tensor:
        """Return the scores of the length of a note added at any step and pitch, (B, lengths, 128, 128)."""
        scores = self.write_lengths(cells.permute(0, 2, 3, 1))  # (B, 32, 128, 4 * lengths)
        return scores.unflatten(3, (STEPS_PER_BEAT, -1)).permute(0, 4, 1, 3, 2).flatten(2, 3)

    def score_lengths_at(self, cells: Tensor, at: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Return the scores of n (example, step, pitch) only, (n, lengths), without working out all others."""
        example, step, pitch = at
        beat, place = step // STEPS_PER_BEAT, step % STEPS_PER_BEAT
        scores = self.write_lengths(cells[example, :, beat, pitch]).unflatten(1, (STEPS_PER_BEAT, -1))
        return scores[torch.arange(len(step), device=step.device), place]

    def hear_far(self, near: Tensor, style: Tensor, here: slice) -> Tensor:
        """Return the view at pitch classes: (B, near, 32, 128) -> (B, cell * 12, 32)."""
        b = near.shape[0]
        folded = (self.to_far(near) @ self.fold[here].to(near.dtype)).transpose(2, 3)  # (B, folded, heights * 12, 32)
        told = torch.cat([style[:, :, None].expand(-1, -1, BEATS), self.phase.expand(b, -1, -1)], 1)
        x = self.read_far(torch.cat([folded.flatten(1, 2), told.to(folded.dtype)], 1))
        x = self.beat_block(x)
        bars = self.down(x)
        for block in self.bar_blocks:
            bars = block(bars)
        x = x + self._split_bars(self.up(bars))
        for block in self.write_blocks:
            x = block(x)
        return self.to_cells(self.norm(x))

    def _split_bars(self, bars: Tensor) -> Tensor:
        """Take each bar's beats out of its channels: (B, 4 * beat.total, 8) -> (B, beat.total, 32)."""
        beat = Width(*self.config.beat)
        split = beat.pitched * BEATS_PER_BAR * PITCH_CLASSES
        pitched = bars[:, :split].reshape(-1, BEATS_PER_BAR, beat.pitched * PITCH_CLASSES, BEATS // BEATS_PER_BAR)
        plain = bars[:, split:].reshape(-1, BEATS_PER_BAR, beat.plain, BEATS // BEATS_PER_BAR)
        both = torch.cat([pitched, plain], 2)  # (B, 4, beat.total, 8)
        return both.permute(0, 2, 3, 1).flatten(2)


def compute_log_weights(logit: Tensor) -> Tensor:
    """Return the log-probabilities of logits of probabilities."""
    # not logsigmoid: the exporter writes that as log(sigmoid), which fp32 cannot do far from 0
    return logit.clamp(max=0) - (1 + (-logit.abs()).exp()).log()


# --- losses ---------------------------------------------------------------------------------------------------------


def _count(count: Tensor) -> Tensor:
    return count.clamp(min=1)


def compute_edit_loss(edit: Tensor, differs: Tensor, average: Callable[[Tensor], Tensor] = _count) -> Tensor:
    """Return the nats of the next edit. Examples that do not differ do not count.

    edit: (B, 128, 128), logits; differs: bool, the XOR of roll and real piece; average: from what this device counts
    to what a sum is divided by, see `models.optimisation.average_count`.
    """
    target = differs.flatten(1).float()
    left = target.sum(1)
    some = (left > 0).float()
    nats = -(edit.flatten(1).log_softmax(1) * target).sum(1) / left.clamp(min=1)
    return (nats * some).sum() / average(some.sum())


def compute_calibration_loss(logit: Tensor, differs: Tensor, average: Callable[[Tensor], Tensor] = _count) -> Tensor:
    """Return the nats of what differs and what does not, for each cell that differs."""
    binary = functional.binary_cross_entropy_with_logits(logit, differs.float(), reduction="sum")
    return binary / average(differs.sum())


def compute_length_loss(scores: Tensor, lengths: Tensor, average: Callable[[Tensor], Tensor] = _count) -> Tensor:
    """Return the cross-entropy (nats) of notes' lengths: scores (n, lengths), lengths (n,) in steps."""
    count = average(torch.tensor(len(lengths), device=scores.device))
    classes = torch.tensor(LENGTHS_STEPS, device=scores.device)
    target = (lengths[:, None] - classes[None]).abs().argmin(1)
    return functional.cross_entropy(scores.float(), target, reduction="sum") / count
