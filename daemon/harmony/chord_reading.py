"""Reading a chord from pitches that sound together: which root it has, which tones, and which bass.

Inversions, open fifths, two notes, foreign bass notes and slips are read as an accompanist would: as the simplest chord
that explains what is played.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

from music import chords
from music.chords import NO_CHORD
from music.encoding.chord_evidence import pack_tones
from music.note import PITCH_CLASSES

#: quality in Harte's notation -> how unlikely it is before anything is played, against other costs
_QUALITIES = {
    "maj": 0.0, "min": 0.05, "7": 0.2, "min7": 0.25, "maj7": 0.25, "dim": 0.45, "aug": 0.6, "sus4": 0.5, "sus2": 0.6,
    "hdim7": 0.5, "dim7": 0.5, "maj6": 0.6, "min6": 0.65, "minmaj7": 0.7, "sus4(b7)": 0.6, "maj(9)": 0.5, "min(9)": 0.6,
    "9": 0.6, "maj9": 0.6, "min9": 0.6, "maj6(9)": 0.8, "7(b9)": 0.8, "7(#9)": 0.9, "11": 0.9, "min11": 0.9, "13": 0.9,
}  # fmt: skip
#: quality -> semitones above the root
QUALITY_INTERVALS = {quality: chords.list_intervals(quality) for quality in _QUALITIES}
#: costs of a played note that is no chord tone, of a chord tone that is not played, of a fifth that is not, and of a
#: lowest note that is not the root
_FOREIGN, _MISSING, _MISSING_FIFTH, _INVERTED = 1.6, 1.2, 0.15, 0.3
#: and of a foreign bass under a whole chord
_SLASH = 1.0
#: a lowest note that lies this far (semitones) below the next is meant as the bass, in whichever inversion
BASS_GAP = 7
FIFTH = 7
_ALL_TONES = (1 << PITCH_CLASSES) - 1
_IMPOSSIBLE = 1e9


class ReadChord(NamedTuple):
    """A chord that was read from notes."""

    root: int  #: pitch class
    tones: int  #: a bit for every pitch class, as in `GivenChord.tones`
    bass: int  #: pitch class that the bass is to play

    def has(self, pitch_class: int) -> bool:
        """Tell whether a pitch class belongs to the chord."""
        return bool(self.tones >> pitch_class % PITCH_CLASSES & 1)


def read_chord(pitches: Iterable[int], context: Collection[int] = ()) -> ReadChord | None:
    """Return the chord of pitches that are played together; None where there are none.

    context: pitch classes that sound elsewhere, or did a moment ago: they decide what one or two notes leave open.
    """
    rising = sorted(set(pitches))
    if not rising:
        return None
    played, lowest = pack_tones(rising), rising[0] % PITCH_CLASSES
    if played.bit_count() <= 2:
        return _complete(played, lowest, pack_tones(context))
    cost, root, tones = _find_best(played, lowest)
    upper = pack_tones(rising[1:])
    if upper.bit_count() >= 3 and not upper >> lowest & 1:  # a foreign bass under a whole chord
        other_cost, other_root, other_tones = _find_best(upper, rising[1] % PITCH_CLASSES)
        if other_cost + _SLASH < cost:
            return ReadChord(other_root, other_tones | 1 << lowest, lowest)
    is_wide = rising[1] - rising[0] >= BASS_GAP
    return ReadChord(root, tones, lowest if is_wide and tones >> lowest & 1 else root)


@lru_cache(maxsize=4096)
def _find_best(played: int, lowest: int) -> tuple[float, int, int]:
    """Return (cost, root, tones) of the chord that explains pitch classes best."""
    least, found = _IMPOSSIBLE, (0, 0)
    twice = played | played << PITCH_CLASSES
    for root in range(PITCH_CLASSES):
        if played >> root & 1:
            cost, chosen = _rate_root(twice >> root & _ALL_TONES, root != lowest)
            if cost < least:
                least, found = cost, (root, min([turn_tones(tones, -root) for tones in chosen]))
    return least, *found


@lru_cache(maxsize=1 << PITCH_CLASSES)
def _rate_root(above: int, inverted: bool) -> tuple[float, tuple[int, ...]]:
    """Return the cost of the chords on a root that explain best what is played above it, and their tones above it.

    It depends on how tones lie above the root only, so that all there is to be known is soon known.
    """
    costs = []
    for unlikely, tones in _CHORDS[0]:
        missing = tones & ~above
        no_fifth = bool(missing >> FIFTH & 1)
        cost = unlikely + inverted * _INVERTED + _FOREIGN * (above & ~tones).bit_count()
        cost += _MISSING_FIFTH * no_fifth + _MISSING * (missing.bit_count() - no_fifth)
        costs.append((cost, tones))
    least = min(costs)[0]
    return least, tuple(tones for cost, tones in costs if cost == least)


@lru_cache(maxsize=4096)
def _complete(played: int, lowest: int, known: int) -> ReadChord:
    """Return the chord of which one or two pitch classes are played; what else is known tells third and root."""
    other = played & ~(1 << lowest)
    interval = (other.bit_length() - 1 - lowest) % PITCH_CLASSES if other else 0
    if interval in (0, FIFTH):
        return _add_third(lowest, known)
    if interval == PITCH_CLASSES - FIFTH:  # a fourth: a fifth that is turned over
        return _add_third((lowest + interval) % PITCH_CLASSES, known)
    found = (_IMPOSSIBLE, 0, 0)
    for root in range(PITCH_CLASSES):
        for unlikely, tones in _CHORDS[root][:_PLAIN_QUALITIES]:
            if played & ~tones == 0:
                unknown = (tones & ~played & ~known).bit_count()
                found = min(found, (unlikely + 0.4 * (root != lowest) + 0.3 * unknown, root, tones))
    if found[0] == _IMPOSSIBLE:  # a half-step, as in a slip: the lower note is what is meant
        return _add_third(lowest, known)
    return ReadChord(found[1], found[2], found[1])


def turn_tones(tones: int, root: int) -> int:
    """Return tones as they lie above a root, as bits again; from a negative one on, the other way round."""
    root %= PITCH_CLASSES
    return (tones >> root | tones << PITCH_CLASSES - root) & _ALL_TONES


def _add_third(root: int, known: int) -> ReadChord:
    """Return a root's chord with its fifth, and with a third where just one is known."""
    minor, major, diminished, fifth = (1 << (root + up) % PITCH_CLASSES for up in (3, 4, 6, FIFTH))
    third = known & (minor | major)
    if third == minor | major:
        third = 0
    if known & diminished and not known & fifth and third == minor:
        fifth = diminished
    return ReadChord(root, 1 << root | fifth | third, root)


#: root -> (how unlikely, tones) of every quality
_CHORDS = [
    [
        (unlikely, pack_tones(root + interval for interval in QUALITY_INTERVALS[quality]))
        for quality, unlikely in _QUALITIES.items()
    ]
    for root in range(PITCH_CLASSES)
]
#: the first of _QUALITIES, which one or two notes may stand for
_PLAIN_QUALITIES = 6

#: nothing is to be played
NO_READ_CHORD = ReadChord(NO_CHORD, 0, NO_CHORD)
