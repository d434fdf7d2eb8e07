"""Figures of how an accompaniment's pitches lie against the melody, the annotated chords and the human part."""

from __future__ import annotations

import numpy as np

from music.chords import ChordTrack
from music.evaluation.means import compute_mean, compute_ratio, compute_share
from music.evaluation.passage import (
    Bools,
    MelodyPassage,
    PlayedNotes,
    count_pitch_classes,
    find_any,
    split_bars,
)
from music.note import PITCH_CLASSES, PITCHES, REST, STEPS_PER_BEAT, TICKS_PER_STEP

#: intervals from the lower note to the upper, modulo an octave
CONSONANT_SEMITONES = (0, 3, 4, 7, 8, 9)
SHARP_SEMITONES = (1, 11)


def measure_consonance(where: MelodyPassage, ours: PlayedNotes) -> dict[str, float]:
    """Return consonant, ur, clash and tone_in_beat.

    An interval is counted from the lower note to the upper, mod 12: the bass a fifth below is consonant, the bass a
    fourth below is not.
    """
    heard = where.line != REST
    line, sounding = where.line[heard], ours.sounding[heard]
    interval = np.abs(line[:, None] - np.arange(PITCHES)) % PITCH_CLASSES
    consonant = find_any(sounding & np.isin(interval, CONSONANT_SEMITONES))
    sharp = find_any(sounding & np.isin(interval, SHARP_SEMITONES))
    together = find_any(sounding)
    classes = _join_beats(where, count_pitch_classes(ours.sounding) > 0)[heard]
    return {
        "consonant": compute_share(consonant),
        "ur": compute_share(~together),
        "clash": compute_share((sharp & ~consonant)[together]),
        "tone_in_beat": compute_share(classes[np.arange(line.size), line % PITCH_CLASSES]),
    }


def measure_chord_hit(where: MelodyPassage, ours: PlayedNotes, chords: ChordTrack) -> float:
    """Return the share of the note-steps under the melody inside the chord; steps without a chord are left out."""
    inside = np.zeros((where.steps, PITCH_CLASSES), np.bool_)
    for step in range(where.steps):
        chord = chords.find((where.first_step + step) * TICKS_PER_STEP)
        if chord is not None:
            inside[step, list(chord.pitch_classes)] = True
    counted = (where.line != REST) & find_any(inside)
    classes = count_pitch_classes(ours.sounding)[counted]
    return compute_ratio(classes[inside[counted]].sum(), classes.sum())


def measure_chroma(where: MelodyPassage, ours: PlayedNotes, theirs: PlayedNotes) -> float:
    """Return the cosine between the bars' pitch classes, a mean over bars where theirs sounds; 0 where ours rests."""
    mine = split_bars(where, count_pitch_classes(ours.sounding)).sum(axis=1)
    other = split_bars(where, count_pitch_classes(theirs.sounding)).sum(axis=1)
    counted = find_any(other > 0)
    mine, other = mine[counted], other[counted]
    size = np.linalg.norm(mine, axis=1) * np.linalg.norm(other, axis=1)
    return compute_mean((mine * other).sum(axis=1) / np.where(size > 0, size, 1))


def _join_beats(where: MelodyPassage, classes: Bools) -> Bools:
    """Join each step's pitch classes with those of the rest of its beat (a bar begins a beat in every metre)."""
    step = np.arange(where.steps)
    beats_of_bar = -(-where.steps_per_bar // STEPS_PER_BEAT)
    beat = step // where.steps_per_bar * beats_of_bar + step % where.steps_per_bar // STEPS_PER_BEAT
    joined = np.zeros((where.bars * beats_of_bar, PITCH_CLASSES), np.bool_)
    np.logical_or.at(joined, beat, classes)
    return np.asarray(joined[beat], np.bool_)
