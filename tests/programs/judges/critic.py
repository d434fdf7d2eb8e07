"""The critic trained apart: does it tell four bars that people played from four bars of somebody else's?

It hears melody and accompaniment on a roll of onsets and sustains in registers by pitch class; its layers hear all keys
alike, and in training a window is moved by a random interval, so that neither keys nor registers of single songs help.
Critics that hear less (HEARINGS) show where it is told, and are not as easily at 1.
Beside it stands a logistic regression on a few densities, which shows what can be told without hearing any harmony.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.key_equivariant import Block, KeyConv, KeyNorm, Width, join
from music.evaluation.means import Mean, estimate_mean
from music.note import PITCH_CLASSES, PITCHES, STEPS_PER_BAR, STEPS_PER_BEAT
from tests.programs.judges.critic_songs import BARS, STEPS, Pair
from tests.programs.judges.pieces import Floats, Ints, draw_planes

#: the lowest pitches of the accompaniment's registers but the first
SPLITS = (48, 60, 72)
FLOOR = 1e-2  # of KeyNorm: rests are common
#: semitones that a window is moved by in training, at most
MOVED = 5
DENSITIES = (
    "onsets a bar",
    "notes that sound",
    "notes struck at once",
    "onsets on the beat",
    "notes of one step",
    "steps a note",
    "silent steps",
    "mean pitch",
    "lowest pitch",
    "bars in the rhythm of the bar before",
)


#: how much of an accompaniment the critic hears: the less it is, the further it is from telling all
EVERYTHING, HARMONY, RHYTHM = "everything", "pitch classes as they begin", "the rhythm of onsets"
HEARINGS = (EVERYTHING, HARMONY, RHYTHM)


@dataclass(frozen=True, slots=True)
class CriticRecipe:
    """Settings of the critic and of its training."""

    steps: int = 240
    pairs: int = 24  #: of an update
    rate: float = 3e-3
    width: tuple[int, int] = (6, 24)
    critics: int = 2  #: trained apart; their scores are added
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Told:
    """The share of windows that were told right."""

    accuracy: Mean  #: balanced: of as many windows of people as of the other; over songs
    windows: int  #: of each


class WindowCritic(nn.Module):
    """Planes (B, planes, 12, 64) -> a score each, above 0 for people's."""

    place: Tensor

    def __init__(self, recipe: CriticRecipe) -> None:
        super().__init__()
        width = Width(*recipe.width)
        planes = 2 + 2 * (len(SPLITS) + 1)
        self.first = KeyConv(Width(planes, STEPS_PER_BEAT), width, STEPS_PER_BEAT, stride=STEPS_PER_BEAT)
        self.blocks = nn.Sequential(Block(width), Block(width))
        for block in self.blocks:
            block.norm = KeyNorm(width, FLOOR)
        self.last = nn.Sequential(KeyNorm(width, FLOOR), KeyConv(width, Width(0, width.plain)), nn.SiLU())
        self.drop = nn.Dropout(0.3)
        self.verdict = nn.Linear(2 * width.plain, 1)
        place = torch.eye(STEPS_PER_BEAT).repeat_interleave(STEPS_PER_BEAT, 1).repeat(1, BARS)
        self.register_buffer("place", place, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        state = self.last(self.blocks(self.first(join(x, self.place.expand(len(x), -1, -1)))))
        score: Tensor = self.verdict(self.drop(torch.cat([state.mean(2), state.amax(2)], 1)))
        return score[:, 0]


def hear(pairs: Sequence[Pair], how: str) -> list[Pair]:
    """Return windows of whose accompaniments no more is left than one of HEARINGS, of people's and the other's alike.

    Pitch classes as they begin have neither octaves nor lengths nor doublings; a rhythm has no pitches either.
    """
    return [replace(pair, people=_thin_out(pair.people, how), other=_thin_out(pair.other, how)) for pair in pairs]


#: the octave that pitch classes are heard in
_MIDDLE = 60


def _thin_out(rows: Ints, how: str) -> Ints:
    if how == EVERYTHING:
        return rows
    begun = rows[rows[:, 0] >= 0]
    classes = begun[:, 1] % PITCH_CLASSES if how == HARMONY else np.zeros(len(begun), np.int32)
    left = np.stack([begun[:, 0], _MIDDLE + classes, np.ones(len(begun), np.int32)], 1)
    return np.asarray(np.unique(left, axis=0), np.int32)


def train(pairs: Sequence[Pair], recipe: CriticRecipe, seed: int) -> WindowCritic:
    """Return a critic that has learnt from pairs. Raises ValueError without any."""
    if not pairs:
        raise ValueError("a critic needs windows to learn from")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    critic = WindowCritic(recipe)
    optimiser = torch.optim.AdamW(critic.parameters(), recipe.rate, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.1)
    for _ in range(recipe.steps):
        drawn = rng.integers(len(pairs), size=recipe.pairs)
        chosen = [_move(pairs[i], int(rng.integers(-MOVED, MOVED + 1))) for i in drawn]
        score = critic(torch.from_numpy(draw(chosen)))
        wanted = torch.cat([torch.full((len(chosen),), 0.95), torch.full((len(chosen),), 0.05)])
        loss = functional.binary_cross_entropy_with_logits(score, wanted)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return critic.eval()


def draw(pairs: Sequence[Pair]) -> Floats:
    """Return planes of all people's windows, then of all others', (2 * pairs, planes, 12, 64)."""
    melody = draw_planes([pair.melody for pair in pairs], STEPS, ())
    parts = [draw_planes([side(pair) for pair in pairs], STEPS, SPLITS) for side in (_people, _other)]
    return np.concatenate([np.concatenate([melody, planes], 1) for planes in parts])


@torch.no_grad()
def score_pairs(critics: Sequence[WindowCritic], pairs: Sequence[Pair]) -> Floats:
    """Return scores of people's windows and of the others', (2, pairs): above 0 where they are taken for people's."""
    some = [pairs[i : i + 64] for i in range(0, len(pairs), 64)]
    scores = [np.concatenate([_score(critic, each) for each in some], 1) for critic in critics]
    return np.asarray(np.mean(scores, 0), np.float32)


def _score(critic: WindowCritic, pairs: Sequence[Pair]) -> Floats:
    return np.asarray(critic(torch.from_numpy(draw(pairs))).numpy().reshape(2, -1), np.float32)


def count_told(pairs: Sequence[Pair], scores: NDArray[np.floating]) -> Told:
    """Return how many windows were told right, with an interval over songs. A score of 0 is half right."""
    right = (np.sign(scores * np.array([[1.0], [-1.0]])) + 1) / 2
    songs: dict[str, list[float]] = {}
    for pair, share in zip(pairs, right.mean(0).tolist(), strict=True):
        songs.setdefault(pair.song, []).append(share)
    return Told(estimate_mean([sum(shares) / len(shares) for _, shares in sorted(songs.items())]), len(pairs))


# --- without hearing: densities alone -------------------------------------------------------------------------------


def measure_densities(rows: Ints) -> NDArray[np.float64]:
    """Return DENSITIES of a window of an accompaniment."""
    begun = rows[(rows[:, 0] >= 0) & (rows[:, 0] < STEPS)]
    sounding = np.zeros(STEPS)
    for start, _, length in rows.tolist():
        sounding[max(0, start) : start + length] += 1
    starts, sizes = np.unique(begun[:, 0], return_counts=True)
    lowest = [int(begun[begun[:, 0] == start, 1].min()) for start in starts]
    rhythm = np.zeros(STEPS, bool)
    rhythm[starts] = True
    bars = rhythm.reshape(BARS, STEPS_PER_BAR)
    return np.array(
        [
            len(begun) / BARS,
            sounding.mean(),
            sizes.mean(),
            (starts % STEPS_PER_BEAT == 0).mean(),
            (begun[:, 2] <= 1).mean(),
            begun[:, 2].mean(),
            (sounding == 0).mean(),
            begun[:, 1].mean(),
            np.mean(lowest),
            (bars[1:] == bars[:-1]).all(1).mean(),
        ]
    )


def regress_densities(
    learnt: Sequence[Pair], judged: Sequence[Pair]
) -> tuple[NDArray[np.float64], list[tuple[str, float]]]:
    """Return scores as `score_pairs` does, by a logistic regression on densities, and its weights.

    A weight is that of a density in standard deviations, the greatest first; above 0 where people have more of it.
    """
    known, asked = (
        np.array([[measure_densities(side(pair)) for pair in pairs] for side in (_people, _other)])
        for pairs in (learnt, judged)
    )
    mean, spread = known.mean((0, 1)), known.std((0, 1)) + 1e-9
    x = torch.from_numpy((known - mean) / spread)
    wanted = torch.stack([torch.ones(x.shape[1]), torch.zeros(x.shape[1])]).double()
    weight = torch.zeros(len(DENSITIES), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(x @ weight + bias, wanted) + 1e-3 * weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(step)
    found = weight.detach().numpy()
    scores = ((asked - mean) / spread) @ found + float(bias.detach())
    order = np.argsort(-np.abs(found))
    return scores, [(DENSITIES[i], float(found[i])) for i in order]


def _people(pair: Pair) -> Ints:
    return pair.people


def _other(pair: Pair) -> Ints:
    return pair.other


def _move(pair: Pair, interval: int) -> Pair:
    """Return a window moved by an interval, melody and accompaniments together."""
    lines = [rows.copy() for rows in (pair.melody, pair.people, pair.other)]
    for rows in lines:
        rows[:, 1] = np.clip(rows[:, 1] + interval, 0, PITCHES - 1)
    return Pair(pair.song, *lines)
