"""Chord labels in the notation of Harte et al. 2005 ('Symbolic representation of musical chords') as pitch classes."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: Letter of a natural note -> pitch class.
NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_DEGREES = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 11, 8: 12, 9: 14, 10: 16, 11: 17, 12: 19, 13: 21}

#: Shorthand -> semitones above the root.
SHORTHANDS: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "minmaj7": (0, 3, 7, 11),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "aug7": (0, 4, 8, 10),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 2),
    "maj9": (0, 4, 7, 11, 2),
    "min9": (0, 3, 7, 10, 2),
    "11": (0, 4, 7, 10, 2, 5),
    "min11": (0, 3, 7, 10, 2, 5),
    "maj11": (0, 4, 7, 11, 2, 5),
    "13": (0, 4, 7, 10, 2, 9),
    "maj13": (0, 4, 7, 11, 2, 9),
    "min13": (0, 3, 7, 10, 2, 9),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "sus4(b7)": (0, 5, 7, 10),
    "5": (0, 7),
    "1": (0,),
    "": (0, 4, 7),
}

#: The qualities that chord models tell apart (the index of a quality is its place here), and their semitones.
QUALITIES = ("maj", "min", "7", "maj7", "min7", "sus4", "sus2", "dim")
#: roots as most songs have them
USUAL_ROOTS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
QUALITY_TONES = tuple(SHORTHANDS[quality] for quality in QUALITIES)
NO_CHORD = -1  #: root and quality in arrays of chords where none is known

_LABEL = re.compile(r"^([A-G])([#b]*)(?::([^(/]*)(\([^)]*\))?)?(?:/([#b]*\d+))?$")


def _read_degree(text: str) -> int:
    """Return the semitones above the root of a degree such as `b7`. Raises ValueError for what is none."""
    number = text.lstrip("#b")
    if not (number.isdecimal() and len(number) <= 2 and int(number) in _DEGREES):
        raise ValueError(f"not a degree: {text!r}")
    return (_DEGREES[int(number)] + text.count("#") - text.count("b")) % 12


class Chord(NamedTuple):
    """A chord; all pitch classes are 0..11."""

    root: int
    pitch_classes: frozenset[int]  #: those of the bass included
    bass: int
    tones: frozenset[int]  #: without the bass, where it is foreign to the chord


def parse(label: str) -> Chord | None:
    """Return the chord that a label names; None for `N` (no chord) and `X`.

    Raises ValueError for what is not a chord label.
    """
    label = label.strip()
    if label in ("N", "X", ""):
        return None
    found = _LABEL.match(label)
    if not found:
        raise ValueError(f"not a chord label: {label!r}")
    letter, accidentals, quality, extra, bass_degree = found.groups()
    root = (NATURALS[letter] + accidentals.count("#") - accidentals.count("b")) % 12
    quality = "maj" if quality is None else quality
    written = quality + (extra or "")
    if written not in SHORTHANDS and quality not in SHORTHANDS:
        raise ValueError(f"unknown chord quality: {label!r}")
    intervals = list_intervals(written)
    bass = (root + (_read_degree(bass_degree) if bass_degree else 0)) % 12
    tones = frozenset((root + i) % 12 for i in intervals)
    return Chord(root, tones | {bass}, bass, tones)


def name_usual(root: int, quality: int) -> str:
    """Return the label of a chord: its root's pitch class, and its index in QUALITIES."""
    return f"{USUAL_ROOTS[root]}:{QUALITIES[quality]}"


def list_intervals(quality: str) -> tuple[int, ...]:
    """Return the semitones above the root, 0..11 and rising, of a quality such as `min7` or `7(b9)`.

    Its shorthand must be one of SHORTHANDS. Raises ValueError for a degree that is none.
    """
    if quality in SHORTHANDS:
        return tuple(sorted(SHORTHANDS[quality]))
    shorthand, _, degrees = quality.partition("(")
    intervals = set(SHORTHANDS[shorthand]) if shorthand else {0}
    for degree in degrees.strip("()").split(","):
        degree = degree.strip()
        if degree.startswith("*"):
            intervals.discard(_read_degree(degree[1:]))
        elif degree:
            intervals.add(_read_degree(degree))
    return tuple(sorted(intervals))


def match_chord(tones: Iterable[int], root: int = NO_CHORD, bass: int = NO_CHORD) -> tuple[int, int] | None:
    """Return the root and the index in QUALITIES of the chord that pitch classes come nearest to.

    root: where it is known; bass: the lowest pitch class, which is the likeliest root otherwise. None without tones.
    """
    sounding = {tone % 12 for tone in tones}
    if not sounding:
        return None
    roots = range(12) if root == NO_CHORD else (root,)
    return max(
        ((r, q) for r in roots for q in range(len(QUALITIES))), key=lambda c: _rate_chord(c[0], c[1], sounding, bass)
    )


def _rate_chord(root: int, quality: int, sounding: set[int], bass: int) -> float:
    chord = {(root + tone) % 12 for tone in QUALITY_TONES[quality]}
    fit = len(chord & sounding) - 0.9 * len(sounding - chord) - 0.5 * len(chord - sounding)
    third = (root + QUALITY_TONES[quality][1]) % 12
    # the plainer quality in doubt; a root that sounds, and best at the bottom
    return fit + 2.0 * (root == bass) + 0.3 * (root in sounding) + 0.1 * (third in sounding) - 0.01 * quality


class ChordTrack:
    """Chords over time, from (tick, label) markers sorted by tick; markers that are no chord labels do not count."""

    def __init__(self, markers: Sequence[tuple[int, str]]) -> None:
        self._ticks: list[int] = []
        self._chords: list[Chord | None] = []
        for tick, label in markers:
            try:
                chord = parse(label)
            except ValueError:  # "Verse 1": whoever wrote the file named a part of the song
                continue
            self._ticks.append(tick)
            self._chords.append(chord)

    def __len__(self) -> int:
        return len(self._ticks)

    def find(self, tick: int) -> Chord | None:
        """Return the chord in force at a tick; None where there is none."""
        index = bisect_right(self._ticks, tick) - 1
        return self._chords[index] if index >= 0 else None
