"""Figures of other papers on live accompaniment, by their own definitions, for what a band plays.

ReaLchords: Wu et al. 2024, 'Adaptive Accompaniment with ReaLchords' (ICML; arXiv 2506.14723), section 5 and appendix K.
GAPT: Wu et al. 2025, 'Generative Adversarial Post-Training Mitigates Reward Hacking in Live Human-AI Music Interaction'
(arXiv 2511.17879), section 4.4. Vendi score: Friedman and Dieng 2023, 'The Vendi Score: A Diversity Evaluation Metric
for Machine Learning' (TMLR).

Their accompaniments are chord symbols, one a sixteenth (a frame). A band plays notes, so its chord on a step is what
sounds there, without drums; its progression is the triad that best fits each beat, as in `music.evaluation.clarity`.

What is counted in a song is an array, and those of songs are added. A figure of all songs together is made of sums,
for as many sets of songs as the first axis has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from music.chords import NO_CHORD
from music.evaluation.clarity import find_beat_triads
from music.evaluation.means import compute_ratio, divide_sums
from music.evaluation.passage import (
    Bools,
    Floats,
    MelodyPassage,
    PlayedNotes,
    count_pitch_classes,
    count_values,
    draw_begun,
    find_any,
)
from music.note import PITCH_CLASSES, PITCHES, REST, STEPS_PER_BEAT, TICKS_PER_STEP, Note

#: ReaLchords, appendix K: bins end at 0, 1, ..., 17 frames and infinity, and at 0, 1, ..., 33 and infinity
INTERVAL_BINS, LENGTH_BINS = 18, 34
#: ReaLchords, section 5.4: from this beat of the passage on (1-based) the melody is so many semitones higher
MOVED_BEAT, MOVED_SEMITONES = 17, 6
#: so many beats are played for it
RECOVERY_BEATS = 48
#: GAPT: sequences have at most so many frames
SEQUENCE_STEPS = 256


#: what rounding leaves of an eigenvalue that is 0
_NO_WEIGHT = 1e-9


class ChordRun(NamedTuple):
    """Beats in a row whose sound fits the same triad best."""

    triad: int  #: as `find_beat_triads` numbers them
    first_step: int  #: of the passage
    steps: int


# --- note in chord ----------------------------------------------------------------------------------------------------


def count_notes_in_chord(where: MelodyPassage, ours: PlayedNotes) -> Floats:
    """Return on how many steps the melody's pitch class sounds in the accompaniment, and of how many: (2,).

    Steps on which the melody or the accompaniment is silent are left out of both.
    """
    inside, counted = _find_notes_in_chord(where, ours)
    return np.array([inside.sum(), counted.sum()], np.float64)


def measure_note_in_chord(where: MelodyPassage, ours: PlayedNotes) -> float:
    """Return the note-in-chord ratio (NiC) of a song, of which ReaLchords reports the mean over songs."""
    return compute_ratio(*count_notes_in_chord(where, ours))


def pool_notes_in_chord(sums: Floats) -> Floats:
    """Return NiC over the steps of all songs, as GAPT reports it; sums: of `count_notes_in_chord`, (sets, 2)."""
    return divide_sums(sums[:, 0], sums[:, 1])


def _find_notes_in_chord(where: MelodyPassage, ours: PlayedNotes) -> tuple[Bools, Bools]:
    classes = count_pitch_classes(draw_begun(where, ours)) > 0
    counted = (where.line != REST) & find_any(classes)
    inside = counted & classes[np.arange(where.steps), where.line % PITCH_CLASSES]
    return inside, counted


# --- recovery ---------------------------------------------------------------------------------------------------------


def move_melody(melody: Iterable[Note], where: MelodyPassage) -> list[Note]:
    """Return the melody of the perturbation test of ReaLchords: six semitones higher from beat 17 of the passage on.

    Notes that begin before beat 17 stay; those that would leave the range of MIDI go an octave lower; what begins after
    RECOVERY_BEATS is left out, and notes end there.
    """
    first = where.first_step * TICKS_PER_STEP
    beat = STEPS_PER_BEAT * TICKS_PER_STEP
    begin, end = first + (MOVED_BEAT - 1) * beat, first + RECOVERY_BEATS * beat
    moved = []
    for note in melody:
        if note.start >= end:
            continue
        up = 0 if note.start < begin else MOVED_SEMITONES
        up -= 12 if note.pitch + up >= PITCHES else 0
        moved.append(replace(note, pitch=note.pitch + up, length=min(note.end, end) - note.start))
    return moved


def count_beats_in_chord(where: MelodyPassage, ours: PlayedNotes) -> Floats:
    """Return NiC of each of the first beats of a passage, and 1: (RECOVERY_BEATS, 2); zeros where no step counts."""
    inside, counted = _find_notes_in_chord(where, ours)
    found = np.zeros((RECOVERY_BEATS, 2))
    for beat in range(RECOVERY_BEATS):
        steps = slice(beat * STEPS_PER_BEAT, (beat + 1) * STEPS_PER_BEAT)
        if counted[steps].any():
            found[beat] = inside[steps].sum() / counted[steps].sum(), 1
    return found


def average_beats(sums: Floats) -> Floats:
    """Return the mean NiC of each beat over the songs that have it: (sets, RECOVERY_BEATS, 2) -> (sets, beats)."""
    return divide_sums(sums[..., 0], sums[..., 1])


def measure_recovery(sums: Floats, first_beat: int, last_beat: int) -> Floats:
    """Return the mean of `average_beats` from one beat to another (1-based, both included)."""
    beats = average_beats(sums)[:, first_beat - 1 : last_beat]
    there = ~np.isnan(beats)
    return divide_sums(np.where(there, beats, 0).sum(axis=1), there.sum(axis=1).astype(np.float64))


# --- synchronisation and rhythm of chords -----------------------------------------------------------------------------


def find_chord_runs(where: MelodyPassage, ours: PlayedNotes) -> list[ChordRun]:
    """Return the progression: runs of beats that fit the same triad best; a beat that rests ends one."""
    runs: list[ChordRun] = []
    beats, triads = where.list_beats(), find_beat_triads(where, ours)
    for index, (begin, end) in enumerate(beats):
        triad = int(triads[index])
        if triad == NO_CHORD:
            continue
        if index and triads[index - 1] == triad:
            runs[-1] = runs[-1]._replace(steps=end - runs[-1].first_step)
        else:
            runs.append(ChordRun(triad, begin, end - begin))
    return runs


def count_onset_intervals(where: MelodyPassage, ours: PlayedNotes) -> Floats:
    """Return how often a chord begins so many steps after the nearest melody note that begins before or with it.

    Chords that begin before any melody note are left out. The last bin holds all intervals from 17 steps on.
    """
    melody = np.flatnonzero(find_any(where.begins))
    chords = np.array([run.first_step for run in find_chord_runs(where, ours)], np.int64)
    before = np.searchsorted(melody, chords, side="right") - 1
    intervals = (chords - melody[np.maximum(before, 0)])[before >= 0]
    return count_values(np.minimum(intervals, INTERVAL_BINS - 1), INTERVAL_BINS)


def measure_sync_distance(sums: Floats) -> Floats:
    """Return the earth mover's distance, in steps, between onset intervals and those of the human part.

    sums: of its own `count_onset_intervals` and of those of the human part, (sets, 2, INTERVAL_BINS).
    """
    shares = divide_sums(sums, np.broadcast_to(sums.sum(axis=2, keepdims=True), sums.shape))
    return np.asarray(np.abs(np.cumsum(shares[:, 0] - shares[:, 1], axis=1)).sum(axis=1), np.float64)


def count_chord_lengths(where: MelodyPassage, ours: PlayedNotes) -> Floats:
    """Return how often a chord lasts so many steps; the last bin holds all from 33 on: (LENGTH_BINS,)."""
    lengths = np.array([run.steps for run in find_chord_runs(where, ours)], np.int64)
    return count_values(np.minimum(lengths, LENGTH_BINS - 1), LENGTH_BINS)


def measure_length_entropy(sums: Floats) -> Floats:
    """Return the entropy, in nats, of the lengths of all chords; sums: of `count_chord_lengths`, (sets, bins)."""
    return _measure_entropy(sums)


# --- diversity --------------------------------------------------------------------------------------------------------


def embed_progressions(where: MelodyPassage, ours: PlayedNotes) -> Floats:
    """Return a vector for each sequence of 256 steps: how often which change of chord occurs, in unit length.

    A change is the semitones from root to root and the modes (major, minor) before and after: (sequences, 49). The last
    place is set where a sequence holds one chord throughout. Sequences without a chord, and a last one shorter than
    half of 256 steps beside others, are left out. GAPT takes vectors of a network that it trained for its chord
    symbols; these stand in for them, and no transposition changes them.
    """
    starts = range(0, where.steps, SEQUENCE_STEPS)
    if len(starts) > 1 and where.steps - starts[-1] < SEQUENCE_STEPS // 2:
        starts = starts[:-1]
    runs = find_chord_runs(where, ours)
    vectors = []
    for start in starts:
        chords = [run.triad for run in runs if start <= run.first_step < start + SEQUENCE_STEPS]
        counts = np.zeros(4 * PITCH_CLASSES + 1)
        for before, after in pairwise(chords):
            modes = before // PITCH_CLASSES * 2 + after // PITCH_CLASSES
            counts[modes * PITCH_CLASSES + (after - before) % PITCH_CLASSES] += 1
        counts[-1] = len(chords) == 1
        if chords:
            vectors.append(counts / np.linalg.norm(counts))
    return np.array(vectors, np.float64).reshape(-1, 4 * PITCH_CLASSES + 1)


def count_progressions(where: MelodyPassage, ours: PlayedNotes) -> Floats:
    """Return the sum of the outer products of the vectors of `embed_progressions`: (49, 49); its trace counts them."""
    vectors = embed_progressions(where, ours)
    return vectors.T @ vectors


def measure_vendi_score(sums: Floats) -> Floats:
    """Return the effective number of different progressions: 1 where all are alike, at most the number of sequences.

    It is exp of the entropy of the eigenvalues of the matrix of cosines, divided by the number of sequences; the sum of
    the outer products has the same ones. sums: of `count_progressions`, (sets, 49, 49).
    """
    return np.exp(_measure_entropy(np.asarray(np.linalg.eigvalsh(sums), np.float64)))


def _measure_entropy(weights: Floats) -> Floats:
    """Return the entropy of weights that are made shares: (sets, n) -> (sets,); NaN where all are 0."""
    weights = np.where(weights > _NO_WEIGHT, weights, 0)
    shares = divide_sums(weights, np.broadcast_to(weights.sum(axis=1, keepdims=True), weights.shape))
    return np.asarray(-(shares * np.log(np.where(shares == 0, 1, shares))).sum(axis=1), np.float64)
