"""The canvas: the window of music that a GAN sees and writes, as planes over (octave, pitch class) and time.

Eight bars of 4/4 in steps, cut into beats. Left of the now-line, which lies in the seventh bar, melody and band are
known; right of it the band is to be written. Shared by training and by the live player, so that both see the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from music.analysis.note_rows import list_rows, quantise_rows, spread, to_rows
from music.note import PITCH_CLASSES, PITCHES, STEPS_PER_BAR, STEPS_PER_BEAT, TICKS_PER_STEP, Metre, Note

CANVAS_STEPS = 128
CANVAS_BEATS = CANVAS_STEPS // STEPS_PER_BEAT
FIRST_NOW_STEP = 96  #: the now-line lies in [FIRST_NOW, FIRST_NOW + a bar); everything from FIRST_NOW on may be written
FUTURE_STEPS = CANVAS_STEPS - FIRST_NOW_STEP


class Register(NamedTuple):
    """The compass of a part; what lies outside is folded in by octaves."""

    lowest: int  #: pitch
    octaves: int

    def fold(self, pitch: int) -> int:
        """Return a pitch moved by octaves into the compass."""
        while pitch < self.lowest:
            pitch += PITCH_CLASSES
        while pitch >= self.lowest + self.octaves * PITCH_CLASSES:
            pitch -= PITCH_CLASSES
        return pitch

    def find_octave(self, pitch: int) -> int:
        """Return which octave of the compass a (folded) pitch lies in."""
        return (pitch - self.lowest) // PITCH_CLASSES

    def list_pitches(self) -> NDArray[np.int64]:
        """Return the MIDI pitch of every cell, (octaves, 12)."""
        first = np.arange(PITCH_CLASSES)
        above = (first - self.lowest) % PITCH_CLASSES
        return self.lowest + above[None, :] + PITCH_CLASSES * np.arange(self.octaves)[:, None]


REGISTERS = {"melody": Register(48, 4), "bass": Register(28, 2), "chords": Register(40, 4), "pad": Register(48, 4)}

#: (part, kind) -> its first pitched plane; kind is sustain or onset. The melody's onsets share one plane.
PLANE = {
    ("melody", "sustain"): 0,
    ("melody", "onset"): 4,
    ("bass", "sustain"): 5,
    ("bass", "onset"): 7,
    ("chords", "sustain"): 9,
    ("chords", "onset"): 13,
    ("pad", "sustain"): 17,
    ("pad", "onset"): 21,
}
PITCHED_PLANES = 25

#: the parts of REGISTERS by number, and the same of REGISTERS and PLANE by that number
_PARTS = tuple(REGISTERS)
_LOWEST, _OCTAVES = np.array(list(REGISTERS.values()), np.int64).T
_SUSTAIN, _ONSET = (np.array([PLANE[part, kind] for part in _PARTS]) for kind in ("sustain", "onset"))

#: so many notes are drawn sooner one by one than together
_FEW_NOTES = 64


def _list_places(part: str) -> list[tuple[int, int, int]]:
    """Return for every pitch its plane while it sounds, that of its onset, and its pitch class."""
    lowest, octaves = REGISTERS[part]
    made = []
    for pitch in range(PITCHES):
        octave = min(max((pitch - lowest) // PITCH_CLASSES, 0), octaves - 1)
        onset = PLANE[part, "onset"] + (0 if part == "melody" else octave)
        made.append((PLANE[part, "sustain"] + octave, onset, pitch % PITCH_CLASSES))
    return made


#: part -> where each pitch is drawn
PLACES = {part: _list_places(part) for part in REGISTERS}

#: General MIDI drum notes by class, the one that is played first in each.
DRUMS = (
    (36, 35),
    (38, 40),
    (37, 39),
    (42, 44),
    (46,),
    (45, 41, 43),
    (48, 47, 50),
    (49, 52, 55, 57),
    (51, 53, 59),
    (70, 69, 82),
    (54,),
)
DRUM_CLASS = {note: i for i, notes in enumerate(DRUMS) for note in notes}
DRUM_PLANES = len(DRUMS)
#: class of every MIDI note, -1 for those that are no drum of ours
_DRUM_CLASS_OF = np.array([DRUM_CLASS.get(note, -1) for note in range(PITCHES)])

#: Plain planes: drums, melody known, band known, then the beat of the bar (one-hot of four).
MELODY_KNOWN = DRUM_PLANES
BAND_KNOWN = DRUM_PLANES + 1
BEAT_OF_BAR = DRUM_PLANES + 2
PLAIN_PLANES = DRUM_PLANES + 6

#: planes of a metre whose bars are not of sixteen steps: where a bar begins, and where a felt beat does; all 0 in 4/4
PULSE_PLANES = 2

#: what a generator says about every step from FIRST_NOW_STEP on, in this order: logits by octave and pitch class, then
#: plain ones (velocity: of velocity / 127). A gate says whether the role begins anything, an onset which pitches then
#: do, a hold whether what sounds goes on.
PITCHED_HEADS = {
    "bass_pitch": 2,
    "chords_onset": 4,
    "chords_hold": 4,
    "pad_onset": 4,
    "pad_hold": 4,
}
PLAIN_HEADS = {
    "bass_gate": 1,
    "bass_hold": 1,
    "chords_gate": 1,
    "pad_gate": 1,
    "drums": DRUM_PLANES,
    "velocity": 4,
}

#: A pitch begins with its role when its onset's logit is above the one, is held while its hold's is above the other;
#: both lie below 0 for fuller chords (models/LOG.md, 'Reading the scores').
ONSET_THRESHOLD = -0.3
HOLD_THRESHOLD = -0.5

#: How a band is drawn from the scores at temperature 1: scale of the noise on rhythm (1 draws from the distribution).
#: A doubt about the rhythm is settled alike in all bars of a section, but for a share that is drawn anew.
RHYTHM_NOISE = 0.7
SECTION_BARS = 8
FRESH_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class GanCanvas:
    """Melody and band around a now-line, as planes of 0 and 1."""

    pitched: NDArray[np.float32]  #: (PITCHED_PLANES, 12, CANVAS_STEPS)
    plain: NDArray[np.float32]  #: (PLAIN_PLANES, CANVAS_STEPS)


def find_first_step(now: int, steps_per_bar: int) -> int:
    """Return the step at which the canvas of a now-line begins, both counted from a bar line.

    It begins on a bar line where a bar has 16 steps, on a beat otherwise.
    """
    unit = 16 if steps_per_bar == 16 else STEPS_PER_BEAT
    return now // unit * unit - FIRST_NOW_STEP


def draw_part(planes: NDArray[np.generic], part: str, rows: Iterable[Sequence[int]] | NDArray[np.int64]) -> None:
    """Draw notes, rows of (start step, pitch, length in steps) relative to the planes (C, 12, T), into a part's planes.

    Steps outside are clipped; a note begun before the planes has no onset in them.
    """
    drawn = to_rows(rows)
    start, steps = drawn[:, 0], planes.shape[-1]
    near = drawn[(start + drawn[:, 2] > 0) & (start < steps)]
    if len(near) > _FEW_NOTES:
        _draw(planes, np.full(len(near), _PARTS.index(part)), near[:, 0], near[:, 1], near[:, 2], steps)
        return
    places = PLACES[part]
    for begin, pitch, length in near[:, :3].tolist():
        sustain, onset, pitch_class = places[pitch]
        planes[sustain, pitch_class, max(begin, 0) : begin + length] = 1
        if begin >= 0:
            planes[onset, pitch_class, begin] = 1


def draw_drums(planes: NDArray[np.generic], rows: Iterable[Sequence[int]]) -> None:
    """Draw hits into planes (DRUM_PLANES, T); rows begin with start step and pitch.

    Notes that are no drum of ours, and those outside of the planes, are left out.
    """
    steps = planes.shape[1]
    for start, pitch, *_ in rows:
        if pitch in DRUM_CLASS and 0 <= start < steps:
            planes[DRUM_CLASS[pitch], start] = 1


def _draw(
    planes: NDArray[Any],
    part: NDArray[np.int64],
    start: NDArray[np.int64],
    pitch: NDArray[np.int64],
    length: NDArray[np.int64],
    line: int | NDArray[np.int64],
) -> None:
    """Draw notes, each of one of _PARTS, into the planes (C, 12, T); line: the step from which on nothing is drawn."""
    end = np.minimum(start + length, line)
    near = (end > 0) & (start < line)
    part, start, pitch, end = part[near], start[near], pitch[near], end[near]
    octave = np.clip((pitch - _LOWEST[part]) // PITCH_CLASSES, 0, _OCTAVES[part] - 1)
    pitch_class = pitch % PITCH_CLASSES
    begin = np.maximum(start, 0)
    count = end - begin
    at = spread(begin, count)
    planes[np.repeat(_SUSTAIN[part] + octave, count), np.repeat(pitch_class, count), at] = 1
    struck = start >= 0
    onset = _ONSET[part] + np.where(part == 0, 0, octave)
    planes[onset[struck], pitch_class[struck], start[struck]] = 1


def build_canvas(
    melody: Iterable[Note],
    committed: Mapping[str, Iterable[Note]],
    now: int,
    heard_all: bool,
    metre: Metre = Metre(),
    bar: int = 0,
) -> GanCanvas:
    """Return the canvas of a now-line, a step; what is right of the line is left out.

    melody, committed: notes in ticks; heard_all: the melody right of the line is known, too (offline); bar: a step at
    which a bar begins.
    """
    parts = {role: list_rows(notes) for role, notes in committed.items()}
    return draw_canvas(list_rows(melody), parts, now, heard_all, metre, bar)


def draw_canvas(
    melody: NDArray[np.int64],
    committed: Mapping[str, NDArray[np.int64]],
    now: int,
    heard_all: bool,
    metre: Metre = Metre(),
    bar: int = 0,
) -> GanCanvas:
    """Return what `build_canvas` does; melody, committed: notes as rows (music.analysis.note_rows)."""
    first = bar + find_first_step(now - bar, metre.steps_per_bar)
    line = now - first
    pitched = np.zeros((PITCHED_PLANES, PITCH_CLASSES, CANVAS_STEPS), np.float32)
    plain = np.zeros((PLAIN_PLANES, CANVAS_STEPS), np.float32)
    # lines of pitches of their own for every part, so that all are moved to the grid together
    played = [melody, *(committed.get(role, melody[:0]) for role in (*_PARTS[1:], "drums"))]
    rows = np.concatenate(played)[:, :3]
    rows[:, 1] += np.repeat(PITCHES * np.arange(len(played)), [len(part) for part in played])
    ends = (rows[:, 0] + rows[:, 2]) // TICKS_PER_STEP
    rows = rows[(ends + 1 > first) & (rows[:, 0] < (first + CANVAS_STEPS + 1) * TICKS_PER_STEP)]
    start, pitch, length = quantise_rows(rows).T
    part, pitch = np.divmod(pitch, PITCHES)
    start = start - first
    drums = part == len(_PARTS)
    classes, struck = _DRUM_CLASS_OF[pitch[drums]], start[drums]
    known = (classes >= 0) & (struck >= 0) & (struck < line)
    plain[classes[known], struck[known]] = 1
    part, start, pitch, length = part[~drums], start[~drums], pitch[~drums], length[~drums]
    _draw(pitched, part, start, pitch, length, np.where(heard_all & (part == 0), CANVAS_STEPS, line))
    plain[MELODY_KNOWN, : CANVAS_STEPS if heard_all else line] = 1
    plain[BAND_KNOWN, :line] = 1
    beats = number_beats(first - bar, CANVAS_STEPS, metre)
    plain[BEAT_OF_BAR + beats, np.arange(CANVAS_STEPS)] = 1
    return GanCanvas(pitched, plain)


def number_beats(first: int, steps: int, metre: Metre) -> NDArray[np.int64]:
    """Return which of a bar's four beats each step from `first` on lies in; other metres in the terms of 4/4.

    Groups of eighths, where a metre has them, stand for beats.
    """
    position = (first + np.arange(steps)) % metre.steps_per_bar
    if metre.groups and metre.denominator >= 8:
        return np.minimum(np.searchsorted(metre.pulse_steps, position, side="right") - 1, 3)
    return np.minimum(position // STEPS_PER_BEAT, 3)


def mark_pulse(first: int, metre: Metre) -> NDArray[np.float32]:
    """Return where bars and felt beats begin on a canvas whose first step is `first`, counted from a bar line.

    (PULSE_PLANES, CANVAS_STEPS); zeros for bars of sixteen steps, whose place the beat of the bar tells.
    """
    return mark_beats(first + np.arange(CANVAS_STEPS), metre)


def mark_beats(steps: NDArray[np.int64], metre: Metre) -> NDArray[np.float32]:
    """Return whether bars and felt beats begin at steps that are counted from a bar line, (PULSE_PLANES, n).

    Zeros for bars of sixteen steps, whose place is told otherwise.
    """
    marks = np.zeros((PULSE_PLANES, len(steps)), np.float32)
    if metre.steps_per_bar != STEPS_PER_BAR:
        place = steps % metre.steps_per_bar
        marks[0], marks[1] = np.isin(place, metre.downbeat_steps), np.isin(place, metre.pulse_steps)
    return marks


#: name of the input of a graph that is told where fills are
FILL = "fill"
#: share of sections that end with a fill: those of the drummers' takes that the GAN has learnt from have as many
FILL_SHARE = 0.6


@lru_cache(maxsize=4)  # the plans of a bar share it
def mark_fills(first: int, bar: int, metre: Metre, seed: int, asked_at: int | None = None) -> NDArray[np.float32]:
    """Return the beats of a canvas that lie in bars in which the drummer leads into another section, (CANVAS_BEATS,).

    Those are the last bars of sections of SECTION_BARS, drawn by the seed, and a bar in which a fill is asked for.

    first: step of the canvas's first beat; bar: a step at which a bar begins, and the first section; asked_at: a step
    of the bar that is to be a fill.
    """
    steps = first - bar + STEPS_PER_BEAT * np.arange(CANVAS_BEATS)
    bars = steps // metre.steps_per_bar
    sections = bars // SECTION_BARS
    ends = bars % SECTION_BARS == SECTION_BARS - 1
    drawn = {s: _has_fill(seed, s) for s in set(sections[ends].tolist())}
    fills = np.array([end and drawn[s] for end, s in zip(ends.tolist(), sections.tolist(), strict=True)])
    if asked_at is not None:
        fills |= bars == (asked_at - bar) // metre.steps_per_bar
    return fills.astype(np.float32)


@lru_cache(maxsize=64)
def _has_fill(seed: int, section: int) -> bool:
    """Draw whether a section of a song ends with a fill."""
    return bool(np.random.default_rng([abs(seed), section & 0xFFFFFFFF, 2]).random() < FILL_SHARE)


#: kinds of metres by which grooves are kept: of sixteen steps a bar, of two or more beats in twos, of beats in threes
GROOVE_KINDS = FOUR, SIMPLE, COMPOUND = "four", "simple", "compound"


def find_groove_kind(metre: Metre) -> str:
    """Return the kind of a metre, of GROOVE_KINDS: 3/4 has other grooves than 4/4, and 6/8 and 12/8 share theirs."""
    if metre.steps_per_bar == STEPS_PER_BAR:
        return FOUR
    return COMPOUND if metre.is_compound and metre.denominator >= 8 else SIMPLE
