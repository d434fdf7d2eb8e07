"""The features of a step that the transformer hears: one row a step.

Melody and band are told from the root of the chord, so that the band's own past tells rhythm and voicing, whatever the
key. Shared by training and by the live player, so that both see the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from music.analysis.note_rows import to_rows
from music.chords import QUALITIES
from music.encoding.gan_canvas import DRUM_CLASS, DRUM_PLANES, PULSE_PLANES, REGISTERS, mark_beats
from music.note import PITCH_CLASSES, PITCHED_ROLES, REST, STEPS_PER_BAR, Metre

Rows = Iterable[tuple[int, int, int]] | NDArray[np.int64]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
#: a step, or many
Steps = TypeVar("Steps", int, Ints)

NO_QUALITY = len(QUALITIES)

_OCTAVES = 6
_LOWEST = 24  #: pitch of the lowest octave
_ROLE_FEATURES = 2 * (PITCH_CLASSES + _OCTAVES) + 5
#: features of a step, side by side
FEATURE_COUNT = (
    3
    + PITCH_CLASSES
    + 5
    + (NO_QUALITY + 1)
    + 2 * PITCH_CLASSES
    + 1
    + STEPS_PER_BAR
    + 3 * _ROLE_FEATURES
    + DRUM_PLANES
    + 2
)
#: features of a step that stand after those, for decoders that have learnt other metres: see `mark_pulses`
PULSE_FEATURES = PULSE_PLANES + 1
#: a bar that is longer than STEPS_PER_BAR is told by places that repeat after so many steps: 12/8 as two bars of 6/8
_LONG_BAR_STEPS = 12


@dataclass(frozen=True, slots=True)
class MelodyFeatures:
    """The melody on T steps."""

    pitch: Ints  #: (T,): of the top voice, or REST
    struck: NDArray[np.bool_]  #: (T,): it begins there


@dataclass(frozen=True, slots=True)
class BandFeatures:
    """The band on T steps."""

    begun: NDArray[np.bool_]  #: (PITCHED_ROLES, T, 128)
    sounding: NDArray[np.bool_]  #: (PITCHED_ROLES, T, 128)
    length: Ints  #: (PITCHED_ROLES, T): of the longest note begun, in steps; 0 where none is
    drums: NDArray[np.bool_]  #: (T, DRUM_PLANES)


def extract_melody(rows: Rows, first: int, steps: int) -> MelodyFeatures:
    """Return a melody on the steps [first, first + steps); rows: start step, pitch, length in steps, no overlaps."""
    pitch, struck = np.full(steps, REST, np.int64), np.zeros(steps, np.bool_)
    heard = to_rows(rows)
    near = heard[(heard[:, 0] + heard[:, 2] > first) & (heard[:, 0] < first + steps), :3]
    for start, key, length in near.tolist():
        begin = start - first
        pitch[max(begin, 0) : begin + length] = key
        if begin >= 0:
            struck[begin] = True
    return MelodyFeatures(pitch, struck)


def extract_band(roles: Mapping[str, NDArray[np.int64]], first: int, steps: int) -> BandFeatures:
    """Return a band on the steps [first, first + steps); roles: (n, 3) rows of start step, pitch, length, by role."""
    begun = np.zeros((3, steps, 128), np.bool_)
    change = np.zeros((3, steps + 1, 128), np.int8)
    length = np.zeros((3, steps), np.int64)
    for i, role in enumerate(PITCHED_ROLES):
        rows = roles.get(role)
        if rows is None or not len(rows):
            continue
        start, end = rows[:, 0] - first, rows[:, 0] + rows[:, 2] - first
        near = (end > 0) & (start < steps)
        start, end, pitch, long = start[near], end[near], rows[near, 1], rows[near, 2]
        np.add.at(change[i], (np.maximum(start, 0), pitch), 1)
        np.add.at(change[i], (np.minimum(end, steps), pitch), -1)
        inside = start >= 0
        begun[i, start[inside], pitch[inside]] = True
        np.maximum.at(length[i], start[inside], long[inside])
    sounding = change[:, :steps].cumsum(1, dtype=np.int8) > 0
    drums = np.zeros((steps, DRUM_PLANES), np.bool_)
    for start, pitch in () if "drums" not in roles else roles["drums"][:, :2].tolist():
        if 0 <= start - first < steps and pitch in DRUM_CLASS:
            drums[start - first, DRUM_CLASS[pitch]] = True
    return BandFeatures(begun, sounding, length, drums)


def find_places(steps: Steps, metre: Metre) -> Steps:
    """Return the places in their bars, below STEPS_PER_BAR, of steps, or of one, counted from a bar line."""
    places = steps % metre.steps_per_bar
    return places if metre.steps_per_bar <= STEPS_PER_BAR else places % _LONG_BAR_STEPS


def mark_pulses(steps: Ints, metre: Metre) -> Floats:
    """Return whether bars and felt beats begin at steps that are counted from a bar line: (T, PULSE_FEATURES).

    The third is 1, whatever begins; bars of sixteen steps have zeros, as places tell all of them.
    """
    is_other = np.full((1, len(steps)), metre.steps_per_bar != STEPS_PER_BAR, np.float32)
    return np.concatenate([mark_beats(steps, metre), is_other]).T


def build_features(
    melody: MelodyFeatures,
    played: BandFeatures,
    chords: NDArray[np.int64],
    phase: Ints,
    known: int | None = None,
    begun: int = 0,
) -> Floats:
    """Return the features of T steps, (T, FEATURE_COUNT).

    chords: (2, T + 1), root (NO_CHORD for none) and quality in force at every step and the one after the last; phase:
    (T,), the place in its bar of the step *after* each; known: from which step on the melody is not known (None: all
    is); begun: since which step the band plays.
    """
    steps = len(melody.pitch)
    rows = np.arange(steps)
    root, quality = np.maximum(chords[0], 0), np.where(chords[0] < 0, NO_QUALITY, chords[1])
    coming, here = root[1:], root[:-1]
    sounds = melody.pitch != REST
    state = np.where(sounds, 1 + melody.struck, 0)
    interval = _encode_one_hot((melody.pitch - coming) % PITCH_CLASSES, PITCH_CLASSES) * sounds[:, None]
    height = _encode_one_hot(np.clip(melody.pitch // PITCH_CLASSES - 4, 0, 4), 5) * sounds[:, None]
    changed = (root[1:] != root[:-1]) | (quality[1:] != quality[:-1])
    silent = np.zeros((steps, 2), np.float32)
    silent[: steps if known is None else max(0, known), 0] = 1
    silent[begun:, 1] = 1
    columns = [
        _encode_one_hot(state, 3),
        interval,
        height,
        _encode_one_hot(quality[1:], NO_QUALITY + 1),
        _encode_one_hot((coming - here) % PITCH_CLASSES, PITCH_CLASSES),
        _encode_one_hot(coming, PITCH_CLASSES),
        changed[:, None],
        _encode_one_hot(phase % STEPS_PER_BAR, STEPS_PER_BAR),
    ]
    around = (here[:, None] + np.arange(PITCH_CLASSES)) % PITCH_CLASSES  # the pitch classes from each root on
    for i in range(len(PITCHED_ROLES)):
        for notes in (played.begun[i], played.sounding[i]):
            columns.append(np.take_along_axis(_fold_octaves(notes), around, 1))
            columns.append(_count_octaves(notes))
        columns.append(_encode_one_hot(np.digitize(played.length[i], (1, 2, 4, 8)), 5))
    columns += [played.drums, silent]
    made = np.concatenate([np.asarray(c, np.float32) for c in columns], 1)
    assert made.shape == (rows.size, FEATURE_COUNT)
    return made


def hear_step(melody: Ints, step: int) -> tuple[int, bool]:
    """Return the pitch of a melody at a step, or REST, and True where it begins; melody: rows, no overlaps, sorted."""
    at = int(melody[:, 0].searchsorted(step, side="right")) - 1
    if at < 0:
        return REST, False
    start, pitch, length = melody[at, :3].tolist()
    return (pitch, start == step) if step < start + length else (REST, False)


def build_step(
    melody: tuple[int, bool],
    band: Mapping[str, Iterable[tuple[int, int, int]]],
    step: int,
    chords: Sequence[tuple[int, int]],
    phase: int,
    begun: bool,
    width: int = FEATURE_COUNT,
) -> Floats:
    """Return the features of one step, (1, width), as `build_features` does where all of the melody is known.

    melody: pitch, or REST, and True where it begins; band: rows of start step, pitch and length, by role; chords: root
    and quality of the step and of the next; begun: the band plays; width: so many features, zeros behind the last one.
    """
    row = np.zeros((1, width), np.float32)
    (here, before), (coming, quality) = ((max(r, 0), q if r >= 0 else NO_QUALITY) for r, q in chords)
    pitch, struck = melody
    ones = [0]
    if pitch != REST:
        ones = [1 + struck, 3 + (pitch - coming) % PITCH_CLASSES, 15 + min(max(pitch // PITCH_CLASSES - 4, 0), 4)]
    at = 3 + PITCH_CLASSES + 5
    ones.append(at + quality)
    at += NO_QUALITY + 1
    ones += (at + (coming - here) % PITCH_CLASSES, at + PITCH_CLASSES + coming)
    at += 2 * PITCH_CLASSES
    if (coming, quality) != (here, before):
        ones.append(at)
    ones.append(at + 1 + phase % STEPS_PER_BAR)
    at += 1 + STEPS_PER_BAR
    for role in PITCHED_ROLES:
        struck_pitches, pitches, longest = set(), set(), 0
        for start, pitch, length in band.get(role, ()):
            if start <= step < start + length:
                pitches.add(pitch)
                if start == step:
                    struck_pitches.add(pitch)
                    longest = max(longest, length)
        _describe_pitches(row[0], ones, at, struck_pitches, here)
        _describe_pitches(row[0], ones, at + PITCH_CLASSES + _OCTAVES, pitches, here)
        at += 2 * (PITCH_CLASSES + _OCTAVES)
        ones.append(at + bisect_right((1, 2, 4, 8), longest))
        at += 5
    for start, pitch, _ in band.get("drums", ()):
        if start == step and pitch in DRUM_CLASS:
            ones.append(at + DRUM_CLASS[pitch])
    at += DRUM_PLANES
    ones += (at, at + 1) if begun else (at,)
    row[0, ones] = 1
    return row


def _describe_pitches(row: Floats, ones: list[int], at: int, pitches: Iterable[int], root: int) -> None:
    """Describe pitches by the features from `at` on: their classes go into `ones`, their octaves into the row."""
    octaves = [0] * _OCTAVES
    for pitch in pitches:
        ones.append(at + (pitch - root) % PITCH_CLASSES)
        if _LOWEST <= pitch < _LOWEST + _OCTAVES * PITCH_CLASSES:
            octaves[(pitch - _LOWEST) // PITCH_CLASSES] += 1
    for octave, count in enumerate(octaves):
        if count:
            row[at + PITCH_CLASSES + octave] = count / 3


def _encode_one_hot(index: NDArray[np.integer], size: int) -> Floats:
    made: Floats = np.eye(size, dtype=np.float32)[index]
    return made


def _fold_octaves(notes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether any octave of a pitch class is there: (T, 128) -> (T, 12)."""
    whole = np.zeros((len(notes), 132), np.bool_)
    whole[:, :128] = notes
    found: NDArray[np.bool_] = np.asarray(whole.reshape(-1, 11, PITCH_CLASSES).any(1), np.bool_)
    return found


def _count_octaves(notes: NDArray[np.bool_]) -> Floats:
    """Return how many notes are in every octave from MIDI 24 on, in thirds: (T, 128) -> (T, _OCTAVES)."""
    return np.asarray(notes[:, 24:96].reshape(-1, _OCTAVES, PITCH_CLASSES).sum(2) / 3, np.float32)


def get_compass(role: str) -> tuple[int, int]:
    """Return the lowest and the highest pitch that a pitched role is written in."""
    register = REGISTERS[role]
    return register.lowest, register.lowest + register.octaves * PITCH_CLASSES - 1
