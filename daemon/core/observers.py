"""Observers of a performance: recorders, displays, loudspeakers, reports. They look on and change nothing.

Every method of an observer runs on the conductor's thread, between two things that the conductor does. It must not
wait; slow work belongs to a thread or a process of the observer's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from daemon.core.counters import Counters
from daemon.core.events import Event, MidiIn, PlanReady
from daemon.core.plan import AppliedEdit, Plan
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.core.world import Output, World
from music.note import Metre

#: reasons for a band to be silent: it counts in, or waits for the melody, the control `start`, the clock it follows
WAITING_FOR = COUNT_IN, NOTE, START, CLOCK = "count-in", "note", "start", "clock"


class EditHistory(Protocol):
    """The edits made to the loop, as an observer may read them."""

    def edits_since(self, serial: int) -> Sequence[AppliedEdit]:
        """Return the edits made after the one with this serial number, oldest first."""
        ...


class ChordNames(NamedTuple):
    """The chords that the band is given, as labels of Harte et al.: `F:maj/3`, `N` for none to be played."""

    now: str | None = None  #: None where the band guesses
    next: str | None = None  #: the one that follows; None where it is not known
    source: str = "melody"  #: where `now` is from: hands, chart, memory, key; melody: the band guesses


class PlayedBar(NamedTuple):
    """A bar of a performance, in ticks from `start` up to `end`."""

    start: int
    end: int
    metre: Metre


class PerformanceView(Protocol):
    """Read access to a performance for its observers, on the conductor's thread only."""

    @property
    def settings(self) -> Settings:
        """The controls as they stand: a new object after every change."""
        ...

    @property
    def tempo(self) -> TempoMap | None:
        """Where the ticks lie in time; None before the first note."""
        ...

    @property
    def counters(self) -> Counters:
        """The conductor's counters."""
        ...

    @property
    def playing(self) -> bool:
        """True while the band plays, False while it waits for somebody to begin."""
        ...

    def find_chords(self, now: int) -> ChordNames:
        """Return the chords that the band is given at a time (ns)."""
        ...

    def find_bar(self, tick: int) -> PlayedBar:
        """Return the bar that a tick lies in, as the song or the chart has it by now."""
        ...

    @property
    def us_per_beat(self) -> int:
        """The tempo, in microseconds per beat: the band's own, or that of the clock which it follows."""
        ...

    @property
    def waiting_for(self) -> str:
        """A word for what has to come before the band sounds, one of WAITING_FOR; empty while it plays."""
        ...

    @property
    def loop(self) -> EditHistory:
        """The edits made to the loop."""
        ...


class Observer:
    """Base class of observers; each overrides the methods it needs."""

    def on_start(self, performance: PerformanceView) -> None:
        """Take note of the performance to observe; called once, before it begins."""

    def on_wait(self, now: int, until: int | None) -> int | None:
        """Look at the performance before the conductor waits until `until` (ns; None: until something happens).

        Return the time (ns) at which to be called again at the latest, or None if that does not matter.
        """
        return None

    def on_input(self, data: bytes, at: int) -> None:
        """Take a MIDI message that arrived at `at` (ns)."""

    def on_plan(self, plan: Plan) -> None:
        """Take a plan that the conductor is about to be given."""

    def on_output(self, data: bytes, due: int) -> None:
        """Take a MIDI message that has just been sent and was due at `due` (ns)."""

    def on_chords(self, chords: Sequence[tuple[int, str]]) -> None:
        """Take (tick, label) of the chords, by tick, that the band has just been told of, in the player's key.

        The label is empty where none is known any more, so that the band guesses. They replace all that was reported
        before from the first one's tick on, for a hand is read in hindsight, too.
        """


class ObservedWorld:
    """A World whose waits, MIDI input and plans are reported to observers."""

    def __init__(self, world: World, observers: Sequence[Observer]) -> None:
        self._world = world
        #: returns the wrapped world's time in nanoseconds
        self.now = world.now
        self._on_wait = tuple(each.on_wait for each in observers if _overrides(each, "on_wait"))
        self._on_input = tuple(each.on_input for each in observers if _overrides(each, "on_input"))
        self._on_plan = tuple(each.on_plan for each in observers if _overrides(each, "on_plan"))

    def wait(self, until: int | None) -> Event | None:
        """Return the wrapped world's next event, or None once `until` has come."""
        while True:
            wake = until
            if self._on_wait:
                now = self.now()
                for on_wait in self._on_wait:
                    again = on_wait(now, until)
                    if again is not None and (wake is None or again < wake):
                        wake = again
            event = self._world.wait(wake)
            if isinstance(event, MidiIn):
                for on_input in self._on_input:
                    on_input(event.data, event.at)
            elif isinstance(event, PlanReady):
                for on_plan in self._on_plan:
                    on_plan(event.plan)
            if event is not None or wake == until:
                return event


class ObservedOutput:
    """An Output whose messages are reported to observers once they have been sent."""

    def __init__(self, output: Output, observers: Sequence[Observer]) -> None:
        self._send = output.send
        self._on_output = tuple(each.on_output for each in observers if _overrides(each, "on_output"))
        if isinstance(output, ObservedOutput):  # one layer instead of two
            self._send, self._on_output = output._send, output._on_output + self._on_output

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Send one MIDI message that is due at `due` (ns), then report it; at: see `Output`."""
        self._send(data, due, at)
        for on_output in self._on_output:
            on_output(data, due)


def _overrides(observer: Observer, method: str) -> bool:
    """Tell whether an observer has a method of its own: the others are not called, for every call costs time."""
    return getattr(type(observer), method) is not getattr(Observer, method)
