"""Figures of one accompaniment under one melody. One figure is one line of `METRICS`.

Everything is looked at on sixteenth steps, from the bar of the melody's first note to the bar of its last. Pitch
figures are taken over the steps at which the melody sounds. Drums take no part, but for their own two figures. A figure
that has nothing to look at (a clash where nothing sounds together) is NaN and stays out of the means.

Sources: CR, UR and NiC as used for real-time accompaniment in the SongDriver and StreamMUSE papers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from music.chords import ChordTrack
from music.evaluation.clarity import measure_half_bars, measure_root_on_1
from music.evaluation.passage import (
    Bools,
    Floats,
    MelodyPassage,
    Parts,
    PlayedNotes,
    collect_notes,
    count_pitch_classes,
    count_values,
    find_drum_onsets,
    split_bars,
)
from music.note import PITCH_CLASSES, PITCHES, REST, STEPS_PER_BEAT, TICKS_PER_STEP

#: intervals from the lower note to the upper, modulo an octave
CONSONANT_SEMITONES = (0, 3, 4, 7, 8, 9)
SHARP_SEMITONES = (1, 11)
#: histograms end there: what is longer, or denser, counts in the last bin
LONGEST_STEPS = 16
MAX_POLYPHONY = 8

_NAN = float("nan")


@dataclass(frozen=True)
class Comparison:
    """An accompaniment in a passage, and what it is held against; each group of figures is worked out once."""

    where: MelodyPassage
    parts: Parts
    human_parts: Parts | None = None
    chords: ChordTrack | None = None

    @cached_property
    def notes(self) -> PlayedNotes:
        """The accompaniment's pitched notes."""
        return collect_notes(self.parts, self.where)

    @cached_property
    def human_notes(self) -> PlayedNotes | None:
        """The human accompaniment's pitched notes; None where there is no human one."""
        return None if self.human_parts is None else collect_notes(self.human_parts, self.where)

    @cached_property
    def consonance(self) -> dict[str, float]:
        """See `measure_consonance`."""
        return measure_consonance(self.where, self.notes)

    @cached_property
    def groove(self) -> dict[str, float]:
        """See `measure_groove`."""
        return measure_groove(self.where, self.notes)

    @cached_property
    def drums(self) -> dict[str, float]:
        """See `measure_drums`."""
        return measure_drums(self.where, self.parts, self.human_parts)

    @cached_property
    def chord_hit(self) -> float:
        """See `measure_chord_hit`; NaN without chords."""
        return _NAN if self.chords is None else measure_chord_hit(self.where, self.notes, self.chords)

    @cached_property
    def half_bars(self) -> dict[str, float]:
        """See `measure_half_bars`; NaN without chords."""
        if self.chords is None:
            return {"half_bar_root": _NAN, "half_bar_triad": _NAN}
        return measure_half_bars(self.where, self.notes, self.chords)

    @cached_property
    def chroma(self) -> float:
        """See `measure_chroma`; NaN without a human accompaniment."""
        return _NAN if self.human_notes is None else measure_chroma(self.where, self.notes, self.human_notes)

    def measure_overlap(self, name: str) -> float:
        """Return how much one of `count_histograms` has in common with the human one, 0..1; NaN without."""
        return _NAN if self.human_notes is None else self._overlaps[name]

    @cached_property
    def _overlaps(self) -> dict[str, float]:
        assert self.human_notes is not None
        return measure_overlaps(self.where, self.notes, self.human_notes)


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of an accompaniment."""

    key: str  #: in dictionaries and JSON
    title: str  #: heading in tables
    what: str  #: one sentence of help
    measure: Callable[[Comparison], float]
    digits: int = 3  #: behind the point in tables; a share has three
    tells_style: bool = False  #: how parts move, by which a style is told
    docs_row: str = ""  #: name of its row in the table of docs/figures.md; none without


METRICS = (
    Metric(
        "cr",
        "CR",
        "share of melody steps with an accompaniment note a unison, third, fifth or sixth away",
        lambda c: c.consonance["cr"],
        docs_row="consonant rate (CR)",
    ),
    Metric(
        "ur",
        "UR",
        "share of melody steps at which no accompaniment sounds",
        lambda c: c.consonance["ur"],
        docs_row="nothing sounds (UR)",
    ),
    Metric(
        "clash",
        "clash",
        "share of common steps with a semitone or major seventh and nothing consonant",
        lambda c: c.consonance["clash"],
        docs_row="clash",
    ),
    Metric(
        "nic",
        "NiC",
        "share of melody steps whose pitch class the accompaniment plays within the beat",
        lambda c: c.consonance["nic"],
    ),
    Metric(
        "chord_hit",
        "chord hit",
        "share of accompaniment note-steps inside the annotated chord",
        lambda c: c.chord_hit,
        docs_row="chord hit",
    ),
    Metric(
        "half_bar_root",
        "half-bar root",
        "share of half bars whose sounding tones best fit a triad on the annotated root",
        lambda c: c.half_bars["half_bar_root"],
    ),
    Metric(
        "half_bar_triad",
        "half-bar triad",
        "the same with the annotated third, too",
        lambda c: c.half_bars["half_bar_triad"],
    ),
    Metric(
        "root_on_1",
        "root on 1",
        "share of clear first beats of bars (one chord holds 0.9 of their tones) with its root as the lowest note",
        lambda c: measure_root_on_1(c.where, c.notes),
    ),
    Metric(
        "chroma",
        "chroma",
        "cosine of the bar's pitch classes with those of the human accompaniment",
        lambda c: c.chroma,
        docs_row="chroma cosine",
    ),
    Metric(
        "onsets",
        "onsets",
        "onsets a bar",
        lambda c: c.groove["onsets"],
        digits=1,
        tells_style=True,
        docs_row="onsets a bar",
    ),
    Metric(
        "on_beat",
        "on beat",
        "share of onsets on the beat",
        lambda c: c.groove["on_beat"],
        tells_style=True,
        docs_row="on the beat",
    ),
    Metric(
        "crumbs",
        "1-step",
        "share of notes one step long",
        lambda c: c.groove["crumbs"],
        tells_style=True,
        docs_row="one-step notes",
    ),
    Metric("empty", "empty", "share of bars in which nothing sounds", lambda c: c.groove["empty"], tells_style=True),
    Metric(
        "repeated",
        "repeat",
        "share of bars with the same onsets and pitches as the one before",
        lambda c: c.groove["repeated"],
        tells_style=True,
    ),
    Metric(
        "distinct",
        "distinct",
        "number of different bars (by onsets and pitches) over number of bars",
        lambda c: c.groove["distinct"],
        tells_style=True,
        docs_row="distinct bars",
    ),
    Metric(
        "groove",
        "groove",
        "correlation of onset positions between neighbouring bars",
        lambda c: c.groove["groove"],
        tells_style=True,
        docs_row="groove",
    ),
    Metric(
        "position_overlap",
        "ov pos",
        "overlap of the onset position histogram with the human one",
        lambda c: c.measure_overlap("position"),
    ),
    Metric(
        "duration_overlap",
        "ov dur",
        "overlap of the duration histogram with the human one",
        lambda c: c.measure_overlap("duration"),
    ),
    Metric(
        "polyphony_overlap",
        "ov poly",
        "overlap of the polyphony histogram with the human one",
        lambda c: c.measure_overlap("polyphony"),
    ),
    Metric(
        "pitch_class_overlap",
        "ov pc",
        "overlap of the pitch class histogram with the human one",
        lambda c: c.measure_overlap("pitch_class"),
    ),
    Metric("drum_onsets", "drums", "drum onsets a bar", lambda c: c.drums["drum_onsets"], digits=1, tells_style=True),
    Metric(
        "drum_overlap",
        "ov drums",
        "overlap of the drums' onset position histogram with the human one",
        lambda c: c.drums["drum_overlap"],
    ),
)


def measure_all(
    where: MelodyPassage, parts: Parts, human: Parts | None = None, chords: ChordTrack | None = None
) -> dict[str, float]:
    """Return every figure of METRICS by its key.

    Those that need the human accompaniment or the annotated chords are NaN without them.
    """
    comparison = Comparison(where, parts, human, chords)
    return {metric.key: metric.measure(comparison) for metric in METRICS}


# --- pitches --------------------------------------------------------------------------------------------------------


def measure_consonance(where: MelodyPassage, ours: PlayedNotes) -> dict[str, float]:
    """Return cr, ur, clash and nic.

    An interval is counted from the lower note to the upper, mod 12: the bass a fifth below is consonant, the bass a
    fourth below is not.
    """
    heard = where.line != REST
    line, sounding = where.line[heard], ours.sounding[heard]
    interval = np.abs(line[:, None] - np.arange(PITCHES)) % PITCH_CLASSES
    consonant = _find_any(sounding & np.isin(interval, CONSONANT_SEMITONES))
    sharp = _find_any(sounding & np.isin(interval, SHARP_SEMITONES))
    together = _find_any(sounding)
    classes = _join_beats(where, count_pitch_classes(ours.sounding) > 0)[heard]
    return {
        "cr": _compute_share(consonant),
        "ur": _compute_share(~together),
        "clash": _compute_share((sharp & ~consonant)[together]),
        "nic": _compute_share(classes[np.arange(line.size), line % PITCH_CLASSES]),
    }


def measure_chord_hit(where: MelodyPassage, ours: PlayedNotes, chords: ChordTrack) -> float:
    """Return the share of the note-steps under the melody inside the chord; steps without a chord are left out."""
    inside = np.zeros((where.steps, PITCH_CLASSES), np.bool_)
    for step in range(where.steps):
        chord = chords.find((where.first_step + step) * TICKS_PER_STEP)
        if chord is not None:
            inside[step, list(chord.pitch_classes)] = True
    counted = (where.line != REST) & _find_any(inside)
    classes = count_pitch_classes(ours.sounding)[counted]
    return _compute_ratio(classes[inside[counted]].sum(), classes.sum())


def measure_chroma(where: MelodyPassage, ours: PlayedNotes, theirs: PlayedNotes) -> float:
    """Return the cosine between the bars' pitch classes, a mean over bars where theirs sounds; 0 where ours rests."""
    mine = split_bars(where, count_pitch_classes(ours.sounding)).sum(axis=1)
    other = split_bars(where, count_pitch_classes(theirs.sounding)).sum(axis=1)
    counted = _find_any(other > 0)
    mine, other = mine[counted], other[counted]
    size = np.linalg.norm(mine, axis=1) * np.linalg.norm(other, axis=1)
    return _compute_mean((mine * other).sum(axis=1) / np.where(size > 0, size, 1))


def _join_beats(where: MelodyPassage, classes: Bools) -> Bools:
    """Join each step's pitch classes with those of the rest of its beat (a bar begins a beat in every metre)."""
    step = np.arange(where.steps)
    beats_of_bar = -(-where.steps_per_bar // STEPS_PER_BEAT)
    beat = step // where.steps_per_bar * beats_of_bar + step % where.steps_per_bar // STEPS_PER_BEAT
    joined = np.zeros((where.bars * beats_of_bar, PITCH_CLASSES), np.bool_)
    np.logical_or.at(joined, beat, classes)
    return np.asarray(joined[beat], np.bool_)


# --- rhythm ---------------------------------------------------------------------------------------------------------


def measure_groove(where: MelodyPassage, ours: PlayedNotes) -> dict[str, float]:
    """Return onsets, on_beat, crumbs, empty, repeated, distinct and groove.

    Two bars are equal when they have the same onsets at the same pitches; bars without an onset are not compared.
    """
    counts = split_bars(where, count_values(ours.onset, where.steps))
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


def measure_drums(where: MelodyPassage, parts: Parts, human: Parts | None) -> dict[str, float]:
    """Return drum_onsets, and drum_overlap: NaN unless the human accompaniment drums."""
    ours = find_drum_onsets(parts, where)
    theirs = find_drum_onsets({} if human is None else human, where)
    overlap = _NAN
    if theirs.size:
        mine, other = (count_values(onsets % where.steps_per_bar, where.steps_per_bar) for onsets in (ours, theirs))
        overlap = _measure_overlap(mine, other)
    return {"drum_onsets": ours.size / where.bars, "drum_overlap": overlap}


def _correlate_bars(counts: Floats) -> Floats:
    """Return Pearson's correlation between each bar and the next.

    A bar whose positions are all alike has none and is left out.
    """
    centred = counts - counts.mean(axis=1, keepdims=True)
    size = np.linalg.norm(centred, axis=1)
    defined = (size[1:] > 0) & (size[:-1] > 0)
    product = (centred[1:] * centred[:-1]).sum(axis=1)[defined]
    return np.asarray(product / (size[1:] * size[:-1])[defined], np.float64)


# --- histograms -----------------------------------------------------------------------------------------------------


def measure_overlaps(where: MelodyPassage, ours: PlayedNotes, theirs: PlayedNotes) -> dict[str, float]:
    """Return how much each of `count_histograms` has in common with theirs: 1 alike, 0 nothing."""
    mine, other = count_histograms(where, ours), count_histograms(where, theirs)
    return {name: _measure_overlap(mine[name], other[name]) for name in mine}


def count_histograms(where: MelodyPassage, ours: PlayedNotes) -> dict[str, Floats]:
    """Return counts: position of onsets in the bar, duration in steps, polyphony of sounding steps, pitch classes.

    Durations count 1..LONGEST_STEPS, longer ones in the last bin; polyphony 1..MAX_POLYPHONY likewise; pitch classes of
    note-steps.
    """
    together = ours.sounding.sum(axis=1)
    together = together[together > 0]
    return {
        "position": count_values(ours.onset % where.steps_per_bar, where.steps_per_bar),
        "duration": count_values(np.minimum(ours.length, LONGEST_STEPS) - 1, LONGEST_STEPS),
        "polyphony": count_values(np.minimum(together, MAX_POLYPHONY) - 1, MAX_POLYPHONY),
        "pitch_class": count_pitch_classes(ours.sounding).sum(axis=0),
    }


def _measure_overlap(mine: Floats, other: Floats) -> float:
    if not mine.any() or not other.any():
        return _NAN if not other.any() else 0.0
    return float(np.minimum(mine / mine.sum(), other / other.sum()).sum())


# --- arithmetic -----------------------------------------------------------------------------------------------------


def _find_any(rows: Bools) -> Bools:
    return np.asarray(rows.any(axis=1), np.bool_)


def _compute_share(flags: Bools) -> float:
    return _compute_mean(flags.astype(np.float64))


def _compute_mean(values: Floats) -> float:
    return float(np.mean(values)) if values.size else _NAN


def _compute_ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else _NAN
