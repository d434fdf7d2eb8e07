"""How the GAN learns: one turn of the loop in `models.train`.

Every turn shows a batch of streams. The generator is paid for the likelihood of the real part given its groove vector
and the annotated chords, and, from `adversarial_from` of the run on, for what the critic hears in the binary roll it
plays with the harmonist's chords. What it played is then committed to the streams that keep a past of their own. The
harmonist comes from a run of its own and stays as it is.
"""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from models import checkpoint, gan
from models.data import CachedSong
from models.gan import BAR, PATCH, WRITTEN, Critic, Encoder, GanConfig, Generator, Roll
from models.harmonist import HarmonistConfig
from models.harmonist_training import harmonist_of
from models.layers import CLASSES
from models.streams import BAND, RHYTHM, STYLES, Batch, Streams, role_rows, score
from music import metrics
from music.canvas import (
    BAND_KNOWN,
    BEAT_OF_BAR,
    DRUM_PLANES,
    FIRST_NOW,
    FRESH,
    FUTURE,
    PLANE,
    QUALITIES,
    REGISTERS,
    RHYTHM_NOISE,
    STEPS,
)
from music.note import TICKS_PER_STEP, Note


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
    pop909_weight: float = 2.0

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return asdict(self)


def recipe_from(values: dict[str, Any]) -> GanRecipe:
    """The recipe in a checkpoint's JSON. Raises TypeError for unknown keys."""
    model = checkpoint.tuples(values.get("model", {}))
    ear = checkpoint.tuples(model.pop("harmonist", {}))
    return GanRecipe(**{**values, "model": GanConfig(**model, harmonist=HarmonistConfig(**ear))})


Figures = np.ndarray[Any, np.dtype[np.float64]]
GROOVE_NOISE = 0.1  #: how far from a band's groove vector its part is still taught, and temperature 1 may stray


def logistic(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Noise that turns a logit > 0 into a draw from its Bernoulli."""
    u = torch.rand(shape, device=device).clamp(1e-4, 1 - 1e-4)
    return u.log() - (-u).log1p()


def gumbel_chord(count: int, device: torch.device) -> Tensor:
    """Gumbel noise (count, qualities, 12, WRITTEN) that is the same over each half bar: a doubt is settled once."""
    u = torch.rand(count, len(QUALITIES), CLASSES, WRITTEN // 2, device=device).clamp(1e-6, 1 - 1e-6)
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
        train = [s for s in songs if s.split == "train" and s.style in STYLES]
        valid = [s for s in songs if s.split == "valid" and s.style in STYLES]
        weights = {"piano": recipe.pop909_weight}
        mine = seed * 1000 + fabric.global_rank
        self.streams = Streams(train, recipe.batch, mine, weights, recipe.heard_all)
        self.train_songs = train
        self.valid_batches = self._validation(valid) if valid else []
        players = [*(p for p in self.generator.parameters() if p.requires_grad), *self.encoder.parameters()]
        self.player_optimizer = torch.optim.AdamW(players, recipe.learning_rate, (0.9, 0.98), weight_decay=0.01)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), recipe.critic_rate, (0.0, 0.9))
        self.heard: deque[tuple[Tensor, Roll, Roll, Tensor, Tensor]] = deque(maxlen=8)
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
        true = Roll(batch["true_pitched"][:, BAND:, :, FIRST_NOW - 1 :], batch["true_drums"][:, :, FIRST_NOW - 1 :])
        parts = gan.score_loss(
            *(scores, true, batch["velocity"][:, :, FIRST_NOW:], batch["style"]),
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
        return loss, figures, {"roll": Roll(roll.band.detach(), roll.drums.detach())}

    def _balance(self, loss: Tensor, judged: Tensor) -> float:
        """The likelihood's pull on the last layer over the critic's, whose scale is its own; at most 1.

        The adaptive weight of Esser et al. 2021.
        """
        last = self.generator.write.pp
        (likely,) = torch.autograd.grad(loss, last, retain_graph=True)
        (critical,) = torch.autograd.grad(judged, last, retain_graph=True)
        return min(1.0, float(likely.norm() / (critical.norm() + 1e-6)))

    def _play(self, generator: Generator, state: Tensor, batch: dict[str, Tensor], noise: Tensor | None = None) -> Roll:
        """What a generator plays right of the line to the harmonist's chords, binary, gradients straight through.
        noise: on rhythm; None draws from the model's distribution."""
        count, device = state.shape[0], state.device
        scale = self.recipe.chord_temperature * float(self.recipe.noise)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            told = generator.harmonist.ahead(batch["melody"], batch["phase"], batch["known"])
            chord = gan.choose_chords(told, batch["plain"], gumbel_chord(count, device) * scale)
        scores = generator.score(state, chord.to(state.dtype))
        past = Roll(batch["pitched"][:, BAND:, :, FIRST_NOW:], batch["plain"][:, :DRUM_PLANES, FIRST_NOW:])
        if noise is None:
            noise = logistic((count, gan.RHYTHM_NOISES, FUTURE), device) * float(self.recipe.noise)
        return gan.play(scores, past, batch["line"], noise, gan.tones(chord))

    def _teach_critic(self, batch: dict[str, Tensor], fake: Roll) -> dict[str, float]:
        """Several critic updates on what was played in the last turns."""
        melody, fake_whole, phase, style = _hearing(batch, fake, self.critic.hears_future)
        real = Roll(batch["true_pitched"][:, BAND:], batch["true_drums"])
        last = Critic.BEATS * 4
        kept, fake_kept = (Roll(r.band[..., -last:], r.drums[..., -last:]) for r in (real, fake_whole))
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
            some = (melody[few], Roll(*(r[few] for r in real)), Roll(*(r[few] for r in fake)), phase[few], style[few])
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
                true = Roll(
                    batch["true_pitched"][:, BAND:, :, FIRST_NOW - 1 :], batch["true_drums"][:, :, FIRST_NOW - 1 :]
                )
                parts = gan.score_loss(
                    *(scores, true, batch["velocity"][:, :, FIRST_NOW:], batch["style"]),
                    *(self.average.velocity_log_std, batch["line"]),
                )
            figures[f"valid_{name}_reconstruction"] = sum(float(v) for v in parts.values())
        return figures

    @torch.no_grad()
    def grooves(self, each: int = 48, heard: int = 64) -> list[list[list[list[float]]]]:
        """What z is when playing: pairs of groove vectors of real bands, which a song's sections take in turns, up to
        `each` a style; first those that, as the generator plays them, move most as the style's bands do."""
        random = np.random.default_rng(0)
        bank = []
        for style in STYLES:
            songs = [s for s in self.train_songs if s.style == style]
            drawn = [songs[int(random.integers(len(songs)))] for _ in range(6 * heard) if songs]
            found = [(rhythm, song) for song in drawn if (rhythm := _full_band(song, random)) is not None][:heard]
            if not found:
                bank.append([[[0.0] * self.recipe.model.z] * 2])
                continue
            mean = np.array([_moves(song) for _, song in found]).mean(0)
            rhythms = torch.as_tensor(np.stack([rhythm for rhythm, _ in found]), device=self.fabric.device)
            vectors = self.encoder(rhythms)
            pairs = typical_pairs(self.audition(songs, vectors), mean)[:each]
            bank.append([[[round(float(v), 4) for v in vectors[i]] for i in pair] for pair in pairs])
        return bank

    @torch.no_grad()
    def audition(self, songs: list[CachedSong], vectors: Tensor, bars: int = 12, turns: int = 1) -> Figures:
        """How the averaged generator's band moves with each groove vector (n, z), from a blank page, under melodies of
        these songs: figures as `_moves` has them, (n, 5)."""
        heard = []
        for turn in range(turns):
            streams = Streams(songs, len(vectors), 5 + turn, heard_all=0.0, bars=bars + 4)
            streams.own_share = 1.0
            streams.streams = [streams.begin() for _ in vectors]
            players = [(stream, -(-stream.now // BAR) * BAR) for stream in streams.streams]  # from the next bar line on
            shape = len(vectors), gan.RHYTHM_NOISES
            loop = logistic((*shape, BAR), vectors.device).repeat(1, 1, FUTURE // BAR)  # as the player does
            for _ in range(bars * BAR):
                fresh = torch.rand((*shape, FUTURE), device=vectors.device) < FRESH
                noise = torch.where(fresh, logistic((*shape, FUTURE), vectors.device), loop) * RHYTHM_NOISE
                batch = self._tensors(streams.batch())
                state = self.average.trunk(batch["pitched"], batch["plain"], batch["style_hot"], vectors)
                roll = self._play(self.average, state, batch, noise)
                streams.commit(_bytes(roll.band), _bytes(roll.drums), 1)
            heard.append([planes_move(s.band[:, :, since : s.now], s.drums[:, since : s.now]) for s, since in players])
        return np.nanmean(np.array(heard), 0)

    def _tensors(self, batch: Batch) -> dict[str, Tensor]:
        tensors = {k: torch.as_tensor(v, device=self.fabric.device) for k, v in batch._asdict().items()}
        tensors["style_hot"] = torch.eye(len(STYLES), device=self.fabric.device)[tensors["style"]]
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
        return {"grooves": self.grooves(), "velocity_std": self.average.velocity_log_std.exp().tolist()}

    def _modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "average": self.average, "encoder": self.encoder, "critic": self.critic}


def _full_band(song: CachedSong, random: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """The rhythm (RHYTHM, STEPS) of eight bars drawn from a song; None unless bass, chords and drums (a piano has none)
    play in each of them."""
    made = score(song)
    if made.bars - made.first_bar < 12:
        return None
    first = FIRST_NOW + int(random.integers(made.first_bar, made.bars - 8)) * 16
    rhythm = made.rhythm[:, first : first + STEPS]
    bars: np.ndarray[Any, np.dtype[np.bool_]] = rhythm.reshape(RHYTHM, -1, 16).max(2) > 0
    everywhere = bars[0].all() and bars[3].all() and (song.style == "piano" or bars[9:].any(0).all())
    return rhythm if everywhere else None


def _moves(song: CachedSong) -> list[float]:
    """The figures by which a song's band is told to play its style: see `music.metrics.groove`."""
    parts = {
        role: [Note(s * TICKS_PER_STEP, p, n * TICKS_PER_STEP) for s, p, n in rows[:, :3].tolist()]
        for role, rows in role_rows(song).items()
    }
    where = metrics.passage(parts["melody"])
    band = {role: notes for role, notes in parts.items() if role != "melody"}
    figures = metrics.figures(where, band)
    return [figures[key] for key in ("onsets", "on_beat", "crumbs", "groove", "drum_onsets")]


def planes_move(band: np.ndarray[Any, np.dtype[np.uint8]], drums: np.ndarray[Any, np.dtype[np.uint8]]) -> list[float]:
    """The figures of `_moves` for committed planes (BAND_PLANES, 12, T), (DRUM_PLANES, T), which begin with a bar; NaN
    where nothing begins."""
    bars = band.shape[-1] // BAR
    onsets, single = np.zeros(bars * BAR), 0.0
    for part in ("bass", "chords", "pad"):
        s, o, n = PLANE[part, "sustain"] - BAND, PLANE[part, "onset"] - BAND, REGISTERS[part].octaves
        begins, sounds = band[o : o + n] > 0, band[s : s + n] > 0
        goes_on = np.zeros_like(begins)
        goes_on[..., :-1] = sounds[..., 1:] & ~begins[..., 1:]
        onsets += begins.sum((0, 1))[: bars * BAR]
        single += float((begins & ~goes_on)[..., : bars * BAR].sum())
    total = float(onsets.sum())
    if not bars or not total:
        return [np.nan] * 5
    on_beat = float(onsets[::PATCH].sum()) / total
    rows = onsets.reshape(bars, BAR)
    alike = [np.corrcoef(a, b)[0, 1] for a, b in pairwise(rows) if a.std() and b.std()]
    groove = float(np.mean(alike)) if alike else np.nan
    return [total / bars, on_beat, single / total, groove, float(drums[:, : bars * BAR].sum()) / bars]


def typical_pairs(figures: Figures, mean: Figures, often: int = 3) -> list[tuple[int, int]]:
    """Pairs of rows of figures (n, 5; as `_moves` has them), those first that are together nearest to a mean (5,):
    whose farthest figure strays least from it, as a share of it. No row is in more than `often` pairs."""
    one, other = np.triu_indices(len(figures))
    onsets = figures[:, :1]
    weighted = figures * np.concatenate([np.ones_like(onsets), onsets, onsets, np.ones_like(figures[:, 3:])], 1)
    both = weighted[one] + weighted[other]
    both[:, 1:3] /= both[:, :1]  # shares of all onsets
    both[:, [0, 3, 4]] /= 2
    away = np.abs(both - mean) / np.maximum(np.abs(mean), 1e-6) * (np.abs(mean) > 1e-6)
    away = np.nan_to_num(away, nan=9.0)
    used = np.zeros(len(figures), int)
    found = []
    for i in (away.max(1) + 0.1 * away.sum(1)).argsort():
        pair = int(one[i]), int(other[i])
        if max(used[pair[0]], used[pair[1]]) < often:
            used[pair[0]] += 1
            used[pair[1]] += pair[0] != pair[1]
            found.append(pair)
    return found


def _annotated(batch: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """Chord labels of the written beats that are not over at the line as (B, qualities, 12, WRITTEN); zeros where
    unknown."""
    root, quality = batch["chords"][:, 0, -WRITTEN:], batch["chords"][:, 1, -WRITTEN:]
    index = quality.clamp(min=0) * CLASSES + root.clamp(min=0)
    told = (root >= 0) & (batch["ahead"].reshape(len(root), WRITTEN, -1).amax(2) > 0)
    hot = nn.functional.one_hot(index, len(QUALITIES) * CLASSES) * told[..., None]
    return hot.permute(0, 2, 1).reshape(len(root), len(QUALITIES), CLASSES, WRITTEN).to(dtype)


def _hearing(batch: dict[str, Tensor], fake: Roll, future: bool = True) -> tuple[Tensor, Roll, Tensor, Tensor]:
    """What the critic hears: the true melody on both sides (`future`), the committed past and the played future."""
    melody = batch["true_pitched" if future else "pitched"][:, :BAND]
    past_band, past_drums = batch["pitched"][:, BAND:, :, :FIRST_NOW], batch["plain"][:, :DRUM_PLANES, :FIRST_NOW]
    whole = Roll(torch.cat([past_band, fake.band], 3), torch.cat([past_drums, fake.drums], 2))
    phase = torch.cat(
        [batch["plain"][:, BEAT_OF_BAR : BEAT_OF_BAR + 4], batch["plain"][:, BAND_KNOWN : BAND_KNOWN + 1]], 1
    )
    return melody, whole, phase, batch["style_hot"]


def _part(heard: tuple[Tensor, Roll, Roll, Tensor, Tensor], half: int) -> tuple[Tensor, Roll, Roll, Tensor, Tensor]:
    """Every second example, the even or the odd: a critic update is dear, and neighbours in time are alike."""
    melody, real, fake, phase, style = heard
    return (
        melody[half::2],
        Roll(*(r[half::2] for r in real)),
        Roll(*(r[half::2] for r in fake)),
        phase[half::2],
        style[half::2],
    )


def _bytes(planes: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    made: np.ndarray[Any, np.dtype[np.uint8]] = (planes > 0.5).to(torch.uint8).cpu().numpy()
    return made
