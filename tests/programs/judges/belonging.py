"""The contrastive judge: which of 32 accompaniments belongs to a four-bar melody.

Two small encoders hear four bars each, melody and accompaniment, and give a state for every beat; the closer the two
sequences (cosine over all beats), the better the pair belongs together. They are trained so that of a batch of windows
of different songs each melody finds its own accompaniment and each accompaniment its melody (InfoNCE). In half of the
batches all windows are moved into one key, so that more than the key is learnt. The layers hear all keys alike, and so
a state is moved by rotating it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.key_equivariant import Block, KeyConv, KeyNorm, Width, join
from music.evaluation.means import Mean, estimate_mean
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT
from tests.programs.judges.pieces import Piece, count_onsets, cut, draw_planes

BARS = 4
STEPS = BARS * STEPS_PER_BAR
#: What is a window to be judged: so many melody notes begin in it. One is looked at every HOP bars.
MELODY_ONSETS = 4
HOP = 2
CANDIDATES = 32
#: Two parts as close to a melody as this are a tie.
ROUNDING = 1e-5
#: The accompaniment is heard in two registers, below and above E3.
SPLITS = (52,)
FLOOR = 1e-2  # of KeyNorm: rests are common


@dataclass(frozen=True, slots=True)
class BelongingRecipe:
    """Settings of the judge and of its training."""

    steps: int = 500
    batch: int = 128
    rate: float = 4e-3
    pitched: int = 8
    plain: int = 16
    blocks: int = 2
    heard: tuple[int, int] = (4, 8)
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Window:
    """Four bars of a piece from a step on."""

    piece: Piece
    first: int


class WindowEncoder(nn.Module):
    """Planes (B, planes, 12, 64) -> a state per beat, (B, pitched, 12, 16) and (B, plain, 16)."""

    place: Tensor

    def __init__(self, heard: int, recipe: BelongingRecipe) -> None:
        super().__init__()
        width, self.out_width = Width(recipe.pitched, recipe.plain), Width(*recipe.heard)
        self.first = KeyConv(Width(heard, STEPS_PER_BEAT), width, STEPS_PER_BEAT, stride=STEPS_PER_BEAT)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(recipe.blocks)))
        for part in self.blocks:
            part.norm = KeyNorm(width, FLOOR)
        self.last = nn.Sequential(KeyNorm(width, FLOOR), KeyConv(width, self.out_width))
        place = (
            torch.eye(STEPS_PER_BEAT).repeat_interleave(STEPS_PER_BEAT, 1).repeat(1, BARS)
        )  # which beat of the bar a step is in
        self.register_buffer("place", place, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        state = self.first(join(x, self.place.expand(len(x), -1, -1)))
        state = self.last(self.blocks(state))
        pitched, plain = state.split([self.out_width.pitched * PITCH_CLASSES, self.out_width.plain], 1)
        pitched = pitched.unflatten(1, (self.out_width.pitched, PITCH_CLASSES))
        return pitched - pitched.mean(2, keepdim=True), plain


class BelongingJudge(nn.Module):
    """Both encoders, and how sharply the judge decides."""

    def __init__(self, recipe: BelongingRecipe) -> None:
        super().__init__()
        self.melody = WindowEncoder(2, recipe)
        self.parts = WindowEncoder(2 * (len(SPLITS) + 1), recipe)
        self.sharpness = nn.Parameter(torch.tensor(2.3))

    def hear_melodies(self, windows: Sequence[Window], same_key: bool) -> Tensor:
        """Return one unit vector each, (windows, features); same_key: as if all songs were in one key."""
        rows = [cut(window.piece.melody, window.first, STEPS) for window in windows]
        return _encode_windows(self.melody, torch.from_numpy(draw_planes(rows, STEPS, ())), windows, same_key)

    def hear_parts(self, windows: Sequence[Window], same_key: bool) -> Tensor:
        """Return one unit vector each, as `hear_melodies` does."""
        rows = [cut(window.piece.parts, window.first, STEPS) for window in windows]
        return _encode_windows(self.parts, torch.from_numpy(draw_planes(rows, STEPS, SPLITS)), windows, same_key)


def find_windows(piece: Piece, hop: int = HOP, parts_onsets: int = 0) -> list[Window]:
    """Return a piece's windows, one every `hop` bars, in which melody and parts do something.

    Of the melody MELODY_ONSETS notes begin in one, of the parts `parts_onsets`.
    """
    four = np.ones(BARS, np.int64)
    if piece.bars < BARS:
        return []
    melody = np.convolve(count_onsets(piece.melody, piece.first, piece.bars), four, "valid")
    parts = np.convolve(count_onsets(piece.parts, piece.first, piece.bars), four, "valid")
    kept = np.flatnonzero((melody >= MELODY_ONSETS) & (parts >= parts_onsets))
    return [Window(piece, piece.first + int(bar) * STEPS_PER_BAR) for bar in kept if bar % hop == 0]


def train(pieces: Sequence[Piece], recipe: BelongingRecipe) -> Iterator[tuple[BelongingJudge, float]]:
    """Train a judge: yield it and the loss of each step. Raises ValueError for fewer songs than two."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    judge = BelongingJudge(recipe)
    optimiser = torch.optim.AdamW(judge.parameters(), recipe.rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.1)
    songs = _group_by_song(pieces)
    if len(songs) < 2:
        raise ValueError("a contrastive judge needs windows of two songs or more")
    for step in range(recipe.steps):
        batch = _draw(songs, min(recipe.batch, len(songs)), rng)
        same_key = step % 2 == 1
        closeness = judge.hear_melodies(batch, same_key) @ judge.hear_parts(batch, same_key).T
        logits = closeness * judge.sharpness.clamp(max=4.6).exp()
        own = torch.arange(len(batch))
        loss = (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        yield judge, float(loss.detach())


@torch.no_grad()
def measure_first_of_32(
    judge: BelongingJudge, own: Sequence[Window], others: Sequence[Window], same_key: bool
) -> NDArray[np.float64]:
    """Return the chance that each window's own part is closest to its melody among 32, (windows,).

    The 31 others are drawn from the windows of other songs in `others`. Exact, over all draws; a tie is lost; NaN where
    there are not 31.
    """
    melodies = judge.hear_melodies(own, same_key)
    mine = (melodies * judge.hear_parts(own, same_key)).sum(1).numpy()
    theirs = (melodies @ judge.hear_parts(others, same_key).T).numpy()
    songs, other_songs = (np.array([w.piece.song for w in windows]) for windows in (own, others))
    foreign = songs[:, None] != other_songs[None, :]
    count = foreign.sum(1)
    better = ((theirs > mine[:, None] - ROUNDING) & foreign).sum(1)
    drawn = np.arange(CANDIDATES - 1)
    left = np.clip(count[:, None] - better[:, None] - drawn, 0, None) / np.clip(count[:, None] - drawn, 1, None)
    return np.where(count >= CANDIDATES - 1, left.prod(1), np.nan)


def average_songs(windows: Sequence[Window], shares: NDArray[np.float64]) -> Mean:
    """Return the mean of the windows' shares over songs, with its interval."""
    found: dict[str, list[float]] = {}
    for window, share in zip(windows, shares.tolist(), strict=True):
        if not np.isnan(share):
            found.setdefault(window.piece.song, []).append(share)
    return estimate_mean([sum(of_song) / len(of_song) for _, of_song in sorted(found.items())])


def _encode_windows(encoder: WindowEncoder, heard: Tensor, windows: Sequence[Window], same_key: bool) -> Tensor:
    pitched, plain = encoder(heard)
    if same_key:  # the class of the tonic first
        keys = torch.tensor([window.piece.key for window in windows])
        classes = (torch.arange(PITCH_CLASSES) + keys[:, None]) % PITCH_CLASSES
        pitched = pitched.gather(2, classes[:, None, :, None].expand_as(pitched))
    return functional.normalize(torch.cat([pitched.flatten(1), plain.flatten(1)], 1), dim=1)


def _group_by_song(pieces: Sequence[Piece]) -> list[list[list[Window]]]:
    """Song -> its pieces -> their windows."""
    found: dict[str, list[list[Window]]] = {}
    for piece in pieces:
        windows = find_windows(piece, 1, parts_onsets=BARS)
        if windows:
            found.setdefault(piece.song, []).append(windows)
    return list(found.values())


def _draw(songs: Sequence[list[list[Window]]], count: int, rng: np.random.Generator) -> list[Window]:
    """Draw a window of each of so many songs; people's accompaniments and those made by rule equally often."""
    batch = []
    for index in rng.choice(len(songs), count, replace=False):
        pieces = songs[index]
        human = [windows for windows in pieces if windows[0].piece.style == "piano"]
        made = [windows for windows in pieces if windows[0].piece.style != "piano"]
        chosen = human if human and (not made or rng.random() < 0.5) else made
        windows = chosen[rng.integers(len(chosen))]
        batch.append(windows[rng.integers(len(windows))])
    return batch
