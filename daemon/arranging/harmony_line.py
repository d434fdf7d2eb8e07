"""The harmony of each step as roles are made to agree with it: the bass's pitch class, and the tones of the chord."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from music.chords import NO_CHORD, QUALITIES, QUALITY_TONES
from music.encoding.chord_evidence import GivenChord, find_known_chords
from music.note import PITCH_CLASSES

#: tones of a chord that is guessed: its root, third and fifth. A seventh that is guessed as well tells another triad
#: (C E G B is C and E minor), and is wrong more often than the triad.
_GUESSED_TONES = 3
#: the qualities of chords that are built on a bass
TRIADS = (QUALITIES.index("maj"), QUALITIES.index("min"))


class StepHarmony(NamedTuple):
    """The harmony of one step."""

    bass: int  #: pitch class of the lowest note; NO_CHORD where any may be
    tones: int  #: a bit for every pitch class of the chord, bit 0 for C; 0: no chord
    is_known: bool  #: the player gave it, by a hand or a chart


NO_HARMONY = StepHarmony(NO_CHORD, 0, is_known=False)


def list_harmony(chosen: Iterable[tuple[int, int]], given: Sequence[GivenChord], first: int) -> list[StepHarmony]:
    """Return the harmony of the steps from `first` on.

    chosen: root and quality (an index of QUALITIES) of the chord that the player has chosen for each, NO_CHORD where
    it has none; given: the chords of the request, which hold where they are known for sure.
    """
    line = [_build_chosen(root, quality) for root, quality in chosen]
    if given:
        for step, chord in enumerate(find_known_chords(given, first, len(line))):
            if chord is not None:
                line[step] = _build_given(chord)
    return line


@lru_cache(maxsize=256)
def _build_chosen(root: int, quality: int) -> StepHarmony:
    if root == NO_CHORD or quality == NO_CHORD:
        return NO_HARMONY
    tones = sum(1 << (root + interval) % PITCH_CLASSES for interval in QUALITY_TONES[quality][:_GUESSED_TONES])
    return StepHarmony(root, tones, is_known=False)


@lru_cache(maxsize=1024)
def build_on_bass(bass: int, sounding: int, guessed: int) -> StepHarmony:
    """Return the major or minor triad on a bass that holds most of what sounds above it, then of a guessed chord.

    sounding, guessed: pitch classes, a bit for each.
    """
    triads = [sum(1 << (bass + i) % PITCH_CLASSES for i in QUALITY_TONES[quality]) for quality in TRIADS]
    best = max(triads, key=lambda tones: ((tones & sounding).bit_count(), (tones & guessed).bit_count()))
    return StepHarmony(bass, best, is_known=False)


@lru_cache(maxsize=64)
def _build_given(chord: GivenChord) -> StepHarmony:
    bass = chord.bass if chord.bass != NO_CHORD else chord.root
    tones = chord.tones | (1 << bass if bass != NO_CHORD else 0)
    return StepHarmony(bass, tones, is_known=True)
