"""Real pieces and what is done to them: windows of 8 bars, notes taken away, wrong notes put in.

The network learns to undo this. Part of what it undoes is its own doing: `Pool` keeps examples to which its sampled
edits have been applied, for that is what it will look at when it plays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arcnn.network import ARCNN_STYLES
from models.data.song_cache import CachedSong
from music.encoding.edit_grid import WINDOW_STEPS, Cells, Lengths
from music.note import PITCHES, STEPS_PER_BAR
from music.styles import find_collection
from music.track_names import PARTS

#: the collection that each style is learned from, in the order of the style input
COLLECTIONS = tuple(find_collection(style, "arcnn") for style in ARCNN_STYLES)
#: notes of a tune whose steps, in any key, make it the same tune
TUNE = 12
_DRUMS = PARTS.index("drums")


@dataclass(frozen=True, slots=True)
class EditPiece:
    """notes: int (n, 4) rows of step, pitch, length, part; no two begin in one cell and none of a pitch overlap."""

    name: str
    style: int
    steps: int
    notes: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SpoilRecipe:
    """How pieces are spoilt. Plain: each note goes with one probability and wrong notes lie anywhere near the piece's
    (the published recipe). plausible: some of the time wrong notes lie near right ones, or really anywhere, and whole
    voices or bars are taken away; wrong: the most wrong notes as a share of the piece's; keep: how often the notes left
    are said to be right; voices, bars: how often whole ones go."""

    plausible: bool = True
    wrong: float = 0.5
    keep: float = 0.2
    voices: float = 0.15
    bars: float = 0.05


def tune(song: CachedSong, part: str = "soprano") -> NDArray[np.int32]:
    """A part's steps in semitones from note to note, struck again or held: repetitions are left out."""
    line = song.notes[song.notes[:, 0] == PARTS.index(part)]
    steps: NDArray[np.int32] = np.diff(line[np.argsort(line[:, 1], kind="stable"), 2])
    return steps[steps != 0]


def without_known_tunes(train: Iterable[CachedSong], valid: Iterable[CachedSong]) -> tuple[list[CachedSong], int]:
    """(songs of `train` whose soprano shares no run of TUNE notes, in any key, with one of `valid`; how many do)."""
    known = {run for song in valid for run in _runs(tune(song))}
    kept, dropped = [], 0
    for song in train:
        if known.isdisjoint(_runs(tune(song))):
            kept.append(song)
        else:
            dropped += 1
    return kept, dropped


def _runs(steps: NDArray[np.int32]) -> set[bytes]:
    wide = TUNE - 1
    return {steps[i : i + wide].tobytes() for i in range(len(steps) - wide + 1)}


def piece_of(song: CachedSong) -> EditPiece:
    """All pitched parts of a song on one sheet; of two that strike one key together the longer note stays."""
    rows = song.notes[song.notes[:, 0] != _DRUMS]
    order = np.lexsort((-rows[:, 3], rows[:, 1], rows[:, 2]))  # by pitch, start, longest first
    rows = rows[order]
    same = (np.diff(rows[:, 2], prepend=-1) == 0) & (np.diff(rows[:, 1], prepend=-1) == 0)
    rows = rows[~same]
    follows = np.append(rows[1:, 2] == rows[:-1, 2], False)
    room = np.append(rows[1:, 1] - rows[:-1, 1], 0)
    length = np.where(follows, np.minimum(rows[:, 3], room), rows[:, 3])
    notes = np.stack([rows[:, 1], rows[:, 2], np.minimum(length, WINDOW_STEPS), rows[:, 0]], 1).astype(np.int32)
    return EditPiece(
        song.name, COLLECTIONS.index(song.collection), song.steps, notes[np.argsort(notes[:, 0], kind="stable")]
    )


def window(piece: EditPiece, first: int) -> NDArray[np.int32]:
    """The notes that begin in the WINDOW steps from `first`, as rows of a piece counted from there."""
    low, high = np.searchsorted(piece.notes[:, 0], (first, first + WINDOW_STEPS))
    notes = piece.notes[low:high].copy()
    notes[:, 0] -= first
    notes[:, 2] = np.minimum(notes[:, 2], WINDOW_STEPS - notes[:, 0])
    return notes


def lengths_of(notes: NDArray[np.int32]) -> Lengths:
    """Rows of a piece as a sheet."""
    sheet = np.zeros((WINDOW_STEPS, PITCHES), np.int16)
    sheet[notes[:, 0], notes[:, 1]] = notes[:, 2]
    return sheet


def spoil(
    notes: NDArray[np.int32], recipe: SpoilRecipe, random: np.random.Generator, least: float = 0.0
) -> tuple[Lengths, Cells]:
    """A spoilt sheet and which of its notes are said to be right."""
    left = notes[_stay(notes, recipe, random, least)]
    sheet = lengths_of(left)
    if random.random() < (0.8 if recipe.plausible else 1.0):
        most = recipe.wrong * (2 if recipe.plausible and random.random() < 0.1 else 1)
        near = random.choice((0.0, 0.5, 1.0)) if recipe.plausible else 0.0
        put_in(sheet, notes, round(len(notes) * random.uniform(0, most)), near, random, wide=recipe.plausible)
    kept = np.zeros((WINDOW_STEPS, PITCHES), np.bool_)
    if len(left) and random.random() < recipe.keep:
        share = 1.0 if random.random() < 0.6 else random.random()
        said = left[random.random(len(left)) < share]
        kept[said[:, 0], said[:, 1]] = True
    return sheet, kept


def _stay(notes: NDArray[np.int32], recipe: SpoilRecipe, random: np.random.Generator, least: float) -> Cells:
    stay = random.random(len(notes)) >= random.uniform(least, 1)
    if not recipe.plausible or not len(notes):
        return stay
    kind = random.random()
    if kind >= recipe.voices + recipe.bars:
        return stay
    if kind < recipe.voices:  # whole voices; of a piano part only what is left of chance
        parts = np.unique(notes[:, 3])
        voices = random.permutation(parts)[: random.integers(1, max(2, len(parts)))]
        if random.random() < 0.5:
            voices = parts[:1]  # the melody: soprano, violin1, melody come first
        whole = np.isin(notes[:, 3], voices)
        return whole if random.random() < 0.7 else whole | (stay & (random.random() < 0.5))
    begin = random.integers(0, WINDOW_STEPS // STEPS_PER_BAR)
    bars = notes[:, 0] // STEPS_PER_BAR
    gone = (bars >= begin) & (bars < begin + random.integers(1, WINDOW_STEPS // STEPS_PER_BAR))
    return np.asarray(~gone | (stay & (random.random() < 0.3)), np.bool_)


def put_in(
    sheet: Lengths, notes: NDArray[np.int32], count: int, near: float, random: np.random.Generator, wide: bool = False
) -> None:
    """Put wrong notes into a sheet, none where one of `notes` begins and none into one that sounds there. near: the
    share that lies near right ones, beside or before or after them; the others lie anywhere among the pitches of
    `notes`, or, some of them, if it is to be wide, among all, and last as long as they like."""
    if not len(notes):
        return
    true = {(int(step), int(pitch)) for step, pitch in notes[:, :2]}
    low, high = int(notes[:, 1].min()) - 5, int(notes[:, 1].max()) + 5
    if wide and random.random() < 0.3:
        low, high = 0, PITCHES - 1
    for _ in range(count):
        step, pitch, length, _ = notes[random.integers(len(notes))].tolist()
        if random.random() >= near:
            step, pitch = int(random.integers(WINDOW_STEPS)), int(random.integers(low, high + 1))
            if wide and random.random() < 0.3:
                length = int(random.integers(1, 9))
        elif random.random() < 0.7:
            pitch += int(random.choice((-1, 1)) * random.choice((1, 1, 2, 2, 3, 4, 5, 7, 12)))
        else:
            step += int(random.integers(-4, 5))
        if 0 <= step < WINDOW_STEPS and 0 <= pitch < PITCHES and (step, pitch) not in true:
            add(sheet, step, pitch, length)


def add(sheet: Lengths, step: int, pitch: int, length: int) -> bool:
    """Put one note in, as long as there is room for it; False where its pitch sounds already."""
    column = sheet[:, pitch]
    before = np.flatnonzero(column[: step + 1])
    if before.size and before[-1] + column[before[-1]] > step:
        return False
    after = np.flatnonzero(column[step + 1 :])
    room = int(after[0]) + 1 if after.size else WINDOW_STEPS - step
    column[step] = min(length, room, WINDOW_STEPS - step)
    return True


@dataclass(slots=True)
class Example:
    """A spoilt window: the sheet as it is, which of its notes are said to be right, the real one, its style."""

    sheet: Lengths
    kept: Cells
    true: Lengths
    style: int
    age: int = 0


class Pool:
    """Examples without end. weights: how often each style is drawn; shift: transposition, semitones either way."""

    def __init__(
        self,
        pieces: Sequence[EditPiece],
        weights: Sequence[float],
        recipe: SpoilRecipe,
        random: np.random.Generator,
        shift: int = 6,
    ) -> None:
        self.recipe, self.random, self.shift = recipe, random, shift
        self._by_style = [[p for p in pieces if p.style == style] for style in range(len(weights))]
        there = np.array([w if self._by_style[i] else 0.0 for i, w in enumerate(weights)])
        self._weights = there / there.sum()
        # the longer a piece, the more of its windows are drawn
        self._shares = [_shares(group) for group in self._by_style]

    def draw(self) -> Example:
        """A new example."""
        style = int(self.random.choice(len(self._weights), p=self._weights))
        group = self._by_style[style]
        piece = group[self.random.choice(len(group), p=self._shares[style])]
        first = STEPS_PER_BAR * int(self.random.integers(0, max(1, (piece.steps - WINDOW_STEPS) // STEPS_PER_BAR + 1)))
        notes = window(piece, first)
        if self.shift:
            notes[:, 1] += int(self.random.integers(-self.shift, self.shift + 1))
            notes = notes[(notes[:, 1] >= 0) & (notes[:, 1] < PITCHES)]
        sheet, kept = spoil(notes, self.recipe, self.random)
        return Example(sheet, kept, lengths_of(notes), style)


def _shares(group: Sequence[EditPiece]) -> NDArray[np.float64]:
    sizes = np.sqrt([p.steps for p in group]) if group else np.zeros(0)
    return np.asarray(sizes / sizes.sum() if group else sizes, np.float64)
