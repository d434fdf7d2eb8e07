"""Notes on the integer time grid that everything in houseband speaks.

Time is counted in **ticks** of 1/24 beat (the resolution of MIDI clock) and, where models look, in **steps** of a
sixteenth (6 ticks). Nothing musical is ever a float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter

TICKS_PER_BEAT = 24
STEPS_PER_BEAT = 4
TICKS_PER_STEP = TICKS_PER_BEAT // STEPS_PER_BEAT
STEPS_PER_BAR = 4 * STEPS_PER_BEAT  #: in 4/4, the metre that players have learned from
PITCHES = 128  #: of MIDI
PITCH_CLASSES = 12
REST = -1  #: stands for silence in arrays of pitches

MELODY = "melody"
#: the track of the hand that leads, where its own has no name
HAND = "hand"
#: the role of the AR-CNN
EDITS = "edits"
ROLES = ("bass", "chords", "pad", "drums")
PITCHED_ROLES = ("bass", "chords", "pad")

#: MIDI channel (0..15, as mido counts) of every part, on ports and in files; drums on General MIDI's channel 10.
CHANNELS = {"melody": 0, "bass": 1, "chords": 2, "pad": 3, "edits": 4, "drums": 9}
#: the channel on which the left hand sounds, where it has one of its own
HAND_SOUND_CHANNEL = 5


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One note, ordered by start, pitch, length and velocity. Raises ValueError when a value is out of range."""

    start: int  #: onset in ticks from bar 1; negative in an upbeat
    pitch: int  #: 0..127
    length: int  #: ticks, at least 1
    velocity: int = 80  #: 1..127

    def __post_init__(self) -> None:
        if not (0 <= self.pitch <= 127 and self.length >= 1 and 1 <= self.velocity <= 127):
            raise ValueError(f"no such note: {self.start=} {self.pitch=} {self.length=} {self.velocity=}")

    @property
    def end(self) -> int:
        """The first tick at which the note no longer sounds."""
        return self.start + self.length


_set_start, _set_pitch, _set_length, _set_velocity = (
    getattr(Note, name).__set__ for name in ("start", "pitch", "length", "velocity")
)


NoteNumbers = tuple[int, int, int, int]  #: start, pitch, length and velocity of a note


def make_notes(numbers: Iterable[NoteNumbers]) -> list[Note]:
    """Return notes of start, pitch, length and velocity that are known to be in range: in half the time."""
    made, new = [], object.__new__
    for start, pitch, length, velocity in numbers:
        note = new(Note)
        _set_start(note, start)
        _set_pitch(note, pitch)
        _set_length(note, length)
        _set_velocity(note, velocity)
        made.append(note)
    return made


#: returns start, pitch, length and velocity of a note
get_numbers: Callable[[Note], NoteNumbers] = attrgetter("start", "pitch", "length", "velocity")


def list_numbers(notes: Iterable[Note]) -> list[NoteNumbers]:
    """Return start, pitch, length and velocity of notes."""
    return [*map(get_numbers, notes)]


def sort_notes(notes: Iterable[Note]) -> list[Note]:
    """Return notes in their order: `sorted` compares them one by one, which takes several times as long."""
    return sorted(notes, key=get_numbers)


def fit_pitch(pitch: int) -> int:
    """Return a pitch moved by octaves, where it lies outside of MIDI's 0..127, to the nearest one within."""
    if pitch < 0:
        return pitch % PITCH_CLASSES
    while pitch >= PITCHES:
        pitch -= PITCH_CLASSES
    return pitch


def round_to_step(tick: int) -> int:
    """Return the step that an onset at a tick belongs to: the nearest; half a step early is the coming step."""
    return (tick + TICKS_PER_STEP // 2) // TICKS_PER_STEP


def quantise(notes: Iterable[Note]) -> list[Note]:
    """Return notes moved to the step grid, sorted: onsets to the nearest step, lengths at least a step.

    Equal pitches never overlap in the result: an earlier note ends where the next of its pitch begins, and of two
    that begin on one step the longer (then louder) stays.
    """
    kept: dict[tuple[int, int], Note] = {}
    for note in notes:
        start = round_to_step(note.start)
        end = max(round_to_step(note.end), start + 1)
        moved = Note(start * TICKS_PER_STEP, note.pitch, (end - start) * TICKS_PER_STEP, note.velocity)
        key = (note.pitch, start)
        if key not in kept or (moved.length, moved.velocity) > (kept[key].length, kept[key].velocity):
            kept[key] = moved
    return sorted(remove_overlaps(kept.values()))


def remove_overlaps(notes: Iterable[Note]) -> list[Note]:
    """Return the notes, sorted, each ended where the next of its pitch begins; of equal onsets the longest stays."""
    by_pitch: dict[int, list[Note]] = {}
    for note in sorted(notes, key=lambda n: (n.start, -n.length)):
        line = by_pitch.setdefault(note.pitch, [])
        if line and line[-1].start == note.start:
            continue
        if line and line[-1].end > note.start:
            line[-1] = replace(line[-1], length=note.start - line[-1].start)
        line.append(note)
    return sorted(note for line in by_pitch.values() for note in line)


@dataclass(frozen=True, slots=True)
class Metre:
    """A time signature. Raises ValueError unless a bar is a whole number of steps (4/4, 3/4, 6/8, 2/4, 5/4, ...)."""

    numerator: int = 4
    denominator: int = 4
    #: what a bar is felt in, in notes of the denominator: (2, 2, 3) of 7/8; empty: as is usual
    groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        whole = self.numerator > 0 and self.denominator in (1, 2, 4, 8, 16)
        if not whole:
            raise ValueError(f"no such metre: {self.numerator}/{self.denominator}")
        if self.groups and (min(self.groups) < 1 or sum(self.groups) != self.numerator):
            raise ValueError(f"{'+'.join(map(str, self.groups))} is no bar of {self}")

    @property
    def ticks_per_bar(self) -> int:
        """Ticks in a bar: 96 in 4/4, 72 in 3/4 and 6/8."""
        return self.numerator * 4 * TICKS_PER_BEAT // self.denominator

    @property
    def steps_per_bar(self) -> int:
        """Sixteenths in a bar: 16 in 4/4, 12 in 3/4 and 6/8."""
        return self.ticks_per_bar // TICKS_PER_STEP

    @property
    def is_compound(self) -> bool:
        """Three of the denominator's notes are one felt beat: 6/8, 9/8, 12/8, 6/4, and 3/8, whose bar is one beat."""
        return self.numerator % 3 == 0 and (self.denominator >= 8 or self.numerator > 3)

    @property
    def steps_per_pulse(self) -> int:
        """Sixteenths from one felt beat to the next: 4 in 4/4, 2/2, 3/4 and 5/4, 6 in 6/8 and 12/8, 12 in 6/4."""
        return max(1, 3 * STEPS_PER_BAR // self.denominator) if self.is_compound else STEPS_PER_BEAT

    @property
    def pulse_steps(self) -> tuple[int, ...]:
        """The sixteenths of a bar at which felt beats begin: 0, 4, 8 in 3/4, 0, 6 in 6/8, and 0, 4, 8 in 7/8.

        Bars of eighths that are no threes are felt in twos, the last three together, unless they are grouped otherwise.
        """
        if self.denominator < 8:
            return tuple(range(0, self.steps_per_bar, self.steps_per_pulse))
        groups = self.groups
        if not groups and self.numerator % 2 and not self.is_compound and self.numerator > 3:
            groups = (2,) * (self.numerator // 2 - 1) + (3,)
        return self._place_groups(groups) or tuple(range(0, self.steps_per_bar, self.steps_per_pulse))

    @property
    def downbeat_steps(self) -> tuple[int, ...]:
        """The sixteenths of a bar that are felt as a one: 0, and in 5/4, grouped as 3+2, 12, too."""
        return (self._place_groups(self.groups) if self.denominator < 8 else ()) or (0,)

    def _place_groups(self, groups: tuple[int, ...]) -> tuple[int, ...]:
        unit = STEPS_PER_BAR // self.denominator
        return tuple(sum(groups[:i]) * unit for i in range(len(groups)))

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"
