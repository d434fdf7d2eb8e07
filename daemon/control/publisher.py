"""Tells the control socket what happens, from the conductor's own thread: a World and an Output that look on.

Nothing here waits, and nothing is worked out that nobody has subscribed to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from daemon.control.control_socket import CommandDone
from daemon.core import controls, wire
from daemon.core.counters import Counters
from daemon.core.events import Event, MidiIn, PlanReady
from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_MS, TempoMap
from daemon.core.world import Output, World
from daemon.engine.looper import EditLoop

#: ns between two looks at tempo and position, and at the counters; and how much of a pause they take
OFTEN, SELDOM, ROOM = 200 * NS_PER_MS, 1_000 * NS_PER_MS, 5 * NS_PER_MS
_LATEST = 1 << 62  # a tick after all tempo marks


class Watcher(Protocol):
    """Who is told: `daemon.control.control_socket.ControlSocket`."""

    wanted: frozenset[str]

    def tell(self, *fact: object) -> None:
        """Take a fact, without waiting."""


class Watched(Protocol):
    """What is looked at: the conductor."""

    settings: Settings
    tempo: TempoMap | None
    counters: Counters
    loop: EditLoop

    @property
    def playing(self) -> bool:
        """Whether the band plays."""
        ...


class WatchedWorld:
    """A World that tells what comes in, and whenever the conductor waits how things stand."""

    def __init__(self, world: World, watcher: Watcher) -> None:
        self._world, self._watcher = world, watcher
        self._conductor: Watched | None = None
        self._settings: Settings | None = None
        self._asked: tuple[int, int] | None = None
        self._playing = False
        self._often = self._seldom = -_LATEST
        self._told = 0  # the last edit that was looked at

    def watch(self, conductor: Watched) -> None:
        """Who waits here."""
        self._conductor = conductor
        self._settings = conductor.settings

    def now(self) -> int:
        """As the world's."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """As the world's."""
        if self._conductor is not None:
            self._look(self._conductor, until)
        event = self._world.wait(until)
        match event:
            case CommandDone():
                self._asked = event.serial, self._refused()
            case PlanReady() if "plans" in self._watcher.wanted:
                self._watcher.tell("plan", wire.pack_plan(event.plan))
            case MidiIn() if "heard" in self._watcher.wanted and _is_note(event.data):
                self._watcher.tell("heard", event.data, self.tick(event.at), event.at)
        return event

    def _look(self, conductor: Watched, until: int | None) -> None:
        """What has changed since the last time."""
        if conductor.settings is not self._settings:
            self._settings = conductor.settings
            self._watcher.tell("controls", controls.current_values(conductor.settings))
        self._tell_edits(conductor.loop)
        now = self._world.now()
        turned, self._playing = conductor.playing != self._playing, conductor.playing
        if self._asked is not None or turned or now >= self._often:
            self._often = now + OFTEN
            self._tell_tempo(conductor, now)
        if (turned or now >= self._seldom) and (until is None or until - now > ROOM):
            self._seldom = now + SELDOM
            self._watcher.tell("counters", conductor.counters.to_summary())
        if self._asked is not None:
            serial, refused = self._asked
            self._asked = None
            self._watcher.tell("done", serial, self._refused() == refused)

    def _tell_edits(self, loop: EditLoop) -> None:
        if not loop.told or loop.told[-1].serial <= self._told:
            return
        if "edits" in self._watcher.wanted:
            for told in loop.told_since(self._told):
                edit = told.edit
                fields = (edit.iteration, edit.action, edit.pitch, edit.length, edit.velocity, edit.log_probability)
                self._watcher.tell("edit", told.serial, told.at, told.tick, told.bar, told.step, told.undone, fields)
        self._told = loop.told[-1].serial

    def _tell_tempo(self, conductor: Watched, now: int) -> None:
        if conductor.tempo is None:
            return
        tick = conductor.tempo.tick_at(now)
        self._watcher.tell(
            "tempo", conductor.tempo.us_at(_LATEST), conductor.playing, tick, conductor.tempo.ns_at(tick)
        )

    def tick(self, at: int) -> int | None:
        """The tick a moment (ns) lies in; None before the first note."""
        if self._conductor is None or self._conductor.tempo is None:
            return None
        return self._conductor.tempo.tick_at(at)

    def _refused(self) -> int:
        return 0 if self._conductor is None else self._conductor.counters.refused


class WatchedOutput:
    """An Output that tells which notes were sent."""

    def __init__(self, output: Output, watcher: Watcher, tick: Callable[[int], int | None]) -> None:
        """tick: where a moment (ns) lies."""
        self._output, self._watcher, self._tick = output, watcher, tick

    def send(self, data: bytes, due: int) -> None:
        """As the output's."""
        self._output.send(data, due)
        if "notes" in self._watcher.wanted and _is_note(data):
            self._watcher.tell("note", data, self._tick(due), due)


def _is_note(data: bytes) -> bool:
    return len(data) == 3 and data[0] & 0xE0 == 0x80
