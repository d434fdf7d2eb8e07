"""Accompaniments to hold others against: the human part, chords as blocks, a chord follower, somebody else's part.

All are role -> notes, as a band's plans are. Silence is `{}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from music.chords import ChordTrack
from music.evaluation.passage import MelodyPassage, find_passage
from music.midifile import Part, Song, choose_melody
from music.note import REST, TICKS_PER_STEP, Note
from music.track_names import fold_name, guess_part

Accompaniment = dict[str, list[Note]]

#: track name -> role of its notes; the names of melodies (melody, soprano, violin1) are not among them
ROLE_OF_TRACK = {
    "bass": "bass",
    "chords": "chords",
    "pad": "pad",
    "drums": "drums",
    "piano": "chords",
    "counter": "pad",
    "alto": "chords",
    "tenor": "chords",
    "bass_voice": "bass",
    "violin2": "chords",
    "viola": "chords",
    "cello": "bass",
}

BASS_OCTAVE_PITCH = 36
CHORD_OCTAVE_PITCH = 48

# Krumhansl and Kessler 1982: how well each of the twelve degrees fits a major and a minor key.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
_MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10)


def extract_human_parts(song: Song) -> Accompaniment:
    """Return the accompaniment that the song has of its own, by role; {} for a song that holds only a melody."""
    parts: Accompaniment = {}
    for part in song.parts:
        role = ROLE_OF_TRACK.get(fold_name(part.name))
        if role is not None and part.notes:
            parts.setdefault(role, []).extend(part.notes)
    return {role: sorted(notes) for role, notes in parts.items()}


def guess_human_parts(song: Song, melody: Part) -> Accompaniment:
    """Return what plays beside the melody in a song whose tracks are called anything, by role."""
    parts: Accompaniment = {}
    for part in song.parts:
        role = ROLE_OF_TRACK.get(guess_part(part.name, part.channel, part.program))
        if role is not None and part is not melody:
            parts.setdefault(role, []).extend(part.notes)
    return {role: sorted(notes) for role, notes in parts.items() if notes}


def play_chord_blocks(where: MelodyPassage, chords: ChordTrack) -> Accompaniment:
    """Return the annotated chords under a passage: bass below, all tones above, struck at every bar and change."""
    found = [chords.find((where.first_step + step) * TICKS_PER_STEP) for step in range(where.steps)]
    starts = [step for step in range(where.steps) if step % where.steps_per_bar == 0 or found[step] != found[step - 1]]
    struck = [(step, (chord.bass, chord.pitch_classes)) for step in starts if (chord := found[step]) is not None]
    return _make_blocks(where, struck, [*starts, where.steps])


def follow_chords(where: MelodyPassage) -> Accompaniment:
    """Return a triad every half bar, chosen from the melody before it alone; rests until there is some.

    The key is the one whose profile fits the melody so far; the triad is the one that holds most of the last bar
    (later steps count more), if it can one of the key, leaning to tonic, dominant, subdominant and relative, and to
    staying where it is.
    """
    classes = np.zeros((where.steps, 12))
    heard = np.flatnonzero(where.line != REST)
    classes[heard, where.line[heard] % 12] = 1
    half = max(1, where.steps_per_bar // 2)
    starts = [s + h for s in range(0, where.steps, where.steps_per_bar) for h in {0, half} if h < where.steps_per_bar]
    struck = []
    last: int | None = None
    for step in sorted(starts):
        if classes[:step].any():
            last = _choose_triad(classes[:step], where.steps_per_bar, last)
            root = last % 12
            struck.append((step, (root, _TRIADS[last].nonzero()[0].tolist())))
    return _make_blocks(where, struck, [*sorted(starts), where.steps])


def borrow_part(where: MelodyPassage, other: Song) -> Accompaniment:
    """Return the human part of another song, moved so that the bars of both melodies' first notes meet.

    Where the other song's passage is the shorter one it starts again, so that the figures tell of a part that does not
    belong and not of songs that differ in length. Raises MidiFileError when the other song has no melody.
    """
    theirs = find_passage(choose_melody(other).notes, other.metres[0][1])
    return {role: _repeat_notes(where, theirs, notes) for role, notes in extract_human_parts(other).items()}


def _repeat_notes(where: MelodyPassage, theirs: MelodyPassage, notes: Iterable[Note]) -> list[Note]:
    """Return the notes that begin in their passage, from the start of ours, over and over until ours ends."""
    first, period = theirs.first_step * TICKS_PER_STEP, theirs.steps * TICKS_PER_STEP
    inside = [n for n in notes if first <= n.start < first + period]
    begin = where.first_step * TICKS_PER_STEP - first
    shifts = range(begin, begin + where.steps * TICKS_PER_STEP, period)
    return [replace(n, start=n.start + shift) for shift in shifts for n in inside]


def _make_blocks(
    where: MelodyPassage, struck: Sequence[tuple[int, tuple[int, Iterable[int]]]], bounds: Sequence[int]
) -> Accompaniment:
    """Return chords (step, (bass, pitch classes)), each held until the next bound, as bass and chord notes."""
    following = dict(pairwise(bounds))
    parts: Accompaniment = {"bass": [], "chords": []}
    for step, (bass, classes) in struck:
        start = (where.first_step + step) * TICKS_PER_STEP
        length = (following[step] - step) * TICKS_PER_STEP
        parts["bass"].append(Note(start, BASS_OCTAVE_PITCH + bass, length))
        parts["chords"] += [Note(start, CHORD_OCTAVE_PITCH + c, length) for c in sorted(classes)]
    return parts


def _rotate_pattern(pattern: Sequence[float]) -> NDArray[np.float64]:
    return np.array([np.roll(pattern, k) for k in range(12)], np.float64)


def _mark_members(degrees: Iterable[int]) -> list[float]:
    return [float(c in set(degrees)) for c in range(12)]


def _centre(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    away = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(away / np.linalg.norm(away, axis=1, keepdims=True), np.float64)


# Rows 0..11 are major on C..B, rows 12..23 minor.
_KEYS = _centre(np.concatenate([_rotate_pattern(_MAJOR), _rotate_pattern(_MINOR)]))
_SCALES = np.concatenate([_rotate_pattern(_mark_members(_MAJOR_SCALE)), _rotate_pattern(_mark_members(_MINOR_SCALE))])
_TRIADS = np.concatenate([_rotate_pattern(_mark_members((0, 4, 7))), _rotate_pattern(_mark_members((0, 3, 7)))])
_DIATONIC = _SCALES @ _TRIADS.T >= 3

#: scores of a triad beside its share of the last bar: in the key, the tonic, its neighbours, the last triad again
_IN_KEY, _TONIC, _NEAR_TONIC, _STAY = 2.0, 0.2, 0.1, 0.05
#: weight of the oldest step of the last bar, where the newest has 1
_OLDEST = 0.3


def _choose_triad(heard: NDArray[np.float64], per_bar: int, last: int | None) -> int:
    """Return the index in _TRIADS that best goes on from the pitch classes heard so far, (steps, 12)."""
    so_far = heard.sum(axis=0)
    key = int((_KEYS @ (so_far - so_far.mean())).argmax())
    recent = heard[-per_bar:]
    weights = (recent * np.linspace(_OLDEST, 1, len(recent))[:, None]).sum(axis=0)
    score = _TRIADS @ weights / max(weights.sum(), 1e-9) + _IN_KEY * _DIATONIC[key]
    tonic = key if key < 12 else (key + 3) % 12
    for degree, bonus in ((0, _TONIC), (7, _NEAR_TONIC), (5, _NEAR_TONIC), (9, _NEAR_TONIC)):
        score[[(tonic + degree) % 12, (tonic + degree) % 12 + 12]] += bonus
    if last is not None:
        score[last] += _STAY
    return int(score.argmax())
