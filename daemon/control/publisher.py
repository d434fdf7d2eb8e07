"""Publishes what happens in a performance to the control socket's server.

Nothing here waits, and nothing is computed that no client has subscribed to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from daemon.core import controls, wire
from daemon.core.observers import COUNT_IN, ChordNames, Observer, PerformanceView, PlayedBar
from daemon.core.plan import Plan
from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_MS
from music.midi import is_note

#: ns between two publications of tempo and position, and of the counters
TEMPO_INTERVAL_NS, COUNTERS_INTERVAL_NS = 200 * NS_PER_MS, 1_000 * NS_PER_MS
#: ns after which it is looked again whether what was missing is there
MISSING_INTERVAL_NS = 1_000 * NS_PER_MS
#: ns between two looks at the chords that the band is given
CHORDS_INTERVAL_NS = 20 * NS_PER_MS
#: counters are published only when the conductor has nothing to do for longer than this (ns)
COUNTERS_SLACK_NS = 5 * NS_PER_MS
#: bars that are counted one by one; behind a longer jump they are taken to be all alike
MAX_COUNTED_BARS = 64
_LATEST = 1 << 62  # a time after all others


class FactReceiver(Protocol):
    """The receiver of facts: `daemon.control.control_socket.ControlSocket`."""

    wanted: frozenset[str]  #: topics that some client has subscribed to
    outcomes: deque[tuple[int, bool, str]]  #: commands that have been handled: (serial number, accepted, why not)

    def tell(self, *fact: object) -> None:
        """Take a fact, without waiting."""


class BarCounter:
    """Counts the bars of a performance from bar 1 on, whatever their metres."""

    def __init__(self) -> None:
        self.number = 0  #: of the bar found last
        self._bar: PlayedBar | None = None

    def find(self, performance: PerformanceView, tick: int) -> PlayedBar:
        """Return the bar that a tick lies in, and count up to it."""
        bar = performance.find_bar(tick)
        if self._bar is None or bar.start < self._bar.start:
            self._bar, self.number = performance.find_bar(0), 1
        for _ in range(MAX_COUNTED_BARS):
            if self._bar.end > bar.start:
                break
            self._bar, self.number = performance.find_bar(self._bar.end), self.number + 1
        self.number += (bar.start - self._bar.start) // bar.metre.ticks_per_bar  # an upbeat, or a long way away
        self._bar = bar
        return bar


class Publisher(Observer):
    """Publishes input, plans and output as they come, and changes of settings, tempo, counters and loop."""

    def __init__(
        self,
        server: FactReceiver,
        find_missing: Callable[[], Sequence[str]] = tuple,
        told: Settings | None = None,
    ) -> None:
        """find_missing: returns what else the band waits for: `port NAME`, `player`; it must be quick.

        told: the settings that the server has been told of; None: those at the start.
        """
        self._server, self._find_missing = server, find_missing
        self._waiting: tuple[str, ...] | None = None  # what the band waited for, as was published last
        self._performance: PerformanceView | None = None
        self._settings = told
        self._playing = False
        self._chords = ChordNames()
        self._tempo_due = self._counters_due = self._chords_due = -_LATEST
        self._bars = BarCounter()
        self._told_bar: tuple[int, int] | None = None  # number and first tick of the bar that was published last
        self._last_edit = 0  # serial number of the last edit that was published

    def on_start(self, performance: PerformanceView) -> None:
        """Publish this performance."""
        self._performance = performance
        self._settings = self._settings or performance.settings

    def on_wait(self, now: int, until: int | None) -> int | None:
        """Publish what has changed since the last call. Return when to look again whether what is missing has come."""
        performance = self._performance
        if performance is None:
            return None
        missing = tuple(self._find_missing())
        if (waiting := (performance.waiting_for, *missing)) != self._waiting:
            self._waiting = waiting
            self._server.tell("waiting", [reason for reason in waiting if reason])
        if performance.settings is not self._settings:
            self._settings = performance.settings
            self._server.tell("controls", controls.current_values(performance.settings))
        self._publish_edits(performance)
        if now >= self._chords_due:
            self._chords_due = now + CHORDS_INTERVAL_NS
            self._publish_chords(performance, now)
        turned, self._playing = performance.playing != self._playing, performance.playing
        outcomes = self._server.outcomes
        if outcomes or turned or now >= self._tempo_due:
            self._tempo_due = now + TEMPO_INTERVAL_NS
            self._publish_tempo(performance, now)
        if (turned or now >= self._counters_due) and (until is None or until - now > COUNTERS_SLACK_NS):
            self._counters_due = now + COUNTERS_INTERVAL_NS
            self._server.tell("counters", performance.counters.to_summary())
        while outcomes:  # last, so that whoever asked for a change can read it back
            self._server.tell("done", *outcomes.popleft())
        again = now + MISSING_INTERVAL_NS if missing or performance.waiting_for == COUNT_IN else None
        line = self._publish_bar(performance, now) if "bars" in self._server.wanted else None
        return line if again is None or (line is not None and line < again) else again

    def on_input(self, data: bytes, at: int) -> None:
        """Publish a note that was played to the band."""
        if "heard" in self._server.wanted and is_note(data):
            self._server.tell("heard", data, self._tick_at(at), at)

    def on_plan(self, plan: Plan) -> None:
        """Publish a plan."""
        if "plans" in self._server.wanted:
            self._server.tell("plan", wire.pack_plan(plan))

    def on_output(self, data: bytes, due: int) -> None:
        """Publish a note of the band."""
        if "notes" in self._server.wanted and is_note(data):
            self._server.tell("note", data, self._tick_at(due), due)

    def _publish_chords(self, performance: PerformanceView, now: int) -> None:
        chords = performance.find_chords(now)
        if chords != self._chords:
            self._chords = chords
            self._server.tell("chord", *chords)

    def _publish_bar(self, performance: PerformanceView, now: int) -> int | None:
        """Publish the bar that has begun; return when (ns) the next one will."""
        tempo = performance.tempo
        if tempo is None or not performance.playing:
            self._told_bar = None
            return None
        bar = self._bars.find(performance, tempo.tick_at(now))
        if (self._bars.number, bar.start) != self._told_bar:
            self._told_bar = self._bars.number, bar.start
            self._server.tell("bar", self._bars.number, str(bar.metre), bar.start, bar.end, tempo.ns_at(bar.start))
        return tempo.ns_at(bar.end)

    def _publish_edits(self, performance: PerformanceView) -> None:
        for made in performance.loop.edits_since(self._last_edit):
            self._last_edit = made.serial
            if "edits" in self._server.wanted:
                edit = made.edit
                fields = (edit.iteration, edit.action, edit.pitch, edit.length, edit.velocity, edit.log_probability)
                self._server.tell("edit", made.serial, made.at, made.tick, made.bar, made.step, made.undone, fields)

    def _publish_tempo(self, performance: PerformanceView, now: int) -> None:
        tempo, us = performance.tempo, performance.us_per_beat
        if tempo is None:
            self._server.tell("tempo", us, performance.playing, None, None)
            return
        tick = tempo.tick_at(now)
        self._bars.find(performance, tick)
        self._server.tell("tempo", us, performance.playing, tick, tempo.ns_at(tick))

    def _tick_at(self, at: int) -> int | None:
        """Return the tick that a time (ns) lies in, None before the first note."""
        tempo = None if self._performance is None else self._performance.tempo
        return None if tempo is None else tempo.tick_at(at)
