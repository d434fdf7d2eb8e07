"""Where a master's song position lies on the band's own timeline, which never runs backwards.

The two are in step with the bar: a master's tick and the band's tick differ by whole bars, and by how many changes with
every jump. Pure: is told what the clock says and says what the conductor is to do.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from daemon.clocks.clock import Clock, ClockTick, Started, TempoOnly
from daemon.core.events import MidiIn
from daemon.core.tempo import NS_PER_MS, NS_PER_S, NS_PER_US, TempoMap
from music import midi
from music.errors import HousebandError
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Metre

#: a note that comes so long (ns) before a start belongs to it: the first one can overtake it on its way
EARLY = 50 * NS_PER_MS
#: a master that rolls on from the top after no more than this (ns) has looped, not begun anew
LOOP = NS_PER_S // 2
#: ticks in which the band comes back to where the master is, and by which they may differ before it leaps there
HORIZON, APART = TICKS_PER_STEP, TICKS_PER_BEAT // 2
#: beats (1/24) for which they must differ that much: one that was late on its way says nothing
PATIENCE = 4
#: a difference (ns) that is let be
NEAR = 100_000


@dataclass(frozen=True, slots=True)
class TempoCorrection:
    """From `tick` on play so that `target` is at `ns`, and from there on `us` microseconds per beat."""

    tick: int
    target: int
    ns: int
    us: int


class ClockSync:
    """One master. commands of its clock: until it has rolled the band waits for it."""

    def __init__(self, clock: Clock | None) -> None:
        self.clock = clock
        #: the master moves
        self.rolling = False
        #: the master has the say: it has rolled, or nothing plays without it
        self.leads = clock is not None and clock.waits_for_start
        self._offset = 0  # the band's ticks minus the master's
        self._paced = False
        self._apart = 0  # beats that were too far from where the band is, one after the other
        self._recent: deque[MidiIn] = deque()

    @property
    def waiting(self) -> bool:
        """Whether what is played now waits for the master to roll."""
        return self.leads and not self.rolling and not self._paced

    def release(self) -> bool:
        """Play without the master until it rolls again, where the clock allows that. True if so."""
        if self.clock is not None and not self.clock.waits_for_start and not self.rolling:
            self.leads = False
        return not self.leads

    def remember(self, event: MidiIn) -> None:
        """What was played just now may turn out to belong to a start."""
        if self.clock is None:
            return
        while self._recent and self._recent[0].at < event.at - EARLY:
            self._recent.popleft()
        self._recent.append(event)

    def early(self, ns: int) -> list[MidiIn]:
        """The notes of the last moments before `ns`, and all after it, whose keys are still down."""
        down: dict[tuple[int, int], MidiIn] = {}
        for event in self._recent:
            if event.at < ns - EARLY or not midi.is_note(event.data):
                continue
            if midi.is_note_on(event.data):
                down[midi.key_of(event.data)] = event
            else:
                down.pop(midi.key_of(event.data), None)
        return list(down.values())

    def start(self) -> None:
        """The master rolls."""
        self.rolling = self.leads = True

    def stop(self) -> None:
        """The master stands still."""
        self.rolling = False

    def near(self, change: Started, tempo: TempoMap, metre: Metre) -> int | None:
        """The band's tick at which the master now is, if the band is there already, to half a step; None if not."""
        here = tempo.tick_at(change.ns)
        bar = metre.ticks_per_bar
        tick = here + (change.tick - here + bar // 2) % bar - bar // 2
        return tick if abs(tempo.ns_at(tick) - change.ns) <= _span(change.us) * TICKS_PER_STEP // 2 else None

    @staticmethod
    def after(change: Started, here: int, metre: Metre) -> int:
        """The next tick after `here` that is where the master now is in its bar."""
        return here + 1 + (change.tick - here - 1) % metre.ticks_per_bar

    def meet(self, change: Started, tick: int) -> None:
        """The master's position is the band's `tick`."""
        self._offset = tick - change.tick

    def steer(self, change: ClockTick | TempoOnly, tempo: TempoMap, begin: int) -> TempoCorrection | None:
        """How to be where the master is, from the tick `begin` on; None where the band is there already. Raises Astray
        when they have been too far apart for a while."""
        tick = change.tick + self._offset
        apart = abs(tempo.ns_at(tick) - change.ns) > APART * _span(change.us)
        self._apart = self._apart + 1 if apart else 0
        if self._apart > PATIENCE:
            self._apart = 0
            raise OutOfSync
        target = max(tick, begin) + HORIZON
        ns = change.ns + (target - tick) * change.us * NS_PER_US // TICKS_PER_BEAT
        fast = abs(tempo.us_at(target) - change.us) * 1000 > change.us
        if not fast and abs(tempo.ns_at(target) - ns) <= NEAR:
            return None
        return TempoCorrection(begin, target, ns, change.us)

    def pace(self, change: TempoOnly, tempo: TempoMap | None) -> None:
        """A master that only beats: its ticks are the band's, wherever the band began."""
        if not self._paced or tempo is None:
            self._paced = True
            self._offset = 0
        if tempo is not None and abs(tempo.ns_at(change.tick + self._offset) - change.ns) > _span(change.us):
            self._offset = tempo.tick_at(change.ns + _span(change.us) // 2) - change.tick


class OutOfSync(HousebandError):
    """The band and the master are too far apart to come together by playing faster or slower."""


def _span(us: int) -> int:
    return us * NS_PER_US // TICKS_PER_BEAT
