"""How the harmonist learns: every patch of a stretch of song is asked for the chords of the next beats."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from models import checkpoint
from models.checkpoint import CheckpointError
from models.data.chord_estimation import chords_of
from models.data.song_cache import CachedSong
from models.gan.dataset import top_line
from models.harmonist.network import CHORDS, Harmonist, HarmonistConfig, chord_loss
from music.analysis import melody_recall
from music.chords import NO_CHORD
from music.encoding import gan_canvas
from music.encoding.gan_canvas import PITCHED_PLANES
from music.encoding.melody_context import AHEAD_BEATS, MELODY_PLANES
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT
from music.styles import BANDS, COLLECTIONS
from music.track_names import MELODIES, PARTS

LEAD_SHEETS = "lead sheets"
#: Kind of a melody, its collection or LEAD_SHEETS (those of the bands that are not of pop909) -> how often it is drawn.
WEIGHTS = {collection.name: collection.melody_weight for collection in COLLECTIONS} | {LEAD_SHEETS: 2.0}


@dataclass(frozen=True, slots=True)
class HarmonistRecipe:
    """What a run is told. begin_with: a run, or a GAN's graph, whose harmonist is gone on with; patches: length of an
    example; heard_all: share of examples that hear the future; hidden: share of patches whose melody is not heard
    (Park et al. 2019); moved: share of examples that go to another key, melody and chords, somewhere in the middle;
    weights: over WEIGHTS."""

    begin_with: str = ""
    model: HarmonistConfig = field(default_factory=HarmonistConfig)
    batch: int = 10
    patches: int = 192
    learning_rate: float = 2e-3
    heard_all: float = 0.35
    hidden: float = 0.08
    moved: float = 0.3
    weight_decay: float = 0.02
    weights: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return asdict(self)


def recipe_from(values: dict[str, Any]) -> HarmonistRecipe:
    """The recipe in a checkpoint's JSON. Raises TypeError for unknown keys."""
    model = HarmonistConfig(**checkpoint.tuples(values.get("model", {})))
    return HarmonistRecipe(**{**values, "model": model})


def harmonist_of(run: Path) -> Harmonist:
    """The averaged harmonist of a run, which learns no more. Raises CheckpointError."""
    tensors, state = checkpoint.load(run / "checkpoint")
    if state.get("technique") != "harmonist":
        raise CheckpointError(f"{run} holds a run of the {state.get('technique')}, not of the harmonist")
    model = Harmonist(recipe_from(state["recipe"]).model)
    model.load_state_dict(checkpoint.part(tensors, "average"))
    return model.requires_grad_(False).eval()


#: What a beat's chord counts, from this beat's on: the nearer ones are played, the others only looked ahead to.
NEARER = (1.0, 1.0, 0.7, 0.5, 0.4, 0.3, 0.3, 0.3)
assert len(NEARER) == AHEAD_BEATS


class HarmonisedTune(NamedTuple):
    """A song's kind, its collection or "lead sheets"; its melody planes, uint8 (MELODY_PLANES, 12, steps), its chords,
    int8 (2, beats), and for every line 0..steps the one that it recalls (-1: none) and how much that is trusted,
    (steps + 1,)."""

    kind: str
    melody: NDArray[np.uint8]
    chords: NDArray[np.int8]
    lines: NDArray[np.int32]
    trust: NDArray[np.float32]


class Examples(NamedTuple):
    """melody (B, MELODY_PLANES, 12, 4 n), phase (B, PHASES, n), chords (B, 2, AHEAD, n); what each patch recalls:
    place (B, n), its patch, and trust (B, 1, n)."""

    melody: NDArray[np.float32]
    phase: NDArray[np.float32]
    chords: NDArray[np.int64]
    place: NDArray[np.int64]
    trust: NDArray[np.float32]


def tune_of(song: CachedSong) -> HarmonisedTune | None:
    """The melody and chords of a song, guessed where nobody wrote them down; None where one of them is missing."""
    melody = _melody(song)
    if not len(melody):
        return None
    known = chords_of(song)
    if (known >= 0).sum() < 16:
        return None
    planes = np.zeros((PITCHED_PLANES, PITCH_CLASSES, song.steps), np.uint8)
    gan_canvas.draw_part(planes, "melody", map(tuple, melody[:, :3].tolist()))
    chords = np.full((2, song.steps // 4), NO_CHORD, np.int8)
    known = known[: chords.shape[1]].T
    chords[:, : known.shape[1]] = known
    lines, trust = melody_recall.find_all_matches(
        melody_recall.sample_melody(map(tuple, melody[:, :3].tolist()), song.steps)
    )
    return HarmonisedTune(kind_of(song), planes[:MELODY_PLANES].copy(), chords, lines, trust)


def kind_of(song: CachedSong) -> str:
    """Its collection, or "lead sheets", see WEIGHTS."""
    return LEAD_SHEETS if song.collection == BANDS and song.name.startswith("ewld") else song.collection


def _melody(song: CachedSong) -> NDArray[np.int64]:
    """(n, 4) rows of start, pitch, length, velocity: one line, as the live window hears it."""
    parts = (song.notes[song.notes[:, 0] == PARTS.index(part), 1:] for part in MELODIES)
    return top_line(next((rows for rows in parts if len(rows)), song.notes[:0, 1:]))


def tunes(songs: list[CachedSong], split: str) -> list[HarmonisedTune]:
    """One tune for every melody of a split: the bands play some songs in several styles over the same chords."""
    met: set[tuple[str, str]] = set()
    found = []
    for song in songs:
        name = song.name.rsplit("-", 1)[0] if song.collection == BANDS else song.name
        if song.split != split or (song.collection, name) in met:
            continue
        met.add((song.collection, name))
        tune = tune_of(song)
        if tune is not None:
            found.append(tune)
    return found


def examples(
    found: list[HarmonisedTune],
    random: np.random.Generator,
    count: int,
    patches: int,
    odds: NDArray[np.float64] | None = None,
) -> Examples:
    """Stretches of songs, drawn with these odds (none: all alike), each patch's end a now-line; some begin in the
    silence before the song. What lies before a stretch is not recalled."""
    melody = np.zeros((count, MELODY_PLANES, PITCH_CLASSES, patches * STEPS_PER_BEAT), np.float32)
    phase = np.zeros((count, STEPS_PER_BAR, patches), np.float32)
    chords = np.full((count, 2, AHEAD_BEATS, patches), NO_CHORD, np.int64)
    place, trust = np.zeros((count, patches), np.int64), np.zeros((count, 1, patches), np.float32)
    for i in range(count):
        tune = found[int(random.choice(len(found), p=odds))]
        steps = tune.melody.shape[-1]
        start = int(random.integers(-patches // 2, max(1, steps // 4 - patches // 4))) * 4 + int(random.integers(4))
        low, high = max(0, start), min(steps, start + patches * STEPS_PER_BEAT)
        melody[i, :, :, low - start : high - start] = tune.melody[:, :, low:high]
        nows = start + STEPS_PER_BEAT * np.arange(1, patches + 1)
        phase[i, nows % STEPS_PER_BAR, np.arange(patches)] = 1
        beats = nows // 4 + np.arange(AHEAD_BEATS)[:, None]  # (AHEAD, patches)
        inside = (beats >= 0) & (beats < tune.chords.shape[1])
        chords[i][:, inside] = tune.chords[:, beats[inside]]
        place[i], trust[i, 0] = recalled(tune, start, patches)
    return Examples(melody, phase, chords, place, trust)


def moved(batch: Examples, random: np.random.Generator, share: float) -> Examples:
    """The examples, of which a share goes to another key somewhere in the middle. Who comes from the old key does not
    recall it in the new one."""
    batch = copy.deepcopy(batch)
    count, patches = batch.place.shape
    for i in np.flatnonzero(random.random(count) < share):
        at, by = int(random.integers(patches // 4, patches * 3 // 4)), int(random.integers(1, PITCH_CLASSES))
        batch.melody[i, :, :, at * STEPS_PER_BEAT :] = np.roll(batch.melody[i, :, :, at * STEPS_PER_BEAT :], by, 1)
        new = (np.arange(1, patches + 1) + np.arange(AHEAD_BEATS)[:, None] >= at) & (batch.chords[i, 0] >= 0)
        batch.chords[i, 0][new] = (batch.chords[i, 0][new] + by) % PITCH_CLASSES
        lost = (np.arange(patches) >= at) & (batch.place[i] < at)
        batch.place[i, lost], batch.trust[i, 0, lost] = 0, 0
    return batch


def recalled(tune: HarmonisedTune, start: int, patches: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """What the ends of the patches of a stretch that begins at a step recall: the patch that ends where the recalled
    line is (n,), and how much it is trusted (n,), 0 where nothing in the stretch is recalled."""
    ends = start + STEPS_PER_BEAT * np.arange(1, patches + 1)
    inside = (ends > 0) & (ends < len(tune.lines))
    line = np.where(inside, tune.lines[np.where(inside, ends, 0)], -1)
    patch = (line - start) // STEPS_PER_BEAT - 1
    found = (line >= 0) & (patch >= 0)
    trust = np.where(found, tune.trust[np.where(inside, ends, 0)], 0)
    return np.where(found, patch, 0).astype(np.int64), trust.astype(np.float32)


class HarmonistObjective:
    """Model, optimiser and songs of one run."""

    def __init__(self, fabric: Fabric, recipe: HarmonistRecipe, songs: list[CachedSong], steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.fabric, self.recipe, self.steps = fabric, recipe, steps
        self.model = Harmonist(recipe.model).to(fabric.device)
        if recipe.begin_with:
            learnt = checkpoint.learnt(Path(recipe.begin_with), "generator.harmonist")
            checkpoint.take(self.model, learnt)
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), recipe.learning_rate, (0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.random = np.random.default_rng(seed * 1000 + fabric.global_rank)
        self.tunes = tunes(songs, "train")
        odds = np.array([{**WEIGHTS, **recipe.weights}.get(tune.kind, 1.0) for tune in self.tunes])
        self.odds = odds / odds.sum()
        pop = [s for s in songs if s.collection == "pop909"] or songs
        held_out = tunes(pop, "valid")
        look = np.random.default_rng(7)
        self.valid = [examples(held_out, look, 32, recipe.patches) for _ in range(3)] if held_out else []
        self.elsewhere = [moved(batch, look, 1.0) for batch in self.valid]
        folk = tunes([s for s in songs if kind_of(s) == LEAD_SHEETS], "valid")
        self.folk = [examples(folk, look, 32, recipe.patches) for _ in range(2)] if folk else []

    def turn(self, step: int) -> dict[str, float]:
        """One update; returns the losses."""
        recipe, done = self.recipe, step / self.steps
        rate = recipe.learning_rate * min(1.0, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done)))
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate)
        batch = examples(self.tunes, self.random, recipe.batch, recipe.patches, self.odds)
        batch = moved(batch, self.random, recipe.moved)
        heard = self.random.random((recipe.batch, 1, 1, recipe.patches)) >= recipe.hidden
        batch = batch._replace(melody=batch.melody * heard.repeat(STEPS_PER_BEAT, 3))
        heard_all = (torch.rand(recipe.batch, 1, 1) < recipe.heard_all).to(self.fabric.device)
        told, chords = self._told(self.model, batch, heard_all)
        losses = chord_loss(told, chords)
        weight = torch.tensor(NEARER, device=losses.device)[:, None]
        loss = (losses * weight).sum() / ((losses > 0) * weight).sum().clamp(min=1)
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1 - min(0.998, 1 - 1 / (step / 3 + 1)))
        return {"chord": float(loss.detach()), "gradient": float(norm)}

    def _told(self, model: Harmonist, batch: Examples, heard_all: Tensor, memory: float = 1.0) -> tuple[Tensor, Tensor]:
        """What the model tells (B, AHEAD, CHORDS, n), and the chords (B, 2, AHEAD, n). heard_all (B, 1, 1): who hears
        what follows; memory: 0 where nobody recalls."""
        melody, phase, chords, place, trust = (torch.as_tensor(x, device=self.fabric.device) for x in batch)
        own = torch.arange(place.shape[1], device=place.device).expand_as(place)
        known = torch.where(heard_all, 1.0, trust * memory)
        with self.fabric.autocast():
            told = model(melody, phase, torch.where(heard_all[:, 0], own, place), known)
        return told, chords

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Cross-entropy of this beat's chord and share of right roots, of the averaged model: live, live without memory
        of what came before, live where every song goes to another key, and offline; of lead sheets live and offline."""
        figures: dict[str, float] = {}
        asked_in = (
            ("live", self.valid, False, 1.0),
            ("forgetful", self.valid, False, 0.0),
            ("moved", self.elsewhere, False, 1.0),
            ("offline", self.valid, True, 0.0),
            ("folk", self.folk, False, 1.0),
            ("folk_offline", self.folk, True, 0.0),
        )
        for name, batches, heard, memory in asked_in:
            total, right, count = 0.0, 0, 0
            for batch in batches:
                heard_all = torch.full((len(batch.melody), 1, 1), heard, device=self.fabric.device)
                told, chords = self._told(self.average, batch, heard_all, memory)
                told, asked = told[:, :1], chords[:, :, :1]
                named = asked[:, 0] >= 0
                total += float(chord_loss(told, asked).sum())
                right += int(((told.argmax(2) % PITCH_CLASSES == asked[:, 0]) & named).sum())
                count += int(named.sum())
            if count:
                figures |= {f"valid_{name}_chord": total / count, f"valid_{name}_root": right / count}
        return figures

    def tensors(self) -> dict[str, Tensor]:
        """Everything a checkpoint keeps."""
        kept = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        kept |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        return kept | checkpoint.optimizer_tensors("optimizer", self.optimizer)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put a checkpoint's tensors back."""
        for name, module in (("model", self.model), ("average", self.average)):
            module.load_state_dict(checkpoint.part(tensors, name))
        checkpoint.restore_optimizer("optimizer", self.optimizer, tensors)

    def extras(self) -> dict[str, Any]:
        """Nothing beside the weights."""
        return {"chords": CHORDS}
