"""The style classifier: which of five styles one bar of accompaniment is in, by its notes alone.

It is not told who plays what: all pitched roles are one roll, without drums, instruments, loudness and melody. Onsets
and sustains in five registers, by pitch class; the layers hear all keys alike, and in training each bar is moved by a
random interval as well, so that keys and registers of single songs are no help.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.key_equivariant import Block, KeyConv, KeyNorm, Width
from music.note import STEPS_PER_BAR
from tests.programs.judges.pieces import JUDGED_STYLES, Ints, Piece, count_onsets, cut, draw_planes

SPLITS = (40, 52, 64, 76)
FLOOR = 1e-2  # of KeyNorm: rests are common


@dataclass(frozen=True, slots=True)
class StyleRecipe:
    """Settings of the classifier and of its training."""

    steps: int = 300
    batch: int = 256
    rate: float = 4e-3
    pitched: int = 6
    plain: int = 32
    seed: int = 1


class StyleClassifier(nn.Module):
    """Planes (B, 10, 12, 16) -> logits (B, styles)."""

    def __init__(self, recipe: StyleRecipe, styles: int = len(JUDGED_STYLES)) -> None:
        super().__init__()
        width = Width(recipe.pitched, recipe.plain)
        self.steps = nn.Sequential(KeyConv(Width(2 * (len(SPLITS) + 1), 0), width), Block(width), KeyNorm(width, FLOOR))
        self.beats = nn.Sequential(KeyConv(width, width, 4, stride=4), Block(width), KeyNorm(width, FLOOR))
        for part in (self.steps[1], self.beats[1]):
            part.norm = KeyNorm(width, FLOOR)
        self.last = KeyConv(width, Width(0, recipe.plain))
        self.verdict = nn.Linear(recipe.plain * 4, styles)

    def forward(self, x: Tensor) -> Tensor:
        state = self.last(self.beats(self.steps(x.flatten(1, 2))))  # (B, plain, 4)
        logits: Tensor = self.verdict(functional.silu(state).flatten(1))
        return logits


def cut_bars(piece: Piece) -> list[Ints]:
    """Return a piece's bars in which a note of the parts begins, as rows from the bar's first step."""
    busy = np.flatnonzero(count_onsets(piece.parts, piece.first, piece.bars))
    return [cut(piece.parts, piece.first + int(bar) * STEPS_PER_BAR, STEPS_PER_BAR) for bar in busy]


def train(pieces: Sequence[Piece], recipe: StyleRecipe) -> Iterator[tuple[StyleClassifier, float]]:
    """Train a classifier: yield it and the loss of each step. Raises ValueError where a style has no piece."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    classifier = StyleClassifier(recipe)
    optimiser = torch.optim.AdamW(classifier.parameters(), recipe.rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.1)
    by_style = [[piece for piece in pieces if piece.style == style and len(piece.parts)] for style in JUDGED_STYLES]
    if not all(by_style):
        raise ValueError("a style classifier needs a piece of every style")
    for _ in range(recipe.steps):
        styles = rng.integers(len(JUDGED_STYLES), size=recipe.batch)
        bars = [_draw(by_style[style], rng) for style in styles]
        logits = classifier(torch.from_numpy(draw_planes(bars, STEPS_PER_BAR, SPLITS)))
        loss = functional.cross_entropy(logits, torch.from_numpy(styles), label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        yield classifier, float(loss.detach())


@torch.no_grad()
def count_heard(classifier: StyleClassifier, pieces: Sequence[Piece]) -> NDArray[np.int64]:
    """Return how many bars of the pieces are heard as each style, (styles,)."""
    counts = np.zeros(len(JUDGED_STYLES), np.int64)
    for piece in pieces:
        bars = cut_bars(piece)
        if bars:
            found = classifier(torch.from_numpy(draw_planes(bars, STEPS_PER_BAR, SPLITS))).argmax(1)
            counts += np.bincount(found.numpy(), minlength=len(JUDGED_STYLES))
    return counts


def compute_accuracy(confusion: NDArray[np.int64]) -> float:
    """Return the share of bars heard as what they are; a style that has bars counts as much as another.

    confusion: (styles, styles), what is played x what is heard. NaN where no style has any bars.
    """
    total = confusion.sum(1)
    there = total > 0
    return float((confusion.diagonal()[there] / total[there]).mean()) if there.any() else float("nan")


def _draw(pieces: Sequence[Piece], rng: np.random.Generator) -> Ints:
    """Draw a bar of a piece, moved by a random interval."""
    while True:
        piece = pieces[int(rng.integers(len(pieces)))]
        first = piece.first + int(rng.integers(piece.bars)) * STEPS_PER_BAR
        bar = cut(piece.parts, first, STEPS_PER_BAR)
        if len(bar) and (bar[:, 0] >= 0).any():
            break
    moved = np.clip(bar[:, 1] + rng.integers(-6, 6), 0, 127)
    return np.stack([bar[:, 0], moved, bar[:, 2]], 1)
