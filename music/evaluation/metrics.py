"""What an accompaniment is worth: figures of one accompaniment under one melody, and their means over songs.

Everything is looked at on sixteenth steps, from the bar of the melody's first note to the bar of its last. Pitch
figures are taken over the steps at which the melody sounds. Drums take no part, but for their own two figures. A figure
that has nothing to look at (a clash where nothing sounds together) is NaN and stays out of the means.

Sources: CR, UR and NiC as used for real-time accompaniment in the SongDriver and StreamMUSE papers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music.chords import ChordTrack
from music.encoding import piano_roll
from music.note import PITCHES, REST, STEPS_PER_BEAT, TICKS_PER_STEP, Metre, Note, quantise

Parts = Mapping[str, Iterable[Note]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CONSONANT_SEMITONES = (0, 3, 4, 7, 8, 9)
SHARP_SEMITONES = (1, 11)
LONGEST_STEPS = 16
MAX_POLYPHONY = 8


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure: its key in dictionaries and JSON, its heading in tables, what it says in a sentence."""

    key: str
    title: str
    what: str


METRICS = (
    Metric("cr", "CR", "share of melody steps with an accompaniment note a unison, third, fifth or sixth away"),
    Metric("ur", "UR", "share of melody steps at which no accompaniment sounds"),
    Metric("clash", "clash", "share of common steps with a semitone or major seventh and nothing consonant"),
    Metric("nic", "NiC", "share of melody steps whose pitch class the accompaniment plays within the beat"),
    Metric("chord_hit", "chord hit", "share of accompaniment note-steps inside the annotated chord"),
    Metric("chroma", "chroma", "cosine of the bar's pitch classes with those of the human accompaniment"),
    Metric("onsets", "onsets", "onsets a bar"),
    Metric("on_beat", "on beat", "share of onsets on the beat"),
    Metric("crumbs", "1-step", "share of notes one step long"),
    Metric("empty", "empty", "share of bars in which nothing sounds"),
    Metric("repeated", "repeat", "share of bars with the same onsets and pitches as the one before"),
    Metric("distinct", "distinct", "number of different bars (by onsets and pitches) over number of bars"),
    Metric("groove", "groove", "correlation of onset positions between neighbouring bars"),
    Metric("position_overlap", "ov pos", "overlap of the onset position histogram with the human one"),
    Metric("duration_overlap", "ov dur", "overlap of the duration histogram with the human one"),
    Metric("polyphony_overlap", "ov poly", "overlap of the polyphony histogram with the human one"),
    Metric("pitch_class_overlap", "ov pc", "overlap of the pitch class histogram with the human one"),
    Metric("drum_onsets", "drums", "drum onsets a bar"),
    Metric("drum_overlap", "ov drums", "overlap of the drums' onset position histogram with the human one"),
)


@dataclass(frozen=True, slots=True)
class MelodyPassage:
    """What is looked at: the steps [first_step, first_step + steps), whole bars, and the melody in them.

    line: int (steps,), the melody's top pitch on each step, REST where it is silent.
    """

    first_step: int
    steps_per_bar: int
    line: Ints

    @property
    def steps(self) -> int:
        """How many steps the passage is long, a whole number of bars."""
        return int(self.line.size)

    @property
    def bars(self) -> int:
        """How many bars the passage is long."""
        return self.steps // self.steps_per_bar


def find_passage(melody: Iterable[Note], metre: Metre | None = None) -> MelodyPassage:
    """From the bar of the melody's first note to the bar where its last ends. Raises ValueError without notes."""
    notes = quantise(melody)
    if not notes:
        raise ValueError("a passage needs a melody with notes in it")
    per_bar = (metre or Metre()).steps_per_bar
    first = notes[0].start // TICKS_PER_STEP // per_bar * per_bar
    last = max(n.end for n in notes) // TICKS_PER_STEP
    steps = -(-(last - first) // per_bar) * per_bar
    sustain = piano_roll.from_notes(notes, first, steps).sustain
    top = PITCHES - 1 - sustain[:, ::-1].argmax(axis=1)
    return MelodyPassage(first, per_bar, np.where(sustain.any(axis=1), top, REST))


@dataclass(frozen=True, slots=True)
class PlayedNotes:
    """What pitched parts do in a passage.

    sounding: bool (steps, 128); onset, pitch, length: int (notes,), every note that begins in the passage, onset in
    steps from its start, length in steps. Two parts that play one pitch are two notes and one sounding pitch.
    """

    sounding: Bools
    onset: Ints
    pitch: Ints
    length: Ints


def collect_notes(parts: Parts, where: MelodyPassage) -> PlayedNotes:
    """The parts' notes (drums left out) as the figures look at them."""
    sounding = np.zeros((where.steps, PITCHES), np.bool_)
    begun: list[tuple[int, int, int]] = []
    for role, notes in parts.items():
        if role == "drums":
            continue
        part = quantise(notes)
        sounding |= piano_roll.from_notes(part, where.first_step, where.steps).sustain
        begun += [(n.start // TICKS_PER_STEP - where.first_step, n.pitch, n.length // TICKS_PER_STEP) for n in part]
    table = np.array(sorted(begun), np.int64).reshape(-1, 3)
    table = table[(table[:, 0] >= 0) & (table[:, 0] < where.steps)]
    return PlayedNotes(sounding, table[:, 0], table[:, 1], table[:, 2])


def measure_all(
    where: MelodyPassage, parts: Parts, human: Parts | None = None, chords: ChordTrack | None = None
) -> dict[str, float]:
    """Every figure of FIGURES, by key. Those that need the human parts or the annotated chords are NaN without them."""
    found = dict.fromkeys((figure.key for figure in METRICS), np.nan)
    ours = collect_notes(parts, where)
    found |= measure_consonance(where, ours) | measure_groove(where, ours) | measure_drums(where, parts, human)
    if chords is not None:
        found["chord_hit"] = measure_chord_hit(where, ours, chords)
    if human is not None:
        theirs = collect_notes(human, where)
        found["chroma"] = measure_chroma(where, ours, theirs)
        found |= measure_overlaps(where, ours, theirs)
    return found


def measure_consonance(where: MelodyPassage, ours: PlayedNotes) -> dict[str, float]:
    """cr, ur, clash, nic. An interval is counted from the lower note to the upper, mod 12: the bass a fifth below is
    consonant, the bass a fourth below is not."""
    heard = where.line != REST
    line, sounding = where.line[heard], ours.sounding[heard]
    interval = np.abs(line[:, None] - np.arange(PITCHES)) % 12
    consonant = _find_any(sounding & np.isin(interval, CONSONANT_SEMITONES))
    sharp = _find_any(sounding & np.isin(interval, SHARP_SEMITONES))
    together = _find_any(sounding)
    classes = _join_beats(where, count_pitch_classes(ours.sounding) > 0)[heard]
    return {
        "cr": _compute_share(consonant),
        "ur": _compute_share(~together),
        "clash": _compute_share((sharp & ~consonant)[together]),
        "nic": _compute_share(classes[np.arange(line.size), line % 12]),
    }


def measure_chord_hit(where: MelodyPassage, ours: PlayedNotes, chords: ChordTrack) -> float:
    """Share of the note-steps under the melody inside the annotated chord; steps without a chord are left out."""
    inside = np.zeros((where.steps, 12), np.bool_)
    for step in range(where.steps):
        chord = chords.at((where.first_step + step) * TICKS_PER_STEP)
        if chord is not None:
            inside[step, list(chord[1])] = True
    counted = (where.line != REST) & _find_any(inside)
    classes = count_pitch_classes(ours.sounding)[counted]
    return _compute_ratio(classes[inside[counted]].sum(), classes.sum())


def measure_chroma(where: MelodyPassage, ours: PlayedNotes, theirs: PlayedNotes) -> float:
    """Cosine between the bars' pitch classes, mean over the bars in which the human part sounds; 0 where we rest."""
    mine = split_bars(where, count_pitch_classes(ours.sounding)).sum(axis=1)
    other = split_bars(where, count_pitch_classes(theirs.sounding)).sum(axis=1)
    counted = _find_any(other > 0)
    mine, other = mine[counted], other[counted]
    size = np.linalg.norm(mine, axis=1) * np.linalg.norm(other, axis=1)
    return _compute_mean((mine * other).sum(axis=1) / np.where(size > 0, size, 1))


def measure_groove(where: MelodyPassage, ours: PlayedNotes) -> dict[str, float]:
    """onsets, on_beat, crumbs, empty, repeated, distinct, groove.

    Two bars are equal when they have the same onsets at the same pitches; bars without an onset are not compared.
    """
    counts = count_positions(where, ours.onset)
    filled = _find_any(counts > 0)
    heads = np.zeros((where.steps, PITCHES), np.bool_)
    heads[ours.onset, ours.pitch] = True
    bars = split_bars(where, heads).reshape(where.bars, -1)
    alike = ~_find_any(bars[1:] != bars[:-1])[filled[1:]]
    return {
        "onsets": _compute_mean(counts.sum(axis=1)),
        "on_beat": _compute_share(ours.onset % where.steps_per_bar % STEPS_PER_BEAT == 0),
        "crumbs": _compute_share(ours.length == 1),
        "empty": _compute_share(~_find_any(split_bars(where, _find_any(ours.sounding)))),
        "repeated": _compute_share(alike),
        "distinct": _compute_ratio(len({bar.tobytes() for bar in bars[filled]}), int(filled.sum())),
        "groove": _compute_mean(_correlate_bars(counts)),
    }


def measure_overlaps(where: MelodyPassage, ours: PlayedNotes, theirs: PlayedNotes) -> dict[str, float]:
    """position_overlap, duration_overlap, polyphony_overlap, pitch_class_overlap: 1 alike, 0 nothing in common."""
    return {
        f"{name}_overlap": _measure_overlap(mine, other)
        for (name, mine), other in zip(
            count_histograms(where, ours).items(), count_histograms(where, theirs).values(), strict=True
        )
    }


def count_histograms(where: MelodyPassage, ours: PlayedNotes) -> dict[str, Floats]:
    """Counts: position of onsets in the bar, duration in steps (1..LONGEST, longer ones in the last), polyphony of
    sounding steps (1..DENSEST, likewise), pitch class of note-steps."""
    together = ours.sounding.sum(axis=1)
    together = together[together > 0]
    return {
        "position": _count_values(ours.onset % where.steps_per_bar, where.steps_per_bar),
        "duration": _count_values(np.minimum(ours.length, LONGEST_STEPS) - 1, LONGEST_STEPS),
        "polyphony": _count_values(np.minimum(together, MAX_POLYPHONY) - 1, MAX_POLYPHONY),
        "pitch_class": count_pitch_classes(ours.sounding).sum(axis=0),
    }


def measure_drums(where: MelodyPassage, parts: Parts, human: Parts | None) -> dict[str, float]:
    """drum_onsets, and drum_overlap where both drum."""
    ours = _find_drum_onsets(where, parts)
    found = {"drum_onsets": ours.size / where.bars}
    if human is not None:
        theirs = _find_drum_onsets(where, human)
        if theirs.size:
            per_bar = where.steps_per_bar
            found["drum_overlap"] = _measure_overlap(
                _count_values(ours % per_bar, per_bar), _count_values(theirs % per_bar, per_bar)
            )
    return found


def count_pitch_classes(sounding: Bools) -> Floats:
    """How many sounding pitches of each class on each step: (steps, 128) -> (steps, 12)."""
    octaves = np.zeros((sounding.shape[0], 11 * 12))
    octaves[:, :PITCHES] = sounding
    return np.asarray(octaves.reshape(-1, 11, 12).sum(axis=1), np.float64)


def split_bars(where: MelodyPassage, steps: NDArray[Any]) -> NDArray[Any]:
    """(steps, ...) -> (bars, steps of a bar, ...)."""
    return steps.reshape(where.bars, where.steps_per_bar, *steps.shape[1:])


def count_positions(where: MelodyPassage, onset: Ints) -> Floats:
    """How many onsets at each position of each bar: (notes,) -> (bars, steps of a bar)."""
    return split_bars(where, _count_values(onset, where.steps))


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over songs with its 95% confidence interval (bootstrap) and the number of songs that had the figure."""

    value: float
    low: float
    high: float
    songs: int


def estimate_mean(values: Sequence[float], seed: int = 0, resamples: int = 1000) -> Mean:
    """Mean and interval of the values that are not NaN; NaN throughout where none is. Songs are resampled, seeded."""
    there = np.array([v for v in values if not np.isnan(v)], np.float64)
    if not there.size:
        return Mean(np.nan, np.nan, np.nan, 0)
    drawn = np.random.default_rng(seed).integers(0, there.size, (resamples, there.size))
    low, high = np.percentile(there[drawn].mean(axis=1), (2.5, 97.5))
    return Mean(float(there.mean()), float(low), float(high), int(there.size))


def _join_beats(where: MelodyPassage, classes: Bools) -> Bools:
    """Each step's pitch classes joined with those of the rest of its beat (a bar begins a beat in every metre)."""
    step = np.arange(where.steps)
    beats_of_bar = -(-where.steps_per_bar // STEPS_PER_BEAT)
    beat = step // where.steps_per_bar * beats_of_bar + step % where.steps_per_bar // STEPS_PER_BEAT
    joined = np.zeros((where.bars * beats_of_bar, 12), np.bool_)
    np.logical_or.at(joined, beat, classes)
    return np.asarray(joined[beat], np.bool_)


def _correlate_bars(counts: Floats) -> Floats:
    """Pearson's, between each bar and the next; a bar whose positions are all alike has none and is left out."""
    centred = counts - counts.mean(axis=1, keepdims=True)
    size = np.linalg.norm(centred, axis=1)
    defined = (size[1:] > 0) & (size[:-1] > 0)
    product = (centred[1:] * centred[:-1]).sum(axis=1)[defined]
    return np.asarray(product / (size[1:] * size[:-1])[defined], np.float64)


def _find_drum_onsets(where: MelodyPassage, parts: Parts) -> Ints:
    onset = np.array([n.start // TICKS_PER_STEP for n in quantise(parts.get("drums", ()))], np.int64) - where.first_step
    return onset[(onset >= 0) & (onset < where.steps)]


def _count_values(values: Ints, bins: int) -> Floats:
    return np.bincount(values, minlength=bins).astype(np.float64)


def _measure_overlap(mine: Floats, other: Floats) -> float:
    if not mine.any() or not other.any():
        return float("nan") if not other.any() else 0.0
    return float(np.minimum(mine / mine.sum(), other / other.sum()).sum())


def _find_any(rows: Bools) -> Bools:
    return np.asarray(rows.any(axis=1), np.bool_)


def _compute_share(flags: Bools) -> float:
    return _compute_mean(flags.astype(np.float64))


def _compute_mean(values: Floats) -> float:
    return float(np.mean(values)) if values.size else float("nan")


def _compute_ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
