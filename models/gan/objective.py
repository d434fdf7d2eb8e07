"""How the GAN learns: one turn of the loop in `models.cli`.

Every turn shows a batch of streams. The generator is paid for the likelihood of the real part given its groove vector
and the annotated chords, and, from `adversarial_from` of the run on, for what the critic hears in the binary roll it
plays with the harmonist's chords. What it played is then committed to the streams that keep a past of their own. The
harmonist comes from a run of its own and stays as it is.
"""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from models import checkpoint
from models.data.song_cache import CachedSong
from models.gan import groove_bank
from models.gan import network as gan
from models.gan.dataset import BAND, GAN_STYLES, RHYTHM, Batch, Streams
from models.gan.network import WRITTEN, Critic, Encoder, GanConfig, Generator, SoftRoll
from models.harmonist.network import HarmonistConfig
from models.harmonist.objective import harmonist_of
from music.chords import QUALITIES
from music.encoding.gan_canvas import BAND_KNOWN, BEAT_OF_BAR, DRUM_PLANES, FIRST_NOW_STEP, FUTURE_STEPS
from music.note import PITCH_CLASSES
from music.styles import get_weights


@dataclass(frozen=True, slots=True)
class GanRecipe:
    """What a run is told. Shares are of the run's steps; weights multiply losses.

    harmonist: folder of the run whose harmonist is taken over; begin_with: a GAN's run, or the
    graph made of one, whose generator's weights are, as far as they fit."""

    harmonist: str = ""
    begin_with: str = ""
    model: GanConfig = field(default_factory=GanConfig)
    batch: int = 64
    learning_rate: float = 2e-3
    #: share of streams whose past is the generator's own, reached at own_past_from .. own_past_by
    own_past: float = 1.0
    own_past_from: float = 0.03
    own_past_by: float = 0.25
    heard_all: float = 0.2
    reconstruction: float = 1.0
    adversarial: float = 0.3  #: the critic's pull on the last layer as a share of the likelihood's
    adversarial_from: float = 0.6
    critic_updates: int = 3
    critic_rate: float = 3e-5  #: at 3e-4 the penalty overshoots and the critic runs away (models/LOG.md, run 7)
    penalty: float = 10.0
    chord_temperature: float = 0.3
    noise: bool = True
    pop909_weight: float = get_weights("gan")["piano"]

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return asdict(self)


def recipe_from(values: dict[str, Any]) -> GanRecipe:
    """The recipe in a checkpoint's JSON. Raises TypeError for unknown keys."""
    model = checkpoint.tuples(values.get("model", {}))
    ear = checkpoint.tuples(model.pop("harmonist", {}))
    return GanRecipe(**{**values, "model": GanConfig(**model, harmonist=HarmonistConfig(**ear))})


GROOVE_NOISE = 0.1  #: how far from a band's groove vector its part is still taught, and temperature 1 may stray


def logistic(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Noise that turns a logit > 0 into a draw from its Bernoulli."""
    u = torch.rand(shape, device=device).clamp(1e-4, 1 - 1e-4)
    return u.log() - (-u).log1p()


def gumbel_chord(count: int, device: torch.device) -> Tensor:
    """Gumbel noise (count, qualities, 12, WRITTEN) that is the same over each half bar: a doubt is settled once."""
    u = torch.rand(count, len(QUALITIES), PITCH_CLASSES, WRITTEN // 2, device=device).clamp(1e-6, 1 - 1e-6)
    return (-(-u.log()).log()).repeat_interleave(2, 3)


class GanObjective:
    """Models, optimisers and streams of one run."""

    def __init__(self, fabric: Fabric, recipe: GanRecipe, songs: list[CachedSong], steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.fabric, self.recipe, self.steps = fabric, recipe, steps
        self.generator = Generator(recipe.model).to(fabric.device)
        self.encoder = Encoder(recipe.model).to(fabric.device)
        self.critic = Critic(recipe.model).to(fabric.device)
        self._take_over()
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        train = [s for s in songs if s.split == "train" and s.style in GAN_STYLES]
        valid = [s for s in songs if s.split == "valid" and s.style in GAN_STYLES]
        weights = {**get_weights("gan"), "piano": recipe.pop909_weight}
        mine = seed * 1000 + fabric.global_rank
        self.streams = Streams(train, recipe.batch, mine, weights, recipe.heard_all)
        self.train_songs = train
        self.valid_batches = self._validation(valid) if valid else []
        players = [*(p for p in self.generator.parameters() if p.requires_grad), *self.encoder.parameters()]
        self.player_optimizer = torch.optim.AdamW(players, recipe.learning_rate, (0.9, 0.98), weight_decay=0.01)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), recipe.critic_rate, (0.0, 0.9))
        self.heard: deque[tuple[Tensor, SoftRoll, SoftRoll, Tensor, Tensor]] = deque(maxlen=8)
        torch.manual_seed(mine + 1)

    def _take_over(self) -> None:
        """Weights of earlier runs; encoder and critic begin anew. Raises CheckpointError where a run is not there."""
        if self.recipe.begin_with:
            learnt = checkpoint.learnt(Path(self.recipe.begin_with), "generator")
            checkpoint.take(self.generator, learnt)
        if self.recipe.harmonist:
            heard = harmonist_of(Path(self.recipe.harmonist))
            self.generator.harmonist.load_state_dict(heard.state_dict())
        self.generator.harmonist.requires_grad_(False)

    # --- one turn ---------------------------------------------------------------------------------------------------

    def turn(self, step: int) -> dict[str, float]:
        """One update of everything; returns the losses."""
        recipe, done = self.recipe, step / self.steps
        self._set_rates(done)
        batch = self._tensors(self.streams.batch())
        with self.fabric.autocast():
            loss, figures, outputs = self._player_loss(batch, adversarial=done >= recipe.adversarial_from)
        self._update(self.player_optimizer, loss, 1.0)
        self._follow(self.average, 0.999 if done > 0.1 else 0.99)
        roll = outputs["roll"]
        stride = int(self.streams.random.choice((2, 4, 8)))
        self.streams.commit(_bytes(roll.band), _bytes(roll.drums), stride)
        if recipe.adversarial > 0 and done >= recipe.adversarial_from - 0.05:
            figures |= self._teach_critic(batch, roll)
        return figures

    def _set_rates(self, done: float) -> None:
        recipe = self.recipe
        ramp = (done - recipe.own_past_from) / max(1e-9, recipe.own_past_by - recipe.own_past_from)
        self.streams.own_share = recipe.own_past * min(1.0, max(0.0, ramp))
        warm = min(1.0, done * self.steps / 200)
        rate = recipe.learning_rate * warm * (0.03 + 0.97 * 0.5 * (1 + np.cos(np.pi * min(1.0, done))))
        for group in self.player_optimizer.param_groups:
            group["lr"] = float(rate)

    def _player_loss(
        self, batch: dict[str, Tensor], adversarial: bool
    ) -> tuple[Tensor, dict[str, float], dict[str, Any]]:
        recipe = self.recipe
        z = self.encoder(batch["rhythm"])
        z = z + torch.randn_like(z) * GROOVE_NOISE * float(recipe.noise)
        state = self.generator.trunk(batch["pitched"], batch["plain"], batch["style_hot"], z)
        scores = self.generator.score(state, _annotated(batch, state.dtype))
        true = SoftRoll(
            batch["true_pitched"][:, BAND:, :, FIRST_NOW_STEP - 1 :], batch["true_drums"][:, :, FIRST_NOW_STEP - 1 :]
        )
        parts = gan.score_loss(
            *(scores, true, batch["velocity"][:, :, FIRST_NOW_STEP:], batch["style"]),
            *(self.generator.velocity_log_std, batch["line"]),
        )
        loss = recipe.reconstruction * torch.stack(list(parts.values())).sum()
        with torch.set_grad_enabled(adversarial and recipe.adversarial > 0):
            roll = self._play(self.generator, state, batch)
        figures = {"reconstruction": sum(float(v.detach()) for v in parts.values())}
        figures |= {name: float(value.detach()) for name, value in parts.items()}
        if adversarial and recipe.adversarial > 0:
            judged = self.critic(*_hearing(batch, roll, self.critic.hears_future)).float().mean()
            weight = recipe.adversarial * self._balance(loss, judged)
            loss = loss - weight * judged
            figures["adversarial_weight"] = weight
            figures["generator"] = -float(judged.detach())
        return loss, figures, {"roll": SoftRoll(roll.band.detach(), roll.drums.detach())}

    def _balance(self, loss: Tensor, judged: Tensor) -> float:
        """The likelihood's pull on the last layer over the critic's, whose scale is its own; at most 1.

        The adaptive weight of Esser et al. 2021.
        """
        last = self.generator.write.pp
        (likely,) = torch.autograd.grad(loss, last, retain_graph=True)
        (critical,) = torch.autograd.grad(judged, last, retain_graph=True)
        return min(1.0, float(likely.norm() / (critical.norm() + 1e-6)))

    def _play(self, generator: Generator, state: Tensor, batch: dict[str, Tensor]) -> SoftRoll:
        """What a generator plays right of the line to the harmonist's chords, binary, gradients straight through."""
        count, device = state.shape[0], state.device
        scale = self.recipe.chord_temperature * float(self.recipe.noise)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            told = generator.harmonist.ahead(batch["melody"], batch["phase"], batch["known"])
            chord = gan.choose_chords(told, batch["plain"], gumbel_chord(count, device) * scale, batch["known"])
        scores = generator.score(state, chord.to(state.dtype))
        past = SoftRoll(
            batch["pitched"][:, BAND:, :, FIRST_NOW_STEP:], batch["plain"][:, :DRUM_PLANES, FIRST_NOW_STEP:]
        )
        noise = logistic((count, gan.RHYTHM_NOISES, FUTURE_STEPS), device) * float(self.recipe.noise)
        return gan.play(scores, past, batch["line"], noise, gan.tones(chord))

    def _teach_critic(self, batch: dict[str, Tensor], fake: SoftRoll) -> dict[str, float]:
        """Several critic updates on what was played in the last turns."""
        melody, fake_whole, phase, style = _hearing(batch, fake, self.critic.hears_future)
        real = SoftRoll(batch["true_pitched"][:, BAND:], batch["true_drums"])
        last = Critic.BEATS * 4
        kept, fake_kept = (SoftRoll(r.band[..., -last:], r.drums[..., -last:]) for r in (real, fake_whole))
        self.heard.append((melody[..., -last:], kept, fake_kept, phase[..., -last:], style))
        total, penalties = [], []
        for _ in range(self.recipe.critic_updates):
            chosen = self.heard[int(self.streams.random.integers(len(self.heard)))]
            melody, real, fake, phase, style = _part(chosen, int(self.streams.random.integers(2)))
            with self.fabric.autocast():
                gap = (
                    self.critic(melody, fake, phase, style).float().mean()
                    - self.critic(melody, real, phase, style).float().mean()
                )
            few = slice(0, max(4, melody.shape[0] // 3))
            some = (
                melody[few],
                SoftRoll(*(r[few] for r in real)),
                SoftRoll(*(r[few] for r in fake)),
                phase[few],
                style[few],
            )
            with torch.autocast(self.fabric.device.type, enabled=False):
                penalty = gan.gradient_penalty(self.critic, *some)
            self._update(self.critic_optimizer, gap + self.recipe.penalty * penalty, 10.0)
            total.append(float(gap.detach()))
            penalties.append(float(penalty.detach()))
        return {"critic": float(np.mean(total)), "penalty": float(np.mean(penalties))}

    def _update(self, optimizer: torch.optim.Optimizer, loss: Tensor, clip: float) -> None:
        optimizer.zero_grad()
        loss.backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if self.fabric.world_size > 1:
            for p in parameters:
                p.grad = self.fabric.all_reduce(p.grad, reduce_op="mean")
        nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()

    @torch.no_grad()
    def _follow(self, average: nn.Module, decay: float) -> None:
        for slow, fast in zip(average.parameters(), self.generator.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)

    # --- looking on -------------------------------------------------------------------------------------------------

    def _validation(self, songs: list[CachedSong]) -> list[Batch]:
        batches = []
        for heard_all in (0.0, 1.0):
            streams = Streams(songs, 128, 7, heard_all=heard_all)
            batches.append(streams.batch())
        return batches

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Losses of the averaged generator on fixed canvases of the validation split, live and offline."""
        figures: dict[str, float] = {}
        for name, shown in zip(("live", "offline"), self.valid_batches, strict=False):
            batch = self._tensors(shown)
            with self.fabric.autocast():
                z = self.encoder(batch["rhythm"])
                state = self.average.trunk(batch["pitched"], batch["plain"], batch["style_hot"], z)
                scores = self.average.score(state, _annotated(batch, state.dtype))
                true = SoftRoll(
                    batch["true_pitched"][:, BAND:, :, FIRST_NOW_STEP - 1 :],
                    batch["true_drums"][:, :, FIRST_NOW_STEP - 1 :],
                )
                parts = gan.score_loss(
                    *(scores, true, batch["velocity"][:, :, FIRST_NOW_STEP:], batch["style"]),
                    *(self.average.velocity_log_std, batch["line"]),
                )
            figures[f"valid_{name}_reconstruction"] = sum(float(v) for v in parts.values())
        return figures

    def _tensors(self, batch: Batch) -> dict[str, Tensor]:
        tensors = {k: torch.as_tensor(v, device=self.fabric.device) for k, v in batch._asdict().items()}
        tensors["style_hot"] = torch.eye(len(GAN_STYLES), device=self.fabric.device)[tensors["style"]]
        tensors["ahead"] = gan.urgency(tensors["line"])
        assert tensors["rhythm"].shape[1] == RHYTHM
        return tensors

    # --- keeping ----------------------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Everything a checkpoint keeps."""
        kept: dict[str, Tensor] = {}
        for name, module in self._modules().items():
            kept |= {f"{name}.{k}": v for k, v in module.state_dict().items()}
        kept |= checkpoint.optimizer_tensors("player_optimizer", self.player_optimizer)
        kept |= checkpoint.optimizer_tensors("critic_optimizer", self.critic_optimizer)
        return kept

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put a checkpoint's tensors back."""
        for name, module in self._modules().items():
            module.load_state_dict(checkpoint.part(tensors, name))
        checkpoint.restore_optimizer("player_optimizer", self.player_optimizer, tensors)
        checkpoint.restore_optimizer("critic_optimizer", self.critic_optimizer, tensors)

    def extras(self) -> dict[str, Any]:
        """What the exporter needs beside the weights."""
        grooves, habits = groove_bank.bank(self.train_songs, self.encoder, self.recipe.model.z)
        return {"grooves": grooves, "habits": habits, "velocity_std": self.average.velocity_log_std.exp().tolist()}

    def _modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "average": self.average, "encoder": self.encoder, "critic": self.critic}


def _annotated(batch: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """Chord labels of the written beats that are not over at the line as (B, qualities, 12, WRITTEN); zeros where
    unknown."""
    root, quality = batch["chords"][:, 0, -WRITTEN:], batch["chords"][:, 1, -WRITTEN:]
    index = quality.clamp(min=0) * PITCH_CLASSES + root.clamp(min=0)
    told = (root >= 0) & (batch["ahead"].reshape(len(root), WRITTEN, -1).amax(2) > 0)
    hot = nn.functional.one_hot(index, len(QUALITIES) * PITCH_CLASSES) * told[..., None]
    return hot.permute(0, 2, 1).reshape(len(root), len(QUALITIES), PITCH_CLASSES, WRITTEN).to(dtype)


def _hearing(batch: dict[str, Tensor], fake: SoftRoll, future: bool = True) -> tuple[Tensor, SoftRoll, Tensor, Tensor]:
    """What the critic hears: the true melody on both sides (`future`), the committed past and the played future."""
    melody = batch["true_pitched" if future else "pitched"][:, :BAND]
    past_band, past_drums = (
        batch["pitched"][:, BAND:, :, :FIRST_NOW_STEP],
        batch["plain"][:, :DRUM_PLANES, :FIRST_NOW_STEP],
    )
    whole = SoftRoll(torch.cat([past_band, fake.band], 3), torch.cat([past_drums, fake.drums], 2))
    phase = torch.cat(
        [batch["plain"][:, BEAT_OF_BAR : BEAT_OF_BAR + 4], batch["plain"][:, BAND_KNOWN : BAND_KNOWN + 1]], 1
    )
    return melody, whole, phase, batch["style_hot"]


def _part(
    heard: tuple[Tensor, SoftRoll, SoftRoll, Tensor, Tensor], half: int
) -> tuple[Tensor, SoftRoll, SoftRoll, Tensor, Tensor]:
    """Every second example, the even or the odd: a critic update is dear, and neighbours in time are alike."""
    melody, real, fake, phase, style = heard
    return (
        melody[half::2],
        SoftRoll(*(r[half::2] for r in real)),
        SoftRoll(*(r[half::2] for r in fake)),
        phase[half::2],
        style[half::2],
    )


def _bytes(planes: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    made: np.ndarray[Any, np.dtype[np.uint8]] = (planes > 0.5).to(torch.uint8).cpu().numpy()
    return made
