"""The harmonist's input: the melody on both sides of the now-line, cut into patches of a beat that end at it.

Right of the line stands what follows where the whole melody is visible, and otherwise what followed when the melody had
last gone like this (music.analysis.melody_recall): what is known of the future, and how sure it is. Unlike the canvas,
which begins on a bar line, it moves on with every step, and it reaches back further. Shared by training and by the live
players, so that both hear the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from music.analysis import melody_recall
from music.analysis.modulation import apply_key_change, find_key_change
from music.analysis.note_rows import list_rows, quantise_rows, to_rows
from music.encoding import gan_canvas
from music.note import PITCH_CLASSES, PITCHES, REST, STEPS_PER_BAR, STEPS_PER_BEAT, TICKS_PER_STEP, Metre, Note

PAST_STEPS = 256  #: steps left of the now-line: 16 bars of 4/4
FUTURE_STEPS = melody_recall.MIN_LAG_STEPS  #: steps right of it
MEMORY_STEPS = melody_recall.MEMORY_STEPS  #: steps of melody that a player wants to be told of
AHEAD_BEATS = 8  #: beats whose chords are told, from the one that the now-line lies in on
MELODY_PLANES = gan_canvas.PLANE["bass", "sustain"]
_ONSET_PLANE = gan_canvas.PLANE["melody", "onset"]
#: where a pitch sounds among the planes: its octave, those outside of the register in the nearest one
_REGISTER = gan_canvas.REGISTERS["melody"]
_SUSTAIN_PLANE = [
    gan_canvas.PLANE["melody", "sustain"]
    + min(max((pitch - _REGISTER.lowest) // PITCH_CLASSES, 0), _REGISTER.octaves - 1)
    for pitch in range(PITCHES)
]

Row = tuple[int, int, int]  #: start, pitch, length, in steps
Rows = Iterable[Row] | NDArray[np.int64]  #: (n, 3) where they are an array


@dataclass(frozen=True, slots=True)
class HarmonistInput:
    """The melody around a now-line."""

    melody: NDArray[np.float32]  #: (MELODY_PLANES, 12, PAST_STEPS + FUTURE_STEPS) of 0 and 1
    #: (1,): how sure it is that what stands right of the line follows; 1: the whole melody is visible, 0: nothing is
    known: NDArray[np.float32]
    phase: NDArray[np.float32]  #: (STEPS_PER_BAR,): the place of the now-line in the bar, one-hot


def build_harmonist_input(
    melody: Iterable[Note], now: int, heard_all: bool, metre: Metre = Metre(), bar: int = 0
) -> HarmonistInput:
    """Return what is heard at a now-line, a step; what is right of the line is left out unless heard_all.

    melody: notes of one voice, in ticks; bar: a step at which a bar begins.
    """
    return hear_melody(list_rows(melody), now, heard_all, metre, bar)


def hear_melody(
    melody: NDArray[np.int64], now: int, heard_all: bool, metre: Metre = Metre(), bar: int = 0
) -> HarmonistInput:
    """Return what `build_harmonist_input` does; melody: notes as rows (music.analysis.note_rows)."""
    heard, known = draw_around(quantise_rows(_find_near(melody, now, heard_all)), now, heard_all, metre)
    return HarmonistInput(heard, np.array([known], np.float32), _mark_phase(now - bar, metre))


def _find_near(melody: NDArray[np.int64], now: int, heard_all: bool) -> NDArray[np.int64]:
    """Return the rows, in ticks, that can be told of at a now-line."""
    since = now - (PAST_STEPS if heard_all else MEMORY_STEPS)
    start, end = melody[:, 0], melody[:, 0] + melody[:, 2]
    near: NDArray[np.int64] = melody[(end >= since * TICKS_PER_STEP) & (start < (now + FUTURE_STEPS) * TICKS_PER_STEP)]
    return near


def _mark_phase(step: int, metre: Metre) -> NDArray[np.float32]:
    """Return the phase of a HarmonistInput; step: counted from a bar line."""
    phase = np.zeros(STEPS_PER_BAR, np.float32)
    phase[find_phase(step, metre)] = 1
    return phase


def draw_around(rows: Rows, now: int, heard_all: bool, metre: Metre = Metre()) -> tuple[NDArray[np.float32], float]:
    """Return the melody's planes around a now-line, and how sure its future is, 0..1.

    (MELODY_PLANES, 12, PAST_STEPS + FUTURE_STEPS). rows: of one voice; of those right of the line nothing is told
    unless heard_all.
    """
    if heard_all:
        return draw_melody(rows, now - PAST_STEPS, PAST_STEPS + FUTURE_STEPS), 1.0
    heard = clip_to_past(rows, now)
    change = find_key_change(heard, now, metre.steps_per_bar)
    if change is not None:
        heard = apply_key_change(heard, change)
    planes = np.zeros((MELODY_PLANES, PITCH_CLASSES, PAST_STEPS + FUTURE_STEPS), np.float32)
    return planes, _draw_past(planes, heard, now, metre)


def _draw_past(planes: NDArray[np.float32], heard: NDArray[np.int64], now: int, metre: Metre) -> float:
    """Draw what was heard, and what followed when it went like this before; return how sure that is, 0..1."""
    said = _find_match(heard, now, metre)
    gan_canvas.draw_part(planes[:, :, :PAST_STEPS], "melody", _move(heard, now - PAST_STEPS))
    if said.trust:
        gan_canvas.draw_part(planes[:, :, PAST_STEPS:], "melody", _move(heard, said.line))
    return said.trust


class MelodySteps:
    """One voice step by step: it changes where its rows do, and is not laid out anew for every now-line."""

    def __init__(self) -> None:
        self._rows = np.empty((0, 3), np.int64)
        self._base = 0  # the step of the first place
        self._pitches = np.zeros(0, np.int16)  # REST where none sounds
        self._planes = np.zeros((MELODY_PLANES, PITCH_CLASSES, 0), np.bool_)  # the same, drawn
        self._end = 0  # the place before which all of it lies

    def update(self, rows: NDArray[np.int64]) -> None:
        """Take the rows of one voice, sorted by start, which nobody changes."""
        before, self._rows = self._rows, rows
        if rows is before or not len(rows):
            return
        first, end = int(rows[0, 0]), int(rows[-1, 0] + rows[-1, 2])
        if first < self._base or end > self._base + len(self._pitches):
            size = 2 * (end - first) + MEMORY_STEPS
            self._base, self._pitches = first, np.full(size, REST, np.int16)
            self._planes, self._end = np.zeros((MELODY_PLANES, PITCH_CLASSES, size), np.bool_), 0
            before = rows[:0]
        before = before[before[:, 0].searchsorted(first) :]
        same = _count_equal(before, rows)
        changed = [int(each[same, 0]) - self._base for each in (before, rows) if len(each) > same]
        if not changed:
            return
        self._pitches[min(changed) : self._end] = REST
        self._planes[:, :, min(changed) : self._end] = False
        self._end = end - self._base
        for start, pitch, length in rows[same:].tolist():
            at, pitch_class = start - self._base, pitch % PITCH_CLASSES
            self._pitches[at : at + length] = pitch
            self._planes[_SUSTAIN_PLANE[pitch], pitch_class, at : at + length] = True
            self._planes[_ONSET_PLANE, pitch_class, at] = True

    def draw_around(self, planes: NDArray[np.float32], now: int, heard_all: bool, metre: Metre = Metre()) -> float:
        """Draw what the function of this name returns into planes; return how sure the future is, 0..1."""
        if not len(self._rows):
            planes.fill(0)
            return float(heard_all)
        if heard_all:
            self._draw(planes, now - PAST_STEPS, int(self._rows[0, 0]))
            return 1.0
        heard = self._clip_to_past(now)
        change = find_key_change(heard, now, metre.steps_per_bar)
        if change is not None:
            planes.fill(0)
            return _draw_past(planes, apply_key_change(heard, change), now, metre)
        if not len(heard):
            planes.fill(0)
            return 0.0
        first = int(heard[0, 0])
        line, trust = melody_recall.find_match(
            self._pitches[first - self._base : now - self._base], metre.steps_per_bar
        )
        self._draw(planes[:, :, :PAST_STEPS], now - PAST_STEPS, first)
        if trust:
            self._draw(planes[:, :, PAST_STEPS:], first + line, first)
        else:
            planes[:, :, PAST_STEPS:] = 0
        return trust

    def _clip_to_past(self, now: int) -> NDArray[np.int64]:
        """Return what the function of this name does."""
        since, until = self._rows[:, 0].searchsorted((now - MEMORY_STEPS, now))
        heard = self._rows[since:until]
        if len(heard) and heard[-1, 0] + heard[-1, 2] > now:
            heard = heard.copy()
            heard[-1, 2] = now - heard[-1, 0]
        return heard

    def _draw(self, planes: NDArray[np.float32], step: int, first: int) -> None:
        """Draw the steps from `step` on into planes; those before `first` are empty."""
        low, end = max(step, first) - self._base, step + planes.shape[2] - self._base
        told = self._planes[:, :, low : max(low, end)]
        begin = low - (step - self._base)
        planes[:, :, :begin], planes[:, :, begin + told.shape[2] :] = 0, 0
        planes[:, :, begin : begin + told.shape[2]] = told


class HarmonistInputs:
    """Makes the harmonist's input at one now-line after the other; the planes of the melody are its own."""

    def __init__(self) -> None:
        self._steps = MelodySteps()
        self._planes = np.zeros((MELODY_PLANES, PITCH_CLASSES, PAST_STEPS + FUTURE_STEPS), np.float32)

    def hear(
        self, melody: NDArray[np.int64], now: int, heard_all: bool, metre: Metre = Metre(), bar: int = 0
    ) -> HarmonistInput:
        """Return what `hear_melody` does. It holds until the next call."""
        near = _find_near(melody, now, heard_all)
        start = (near[:, 0] + TICKS_PER_STEP // 2) // TICKS_PER_STEP
        end = np.maximum((near[:, 0] + near[:, 2] + TICKS_PER_STEP // 2) // TICKS_PER_STEP, start + 1)
        if (end[:-1] > start[1:]).any():  # notes so short that two of them share a step
            return hear_melody(melody, now, heard_all, metre, bar)
        rows = np.empty((len(near), 3), np.int64)
        rows[:, 0], rows[:, 1], rows[:, 2] = start, near[:, 1], end - start
        self._steps.update(rows)
        known = self._steps.draw_around(self._planes, now, heard_all, metre)
        return HarmonistInput(self._planes, np.array([known], np.float32), _mark_phase(now - bar, metre))


def _count_equal(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """Return how many rows two arrays share from the first on."""
    both = min(len(one), len(other))
    same = (one[:both] == other[:both]).all(1)
    return both if same.all() else int(same.argmin())


def remembers(rows: Rows, now: int, metre: Metre = Metre()) -> bool:
    """Tell whether a live player is told more at a now-line than the last PAST_STEPS as they were played.

    That is: what followed when it went like this before, or notes before a change of key moved to the new one.
    """
    heard = clip_to_past(rows, now)
    return _find_match(heard, now, metre).trust > 0 or find_key_change(heard, now, metre.steps_per_bar) is not None


def clip_to_past(rows: Rows, now: int) -> NDArray[np.int64]:
    """Return the rows that a memory of MEMORY_STEPS has at a now-line: those that began, as far as they were heard."""
    known = to_rows(rows)
    known = known[(known[:, 0] >= now - MEMORY_STEPS) & (known[:, 0] < now)]
    known[:, 2] = np.minimum(known[:, 2], now - known[:, 0])
    return known


def _find_match(heard: NDArray[np.int64], now: int, metre: Metre) -> melody_recall.MelodyMatch:
    first = now - MEMORY_STEPS
    if len(heard):
        first = max(first, int(heard[0, 0]))
    voice = melody_recall.sample_melody(_move(heard, first), max(0, now - first))
    line, trust = melody_recall.find_match(voice, metre.steps_per_bar)
    return melody_recall.MelodyMatch(first + line, trust)


def _move(rows: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Return the rows with their steps counted from `first`."""
    return rows - (first, 0, 0)


def draw_melody(rows: Rows, first: int, steps: int) -> NDArray[np.float32]:
    """Return the melody's planes (MELODY_PLANES, 12, steps) from step `first` on."""
    planes = np.zeros((MELODY_PLANES, PITCH_CLASSES, steps), np.float32)
    gan_canvas.draw_part(planes, "melody", _move(to_rows(rows), first))
    return planes


def find_phase(step: int, metre: Metre = Metre()) -> int:
    """Return where in the bar a step (counted from a bar line) lies, 0..15; other metres in the terms of 4/4."""
    return _find_phase(step % metre.steps_per_bar, metre)


@lru_cache(maxsize=64)
def _find_phase(place: int, metre: Metre) -> int:
    """Return what `find_phase` does for a place in the bar."""
    beat = int(gan_canvas.number_beats(place, 1, metre)[0])
    begin = max(step for step in metre.pulse_steps if step <= place) if metre.groups else 0
    return beat * STEPS_PER_BEAT + (place - begin) % STEPS_PER_BEAT
