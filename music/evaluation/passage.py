"""The bars of a song that figures are taken of, and what a part plays in them, on sixteenth steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music.encoding import piano_roll
from music.note import PITCH_CLASSES, PITCHES, REST, STEPS_PER_BEAT, TICKS_PER_STEP, Metre, Note, quantise

Parts = Mapping[str, Iterable[Note]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MelodyPassage:
    """Whole bars, and the melody in them."""

    first_step: int
    steps_per_bar: int
    line: Ints  #: (steps,): the melody's top pitch on each step, REST where it is silent
    begins: Bools  #: (steps, 128): the pitches of the melody's notes that begin on each step

    @property
    def steps(self) -> int:
        """Length in steps, a whole number of bars."""
        return int(self.line.size)

    @property
    def bars(self) -> int:
        """Length in bars."""
        return self.steps // self.steps_per_bar

    def list_beats(self) -> list[tuple[int, int]]:
        """Return the first step of each beat and the step after its last; a bar begins a beat in every metre."""
        return [
            (beat, min(beat + STEPS_PER_BEAT, bar + self.steps_per_bar))
            for bar in range(0, self.steps, self.steps_per_bar)
            for beat in range(bar, bar + self.steps_per_bar, STEPS_PER_BEAT)
        ]


@dataclass(frozen=True, slots=True)
class PlayedNotes:
    """The pitched notes of an accompaniment in a passage.

    The arrays of notes hold every note that begins in it; two parts that play one pitch are two notes there, and one
    sounding pitch.
    """

    sounding: Bools  #: (steps, 128)
    onset: Ints  #: (notes,): in steps from the passage's start
    pitch: Ints  #: (notes,)
    length: Ints  #: (notes,): in steps


def find_passage(melody: Iterable[Note], metre: Metre | None = None) -> MelodyPassage:
    """Return the passage from the bar of the melody's first note to the bar where its last ends.

    Raises ValueError without notes.
    """
    notes = quantise(melody)
    if not notes:
        raise ValueError("a passage needs a melody with notes in it")
    per_bar = (metre or Metre()).steps_per_bar
    first = notes[0].start // TICKS_PER_STEP // per_bar * per_bar
    last = max(n.end for n in notes) // TICKS_PER_STEP
    steps = -(-(last - first) // per_bar) * per_bar
    sustain = piano_roll.from_notes(notes, first, steps).sustain
    top = PITCHES - 1 - sustain[:, ::-1].argmax(axis=1)
    begins = np.zeros((steps, PITCHES), np.bool_)
    for note in notes:
        begins[note.start // TICKS_PER_STEP - first, note.pitch] = True
    return MelodyPassage(first, per_bar, np.where(sustain.any(axis=1), top, REST), begins)


def collect_notes(parts: Parts, where: MelodyPassage) -> PlayedNotes:
    """Return the notes of all parts but the drums in a passage."""
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


def find_drum_onsets(parts: Parts, where: MelodyPassage) -> Ints:
    """Return where drum notes begin in a passage: (notes,), in steps from its start."""
    onset = np.array([n.start // TICKS_PER_STEP for n in quantise(parts.get("drums", ()))], np.int64) - where.first_step
    return onset[(onset >= 0) & (onset < where.steps)]


def draw_begun(where: MelodyPassage, notes: PlayedNotes) -> Bools:
    """Return the pitches that sound on each step, of the notes that begin in the passage: (steps, 128)."""
    sounding = np.zeros((where.steps, PITCHES), np.bool_)
    for onset, pitch, length in zip(notes.onset, notes.pitch, notes.length, strict=True):
        sounding[onset : onset + length, pitch] = True
    return sounding


def draw_onsets(where: MelodyPassage, notes: PlayedNotes) -> Bools:
    """Return the pitches of the notes that begin on each step: (steps, 128)."""
    begins = np.zeros((where.steps, PITCHES), np.bool_)
    begins[notes.onset, notes.pitch] = True
    return begins


def find_any(rows: Bools) -> Bools:
    """Return which rows have anything set."""
    return np.asarray(rows.any(axis=1), np.bool_)


def count_pitch_classes(sounding: Bools) -> Floats:
    """Return how many sounding pitches there are of each class on each step: (steps, 128) -> (steps, 12)."""
    octaves = np.zeros((sounding.shape[0], 11 * PITCH_CLASSES))
    octaves[:, :PITCHES] = sounding
    return np.asarray(octaves.reshape(-1, 11, PITCH_CLASSES).sum(axis=1), np.float64)


def count_values(values: Ints, bins: int) -> Floats:
    """Return how often each of 0..bins - 1 occurs: (n,) -> (bins,)."""
    return np.bincount(values, minlength=bins).astype(np.float64)


def split_bars(where: MelodyPassage, steps: NDArray[Any]) -> NDArray[Any]:
    """Return the steps of a passage bar by bar: (steps, ...) -> (bars, steps of a bar, ...)."""
    return steps.reshape(where.bars, where.steps_per_bar, *steps.shape[1:])
