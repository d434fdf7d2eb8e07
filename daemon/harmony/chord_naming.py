"""Names of chords that are known by their tones, for those who read them: markers, displays, clients."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from daemon.harmony.chord_reading import QUALITY_INTERVALS, turn_tones
from music.charts.chord_names import NO_CHORD, ChordName
from music.chords import NO_CHORD as UNKNOWN
from music.chords import SHORTHANDS, USUAL_ROOTS
from music.encoding.chord_evidence import GivenChord, pack_tones
from music.note import PITCH_CLASSES, TICKS_PER_BEAT

_SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
#: tones above C -> quality; the simplest name of each
_QUALITIES = {
    pack_tones(tones): quality
    for quality, tones in reversed([*QUALITY_INTERVALS.items(), *SHORTHANDS.items()])
    if quality
}


@lru_cache(maxsize=1024)
def name_tones(root: int, tones: int, bass: int) -> ChordName | None:
    """Return the name of a chord, as `GivenChord` has it; None where its root is not known."""
    if not tones:
        return NO_CHORD
    if root == UNKNOWN:
        return None
    quality = _QUALITIES.get(turn_tones(tones, root))
    if quality is None and bass not in (root, UNKNOWN):  # a foreign bass under it
        quality = _QUALITIES.get(turn_tones(tones & ~(1 << bass), root))
    name = USUAL_ROOTS[root]
    if bass in (root, UNKNOWN):
        return ChordName(name, quality or _approximate(turn_tones(tones, root)))
    quality = quality or _approximate(turn_tones(tones, root))
    names = [ChordName(name, quality, each[bass]) for each in (_FLATS, _SHARPS)]
    return min(names, key=lambda each: len(each.label))


def name_chord(chord: GivenChord, lower: int = 0) -> ChordName | None:
    """Return a chord's name, as many semitones lower as is said; None where its root is not known."""
    return name_tones(*_lower(chord, lower))


def list_changes(
    chords: Iterable[GivenChord], until: int, transpose: int = 0, *, gaps: bool = True
) -> list[tuple[int, str]]:
    """Return (tick, label) of every change among chords that begin at or before a tick, by tick.

    The label is empty where no chord is known for a beat at least: a hand that goes on to the next is up for less.
    The same chord goes on where it is assumed to, or one without a name follows. chords: sorted by start; transpose:
    semitones by which they are higher than the labels; gaps: False: a chord goes on until the next.
    """
    found: list[tuple[int, str]] = []
    end: int | None = None
    for chord in chords:
        if chord.start > until:
            break
        name = name_tones(*_lower(chord, transpose))
        goes_on = name is None or (found and found[-1][1] == name.label and chord.certainty < 1)
        if gaps and end is not None and end + TICKS_PER_BEAT <= chord.start and not goes_on:
            found.append((end, ""))
        if name is not None and (not found or found[-1][1] != name.label):
            found.append((chord.start, name.label))
        end = chord.end if end is None else max(end, chord.end)
    if gaps and found and end is not None and end + TICKS_PER_BEAT <= until and found[-1][1]:
        found.append((end, ""))
    return found


def _lower(chord: GivenChord, semitones: int) -> tuple[int, int, int]:
    """Return root, tones and bass of a chord that many semitones lower."""
    root, bass = (each if each == UNKNOWN else (each - semitones) % PITCH_CLASSES for each in (chord.root, chord.bass))
    return root, turn_tones(chord.tones, semitones % PITCH_CLASSES), bass


def _approximate(above: int) -> str:
    """Return the triad that tones above their root are most like."""
    minor = above >> 3 & 1 and not above >> 4 & 1
    if above >> 6 & 1 and not above >> 7 & 1 and minor:
        return "dim"
    if minor:
        return "min"
    if above >> 4 & 1:
        return "aug" if above >> 8 & 1 and not above >> 7 & 1 else "maj"
    return "sus4" if above >> 5 & 1 else "sus2" if above >> 2 & 1 else "5" if above >> 7 & 1 else "1"
