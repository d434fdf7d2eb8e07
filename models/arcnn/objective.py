"""How the AR-CNN learns: one turn of the loop in `models.cli`.

Every turn shows a batch of spoilt windows. Part of them come back at the next turn with edits applied that the network
itself has sampled: right or wrong, that is the roll it will look at when it plays.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from models import checkpoint
from models.arcnn import dataset as corruption
from models.arcnn import network as arcnn
from models.arcnn.dataset import EditPiece, Example, Pool, SpoilRecipe
from models.arcnn.network import ARCNN_STYLES, HIGH, LOW, Arcnn, ArcnnConfig
from models.data.song_cache import CachedSong
from music.encoding.edit_grid import LENGTHS_STEPS, stack_planes
from music.styles import get_weights


@dataclass(frozen=True, slots=True)
class ArcnnRecipe:
    """What a run is told. calibrated: learn, too, how probable each edit is; own: share of
    new examples that go on with the network's own edits, from a share own_from of the run on; further: of those that
    have; oldest, most_edits: how often at most, and how many at once; weights: how often each style
    is drawn; spoil: how pieces are spoilt; descent: the last share of the run, in which the rate falls."""

    model: ArcnnConfig = field(default_factory=ArcnnConfig)
    spoil: SpoilRecipe = field(default_factory=SpoilRecipe)
    batch: int = 16
    learning_rate: float = 3e-3
    descent: float = 0.3
    calibrated: bool = True
    own: float = 0.25
    own_from: float = 0.2
    further: float = 0.7
    oldest: int = 8
    most_edits: int = 40
    weights: tuple[float, ...] = tuple(get_weights("arcnn").values())
    shift: int = 6

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return asdict(self)


#: `--set published=true`: what the published recipe says, on the same network
PUBLISHED: dict[str, Any] = {
    "model": {"conditioned": False},
    "spoil": {"plausible": False, "keep": 0.0},
    "calibrated": False,
    "own": 0.0,
}


def recipe_from(values: dict[str, Any]) -> ArcnnRecipe:
    """The recipe in a checkpoint's JSON. Raises TypeError for unknown keys."""
    values = dict(values)
    if values.pop("published", False):
        values = {**PUBLISHED, **values, "model": {**PUBLISHED["model"], **values.get("model", {})}}
    model, spoil = checkpoint.tuples(values.pop("model", {})), values.pop("spoil", {})
    return ArcnnRecipe(model=ArcnnConfig(**model), spoil=SpoilRecipe(**spoil), **checkpoint.tuples(values))


class ArcnnObjective:
    """Model, optimiser and examples of one run."""

    def __init__(self, fabric: Fabric, recipe: ArcnnRecipe, songs: list[CachedSong], steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.fabric, self.recipe, self.steps = fabric, recipe, steps
        self.net = Arcnn(recipe.model).to(fabric.device)
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a tenth faster on a CPU
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), recipe.learning_rate, (0.9, 0.98), weight_decay=0.01)
        train, valid, self.dropped = pieces_of(songs)
        self.random = np.random.default_rng(seed * 1000 + fabric.global_rank)
        self.pool = Pool(train, recipe.weights, recipe.spoil, self.random, recipe.shift)
        self.waiting: list[Example] = []
        self.valid = validation(valid)

    # --- one turn ---------------------------------------------------------------------------------------------------

    def turn(self, step: int) -> dict[str, float]:
        """One update; returns the losses."""
        self._set_rate(step)
        batch = self.waiting + [self.pool.draw() for _ in range(self.recipe.batch - len(self.waiting))]
        seen, style, true = tensors(batch, self.fabric.device)
        with self.fabric.autocast():
            edit, cells = self.net.look(seen, style, LOW)
            missing = (true > 0) & (seen[:, 0] < 0.5)
            example, step_of_it, pitch = missing.nonzero(as_tuple=True)
            at = example, step_of_it, pitch
            length = arcnn.length_loss(self.net.lengths_at(cells, at), true[at])
        differs = (true > 0) != (seen[:, 0] > 0.5)
        nats = arcnn.edit_loss(edit, differs)
        logit = self._calibrated(self.net, edit.detach(), cells.detach(), seen)
        sure = arcnn.calibration_loss(logit, differs)
        self.optimizer.zero_grad()
        self.fabric.backward(nats + 0.2 * length + (0.2 * sure if self.recipe.calibrated else 0))
        beside = set(self.net.calibration.parameters())  # whose gradient must not make the others' smaller
        for group in (beside, set(self.net.parameters()) - beside):
            torch.nn.utils.clip_grad_norm_(group, 1.0)
        self.optimizer.step()
        self._follow(min(0.997, (step + 1) / (step + 50)))
        with torch.no_grad():
            self._go_on(batch, edit.detach(), cells.detach(), logit.detach(), self._own(step))
        return {"nats": float(nats.detach()), "calibration": float(sure.detach()), "length": float(length.detach())}

    @staticmethod
    def _calibrated(net: Arcnn, edit: Tensor, cells: Tensor, seen: Tensor) -> Tensor:
        return net.calibration(edit, seen, net.calibration.window(edit, cells, seen))

    def _own(self, step: int) -> float:
        return self.recipe.own if step >= self.recipe.own_from * self.steps else 0.0

    def _set_rate(self, step: int) -> None:
        """Up, then level, then down to nothing over the last part: so that a run can be ended whenever time is up, by
        going on with `--resume` and fewer steps."""
        warm = min(1.0, (step + 1) / 150)
        left = (self.steps - step) / (self.recipe.descent * self.steps)
        rate = self.recipe.learning_rate * min(warm, left)
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate)

    def _follow(self, decay: float) -> None:
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)

    def _go_on(self, batch: list[Example], edit: Tensor, cells: Tensor, logit: Tensor, share: float) -> None:
        """Edit some of the examples, as it does when it plays, more or less boldly; they wait for the next turn. What
        there is nothing more to do about has come to its end."""
        self.waiting = []
        recipe = self.recipe
        for i, example in enumerate(batch):
            if example.age >= recipe.oldest or self.random.random() >= (recipe.further if example.age else share):
                continue
            onset = torch.from_numpy(example.sheet[:, LOW:HIGH] > 0).to(edit.device)
            real = torch.where(onset, -logit[i], logit[i]).sigmoid()
            bar = half_of_best(real) * self.random.uniform(0.6, 1.2)
            sure = onset & torch.from_numpy(example.kept[:, LOW:HIGH]).to(edit.device)
            worthwhile = torch.where(onset, real < bar, real >= bar) & ~sure
            count = min(int(self.random.integers(1, recipe.most_edits + 1)), int(worthwhile.sum()))
            if not count:
                continue
            uniform = torch.rand(onset.shape, device=edit.device).clamp(1e-9, 1 - 1e-7)
            keys = edit[i] / self.random.uniform(0.05, 1) - (-uniform.log()).log()
            self._edit(example, i, cells, keys.masked_fill(~worthwhile, -torch.inf), count)
            self.waiting.append(example)

    def _edit(self, example: Example, index: int, cells: Tensor, keys: Tensor, count: int) -> None:
        """The edits of the highest keys."""
        chosen = keys.flatten().topk(count).indices
        steps, pitches = chosen // keys.shape[1], chosen % keys.shape[1]
        here = torch.full_like(steps, index)
        scores = self.net.lengths_at(cells, (here, steps, pitches)).float()
        lengths = torch.distributions.Categorical(logits=scores).sample()
        for step, pitch, length in zip(steps.tolist(), (pitches + LOW).tolist(), lengths.tolist(), strict=True):
            if example.sheet[step, pitch]:
                example.sheet[step, pitch] = 0
            else:
                corruption.add(example.sheet, step, pitch, LENGTHS_STEPS[length])
        example.age += 1

    # --- what the loop asks -----------------------------------------------------------------------------------------

    def validate(self) -> dict[str, float]:
        """Nats of the next edit of the averaged network on spoilt windows of the validation split, by style; and, where
        it is calibrated, the note F1 (onset and pitch) of doing at once all that is expected to raise it."""
        found: dict[str, float] = {}
        with torch.no_grad():
            for name, batch in self.valid.items():
                nats, f1 = [], []
                for i in range(0, len(batch), 16):
                    seen, style, true = tensors(batch[i : i + 16], self.fabric.device)
                    edit, cells = self.average.look(seen, style, LOW)
                    onset, real = seen[:, 0] > 0.5, true > 0
                    nats.append(float(arcnn.edit_loss(edit, real != onset)))
                    logit = self._calibrated(self.average, edit, cells, seen)
                    for score, here, right in zip(logit, onset, real, strict=True):
                        chosen = best_notes(torch.where(here, -score, score).sigmoid())
                        f1.append(float(2 * (chosen & right).sum() / (chosen.sum() + right.sum()).clamp(min=1)))
                found[f"valid_{name}_nats"] = float(np.mean(nats))
                if self.recipe.calibrated:
                    found[f"valid_{name}_f1"] = float(np.mean(f1))
        return found

    def tensors(self) -> dict[str, Tensor]:
        """Everything to go on from."""
        found = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        found |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        return found | checkpoint.optimizer_tensors("optimizer", self.optimizer)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `tensors` returned."""
        for name, module in (("net", self.net), ("average", self.average)):
            module.load_state_dict(checkpoint.part(tensors, name))
        checkpoint.restore_optimizer("optimizer", self.optimizer, tensors)

    def extras(self) -> dict[str, Any]:
        """What the exporter needs beside the weights."""
        return {"calibrated": self.recipe.calibrated, "dropped_for_a_shared_tune": self.dropped}


def pieces_of(songs: list[CachedSong]) -> tuple[list[EditPiece], list[EditPiece], int]:
    """(pieces to learn from, pieces to validate on, how many chorales were dropped because their tune validates)."""
    mine = [s for s in songs if s.collection in corruption.COLLECTIONS]
    train = [s for s in mine if s.split == "train"]
    valid = [s for s in mine if s.split == "valid"]
    chorales, dropped = corruption.without_known_tunes(
        [s for s in train if s.collection == "chorales"], [s for s in valid if s.collection == "chorales"]
    )
    kept = chorales + [s for s in train if s.collection != "chorales"]
    return [corruption.piece_of(s) for s in kept], [corruption.piece_of(s) for s in valid], dropped


def half_of_best(real: Tensor) -> float:
    """Half of the highest F1 that a choice of notes can be expected to have, when `real` says how probable each cell
    is to be one."""
    likely = real.flatten().topk(min(real.numel(), 1024)).values
    count = torch.arange(1, len(likely) + 1, device=likely.device)
    return float((likely.cumsum(0) / (count + real.sum())).max())


def best_notes(real: Tensor) -> Tensor:
    """The cells to call notes for the highest expected F1: the likelier ones, down to half of it (Lipton et al.
    2014)."""
    return real > half_of_best(real)


def validation(pieces: list[EditPiece], count: int = 32) -> dict[str, list[Example]]:
    """Spoilt first windows of pieces of every style, always the same and for every recipe: 10 to 70% of the notes gone
    and half as many wrong ones put in, near right ones, anywhere, or both."""
    found: dict[str, list[Example]] = {}
    for index, style in enumerate(ARCNN_STYLES):
        random = np.random.default_rng(index)
        mine = [p for p in pieces if p.style == index and len(corruption.window(p, 0)) > 30][:count]
        examples = []
        for i, piece in enumerate(mine):
            notes, level = corruption.window(piece, 0), (0.1, 0.3, 0.5, 0.7)[i % 4]
            sheet = corruption.lengths_of(notes[random.random(len(notes)) >= level])
            corruption.put_in(sheet, notes, round(level * len(notes) / 2), (0.0, 0.5, 1.0)[i % 3], random)
            examples.append(Example(sheet, np.zeros_like(sheet, np.bool_), corruption.lengths_of(notes), index))
        if examples:
            found[style] = examples
    return found


def tensors(batch: list[Example], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """(planes (B, 3, 128, pitches), style (B, styles), the real lengths (B, 128, pitches)) of examples."""
    seen = torch.from_numpy(np.stack([stack_planes(e.sheet, e.kept)[..., LOW:HIGH] for e in batch])).to(device)
    seen = seen.contiguous(memory_format=torch.channels_last)
    style = torch.eye(len(ARCNN_STYLES))[[e.style for e in batch]].to(device)
    true = torch.from_numpy(np.stack([e.true[:, LOW:HIGH] for e in batch])).to(device)
    return seen, style, true
