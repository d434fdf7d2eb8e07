"""Real pieces and what is done to them: windows of 8 bars, notes taken away, wrong notes put in. numpy only.

The network learns to undo this. Part of what it undoes is its own doing: examples to which its sampled edits have been
applied are shown again, for that is what it will look at when it plays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arcnn.network import ARCNN_STYLES
from models.data.song_cache import CachedSong, DataError
from models.recipe import Share
from music.encoding.edit_grid import WINDOW_STEPS, Cells, Lengths
from music.note import PITCHES, STEPS_PER_BAR
from music.styles import DEFAULT_STYLE, find_collection
from music.track_names import PARTS

#: the collection that each style is learned from, in the order of the style input
COLLECTIONS = tuple(find_collection(style, "arcnn") for style in ARCNN_STYLES)
#: so many notes in a row, in any key, make two tunes the same
SAME_TUNE_NOTES = 12
#: intervals by which a wrong note lies beside a right one, the likelier the more often
_WRONG_SEMITONES = (1, 1, 2, 2, 3, 4, 5, 7, 12)
_WRONG_STEPS = 4  #: a wrong note begins at most so much before or after a right one
_DRUMS = PARTS.index("drums")

#: (notes, 4): step, pitch, length in steps, part
Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class EditPiece:
    """A song as one sheet of notes."""

    name: str
    style: int  #: index in ARCNN_STYLES
    steps: int
    notes: Rows  #: no two begin in one cell, and none of a pitch overlap


@dataclass(frozen=True, slots=True)
class SpoilRecipe:
    """Settings of how pieces are spoilt: each note goes with one probability, and wrong notes come."""

    #: some of the time wrong notes lie near right ones, or really anywhere, and whole voices or bars go; else wrong
    #: notes lie anywhere among the piece's pitches, which is the published recipe
    plausible: bool = True
    wrong: Share = 0.5  #: the most wrong notes, as a share of the piece's
    keep: Share = 0.2  #: how often the notes left are said to be right
    voices: Share = 0.15  #: how often whole voices go
    bars: Share = 0.05  #: how often whole bars go


def list_intervals(song: CachedSong, part: str = "soprano") -> NDArray[np.int32]:
    """Return a part's intervals in semitones from note to note; repeated notes, struck again or held, are left out."""
    line = song.notes[song.notes[:, 0] == PARTS.index(part)]
    intervals: NDArray[np.int32] = np.diff(line[np.argsort(line[:, 1], kind="stable"), 2])
    return intervals[intervals != 0]


def drop_known_tunes(train: Iterable[CachedSong], valid: Iterable[CachedSong]) -> tuple[list[CachedSong], int]:
    """Leave out songs whose soprano is that of a validation song for SAME_TUNE_NOTES notes, in any key.

    Returns the others, and how many were left out.
    """
    known = {run for song in valid for run in _collect_runs(list_intervals(song))}
    kept, dropped = [], 0
    for song in train:
        if known.isdisjoint(_collect_runs(list_intervals(song))):
            kept.append(song)
        else:
            dropped += 1
    return kept, dropped


def _collect_runs(intervals: NDArray[np.int32]) -> set[bytes]:
    wide = SAME_TUNE_NOTES - 1
    return {intervals[i : i + wide].tobytes() for i in range(len(intervals) - wide + 1)}


def make_piece(song: CachedSong) -> EditPiece:
    """Lay all pitched parts of a song on one sheet; of two that strike one key together the longer note stays."""
    rows = song.notes[song.notes[:, 0] != _DRUMS]
    order = np.lexsort((-rows[:, 3], rows[:, 1], rows[:, 2]))  # by pitch, start, longest first
    rows = rows[order]
    same = (np.diff(rows[:, 2], prepend=-1) == 0) & (np.diff(rows[:, 1], prepend=-1) == 0)
    rows = rows[~same]
    follows = np.append(rows[1:, 2] == rows[:-1, 2], False)
    room = np.append(rows[1:, 1] - rows[:-1, 1], 0)
    length = np.where(follows, np.minimum(rows[:, 3], room), rows[:, 3])
    notes = np.stack([rows[:, 1], rows[:, 2], np.minimum(length, WINDOW_STEPS), rows[:, 0]], 1).astype(np.int32)
    notes = notes[np.argsort(notes[:, 0], kind="stable")]
    return EditPiece(song.name, choose_style(song), song.steps, notes)


def choose_style(song: CachedSong) -> int:
    """Return which of ARCNN_STYLES a song is learned as: its collection's, else its own; pop for one that is none."""
    if song.collection in COLLECTIONS:
        return COLLECTIONS.index(song.collection)
    return ARCNN_STYLES.index(song.style if song.style in ARCNN_STYLES else DEFAULT_STYLE)


def cut_window(piece: EditPiece, first: int) -> Rows:
    """Return the notes that begin in the WINDOW_STEPS from step `first` on, counted from there."""
    low, high = np.searchsorted(piece.notes[:, 0], (first, first + WINDOW_STEPS))
    notes = piece.notes[low:high].copy()
    notes[:, 0] -= first
    notes[:, 2] = np.minimum(notes[:, 2], WINDOW_STEPS - notes[:, 0])
    return notes


def draw_sheet(notes: Rows) -> Lengths:
    """Return the notes of a window as a sheet (WINDOW_STEPS, 128) of lengths."""
    sheet = np.zeros((WINDOW_STEPS, PITCHES), np.int16)
    sheet[notes[:, 0], notes[:, 1]] = notes[:, 2]
    return sheet


def spoil(notes: Rows, recipe: SpoilRecipe, random: np.random.Generator) -> tuple[Lengths, Cells]:
    """Return a spoilt sheet of a window's notes, and which of its notes are said to be right."""
    left = notes[_choose_remaining(notes, recipe, random)]
    sheet = draw_sheet(left)
    if random.random() < (0.8 if recipe.plausible else 1.0):
        most = recipe.wrong * (2 if recipe.plausible and random.random() < 0.1 else 1)
        near = random.choice((0.0, 0.5, 1.0)) if recipe.plausible else 0.0
        count = round(len(notes) * random.uniform(0, most))
        add_wrong_notes(sheet, notes, count, near, random, wide=recipe.plausible)
    kept = np.zeros((WINDOW_STEPS, PITCHES), np.bool_)
    if len(left) and random.random() < recipe.keep:
        share = 1.0 if random.random() < 0.6 else random.random()
        said = left[random.random(len(left)) < share]
        kept[said[:, 0], said[:, 1]] = True
    return sheet, kept


def _choose_remaining(notes: Rows, recipe: SpoilRecipe, random: np.random.Generator) -> Cells:
    """Return which notes stay, (notes,)."""
    stay = random.random(len(notes)) >= random.uniform(0.0, 1)
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


def add_wrong_notes(
    sheet: Lengths, notes: Rows, count: int, near: float, random: np.random.Generator, wide: bool = False
) -> None:
    """Put wrong notes into a sheet, at most `count`: none where a right one begins, none into one that sounds.

    notes: the right ones; near: the share of wrong notes that lie beside, before or after right ones; the others lie
    anywhere among the pitches of `notes`. wide: some of those among all pitches, and as long as they like.
    """
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
            pitch += int(random.choice((-1, 1)) * random.choice(_WRONG_SEMITONES))
        else:
            step += int(random.integers(-_WRONG_STEPS, _WRONG_STEPS + 1))
        if 0 <= step < WINDOW_STEPS and 0 <= pitch < PITCHES and (step, pitch) not in true:
            add_note(sheet, step, pitch, length)


def add_note(sheet: Lengths, step: int, pitch: int, length: int) -> bool:
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
class EditExample:
    """A spoilt window and the real one."""

    sheet: Lengths  #: as it is
    kept: Cells  #: which of its notes are said to be right
    true: Lengths
    style: int
    age: int = 0  #: how often the network has edited it


class ExamplePool:
    """Draws spoilt windows of pieces without end."""

    def __init__(
        self,
        pieces: Sequence[EditPiece],
        weights: Sequence[float],
        recipe: SpoilRecipe,
        shift: int = 6,
    ) -> None:
        """Draw each style by its weight, and transpose by up to `shift` semitones either way.

        Raises DataError when there is no piece to draw.
        """
        self.recipe, self.shift = recipe, shift
        self._by_style = [[p for p in pieces if p.style == style] for style in range(len(weights))]
        there = np.array([w if self._by_style[i] else 0.0 for i, w in enumerate(weights)])
        if not there.sum():
            raise DataError("no song in the train split is of a style that is learned with a weight above 0")
        self._weights = there / there.sum()
        # the longer a piece, the more of its windows are drawn
        self._shares = [_weigh_pieces(group) for group in self._by_style]

    def draw(self, random: np.random.Generator) -> EditExample:
        """Return a new example."""
        style = int(random.choice(len(self._weights), p=self._weights))
        group = self._by_style[style]
        piece = group[random.choice(len(group), p=self._shares[style])]
        bars = max(1, (piece.steps - WINDOW_STEPS) // STEPS_PER_BAR + 1)
        notes = cut_window(piece, STEPS_PER_BAR * int(random.integers(0, bars)))
        if self.shift:
            notes[:, 1] += int(random.integers(-self.shift, self.shift + 1))
            notes = notes[(notes[:, 1] >= 0) & (notes[:, 1] < PITCHES)]
        sheet, kept = spoil(notes, self.recipe, random)
        return EditExample(sheet, kept, draw_sheet(notes), style)


def _weigh_pieces(group: Sequence[EditPiece]) -> NDArray[np.float64]:
    sizes = np.sqrt([p.steps for p in group]) if group else np.zeros(0)
    return np.asarray(sizes / sizes.sum() if group else sizes, np.float64)
