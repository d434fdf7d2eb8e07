"""Requests for plans, and plans: what is exchanged with a player.

A request tells what was played so far; a plan says what should sound from then on. Both are frozen and picklable, for
the players live in a process of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from daemon.core.settings import Settings
from music.analysis.key import Key
from music.chords import NO_CHORD
from music.edits.edit import Edit
from music.note import TICKS_PER_STEP, Metre, Note

if TYPE_CHECKING:  # it loads arrays, which nothing here needs
    from music.encoding.chord_evidence import GivenChord

#: General MIDI drum note -> its place in StepOffsets; all others are at `others`
_DRUM_GROUPS = {
    **dict.fromkeys((35, 36), 0),
    **dict.fromkeys((37, 38, 39, 40), 1),
    **dict.fromkeys((42, 44, 46, 49, 51, 52, 53, 54, 55, 57, 59, 69, 70, 82), 2),
}
_OTHERS = 3
#: how often a plan may be asked for: at every step or beat, every two beats from the bar line on, or at every bar
REPLAN_CHOICES = ("step", "beat", "two-beats", "bar")


@dataclass(frozen=True, slots=True)
class LoopState:
    """The edit loop as a player is shown it. Its places are steps from its beginning."""

    steps: int  #: its length
    bars: tuple[int, ...]  #: the steps at which its bars begin
    #: (step, pitch, length in steps, velocity, True if an edit put it there); plain tuples, which are quick to pickle
    notes: tuple[tuple[int, int, int, int, bool], ...]
    given: int  #: notes in it that the performer played, those that are gone included
    removed: int  #: how many of them edits have removed
    wanted_edits: int  #: how many edits are asked for
    request_count: int  #: rises by one with every request
    refused: tuple[tuple[int, int], ...] = ()  #: (step, pitch) of edits that the performer has taken back


@dataclass(frozen=True, slots=True)
class AppliedEdit:
    """An edit that has been made to the loop."""

    serial: int  #: counts all edits of a performance, from 1
    at: int  #: when it was made, ns
    tick: int  #: where the band was
    edit: Edit
    bar: int  #: of the loop, from 1
    step: int  #: in that bar, from 0
    undone: bool = False  #: True if it took an earlier edit back


@dataclass(frozen=True, slots=True)
class Recollection:
    """The music that the band played where the melody has been before, as it would sound again from `now` on."""

    until: int  #: the step up to which it is told
    trust: float  #: how much the melody is like it was there, 0..1
    #: role -> notes, sorted by start, that end after the request's `now`: those that began before it as well, with the
    #: ends that they had
    notes: Mapping[str, tuple[Note, ...]]


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A request for a plan. Ticks count from bar 1; a step is a sixteenth, 6 ticks."""

    number: int  #: rises by one with every request
    now: int  #: the first step that the plan may write
    heard: int | None  #: the tick up to which the melody is known; None: all of it is, as offline
    #: notes of the melody as far back as the player remembers; one that is still held ends at `heard`
    melody: tuple[Note, ...]
    #: role -> notes of the accompaniment that begin before `now` and may not be changed any more, those of muted roles
    #: included; one that still sounds has its planned end
    committed: Mapping[str, tuple[Note, ...]]
    metre: Metre = Metre()  #: that of `now`
    settings: Settings = Settings()
    bar_origin: int = 0  #: a tick at which a bar of this metre begins
    loop: LoopState | None = None  #: for a player that edits a loop
    #: chords that are known around `now` from elsewhere than the melody, sorted by start: at least four beats of the
    #: past, and all that is known of the next nine; empty where there are none
    harmony: tuple[GivenChord, ...] = ()
    recalled: Recollection | None = None  #: what was played where the melody has been before; None: it is new
    upcoming: tuple[str, ...] = ()  #: techniques that are soon to play, to be loaded meanwhile
    key: Key | None = None  #: the key that chords keep to which are guessed, as the band sounds; None: any
    bpm: int = 120  #: quarters a minute at `now`
    fill: bool = False  #: somebody wants a fill at `now`
    #: steps that are to be played of the plan, as the next is asked for then, unless that is late; None: all of them
    played_steps: int | None = None


class ChosenChord(NamedTuple):
    """A chord that a player chose to play, in the band's key."""

    tick: int  #: at which it begins
    root: int  #: pitch class
    quality: int  #: index in music.chords.QUALITIES


def list_chord_changes(chosen: Iterable[tuple[int, int]], first: int) -> tuple[ChosenChord, ...]:
    """Return where chords begin; chosen: root and quality of every step from `first` on."""
    changes = []
    before = None
    for step, chord in enumerate(chosen, first):
        if chord != before and chord[0] != NO_CHORD:
            changes.append(ChosenChord(step * TICKS_PER_STEP, *chord))
            before = chord
    return tuple(changes)


class StepOffsets(NamedTuple):
    """The thousandths of a step by which a step's notes are late, below 0 early, as a drummer would play them."""

    kick: int
    snare: int
    cymbals: int
    others: int  #: drums that are none of these
    bass: int  #: the kick's where it is hit
    chords: int  #: of chords and pad: the mean of the drums that are hit


@dataclass(frozen=True, slots=True)
class Plan:
    """A player's answer: every note that begins in steps [first, last), for every role that the player plays."""

    number: int  #: the request's
    first: int  #: the request's `now`
    last: int
    heard: int | None  #: the request's
    #: role -> notes, sorted by start. A missing role is another player's and stays as it is; an empty one rests
    notes: Mapping[str, tuple[Note, ...]]
    #: role -> committed notes that sound at `first`, as they should now end, never before `first`; a note that is left
    #: out keeps its end
    held: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)
    inference_ns: int = 0  #: the time that the answer took
    edits: tuple[Edit, ...] = ()  #: of the request's loop, to be applied in order; the loop itself is not in `notes`
    #: the chords that the notes were chosen for, where each begins, from step `first` on; empty: none was chosen
    chords: tuple[ChosenChord, ...] = ()
    #: of steps from `first` on, as many as a drummer was asked about; empty: nobody knows how one would play
    offsets: tuple[StepOffsets, ...] = ()

    def find_offset(self, role: str, note: Note) -> int | None:
        """Return by how many thousandths of a step a note of a role is late; None where that is not known."""
        step = note.start // TICKS_PER_STEP - self.first
        if not 0 <= step < len(self.offsets):
            return None
        offsets = self.offsets[step]
        if role == "drums":
            return offsets[_DRUM_GROUPS.get(note.pitch, _OTHERS)]
        return offsets.bass if role == "bass" else offsets.chords
