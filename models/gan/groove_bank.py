"""The grooves a GAN plays when nobody gives it one: vectors of real bands, with what those bands did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.data.parts import split_roles
from models.data.song_cache import CachedSong
from models.gan.dataset import GAN_STYLES, RHYTHM_ROWS, draw_score, find_mean_bar
from models.gan.network import Encoder
from music.analysis import note_density
from music.encoding.gan_canvas import CANVAS_STEPS, DRUM_CLASS, DRUM_PLANES, FIRST_NOW_STEP, find_groove_kind
from music.evaluation.passage import collect_notes, find_passage
from music.evaluation.rhythm import measure_drums, measure_groove
from music.note import ROLES, TICKS_PER_STEP, Metre, Note
from music.track_names import PARTS

#: a role plays in at least this share of a passage's bars
PLAYED_SHARE = 0.75
#: keys of music.evaluation.rhythm that say how a band moves
MOVES = ("onsets", "on_beat", "crumbs", "groove", "drum_onsets")
#: a passage stands in at most so many pairs
MAX_PAIRS = 3
#: weight of all figures beside the one that strays most, when pairs are ranked
_SUM_WEIGHT = 0.1
#: drums that are counted together where drummers are ranked: kick, snare, cymbals that keep time; as planes
_DRUM_GROUPS = tuple(tuple({DRUM_CLASS[note] for note in notes}) for notes in ((36,), (38, 37), (42, 46, 51)))
#: two grooves of drummers are two where so many hits a bar differ
OTHER_GROOVE_HITS = 1.5
_DRUMS = PARTS.index("drums")
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
    #: those of drummers, and pairs of them, for a generator whose drummer has a groove of its own
    drummers: list[GroovePassage] = field(default_factory=list)
    drum_pairs: list[tuple[int, int]] = field(default_factory=list)


def choose_by_metre(songs: list[CachedSong], drummers: list[CachedSong] | None = None) -> dict[str, list[GrooveChoice]]:
    """Return what `choose_passages` does for the songs of each kind of metre. Takes a minute for each."""
    bands, drums = (_sort_by_kind(found or ()) for found in (songs, drummers))
    return {
        kind: choose_passages(bands[kind], None if drummers is None else drums.get(kind, [])) for kind in sorted(bands)
    }


def _sort_by_kind(songs: Iterable[CachedSong]) -> dict[str, list[CachedSong]]:
    """Return songs by the kind of their metre."""
    found: dict[str, list[CachedSong]] = {}
    for song in songs:
        found.setdefault(find_groove_kind(song.metre), []).append(song)
    return found


def choose_passages(
    songs: list[CachedSong], drummers: list[CachedSong] | None = None, count: int = 48, heard: int = 256
) -> list[GrooveChoice]:
    """Return the passages of each style that the groove vector is drawn from when playing.

    songs: in metres of one kind. There are up to `count` pairs a style, first those that together move most as the
    style's bands do, chosen from `heard` passages; drummers: songs whose drums are chosen likewise. Takes a minute.
    """
    random = np.random.default_rng(0)
    choices = []
    for style in GAN_STYLES:
        drawn, found = _draw_passages([s for s in songs if s.style == style], heard, random)
        if not found:
            choices.append(GrooveChoice([], []))
            continue
        mean = np.nanmean([measure_moves(collect_parts(song), 0, song.steps, song.metre) for song in drawn[:heard]], 0)
        choices.append(GrooveChoice(found, rank_pairs(np.array([passage.moves for passage in found]), mean)[:count]))
    if drummers is None:
        return choices
    for i, style in enumerate(GAN_STYLES):
        own = [s for s in drummers if s.style == style and any(s.notes[:, 0] == _DRUMS)]
        _, found = _draw_passages(own, heard, random)
        if found:
            bars = np.stack([passage.bar[-DRUM_PLANES:] for passage in found])
            choices[i] = replace(choices[i], drummers=found, drum_pairs=pair_drummers(bars)[:count])
    return choices


def _draw_passages(
    songs: list[CachedSong], heard: int, random: np.random.Generator
) -> tuple[list[CachedSong], list[GroovePassage]]:
    """Return the songs that are drawn from a style's, and up to `heard` passages of them."""
    drawn = [songs[int(random.integers(len(songs)))] for _ in range(2 * heard)] if len(songs) > 2 * heard else songs
    return drawn, [passage for song in drawn if (passage := draw_passage(song, random)) is not None][:heard]


def pair_drummers(bars: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Return pairs of drummers' passages, by row, each with the most alike that is another groove.

    First come those that hit as often as most do. bars: (n, DRUM_PLANES, STEPS_PER_BAR), mean bars. What differs by
    less than OTHER_GROOVE_HITS hits a bar is the same groove, and stands first in one pair only.
    """
    flat = bars.reshape(len(bars), -1)
    hits = np.stack([bars[:, list(planes)].sum((1, 2)) for planes in _DRUM_GROUPS], 1)
    stray = np.abs(hits - hits.mean(0)) / np.maximum(hits.mean(0), 1e-6)
    apart = np.abs(flat[:, None] - flat[None]).sum(2)
    found: list[tuple[int, int]] = []
    for i in (stray.max(1) + _SUM_WEIGHT * stray.sum(1)).argsort().tolist():
        if any(apart[i, j] < OTHER_GROOVE_HITS for j, _ in found):
            continue
        others = np.where(apart[i] < OTHER_GROOVE_HITS, np.inf, apart[i])
        nearest = int(others.argmin())
        found.append((i, nearest if np.isfinite(others[nearest]) else i))
    return found


@torch.no_grad()
def encode_grooves(
    choices: list[GrooveChoice], encoder: Encoder, z: int, drum_encoder: Encoder | None = None
) -> tuple[list[list[Pair]], list[list[Pair]]]:
    """Return pairs of groove vectors, `z` long, and pairs of habits, by style; zeros where a style has no passage.

    With an encoder of drums each vector is followed by that of a drummer, as long. Habits are as
    music.analysis.note_density measures them.
    """
    grooves, habits = [], []
    for choice in choices:
        if not choice.passages:
            grooves.append([[[0.0] * z * (1 if drum_encoder is None else 2)] * 2])
            habits.append([[[0.0] * note_density.HABIT_COUNT] * 2])
            continue
        vectors = _encode(np.stack([passage.bar for passage in choice.passages]), encoder)
        grooves.append([[vectors[i] for i in pair] for pair in choice.pairs])
        habits.append([[choice.passages[i].habits.tolist() for i in pair] for pair in choice.pairs])
        if drum_encoder is not None:
            _add_drummers(grooves[-1], habits[-1], choice, drum_encoder, z)
    return grooves, [[[[round(v, 3) for v in each] for each in pair] for pair in pairs] for pairs in habits]


def _encode(bars: NDArray[np.float32], encoder: Encoder) -> list[list[float]]:
    """Return the groove vectors of mean bars, as they are kept in a graph."""
    vectors = encoder(torch.as_tensor(bars, device=next(encoder.parameters()).device)).tolist()
    return [[round(v, 4) for v in vector] for vector in vectors]


def _add_drummers(grooves: list[Pair], habits: list[Pair], choice: GrooveChoice, encoder: Encoder, z: int) -> None:
    """Let a drummer's vector follow each of a style's, and the drums' habits be those of that drummer."""
    drums = ROLES.index("drums")
    if not choice.drummers:
        grooves[:] = [[[*vector, *[0.0] * z] for vector in pair] for pair in grooves]
        return
    vectors = _encode(np.stack([passage.bar[-DRUM_PLANES:] for passage in choice.drummers]), encoder)
    for n, (pair, kept) in enumerate(zip(grooves, habits, strict=True)):
        for turn, row in enumerate(choice.drum_pairs[n % len(choice.drum_pairs)]):
            pair[turn] = [*pair[turn], *vectors[row]]
            kept[turn][drums] = float(choice.drummers[row].habits[drums])


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
