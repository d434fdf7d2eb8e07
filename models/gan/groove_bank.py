"""The grooves a GAN plays when nobody gives it one: vectors of real bands, with what those bands did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.data.parts import split_roles
from models.data.song_cache import CachedSong
from models.gan.dataset import GAN_STYLES, RHYTHM_ROWS, draw_score, find_mean_bar
from models.gan.network import Encoder
from music.analysis import note_density
from music.encoding.gan_canvas import CANVAS_STEPS, FIRST_NOW_STEP
from music.evaluation.passage import collect_notes, find_passage
from music.evaluation.rhythm import measure_drums, measure_groove
from music.note import TICKS_PER_STEP, Metre, Note

#: a role plays in at least this share of a passage's bars
PLAYED_SHARE = 0.75
#: keys of music.evaluation.rhythm that say how a band moves
MOVES = ("onsets", "on_beat", "crumbs", "groove", "drum_onsets")
#: a passage stands in at most so many pairs
MAX_PAIRS = 3
#: weight of all figures beside the one that strays most, when pairs are ranked
_SUM_WEIGHT = 0.1
#: how far a figure strays that has no value
_UNKNOWN_STRAY = 9.0

Figures = NDArray[np.float64]
Pair = list[list[float]]


@dataclass(frozen=True, slots=True)
class GroovePassage:
    """A stretch of a song's band, as long as the canvas."""

    bar: NDArray[np.float32]  #: (RHYTHM_ROWS, STEPS_PER_BAR): its mean bar
    moves: Figures  #: (MOVES,)
    habits: Figures  #: (note_density.HABIT_COUNT,)


@dataclass(frozen=True, slots=True)
class GrooveChoice:
    """The passages of a style's bands whose grooves are played; None of them knows an encoder."""

    passages: list[GroovePassage]
    #: rows of passages whose grooves a song's sections take in turns
    pairs: list[tuple[int, int]]


def choose_passages(songs: list[CachedSong], count: int = 48, heard: int = 256) -> list[GrooveChoice]:
    """Return the passages of each style that the groove vector is drawn from when playing.

    songs: in metres of one kind. There are up to `count` pairs a style, first those that together move most as the
    style's bands do, chosen from `heard` passages. Takes a minute.
    """
    random = np.random.default_rng(0)
    choices = []
    for style in GAN_STYLES:
        own = [s for s in songs if s.style == style]
        drawn = [own[int(random.integers(len(own)))] for _ in range(2 * heard)] if len(own) > 2 * heard else own
        found = [passage for song in drawn if (passage := draw_passage(song, random)) is not None][:heard]
        if not found:
            choices.append(GrooveChoice([], []))
            continue
        mean = np.nanmean([measure_moves(collect_parts(song), 0, song.steps, song.metre) for song in drawn[:heard]], 0)
        choices.append(GrooveChoice(found, rank_pairs(np.array([passage.moves for passage in found]), mean)[:count]))
    return choices


@torch.no_grad()
def encode_grooves(choices: list[GrooveChoice], encoder: Encoder, z: int) -> tuple[list[list[Pair]], list[list[Pair]]]:
    """Return pairs of groove vectors, `z` long, and pairs of habits, by style; zeros where a style has no passage.

    Habits are as music.analysis.note_density measures them.
    """
    grooves, habits = [], []
    device = next(encoder.parameters()).device
    for choice in choices:
        if not choice.passages:
            grooves.append([[[0.0] * z] * 2])
            habits.append([[[0.0] * note_density.HABIT_COUNT] * 2])
            continue
        bars = np.stack([passage.bar for passage in choice.passages])
        vectors = encoder(torch.as_tensor(bars, device=device)).tolist()
        grooves.append([[[round(v, 4) for v in vectors[i]] for i in pair] for pair in choice.pairs])
        habits.append(
            [[[round(v, 3) for v in choice.passages[i].habits.tolist()] for i in pair] for pair in choice.pairs]
        )
    return grooves, habits


def draw_passage(song: CachedSong, random: np.random.Generator) -> GroovePassage | None:
    """Draw a stretch of a song; None unless bass, chords and drums (a piano has none) play in most of its bars."""
    score = draw_score(song)
    per_bar = song.metre.steps_per_bar
    count = max(1, CANVAS_STEPS // per_bar)
    if score.bars - score.first_bar < count + count // 2:
        return None
    first, steps = int(random.integers(score.first_bar, score.bars - count)) * per_bar, count * per_bar
    rhythm = score.rhythm[:, FIRST_NOW_STEP + first : FIRST_NOW_STEP + first + steps]
    bars: np.ndarray[Any, np.dtype[np.bool_]] = rhythm.reshape(RHYTHM_ROWS, -1, per_bar).max(2) > 0
    played = bars[[0, 3]] if song.style == "piano" else np.stack([bars[0], bars[3], bars[9:].any(0)])
    if played.mean(1).min() < PLAYED_SHARE:
        return None
    parts, last = collect_parts(song), first + steps
    moves = measure_moves(parts, first, last, song.metre)
    return GroovePassage(find_mean_bar(rhythm, 0, song.metre), moves, note_density.measure_habits(parts, first, last))


def collect_parts(song: CachedSong) -> dict[str, list[Note]]:
    """Return a song's notes by role, the melody among them."""
    return {
        role: [Note(s * TICKS_PER_STEP, p, n * TICKS_PER_STEP) for s, p, n in rows[:, :3].tolist()]
        for role, rows in split_roles(song).items()
    }


def measure_moves(parts: dict[str, list[Note]], first: int, last: int, metre: Metre = Metre()) -> Figures:
    """Return the figures MOVES of a band, from step `first` to before `last`; NaN where there is none."""
    where = find_passage([Note(first * TICKS_PER_STEP, 60, (last - first) * TICKS_PER_STEP)], metre)
    band = {role: notes for role, notes in parts.items() if role != "melody"}
    groove = measure_groove(where, collect_notes(band, where))
    figures = groove | measure_drums(where, band, None)
    return np.array([figures[key] for key in MOVES])


def rank_pairs(figures: Figures, mean: Figures, max_pairs: int = MAX_PAIRS) -> list[tuple[int, int]]:
    """Return pairs of rows of figures (n, MOVES), those first that are together nearest to a mean (MOVES,).

    Nearest is whose farthest figure strays least from the mean, as a share of it. No row is in more than `max_pairs`.
    """
    one, other = np.triu_indices(len(figures))
    onsets = figures[:, :1]
    weighted = figures * np.concatenate([np.ones_like(onsets), onsets, onsets, np.ones_like(figures[:, 3:])], 1)
    both = weighted[one] + weighted[other]
    both[:, 1:3] /= both[:, :1]  # shares of all onsets
    both[:, [0, 3, 4]] /= 2
    stray = np.abs(both - mean) / np.maximum(np.abs(mean), 1e-6) * (np.abs(mean) > 1e-6)
    stray = np.nan_to_num(stray, nan=_UNKNOWN_STRAY)
    used = np.zeros(len(figures), int)
    found = []
    for i in (stray.max(1) + _SUM_WEIGHT * stray.sum(1)).argsort():
        pair = int(one[i]), int(other[i])
        if max(used[pair[0]], used[pair[1]]) < max_pairs:
            used[pair[0]] += 1
            used[pair[1]] += pair[0] != pair[1]
            found.append(pair)
    return found
