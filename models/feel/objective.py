"""Training of a drummer's feel: one update of the loop in `models.training_loop`.

Each take has numbers of its own, its hand, which are learned with the network: they tell a swung take from a straight
one, a loud drummer from a soft one. At the end the hands of takes become what the player chooses from by its seed, and
it is measured how long a drummer who is late stays late.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from models.data.song_cache import CachedSong, DataError
from models.draws import Draws
from models.feel.dataset import DRUM_STYLES, SLOWEST, SUITING, DrumTake, FeelExamples, make_examples, read_takes
from models.feel.network import Feel, FeelConfig, compute_quantile_loss
from models.loss_plot import LossPanel
from models.optimisation import anneal, average_count, set_rate, update_average, update_weights, warm_up
from models.recipe import BatchSize, Rate, Share, read_recipe
from music.encoding.drum_feel import COMING_STEPS, LANES, LEVEL_DEVIATIONS, PAST_STEPS, WINDOW_STEPS

WARM_UP_STEPS = 150
LOWEST_RATE = 0.01  #: of the learning rate, at the run's end
#: pull of hands towards 0, where a take has little to say
_HAND_DECAY = 1e-4
#: a take whose hand is played with has so many steps with hits at least, and a style so many hands at most
_MIN_STEPS, _MAX_HANDS = 64, 32
#: points of the curves that correct what the network smooths
CORRECTION_POINTS = 33
#: steps over which it is measured how hits go on to be late or loud
LAGS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class FeelRecipe:
    """Settings of a run."""

    takes: str = ""  #: the folder of the takes: the cache of songs has no timing
    model: FeelConfig = field(default_factory=FeelConfig)
    batch: BatchSize = 512  #: steps with hits
    learning_rate: Rate = 3e-3
    hidden: Share = 0.1  #: share of examples that are told no hits
    cut: Share = 0.2  #: share of examples that are told no hits from a step in the future on
    nobody: Share = 0.2  #: share of examples whose hand is not told
    any_style: Share = 0.1  #: share of examples whose style is not told


class FeelObjective:
    """Network, hands, optimizer and takes of one run."""

    loss_panels: Sequence[LossPanel] = (
        LossPanel(
            "Loss: how a hit is played",
            "steps, and shares of the loudest velocity",
            "It falls, fast and then slowly; validation is higher throughout, for nothing is known of those drummers' "
            "hands. If it rises while training falls, takes are learnt by heart.",
            {"quantile": "training", "valid_quantile": "validation"},
        ),
        LossPanel(
            "Norm of the gradient",
            "as the loss, for each unit of weight",
            "It stays below 1, where it would be clipped; bursts mean that the learning rate is too high.",
            {"gradient": "before clipping"},
            is_logarithmic=True,
        ),
    )

    def __init__(self, fabric: Fabric, recipe: FeelRecipe, songs: list[CachedSong], steps: int, seed: int) -> None:
        if not recipe.takes:
            raise DataError(
                "the feel learns from drummers' timing: name the folder of the takes with --set takes=FOLDER"
            )
        torch.manual_seed(seed)
        self.fabric, self.recipe, self.steps = fabric, recipe, steps
        takes = read_takes(Path(recipe.takes))
        self.train = [take for take in takes if take.split == "train"]
        self.examples = make_examples(self.train)
        self.styles = torch.tensor([DRUM_STYLES.index(take.style) for take in self.train])
        valid = [take for take in takes if take.split == "valid"]
        self.valid = (make_examples(valid), torch.tensor([DRUM_STYLES.index(take.style) for take in valid]))
        feel = Feel(recipe.model, len(DRUM_STYLES))
        hands = nn.Embedding(len(self.train), recipe.model.hand)
        nn.init.normal_(hands.weight, 0, 0.1)
        self.net = nn.ModuleDict({"feel": feel, "hands": hands}).to(fabric.device)
        self.average = copy.deepcopy(self.net).requires_grad_(False).eval()
        optimizer = torch.optim.AdamW(
            [{"params": feel.parameters(), "weight_decay": 0.01}, {"params": hands.parameters(), "weight_decay": 0.0}],
            recipe.learning_rate,
        )
        self.modules: dict[str, nn.Module] = {"net": self.net, "average": self.average}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": optimizer}
        self.draws = Draws.of_device(fabric, seed, recipe.batch)

    @staticmethod
    def read_recipe(values: Mapping[str, Any]) -> FeelRecipe:
        """Return the recipe in JSON values. Raises RecipeError."""
        return read_recipe(FeelRecipe, values)

    def begin(self) -> None:
        """Begin with fresh weights."""

    def update(self, step: int) -> dict[str, float]:
        """Update network and hands; return the loss and the norm of its gradient."""
        recipe, examples, device = self.recipe, self.examples, self.fabric.device
        rate = recipe.learning_rate * warm_up(step + 1, WARM_UP_STEPS) * anneal(step / self.steps, LOWEST_RATE)
        set_rate(self.optimizers["optimizer"], rate)
        which, *drawn = np.stack([random.random(6) for random in self.draws.open_examples(step)], 1)
        chosen = (which * len(examples.windows)).astype(int)
        windows = torch.from_numpy(hide_hits(examples.windows[chosen], recipe, np.stack(drawn[:3]))).to(device)
        style_told, hand_told = (
            torch.from_numpy(number[:, None] >= share).to(device)
            for number, share in zip(drawn[3:], (recipe.any_style, recipe.nobody), strict=True)
        )
        take = torch.from_numpy(examples.take[chosen])
        hand = self.net["hands"](take.to(device)) * hand_told
        style = torch.eye(len(DRUM_STYLES))[self.styles[take]].to(device) * style_told
        played, is_hit = (torch.from_numpy(each[chosen]).to(device) for each in (examples.played, examples.is_hit))
        loss = compute_quantile_loss(self.net["feel"](windows, style, hand), played, is_hit)
        loss = loss / average_count(self.fabric, is_hit.sum())
        norm = update_weights(
            self.fabric, self.optimizers["optimizer"], loss + _HAND_DECAY * hand.square().sum(1).mean(), 1.0
        )
        update_average(self.average, self.net, min(0.998, 1 - 1 / (step / 3 + 1)))
        return {"quantile": float(loss.detach()), "gradient": float(norm)}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the loss on the takes of the validation split, of whose hands nothing is known."""
        examples, styles = self.valid
        if not len(examples.windows):
            return {}
        told = self._tell(examples, styles, None)
        loss = compute_quantile_loss(told, torch.from_numpy(examples.played), torch.from_numpy(examples.is_hit))
        return {"valid_quantile": float(loss) / float(examples.is_hit.sum())}

    def _tell(self, examples: FeelExamples, styles: Tensor, hands: Tensor | None) -> Tensor:
        """Return what the averaged network tells of examples; hands: of each take, None: not known."""
        device = self.fabric.device
        take = torch.from_numpy(examples.take)
        style = torch.eye(len(DRUM_STYLES))[styles[take]].to(device)
        size = self.recipe.model.hand
        hand = torch.zeros(len(take), size) if hands is None else hands.cpu()[take]
        told: Tensor = self.average["feel"](torch.from_numpy(examples.windows).to(device), style, hand.to(device))
        return told.cpu()

    def collect_state(self) -> dict[str, Tensor]:
        """Return nothing: an update depends on no earlier one but by the weights."""
        return {}

    def restore_state(self, state: Mapping[str, Tensor]) -> None:
        """Put nothing back."""

    @torch.no_grad()
    def collect_extras(self) -> dict[str, Any]:
        """Return the hands to play with, by style of the band, and how hits of the training split go on."""
        hands = self.average["hands"].get_parameter("weight")
        told = self._tell(self.examples, self.styles, hands).numpy()
        deviations = find_deviations(told, self.examples.played)
        return {
            "hands": choose_hands(self.train, self.examples, hands.cpu().numpy()),
            "correlations": [measure_correlations(self.examples, deviations[:, kind]) for kind in (0, 1)],
            "corrections": measure_corrections(told, self.examples).tolist(),
        }


def hide_hits(windows: NDArray[np.float32], recipe: FeelRecipe, drawn: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return windows of which some are told no hits, and others none from a step in the future on.

    drawn: (3, n) uniform numbers.
    """
    cells = len(LANES) * WINDOW_STEPS
    coming = (drawn[1] * COMING_STEPS).astype(int)
    last = np.where(drawn[0] < recipe.cut, PAST_STEPS + coming, WINDOW_STEPS)
    last[drawn[2] < recipe.hidden] = -1
    seen = np.tile(np.arange(WINDOW_STEPS) <= last[:, None], (1, len(LANES)))
    return np.concatenate([windows[:, :cells] * seen, windows[:, cells:]], 1).astype(np.float32)


def draw_from(told: NDArray[np.float32], deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what lies so many standard deviations from the median, of quantiles along one more axis."""
    levels = np.array(LEVEL_DEVIATIONS)
    bounded = np.clip(deviations, levels[0], levels[-1])
    index = np.clip(np.searchsorted(levels, bounded), 1, len(levels) - 1)
    low, high = (np.take_along_axis(told, (index - i)[..., None], -1)[..., 0] for i in (1, 0))
    drawn: NDArray[np.float64] = low + (bounded - levels[index - 1]) / (levels[index] - levels[index - 1]) * (
        high - low
    )
    return drawn


def find_deviations(told: NDArray[np.float32], played: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return where what was played lies among the quantiles that were told, in standard deviations: (n, 2, lanes)."""
    levels = np.array(LEVEL_DEVIATIONS)
    index = np.clip((told < played[..., None]).sum(-1), 1, len(levels) - 1)
    low, high = (np.take_along_axis(told, (index - i)[..., None], -1)[..., 0] for i in (1, 0))
    share = np.clip((played - low) / np.maximum(high - low, 1e-6), 0, 1)
    return levels[index - 1] + share * (levels[index] - levels[index - 1])


def measure_corrections(told: NDArray[np.float32], examples: FeelExamples) -> NDArray[np.float64]:
    """Return what is drawn from the quantiles, and what it is to be instead: (2, lanes, 2, CORRECTION_POINTS).

    A network smooths: it has fewer of the hits that are as loud as a kit can tell, and of those far from the grid. The
    points are the same quantiles of all that is drawn and of all that was played in a lane, each rising.
    """
    drawn = draw_from(told, np.random.default_rng(0).standard_normal(told.shape[:-1]))
    at = np.linspace(0, 1, CORRECTION_POINTS)
    made = np.zeros((2, len(LANES), 2, CORRECTION_POINTS))
    for kind in (0, 1):
        for lane in range(len(LANES)):
            hit = examples.is_hit[:, lane] > 0
            for side, values in ((0, drawn), (1, examples.played)):
                own = values[hit, kind, lane]
                made[kind, lane, side] = np.quantile(own, at) if len(own) else at
    made[:, :, 0] += 1e-4 * np.arange(CORRECTION_POINTS)  # points must differ
    return made.round(5)


def measure_correlations(examples: FeelExamples, deviations: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return the correlations of hits, of other lanes and of the same lane, LAGS steps apart; first, at one step."""
    keys = (examples.take << 32) + examples.step  # rising
    found: dict[str, list[float]] = {"others": [], "same": []}
    hit, total = examples.is_hit > 0, float((deviations**2)[examples.is_hit > 0].mean())
    for lag in (0, *LAGS):
        found_at = np.minimum(keys.searchsorted(keys + lag), len(keys) - 1)
        here = np.flatnonzero(keys[found_at] == keys + lag)
        there = found_at[here]
        one, other = (np.where(hit[at], deviations[at], 0) for at in (here, there))
        both = np.einsum("na,nb->ab", hit[here].astype(float), hit[there].astype(float))
        products = one.T @ other
        is_same = np.eye(len(LANES), dtype=bool)
        for name, chosen in (("others", ~is_same), ("same", is_same)):
            found[name].append(round(float(products[chosen].sum() / max(1.0, both[chosen].sum()) / total), 3))
    return found


def choose_hands(
    takes: list[DrumTake], examples: FeelExamples, hands: NDArray[np.float32]
) -> dict[str, list[list[float]]]:
    """Return the hands that bands of a style play with: the index of their own style, then their numbers.

    The first is the most typical: the mean and the spread of its offsets and velocities are nearest to those of all.
    """
    traits = np.full((len(takes), 4), np.nan)
    for index in range(len(takes)):
        own = examples.take == index
        if not takes[index].is_fill and own.sum() >= _MIN_STEPS:
            hit = examples.is_hit[own] > 0
            offsets, velocities = (examples.played[own, kind][hit] for kind in (0, 1))
            traits[index] = offsets.mean(), offsets.std(), velocities.mean(), velocities.std()
    chosen: dict[str, list[list[float]]] = {}
    for style, suiting in SUITING.items():
        slowest = SLOWEST.get(style, np.inf)
        fits = [
            i
            for i, take in enumerate(takes)
            if take.style in suiting and take.bpm <= slowest and not np.isnan(traits[i, 0])
        ]
        if not fits:
            continue
        own = (traits[fits] - traits[fits].mean(0)) / np.maximum(traits[fits].std(0), 1e-6)
        typical = [fits[i] for i in (own**2).sum(1).argsort()][:_MAX_HANDS]
        chosen[style] = [[DRUM_STYLES.index(takes[i].style), *(round(float(v), 4) for v in hands[i])] for i in typical]
    return chosen
