"""Voicings: in which octaves a chord that is struck lies, so that its voices move little and its root can be heard.

Of the inversions of what a network strikes, with the same pitch classes, the one is taken whose top is nearest to the
top of the chord before, unless what was written is about as near. People's chords move their top by four or five
semitones on the average and rarely leap above an octave; a network's do so more often.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daemon.arranging.role_lines import find_nearest
from music.note import PITCH_CLASSES, Note

#: chords of at least two notes from this pitch on have a top that is heard as a voice
LOWEST_VOICE = 52
#: the compass of a chord whose notes are moved
LOWEST_MOVED, HIGHEST_MOVED = 48, 88
#: semitones by which the top must come nearer for every note that is moved
MOVE_COST = 2.5
#: the highest lowest note of a chord that is heard as its bass where there is none
HIGHEST_GROUND = 64


def find_top(notes: Iterable[Note]) -> int | None:
    """Return the top of the latest chord among notes; None where there is none."""
    chords: dict[int, list[int]] = {}
    for note in notes:
        if note.pitch >= LOWEST_VOICE:
            chords.setdefault(note.start, []).append(note.pitch)
    latest = max((start for start, pitches in chords.items() if len(pitches) > 1), default=None)
    return None if latest is None else max(chords[latest])


def lead_voices(pitches: Sequence[int], top: int, bass: int) -> list[int]:
    """Return the pitches of a chord in the octaves in which it follows the one before, in the order in which they were.

    pitches: two or more; top: of the chord before; bass: the pitch of the bass, above which all lie, -1 for none.
    """
    best, least = list(pitches), float(abs(max(pitches) - top))
    if least <= MOVE_COST:
        return best
    lowest = max(bass + 1, LOWEST_MOVED)
    for direction in (-PITCH_CLASSES, PITCH_CLASSES):
        moved = list(pitches)
        for count in range(1, 2 * len(moved) + 1):
            outer = max(moved) if direction < 0 else min(moved)
            moved[moved.index(outer)] += direction
            if min(moved) < lowest or max(moved) > HIGHEST_MOVED or len(set(moved)) < len(moved):
                break
            cost = abs(max(moved) - top) + MOVE_COST * count
            if cost < least:
                best, least = list(moved), cost
    return best


def ground(pitches: Sequence[int], sounding: Iterable[int], root: int) -> list[int]:
    """Return the pitches of a chord over which no bass sounds, its lowest note on the root (a pitch class).

    They stay as they are where the lowest note lies too high to be heard as a bass, or something lower sounds on.
    """
    lowest = min(pitches)
    if lowest > HIGHEST_GROUND or lowest % PITCH_CLASSES == root or min(sounding, default=lowest) < lowest:
        return list(pitches)
    others = list(pitches)
    others.remove(lowest)
    pitch = find_nearest(lowest, 1 << root)
    if others and pitch >= min(others):
        pitch -= PITCH_CLASSES
    return [pitch if each == lowest else each for each in pitches]
