"""What will sound: the plan, what of it has been committed, what sounds, and when each note ends.

Knows ticks, never nanoseconds, and sends nothing: it says what is to begin and to end. Every note that begins is ended
by exactly one cue; a note is an object of its own, so that the end of an old one never ends a newer one of its pitch.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count
from typing import NamedTuple

from daemon.core.plan import Plan
from music.note import CHANNELS, TICKS_PER_STEP, Note

#: An onset later than this (ticks) is dropped.
TOO_LATE = TICKS_PER_STEP // 2

DRUMS = "drums"
#: the role of the count-in; it plays on the drums' channel
CLICK = "click"


class State(Enum):
    """Where a committed note is in its life."""

    WAITING = "waiting"
    SOUNDING = "sounding"
    SILENT = "silent"
    OVER = "over"


@dataclass(slots=True, eq=False)
class ScheduledNote:
    """A committed note. note: as planned, its end as it now stands; onset, off: the ticks at which it begins and ends
    to sound (they differ from the note's under swing); heard: the tick up to which its plan knew the melody."""

    role: str
    channel: int
    note: Note
    onset: int
    off: int
    heard: int | None
    state: State = State.WAITING


class NoteEvent(NamedTuple):
    """Begin (on) or end a note now; it was due at that tick."""

    due: int
    on: bool
    entry: ScheduledNote


@dataclass(slots=True)
class RoleSchedule:
    """One role: its newest plan, up to where it has been committed, and its past."""

    plan: Plan | None = None
    committed: int = -(1 << 62)  # last step for which something (a rest, too) was committed
    past: dict[tuple[int, int], ScheduledNote] = field(
        default_factory=dict
    )  # (start, pitch) -> entry, in order of commitment


_OFF, _ON = 0, 1  # at one tick notes end before others begin


class NoteSchedule:
    """All that will sound, by role. Steps are committed in rising order."""

    def __init__(self) -> None:
        self.swing = 0.0
        #: onsets that came too late to sound
        self.dropped = 0
        #: plans of which at least one step was committed
        self.used = 0
        self._newest_used = 0
        self._lines: dict[str, RoleSchedule] = {}
        self._heap: list[tuple[int, int, int, ScheduledNote]] = []  # tick, _OFF or _ON, order, entry
        self._order = count()
        self._sounding: dict[tuple[int, int], ScheduledNote] = {}  # (channel, pitch)

    def replace(self, plan: Plan, tick: int) -> None:
        """Take a newer plan: it replaces what is not committed of the roles it names and moves the ends of notes that
        still sound. tick: now. A plan older than the one there is changes nothing."""
        for role in plan.notes:
            line = self._lines.setdefault(role, RoleSchedule())
            if line.plan is not None and plan.number <= line.plan.number:
                continue
            line.plan = plan
            for note in plan.held.get(role, ()):
                self._move_end(line, note, max(tick, plan.first * TICKS_PER_STEP))

    def commit(self, step: int) -> int | None:
        """Fix what begins in a step: from every role's newest plan, where that covers it and nothing was fixed before.

        Returns the number of the oldest plan drawn from, None if there was none.
        """
        oldest: int | None = None
        for role, line in self._lines.items():
            plan = line.plan
            if plan is None or line.committed >= step or not plan.first <= step < plan.last:
                continue
            line.committed = step
            if plan.number > self._newest_used:
                self.used, self._newest_used = self.used + 1, plan.number
            oldest = plan.number if oldest is None else min(oldest, plan.number)
            for note in _of_step(plan.notes[role], step):
                self.add(role, note, plan.heard)
        return oldest

    def add(self, role: str, note: Note, heard: int | None = None) -> None:
        """Commit one note, none of whose role begins later; a second one of its onset and pitch is ignored, and so is
        a role that has no channel."""
        line = self._lines.setdefault(role, RoleSchedule())
        channel = CHANNELS[DRUMS] if role == CLICK else CHANNELS.get(role)
        if channel is None or (note.start, note.pitch) in line.past:
            return
        onset = self._swung(note.start)
        entry = ScheduledNote(role, channel, note, onset, max(onset + 1, self._swung(note.end)), heard)
        line.past[note.start, note.pitch] = entry
        self._push(onset, _ON, entry)

    def next_tick(self) -> int | None:
        """The tick of the next cue, None while there is none."""
        while self._heap and not _valid(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, tick: int, now: int, muted: Collection[str] = ()) -> Iterator[NoteEvent]:
        """The cues due up to `tick`, in order. now: the tick it really is; an onset due more than half a step before it
        is dropped, as if it had never been planned. Notes of muted roles stay silent."""
        while (due := self.next_tick()) is not None and due <= tick:
            _, kind, _, entry = heapq.heappop(self._heap)
            if kind == _OFF:
                yield self._end(entry, due)
            elif now - due > TOO_LATE:
                entry.state = State.OVER
                self.dropped += 1
                del self._lines[entry.role].past[entry.note.start, entry.note.pitch]
            elif entry.role in muted:
                entry.state = State.SILENT
            else:
                yield from self._begin(entry, due)

    def silence(self, tick: int, role: str | None = None) -> list[NoteEvent]:
        """End what sounds in a role, or in all: the cues to do it with. The plan goes on."""
        playing = [entry for entry in self._sounding.values() if role in (None, entry.role)]
        cues = [self._end(entry, tick) for entry in playing]
        for cue in cues:
            cue.entry.state = State.SILENT
        return cues

    def end(self, role: str, start: int, pitch: int, tick: int) -> list[NoteEvent]:
        """End one committed note of a role that began, or is about to, at tick `start`: the cues to do it with."""
        line = self._lines.get(role)
        entry = None if line is None else line.past.get((start, pitch))
        if line is None or entry is None:
            return []
        if entry.state is State.SOUNDING:
            _cut(entry, tick)
            return [self._end(entry, tick)]
        if entry.state is State.WAITING:
            entry.state = State.OVER
            del line.past[start, pitch]
        return []

    def retrigger(self, cues: Iterable[NoteEvent], tick: int) -> None:
        """What was cut off as soon as it had begun, begins again, at `tick`."""
        for _, _, entry in cues:
            entry.onset = max(entry.onset, tick)
            entry.off = max(entry.off, entry.onset + 1)
            entry.state = State.WAITING
            self._push(entry.onset, _ON, entry)

    def drop(self, tick: int) -> list[NoteEvent]:
        """End what sounds and forget what was to come, committed or not: the cues to do it with."""
        cues = self.silence(tick)
        for line in self._lines.values():
            line.plan = None
            for key, entry in list(line.past.items()):
                if entry.state is State.WAITING:
                    entry.state = State.OVER
                    del line.past[key]
                elif entry.state is State.SILENT:
                    _cut(entry, tick)
        self._heap.clear()
        return cues

    def committed(self, role: str, since: int) -> tuple[Note, ...]:
        """A role's committed notes that end after `since` (and a few older ones), sorted by start, with their ends as
        they stand. Older ones are forgotten."""
        line = self._lines.get(role)
        if line is None:
            return ()
        past = line.past
        while past:
            key, oldest = next(iter(past.items()))
            if oldest.note.end > since or oldest.state is State.SOUNDING:
                break
            del past[key]
        return tuple([entry.note for entry in past.values()])

    def chord_at(self, role: str, tick: int, until: int) -> tuple[Note, ...]:
        """What a role has at a tick: the first notes its plan begins from there up to `until`, else what sounds over
        it, else what it began last."""
        line = self._lines.get(role)
        if line is None:
            return ()
        planned = line.plan.notes[role] if line.plan is not None else ()
        coming = [note for note in planned if tick <= note.start < until]
        if coming:
            return tuple(note for note in coming if note.start == coming[0].start)
        past = [entry.note for entry in line.past.values() if entry.note.start < tick]
        over = tuple(note for note in past if note.end > tick)
        return over or tuple(note for note in past if note.start == past[-1].start)

    @property
    def sounding(self) -> Mapping[tuple[int, int], ScheduledNote]:
        """(channel, pitch) -> the note that sounds there."""
        return self._sounding

    def _begin(self, entry: ScheduledNote, due: int) -> Iterator[NoteEvent]:
        key = (entry.channel, entry.note.pitch)
        if key in self._sounding:
            old = self._sounding[key]
            _cut(old, entry.note.start)
            yield self._end(old, due)
        entry.state = State.SOUNDING
        self._sounding[key] = entry
        self._push(entry.off, _OFF, entry)
        yield NoteEvent(due, True, entry)

    def _end(self, entry: ScheduledNote, due: int) -> NoteEvent:
        entry.state = State.OVER
        del self._sounding[entry.channel, entry.note.pitch]
        return NoteEvent(due, False, entry)

    def _move_end(self, line: RoleSchedule, note: Note, earliest: int) -> None:
        entry = line.past.get((note.start, note.pitch))
        if entry is None or entry.state is State.OVER:
            return
        if entry.state is State.SILENT and entry.note.end < earliest:
            return
        end = max(note.end, earliest, entry.note.start + 1)
        if end == entry.note.end:
            return
        entry.note = replace(entry.note, length=end - entry.note.start)
        entry.off = max(entry.onset + 1, self._swung(end))
        if entry.state is State.SOUNDING:
            self._push(entry.off, _OFF, entry)

    def _push(self, tick: int, kind: int, entry: ScheduledNote) -> None:
        heapq.heappush(self._heap, (tick, kind, next(self._order), entry))

    def _swung(self, tick: int) -> int:
        """Where a tick lies under swing: the off-beat sixteenth moves up to a third of itself towards the triplet, and
        what lies between moves with it."""
        late = round(self.swing * TICKS_PER_STEP / 3)
        if not late:
            return tick
        pair, place = divmod(tick, 2 * TICKS_PER_STEP)
        if place < TICKS_PER_STEP:
            place = place * (TICKS_PER_STEP + late) // TICKS_PER_STEP
        else:
            place = TICKS_PER_STEP + late + (place - TICKS_PER_STEP) * (TICKS_PER_STEP - late) // TICKS_PER_STEP
        return pair * 2 * TICKS_PER_STEP + place


def _valid(tick: int, kind: int, _: int, entry: ScheduledNote) -> bool:
    if kind == _ON:
        return entry.state is State.WAITING
    return entry.state is State.SOUNDING and entry.off == tick


def _cut(entry: ScheduledNote, tick: int) -> None:
    if entry.note.start < tick < entry.note.end:
        entry.note = replace(entry.note, length=tick - entry.note.start)


def _of_step(notes: tuple[Note, ...], step: int) -> tuple[Note, ...]:
    first = bisect_left(notes, step * TICKS_PER_STEP, key=_start)
    last = bisect_left(notes, (step + 1) * TICKS_PER_STEP, lo=first, key=_start)
    return notes[first:last]


def _start(note: Note) -> int:
    return note.start
