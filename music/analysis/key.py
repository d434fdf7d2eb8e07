"""Keys, and how far a chord is from one. Pure Python, for settings name keys, too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from music.chords import NATURALS, QUALITY_TONES
from music.note import PITCH_CLASSES

_TONICS = {
    False: ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    True: ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}
_NAME = re.compile(r"([A-G])([#b]?)\s*(major|maj|minor|min|m|-|)", re.IGNORECASE)
_MAJOR, _MINOR = frozenset((0, 2, 4, 5, 7, 9, 11)), frozenset((0, 2, 3, 5, 7, 8, 10))
_LEADING_TONE = 11
#: the degree of the major scale on which each mode begins, in semitones
MODES = {"ionian": 0, "dorian": 2, "phrygian": 4, "lydian": 5, "mixolydian": 7, "aeolian": 9, "locrian": 11}
#: degrees of a minor key whose chords have the leading tone: the dominant, and the chord on the leading tone
_DOMINANTS = (7, 11)


class Key(NamedTuple):
    """A major or minor key."""

    tonic: int  #: pitch class
    is_minor: bool

    @property
    def name(self) -> str:
        """Its name in full, such as `D minor`."""
        return f"{_TONICS[self.is_minor][self.tonic]} {'minor' if self.is_minor else 'major'}"

    def transpose(self, semitones: int) -> Key:
        """Return the key that lies so many semitones higher."""
        return Key((self.tonic + semitones) % PITCH_CLASSES, self.is_minor)

    def find_relative(self, mode: str) -> Key:
        """Return the major or minor key that has the tones of a mode (one of MODES) on this tonic."""
        if mode == "aeolian":
            return Key(self.tonic, True)
        return Key((self.tonic - MODES[mode]) % PITCH_CLASSES, False)

    def count_foreign(self, root: int, tones: Iterable[int]) -> int:
        """Return how many tones (pitch classes) of a chord on a root do not belong to the key.

        In minor, dominants may have the leading tone, as they mostly do.
        """
        scale = _MINOR if self.is_minor else _MAJOR
        if self.is_minor and (root - self.tonic) % PITCH_CLASSES in _DOMINANTS:
            scale |= {_LEADING_TONE}
        return sum((tone - self.tonic) % PITCH_CLASSES not in scale for tone in tones)


#: all of them, the major ones first
KEYS = tuple(Key(tonic, is_minor) for is_minor in (False, True) for tonic in range(PITCH_CLASSES))


def read_key(text: str) -> Key:
    """Return the key that a name such as `D minor`, `Bb` or `F#m` stands for. Raises ValueError for what is none."""
    found = _NAME.fullmatch(text.strip().replace("♯", "#").replace("♭", "b"))
    if not found:
        raise ValueError(f"{text.strip()!r} is not a key such as Bb or D minor")
    shift = {"#": 1, "b": -1, "": 0}[found[2].lower()]
    is_minor = found[3] in ("m", "-") or found[3].lower().startswith("min")
    return Key((NATURALS[found[1].upper()] + shift) % PITCH_CLASSES, is_minor)


@lru_cache(maxsize=len(KEYS))
def count_foreign_tones(key: Key) -> tuple[int, ...]:
    """Return for each chord of the chord models (12 * quality + root) how many of its tones are not in a key."""
    return tuple(
        key.count_foreign(root, [root + interval for interval in intervals])
        for intervals in QUALITY_TONES
        for root in range(PITCH_CLASSES)
    )
