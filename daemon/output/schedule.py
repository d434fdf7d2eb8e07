"""The note schedule: the newest plan, the notes of it that are committed, and when each of them begins and ends.

It knows ticks, never nanoseconds, and sends nothing: it tells which notes are to begin and to end. Every note that
begins is ended by exactly one event; a note is an object of its own, so that the end of an old one never ends a newer
one of its pitch.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count
from typing import NamedTuple

from daemon.core.plan import Plan
from music.note import CHANNELS, ROLES, TICKS_PER_STEP, Note

#: an onset later than this is dropped
MAX_LATE_TICKS = TICKS_PER_STEP // 2

DRUMS = "drums"
#: the role of the count-in; it plays on the drums' channel
CLICK = "click"


class NoteState(Enum):
    """States of a committed note."""

    WAITING = "waiting"  # it has not begun
    SOUNDING = "sounding"
    SILENT = "silent"  # it should sound, but its role is muted or it was silenced
    OVER = "over"  # it has ended, or will never begin


@dataclass(slots=True, eq=False)
class ScheduledNote:
    """A committed note."""

    role: str
    channel: int
    note: Note  #: as planned, with its end as it now stands
    onset: int  #: the tick at which it begins to sound: under swing, another than the note's
    off: int  #: the tick at which it ends to sound
    heard: int | None  #: the tick up to which its plan knew the melody; None: all of it, or none
    offset: int | None = None  #: thousandths of a step by which a drummer would be late with it; None: not known
    state: NoteState = NoteState.WAITING


class NoteEvent(NamedTuple):
    """A note that is to begin or to end."""

    due: int  #: the tick at which it should
    on: bool  #: True: it begins, False: it ends
    scheduled: ScheduledNote


@dataclass(slots=True)
class RoleSchedule:
    """The schedule of one role."""

    plan: Plan | None = None  #: the newest
    committed: int = -(1 << 62)  #: the last step for which something, even a rest, was committed
    #: committed notes by (start, pitch), in the order in which they were committed
    notes: dict[tuple[int, int], ScheduledNote] = field(default_factory=dict)

    def list_begun(self, steps: range) -> list[ScheduledNote]:
        """Return the notes that begin in steps, the newest first."""
        found = []
        for scheduled in reversed(self.notes.values()):
            step = scheduled.note.start // TICKS_PER_STEP
            if step < steps.start:
                break
            if step < steps.stop:
                found.append(scheduled)
        return found


_OFF, _ON = 0, 1  # at one tick notes end before others begin


class NoteSchedule:
    """Holds all notes that will sound, by role. Steps are committed in rising order."""

    def __init__(self) -> None:
        #: how far (0..1) off-beat sixteenths are delayed towards a triplet
        self.swing = 0.0
        #: onsets that came too late to sound
        self.dropped = 0
        #: plans of which at least one step was committed
        self.used = 0
        self._newest_used = 0  # number of the newest plan of which a step was committed
        self._parts: dict[str, RoleSchedule] = {}
        self._heap: list[tuple[int, int, int, ScheduledNote]] = []  # tick, _OFF or _ON, order, note
        self._order = count()
        self._sounding: dict[tuple[int, int], ScheduledNote] = {}  # (channel, pitch)

    def replace(self, plan: Plan, tick: int) -> None:
        """Take a newer plan: it replaces what is not committed of its roles, and moves the ends of notes that sound.

        tick: the first one that has not come. A plan older than the one that is there changes nothing.
        """
        for role in plan.notes:
            part = self._parts.setdefault(role, RoleSchedule())
            if part.plan is not None and plan.number <= part.plan.number:
                continue
            part.plan = plan
            for note in plan.held.get(role, ()):
                self._move_end(part, note, max(tick, plan.first * TICKS_PER_STEP))

    def adapt(self, change: Callable[[Plan], Plan]) -> None:
        """Change the newest plans, as far as they are not committed."""
        changed: dict[int, Plan] = {}
        for part in self._parts.values():
            if part.plan is not None:
                number = part.plan.number
                changed[number] = part.plan = changed.get(number) or change(part.plan)

    def commit(self, step: int) -> int | None:
        """Commit what begins in a step, from every role's newest plan that covers it, unless it has been before.

        Return the number of the oldest plan drawn from, None if there was none.
        """
        oldest: int | None = None
        for role, part in self._parts.items():
            plan = part.plan
            if plan is None or part.committed >= step or not plan.first <= step < plan.last:
                continue
            part.committed = step
            if plan.number > self._newest_used:
                self.used, self._newest_used = self.used + 1, plan.number
            oldest = plan.number if oldest is None else min(oldest, plan.number)
            for note in _notes_in_step(plan.notes[role], step):
                self.add(role, note, plan.heard, plan.find_offset(role, note))
        return oldest

    def add(self, role: str, note: Note, heard: int | None = None, offset: int | None = None) -> None:
        """Commit one note; none of its role that was committed before begins later.

        A second note of the same start and pitch is ignored, and so is a role that has no channel.
        """
        part = self._parts.setdefault(role, RoleSchedule())
        channel = CHANNELS[DRUMS] if role == CLICK else CHANNELS.get(role)
        if channel is None or (note.start, note.pitch) in part.notes:
            return
        onset = self._swing_tick(note.start)
        off = max(onset + 1, self._swing_tick(note.end))
        scheduled = ScheduledNote(role, channel, note, onset, off, heard, offset)
        part.notes[note.start, note.pitch] = scheduled
        self._push(onset, _ON, scheduled)

    def next_tick(self) -> int | None:
        """Return the tick of the next event, None while there is none."""
        while self._heap and not _is_current(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, tick: int, now: int, muted: Collection[str] = ()) -> Iterator[NoteEvent]:
        """Yield the events due up to `tick`, in order. Notes of muted roles stay silent.

        now: the tick it really is; an onset due more than half a step earlier is dropped, as if never planned.
        """
        while (due := self.next_tick()) is not None and due <= tick:
            _, kind, _, scheduled = heapq.heappop(self._heap)
            if kind == _OFF:
                yield self._end(scheduled, due)
            elif now - due > MAX_LATE_TICKS:
                scheduled.state = NoteState.OVER
                self.dropped += 1
                del self._parts[scheduled.role].notes[scheduled.note.start, scheduled.note.pitch]
            elif scheduled.role in muted:
                scheduled.state = NoteState.SILENT
            else:
                yield from self._begin(scheduled, due)

    def silence(self, tick: int, role: str | None = None) -> list[NoteEvent]:
        """End what sounds in a role, or in all roles, and return the events for it. The plan goes on."""
        playing = [scheduled for scheduled in self._sounding.values() if role in (None, scheduled.role)]
        events = [self._end(scheduled, tick) for scheduled in playing]
        for event in events:
            event.scheduled.state = NoteState.SILENT
        return events

    def end(self, role: str, start: int, pitch: int, tick: int) -> list[NoteEvent]:
        """End the committed note of a role, start and pitch, or let it never begin; return the events for it."""
        part = self._parts.get(role)
        scheduled = None if part is None else part.notes.get((start, pitch))
        if part is None or scheduled is None:
            return []
        if scheduled.state is NoteState.SOUNDING:
            _shorten(scheduled, tick)
            return [self._end(scheduled, tick)]
        if scheduled.state is NoteState.WAITING:
            scheduled.state = NoteState.OVER
            del part.notes[start, pitch]
        return []

    def retrigger(self, events: Iterable[NoteEvent], tick: int) -> None:
        """Let the notes that these events ended begin again, at `tick`."""
        for _, _, scheduled in events:
            scheduled.onset = max(scheduled.onset, tick)
            scheduled.off = max(scheduled.off, scheduled.onset + 1)
            scheduled.state = NoteState.WAITING
            self._push(scheduled.onset, _ON, scheduled)

    def drop(self, tick: int) -> list[NoteEvent]:
        """End what sounds, forget what was to come, committed or not, and return the events for it."""
        events = self.silence(tick)
        for part in self._parts.values():
            part.plan = None
            for key, scheduled in list(part.notes.items()):
                if scheduled.state is NoteState.WAITING:
                    scheduled.state = NoteState.OVER
                    del part.notes[key]
                elif scheduled.state is NoteState.SILENT:
                    _shorten(scheduled, tick)
        self._heap.clear()
        return events

    def committed(self, role: str, since: int) -> tuple[Note, ...]:
        """Return a role's committed notes that end after `since`, and a few older ones, with their ends as they stand.

        They are sorted by start. Older ones are forgotten.
        """
        part = self._parts.get(role)
        if part is None:
            return ()
        notes = part.notes
        while notes:
            key, oldest = next(iter(notes.items()))
            if oldest.note.end > since or oldest.state is NoteState.SOUNDING:
                break
            del notes[key]
        return tuple([scheduled.note for scheduled in notes.values()])

    def list_begun(self, steps: range) -> dict[int, list[tuple[str, ScheduledNote]]]:
        """Return the band's committed notes that begin in steps, with their roles, by step."""
        found: dict[int, list[tuple[str, ScheduledNote]]] = {}
        for role, part in self._parts.items() if steps else ():
            for scheduled in part.list_begun(steps) if role in ROLES else ():
                found.setdefault(scheduled.note.start // TICKS_PER_STEP, []).append((role, scheduled))
        return found

    def notes_over(self, role: str, tick: int) -> list[Note]:
        """Return the committed notes of a role that begin before a tick and sound on over it."""
        part = self._parts.get(role)
        waiting_or_sounding = (NoteState.WAITING, NoteState.SOUNDING)
        return [
            each.note
            for each in (() if part is None else part.notes.values())
            if each.note.start < tick < each.note.end and each.state in waiting_or_sounding
        ]

    def hold(self, role: str, note: Note) -> None:
        """Let the committed note of a role with this start and pitch end where this one does, if it still sounds."""
        part = self._parts.get(role)
        if part is not None:
            self._move_end(part, note, note.end)

    def has_note(self, role: str, start: int, pitch: int) -> bool:
        """Return True if a committed note, given by its start, sounds or is going to."""
        part = self._parts.get(role)
        scheduled = None if part is None else part.notes.get((start, pitch))
        return scheduled is not None and scheduled.state in (NoteState.WAITING, NoteState.SOUNDING)

    def begins_in(self, role: str, step: int) -> bool:
        """Return True if a role's newest plan begins a note in a step that is not committed yet."""
        part = self._parts.get(role)
        if part is None or part.plan is None or part.committed >= step:
            return False
        return bool(_notes_in_step(part.plan.notes[role], step))

    def chord_at(self, role: str, tick: int, until: int) -> tuple[Note, ...]:
        """Return the notes that a role has at a tick.

        They are the first that its plan begins from there up to `until`, else those that sound over the tick, else
        those that it began last.
        """
        part = self._parts.get(role)
        if part is None:
            return ()
        planned = part.plan.notes[role] if part.plan is not None else ()
        coming = [note for note in planned if tick <= note.start < until]
        if coming:
            return tuple(note for note in coming if note.start == coming[0].start)
        past = [scheduled.note for scheduled in part.notes.values() if scheduled.note.start < tick]
        over = tuple(note for note in past if note.end > tick)
        return over or tuple(note for note in past if note.start == past[-1].start)

    @property
    def sounding(self) -> Mapping[tuple[int, int], ScheduledNote]:
        """The notes that sound, by (channel, pitch)."""
        return self._sounding

    def _begin(self, scheduled: ScheduledNote, due: int) -> Iterator[NoteEvent]:
        key = (scheduled.channel, scheduled.note.pitch)
        if key in self._sounding:
            old = self._sounding[key]
            _shorten(old, scheduled.note.start)
            yield self._end(old, due)
        scheduled.state = NoteState.SOUNDING
        self._sounding[key] = scheduled
        self._push(scheduled.off, _OFF, scheduled)
        yield NoteEvent(due, True, scheduled)

    def _end(self, scheduled: ScheduledNote, due: int) -> NoteEvent:
        scheduled.state = NoteState.OVER
        del self._sounding[scheduled.channel, scheduled.note.pitch]
        return NoteEvent(due, False, scheduled)

    def _move_end(self, part: RoleSchedule, note: Note, earliest: int) -> None:
        scheduled = part.notes.get((note.start, note.pitch))
        if scheduled is None or scheduled.state is NoteState.OVER:
            return
        if scheduled.state is NoteState.SILENT and scheduled.note.end < earliest:
            return
        end = max(note.end, earliest, scheduled.note.start + 1)
        if end == scheduled.note.end:
            return
        scheduled.note = replace(scheduled.note, length=end - scheduled.note.start)
        scheduled.off = max(scheduled.onset + 1, self._swing_tick(end))
        if scheduled.state is NoteState.SOUNDING:
            self._push(scheduled.off, _OFF, scheduled)

    def _push(self, tick: int, kind: int, scheduled: ScheduledNote) -> None:
        heapq.heappush(self._heap, (tick, kind, next(self._order), scheduled))

    def _swing_tick(self, tick: int) -> int:
        """Return where a tick lies under swing.

        The off-beat sixteenth moves up to a third of itself towards the triplet; what lies between moves with it.
        """
        late = round(self.swing * TICKS_PER_STEP / 3) if self.swing else 0
        if not late:
            return tick
        pair, place = divmod(tick, 2 * TICKS_PER_STEP)
        if place < TICKS_PER_STEP:
            place = place * (TICKS_PER_STEP + late) // TICKS_PER_STEP
        else:
            place = TICKS_PER_STEP + late + (place - TICKS_PER_STEP) * (TICKS_PER_STEP - late) // TICKS_PER_STEP
        return pair * 2 * TICKS_PER_STEP + place


def _is_current(tick: int, kind: int, _: int, scheduled: ScheduledNote) -> bool:
    if kind == _ON:
        return scheduled.state is NoteState.WAITING
    return scheduled.state is NoteState.SOUNDING and scheduled.off == tick


def _shorten(scheduled: ScheduledNote, tick: int) -> None:
    if scheduled.note.start < tick < scheduled.note.end:
        scheduled.note = replace(scheduled.note, length=tick - scheduled.note.start)


def _notes_in_step(notes: tuple[Note, ...], step: int) -> tuple[Note, ...]:
    first = bisect_left(notes, step * TICKS_PER_STEP, key=_start)
    last = bisect_left(notes, (step + 1) * TICKS_PER_STEP, lo=first, key=_start)
    return notes[first:last]


def _start(note: Note) -> int:
    return note.start
