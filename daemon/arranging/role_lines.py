"""The notes of the roles as a plan is arranged: mutable, and looked up by what sounds at the step that is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from daemon.core.plan import PlanRequest
from music.note import PITCH_CLASSES, PITCHES, TICKS_PER_STEP, Note, make_notes

#: the pitches that grate where they sound beside each: a semitone and a minor ninth away
_GRATING = [frozenset({pitch - 13, pitch - 1, pitch + 1, pitch + 13}) for pitch in range(PITCHES)]


class ArrangedNote:
    """A note whose pitch and end may still change. Ticks."""

    __slots__ = ("end", "is_committed", "pitch", "start", "velocity")

    def __init__(self, start: int, pitch: int, end: int, velocity: int, *, is_committed: bool = False) -> None:
        self.start, self.pitch, self.end, self.velocity = start, pitch, end, velocity
        self.is_committed = is_committed

    def tell(self) -> tuple[int, int, int, int]:
        """Return start, pitch, length and velocity as they now stand."""
        return self.start, self.pitch, self.end - self.start, self.velocity


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
        sounding = self.sounding
        for pitch in [pitch for pitch, note in sounding.items() if note.end <= tick]:
            del sounding[pitch]

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
        return tuple(make_notes(sorted([note.tell() for note in self.notes if note.is_committed])))

    def list_planned(self) -> tuple[Note, ...]:
        """Return the notes that the plan begins, sorted, but for those that were ended before they began."""
        begun = [note.tell() for note in self.notes if not note.is_committed and note.end > note.start]
        return tuple(make_notes(sorted(begun)))


def list_sounding(request: PlanRequest, held: Mapping[str, tuple[Note, ...]], role: str) -> list[Note]:
    """Return the committed notes of a role that sound at the now-line, with the ends in `held` where it has them."""
    tick = request.now * TICKS_PER_STEP
    told = {(note.start, note.pitch): note for note in held.get(role, ())}
    for note in [n for n in request.committed.get(role, ()) if n.start + n.length > tick > n.start]:
        told.setdefault((note.start, note.pitch), note)
    return sorted(told.values())


def find_grating(pitch: int, sounding: Mapping[int, ArrangedNote]) -> list[int]:
    """Return the pitches that lie a semitone or a minor ninth from a pitch."""
    grating = _GRATING[pitch]
    return [] if grating.isdisjoint(sounding) else [other for other in sounding if other in grating]


def has_tone(tones: int, pitch: int) -> bool:
    """Return True if the pitch class of a pitch is one of the bits of `tones`."""
    return bool(tones >> pitch % PITCH_CLASSES & 1)


@lru_cache(maxsize=4096)
def find_nearest(pitch: int, tones: int) -> int:
    """Return the nearest pitch whose pitch class is a bit of `tones`, of two the lower; itself if there is none."""
    for distance in range(PITCH_CLASSES):
        for other in (pitch - distance, pitch + distance):
            if 0 <= other < PITCHES and tones >> other % PITCH_CLASSES & 1:
                return other
    return pitch
