"""The grooves a GAN plays when nobody gives it one: vectors of real bands, with what those bands did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.data.song_cache import CachedSong
from models.gan.dataset import GAN_STYLES, RHYTHM, role_rows, score
from models.gan.network import Encoder
from music.analysis import note_density
from music.encoding.gan_canvas import CANVAS_STEPS, FIRST_NOW_STEP
from music.evaluation import metrics
from music.note import STEPS_PER_BAR, TICKS_PER_STEP, Note

#: share of eight bars in which a role plays
MOST_BARS = 0.75

Figures = NDArray[np.float64]
Pair = list[list[float]]


@torch.no_grad()
def bank(
    songs: list[CachedSong], encoder: Encoder, z: int, each: int = 48, heard: int = 256
) -> tuple[list[list[Pair]], list[list[Pair]]]:
    """What z is when playing: pairs of groove vectors of real bands, which a song's sections take in turns, up to
    `each` a style, first those that together move most as the style's bands do; and the habits of the bands they are
    of."""
    random = np.random.default_rng(0)
    grooves, kept = [], []
    for style in GAN_STYLES:
        own = [s for s in songs if s.style == style]
        drawn = [own[int(random.integers(len(own)))] for _ in range(2 * heard)] if len(own) > 2 * heard else own
        found = [passage for song in drawn if (passage := full_band(song, random)) is not None][:heard]
        if not found:
            grooves.append([[[0.0] * z] * 2])
            kept.append([[[0.0] * note_density.HABIT_COUNT] * 2])
            continue
        mean = np.nanmean([moves(parts_of(song), 0, song.steps) for song in drawn[:heard]], 0)
        device = next(encoder.parameters()).device
        vectors = encoder(torch.as_tensor(np.stack([passage.rhythm for passage in found]), device=device)).tolist()
        pairs = typical_pairs(np.array([passage.moves for passage in found]), mean)[:each]
        grooves.append([[[round(v, 4) for v in vectors[i]] for i in pair] for pair in pairs])
        kept.append([[[round(v, 3) for v in found[i].habits.tolist()] for i in pair] for pair in pairs])
    return grooves, kept


@dataclass(frozen=True, slots=True)
class GroovePassage:
    """Eight bars of a song's band: rhythm (RHYTHM, STEPS), how it moves (5,), its habits (HABITS,)."""

    rhythm: NDArray[np.float32]
    moves: Figures
    habits: Figures


def full_band(song: CachedSong, random: np.random.Generator) -> GroovePassage | None:
    """Eight bars drawn from a song; None unless bass, chords and drums (a piano has none) play in most of them."""
    made = score(song)
    if made.bars - made.first_bar < 12:
        return None
    bar = int(random.integers(made.first_bar, made.bars - 8))
    window = slice(FIRST_NOW_STEP + bar * STEPS_PER_BAR, FIRST_NOW_STEP + bar * STEPS_PER_BAR + CANVAS_STEPS)
    rhythm = made.rhythm[:, window]
    bars: np.ndarray[Any, np.dtype[np.bool_]] = rhythm.reshape(RHYTHM, -1, STEPS_PER_BAR).max(2) > 0
    played = bars[[0, 3]] if song.style == "piano" else np.stack([bars[0], bars[3], bars[9:].any(0)])
    if played.mean(1).min() < MOST_BARS:
        return None
    parts, first, last = parts_of(song), bar * STEPS_PER_BAR, bar * STEPS_PER_BAR + CANVAS_STEPS
    return GroovePassage(rhythm, moves(parts, first, last), note_density.measure_habits(parts, first, last))


def parts_of(song: CachedSong) -> dict[str, list[Note]]:
    """Notes by role, the melody among them."""
    return {
        role: [Note(s * TICKS_PER_STEP, p, n * TICKS_PER_STEP) for s, p, n in rows[:, :3].tolist()]
        for role, rows in role_rows(song).items()
    }


def moves(parts: dict[str, list[Note]], first: int, last: int) -> Figures:
    """The figures (5,) by which a band is told to play its style, from step `first` to before `last`: see
    `music.evaluation.metrics.measure_groove`."""
    where = metrics.find_passage([Note(first * TICKS_PER_STEP, 60, (last - first) * TICKS_PER_STEP)])
    band = {role: notes for role, notes in parts.items() if role != "melody"}
    figures = metrics.measure_groove(where, metrics.collect_notes(band, where)) | metrics.measure_drums(
        where, band, None
    )
    return np.array([figures[key] for key in ("onsets", "on_beat", "crumbs", "groove", "drum_onsets")])


def typical_pairs(figures: Figures, mean: Figures, often: int = 3) -> list[tuple[int, int]]:
    """Pairs of rows of figures (n, 5; as `moves` has them), those first that are together nearest to a mean (5,):
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
