"""Chords that are known from elsewhere, simulated for training: hands, charts and memories, right and wrong.

A left hand is early or late, leaves tones out, strikes wrong ones and inverts; a chart has simpler chords than people
play and is now and then wrong; what is only remembered is less sure. Live, players are told the same planes
(music.encoding.chord_evidence).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.recipe import Share
from music.chords import NO_CHORD, QUALITIES, QUALITY_TONES
from music.encoding.chord_evidence import (
    BASS,
    CERTAINTY,
    EVIDENCE_BEATS,
    HELD_FADE,
    PAST_BEATS,
    PITCHED_PLANES,
    PLAIN_PLANES,
    ROOT,
    TONES,
)
from music.note import PITCH_CLASSES, STEPS_PER_BEAT

#: Quality -> those that a chart may write instead.
_SIMPLER = {"7": ("maj", "7"), "maj7": ("maj",), "min7": ("min", "min"), "sus4": ("maj",), "sus2": ("maj",)}


@dataclass(frozen=True, slots=True)
class EvidenceShares:
    """Shares of stretches that are told of chords, and of chords that are wrong (1: all)."""

    hands: Share = 0.4  #: stretches with a left hand
    chart: Share = 0.3  #: stretches with a chart
    memory: Share = 0.15  #: stretches with chords that are only remembered
    late_steps: float = 0.7  #: standard deviation of a hand's onsets, in steps
    missed: Share = 0.04  #: changes of chord that a hand does not play
    wrong: Share = 0.02  #: chords of hand and chart that are other ones
    thinned: Share = 0.2  #: chords of a hand without one of their upper tones
    strayed: Share = 0.05  #: chords of a hand with a foreign tone
    inverted: Share = 0.35  #: chords of a hand whose lowest tone is not the root
    rootless: Share = 0.15  #: chords of a hand whose root is not told
    simplified: Share = 0.5  #: charts with triads only


class EvidencePlanes(NamedTuple):
    """Evidence at every patch of B stretches of n patches."""

    pitched: NDArray[np.float32]  #: (B, PITCHED_PLANES * EVIDENCE_BEATS, 12, n)
    plain: NDArray[np.float32]  #: (B, PLAIN_PLANES * EVIDENCE_BEATS, n)


def simulate_evidence(
    chords: NDArray[np.int64],
    offset: NDArray[np.int64],
    randoms: Sequence[np.random.Generator],
    shares: EvidenceShares,
) -> EvidencePlanes:
    """Return what could have been known of the chords at the now-lines of stretches, drawn from a generator for each.

    chords: (B, 2, AHEAD_BEATS, n), root and quality of the beats from each now-line's on; offset: (B,), steps from the
    beginning of a beat to its now-line, 0..3.
    """
    count, _, _, patches = chords.shape
    pitched = np.zeros((count, PITCHED_PLANES, EVIDENCE_BEATS, PITCH_CLASSES, patches), np.float32)
    plain = np.zeros((count, PLAIN_PLANES, EVIDENCE_BEATS, patches), np.float32)
    for i, random in enumerate(randoms):
        kind = random.random()
        beats = np.concatenate([chords[i, :, 0], chords[i, :, 1:, -1]], 1)  # (2, patches + AHEAD_BEATS - 1)
        if kind < shares.hands:
            made = _play_hand(beats, int(offset[i]), patches, random, shares)
        elif kind < shares.hands + shares.chart:
            made = _write_chart(beats, patches, random, shares)
        elif kind < shares.hands + shares.chart + shares.memory:
            made = _remember(beats, patches, random)
        else:
            continue
        pitched[i], plain[i] = made
    shape = (count, -1, PITCH_CLASSES, patches)
    return EvidencePlanes(pitched.reshape(shape), plain.reshape(count, -1, patches))


def draw_given(chords: NDArray[np.int64]) -> EvidencePlanes:
    """Return the evidence of chords that are all known for sure: (B, 2, AHEAD_BEATS, n), for validation."""
    patches = chords.shape[-1]
    made = [_gather_beats(*_draw_beats(np.concatenate([c[:, 0], c[:, 1:, -1]], 1)), patches) for c in chords]
    return EvidencePlanes(
        np.stack([pitched.reshape(-1, PITCH_CLASSES, patches) for pitched, _ in made]),
        np.stack([plain.reshape(-1, patches) for _, plain in made]),
    )


Planes = tuple[NDArray[np.float32], NDArray[np.float32]]


def _draw_beats(beats: NDArray[np.int64]) -> Planes:
    """Return the planes of every beat: (PITCHED_PLANES, 12, beats) and (PLAIN_PLANES, beats); (2, beats) as given."""
    count = beats.shape[1]
    pitched = np.zeros((PITCHED_PLANES, PITCH_CLASSES, count), np.float32)
    plain = np.zeros((PLAIN_PLANES, count), np.float32)
    for beat in np.flatnonzero(beats[0] != NO_CHORD):
        root, quality = int(beats[0, beat]), int(beats[1, beat])
        pitched[ROOT, root, beat] = pitched[BASS, root, beat] = plain[CERTAINTY, beat] = 1
        pitched[TONES, [(root + tone) % PITCH_CLASSES for tone in QUALITY_TONES[quality]], beat] = 1
    return pitched, plain


def _gather_beats(pitched: NDArray[np.float32], plain: NDArray[np.float32], patches: int) -> Planes:
    """Return the windows around every patch of planes by beat, whose first beat is that of the first patch."""
    width = ((0, 0),) * (pitched.ndim - 1) + ((PAST_BEATS, EVIDENCE_BEATS),)
    index = np.arange(EVIDENCE_BEATS)[:, None] + np.arange(patches)  # (EVIDENCE_BEATS, patches), from PAST_BEATS before
    around = np.pad(pitched, width)[:, :, index]  # (PITCHED_PLANES, 12, EVIDENCE_BEATS, patches)
    return around.transpose(0, 2, 1, 3), np.pad(plain, ((0, 0), (PAST_BEATS, EVIDENCE_BEATS)))[:, index]


def _write_chart(beats: NDArray[np.int64], patches: int, random: np.random.Generator, shares: EvidenceShares) -> Planes:
    written = beats.copy()
    if random.random() < shares.simplified:
        for name, simpler in _SIMPLER.items():
            written[1][beats[1] == QUALITIES.index(name)] = QUALITIES.index(simpler[0])
    _spoil(written, random, shares.wrong)
    return _gather_beats(*_draw_beats(written), patches)


def _remember(beats: NDArray[np.int64], patches: int, random: np.random.Generator) -> Planes:
    """Return chords that are as often right as their certainty says."""
    certainty = float(random.uniform(0.2, 0.95))
    recalled = beats.copy()
    _spoil(recalled, random, 1 - certainty)
    pitched, plain = _draw_beats(recalled)
    return _gather_beats(pitched * np.float32(certainty), plain * np.float32(certainty), patches)


def _spoil(beats: NDArray[np.int64], random: np.random.Generator, share: float) -> None:
    """Put other chords of the stretch in the place of a share of the chords."""
    known = np.flatnonzero(beats[0] != NO_CHORD)
    if not len(known):
        return
    original = beats.copy()
    for begin, end in _find_spans(beats):
        if random.random() < share:
            beats[:, begin:end] = original[:, int(random.choice(known))][:, None]


def _find_spans(beats: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (first, last + 1) of the beats over which each chord holds."""
    changes = np.flatnonzero((beats[:, 1:] != beats[:, :-1]).any(0)) + 1
    edges = [0, *changes.tolist(), beats.shape[1]]
    return list(pairwise(edges))


def _play_hand(
    beats: NDArray[np.int64], offset: int, patches: int, random: np.random.Generator, shares: EvidenceShares
) -> Planes:
    """Return what a left hand has told at every now-line: what it held, and that it goes on holding it."""
    meant = beats.copy()
    _spoil(meant, random, shares.wrong)
    steps = meant.shape[1] * STEPS_PER_BEAT
    held = np.full(steps + 1, -1, np.int64)  # chord that is held after each step, an index of `played`
    played: list[Planes] = []
    for begin, _ in _find_spans(meant):
        if meant[0, begin] == NO_CHORD or (played and random.random() < shares.missed):
            continue
        late = round(float(random.normal(0, shares.late_steps)))
        played.append(_strike(meant[:, begin], random, shares))
        held[max(0, begin * STEPS_PER_BEAT + late) :] = len(played) - 1
    if not played:
        return (
            np.zeros((PITCHED_PLANES, EVIDENCE_BEATS, PITCH_CLASSES, patches), np.float32),
            np.zeros((PLAIN_PLANES, EVIDENCE_BEATS, patches), np.float32),
        )
    # one more, silent: what is held before the first chord, which index -1 names
    pitched = np.stack([*(p for p, _ in played), np.zeros_like(played[0][0])], -1)  # (PITCHED_PLANES, 12, chords + 1)
    plain = np.stack([*(q for _, q in played), np.zeros_like(played[0][1])], -1)
    at_end = held[STEPS_PER_BEAT - 1 :: STEPS_PER_BEAT][: meant.shape[1]]  # by beat
    past_pitched, past_plain = _gather_beats(pitched[..., at_end], plain[:, at_end], patches)
    lines = np.maximum(np.arange(patches) * STEPS_PER_BEAT + offset - 1, 0)
    now = held[lines]
    fade = np.float32(HELD_FADE) ** np.arange(EVIDENCE_BEATS - PAST_BEATS, dtype=np.float32)
    past_pitched[:, PAST_BEATS:] = pitched[:, None][..., now] * fade[:, None, None]
    past_plain[:, PAST_BEATS:] = plain[:, None][..., now] * fade[:, None]
    return past_pitched, past_plain


def _strike(chord: NDArray[np.int64], random: np.random.Generator, shares: EvidenceShares) -> Planes:
    """Return the planes of a chord as a hand strikes it: (PITCHED_PLANES, 12) and (PLAIN_PLANES,)."""
    root, quality = int(chord[0]), int(chord[1])
    tones = [(root + tone) % PITCH_CLASSES for tone in QUALITY_TONES[quality]]
    bass = tones[int(random.integers(1, len(tones)))] if random.random() < shares.inverted else root
    upper = [tone for tone in tones if tone != bass]
    if random.random() < shares.thinned and len(upper) > 1:
        tones.remove(upper[int(random.integers(len(upper)))])
    if random.random() < shares.strayed:
        tones.append(int(random.integers(PITCH_CLASSES)))
    pitched = np.zeros((PITCHED_PLANES, PITCH_CLASSES), np.float32)
    plain = np.zeros(PLAIN_PLANES, np.float32)
    pitched[TONES, tones], pitched[BASS, bass], plain[CERTAINTY] = 1, 1, 1
    if random.random() >= shares.rootless and root in tones:
        pitched[ROOT, root] = 1
    return pitched, plain
