"""The figures of an accompaniment under a melody. One figure is one line of `METRICS`, or of `POOLED`.

Everything is looked at on sixteenth steps, from the bar of the melody's first note to the bar of its last. A figure of
`METRICS` is one of a song, and its mean over songs is reported; one of `POOLED` is made of what was counted in all
songs together. Drums take no part, but for their own two figures. A figure that has nothing to look at (a clash where
nothing sounds together) is NaN and stays out of the means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from music.chords import ChordTrack
from music.evaluation import literature, memory
from music.evaluation.clarity import measure_beats, measure_half_bars
from music.evaluation.consonance import measure_chord_hit, measure_chroma, measure_consonance
from music.evaluation.passage import Floats, MelodyPassage, Parts, PlayedNotes, collect_notes
from music.evaluation.rhythm import measure_drums, measure_groove, measure_overlaps
from music.evaluation.voices import measure_voices

#: groups of figures, in the order of their tables
HARMONY, MELODY, VOICES, MEMORY = "harmony", "against the melody", "voices", "memory"
RHYTHM, LIKENESS, LITERATURE = "rhythm", "likeness to the human part", "as in the literature"
GROUPS = (HARMONY, MELODY, VOICES, MEMORY, RHYTHM, LIKENESS, LITERATURE)

#: the tally of `POOLED` that whoever makes the band play the moved melody adds; see `literature.move_melody`
MOVED = "moved_melody"


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
    def beats(self) -> dict[str, float]:
        """See `measure_beats`."""
        return measure_beats(self.where, self.notes)

    @cached_property
    def voices(self) -> dict[str, float]:
        """See `measure_voices`."""
        return measure_voices(self.where, self.notes)

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
        return math.nan if self.chords is None else measure_chord_hit(self.where, self.notes, self.chords)

    @cached_property
    def half_bars(self) -> dict[str, float]:
        """See `measure_half_bars`; NaN without chords."""
        if self.chords is None:
            return {"half_bar_root": math.nan, "half_bar_triad": math.nan}
        return measure_half_bars(self.where, self.notes, self.chords)

    @cached_property
    def chroma(self) -> float:
        """See `measure_chroma`; NaN without a human accompaniment."""
        return math.nan if self.human_notes is None else measure_chroma(self.where, self.notes, self.human_notes)

    def measure_overlap(self, name: str) -> float:
        """Return how much one of `count_histograms` has in common with the human one, 0..1; NaN without."""
        return math.nan if self.human_notes is None else self._overlaps[name]

    def count_onset_intervals(self) -> Floats:
        """Return `literature.count_onset_intervals` of both parts: (2, bins); zeros without a human accompaniment."""
        ours = literature.count_onset_intervals(self.where, self.notes)
        if self.human_notes is None:
            return np.stack([ours, np.zeros_like(ours)])
        return np.stack([ours, literature.count_onset_intervals(self.where, self.human_notes)])

    @cached_property
    def _overlaps(self) -> dict[str, float]:
        assert self.human_notes is not None
        return measure_overlaps(self.where, self.notes, self.human_notes)


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a song's accompaniment."""

    key: str  #: in dictionaries and JSON
    title: str  #: heading in tables
    group: str  #: the table it stands in, one of GROUPS
    what: str  #: one sentence of help
    measure: Callable[[Comparison], float]
    digits: int = 3  #: behind the point in tables; a share has three
    tells_style: bool = False  #: how parts move, by which a style is told
    docs_row: str = ""  #: name of its row in the table of docs/figures.md; none without


@dataclass(frozen=True, slots=True)
class Pooled:
    """One figure of all songs together."""

    key: str  #: as those of Metric, up to `what`
    title: str
    group: str
    what: str
    tally: str  #: the tally that it is made of: a key of TALLIES, or MOVED
    combine: Callable[
        [Floats], Floats
    ]  #: from sums of tallies, (sets of songs, ...), to figures; NaN where there is none
    digits: int = 3  #: as those of Metric, from here on
    has_interval: bool = True  #: drawing songs anew makes sense: a set with doubles in it is less diverse
    docs_row: str = ""


METRICS = (
    Metric(
        "chord_hit",
        "chord hit",
        HARMONY,
        "share of accompaniment note-steps inside the annotated chord",
        lambda c: c.chord_hit,
        docs_row="chord hit",
    ),
    Metric(
        "chroma",
        "chroma",
        HARMONY,
        "cosine of the bar's pitch classes with those of the human accompaniment",
        lambda c: c.chroma,
        docs_row="chroma cosine",
    ),
    Metric(
        "half_bar_root",
        "half-bar root",
        HARMONY,
        "share of half bars whose sounding tones best fit a triad on the annotated root",
        lambda c: c.half_bars["half_bar_root"],
    ),
    Metric(
        "half_bar_triad",
        "half-bar triad",
        HARMONY,
        "the same with the annotated third, too",
        lambda c: c.half_bars["half_bar_triad"],
        docs_row="half-bar triad",
    ),
    Metric(
        "clear",
        "clear",
        HARMONY,
        "share of sounding beats with three or more pitch classes of which one chord holds more than 0.9",
        lambda c: c.beats["clear"],
        docs_row="clear",
    ),
    Metric(
        "own_root",
        "own root",
        HARMONY,
        "share of clear beats whose lowest note is the root of the chord that sounds",
        lambda c: c.beats["own_root"],
        docs_row="own root",
    ),
    Metric(
        "root_on_1",
        "root on 1",
        HARMONY,
        "the same of the clear beats that begin a bar",
        lambda c: c.beats["root_on_1"],
        docs_row="root on 1",
    ),
    Metric(
        "changes",
        "changes",
        HARMONY,
        "how often a bar the triad changes that best fits what sounds in a beat",
        lambda c: c.beats["changes"],
        digits=2,
        docs_row="changes a bar",
    ),
    Metric(
        "consonant",
        "consonant",
        MELODY,
        "share of melody steps with an accompaniment note a unison, third, fifth or sixth away",
        lambda c: c.consonance["consonant"],
        docs_row="consonant steps",
    ),
    Metric(
        "ur",
        "UR",
        MELODY,
        "share of melody steps at which no accompaniment sounds",
        lambda c: c.consonance["ur"],
        docs_row="nothing sounds (UR)",
    ),
    Metric(
        "clash",
        "clash",
        MELODY,
        "share of common steps with a semitone or major seventh and nothing consonant",
        lambda c: c.consonance["clash"],
        docs_row="clash",
    ),
    Metric(
        "tone_in_beat",
        "tone in beat",
        MELODY,
        "share of melody steps whose pitch class the accompaniment plays within the beat",
        lambda c: c.consonance["tone_in_beat"],
    ),
    Metric(
        "cluster",
        "cluster",
        VOICES,
        "share of sounding beats on which two notes a semitone or a minor ninth apart sound at once",
        lambda c: c.voices["cluster"],
        docs_row="cluster",
    ),
    Metric(
        "voice_step",
        "voice step",
        VOICES,
        "semitones by which the top of the chords (two or more notes from E3 up) moves to the next",
        lambda c: c.voices["voice_step"],
        digits=2,
        docs_row="voice step",
    ),
    Metric(
        "leaps",
        "leaps",
        VOICES,
        "share of those moves above an octave",
        lambda c: c.voices["leaps"],
        docs_row="leaps",
    ),
    Metric(
        "distinct",
        "distinct",
        MEMORY,
        "number of different bars (by onsets and pitches) over number of bars",
        lambda c: c.groove["distinct"],
        tells_style=True,
        docs_row="distinct bars",
    ),
    Metric(
        "repeated",
        "repeat",
        MEMORY,
        "share of bars with the same onsets and pitches as the one before",
        lambda c: c.groove["repeated"],
        tells_style=True,
    ),
    Metric(
        "empty",
        "empty",
        MEMORY,
        "share of bars in which nothing sounds",
        lambda c: c.groove["empty"],
        tells_style=True,
    ),
    Metric(
        "onsets",
        "onsets",
        RHYTHM,
        "onsets a bar",
        lambda c: c.groove["onsets"],
        digits=1,
        tells_style=True,
        docs_row="onsets a bar",
    ),
    Metric(
        "on_beat",
        "on beat",
        RHYTHM,
        "share of onsets on the beat",
        lambda c: c.groove["on_beat"],
        tells_style=True,
        docs_row="on the beat",
    ),
    Metric(
        "crumbs",
        "1-step",
        RHYTHM,
        "share of notes one step long",
        lambda c: c.groove["crumbs"],
        tells_style=True,
        docs_row="one-step notes",
    ),
    Metric(
        "groove",
        "groove",
        RHYTHM,
        "correlation of onset positions between neighbouring bars",
        lambda c: c.groove["groove"],
        tells_style=True,
        docs_row="groove",
    ),
    Metric(
        "drum_onsets",
        "drums",
        RHYTHM,
        "drum onsets a bar",
        lambda c: c.drums["drum_onsets"],
        digits=1,
        tells_style=True,
    ),
    Metric(
        "position_overlap",
        "ov pos",
        LIKENESS,
        "overlap of the onset position histogram with the human one",
        lambda c: c.measure_overlap("position"),
    ),
    Metric(
        "duration_overlap",
        "ov dur",
        LIKENESS,
        "overlap of the duration histogram with the human one",
        lambda c: c.measure_overlap("duration"),
    ),
    Metric(
        "polyphony_overlap",
        "ov poly",
        LIKENESS,
        "overlap of the polyphony histogram with the human one",
        lambda c: c.measure_overlap("polyphony"),
    ),
    Metric(
        "pitch_class_overlap",
        "ov pc",
        LIKENESS,
        "overlap of the pitch class histogram with the human one",
        lambda c: c.measure_overlap("pitch_class"),
    ),
    Metric(
        "drum_overlap",
        "ov drums",
        LIKENESS,
        "overlap of the drums' onset position histogram with the human one",
        lambda c: c.drums["drum_overlap"],
    ),
    Metric(
        "note_in_chord",
        "NiC",
        LITERATURE,
        "of the steps on which melody and accompaniment sound, the share whose melody tone sounds in it (ReaLchords)",
        lambda c: literature.measure_note_in_chord(c.where, c.notes),
        docs_row="NiC (ReaLchords)",
    ),
)

#: what is counted in each song for `POOLED`
TALLIES: Mapping[str, Callable[[Comparison], Floats]] = {
    "bar_pairs": lambda c: memory.compare_bars(c.where, c.notes),
    "note_in_chord": lambda c: literature.count_notes_in_chord(c.where, c.notes),
    "onset_intervals": Comparison.count_onset_intervals,
    "chord_lengths": lambda c: literature.count_chord_lengths(c.where, c.notes),
    "progressions": lambda c: literature.count_progressions(c.where, c.notes),
}

POOLED = (
    Pooled(
        "memory_same",
        "same melody",
        MEMORY,
        "F1 of the onsets of two bars, two or more apart, that have the same melody",
        "bar_pairs",
        partial(memory.measure_memory, row=memory.SAME),
        docs_row="song memory",
    ),
    Pooled(
        "memory_other",
        "other melody",
        MEMORY,
        "the same of bars with different melodies",
        "bar_pairs",
        partial(memory.measure_memory, row=memory.OTHER),
        docs_row="the same, other melody",
    ),
    Pooled(
        "memory_gap",
        "memory gap",
        MEMORY,
        "the one less the other",
        "bar_pairs",
        memory.measure_memory_gap,
    ),
    Pooled(
        "note_in_chord_pooled",
        "NiC, pooled",
        LITERATURE,
        "the same over the steps of all songs together (GAPT)",
        "note_in_chord",
        literature.pool_notes_in_chord,
        docs_row="NiC, pooled (GAPT)",
    ),
    Pooled(
        "sync_distance",
        "sync EMD",
        LITERATURE,
        "distance, in steps, of the intervals from melody note to chord change from the human ones (ReaLchords)",
        "onset_intervals",
        literature.measure_sync_distance,
        docs_row="sync EMD",
    ),
    Pooled(
        "length_entropy",
        "length entropy",
        LITERATURE,
        "entropy of the lengths of chords, in nats (ReaLchords)",
        "chord_lengths",
        literature.measure_length_entropy,
        digits=2,
        docs_row="chord-length entropy",
    ),
    Pooled(
        "vendi_score",
        "Vendi",
        LITERATURE,
        "effective number of different progressions among sequences of 16 bars (GAPT, with vectors of our own)",
        "progressions",
        literature.measure_vendi_score,
        digits=2,
        has_interval=False,
        docs_row="Vendi score",
    ),
    Pooled(
        "nic_before",
        "NiC beats 9-16",
        LITERATURE,
        "NiC before the melody moves by six semitones, at beat 17 (ReaLchords; only live)",
        MOVED,
        partial(literature.measure_recovery, first_beat=9, last_beat=16),
        docs_row="NiC before the move",
    ),
    Pooled(
        "nic_beat_17",
        "beats 17-20",
        LITERATURE,
        "NiC in the first bar after that",
        MOVED,
        partial(literature.measure_recovery, first_beat=17, last_beat=20),
        docs_row="beats 17 to 20",
    ),
    Pooled(
        "nic_beat_21",
        "beats 21-24",
        LITERATURE,
        "NiC in the second",
        MOVED,
        partial(literature.measure_recovery, first_beat=21, last_beat=24),
        docs_row="beats 21 to 24",
    ),
    Pooled(
        "nic_beat_25",
        "beats 25-32",
        LITERATURE,
        "NiC in the next eight beats",
        MOVED,
        partial(literature.measure_recovery, first_beat=25, last_beat=32),
        docs_row="beats 25 to 32",
    ),
    Pooled(
        "nic_beat_33",
        "beats 33-48",
        LITERATURE,
        "NiC in the last sixteen beats of the test",
        MOVED,
        partial(literature.measure_recovery, first_beat=33, last_beat=48),
        docs_row="beats 33 to 48",
    ),
)


def list_figures(group: str) -> list[Metric | Pooled]:
    """Return the figures of a group, in the order of their table."""
    return [figure for figure in (*METRICS, *POOLED) if figure.group == group]


def measure_figures(comparison: Comparison) -> dict[str, float]:
    """Return every figure of METRICS by its key.

    Those that need the human accompaniment or the annotated chords are NaN without them.
    """
    return {metric.key: metric.measure(comparison) for metric in METRICS}


def count_tallies(comparison: Comparison) -> dict[str, Floats]:
    """Return every tally of TALLIES by its key."""
    return {key: count(comparison) for key, count in TALLIES.items()}


def measure_all(
    where: MelodyPassage, parts: Parts, human: Parts | None = None, chords: ChordTrack | None = None
) -> dict[str, float]:
    """Return `measure_figures` of an accompaniment."""
    return measure_figures(Comparison(where, parts, human, chords))
