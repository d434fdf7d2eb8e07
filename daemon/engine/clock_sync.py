"""Clock sync: where the followed clock's song position lies on the band's own timeline, which never runs backwards.

The two are in step with the bar: a tick of the clock and the band's tick differ by whole bars, and by how many changes
with every jump of the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from daemon.clocks.clock import BarTold, Change, Clock, ClockTick, Moved, Started, Stopped, TempoOnly
from daemon.core.events import MidiIn, Position
from daemon.core.tempo import NS_PER_MS, NS_PER_S, NS_PER_US
from daemon.engine.band import Band
from daemon.engine.beginning import Beginning, ClockState
from daemon.engine.transport import HALF_STEP
from daemon.output.schedule import NoteEvent
from music import midi
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Metre, round_to_step

#: a note that comes this long before a start belongs to it: the first one can overtake the start on its way
EARLY_NS = 50 * NS_PER_MS
#: a clock that starts from the top after no longer than this has looped, not begun anew
LOOP_NS = NS_PER_S // 2
#: ticks in which the band comes back to where the clock is
CATCH_UP_TICKS = TICKS_PER_STEP
#: ticks by which band and clock may differ before the band leaps there
MAX_DRIFT_TICKS = TICKS_PER_BEAT // 2
#: clock ticks for which they must differ that much: one that was late on its way says nothing
MAX_DRIFTING_CLOCK_TICKS = 4
#: a difference that is left as it is
TOLERANCE_NS = 100_000


class ClockSync:
    """Follows a clock: starts, holds, moves and bends the band's timeline as the clock says."""

    def __init__(self, clock: Clock | None, band: Band, beginning: Beginning) -> None:
        """Have the band follow `clock`, or nothing if it is None, and begin as `beginning` has it."""
        self._clock, self._band, self._beginning = clock, band, beginning
        self._rolling = False
        self._tempo_only = False  # the clock has told its tempo and never a position
        self._offset = 0  # the band's tick minus the clock's
        self._drifting = 0  # clock ticks in a row that were too far from where the band is
        self._recent: deque[MidiIn] = deque()  # what was played in the last moments
        self._cut_off: list[NoteEvent] = []  # notes that the last stop ended when they had just begun
        self._latency_ns = 0  # what the ports take
        self._lead(clock is not None and clock.waits_for_start)

    @property
    def deadline(self) -> int | None:
        """When (ns) silence of the clock means something; None for never."""
        return None if self._clock is None else self._clock.deadline

    @property
    def waiting(self) -> bool:
        """True while nothing that is played is heard, because the clock has yet to start."""
        return self._band.transport.led and not self._rolling and not self._tempo_only

    @property
    def state(self) -> ClockState:
        """The state of the clock, as whoever begins must know it."""
        if self.waiting or self._band.transport.held_since is not None:
            return ClockState.AWAITED
        return ClockState.ROLLING if self._rolling else ClockState.NONE

    def on_event(self, event: MidiIn | Position, now: int) -> None:
        """Follow a message of the clock. A System Reset resets what is played on its port, too."""
        if isinstance(event, MidiIn) and event.data[0] == midi.SYSTEM_RESET:
            self._band.hear(event, now)
        if self._clock is not None:
            self._apply(self._clock.on_event(event), now)

    def on_silence(self, now: int) -> None:
        """Follow the clock's silence until now."""
        if self._clock is not None:
            self._apply(self._clock.on_silence(now), now)

    def admit(self, event: MidiIn) -> bool:
        """Keep what was just played for a moment, for a late start may begin with it. Return True if it is heard."""
        if self._clock is None:
            return True
        while self._recent and self._recent[0].at < event.at - EARLY_NS:
            self._recent.popleft()
        self._recent.append(event)
        return not self.waiting

    def let_go(self) -> bool:
        """Let the band play without the clock until that starts again; return False if it must wait for the clock."""
        if self._clock is not None and not self._clock.waits_for_start and not self._rolling:
            self._band.transport.is_paced = False
            self._lead(False)
        return not self._band.transport.led

    def set_latency(self, ns: int) -> None:
        """Take note of how long the ports take; while a clock is followed the band makes up for that."""
        self._latency_ns = ns
        self._lead(self._band.transport.led)

    def _lead(self, led: bool) -> None:
        """Let the clock say where bar 1 lies, or the band.

        Only a clock can be on time with what it hears: to a band's own beat players fit theirs, and being ahead would
        cost it knowledge of the melody.
        """
        self._band.transport.led = led
        self._band.sender.make_up_for(self._latency_ns if led else 0)

    def _apply(self, changes: Iterable[Change], now: int) -> None:
        for change in changes:
            match change:
                case Started():
                    self._start(change, now)
                case Stopped():
                    self._rolling = False
                    self._hold(now)
                case ClockTick():
                    self._band.counters.clock_jitter_ns.add(change.jitter)
                    self._band.counters.clock_lost = change.lost
                    if self._rolling:
                        self._keep_up(change, now)
                case TempoOnly():
                    self._follow_tempo(change)
                    self._keep_up(change, now)
                case Moved():
                    self._move(change)
                case BarTold():
                    self._place_bars(change, now)

    # Starts, leaps and stops

    def _start(self, change: Started, now: int) -> None:
        """Be where the clock is, which has started or jumped. Whatever sounded ends."""
        transport = self._band.transport
        held = transport.held_since
        looped = not change.fresh or held is None or now - held <= LOOP_NS
        playing = transport.playing and looped
        is_alone = playing and not transport.led and self._leads_in
        if not transport.led:
            self._band.call_off()
        self._hold(now)
        transport.release()
        transport.us, transport.is_paced, self._rolling = change.us, True, True
        self._lead(True)
        matching = self._matching_tick(change) if playing and not is_alone and not change.elsewhere else None
        if transport.tempo is None:
            tick = change.tick
            transport.anchor(tick, change.ns)
        elif matching is None:
            tick = self._leap(change, playing, now)
        else:
            tick = self._roll_on(matching, now)
        transport.anchored = True
        self._offset = tick - change.tick
        self._restart_chart(tick)
        if not playing or is_alone:
            self._beginning.begin_with_clock(tick, now, plays_on=is_alone)
        assert transport.tempo is not None
        first = transport.tempo.ns_at(tick)
        for event in self._played_early(change.ns):
            self._band.hear(MidiIn(max(event.at, first), event.data), now)

    @property
    def _leads_in(self) -> bool:
        """True if the band counts in, or plays before the melody: nowhere in a song that a clock knows of."""
        transport = self._band.transport
        return transport.is_counting_in or self._band.input.harmony.lead_in.lasts(transport.grid)

    def _restart_chart(self, tick: int) -> None:
        """Be where the clock is in the chart, too; an ending under way goes on, which is nowhere in the song."""
        bars, ending = self._band.transport.bars, self._band.form.ending
        self._band.input.harmony.lead_in.move(self._offset)
        if ending is None or ending.paused:
            bars.restart(self._offset, tick)
        else:
            bars.route.bar_1 = self._offset

    def _leap(self, change: Started, playing: bool, now: int) -> int:
        """Leap to the next tick that has not come and is where the clock is in its bar; the plan is of no use there."""
        band = self._band
        tick = self._next_matching_tick(change, band.position(max(now, change.ns)))
        band.counters.jumps += 1
        band.end_all(now)
        band.form.reset()
        band.planner.discard_pending()
        band.transport.leap(tick, change.ns, change.us)
        if playing:
            band.begin(round_to_step(tick))
        return tick

    def _roll_on(self, tick: int, now: int) -> int:
        """Go on with the plan, for the clock is in its bar where the band is; what had just begun begins again."""
        first = max(tick, self._band.position(now))
        self._band.schedule.retrigger(self._cut_off, first)
        self._band.transport.skip_to(first)
        return tick

    def _move(self, change: Moved) -> None:
        """Play on: only where the band is in the song has changed."""
        tick = self._band.transport.tick_at(change.ns)
        self._offset = tick - change.tick
        self._restart_chart(tick)

    def _place_bars(self, change: BarTold, now: int) -> None:
        """Let the bars from one on be those of the clock, unless they are."""
        bars, line = self._band.transport.bars, change.tick + self._offset
        origin, metre = bars.metre_at(max(line, self._band.position(now)))
        if metre != change.metre or (line - origin) % metre.ticks_per_bar:
            bars.change_metres(((0, change.metre),), line)
            self._band.planner.renew()

    def _hold(self, now: int) -> None:
        """Be silent while the clock stands still, but keep the plan: it may only be looping."""
        band = self._band
        if band.transport.held_since is not None:
            return
        band.transport.hold(now)
        tick = band.position(now)
        events = band.schedule.silence(tick)
        self._cut_off = [event for event in events if event.scheduled.onset > tick - HALF_STEP]
        band.sender.end(events, now)
        band.sender.end_all(now)
        band.sender.repeat_end_all(now)
        band.release_keys(now)

    def _played_early(self, start: int) -> list[MidiIn]:
        """Return the notes played since shortly before `start` (ns) whose keys are still down."""
        down: dict[tuple[int, int], MidiIn] = {}
        for event in self._recent:
            if event.at < start - EARLY_NS or not midi.is_note(event.data):
                continue
            if midi.is_note_on(event.data):
                down[midi.key_of(event.data)] = event
            else:
                down.pop(midi.key_of(event.data), None)
        return list(down.values())

    # Positions

    @property
    def _metre(self) -> Metre:
        return self._band.transport.bars.metre_at(self._offset)[1]

    def _matching_tick(self, change: Started) -> int | None:
        """Return the band's tick at which the clock now is, if the band is there to half a step; None if not."""
        tempo = self._band.transport.tempo
        if tempo is None:
            return None
        here, bar = tempo.tick_at(change.ns), self._metre.ticks_per_bar
        tick = here + (change.tick - here + bar // 2) % bar - bar // 2
        return tick if abs(tempo.ns_at(tick) - change.ns) <= _tick_ns(change.us) * TICKS_PER_STEP // 2 else None

    def _next_matching_tick(self, change: Started, position: int) -> int:
        """Return the next tick after `position` that is where the clock now is in its bar."""
        return position + 1 + (change.tick - position - 1) % self._metre.ticks_per_bar

    def _follow_tempo(self, change: TempoOnly) -> None:
        """Take the ticks of a clock that only tells its tempo for the band's own, wherever the band began."""
        tempo, span = self._band.transport.tempo, _tick_ns(change.us)
        self._band.transport.us, self._band.transport.is_paced = change.us, True
        if not self._tempo_only or tempo is None:
            self._tempo_only = True
            self._offset = 0
        if tempo is not None and abs(tempo.ns_at(change.tick + self._offset) - change.ns) > span:
            self._offset = tempo.tick_at(change.ns + span // 2) - change.tick

    def _keep_up(self, change: ClockTick | TempoOnly, now: int) -> None:
        """Play a little faster or slower, so that the band is where the clock is; leap if they are too far apart."""
        transport = self._band.transport
        tempo = transport.tempo
        if tempo is None:
            return
        tick, span = change.tick + self._offset, _tick_ns(change.us)
        drifts = abs(tempo.ns_at(tick) - change.ns) > MAX_DRIFT_TICKS * span
        self._drifting = self._drifting + 1 if drifts else 0
        if self._drifting > MAX_DRIFTING_CLOCK_TICKS:
            self._drifting = 0
            self._start(Started(change.tick, change.ns, change.us), now)
            return
        begin = tempo.tick_from(now + self._band.sender.lookahead_ns)
        target = max(tick, begin) + CATCH_UP_TICKS
        target_ns = change.ns + (target - tick) * change.us * NS_PER_US // TICKS_PER_BEAT
        other_tempo = abs(tempo.us_at(target) - change.us) * 1000 > change.us
        if other_tempo or abs(tempo.ns_at(target) - target_ns) > TOLERANCE_NS:
            transport.us = change.us
            tempo.steer(begin, target, target_ns, change.us)


def _tick_ns(us: int) -> int:
    return us * NS_PER_US // TICKS_PER_BEAT
