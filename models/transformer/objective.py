"""How the transformer learns: one turn of the loop in `models.cli`.

The hand is paid for the tokens of the next step. The past it is shown is often not the song's: somebody else's, full of
holes, none, or played under chords that the harmonist got wrong; and it learns only where the chord it is told is
right.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models import checkpoint
from models.data.song_cache import CachedSong
from models.harmonist.network import HarmonistConfig, agreement
from models.harmonist.objective import harmonist_of
from models.transformer.dataset import BandScore, HandBatch, Stretches
from models.transformer.network import TRANSFORMER_STYLES, Transformer, TransformerConfig
from music.analysis import melody_recall
from music.chords import NO_CHORD
from music.encoding import gan_canvas, melody_context, step_tokens
from music.encoding.gan_canvas import PITCHED_PLANES
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT
from music.styles import get_weights


@dataclass(frozen=True, slots=True)
class TransformerRecipe:
    """What a run is told.

    harmonist: the folder of the run whose harmonist tells the chords, "" for none; begin_with: a run, or the graph made
    of one, whose hand and writer are gone on with; spoil: share of stretches whose past
    is not the song's; told: share of those on the harmonist's chords; some: share of steps whose tokens are learnt in a
    turn; tune: weight of the melody's own next step."""

    model: TransformerConfig = field(default_factory=TransformerConfig)
    harmonist: str = ""
    begin_with: str = ""
    batch: int = 16
    learning_rate: float = 1.5e-3
    spoil: float = 0.5
    told: float = 0.4
    some: float = 0.35
    tune: float = 0.5

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return asdict(self)


def recipe_from(values: dict[str, Any]) -> TransformerRecipe:
    """The recipe in a checkpoint's JSON. Raises TypeError for unknown keys."""
    model = dict(values.get("model", {}))
    heard = checkpoint.tuples(model.pop("harmonist", {}))
    config = TransformerConfig(**model, harmonist=HarmonistConfig(**heard))
    return TransformerRecipe(**{**values, "model": config})


def writing_loss(model: Transformer, state: Tensor, batch: dict[str, Tensor], chosen: Tensor) -> tuple[Tensor, int]:
    """Sum of the cross-entropies (nats) of the tokens of the steps `chosen` (indices into all), and how many steps."""
    length = batch["length"].flatten()[chosen]
    length, order = length.sort(descending=True)
    order = order[length > 0]
    length = length[length > 0]
    line = batch["line"].flatten(0, 1)[chosen][order]
    longest = int(length[0])
    there = torch.arange(longest, device=line.device) < length[:, None]  # (N, longest)
    before = functional.pad(line[:, : longest - 1], (1, 0), value=step_tokens.WRITER)
    logits = model.writer(state.flatten(0, 1)[chosen][order], before.T[there.T], there.sum(0).tolist())
    return functional.cross_entropy(logits.float(), line[:, :longest].T[there.T], reduction="sum"), len(length)


def loudness_loss(logits: Tensor, log_std: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Negative log-likelihood of the velocities, in nats an onset of a role, a tenth of it."""
    spread = log_std[batch["style"].argmax(1)][:, None].float()
    error = (logits.float().sigmoid() - batch["velocity"]) / spread.exp()
    there = batch["velocity"] > 0
    return ((0.5 * error.square() + spread) * there).sum() / there.sum().clamp(min=1) * 0.1


class TransformerObjective:
    """Model, optimisers and songs of one run."""

    def __init__(
        self, fabric: Fabric, recipe: TransformerRecipe, songs: list[CachedSong], turns: int, seed: int
    ) -> None:
        self.fabric, self.recipe, self.turns = fabric, recipe, turns
        torch.manual_seed(seed)
        self.model: Transformer = Transformer(recipe.model).to(fabric.device)
        if recipe.begin_with:
            checkpoint.take(self.model, checkpoint.learnt(Path(recipe.begin_with), ""))
        self.average: Transformer = copy.deepcopy(self.model).requires_grad_(False).eval()
        mine = seed * 1000 + fabric.global_rank
        kinds = [s for s in songs if s.style in TRANSFORMER_STYLES]
        listen = None
        if recipe.harmonist:
            self.model.harmonist.load_state_dict(harmonist_of(Path(recipe.harmonist)).state_dict())
            self.average.harmonist.load_state_dict(self.model.harmonist.state_dict())
            listen = self._listen
        self.songs = Stretches([s for s in kinds if s.split == "train"], mine, get_weights("transformer"), listen)
        self.random = self.songs.random
        learning = [*self.model.hand.parameters(), *self.model.writer.parameters()]
        self.optimizer = torch.optim.AdamW(learning, 1e-3, (0.9, 0.98), weight_decay=0.02)
        valid = Stretches([s for s in kinds if s.split == "valid"], 7)
        shares = (("true", 0.0), ("spoilt", 1.0))
        self.valid = [(name, valid.hand(24, share)) for name, share in shares] if valid.styles else []

    def turn(self, step: int) -> dict[str, float]:
        """One update of what is learnt; returns the losses."""
        done = step / self.turns
        warm = min(1.0, (step + 1) / 100)
        scale = warm * (0.03 + 0.97 * 0.5 * (1 + np.cos(np.pi * min(1.0, done))))
        figures = self._teach(self.recipe.learning_rate * scale)
        with torch.no_grad():
            decay = min(0.998, (step + 1) / (step + 20))
            for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        return figures

    @torch.no_grad()
    def _listen(self, score: BandScore) -> NDArray[np.int64]:
        """The chord that the harmonist tells at every step of a song's melody, (2, steps + 1)."""
        melody = score.roles["melody"]
        lead = STEPS_PER_BEAT
        lines, trust = melody_recall.find_all_matches(
            melody_recall.sample_melody(map(tuple, melody[:, :3].tolist()), score.steps)
        )
        count = -(-(score.steps + lead) // STEPS_PER_BEAT) + 1
        told = np.full((2, score.steps + 1), NO_CHORD, np.int64)
        for late in range(STEPS_PER_BEAT):  # now-lines late, late + 4, ...
            planes = np.zeros((PITCHED_PLANES, PITCH_CLASSES, count * STEPS_PER_BEAT), np.float32)
            gan_canvas.draw_part(planes, "melody", (melody[:, :3] + np.array([lead - late, 0, 0])).tolist())
            now = late + STEPS_PER_BEAT * np.arange(count)
            phase = np.zeros((STEPS_PER_BAR, count), np.float32)
            phase[now % STEPS_PER_BAR, np.arange(count)] = 1
            inside = now < told.shape[1]
            at = np.where(inside, now, 0)
            place = np.maximum((lines[at] - late) // STEPS_PER_BEAT, 0)
            known = np.where(inside & (lines[at] >= 0), trust[at], 0).astype(np.float32)
            arrays = (
                planes[None, : melody_context.MELODY_PLANES],
                phase[None],
                place[None].astype(np.int64),
                known[None, None],
            )
            shown = [torch.as_tensor(x, device=self.fabric.device) for x in arrays]
            with self.fabric.autocast():
                said = self.model.harmonist(*shown)
            best = agreement(said[:, 0].float().transpose(1, 2), shown[3][:, 0])[0].argmax(1).cpu().numpy()
            told[0, now[inside]], told[1, now[inside]] = best[inside] % PITCH_CLASSES, best[inside] // PITCH_CLASSES
        return told

    def _teach(self, rate: float) -> dict[str, float]:
        batch = self._tensors(self.songs.hand(self.recipe.batch, self.recipe.spoil, self.recipe.told))
        count = batch["length"].numel()
        chosen = torch.as_tensor(self.random.permutation(count)[: int(count * self.recipe.some)])
        with self.fabric.autocast():
            state, loud, tune = self.model.hand(batch["features"], batch["style"])
            total, many = writing_loss(self.model, state, batch, chosen.to(state.device))
        volume = loudness_loss(loud, self.model.hand.loud_log_std, batch)
        melody = functional.cross_entropy(tune.float().flatten(0, 1), batch["tune"].flatten())
        self._update(total / many + volume + self.recipe.tune * melody, rate)
        return {
            "writing": float(total.detach()) / many,
            "loudness": float(volume.detach()),
            "tune": float(melody.detach()),
        }

    def _update(self, loss: Tensor, rate: float) -> None:
        optimizer = self.optimizer
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss.backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if self.fabric.world_size > 1:
            for p in parameters:
                p.grad = self.fabric.all_reduce(p.grad, reduce_op="mean")
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Nats a step of the averaged weights on fixed stretches of the validation split, true past and spoilt."""
        figures: dict[str, float] = {}
        for name, shown in self.valid:
            batch = self._tensors(shown)
            with self.fabric.autocast():
                state, _, _ = self.average.hand(batch["features"], batch["style"])
                chosen = torch.arange(0, batch["length"].numel(), 3, device=state.device)
                total, many = writing_loss(self.average, state, batch, chosen)
            figures[f"valid_{name}_writing"] = float(total) / many
        return figures

    def _tensors(self, batch: HandBatch) -> dict[str, Tensor]:
        return {k: torch.as_tensor(v, device=self.fabric.device) for k, v in batch._asdict().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything a checkpoint keeps."""
        kept = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        kept |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        return kept | checkpoint.optimizer_tensors("optimizer", self.optimizer)

    def restore(self, kept: dict[str, Tensor]) -> None:
        """Put a checkpoint's tensors back."""
        for name, module in (("model", self.model), ("average", self.average)):
            module.load_state_dict(checkpoint.part(kept, name))
        checkpoint.restore_optimizer("optimizer", self.optimizer, kept)

    def extras(self) -> dict[str, Any]:
        """What the exporter needs beside the weights."""
        return {"velocity_std": self.average.hand.loud_log_std.exp().tolist()}
