"""Chords that are known from elsewhere than the melody, as the harmonist is told of them around a now-line.

The player's left hand, a chart, or what the song has shown before: each chord with how sure it is. The window is
counted in beats, from PAST_BEATS before the beat that the now-line lies in on. Shared by training and by the live
players, so that both are told the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from music.analysis.key import Key, count_foreign_tones
from music.chords import NO_CHORD, QUALITIES
from music.encoding.melody_context import AHEAD_BEATS
from music.note import PITCH_CLASSES, STEPS_PER_BEAT, TICKS_PER_STEP

#: How sure it is that a chord that is held goes on, from one beat to the next.
HELD_FADE = 0.85
#: A chord that is at least that certain is what the band plays on, and its lowest note is the bass's.
SURE = 0.9
#: A chord that is at least that certain is not touched by a key that is given.
KNOWN = 0.5
#: What each tone of a chord that is foreign to the given key takes from the chord's score. On two samples of POP909's
#: validation songs with their keys (6 and 10 songs, 32 bars each) what the GAN sounds was in the key for 98.8 % and
#: 99.9 % of the time instead of 98.5 % and 99.8 %, and the half-bar triad was that of the song in 43.1 % and 48.6 %
#: instead of 42.8 % and 48.3 %; with 2.0 it was in 41.8 % of the first sample, whose songs leave their keys.
KEY_WEIGHT = 1.0
PAST_BEATS = 4  #: beats before the one that the now-line lies in
EVIDENCE_BEATS = PAST_BEATS + AHEAD_BEATS
ROOT, TONES, BASS = range(3)  #: planes over pitch classes
PITCHED_PLANES = 3
CERTAINTY, SILENCE = range(2)  #: planes without pitch: how sure the chord is, and that it is none
PLAIN_PLANES = 2


#: Inputs of a graph that is told of known chords -> their shapes.
GRAPH_INPUTS = {
    "given_pitched": (1, PITCHED_PLANES * EVIDENCE_BEATS, PITCH_CLASSES, 1),
    "given_plain": (1, PLAIN_PLANES * EVIDENCE_BEATS, 1),
}


class GivenChord(NamedTuple):
    """A chord that is known, and for how long. Ticks count from bar 1."""

    start: int  #: tick
    end: int  #: tick
    root: int  #: pitch class 0..11; NO_CHORD where it is not known, or where no chord is to be played
    tones: int  #: a bit for every pitch class that belongs to the chord, bit 0 for C; 0: no chord is to be played
    bass: int  #: pitch class of the lowest note; NO_CHORD where that is left open
    certainty: float  #: 0..1

    def list_tones(self) -> list[int]:
        """Return the pitch classes of the chord, rising."""
        return [pc for pc in range(PITCH_CLASSES) if self.tones >> pc & 1]


class ChordEvidence(NamedTuple):
    """Known chords around a now-line, as planes that are multiplied by how sure each chord is."""

    pitched: NDArray[np.float32]  #: (PITCHED_PLANES, 12, EVIDENCE_BEATS), 0..1
    plain: NDArray[np.float32]  #: (PLAIN_PLANES, EVIDENCE_BEATS), 0..1

    def arrange_for_graph(self) -> dict[str, NDArray[np.float32]]:
        """Return the planes as GRAPH_INPUTS."""
        pitched, plain = self.pitched.transpose(0, 2, 1), self.plain
        return {
            "given_pitched": np.ascontiguousarray(pitched).reshape(GRAPH_INPUTS["given_pitched"]),
            "given_plain": plain.reshape(GRAPH_INPUTS["given_plain"]),
        }


def pack_tones(pitch_classes: Iterable[int]) -> int:
    """Return the pitch classes of pitches as the bits of `GivenChord.tones`."""
    tones = 0
    for pitch_class in pitch_classes:
        tones |= 1 << pitch_class % PITCH_CLASSES
    return tones


def draw_evidence(chords: Sequence[GivenChord], now: int) -> ChordEvidence:
    """Return what is known of the chords around a now-line, a step counted from bar 1.

    A beat has the chord that fills most of it; of the beat that the now-line lies in, only what comes after the line
    counts. Of chords that overlap, the later one in `chords` holds.
    """
    pitched = np.zeros((PITCHED_PLANES, PITCH_CLASSES, EVIDENCE_BEATS), np.float32)
    plain = np.zeros((PLAIN_PLANES, EVIDENCE_BEATS), np.float32)
    first = now // STEPS_PER_BEAT - PAST_BEATS
    for beat in range(EVIDENCE_BEATS):
        begin = (first + beat) * STEPS_PER_BEAT
        chord = _find_longest(chords, max(begin, now) if beat == PAST_BEATS else begin, begin + STEPS_PER_BEAT)
        if chord is not None:
            _draw(chord, pitched[:, :, beat], plain[:, beat])
    return ChordEvidence(pitched, plain)


def find_known_chords(chords: Sequence[GivenChord], first: int, count: int) -> list[GivenChord | None]:
    """Return for each of `count` steps from `first` on the chord that is known there for sure; None where none is."""
    found: list[GivenChord | None] = [None] * count
    for chord in chords:
        if chord.certainty < SURE or not chord.tones:
            continue
        begin, end = (-(-tick // TICKS_PER_STEP) - first for tick in (chord.start, chord.end))
        for step in range(max(0, begin), min(count, end)):
            found[step] = chord
    return found


def weigh_bass(
    chords: Sequence[GivenChord], first: int, count: int, bar: int, steps_per_bar: int, steps: int = STEPS_PER_BEAT
) -> NDArray[np.float64]:
    """Return (12, count): 1 where a pitch class is the one that the bass should have, by what is known for sure.

    That is in the first `steps` steps of every bar and of every chord; elsewhere the bass walks as it likes. bar: a
    step at which a bar begins.
    """
    return weigh_known_bass(find_known_chords(chords, first, count), first, bar, steps_per_bar, steps)


def weigh_known_bass(
    known: Sequence[GivenChord | None], first: int, bar: int, steps_per_bar: int, steps: int = STEPS_PER_BEAT
) -> NDArray[np.float64]:
    """Return what `weigh_bass` does, where `find_known_chords` has found the chords already."""
    wanted = np.zeros((PITCH_CLASSES, len(known)))
    for step, chord in enumerate(known):
        if chord is None:
            continue
        lowest = chord.bass if chord.bass != NO_CHORD else chord.root
        since_chord = first + step - chord.start // TICKS_PER_STEP
        is_strong = min(since_chord, (first + step - bar) % steps_per_bar) < steps
        if lowest != NO_CHORD and is_strong:
            wanted[lowest, step] = 1
    return wanted


def weigh_key(key: Key | None, chords: Sequence[GivenChord], first: int, beats: int) -> NDArray[np.float32]:
    """Return what a key that is given adds to the score of each chord: (12 * qualities, beats), 0 and less.

    It stands in the way of chords with tones from outside the key, on each of so many beats from the step `first` on.
    Where a chord is known it has no say; the less certain that is, the more it has.
    """
    foreign = np.zeros(len(QUALITIES) * PITCH_CLASSES) if key is None else np.asarray(count_foreign_tones(key))
    free = np.ones(beats)
    for beat in range(beats) if key is not None else ():
        begin = (first + beat * STEPS_PER_BEAT) * TICKS_PER_STEP
        end = begin + STEPS_PER_BEAT * TICKS_PER_STEP
        surest = max((each.certainty for each in chords if each.start < end and begin < each.end), default=0.0)
        free[beat] = max(0.0, 1 - surest / KNOWN)
    weight: NDArray[np.float32] = (-KEY_WEIGHT * foreign[:, None] * free).astype(np.float32)
    return weight


def _find_longest(chords: Sequence[GivenChord], begin: int, end: int) -> GivenChord | None:
    """Return the chord that holds longest in the steps [begin, end); None where none does."""
    found, longest = None, 0
    for chord in chords:
        shared = min(end * TICKS_PER_STEP, chord.end) - max(begin * TICKS_PER_STEP, chord.start)
        if shared > 0 and shared >= longest:
            found, longest = chord, shared
    return found


def _draw(chord: GivenChord, pitched: NDArray[np.float32], plain: NDArray[np.float32]) -> None:
    plain[CERTAINTY] = chord.certainty
    if not chord.tones:
        plain[SILENCE] = chord.certainty
        return
    pitched[TONES, chord.list_tones()] = chord.certainty
    for plane, pitch_class in ((ROOT, chord.root), (BASS, chord.bass)):
        if pitch_class != NO_CHORD:
            pitched[plane, pitch_class] = chord.certainty
