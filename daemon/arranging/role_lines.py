"""The notes of the roles as a plan is arranged: mutable, and looked up by what sounds at the step that is looked at."""

from __future__ import annotations

from collections.abc import Iterable

from music.note import PITCH_CLASSES, Note

#: intervals (semitones) that grate where both notes sound: a semitone and a minor ninth
_GRATING = (1, 13)


class ArrangedNote:
    """A note whose pitch and end may still change. Ticks."""

    __slots__ = ("end", "is_committed", "pitch", "start", "velocity")

    def __init__(self, start: int, pitch: int, end: int, velocity: int, *, is_committed: bool = False) -> None:
        self.start, self.pitch, self.end, self.velocity = start, pitch, end, velocity
        self.is_committed = is_committed

    def to_note(self) -> Note:
        """Return the note as it now stands."""
        return Note(self.start, self.pitch, self.end - self.start, self.velocity)


class RoleLine:
    """The notes of one role, of which those that sound are at hand."""

    def __init__(self, committed: Iterable[Note], tick: int) -> None:
        """Begin with the committed notes that sound at a tick, with the ends that the plan gives them.

        Of two with the same pitch the older ends there.
        """
        self.notes = [ArrangedNote(n.start, n.pitch, n.end, n.velocity, is_committed=True) for n in committed]
        #: pitch -> the note of that pitch that sounds
        self.sounding: dict[int, ArrangedNote] = {}
        for note in self.notes:
            if note.pitch in self.sounding:
                self.sounding[note.pitch].end = tick
            self.sounding[note.pitch] = note

    def end_due(self, tick: int) -> None:
        """Let go of the notes that are over by a tick."""
        over = [pitch for pitch, note in self.sounding.items() if note.end <= tick]
        for pitch in over:
            del self.sounding[pitch]

    def begin(self, note: ArrangedNote) -> None:
        """Begin a note; one of the same pitch that sounds ends there."""
        before = self.sounding.get(note.pitch)
        if before is not None:
            before.end = note.start
        self.notes.append(note)
        self.sounding[note.pitch] = note

    def end(self, pitch: int, tick: int) -> None:
        """End the note of a pitch that sounds."""
        self.sounding.pop(pitch).end = tick

    def list_committed(self) -> tuple[Note, ...]:
        """Return the committed notes, sorted, with their ends."""
        return tuple(sorted(note.to_note() for note in self.notes if note.is_committed))

    def list_planned(self) -> tuple[Note, ...]:
        """Return the notes that the plan begins, sorted, but for those that were ended before they began."""
        return tuple(sorted(note.to_note() for note in self.notes if not note.is_committed and note.end > note.start))


def find_grating(pitch: int, sounding: Iterable[int]) -> list[int]:
    """Return the pitches that lie a semitone or a minor ninth from a pitch."""
    return [other for other in sounding if abs(other - pitch) in _GRATING]


def has_tone(tones: int, pitch: int) -> bool:
    """Return True if the pitch class of a pitch is one of the bits of `tones`."""
    return bool(tones >> pitch % PITCH_CLASSES & 1)


def find_nearest(pitch: int, tones: int) -> int:
    """Return the nearest pitch whose pitch class is a bit of `tones`, of two the lower; itself if there is none."""
    for distance in range(7):
        for near in (pitch - distance, pitch + distance):
            if has_tone(tones, near):
                return near
    return pitch
