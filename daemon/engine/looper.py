"""The edit loop: the last bars of what was played, going round, and the edits that the AR-CNN makes to them.

A place in the loop is a step counted from its beginning, which lies on a bar line. What is recorded or edited at a
place sounds when the band comes there next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Sequence

import numpy as np

from daemon.core.plan import AppliedEdit, LoopState
from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_S
from daemon.engine.song import BarLines
from daemon.input.melody import PlayedKey
from daemon.input.melody_channels import MelodyChannels
from music import midi
from music.edits.draft import Draft
from music.edits.edit import Edit
from music.note import EDITS, PITCHES, TICKS_PER_STEP, Metre, Note, round_to_step

#: bars of what was played that are remembered
MEMORY_BARS = 8
#: edits that are remembered, for observers
HISTORY_EDITS = 1024
#: edits that are asked for at once, at the most
MAX_WANTED_EDITS = 8
#: (start and end in ticks, pitch, velocity)
_PlayedNote = tuple[int, int, int, int]


class EditLoop:
    """Records what is played, tells which notes begin at a step, and applies a player's edits within their rate."""

    def __init__(self, channels: MelodyChannels | None = None) -> None:
        """Record from these channels; whoever owns them has them hear what changes them."""
        #: keys below this pitch are not recorded
        self.split = 0
        #: the notes that go round; None while none do
        self.draft: Draft | None = None
        #: the latest edits, oldest first
        self.applied: deque[AppliedEdit] = deque(maxlen=HISTORY_EDITS)
        self._channels = channels or MelodyChannels()
        self._down: dict[PlayedKey, tuple[int, int]] = {}  # key -> (tick, velocity)
        self._played: deque[_PlayedNote] = deque()
        self._origin = 0  # a step at which the loop begins
        self._metre = Metre()
        self._memory_ticks = MEMORY_BARS * self._metre.ticks_per_bar
        self._replaced_bar: int | None = None  # the bar, counted from the origin, that was last cleared by playing
        self._stale_until = 0  # answers to requests up to this number do not know what was played since
        self._request_count = 0
        self._serial = 0  # of the last edit
        self._budget = EditBudget()

    @staticmethod
    def is_wanted(settings: Settings, note_editors: Container[str]) -> bool:
        """Return True if, with these settings, one of the techniques that edit notes is to edit a loop."""
        return (settings.players.get(EDITS) or settings.technique) in note_editors

    # What is played

    def hear(self, tick: int, data: bytes, overdub: bool, number: int, port: int = 0) -> Sequence[tuple[int, int]]:
        """Take in a MIDI message that came at a tick, and return the notes that it replaced as (place, pitch).

        overdub: it replaces none; number: of the newest request for a plan.
        """
        if not midi.is_note(data) or data[1] > 127 or data[2] > 127:
            return ()
        status, pitch, velocity = data
        channel = status & 0x0F
        key = port, channel, pitch
        if key in self._down:
            self._release_key(key, tick, number)
        if not velocity or status < midi.NOTE_ON or pitch < self.split or not self._channels.has(channel, port):
            return ()
        self._down[key] = (tick, velocity)
        return () if overdub or self.draft is None else self._replace_bar(round_to_step(tick), number)

    def release(self, tick: int, number: int) -> None:
        """Take every key as up, as when an input is lost."""
        for key in list(self._down):
            self._release_key(key, tick, number)

    def _release_key(self, key: PlayedKey, tick: int, number: int) -> None:
        start, velocity = self._down.pop(key)
        note = start, tick if tick > start else start + 1, key[2], velocity
        played = self._played
        played.append(note)
        while played and played[0][1] <= tick - self._memory_ticks:
            played.popleft()
        if self.draft is not None:
            self._record(note)
            self._stale_until = number

    def _record(self, note: _PlayedNote) -> None:
        assert self.draft is not None
        start, end, pitch, velocity = note
        first = round_to_step(start)
        length = max(1, round_to_step(end) - first)
        self.draft.put_input(self.place(first), pitch, length, velocity)

    def _replace_bar(self, step: int, number: int) -> Sequence[tuple[int, int]]:
        """Take out what the loop has in the bar of a step, when a first note is played in it."""
        assert self.draft is not None
        bar = (step - self._origin) // self._metre.steps_per_bar
        if bar == self._replaced_bar:
            return ()
        self._replaced_bar = bar
        self._stale_until = number
        first = self.place(self._origin + bar * self._metre.steps_per_bar)
        return self.draft.clear(first, first + self._metre.steps_per_bar)

    # Going round

    def begin(self, step: int, lines: BarLines, bars: int) -> None:
        """Let the last `bars` bars that were played go round from a step on.

        If a loop is going round already, it goes on, as far as there is room for it.
        """
        tick = step * TICKS_PER_STEP
        (mark, metre), bar = lines.metre_at(tick), lines.bar_at(tick).start
        passed = (bar - mark) // metre.ticks_per_bar % bars  # bars of the loop before this one
        origin = (bar - passed * metre.ticks_per_bar) // TICKS_PER_STEP
        old, old_origin, same_metre = self.draft, self._origin, metre == self._metre
        self.draft, self._origin, self._metre, self._replaced_bar = _empty_loop(bars, metre), origin, metre, None
        self._memory_ticks = MEMORY_BARS * metre.ticks_per_bar
        if old is not None and same_metre:
            self._copy(old, old_origin, step)
            return
        for note in self._played:
            if round_to_step(note[0]) >= step - self.draft.steps:
                self._record(note)

    def go_round(self, step: int, lines: BarLines, number: int) -> list[Note]:
        """Return the notes that begin at a step, in ticks.

        Where its bar is of another metre, as another chart's may be, a loop of as many bars begins anew. number: of the
        newest request for a plan.
        """
        if self.draft is not None and lines.metre_at(step * TICKS_PER_STEP)[1] != self._metre:
            self._stale_until = number
            self.begin(step, lines, self.draft.steps // self._metre.steps_per_bar)
        return self.notes_at(step)

    def _copy(self, old: Draft, old_origin: int, step: int) -> None:
        """Put at every place what the old loop had when the band last passed there, before `step`."""
        assert self.draft is not None
        for place in range(self.draft.steps):
            passed = step - 1 - (step - 1 - self._origin - place) % self.draft.steps
            there = (passed - old_origin) % old.steps
            for pitch in np.flatnonzero(old.lengths[there]).tolist():
                length = min(int(old.lengths[there, pitch]), self.draft.find_room(place, pitch))
                if length > 0:
                    self.draft.put_input(place, pitch, length, int(old.velocities[there, pitch]))

    def end(self) -> None:
        """Let nothing go round any more; what was played is remembered."""
        self.draft = None
        self._budget.pause()

    def forget(self) -> None:
        """End the loop, and forget what was played."""
        self.end()
        self._played.clear()
        self._down.clear()

    def place(self, step: int) -> int:
        """Return the place of a step in the loop."""
        assert self.draft is not None
        return (step - self._origin) % self.draft.steps

    def last_pass(self, place: int, step: int) -> int:
        """Return the last step, up to `step`, at which the band was at a place."""
        assert self.draft is not None
        return step - (step - self._origin - place) % self.draft.steps

    def notes_at(self, step: int) -> list[Note]:
        """Return the notes that begin at a step, in ticks."""
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
        """Return the loop as it is to be shown to a player at a time (ns); None while there is none."""
        draft = self.draft
        if draft is None:
            return None
        self._budget.earn(now, settings.edits_per_second)
        self._request_count += 1
        steps, pitches = np.nonzero(draft.lengths)
        rows = zip(
            *(steps.tolist(), pitches.tolist(), draft.lengths[steps, pitches].tolist()),
            *(draft.velocities[steps, pitches].tolist(), draft.own[steps, pitches].tolist()),
            strict=True,
        )
        return LoopState(
            steps=draft.steps,
            bars=draft.bars,
            notes=tuple(rows),
            given=draft.given,
            removed=draft.removed,
            wanted_edits=min(MAX_WANTED_EDITS, self._budget.affordable(settings.edits_per_second)),
            request_count=self._request_count,
            refused=tuple((step, pitch) for step, pitch in np.argwhere(draft.refused).tolist()),
        )

    def take(self, edits: Iterable[Edit], number: int, now: int, tick: int, settings: Settings) -> list[Edit]:
        """Apply those edits of a player's answer that can still be made, and return them.

        number: of the request it answers; tick: where the band is at `now` (ns).
        """
        draft = self.draft
        if draft is None or number <= self._stale_until:
            return []
        rate = settings.edits_per_second
        self._budget.earn(now, rate)
        limits, done = settings.limits, []
        for edit in edits:
            if self._budget.affordable(rate) < 1 or not draft.fits(edit):
                continue
            if not draft.allows(edit, limits):  # they may have been turned since it was asked for
                continue
            draft.apply(edit)
            self._budget.spend(rate)
            self._note_down(edit, now, tick)
            done.append(edit)
        return done

    def edits_since(self, serial: int) -> Sequence[AppliedEdit]:
        """Return the edits made after the one with this serial number, oldest first; of very many the latest."""
        if serial == self._serial:  # nearly always, and asked whenever the conductor waits
            return ()
        found = []
        for applied in reversed(self.applied):
            if applied.serial <= serial:
                break
            found.append(applied)
        return found[::-1]

    def undo(self, number: int, now: int, tick: int) -> list[Edit]:
        """Take back the last edit, and return what was done instead."""
        if self.draft is None:
            return []
        done = self.draft.undo(1)
        self._stale_until = number
        for edit in done:
            self._note_down(edit, now, tick, undone=True)
        return done

    def _note_down(self, edit: Edit, now: int, tick: int, undone: bool = False) -> None:
        assert self.draft is not None
        self._serial += 1
        bar, step = self.draft.locate(edit.step)
        self.applied.append(AppliedEdit(self._serial, now, tick, edit, bar, step, undone))


class EditBudget:
    """Limits how fast edits are made: time earns them, at a rate (edits per second), and a second's worth is kept."""

    def __init__(self) -> None:
        self._credit_ns = 0  # the time that has been earned and not spent
        self._counted_until: int | None = None  # ns

    def earn(self, now: int, rate: float) -> None:
        """Count the time until `now` (ns)."""
        if self._counted_until is not None:
            self._credit_ns += now - self._counted_until
        self._counted_until = now
        self._credit_ns = min(self._credit_ns, max(NS_PER_S, _price_ns(rate)))

    def affordable(self, rate: float) -> int:
        """Return how many edits may be made now."""
        return self._credit_ns // _price_ns(rate) if rate > 0 else 0

    def spend(self, rate: float) -> None:
        """Pay for one edit."""
        self._credit_ns -= _price_ns(rate)

    def pause(self) -> None:
        """Earn nothing from now until `earn` is called next."""
        self._counted_until = None


def _price_ns(rate: float) -> int:
    return max(1, round(NS_PER_S / rate)) if rate > 0 else 0


def _empty_loop(bars: int, metre: Metre) -> Draft:
    steps, bar = bars * metre.steps_per_bar, metre.steps_per_bar
    return Draft(np.zeros((steps, PITCHES), np.int16), np.zeros((steps, PITCHES), np.uint8), range(0, steps, bar), True)
