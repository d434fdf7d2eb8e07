"""Training of the AR-CNN: one update of the loop in `models.training_loop`.

Every update shows a batch of spoilt windows. Part of them come back at the next update with edits applied that the
network itself has sampled: right or wrong, that is the roll it will look at when it plays.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from models.arcnn import dataset
from models.arcnn.dataset import EditExample, EditPiece, ExamplePool, SpoilRecipe
from models.arcnn.loss_panels import PANELS
from models.arcnn.network import (
    ARCNN_STYLES,
    HIGH_PITCH,
    LOW_PITCH,
    Arcnn,
    ArcnnConfig,
    compute_calibration_loss,
    compute_edit_loss,
    compute_length_loss,
)
from models.data.song_cache import CachedSong
from models.draws import Draws
from models.loss_plot import LossPanel
from models.optimisation import average_count, set_rate, update_average, update_weights, warm_up
from models.progress import show_progress
from models.recipe import BatchSize, Bounds, Count, Rate, RecipeError, Share, read_recipe
from music.encoding.edit_grid import LENGTHS_STEPS, WINDOW_STEPS, stack_planes
from music.note import PITCHES
from music.styles import COLLECTIONS, get_weights

WARM_UP_STEPS = 150
#: weights of the losses beside the edits'
LENGTH_WEIGHT, CALIBRATION_WEIGHT = 0.2, 0.2
#: how boldly the network edits its own examples: temperature, and share of the threshold that it must clear
_TEMPERATURES, _THRESHOLD_SHARES = (0.05, 1), (0.6, 1.2)
#: a window validates where it has more notes than this
_MIN_VALIDATION_NOTES = 30


@dataclass(frozen=True, slots=True)
class ArcnnRecipe:
    """Settings of a run."""

    model: ArcnnConfig = field(default_factory=ArcnnConfig)
    spoil: SpoilRecipe = field(default_factory=SpoilRecipe)  #: how pieces are spoilt
    batch: BatchSize = 16
    learning_rate: Rate = 3e-3
    descent: Annotated[float, Bounds(1e-6, 1)] = 0.3  #: the last share of the run, in which the rate falls
    calibrated: bool = True  #: learn, too, how probable each edit is
    own: Share = 0.25  #: share of new examples that are shown again with the network's own edits,
    own_from: Share = 0.2  #: from this share of the run on
    further: Share = 0.7  #: share of those that have been and are shown once more
    oldest: Count = 8  #: so often at most
    most_edits: int = 40  #: at once
    weights: tuple[float, ...] = tuple(get_weights("arcnn").values())  #: how often each style is drawn
    shift: Annotated[int, Bounds(0, 24)] = 6  #: transposition, semitones either way


#: `--set published=true`: what the published recipe says, on the same network
PUBLISHED: dict[str, Any] = {
    "model": {"conditioned": False},
    "spoil": {"plausible": False, "keep": 0.0},
    "calibrated": False,
    "own": 0.0,
}


class ArcnnObjective:
    """Network, optimizer and examples of one run."""

    loss_panels: Sequence[LossPanel] = PANELS

    def __init__(self, fabric: Fabric, recipe: ArcnnRecipe, songs: list[CachedSong], steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.fabric, self.recipe, self.steps = fabric, recipe, steps
        self.net = Arcnn(recipe.model).to(fabric.device)
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a tenth faster on a CPU
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        optimizer = torch.optim.AdamW(self.net.parameters(), recipe.learning_rate, (0.9, 0.98), weight_decay=0.01)
        self.modules: dict[str, nn.Module] = {"net": self.net, "average": self.average}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": optimizer}
        train, valid, self.dropped = make_pieces([song for song in songs if song.is_in_four])
        self.draws = Draws.of_device(fabric, seed, recipe.batch)
        self.pool = ExamplePool(train, recipe.weights, recipe.spoil, recipe.shift)
        #: examples that the network has edited, to be shown at the next update in the same places of the batch
        self.waiting: list[EditExample | None] = [None] * recipe.batch
        self.valid = draw_validation(valid)

    @staticmethod
    def read_recipe(values: Mapping[str, Any]) -> ArcnnRecipe:
        """Return the recipe in JSON values, `published` among them. Raises RecipeError."""
        given = dict(values)
        published = given.pop("published", False)
        if not isinstance(published, bool):
            raise RecipeError("published: wants true or false")
        if published:
            model = given.get("model", {})
            given = {**PUBLISHED, **given}
            given["model"] = {**PUBLISHED["model"], **model} if isinstance(model, Mapping) else model
        recipe = read_recipe(ArcnnRecipe, given)
        if len(recipe.weights) != len(ARCNN_STYLES):
            raise RecipeError(f"weights: wants {len(ARCNN_STYLES)} numbers, for {', '.join(ARCNN_STYLES)}")
        return recipe

    def begin(self) -> None:
        """Take over nothing."""

    # --- one update -------------------------------------------------------------------------------------------------

    def update(self, step: int) -> dict[str, float]:
        """Update the network; return its losses."""
        self._set_rate(step)
        randoms = self.draws.open_examples(step)
        batch = [kept or self.pool.draw(random) for kept, random in zip(self.waiting, randoms, strict=True)]
        average = partial(average_count, self.fabric)
        seen, style, true = make_tensors(batch, self.fabric.device)
        with self.fabric.autocast():
            edit, cells = self.net.look(seen, style, LOW_PITCH)
            missing = (true > 0) & (seen[:, 0] < 0.5)
            example, step_of_it, pitch = missing.nonzero(as_tuple=True)
            at = example, step_of_it, pitch
            length = compute_length_loss(self.net.score_lengths_at(cells, at), true[at], average)
        differs = (true > 0) != (seen[:, 0] > 0.5)
        nats = compute_edit_loss(edit, differs, average)
        logit = _calibrate(self.net, edit.detach(), cells.detach(), seen)
        calibration = compute_calibration_loss(logit, differs, average)
        loss = nats + LENGTH_WEIGHT * length
        loss = loss + (CALIBRATION_WEIGHT * calibration if self.recipe.calibrated else 0)
        beside = list(self.net.calibration.parameters())  # whose gradient must not make the others' smaller
        others = [p for name, p in self.net.named_parameters() if not name.startswith("calibration.")]
        update_weights(self.fabric, self.optimizers["optimizer"], loss, 1.0, (beside, others))
        update_average(self.average, self.net, min(0.997, (step + 1) / (step + 50)))
        with torch.no_grad():
            self._edit_batch(batch, edit.detach(), cells.detach(), logit.detach(), step)
        return {
            "nats": float(nats.detach()),
            "calibration": float(calibration.detach()),
            "length": float(length.detach()),
        }

    def _find_own_share(self, step: int) -> float:
        return self.recipe.own if step >= self.recipe.own_from * self.steps else 0.0

    def _set_rate(self, step: int) -> None:
        """Let the rate rise, stay level, and fall to nothing over the last part of the run.

        So a run can be ended whenever time is up, by going on with `--resume` and fewer steps.
        """
        left = (self.steps - step) / (self.recipe.descent * self.steps)
        rate = self.recipe.learning_rate * min(warm_up(step + 1, WARM_UP_STEPS), left)
        set_rate(self.optimizers["optimizer"], rate)

    def _edit_batch(self, batch: list[EditExample], edit: Tensor, cells: Tensor, logit: Tensor, step: int) -> None:
        """Edit some of the examples, as the network does when it plays, more or less boldly.

        They wait for the next update; one in which nothing is worth an edit any more does not come back.
        """
        self.waiting = [None] * len(batch)
        recipe, share = self.recipe, self._find_own_share(step)
        for i, example in enumerate(batch):
            random = self.draws.open_edit(step, i)
            if example.age >= recipe.oldest or random.random() >= (recipe.further if example.age else share):
                continue
            onset = torch.from_numpy(example.sheet[:, LOW_PITCH:HIGH_PITCH] > 0).to(edit.device)
            real = torch.where(onset, -logit[i], logit[i]).sigmoid()
            threshold = halve_best_f1(real) * random.uniform(*_THRESHOLD_SHARES)
            kept = onset & torch.from_numpy(example.kept[:, LOW_PITCH:HIGH_PITCH]).to(edit.device)
            worthwhile = torch.where(onset, real < threshold, real >= threshold) & ~kept
            count = min(int(random.integers(1, recipe.most_edits + 1)), int(worthwhile.sum()))
            if not count:
                continue
            keys = edit[i] / random.uniform(*_TEMPERATURES) + _draw_gumbel(random, onset)
            self._apply_edits(example, i, cells, keys.masked_fill(~worthwhile, -torch.inf), count, random)
            self.waiting[i] = example

    def _apply_edits(
        self, example: EditExample, index: int, cells: Tensor, keys: Tensor, count: int, random: np.random.Generator
    ) -> None:
        """Apply the edits of the highest keys (WINDOW_STEPS, pitches) to an example, the batch's at `index`."""
        chosen = keys.flatten().topk(count).indices
        steps, pitches = chosen // keys.shape[1], chosen % keys.shape[1]
        here = torch.full_like(steps, index)
        scores = self.net.score_lengths_at(cells, (here, steps, pitches)).float()
        lengths = (scores + _draw_gumbel(random, scores)).argmax(1)
        for step, pitch, length in zip(steps.tolist(), (pitches + LOW_PITCH).tolist(), lengths.tolist(), strict=True):
            if example.sheet[step, pitch]:
                example.sheet[step, pitch] = 0
            else:
                dataset.add_note(example.sheet, step, pitch, LENGTHS_STEPS[length])
        example.age += 1

    def collect_state(self) -> dict[str, Tensor]:
        """Return the examples that wait, by their places in the batch; age 0 where none does.

        Of types that are gathered from several devices: gloo knows neither int16 nor bool.
        """
        blank = np.zeros((WINDOW_STEPS, PITCHES), np.int16)
        none = EditExample(blank, blank > 0, blank, 0)
        kept = [example or none for example in self.waiting]
        return {
            "sheet": torch.from_numpy(np.stack([example.sheet for example in kept]).astype(np.int32)),
            "kept": torch.from_numpy(np.stack([example.kept for example in kept]).astype(np.uint8)),
            "true": torch.from_numpy(np.stack([example.true for example in kept]).astype(np.int32)),
            "style": torch.tensor([example.style for example in kept]),
            "age": torch.tensor([example.age for example in kept]),
        }

    def restore_state(self, state: Mapping[str, Tensor]) -> None:
        """Let examples wait again."""
        rows = {key: self.draws.take_rows(value) for key, value in state.items()}
        sheet, kept, true, style, age = (rows.get(key) for key in ("sheet", "kept", "true", "style", "age"))
        if sheet is None or kept is None or true is None or style is None or age is None:
            return
        sheets, trues = sheet.numpy().astype(np.int16), true.numpy().astype(np.int16)
        self.waiting = [
            EditExample(sheets[i], kept[i].numpy() > 0, trues[i], int(style[i]), turns) if turns else None
            for i, turns in enumerate(age.tolist())
        ]

    # --- validating and keeping -------------------------------------------------------------------------------------

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return nats of the next edit of the averaged network on spoilt windows of the validation split, by style.

        And, where it is calibrated, the note F1 (onset and pitch) of doing at once all that is expected to raise it.
        """
        losses: dict[str, float] = {}
        for name, batch in self.valid.items():
            nats, f1 = [], []
            for i in range(0, len(batch), 16):
                seen, style, true = make_tensors(batch[i : i + 16], self.fabric.device)
                edit, cells = self.average.look(seen, style, LOW_PITCH)
                onset, real = seen[:, 0] > 0.5, true > 0
                nats.append(float(compute_edit_loss(edit, real != onset)))
                logit = _calibrate(self.average, edit, cells, seen)
                for score, here, right in zip(logit, onset, real, strict=True):
                    chosen = choose_best_notes(torch.where(here, -score, score).sigmoid())
                    f1.append(float(2 * (chosen & right).sum() / (chosen.sum() + right.sum()).clamp(min=1)))
            losses[f"valid_{name}_nats"] = float(np.mean(nats))
            if self.recipe.calibrated:
                losses[f"valid_{name}_f1"] = float(np.mean(f1))
        return losses

    def collect_extras(self) -> dict[str, Any]:
        """Return whether the network is calibrated, and how many chorales were left out."""
        return {"calibrated": self.recipe.calibrated, "dropped_for_a_shared_tune": self.dropped}


def _draw_gumbel(random: np.random.Generator, like: Tensor) -> Tensor:
    """Draw Gumbel noise of a tensor's shape: added to logits, it makes the greatest a draw from their distribution."""
    uniform = random.random(tuple(like.shape), np.float32).clip(1e-9, 1 - 1e-7)
    return torch.from_numpy(-np.log(-np.log(uniform))).to(like.device)


def _calibrate(net: Arcnn, edit: Tensor, cells: Tensor, seen: Tensor) -> Tensor:
    """Return the logits of each cell's probability to differ, of those of the next edit."""
    moved: Tensor = net.calibration(edit, seen, net.calibration.measure_window(edit, cells, seen))
    return moved


def make_pieces(songs: list[CachedSong]) -> tuple[list[EditPiece], list[EditPiece], int]:
    """Return pieces to learn from, pieces to validate on, and how many chorales were left out.

    Music of collections that are not listed is used where there is no other. A chorale whose tune validates is not
    learned from.
    """
    known = [s for s in songs if s.collection in dataset.COLLECTIONS]
    if not any(s.split == "train" for s in known):  # somebody's own music
        known = [s for s in songs if all(s.collection != listed.name for listed in COLLECTIONS)]
    train = [s for s in known if s.split == "train"]
    valid = [s for s in known if s.split == "valid"]
    chorales, dropped = dataset.drop_known_tunes(
        [s for s in train if s.collection == "chorales"], [s for s in valid if s.collection == "chorales"]
    )
    kept = chorales + [s for s in train if s.collection != "chorales"]
    return (
        [dataset.make_piece(s) for s in show_progress(kept, "pieces to learn from")],
        [dataset.make_piece(s) for s in valid],
        dropped,
    )


def halve_best_f1(real: Tensor) -> float:
    """Return half of the highest F1 that a choice of notes can be expected to have.

    real: how probable each cell is to be a note of the real piece.
    """
    likely = real.flatten().topk(min(real.numel(), 1024)).values
    count = torch.arange(1, len(likely) + 1, device=likely.device)
    return float((likely.cumsum(0) / (count + real.sum())).max())


def choose_best_notes(real: Tensor) -> Tensor:
    """Return the cells to call notes for the highest expected F1.

    Those that are likelier than half of it (Lipton et al. 2014).
    """
    return real > halve_best_f1(real)


def draw_validation(pieces: list[EditPiece], count: int = 32) -> dict[str, list[EditExample]]:
    """Return spoilt first windows of up to `count` pieces a style, always the same and for every recipe.

    10 to 70% of the notes are gone and half as many wrong ones put in, near right ones, anywhere, or both.
    """
    found: dict[str, list[EditExample]] = {}
    for index, style in enumerate(ARCNN_STYLES):
        random = np.random.default_rng(index)
        windows = [dataset.cut_window(piece, 0) for piece in pieces if piece.style == index]
        examples = []
        for i, notes in enumerate([notes for notes in windows if len(notes) > _MIN_VALIDATION_NOTES][:count]):
            level = (0.1, 0.3, 0.5, 0.7)[i % 4]
            sheet = dataset.draw_sheet(notes[random.random(len(notes)) >= level])
            dataset.add_wrong_notes(sheet, notes, round(level * len(notes) / 2), (0.0, 0.5, 1.0)[i % 3], random)
            examples.append(EditExample(sheet, np.zeros_like(sheet, np.bool_), dataset.draw_sheet(notes), index))
        if examples:
            found[style] = examples
    return found


def make_tensors(batch: list[EditExample], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return planes (B, 3, 128, pitches), style (B, styles) and the real lengths (B, 128, pitches) of examples."""
    here = slice(LOW_PITCH, HIGH_PITCH)
    seen = torch.from_numpy(np.stack([stack_planes(e.sheet, e.kept)[..., here] for e in batch])).to(device)
    seen = seen.contiguous(memory_format=torch.channels_last)
    style = torch.eye(len(ARCNN_STYLES))[[e.style for e in batch]].to(device)
    true = torch.from_numpy(np.stack([e.true[:, here] for e in batch])).to(device)
    return seen, style, true
