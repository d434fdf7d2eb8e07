"""The loop that the AR-CNN edits: the last bars of what was played, going round, and the edits made to them.

Belongs to the conductor: it records what is heard, says which notes begin at a step, shows itself to the player and
takes the player's edits. Places in the loop are steps from its beginning, which lies on a bar line; what is recorded
or edited at a place sounds when the band comes there next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from daemon.core.plan import AppliedEdit, LoopState
from daemon.core.settings import Settings
from music import midi
from music.edits.draft import Draft
from music.edits.edit import Edit
from music.note import PITCHES, TICKS_PER_STEP, Metre, Note, round_to_step

#: the technique that edits it
TECHNIQUE = "arcnn"
#: bars of what was played that are remembered
MOST_BARS = 8
_NS = 1_000_000_000
#: at most so many edits are asked for at once
AT_ONCE = 8


class EditLoop:
    """split, channel: as the window has them. `told` holds the last edits made, for whoever wants to know."""

    def __init__(self, channel: int | None = None) -> None:
        self.split = 0
        #: what goes round; None while nothing does
        self.draft: Draft | None = None
        self.told: deque[AppliedEdit] = deque(maxlen=1024)
        self._channel = channel
        self._down: dict[tuple[int, int], tuple[int, int]] = {}  # (channel, pitch) -> (tick, velocity)
        self._past: deque[Note] = deque()
        self._origin = 0  # a step at which the loop begins
        self._metre = Metre()
        self._touched: int | None = None  # the bar (counted from the origin) that was last cleared to be replaced
        self._changed_for = 0  # answers to questions up to this one know nothing of what was played since
        self._turn = 0
        self._serial = 0
        self._credit = 0  # ns of edits that may be made
        self._since: int | None = None  # when it was last counted

    # What is played

    def hear(self, tick: int, data: bytes, overdub: bool, number: int) -> list[tuple[int, int]]:
        """Take in a MIDI message that came at a tick. number: of the newest question. Returns (step of the loop, pitch)
        of the notes that it replaced."""
        if not midi.is_note(data) or max(data[1:]) > 127:
            return []
        channel, key = midi.channel_of(data), midi.key_of(data)
        if channel == midi.DRUM_CHANNEL or self._channel not in (None, channel) or data[1] < self.split:
            return []
        self._end(key, tick, number)
        if midi.is_note_off(data):
            return []
        self._down[key] = (tick, data[2])
        return [] if overdub else self._make_room(round_to_step(tick), number)

    def release(self, tick: int, number: int) -> None:
        """Every key is up, as when an input is lost."""
        for key in list(self._down):
            self._end(key, tick, number)

    def _end(self, key: tuple[int, int], tick: int, number: int) -> None:
        begun = self._down.pop(key, None)
        if begun is None:
            return
        start, velocity = begun
        note = Note(start, key[1], max(1, tick - start), velocity)
        self._past.append(note)
        longest = MOST_BARS * self._metre.ticks_per_bar
        while self._past and self._past[0].end <= tick - longest:
            self._past.popleft()
        if self.draft is not None:
            self._record(note)
            self._changed_for = number

    def _record(self, note: Note) -> None:
        assert self.draft is not None
        first = round_to_step(note.start)
        length = max(1, round_to_step(note.end) - first)
        self.draft.give(self.place(first), note.pitch, length, note.velocity)

    def _make_room(self, step: int, number: int) -> list[tuple[int, int]]:
        """The first note played in a bar takes out what the loop has there."""
        if self.draft is None:
            return []
        bar = (step - self._origin) // self._metre.steps_per_bar
        if bar == self._touched:
            return []
        self._touched = bar
        self._changed_for = number
        first = self.place(self._origin + bar * self._metre.steps_per_bar)
        return self.draft.clear(first, first + self._metre.steps_per_bar)

    # Going round

    def begin(self, step: int, origin: int, metre: Metre, bars: int) -> None:
        """From now, a step, on, `bars` bars go round: the last that were played. origin: a step at which a bar begins.

        What had been going round goes on, as far as there is room for it."""
        old, old_origin = self.draft, self._origin
        per_bar = metre.steps_per_bar
        steps = bars * per_bar
        draft = Draft(
            np.zeros((steps, PITCHES), np.int16), np.zeros((steps, PITCHES), np.uint8), range(0, steps, per_bar), True
        )
        same = old is not None and metre == self._metre
        self.draft, self._origin, self._metre, self._touched = draft, origin, metre, None
        if same and old is not None:
            for place in range(steps):  # the last time that each place was passed
                passed = step - 1 - (step - 1 - origin - place) % steps
                there = (passed - old_origin) % old.steps
                for pitch in np.flatnonzero(old.lengths[there]).tolist():
                    length = min(int(old.lengths[there, pitch]), draft.room(place, pitch))
                    if length > 0:
                        draft.give(place, pitch, length, int(old.velocities[there, pitch]))
            return
        for note in self._past:
            if round_to_step(note.start) >= step - steps:
                self._record(note)

    def end(self) -> None:
        """Nothing goes round any more; what was played is remembered."""
        self.draft = None
        self._since = None

    def forget(self) -> None:
        """As if nothing had been played."""
        self.end()
        self._past.clear()
        self._down.clear()

    def place(self, step: int) -> int:
        """Where in the loop a step lies."""
        assert self.draft is not None
        return (step - self._origin) % self.draft.steps

    def passed(self, place: int, step: int) -> int:
        """The last step up to `step` at which the band was at a place."""
        assert self.draft is not None
        return step - (step - self._origin - place) % self.draft.steps

    def notes_at(self, step: int) -> list[Note]:
        """The notes that begin at a step."""
        if self.draft is None:
            return []
        place = self.place(step)
        return [
            Note(
                step * TICKS_PER_STEP,
                pitch,
                int(self.draft.lengths[place, pitch]) * TICKS_PER_STEP,
                int(self.draft.velocities[place, pitch]),
            )
            for pitch in np.flatnonzero(self.draft.lengths[place]).tolist()
        ]

    # Editing

    def state(self, now: int, settings: Settings) -> LoopState | None:
        """The loop to be shown to a player at a moment (ns); None while there is none."""
        draft = self.draft
        if draft is None:
            return None
        self._earn(now, settings.edits_per_second)
        self._turn += 1
        steps, pitches = np.nonzero(draft.lengths)
        rows = zip(
            *(steps.tolist(), pitches.tolist(), draft.lengths[steps, pitches].tolist()),
            *(draft.velocities[steps, pitches].tolist(), draft.own[steps, pitches].tolist()),
            strict=True,
        )
        want = min(AT_ONCE, self._affordable(settings.edits_per_second))
        refused = tuple((step, pitch) for step, pitch in np.argwhere(draft.refused).tolist())
        return LoopState(draft.steps, draft.bars, tuple(rows), draft.given, draft.removed, want, self._turn, refused)

    def take(self, edits: Iterable[Edit], number: int, now: int, tick: int, settings: Settings) -> list[Edit]:
        """A player's answer to question `number`: the edits of it that could be made, and are."""
        draft = self.draft
        if draft is None or number <= self._changed_for:
            return []
        self._earn(now, settings.edits_per_second)
        limits, done = settings.limits, []
        for edit in edits:
            if self._affordable(settings.edits_per_second) < 1 or not draft.fits(edit):
                continue
            if not draft.allows(edit, limits):  # they may have been turned since it was asked for
                continue
            draft.apply(edit)
            self._credit -= _price(settings.edits_per_second)
            self._tell(edit, now, tick)
            done.append(edit)
        return done

    def told_since(self, serial: int) -> list[AppliedEdit]:
        """The edits made after the one of that serial, oldest first; of very many the last."""
        found = []
        for told in reversed(self.told):
            if told.serial <= serial:
                break
            found.append(told)
        return found[::-1]

    def undo(self, number: int, now: int, tick: int) -> list[Edit]:
        """Take back the last edit: what was done instead."""
        if self.draft is None:
            return []
        done = self.draft.undo(1)
        self._changed_for = number
        for edit in done:
            self._tell(edit, now, tick, undone=True)
        return done

    def _tell(self, edit: Edit, now: int, tick: int, undone: bool = False) -> None:
        assert self.draft is not None
        self._serial += 1
        bar, step = self.draft.place(edit.step)
        self.told.append(AppliedEdit(self._serial, now, tick, edit, bar, step, undone))

    def _earn(self, now: int, rate: float) -> None:
        """Time gives leave to edit, so much a second; no more than a second of it is saved up."""
        if self._since is not None:
            self._credit += now - self._since
        self._since = now
        self._credit = min(self._credit, max(_NS, _price(rate)))

    def _affordable(self, rate: float) -> int:
        return self._credit // _price(rate) if rate > 0 else 0


def _price(rate: float) -> int:
    """What an edit costs, ns."""
    return max(1, round(_NS / rate)) if rate > 0 else 0
