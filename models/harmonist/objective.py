"""Training of the harmonist: every patch of a stretch of song is asked for the chords of the next beats."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from models import checkpoint
from models.checkpoint import CheckpointError
from models.data.song_cache import CachedSong, DataError
from models.draws import Draws
from models.harmonist.dataset import (
    LEAD_SHEETS,
    WEIGHTS,
    HarmonistBatch,
    draw_batch,
    find_kind,
    find_offsets,
    make_tunes,
    modulate,
)
from models.harmonist.evidence import EvidencePlanes, EvidenceShares, draw_given, simulate_evidence
from models.harmonist.loss_panels import PANELS
from models.harmonist.network import CHORDS, Given, Harmonist, HarmonistConfig, compute_chord_loss
from models.key_equivariant import Drop
from models.loss_plot import LossPanel
from models.optimisation import anneal, average_count, set_rate, update_average, update_weights, warm_up
from models.recipe import BatchSize, Bounds, Rate, Share, read_recipe
from music.encoding.melody_context import AHEAD_BEATS
from music.errors import UserError
from music.note import PITCH_CLASSES, STEPS_PER_BEAT

#: weight of a beat's chord, from this beat's on: the nearer ones are played, the others only looked ahead to
BEAT_WEIGHTS = (1.0, 1.0, 0.7, 0.5, 0.4, 0.3, 0.3, 0.3)
assert len(BEAT_WEIGHTS) == AHEAD_BEATS
WARM_UP_STEPS = 100
LOWEST_RATE = 0.01  #: of the learning rate, at the run's end
#: stretches in each batch that validates, drawn with this seed
VALIDATION_COUNT, VALIDATION_SEED = 32, 7


@dataclass(frozen=True, slots=True)
class HarmonistRecipe:
    """Settings of a run."""

    begin_with: str = ""  #: a run, or a GAN's graph, whose harmonist is gone on with
    model: HarmonistConfig = field(default_factory=HarmonistConfig)
    batch: BatchSize = 10  #: stretches
    patches: Annotated[int, Bounds(4, 4096)] = 192  #: length of a stretch
    learning_rate: Rate = 2e-3
    heard_all: Share = 0.35  #: share of stretches that hear the future
    hidden: Share = 0.08  #: share of patches whose melody is not heard (Park et al. 2019)
    moved: Share = 0.3  #: share of stretches that go to another key in the middle
    weight_decay: float = 0.02
    weights: dict[str, float] = field(default_factory=dict)  #: over WEIGHTS
    evidence: EvidenceShares = field(default_factory=EvidenceShares)  #: for a model that hears given chords
    only_given: bool = False  #: nothing learns but what hears the chords that are known: the rest stays to the bit


def load_harmonist(run: Path) -> Harmonist:
    """Return the averaged harmonist of a run, frozen. Raises CheckpointError."""
    tensors, state = checkpoint.load(run / "checkpoint")
    if state.get("technique") != "harmonist":
        raise CheckpointError(f"{run} holds a run of the {state.get('technique')}, not of the harmonist")
    model = Harmonist(read_recipe(HarmonistRecipe, state["recipe"]).model)
    checkpoint.load_whole(model, checkpoint.select_tensors(tensors, "average"), str(run))
    return model.requires_grad_(False).eval()


class HarmonistObjective:
    """Network, optimizer and tunes of one run."""

    loss_panels: Sequence[LossPanel] = PANELS

    def __init__(self, fabric: Fabric, recipe: HarmonistRecipe, songs: list[CachedSong], steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.fabric, self.recipe, self.steps = fabric, recipe, steps
        self.model = Harmonist(recipe.model).to(fabric.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        learning: nn.Module = self.model
        if recipe.only_given:
            if self.model.given is None:
                raise UserError("only_given wants a model that hears chords: --set 'model={\"given\":true}'")
            self.model.requires_grad_(False).eval()
            learning = self.model.given.requires_grad_(True).train()
        optimizer = torch.optim.AdamW(
            learning.parameters(), recipe.learning_rate, (0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.modules: dict[str, nn.Module] = {"model": self.model, "average": self.average}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": optimizer}
        self.draws = Draws.of_device(fabric, seed, recipe.batch)
        songs = [song for song in songs if song.is_in_four]
        self.tunes = make_tunes(songs, "train")
        odds = np.array([{**WEIGHTS, **recipe.weights}.get(tune.kind, 1.0) for tune in self.tunes])
        if not odds.sum():
            raise DataError("no song in the train split has a melody and chords, and a weight above 0")
        self.odds = odds / odds.sum()
        self.validations = _draw_validations(songs, recipe.patches)

    @staticmethod
    def read_recipe(values: Mapping[str, Any]) -> HarmonistRecipe:
        """Return the recipe in JSON values. Raises RecipeError."""
        return read_recipe(HarmonistRecipe, values)

    def begin(self) -> None:
        """Take over the weights that the recipe begins with. Raises CheckpointError."""
        if self.recipe.begin_with:
            weights = checkpoint.read_average(Path(self.recipe.begin_with), "generator.harmonist")
            checkpoint.load_fitting(self.model, weights)
            self.average.load_state_dict(self.model.state_dict())

    def update(self, step: int) -> dict[str, float]:
        """Update the harmonist; return its loss and the norm of its gradient."""
        recipe, optimizer = self.recipe, self.optimizers["optimizer"]
        warm = warm_up(step + 1, WARM_UP_STEPS)
        set_rate(optimizer, recipe.learning_rate * warm * anneal(step / self.steps, LOWEST_RATE))
        randoms = self.draws.open_examples(step)
        batch = modulate(draw_batch(self.tunes, randoms, recipe.patches, self.odds), randoms, recipe.moved)
        heard = np.stack([random.random((1, 1, recipe.patches)) for random in randoms]) >= recipe.hidden
        batch = batch._replace(melody=batch.melody * heard.repeat(STEPS_PER_BEAT, 3))
        heard_all = torch.tensor([random.random() < recipe.heard_all for random in randoms])[:, None, None]
        heard_all = heard_all.to(self.fabric.device)
        given = None
        if self.model.given is not None:
            given = simulate_evidence(batch.chords, find_offsets(batch.phase), randoms, recipe.evidence)
        noise = self.draws.open_noise(step, self.fabric.device)
        for module in self.model.modules():
            if isinstance(module, Drop):
                module.noise = noise
        told, chords = self._predict(self.model, batch, heard_all, given=given)
        losses = compute_chord_loss(told, chords)
        weight = torch.tensor(BEAT_WEIGHTS, device=losses.device)[:, None]
        loss = (losses * weight).sum() / average_count(self.fabric, ((losses > 0) * weight).sum())
        norm = update_weights(self.fabric, optimizer, loss, 1.0)
        update_average(self.average, self.model, min(0.998, 1 - 1 / (step / 3 + 1)))
        return {"chord": float(loss.detach()), "gradient": float(norm)}

    def _predict(
        self,
        model: Harmonist,
        batch: HarmonistBatch,
        heard_all: Tensor,
        memory: float = 1.0,
        given: EvidencePlanes | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the model's scores (B, AHEAD_BEATS, CHORDS, n) and the chords (B, 2, AHEAD_BEATS, n) of a batch.

        heard_all: (B, 1, 1), who hears what follows; memory: 0 where nobody recalls; given: chords that are known.
        """
        melody, phase, chords, place, trust = (torch.as_tensor(x, device=self.fabric.device) for x in batch)
        own = torch.arange(place.shape[1], device=place.device).expand_as(place)
        known = torch.where(heard_all, 1.0, trust * memory)
        with self.fabric.autocast():
            places = torch.where(heard_all[:, 0], own, place)
            told = model(melody, phase, places, known, self._load_given(given))
        return told, chords

    def _load_given(self, given: EvidencePlanes | None) -> Given | None:
        if given is None:
            return None
        return tuple(torch.as_tensor(planes, device=self.fabric.device) for planes in given)  # type: ignore[return-value]

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return cross-entropy of this beat's chord and share of right roots, of the averaged harmonist.

        Of pop909 live, live without memory of what came before, live where every song goes to another key, and
        offline; of lead sheets live and offline. A model that hears chords that are known is asked about pop909 live
        with the chords as a chart and as left hands play them.
        """
        plain, modulated, folk = self.validations
        asked_in = (
            ("live", plain, False, 1.0, None),
            ("forgetful", plain, False, 0.0, None),
            ("moved", modulated, False, 1.0, None),
            ("offline", plain, True, 0.0, None),
            ("folk", folk, False, 1.0, None),
            ("folk_offline", folk, True, 0.0, None),
        )
        given_in = (("chart", plain, False, 1.0, _write_charts), ("hands", plain, False, 1.0, _play_hands))
        losses: dict[str, float] = {}
        for name, batches, heard, memory, tell in (*asked_in, *(given_in if self.model.given is not None else ())):
            total, right, count = 0.0, 0, 0
            for batch in batches:
                heard_all = torch.full((len(batch.melody), 1, 1), heard, device=self.fabric.device)
                given = tell(batch) if tell is not None else None
                told, chords = self._predict(self.average, batch, heard_all, memory, given)
                told, asked = told[:, :1], chords[:, :, :1]
                named = asked[:, 0] >= 0
                total += float(compute_chord_loss(told, asked).sum())
                right += int(((told.argmax(2) % PITCH_CLASSES == asked[:, 0]) & named).sum())
                count += int(named.sum())
            if count:
                losses |= {f"valid_{name}_chord": total / count, f"valid_{name}_root": right / count}
        return losses

    def collect_state(self) -> dict[str, Tensor]:
        """Return nothing: an update depends on no earlier one but by the weights."""
        return {}

    def restore_state(self, state: Mapping[str, Tensor]) -> None:
        """Put nothing back."""

    def collect_extras(self) -> dict[str, Any]:
        """Return how many chords there are."""
        return {"chords": CHORDS}


def _write_charts(batch: HarmonistBatch) -> EvidencePlanes:
    """Return the chords of a batch as a chart that is right has them."""
    return draw_given(batch.chords)


def _play_hands(batch: HarmonistBatch) -> EvidencePlanes:
    """Return the chords of a batch as left hands play them, always alike."""
    randoms = [np.random.default_rng(VALIDATION_SEED)] * len(batch.chords)
    shares = EvidenceShares(hands=1.0, chart=0.0, memory=0.0)
    return simulate_evidence(batch.chords, find_offsets(batch.phase), randoms, shares)


def _draw_validations(
    songs: list[CachedSong], patches: int
) -> tuple[list[HarmonistBatch], list[HarmonistBatch], list[HarmonistBatch]]:
    """Return fixed stretches of the validation split.

    Of pop909 (of all, where it is missing), the same in other keys, and of lead sheets.
    """
    random = np.random.default_rng(VALIDATION_SEED)
    pop = make_tunes([s for s in songs if s.collection == "pop909"] or songs, "valid")
    randoms = [random] * VALIDATION_COUNT
    plain = [draw_batch(pop, randoms, patches) for _ in range(3)] if pop else []
    modulated = [modulate(batch, randoms, 1.0) for batch in plain]
    folk = make_tunes([s for s in songs if find_kind(s) == LEAD_SHEETS], "valid")
    return plain, modulated, [draw_batch(folk, randoms, patches) for _ in range(2)] if folk else []
