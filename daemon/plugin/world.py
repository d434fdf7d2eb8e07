"""The world of a band in a DAW: its time is the host's position, and passes as far as the host has come.

Whatever is due before that is done at once, and a plan is waited for before the step that it is for: so the same
positions and notes make the same music, in real time and faster. All methods but `put` are for the conductor's thread.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from queue import Empty, SimpleQueue

from daemon.core.events import ControlChange, Event, MidiIn, OutputLatency, PlanReady, Quit, SourceLost, WorkerFailed
from daemon.core.observers import PerformanceView
from daemon.core.plan import PlanRequest
from daemon.core.tempo import NS_PER_MS, NS_PER_S, NS_PER_US
from daemon.core.world import Composer
from daemon.plugin.lead import Lead
from daemon.plugin.lines import MILLITICKS, At, Line, Played, Plays, Turned, make_line
from daemon.plugin.note_lines import NoteLines
from daemon.plugin.plan_wait import PlanWait, find_patience
from daemon.plugin.timeline import HostTimeline, Move, TimelineMember
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP

#: objects allocated, beyond those freed, that make a collection of garbage, a few milliseconds, worth its while
MIN_GARBAGE = 50_000
#: wall time between two looks at what is to be looked after while nothing happens
IDLE_NS = NS_PER_S // 2
#: a lead that has told nothing for so long (ns of wall time) tells how far the host is no more
LEAD_TIMEOUT_NS = NS_PER_S
#: wall time for which a performance goes on that no connection is left of
GRACE_NS = 10 * NS_PER_S


@dataclass(frozen=True, slots=True)
class FromPlugin:
    """A line of a connection; None: the connection has ended."""

    number: int  #: of the connection, from 1
    line: Line | None


@dataclass(slots=True)
class _Connection:
    """A connection, as the conductor's thread knows it."""

    member: TimelineMember
    plays: Plays
    told_at: int = -(1 << 62)  # when (ns of wall time) it has told the transport last


class _Script:
    """Events that are to happen at times to come; of those at one time the first that was put comes first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Event]] = []
        self._order = count()

    def put(self, at: int, event: Event) -> None:
        heapq.heappush(self._heap, (at, next(self._order), event))

    @property
    def next_at(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Event:
        return heapq.heappop(self._heap)[2]

    def take_all(self) -> list[Event]:
        return [self.pop() for _ in range(len(self._heap))]


class PluginWorld:
    """The clock and the inbox of a conductor that plays for a plugin."""

    def __init__(self, tell: Callable[[int, bytes], None], wall: Callable[[], int] = time.monotonic_ns) -> None:
        """tell: called with the number of a connection and a line for it; wall: returns the ns of a real clock."""
        self.timeline = HostTimeline()
        #: the output of the band
        self.lines = NoteLines(self.timeline, tell)
        #: the performance has ended because another begins
        self.restarts = False
        self._tell, self._wall = tell, wall
        self._inbox: SimpleQueue[Event | FromPlugin] = SimpleQueue()
        self._now = 0
        self._ready: deque[Event] = deque()
        self._script = _Script()
        self._connections: dict[int, _Connection] = {}
        self._empty_since = wall()  # since when (ns of wall time) there is no connection
        self._plans = PlanWait()
        self._lead = Lead()
        self._performance: PerformanceView | None = None

    # The world

    def now(self) -> int:
        """Return the time of the band in nanoseconds: the host's position."""
        return self._now

    def put(self, event: Event | FromPlugin) -> None:
        """Hand over an event, or a line; any thread may."""
        self._inbox.put(event)

    def leave(self) -> None:
        """End for good; any thread may."""
        self.put(Quit(self._now))

    @property
    def backlog(self) -> int:
        """The number of events that were put and are yet to be looked at."""
        return self._inbox.qsize()

    def wait(self, until: int | None) -> Event | None:
        """Return the next event, or None once the host has come past the time `until` (ns)."""
        self._follow_settings()
        while True:
            while not self._inbox.empty():  # nobody else takes from it
                self._take(self._inbox.get_nowait())
            if self._ready:
                return self._ready.popleft()
            due, limit = self._plans.due, self.timeline.passed
            if due is not None:
                limit = min(limit, due)
            at = self._script.next_at
            if at is not None and at <= limit and (until is None or at <= until) and (due is None or at < due):
                self._now = max(self._now, at)
                return self._script.pop()
            if until is not None and until < limit:
                self._now = max(self._now, until)
                return None
            if due is None or due > self.timeline.passed or not self._end_plan(due):
                self.lines.tell_until(limit + self._lead.ns)
                self._block()

    def _block(self) -> None:
        """Wait for something to come in, for a moment at most."""
        if not gc.isenabled() and gc.get_count()[0] > MIN_GARBAGE:
            gc.collect()
        wall = self._wall()
        rest = self._plans.find_rest(wall, self._patience_ns)
        timeout = IDLE_NS if rest is None else min(IDLE_NS, rest + NS_PER_MS)
        with contextlib.suppress(Empty):
            self._take(self._inbox.get(timeout=timeout / NS_PER_S))
        if not self._connections and wall > self._empty_since + GRACE_NS:
            self._ready.append(Quit(self._now))

    def _take(self, event: Event | FromPlugin) -> None:
        match event:
            case FromPlugin():
                self._hear(event.number, event.line)
            case PlanReady() | WorkerFailed():
                answer = None if self.restarts else self._plans.take(event)
                if answer is not None:
                    self._ready.append(answer)
            case _:
                self._ready.append(event)

    # Connections

    def _hear(self, number: int, line: Line | None) -> None:
        connection = self._connections.get(number)
        if isinstance(line, Plays):
            if connection is None:
                connection = self._connections[number] = _Connection(TimelineMember(), line)
                self.lines.add(number, connection.member)
                self._tell(number, make_line("lead", self._lead.ticks))
            connection.plays = line
            self._tell_taken()
        elif connection is None:
            return
        elif line is None:
            self._lose(number)
        elif isinstance(line, At):
            self._follow(number, connection, line)
        elif isinstance(line, Played):
            at = self._find_time(connection.member, line)
            self._do_at(at, MidiIn(self._now if at is None else at, line.data, number))
        elif isinstance(line, Turned):
            at = self._find_time(connection.member, line)
            change = ControlChange(
                self._now if at is None else at,
                line.key,
                line.value,
                explain=lambda reason: self._tell(number, make_line("error", reason)),
            )
            self._do_at(at, change)

    def _lose(self, number: int) -> None:
        """Go on without a connection: its keys go up, and where it was the last that played the host has stopped."""
        self.lines.remove(number)
        del self._connections[number]
        self._empty_since = self._wall()
        self._ready.append(SourceLost(self._now, number))
        self._tell_taken()
        timeline = self.timeline
        if timeline.rolling and not any(timeline.is_member(each.member) for each in self._connections.values()):
            timeline.rolling = False
            self._script.put(timeline.limit, timeline.make_position(timeline.limit))

    def _tell_taken(self) -> None:
        mask = 0
        for connection in self._connections.values():
            mask |= connection.plays.mask
        for number in self._connections:
            self._tell(number, make_line("taken", mask))

    def _find_time(self, member: TimelineMember, line: Played | Turned) -> int | None:
        """Return the time of what happens at a position; None for at once: it is none of the stretch that is played."""
        if line.epoch != member.epoch or not self.timeline.is_member(member):
            return None
        return max(self._now, self.timeline.find_time_played(line.position))

    def _do_at(self, at: int | None, event: Event) -> None:
        if at is None:
            self._ready.append(event)
        else:
            self._script.put(at, event)

    # The transport

    def _follow(self, number: int, connection: _Connection, at: At) -> None:
        """Go where the host has gone."""
        timeline, wall = self.timeline, self._wall()
        turn, loop, serial = max(self._now, timeline.limit), timeline.loop, timeline.serial
        connection.told_at = wall
        drives = connection.plays.lead or not any(
            each.plays.lead and each.told_at > wall - LEAD_TIMEOUT_NS for each in self._connections.values()
        )
        if at.mode:
            self._lead.us = at.us
            self._choose_lead(at, starts=not timeline.rolling)
        move = timeline.hear(connection.member, at, self._now, self._lead.pre_ticks, drives=drives)
        if move is None:
            return
        if move is Move.WENT_ON and timeline.loop != loop:
            self.lines.forget_loop()
        turns = timeline.tell_bar(at)
        if move is Move.STARTED:
            self._start(turn)
        elif move in (Move.JUMPED, Move.WRAPPED, Move.STOPPED):
            self._script.put(turn, timeline.make_position(turn))
        elif move is Move.WENT_ON and turns:
            line = max(self._now, timeline.find_time(timeline.bar[0]))
            self._script.put(line, timeline.make_position(line))
        if move not in (Move.WENT_ON, Move.STOPPED):
            was_told = move is Move.WRAPPED and loop is not None and abs(at.begin - loop[0]) <= MILLITICKS
            self.lines.join(number, told_ahead=serial if was_told else None)

    def _start(self, turn: int) -> None:
        """Let a new performance begin, which knows nothing of the one before."""
        self._now, self.restarts = turn, True
        self._plans.begin()
        self._ready.extend(self._script.take_all())
        self._ready.append(Quit(turn))
        self._script.put(turn, OutputLatency(turn, self._lead.latency_ns))
        self._script.put(turn, self.timeline.make_position(turn))

    def _choose_lead(self, at: At, *, starts: bool) -> None:
        """Be as far ahead of the host as the plugin needs; less than before only where it starts."""
        if self._lead.choose(at.ahead, **({} if starts else {"least": self._lead.ticks})):
            for number in self._connections:
                self._tell(number, make_line("lead", self._lead.ticks))
        self._tell_latency()

    def _follow_settings(self) -> None:
        """Look whether other settings hold, which may need another latency."""
        if self._performance is not None and self._performance.settings is not self._lead.settings:
            self._lead.settings = self._performance.settings
            self._tell_latency()

    def _tell_latency(self) -> None:
        self.lines.stray_ns = self._lead.stray_ns
        self.lines.slow_ns = {role: round(ms * NS_PER_MS) for role, ms in self._lead.settings.offsets_ms.items()}
        if self._lead.latency_ns != self.lines.latency_ns:
            self.lines.latency_ns = self._lead.latency_ns
            self._ready.append(OutputLatency(self._now, self._lead.latency_ns))

    # Performances and plans

    def begin(self, performance: PerformanceView) -> None:
        """Let a performance begin."""
        self._performance, self._lead.settings, self.restarts = performance, performance.settings, False
        self._tell_latency()

    def ask(self, composer: Composer, request: PlanRequest) -> None:
        """Ask for a plan, which arrives when the step begins that it is for."""
        tempo, due = None if self._performance is None else self._performance.tempo, None
        if tempo is not None and self.timeline.rolling and not self.restarts:
            due = max(self._now, tempo.ns_at(request.now * TICKS_PER_STEP) - self._lead.lookahead_ns)
        composer.ask(self._plans.ask(request, due))

    def _end_plan(self, due: int) -> bool:
        """Hand over the plan that is due, or go on without it; return False while it is waited for."""
        is_over, answer = self._plans.end(self._wall(), self._patience_ns)
        if answer is not None:
            self._now = max(self._now, due)
            self._ready.append(answer)
        return is_over

    @property
    def _patience_ns(self) -> int:
        timeline = self.timeline
        tick_ns = timeline.us * NS_PER_US // TICKS_PER_BEAT
        return find_patience(timeline.offline, timeline.ahead * tick_ns // MILLITICKS, self._lead.ticks * tick_ns)


class PluginComposer:
    """A Composer whose plans come when the host has come to where they are for."""

    def __init__(self, world: PluginWorld, composer: Composer) -> None:
        self._world, self._composer = world, composer

    def ask(self, request: PlanRequest) -> None:
        """Ask for a plan."""
        self._world.ask(self._composer, request)
