"""The chords of music whose chords nobody wrote down, read off all that sounds. numpy only."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.data.song_cache import CachedSong
from music.chords import NO_CHORD, QUALITIES, QUALITY_TONES
from music.track_names import PARTS


def find_chords(song: CachedSong) -> NDArray[np.int8]:
    """Return root and quality of every beat (beats, 2): those written down or, where there are none, guessed ones."""
    return song.chords if (song.chords[:, 0] >= 0).any() else guess_chords(song)


@lru_cache(maxsize=1)
def _make_templates() -> NDArray[np.float64]:
    """Return what each chord (quality * 12 + root) has of every pitch class, (96, 12); each row sums to 1."""
    made = np.full((len(QUALITIES), 12, 12), 0.02)
    for quality, tones in enumerate(QUALITY_TONES):
        for root in range(12):
            made[quality, root, [(root + t) % 12 for t in tones]] = 0.9 if len(tones) == 3 else 0.75
            made[quality, root, root] += 0.2
    flat = made.reshape(-1, 12)
    return np.asarray(flat / flat.sum(1, keepdims=True))


def guess_chords(song: CachedSong) -> NDArray[np.int8]:
    """Return root and quality of every beat (beats, 2), read off all that sounds: the likeliest path of templates."""
    beats = song.steps // 4
    weight = np.zeros((beats, 12))
    lowest = np.full(beats, 128)
    for part, start, pitch, length, _ in song.notes.tolist():
        if PARTS[part] == "drums":
            continue
        for beat in range(start // 4, min(beats, (start + length - 1) // 4 + 1)):
            shared = min(start + length, beat * 4 + 4) - max(start, beat * 4)
            weight[beat, pitch % 12] += shared
            lowest[beat] = min(lowest[beat], pitch)
    found = weight.sum(1) > 0
    weight /= np.maximum(weight.sum(1, keepdims=True), 1)
    likely = 6 * weight @ np.log(_make_templates()).T
    roots = np.arange(likely.shape[1]) % 12
    likely += 0.8 * (roots[None] == (lowest % 12)[:, None])
    change = np.where(np.arange(beats) % 2 == 0, 1.0, 1.6)
    best = likely[0].copy() if beats else np.zeros(0)
    back = np.zeros(likely.shape, np.int64)
    for beat in range(1, beats):
        leader = int(best.argmax())
        stay = best >= best[leader] - change[beat]
        back[beat] = np.where(stay, np.arange(len(best)), leader)
        best = np.where(stay, best, best[leader] - change[beat]) + likely[beat]
    path = np.full((beats, 2), NO_CHORD, np.int8)
    state = int(best.argmax()) if beats else 0
    for beat in range(beats - 1, -1, -1):
        if found[beat]:
            path[beat] = state % 12, state // 12
        state = int(back[beat][state])
    return path
