"""Voicings: in which octaves a chord that is struck lies, so that its voices move little and its root can be heard.

Of the inversions of what a network strikes, with the same pitch classes, the one is taken whose top is nearest to the
top of the chord before, unless what was written is about as near. People's chords move their top by four or five
semitones on the average and rarely leap above an octave; a network's do so more often.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache

from daemon.arranging.role_lines import RoleLine, find_nearest
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


class ChordTops:
    """The tops of the chords that lines begin, as far as they are written."""

    def __init__(self, lines: Sequence[RoleLine], committed: Iterable[Note]) -> None:
        """Begin with lines into which nothing is written yet; committed: notes that were begun before."""
        self._lines, self._committed = lines, committed
        self._counted = [0] * len(lines)  # notes of each line that are known
        self._pitches: dict[int, list[int]] = {}  # by the tick at which they begin

    def find(self, tick: int) -> int | None:
        """Return the top of the chord before a tick; ticks rise from call to call."""
        for number, line in enumerate(self._lines):
            for note in line.notes[self._counted[number] :]:
                if note.pitch >= LOWEST_VOICE and not note.is_committed:
                    self._pitches.setdefault(note.start, []).append(note.pitch)
            self._counted[number] = len(line.notes)
        begun = self._pitches
        latest = max([start for start, pitches in begun.items() if len(pitches) > 1 and start < tick], default=None)
        if latest is None:
            return self._top_before
        for start in [start for start in begun if start < latest]:
            del begun[start]
        return max(begun[latest])

    @cached_property
    def _top_before(self) -> int | None:
        """The top of the newest chord that was committed."""
        return find_top(self._committed)


@lru_cache(maxsize=4096)  # from plan to plan most chords are the same
def lead_voices(pitches: tuple[int, ...], top: int, bass: int) -> tuple[int, ...]:
    """Return the pitches of a chord in the octaves in which it follows the one before, in the order in which they were.

    pitches: two or more; top: of the chord before; bass: the pitch of the bass, above which all lie, -1 for none.
    """
    best, least = pitches, float(abs(max(pitches) - top))
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
                best, least = tuple(moved), cost
    return best


def ground(pitches: tuple[int, ...], sounding: Iterable[int], root: int) -> tuple[int, ...]:
    """Return the pitches of a chord over which no bass sounds, its lowest note on the root (a pitch class).

    They stay as they are where the lowest note lies too high to be heard as a bass, or something lower sounds on.
    """
    lowest = min(pitches)
    if lowest > HIGHEST_GROUND or lowest % PITCH_CLASSES == root or min(sounding, default=lowest) < lowest:
        return pitches
    others = list(pitches)
    others.remove(lowest)
    pitch = find_nearest(lowest, 1 << root)
    if others and pitch >= min(others):
        pitch -= PITCH_CLASSES
    return tuple([pitch if each == lowest else each for each in pitches])
