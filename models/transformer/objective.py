"""Training of the transformer: one update of the loop in `models.training_loop`.

It learns the tokens of the next step. The past it is shown is often not the song's: somebody else's, full of holes,
none, or played under chords that the harmonist got wrong; and it learns only where the chord it is told is right.
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
from torch.nn import functional

from models import checkpoint
from models.critic import pack_examples, unpack_examples
from models.data.played_bands import let_people_play
from models.data.played_drums import let_drummers_play
from models.data.song_cache import CachedSong, DataError
from models.draws import Draws
from models.harmonist.network import measure_agreement
from models.harmonist.objective import load_harmonist
from models.loss_plot import LossPanel
from models.optimisation import anneal, average_count, set_rate, update_average, update_weights, warm_up
from models.recipe import BatchSize, Count, Rate, RecipeError, Share, read_recipe
from models.transformer.adversary import Adversary
from models.transformer.dataset import BandScore, HandBatch, Stretches
from models.transformer.loss_panels import PANELS
from models.transformer.network import HALF_HEAD, TRANSFORMER_STYLES, Transformer, TransformerConfig
from music.analysis import melody_recall
from music.chords import NO_CHORD
from music.encoding import gan_canvas, melody_context, step_tokens
from music.encoding.gan_canvas import PITCHED_PLANES
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT
from music.styles import get_weights

WARM_UP_STEPS = 100
LOWEST_RATE = 0.03  #: of the learning rate, at the run's end
#: weight of the velocities' likelihood
VELOCITY_WEIGHT = 0.1
#: stretches that validate: so many, drawn with this seed; every third step of them
VALIDATION_COUNT, VALIDATION_SEED, VALIDATION_STRIDE = 24, 7, 3


@dataclass(frozen=True, slots=True)
class TransformerRecipe:
    """Settings of a run."""

    model: TransformerConfig = field(default_factory=TransformerConfig)
    harmonist: str = ""  #: folder of the run whose harmonist predicts the chords; "" for none
    begin_with: str = ""  #: a run, or its graph, whose hand and writer are gone on with
    batch: BatchSize = 16  #: stretches
    learning_rate: Rate = 1.5e-3
    spoil: Share = 0.5  #: share of stretches whose past is not the song's
    told: Share = 0.4  #: share of stretches on the harmonist's chords
    some: Share = 0.35  #: share of steps whose tokens are learned in an update
    tune: float = 0.5  #: weight of the melody's own next step
    played: bool = True  #: bass and chords of bands are a pianist's where one played it (models.data.played_bands)
    drummers: bool = True  #: drums of bands are a drummer's where one suits them (models.data.played_drums)
    other_metres: Share = 0.25  #: share of songs that are not in 4/4, where there are such
    adversarial: float = 0.0  #: weight of the critic's rewards; 0: there is no critic (models.transformer.adversary)
    adversarial_from: Share = 0.1  #: of the run: from there on its rewards count
    rolled: BatchSize = 16  #: bands that are rolled out at an update
    critic: tuple[int, int] = (12, 48)  #: width, pitched and plain channels
    critic_rate: Rate = 1e-4
    critic_updates: Count = 3  #: for each update of the transformer
    penalty: float = 10.0  #: weight of the critic's gradient penalty


def compute_writing_loss(
    model: Transformer, state: Tensor, batch: dict[str, Tensor], chosen: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, int]:
    """Return the sum of the cross-entropies (nats) of the tokens of some steps, and how many steps have any.

    state: of the hand, (B, T, hand); chosen: indices into all B * T steps; weight: (B, T), by which the tokens of each
    step count (default: 1).
    """
    length = batch["length"].flatten()[chosen]
    length, order = length.sort(descending=True)
    order = order[length > 0]
    length = length[length > 0]
    if not len(length):
        return state.sum() * 0, 0
    line = batch["line"].flatten(0, 1)[chosen][order]
    longest = int(length[0])
    there = torch.arange(longest, device=line.device) < length[:, None]  # (N, longest)
    before = functional.pad(line[:, : longest - 1], (1, 0), value=step_tokens.WRITER_TOKENS)
    logits = model.writer(state.flatten(0, 1)[chosen][order], before.T[there.T], there.sum(0).tolist())
    told = line[:, :longest].T[there.T]
    if weight is None:
        return functional.cross_entropy(logits.float(), told, reduction="sum"), len(length)
    counts = weight.flatten()[chosen][order].expand(longest, -1)[there.T]
    return (functional.cross_entropy(logits.float(), told, reduction="none") * counts).sum(), len(length)


def compute_velocity_loss(fabric: Fabric, logits: Tensor, log_std: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Return the weighted negative log-likelihood of the velocities, in nats an onset of a role."""
    spread = log_std[batch["style"].argmax(1)][:, None].float()
    error = (logits.float().sigmoid() - batch["velocity"]) / spread.exp()
    there = batch["velocity"] > 0
    return ((0.5 * error.square() + spread) * there).sum() / average_count(fabric, there.sum()) * VELOCITY_WEIGHT


class TransformerObjective:
    """Network, optimizer and songs of one run."""

    loss_panels: Sequence[LossPanel] = PANELS

    def __init__(
        self, fabric: Fabric, recipe: TransformerRecipe, songs: list[CachedSong], steps: int, seed: int
    ) -> None:
        self.fabric, self.recipe, self.steps = fabric, recipe, steps
        torch.manual_seed(seed)
        self.model: Transformer = Transformer(recipe.model).to(fabric.device)
        self.average: Transformer = copy.deepcopy(self.model).requires_grad_(False).eval()
        played = let_people_play(songs) if recipe.played or recipe.adversarial else []
        people = [song for song in played if song.is_played and song.split == "train"]
        songs = played if recipe.played else songs
        songs = let_drummers_play(songs) if recipe.drummers else songs
        known = [s for s in songs if s.style in TRANSFORMER_STYLES]
        listen = self._predict_chords if recipe.harmonist else None
        train = [s for s in known if s.split == "train"]
        self.songs = Stretches(train, get_weights("transformer"), listen, recipe.other_metres)
        self.draws, self.rolls = (Draws.of_device(fabric, seed, count) for count in (recipe.batch, recipe.rolled))
        learning = [*self.model.hand.parameters(), *self.model.writer.parameters()]
        optimizer = torch.optim.AdamW(learning, 1e-3, (0.9, 0.98), weight_decay=0.02)
        self.modules: dict[str, nn.Module] = {"model": self.model, "average": self.average}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": optimizer}
        self.valid = _draw_validation([s for s in known if s.split == "valid"])
        self.adversary: Adversary | None = None
        if recipe.adversarial > 0:
            self.adversary = Adversary(fabric, people, self.rolls, recipe.critic, recipe.critic_rate, recipe.penalty)
            self.modules["critic"] = self.adversary.teacher.critic
            self.optimizers["critic_optimizer"] = self.adversary.optimizer

    @staticmethod
    def read_recipe(values: Mapping[str, Any]) -> TransformerRecipe:
        """Return the recipe in JSON values. Raises RecipeError."""
        recipe = read_recipe(TransformerRecipe, values)
        if recipe.model.hand % (2 * HALF_HEAD):
            raise RecipeError(f"model: hand: wants a multiple of {2 * HALF_HEAD}, not {recipe.model.hand}")
        return recipe

    def begin(self) -> None:
        """Take over the weights that the recipe begins with. Raises CheckpointError."""
        if self.recipe.begin_with:
            checkpoint.load_fitting(self.model, checkpoint.read_average(Path(self.recipe.begin_with)))
        if self.recipe.harmonist:
            checkpoint.load_whole(self.model.harmonist, load_harmonist(Path(self.recipe.harmonist)).state_dict())
        self.average.load_state_dict(self.model.state_dict())

    def update(self, step: int) -> dict[str, float]:
        """Update hand and writer; return their losses."""
        recipe, optimizer = self.recipe, self.optimizers["optimizer"]
        factor = warm_up(step + 1, WARM_UP_STEPS) * anneal(step / self.steps, LOWEST_RATE)
        set_rate(optimizer, recipe.learning_rate * factor)
        randoms = self.draws.open_examples(step)
        batch = self._move(self.songs.draw_batch(randoms, recipe.spoil, recipe.told))
        count = batch["length"].shape[1]
        some = [random.permutation(count)[: int(count * recipe.some)] + i * count for i, random in enumerate(randoms)]
        chosen = torch.as_tensor(np.concatenate(some))
        with self.fabric.autocast():
            state, velocity, melody = self.model.hand(batch["features"], batch["style"])
            total, many = compute_writing_loss(self.model, state, batch, chosen.to(state.device))
        loudness = compute_velocity_loss(self.fabric, velocity, self.model.hand.loud_log_std, batch)
        tune = functional.cross_entropy(melody.float().flatten(0, 1), batch["tune"].flatten())
        writing = total / average_count(self.fabric, torch.tensor(many, device=state.device))
        loss, losses = writing + loudness + recipe.tune * tune, dict[str, float]()
        if self.adversary is not None:
            reward, losses = self._hear_critic(self.adversary, step)
            loss = loss + reward
        update_weights(self.fabric, optimizer, loss, 1.0)
        update_average(self.average, self.model, min(0.998, (step + 1) / (step + 20)))
        return losses | {
            "writing": float(writing.detach()),
            "loudness": float(loudness.detach()),
            "tune": float(tune.detach()),
        }

    def _hear_critic(self, adversary: Adversary, step: int) -> tuple[Tensor | float, dict[str, float]]:
        """Roll out bands and teach the critic; return what its rewards add to the loss, and losses."""
        recipe, noise = self.recipe, self.rolls.open_noise(step, self.fabric.device)
        randoms = [self.rolls.open_edit(step, place) for place in range(recipe.rolled)]
        made = adversary.play(self.model, adversary.draw_places(randoms), noise.generator)
        losses = adversary.teacher.teach(recipe.critic_updates, noise, self.rolls.open_shared(step))
        notes = sum(len(rows) for band in made.bands for rows in band.values())
        losses["onsets"] = STEPS_PER_BAR * notes / made.length.size
        if step / self.steps < recipe.adversarial_from:
            return 0.0, losses
        rewards, score = adversary.reward()
        batch = {
            key: torch.as_tensor(value, device=self.fabric.device)
            for key, value in made._asdict().items()
            if key != "bands"
        }
        with self.fabric.autocast():
            state, _, _ = self.model.hand(batch["features"], batch["style"])
            chosen = torch.arange(batch["length"].numel(), device=state.device)
            # the likelier a rewarded step is, the smaller is the loss
            total, many = compute_writing_loss(self.model, state, batch, chosen, rewards)
        return recipe.adversarial * total / max(1, many), losses | {"generator": -score}

    @torch.no_grad()
    def _predict_chords(self, score: BandScore) -> NDArray[np.int64]:
        """Return the harmonist's chord at every step of a song's melody, (2, steps + 1)."""
        melody = [(start, pitch, length) for start, pitch, length in score.roles["melody"][:, :3].tolist()]
        lines, trust = melody_recall.find_all_matches(melody_recall.sample_melody(melody, score.steps))
        told = np.full((2, score.steps + 1), NO_CHORD, np.int64)
        for late in range(STEPS_PER_BEAT):  # now-lines late, late + 4, ...
            now, shown = _draw_now_lines(melody, score, late, lines, trust)
            arrays = [torch.as_tensor(x, device=self.fabric.device) for x in shown]
            with self.fabric.autocast():
                said = self.model.harmonist(*arrays)
            agreement = measure_agreement(said[:, 0].float().transpose(1, 2), arrays[3][:, 0])[0]
            best = agreement.argmax(1).cpu().numpy()
            inside = now < told.shape[1]
            told[0, now[inside]], told[1, now[inside]] = best[inside] % PITCH_CLASSES, best[inside] // PITCH_CLASSES
        return told

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return nats a step of the averaged weights on stretches of the validation split, true past and spoilt."""
        losses: dict[str, float] = {}
        for name, shown in self.valid:
            batch = self._move(shown)
            with self.fabric.autocast():
                state, _, _ = self.average.hand(batch["features"], batch["style"])
                chosen = torch.arange(0, batch["length"].numel(), VALIDATION_STRIDE, device=state.device)
                total, many = compute_writing_loss(self.average, state, batch, chosen)
            losses[f"valid_{name}_writing"] = float(total) / max(1, many)
        return losses

    def collect_state(self) -> dict[str, Tensor]:
        """Return what the critic remembers; without one an update depends on no earlier one but by the weights."""
        return {} if self.adversary is None else pack_examples(self.adversary.teacher.examples)

    def restore_state(self, state: Mapping[str, Tensor]) -> None:
        """Let the critic remember what it did."""
        if self.adversary is not None:
            rows = {key: found for key, value in state.items() if (found := self.rolls.take_rows(value)) is not None}
            self.adversary.teacher.examples.extend(unpack_examples(rows, self.fabric.device))

    def collect_extras(self) -> dict[str, Any]:
        """Return how much velocities vary."""
        return {"velocity_std": self.average.hand.loud_log_std.exp().tolist()}

    def _move(self, batch: HandBatch) -> dict[str, Tensor]:
        return {k: torch.as_tensor(v, device=self.fabric.device) for k, v in batch._asdict().items()}


def _draw_validation(songs: list[CachedSong]) -> list[tuple[str, HandBatch]]:
    """Return fixed stretches of songs, with their true past and with a spoilt one; none without songs of any use."""
    stretches, randoms = Stretches(songs), [np.random.default_rng(VALIDATION_SEED)] * VALIDATION_COUNT
    try:
        return [(name, stretches.draw_batch(randoms, spoil)) for name, spoil in (("true", 0.0), ("spoilt", 1.0))]
    except DataError:
        return []


def _draw_now_lines(
    melody: list[tuple[int, int, int]],
    score: BandScore,
    late: int,
    lines: NDArray[np.int32],
    trust: NDArray[np.float32],
) -> tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]:
    """Return every fourth now-line of a song from step `late` on, (n,), and what the harmonist hears at them.

    melody: rows of start, pitch, length; lines, trust: what every line recalls. For `Harmonist.forward`, of one song:
    melody, phase, place, known.
    """
    steps, lead = score.steps, STEPS_PER_BEAT  # the melody begins so much after the first patch
    count = -(-(steps + lead) // STEPS_PER_BEAT) + 1
    planes = np.zeros((PITCHED_PLANES, PITCH_CLASSES, count * STEPS_PER_BEAT), np.float32)
    rows = [(start + lead - late, pitch, length) for start, pitch, length in melody]
    gan_canvas.draw_part(planes, "melody", rows)
    now = late + STEPS_PER_BEAT * np.arange(count)
    phase = np.zeros((STEPS_PER_BAR, count), np.float32)
    phase[[melody_context.find_phase(int(step), score.metre) for step in now], np.arange(count)] = 1
    inside = now <= steps
    at = np.where(inside, now, 0)
    place = np.maximum((lines[at] - late) // STEPS_PER_BEAT, 0)
    known = np.where(inside & (lines[at] >= 0), trust[at], 0).astype(np.float32)
    return now, (
        planes[None, : melody_context.MELODY_PLANES],
        phase[None],
        place[None].astype(np.int64),
        known[None, None],
    )
