"""The notes of the roles as a plan is arranged: mutable, and looked up by what sounds at the step that is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from daemon.core.plan import PlanRequest
from music.note import PITCH_CLASSES, PITCHES, TICKS_PER_STEP, Note, make_notes, sort_notes

Notes = Mapping[str, Iterable[Note]]  #: by role

#: pitch -> the pitches that grate where they sound beside it: a semitone and a minor ninth away, a bit for each
GRATING = [
    sum(1 << other for other in (pitch - 13, pitch - 1, pitch + 1, pitch + 13) if other >= 0)
    for pitch in range(PITCHES)
]
_NEVER = 1 << 62  #: a tick that does not come


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
        self.notes = [
            ArrangedNote(n.start, n.pitch, n.start + n.length, n.velocity, is_committed=True) for n in committed
        ]
        #: pitch -> the note of that pitch that sounds
        self.sounding: dict[int, ArrangedNote] = {}
        #: the pitches of those, a bit for each, and a tick up to which all of them sound
        self.pitches = 0
        self.next_end = _NEVER
        for note in self.notes:
            if note.pitch in self.sounding:
                self.sounding[note.pitch].end = tick
            self.resume(note)

    def end_due(self, tick: int) -> None:
        """Let go of the notes that are over by a tick: there are none before `next_end`."""
        sounding = self.sounding
        for pitch in [pitch for pitch, note in sounding.items() if note.end <= tick]:
            del sounding[pitch]
            self.pitches ^= 1 << pitch
        self.next_end = min([note.end for note in sounding.values()], default=_NEVER)

    def begin(self, note: ArrangedNote) -> None:
        """Begin a note; one of the same pitch that sounds ends there."""
        before = self.sounding.get(note.pitch)
        if before is not None:
            before.end = note.start
        self.notes.append(note)
        self.resume(note)

    def resume(self, note: ArrangedNote) -> None:
        """Let a note of this line sound."""
        pitch, end = note.pitch, note.end
        self.sounding[pitch] = note
        self.pitches |= 1 << pitch
        if end < self.next_end:
            self.next_end = end

    def end(self, pitch: int, tick: int) -> None:
        """End the note of a pitch that sounds."""
        self.sounding.pop(pitch).end = tick
        self.pitches ^= 1 << pitch

    def list_committed(self) -> tuple[Note, ...]:
        """Return the committed notes, sorted, with their ends."""
        return tuple(make_notes(sorted([note.tell() for note in self.notes if note.is_committed])))

    def list_planned(self, end: int) -> tuple[Note, ...]:
        """Return the notes that the plan begins before a tick, sorted, but for those that were ended at once."""
        begun = [
            note.tell() for note in self.notes if not note.is_committed and note.start < note.end and note.start < end
        ]
        return tuple(make_notes(sorted(begun)))


def list_sounding(request: PlanRequest, held: Mapping[str, tuple[Note, ...]], near: Notes, role: str) -> list[Note]:
    """Return the committed notes of a role that sound at the now-line, with the ends in `held` where it has them.

    near: some committed notes by role, among them those that sound; the others are not looked for.
    """
    tick = request.now * TICKS_PER_STEP
    told = {(note.start, note.pitch): note for note in held.get(role, ())}
    for note in near.get(role, ()):
        start = note.start
        if start < tick < start + note.length:
            told.setdefault((start, note.pitch), note)
    return sort_notes(told.values())


def find_grating(pitch: int, line: RoleLine) -> list[int]:
    """Return the pitches that sound in a line a semitone or a minor ninth from a pitch."""
    grating = GRATING[pitch]
    return [other for other in line.sounding if grating >> other & 1] if grating & line.pitches else []


@lru_cache(maxsize=1024)
def spread_tones(tones: int) -> int:
    """Return a bit for each pitch whose pitch class is a bit of `tones`."""
    return sum(tones << octave for octave in range(0, PITCHES, PITCH_CLASSES))


def fold_pitches(pitches: int) -> int:
    """Return a bit for each pitch class of pitches, which are bits themselves."""
    classes = 0
    while pitches:
        classes |= pitches
        pitches >>= PITCH_CLASSES
    return classes & (1 << PITCH_CLASSES) - 1


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
