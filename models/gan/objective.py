"""Training of the GAN: one update of the loop in `models.training_loop`.

Every update shows a batch of streams. The generator learns the likelihood of the real part given its groove vector and
the annotated chords, and, from a share `adversarial_from` of the run on, what the critic makes of the binary roll that
it plays with the harmonist's chords. What it played is then committed to the streams that keep a past of their own.
The harmonist comes from a run of its own and stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from models import checkpoint
from models.critic import (
    Critic,
    CriticExamples,
    SoftRoll,
    pack_examples,
    to_bits,
    unpack_examples,
)
from models.critic_teacher import CriticTeacher
from models.data.played_bands import let_people_play
from models.data.played_drums import let_drummers_play
from models.data.song_cache import CachedSong, DataError
from models.draws import BatchNoise, Draws
from models.gan import groove_bank
from models.gan.dataset import BAND, GAN_STYLES, GanBatch, Streams
from models.gan.loss_panels import PANELS
from models.gan.losses import compute_losses, weigh_steps
from models.gan.network import CanvasState, Encoder, GanConfig, Generator, choose_chords
from models.gan.roll import RHYTHM_NOISES, WRITTEN_BEATS, RollLogits, mark_tones, play
from models.harmonist.objective import load_harmonist
from models.key_equivariant import Width
from models.loss_plot import LossPanel
from models.optimisation import anneal, average_count, average_tensor, set_rate, update_average, update_weights, warm_up
from models.recipe import BatchSize, Bounds, Count, Rate, RecipeError, Share, read_recipe
from music.chords import QUALITIES
from music.encoding.gan_canvas import BAND_KNOWN, BEAT_OF_BAR, DRUM_PLANES, FIRST_NOW_STEP, FUTURE_STEPS
from music.note import PITCH_CLASSES, STEPS_PER_BEAT
from music.styles import get_weights

#: how far from a band's groove vector its part is still taught, and temperature 1 may stray
GROOVE_NOISE = 0.1
#: steps that a stream moves on at an update
STRIDES = (2, 4, 8)
#: the critic begins to learn this share of the run before the generator listens to it
CRITIC_LEAD = 0.05
WARM_UP_STEPS = 200
LOWEST_RATE = 0.03  #: of the learning rate, at the run's end
PLAYER_CLIP = 1.0
#: songs' canvases that validate: so many, drawn with this seed
VALIDATION_COUNT, VALIDATION_SEED = 128, 7


@dataclass(frozen=True, slots=True)
class GanRecipe:
    """Settings of a run. Shares `.._from` and `.._by` are of the run's steps; weights multiply losses."""

    harmonist: str = ""  #: folder of the run whose harmonist is taken over
    begin_with: str = ""  #: a GAN's run, or its graph: the generator begins with its weights as far as they fit
    model: GanConfig = field(default_factory=GanConfig)
    batch: BatchSize = 64  #: streams
    learning_rate: Rate = 2e-3
    own_past: Share = 1.0  #: share of streams whose past is the generator's own, reached from .. to:
    own_past_from: Share = 0.03
    own_past_by: Share = 0.25
    heard_all: Share = 0.2  #: share of streams that see the whole melody
    reconstruction: float = 1.0  #: weight of the likelihood
    adversarial: float = 0.3  #: the critic's pull on the last layer as a share of the likelihood's
    adversarial_from: Share = 0.6
    critic_updates: Count = 3  #: for each update of the generator
    critic_memory: Annotated[int, Bounds(1, 256)] = 8  #: it learns from what was played in so many updates
    critic_rate: Rate = 3e-5  #: at 3e-4 the penalty overshoots and the critic runs away (models/LOG.md, run 7)
    penalty: float = 10.0  #: weight of the gradient penalty
    chord_temperature: float = 0.3
    noise: bool = True
    played: bool = True  #: bass and chords of bands are a pianist's where one played it (models.data.played_bands)
    drummers: bool = True  #: drums of bands are a drummer's where one suits them (models.data.played_drums)
    drummer_alone: bool = False  #: only the drummer's own network learns, without a critic; the rest stays as it is
    other_metres: Share = 0.25  #: share of songs that are not in 4/4, where there are such
    pop909_weight: float = get_weights("gan")["piano"]  #: how often songs of pop909 are drawn, beside other styles


def draw_logistic(shape: tuple[int, ...], noise: BatchNoise) -> Tensor:
    """Draw noise that turns a logit > 0 into a draw from its Bernoulli distribution."""
    u = noise.draw_uniform(shape).clamp(1e-4, 1 - 1e-4)
    return u.log() - (-u).log1p()


def draw_gumbel(count: int, noise: BatchNoise) -> Tensor:
    """Draw Gumbel noise (count, qualities, 12, WRITTEN_BEATS), the same over each half bar: a doubt is settled once."""
    u = noise.draw_uniform((count, len(QUALITIES), PITCH_CLASSES, WRITTEN_BEATS // 2)).clamp(1e-6, 1 - 1e-6)
    return (-(-u.log()).log()).repeat_interleave(2, 3)


class GanObjective:
    """Networks, optimizers and streams of one run."""

    loss_panels: Sequence[LossPanel] = PANELS

    def __init__(self, fabric: Fabric, recipe: GanRecipe, songs: list[CachedSong], steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.fabric, self.recipe, self.steps = fabric, recipe, steps
        self.generator = Generator(recipe.model).to(fabric.device)
        self.encoder = Encoder(recipe.model).to(fabric.device)
        model = recipe.model
        critic = Critic(Width(*model.critic), len(GAN_STYLES), model.critic_beats).to(fabric.device)
        self.drum_encoder = Encoder(recipe.model, DRUM_PLANES).to(fabric.device) if recipe.model.drummer else None
        self.generator.harmonist.requires_grad_(False)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        songs = let_people_play(songs) if recipe.played else songs
        bands = _select_split(songs, "train")
        songs = let_drummers_play(songs) if recipe.drummers else songs
        #: those that are learnt from: with the drums that they came with, and with drummers
        self.train_songs = bands, _select_split(songs, "train")
        weights = {**get_weights("gan"), "piano": recipe.pop909_weight}
        self.draws = Draws.of_device(fabric, seed, recipe.batch)
        self.streams = Streams(
            self.train_songs[1], self.draws, weights, recipe.heard_all, other_metres=recipe.other_metres
        )
        self.valid_batches = _draw_validation(_select_split(songs, "valid"))
        if recipe.drummer_alone:
            self._hold_all_but_the_drummer()
        players = [p for module in self._players for p in module.parameters() if p.requires_grad]
        self.modules: dict[str, nn.Module] = {
            "generator": self.generator,
            "average": self.average,
            "encoder": self.encoder,
            "critic": critic,
        }
        if self.drum_encoder is not None:
            self.modules["drum_encoder"] = self.drum_encoder
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "player_optimizer": torch.optim.AdamW(players, recipe.learning_rate, (0.9, 0.98), weight_decay=0.01),
            "critic_optimizer": torch.optim.Adam(critic.parameters(), recipe.critic_rate, (0.0, 0.9)),
        }
        self.teacher = CriticTeacher(
            fabric, critic, self.optimizers["critic_optimizer"], self.draws, recipe.penalty, recipe.critic_memory
        )

    @property
    def _players(self) -> list[nn.Module]:
        """Networks that learn, but for the critic."""
        return [self.generator, self.encoder, *([self.drum_encoder] if self.drum_encoder is not None else [])]

    def _hold_all_but_the_drummer(self) -> None:
        """Let the drummer's network and its encoder alone learn. Raises RecipeError without such a network."""
        if self.generator.drummer is None:
            raise RecipeError("drummer_alone: there is no drummer to teach; give model.drummer a width, such as 96")
        self.generator.requires_grad_(False)
        self.encoder.requires_grad_(False)
        self.generator.drummer.requires_grad_(True)

    @staticmethod
    def read_recipe(values: Mapping[str, Any]) -> GanRecipe:
        """Return the recipe in JSON values. Raises RecipeError."""
        return read_recipe(GanRecipe, values)

    def begin(self) -> None:
        """Take over the weights of earlier runs; the critic begins anew. Raises CheckpointError.

        A graph has no encoder; beginning with one, what a groove vector means is learnt anew, which takes a while.
        """
        if self.recipe.begin_with:
            earlier = Path(self.recipe.begin_with)
            checkpoint.load_fitting(self.generator, checkpoint.read_average(earlier, "generator"))
            if earlier.is_dir():
                tensors = checkpoint.load(earlier / "checkpoint")[0]
                checkpoint.load_fitting(self.encoder, checkpoint.select_tensors(tensors, "encoder"))
                if self.drum_encoder is not None:
                    checkpoint.load_fitting(self.drum_encoder, checkpoint.select_tensors(tensors, "drum_encoder"))
        if self.recipe.harmonist:
            learned = load_harmonist(Path(self.recipe.harmonist))
            checkpoint.load_whole(self.generator.harmonist, learned.state_dict(), self.recipe.harmonist)
        self.average.load_state_dict(self.generator.state_dict())

    # --- one update -------------------------------------------------------------------------------------------------

    def update(self, step: int) -> dict[str, float]:
        """Update generator, encoder and, when it is time, the critic; return their losses."""
        recipe, done = self.recipe, step / self.steps
        self._schedule(done)
        batch = self._move(self.streams.show())
        noise, shared = self.draws.open_noise(step, self.fabric.device), self.draws.open_shared(step)
        with self.fabric.autocast():
            loss, losses, roll = self._compute_player_loss(batch, noise, adversarial=done >= recipe.adversarial_from)
        update_weights(self.fabric, self.optimizers["player_optimizer"], loss, PLAYER_CLIP)
        update_average(self.average, self.generator, 0.999 if done > 0.1 else 0.99)
        stride = int(shared.choice(STRIDES))
        self.streams.commit(_to_bytes(roll.band), _to_bytes(roll.drums), stride, step)
        if self._has_critic and done >= recipe.adversarial_from - CRITIC_LEAD:
            losses |= self._teach_critic(batch, roll, noise, shared)
        return losses

    @property
    def _has_critic(self) -> bool:
        return self.recipe.adversarial > 0 and not self.recipe.drummer_alone

    def _hear_groove(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the groove vectors of the real bands, (B, groove_size)."""
        z: Tensor = self.encoder(batch["bar"])
        if self.drum_encoder is None:
            return z
        return torch.cat([z, self.drum_encoder(batch["bar"][:, -DRUM_PLANES:])], 1)

    def _schedule(self, done: float) -> None:
        """Set what changes over the run: the learning rate, and how many streams keep a past of their own."""
        recipe = self.recipe
        ramp = (done - recipe.own_past_from) / max(1e-9, recipe.own_past_by - recipe.own_past_from)
        self.streams.own_share = recipe.own_past * min(1.0, max(0.0, ramp))
        rate = recipe.learning_rate * warm_up(done * self.steps, WARM_UP_STEPS) * anneal(done, LOWEST_RATE)
        set_rate(self.optimizers["player_optimizer"], rate)

    def _compute_player_loss(
        self, batch: dict[str, Tensor], noise: BatchNoise, adversarial: bool
    ) -> tuple[Tensor, dict[str, float], SoftRoll]:
        """Return the loss of generator and encoder, the losses in it, and the roll that was played, detached."""
        recipe = self.recipe
        z = self._hear_groove(batch)
        z = z + noise.draw_normal(z.shape) * GROOVE_NOISE * float(recipe.noise)
        state = _encode(self.generator, batch, z)
        scores = self.generator.score(state, _mark_annotated(batch, state))
        parts = _compute_likelihoods(self.generator, scores, batch, partial(average_count, self.fabric))
        loss = recipe.reconstruction * torch.stack(list(parts.values())).sum()
        adversarial = adversarial and self._has_critic
        with torch.set_grad_enabled(adversarial):
            roll = self._play(state, batch, noise)
        losses = {"reconstruction": sum(float(v.detach()) for v in parts.values())}
        losses |= {name: float(value.detach()) for name, value in parts.items()}
        if adversarial:
            judged = (
                self.teacher.critic(*_collect_hearing(batch, roll, self.recipe.model.critic_hears_future))
                .float()
                .mean()
            )
            weight = recipe.adversarial * self._balance(loss, judged)
            loss = loss - weight * judged
            losses["adversarial_weight"] = weight
            losses["generator"] = -float(judged.detach())
        return loss, losses, SoftRoll(roll.band.detach(), roll.drums.detach())

    def _balance(self, loss: Tensor, judged: Tensor) -> float:
        """Return the likelihood's pull on the last layer over the critic's, whose scale is its own; at most 1.

        The adaptive weight of Esser et al. 2021.
        """
        last = self.generator.write.pp
        pulls = [torch.autograd.grad(each, last, retain_graph=True)[0] for each in (loss, judged)]
        likely, critical = average_tensor(self.fabric, torch.stack(pulls))
        return min(1.0, float(likely.norm() / (critical.norm() + 1e-6)))

    def _play(self, state: CanvasState, batch: dict[str, Tensor], noise: BatchNoise) -> SoftRoll:
        """Return what the generator plays right of the line to the harmonist's chords.

        Binary; gradients pass straight through.
        """
        count, device = state.band.shape[0], state.band.device
        scale = self.recipe.chord_temperature * float(self.recipe.noise)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            told = self.generator.harmonist.predict(batch["melody"], batch["phase"], batch["known"])
            chord = choose_chords(told, batch["plain"], draw_gumbel(count, noise) * scale, batch["known"])
        scores = self.generator.score(state, chord.to(state.band.dtype))
        past = SoftRoll(
            batch["pitched"][:, BAND:, :, FIRST_NOW_STEP:], batch["plain"][:, :DRUM_PLANES, FIRST_NOW_STEP:]
        )
        doubt = draw_logistic((count, RHYTHM_NOISES, FUTURE_STEPS), noise) * float(self.recipe.noise)
        return play(scores, past, batch["line"], doubt, mark_tones(chord))

    def _teach_critic(
        self, batch: dict[str, Tensor], fake: SoftRoll, noise: BatchNoise, shared: np.random.Generator
    ) -> dict[str, float]:
        """Update the critic several times on what was played in the last updates; return its losses."""
        melody, fake_whole, phase, style = _collect_hearing(batch, fake, self.recipe.model.critic_hears_future)
        last = self.teacher.critic.beats * STEPS_PER_BEAT
        real = SoftRoll(batch["true_pitched"][:, BAND:, :, -last:], batch["true_drums"][..., -last:])
        played = SoftRoll(*(planes[..., -last:] for planes in fake_whole))
        self.teacher.examples.append(CriticExamples(melody[..., -last:], real, played, phase[..., -last:], style))
        return self.teacher.teach(self.recipe.critic_updates, noise, shared)

    def collect_state(self) -> dict[str, Tensor]:
        """Return the streams and the critic's examples, in the order of the batch."""
        return self.streams.collect_state() | pack_examples(self.teacher.examples)

    def restore_state(self, state: Mapping[str, Tensor]) -> None:
        """Let streams and critic go on."""
        rows = {key: found for key, value in state.items() if (found := self.draws.take_rows(value)) is not None}
        if not {"places", "bands", "drums"} <= set(rows):
            return
        self.streams.restore_state(rows["places"], rows["bands"], rows["drums"])
        self.teacher.examples.extend(unpack_examples(rows, self.fabric.device))

    # --- validating and keeping -------------------------------------------------------------------------------------

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return losses of the averaged generator on fixed canvases of the validation split, live and offline."""
        losses: dict[str, float] = {}
        for name, shown in zip(("live", "offline"), self.valid_batches, strict=False):
            batch = self._move(shown)
            with self.fabric.autocast():
                state = _encode(self.average, batch, self._hear_groove(batch))
                scores = self.average.score(state, _mark_annotated(batch, state))
                parts = _compute_likelihoods(self.average, scores, batch, lambda count: count)
            losses[f"valid_{name}_reconstruction"] = sum(float(v) for v in parts.values())
        return losses

    def collect_extras(self) -> dict[str, Any]:
        """Return the grooves to play, by metre, the habits of their bands, and how much velocities vary."""
        banks = {
            kind: groove_bank.encode_grooves(choices, self.encoder, self.recipe.model.z, self.drum_encoder)
            for kind, choices in self._passages.items()
        }
        grooves, habits = ({kind: bank[i] for kind, bank in banks.items()} for i in (0, 1))
        return {"grooves": grooves, "habits": habits, "velocity_std": self.average.velocity_log_std.exp().tolist()}

    @cached_property
    def _passages(self) -> dict[str, list[groove_bank.GrooveChoice]]:
        """The passages whose grooves are played, by metre: chosen once, however often the run is kept."""
        bands, drummers = self.train_songs
        if self.drum_encoder is None:
            return groove_bank.choose_by_metre(drummers)
        return groove_bank.choose_by_metre(bands, drummers)

    def _move(self, batch: GanBatch) -> dict[str, Tensor]:
        """Return a batch on the device; with `style_hot`, the style one-hot, and `ahead`, the steps' weights."""
        tensors = {k: torch.as_tensor(v, device=self.fabric.device) for k, v in batch._asdict().items()}
        tensors["style_hot"] = torch.eye(len(GAN_STYLES), device=self.fabric.device)[tensors["style"]]
        tensors["ahead"] = weigh_steps(tensors["line"])
        return tensors


def _select_split(songs: Iterable[CachedSong], split: str) -> list[CachedSong]:
    """Return the songs of a split that are in a style of the GAN's."""
    return [song for song in songs if song.split == split and song.style in GAN_STYLES]


def _draw_validation(songs: list[CachedSong]) -> list[GanBatch]:
    """Return canvases of which none, and of which all see the whole melody; none without a song of any use."""
    draws = Draws(VALIDATION_SEED, VALIDATION_COUNT)
    try:
        return [Streams(songs, draws, heard_all=heard_all).show() for heard_all in (0.0, 1.0)]
    except DataError:
        return []


def _compute_likelihoods(
    generator: Generator, scores: RollLogits, batch: dict[str, Tensor], average: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """Return the negative log-likelihoods of a batch's real bands, by head."""
    true = SoftRoll(
        batch["true_pitched"][:, BAND:, :, FIRST_NOW_STEP - 1 :], batch["true_drums"][:, :, FIRST_NOW_STEP - 1 :]
    )
    velocity = batch["velocity"][:, :, FIRST_NOW_STEP:]
    return compute_losses(scores, true, velocity, batch["style"], generator.velocity_log_std, batch["line"], average)


def _encode(generator: Generator, batch: dict[str, Tensor], z: Tensor) -> CanvasState:
    """Return what a generator understands of a batch's canvases, given groove vectors (B, groove_size)."""
    return generator.encode(batch["pitched"], batch["plain"], batch["pulse"], batch["style_hot"], z, batch["fill"])


def _mark_annotated(batch: dict[str, Tensor], state: CanvasState) -> Tensor:
    """Return the annotated chords of the beats that are not over at the line, one-hot; zeros where none is known.

    (B, qualities, 12, WRITTEN_BEATS), of the type of `state`.
    """
    root, quality = batch["chords"][:, 0, -WRITTEN_BEATS:], batch["chords"][:, 1, -WRITTEN_BEATS:]
    index = quality.clamp(min=0) * PITCH_CLASSES + root.clamp(min=0)
    told = (root >= 0) & (batch["ahead"].reshape(len(root), WRITTEN_BEATS, -1).amax(2) > 0)
    hot = nn.functional.one_hot(index, len(QUALITIES) * PITCH_CLASSES) * told[..., None]
    return hot.permute(0, 2, 1).reshape(len(root), len(QUALITIES), PITCH_CLASSES, WRITTEN_BEATS).to(state.band.dtype)


def _collect_hearing(
    batch: dict[str, Tensor], fake: SoftRoll, hears_future: bool
) -> tuple[Tensor, SoftRoll, Tensor, Tensor]:
    """Return what the critic hears of a played future: melody, the committed past and it, phase, style.

    hears_future: the melody is the true one right of the line, too.
    """
    melody = batch["true_pitched" if hears_future else "pitched"][:, :BAND]
    past_band = batch["pitched"][:, BAND:, :, :FIRST_NOW_STEP]
    past_drums = batch["plain"][:, :DRUM_PLANES, :FIRST_NOW_STEP]
    whole = SoftRoll(torch.cat([past_band, fake.band], 3), torch.cat([past_drums, fake.drums], 2))
    phase = torch.cat(
        [batch["plain"][:, BEAT_OF_BAR : BEAT_OF_BAR + 4], batch["plain"][:, BAND_KNOWN : BAND_KNOWN + 1]], 1
    )
    return melody, whole, phase, batch["style_hot"]


def _to_bytes(planes: Tensor) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = to_bits(planes).cpu().numpy()
    return found
