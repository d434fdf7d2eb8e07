"""Melodies with their chords, as the harmonist trains on them. numpy only."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.data.chord_estimation import find_chords
from models.data.parts import extract_melody
from models.data.song_cache import CachedSong
from models.progress import show_progress
from music.analysis import melody_recall
from music.chords import NO_CHORD
from music.encoding import gan_canvas
from music.encoding.gan_canvas import PITCHED_PLANES
from music.encoding.melody_context import AHEAD_BEATS, MELODY_PLANES
from music.note import PITCH_CLASSES, STEPS_PER_BAR, STEPS_PER_BEAT
from music.styles import BANDS, COLLECTIONS

#: the kind of those melodies of the bands that are not of pop909
LEAD_SHEETS = "lead sheets"
#: kind of a melody, its collection or LEAD_SHEETS -> how often it is drawn
WEIGHTS = {collection.name: collection.melody_weight for collection in COLLECTIONS} | {LEAD_SHEETS: 2.0}
#: a song with fewer known chords (root and quality count as two) is not learned from
_MIN_CHORDS = 16


class HarmonisedTune(NamedTuple):
    """The melody and the chords of a song."""

    kind: str  #: key of WEIGHTS
    melody: NDArray[np.uint8]  #: (MELODY_PLANES, 12, steps)
    chords: NDArray[np.int8]  #: (2, beats): root and quality
    lines: NDArray[np.int32]  #: (steps + 1,): the earlier line that every line recalls; -1 for none
    trust: NDArray[np.float32]  #: (steps + 1,): how much it is trusted, 0..1


class HarmonistBatch(NamedTuple):
    """Stretches of n patches of B songs, each patch's end a now-line."""

    melody: NDArray[np.float32]  #: (B, MELODY_PLANES, 12, 4 n)
    phase: NDArray[np.float32]  #: (B, 16, n)
    chords: NDArray[np.int64]  #: (B, 2, AHEAD_BEATS, n)
    place: NDArray[np.int64]  #: (B, n): the patch that each recalls
    trust: NDArray[np.float32]  #: (B, 1, n): how much that is trusted


def make_tune(song: CachedSong) -> HarmonisedTune | None:
    """Return the melody and chords of a song, guessed where nobody wrote them down; None where one is missing."""
    melody = extract_melody(song)
    if not len(melody):
        return None
    known = find_chords(song)
    if (known >= 0).sum() < _MIN_CHORDS:
        return None
    planes = np.zeros((PITCHED_PLANES, PITCH_CLASSES, song.steps), np.uint8)
    gan_canvas.draw_part(planes, "melody", map(tuple, melody[:, :3].tolist()))
    chords = np.full((2, song.steps // STEPS_PER_BEAT), NO_CHORD, np.int8)
    known = known[: chords.shape[1]].T
    chords[:, : known.shape[1]] = known
    sampled = melody_recall.sample_melody(map(tuple, melody[:, :3].tolist()), song.steps)
    lines, trust = melody_recall.find_all_matches(sampled)
    return HarmonisedTune(find_kind(song), planes[:MELODY_PLANES].copy(), chords, lines, trust)


def find_kind(song: CachedSong) -> str:
    """Return the kind of a song's melody: its collection, or LEAD_SHEETS."""
    return LEAD_SHEETS if song.collection == BANDS and song.name.startswith("ewld") else song.collection


def make_tunes(songs: list[CachedSong], split: str) -> list[HarmonisedTune]:
    """Return one tune for every melody of a split: the bands play some songs in several styles over the same chords."""
    met: set[tuple[str, str]] = set()
    found = []
    for song in show_progress(songs, f"melodies to {'learn from' if split == 'train' else 'validate on'}"):
        name = song.name.rsplit("-", 1)[0] if song.collection == BANDS else song.name
        if song.split != split or (song.collection, name) in met:
            continue
        met.add((song.collection, name))
        tune = make_tune(song)
        if tune is not None:
            found.append(tune)
    return found


def draw_batch(
    tunes: list[HarmonisedTune],
    randoms: Sequence[np.random.Generator],
    patches: int,
    odds: NDArray[np.float64] | None = None,
) -> HarmonistBatch:
    """Draw stretches of songs, one from each generator, some of which begin in the silence before the song.

    odds: (tunes,), of each being drawn; all alike without. What lies before a stretch is not recalled.
    """
    count = len(randoms)
    melody = np.zeros((count, MELODY_PLANES, PITCH_CLASSES, patches * STEPS_PER_BEAT), np.float32)
    phase = np.zeros((count, STEPS_PER_BAR, patches), np.float32)
    chords = np.full((count, 2, AHEAD_BEATS, patches), NO_CHORD, np.int64)
    place, trust = np.zeros((count, patches), np.int64), np.zeros((count, 1, patches), np.float32)
    for i, random in enumerate(randoms):
        tune = tunes[int(random.choice(len(tunes), p=odds))]
        steps = tune.melody.shape[-1]
        start = int(random.integers(-patches // 2, max(1, steps // 4 - patches // 4))) * 4 + int(random.integers(4))
        low, high = max(0, start), min(steps, start + patches * STEPS_PER_BEAT)
        melody[i, :, :, low - start : high - start] = tune.melody[:, :, low:high]
        nows = start + STEPS_PER_BEAT * np.arange(1, patches + 1)
        phase[i, nows % STEPS_PER_BAR, np.arange(patches)] = 1
        beats = nows // STEPS_PER_BEAT + np.arange(AHEAD_BEATS)[:, None]  # (AHEAD_BEATS, patches)
        inside = (beats >= 0) & (beats < tune.chords.shape[1])
        chords[i][:, inside] = tune.chords[:, beats[inside]]
        place[i], trust[i, 0] = _recall_patches(tune, start, patches)
    return HarmonistBatch(melody, phase, chords, place, trust)


def find_offsets(phase: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how many steps after the beginning of a beat the now-lines of each stretch lie: (B, 16, n) -> (B,)."""
    return phase[:, :, 0].argmax(1).astype(np.int64) % STEPS_PER_BEAT


def _recall_patches(tune: HarmonisedTune, start: int, patches: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what the ends of the patches of a stretch that begins at a step recall.

    (n,) the patch that ends where the recalled line is, and (n,) how much it is trusted: 0 where nothing in the
    stretch is recalled.
    """
    ends = start + STEPS_PER_BEAT * np.arange(1, patches + 1)
    inside = (ends > 0) & (ends < len(tune.lines))
    line = np.where(inside, tune.lines[np.where(inside, ends, 0)], -1)
    patch = (line - start) // STEPS_PER_BEAT - 1
    found = (line >= 0) & (patch >= 0)
    trust = np.where(found, tune.trust[np.where(inside, ends, 0)], 0)
    return np.where(found, patch, 0).astype(np.int64), trust.astype(np.float32)


def modulate(batch: HarmonistBatch, randoms: Sequence[np.random.Generator], share: float) -> HarmonistBatch:
    """Return a copy in which a share of the stretches goes to another key in the middle, melody and chords.

    A patch in the new key does not recall one in the old.
    """
    batch = copy.deepcopy(batch)
    patches = batch.place.shape[1]
    for i, random in enumerate(randoms):
        if random.random() >= share:
            continue
        at, up = int(random.integers(patches // 4, patches * 3 // 4)), int(random.integers(1, PITCH_CLASSES))
        since = at * STEPS_PER_BEAT
        batch.melody[i, :, :, since:] = np.roll(batch.melody[i, :, :, since:], up, 1)
        new = (np.arange(1, patches + 1) + np.arange(AHEAD_BEATS)[:, None] >= at) & (batch.chords[i, 0] >= 0)
        batch.chords[i, 0][new] = (batch.chords[i, 0][new] + up) % PITCH_CLASSES
        lost = (np.arange(patches) >= at) & (batch.place[i] < at)
        batch.place[i, lost], batch.trust[i, 0, lost] = 0, 0
    return batch
