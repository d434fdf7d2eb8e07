"""The loop: hears the melody, asks for plans, plays what is due. The same code live and on virtual time.

Sole owner of tempo, window, agenda and sounding notes, and the only sender. It waits for an event until a deadline.

In the middle of every step s (tick 6 s + 3) all melody onsets that belong to s have been heard, and the players are
asked what should sound from step s + 1 on. When a step comes, it is committed from the newest plan that covers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from daemon.clocks.clock import Change, Clock, ClockTick, Started, Stopped, TempoOnly
from daemon.clocks.clock_output import ClockOutput
from daemon.core import controls
from daemon.core.counters import Counters
from daemon.core.events import (
    ControlChange,
    Event,
    MidiIn,
    PlanReady,
    PortsBack,
    PortsLost,
    Position,
    Quit,
    SystemResumed,
    WorkerFailed,
)
from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_MS, NS_PER_S, TempoMap, us_per_beat
from daemon.core.world import Composer, Output, World
from daemon.engine.clock_sync import LOOP, ClockSync, OutOfSync
from daemon.engine.form import Form, Phase
from daemon.engine.humanise import humanised, lookahead_ns
from daemon.engine.loopback_filter import LoopbackFilter
from daemon.engine.looper import TECHNIQUE, EditLoop
from daemon.engine.melody import MelodyTracker
from daemon.engine.output_queue import OutputMessage, OutputQueue
from daemon.engine.schedule import CLICK, DRUMS, NoteEvent, NoteSchedule
from daemon.engine.song import SongInfo
from daemon.engine.tap_tempo import TapTempo
from music.click import clicks
from music.edits.draft import encode_sysex
from music.edits.edit import REMOVE, Edit
from music.midi import all_notes_off, is_system, note_off, note_on
from music.note import EDITS, STEPS_PER_BEAT, TICKS_PER_BEAT, TICKS_PER_STEP, Metre, Note, round_to_step

HALF_STEP = TICKS_PER_STEP // 2
_FINALE = (36, 49)  # General MIDI's bass drum and crash cymbal, which a final chord has
_STALL = 4 * TICKS_PER_BEAT  # a machine that stood still for longer (ticks) has slept: what was due is not made up for
_UNNOTICED = 15 * NS_PER_S  # ports may be gone for so long (ns) before it is noticed
_SLEEP = 20 * NS_PER_S  # and for longer (ns) than that, as if somebody had put it to sleep
_ECHO = 100 * NS_PER_MS  # after a stop, until all notes off is said once more
_MEMORY = 16 * 4 * TICKS_PER_BEAT  # how much (ticks) of what was played while the band was silent is kept


class Conductor:
    """One performance. replan: how often a plan is asked for, `step`, `beat` or `bar`; channel: the only one on which
    the melody is heard (0..15), None for all; clock: the master to follow, None for the band's own tempo; send_clock:
    be the master of others.

    Public: `counters`, `settings`, `tempo` and `loop`, to be read only, and by nobody but the conductor's own thread.
    """

    def __init__(
        self,
        world: World,
        output: Output,
        composer: Composer,
        player: PlayerInfo,
        song: SongInfo | None = None,
        settings: Settings = Settings(),
        *,
        replan: str = "step",
        channel: int | None = None,
        clock: Clock | None = None,
        send_clock: bool = False,
    ) -> None:
        self.counters = Counters()
        self.settings = settings
        self.song = song or SongInfo()
        self.tempo = self.song.tempo
        self._world, self._output, self._composer, self._player = world, output, composer, player
        self._window = MelodyTracker(settings.split, channel)
        self.loop = EditLoop(channel)
        self._agenda = NoteSchedule()
        self._outbox = OutputQueue()
        self._form = Form(self.song.metres)
        self._tapping = TapTempo()
        self._follower = ClockSync(clock)
        self._sender = ClockOutput() if send_clock else None
        self._echo = LoopbackFilter()
        self._replan = replan
        self._us = us_per_beat(self.song.bpm)
        self._running = True
        self._armed = True  # the next melody note starts the band
        self._floating = self.tempo is None and not self.song.count_in  # and it says where the ticks lie
        self._grid: int | None = None  # the next tick to look at steps, a multiple of half a step; None: not playing
        self._number = 0
        self._oldest = 0  # answers to questions before this one come from before a stop
        self._asked_for = 0  # first step of the newest question
        self._renew = True  # a plan is wanted at the next chance, whatever `replan` says
        self._asked_with = settings
        self._channels: set[int] = set()  # used so far
        self._still: int | None = None  # the master stands still since then (ns): nothing is due
        self._again: int | None = None  # when all notes off is said once more (ns)
        self._cut: list[NoteEvent] = []  # notes that it cut off when they had just begun
        self._ended: dict[tuple[int, int], int] = {}  # when (ns) a key was last told to end
        self._unheard: set[tuple[int, int]] = set()  # keys whose end may have gone to lost ports
        self._set(settings)

    @property
    def playing(self) -> bool:
        """Whether the band plays, and does not wait for somebody to begin."""
        return self._grid is not None

    def run(self) -> None:
        """Play until Quit. However it ends, nothing sounds afterwards."""
        try:
            if self.song.count_in:
                self._count_in()
            if self.song.begin is not None:
                self._begin(self.song.begin)
            while self._running:
                event = self._world.wait(self._deadline())
                if event is None:
                    self._due(self._world.now())
                else:
                    self._handle(event)
        finally:
            self._end_all()

    # Time

    def _deadline(self) -> int | None:
        clock, tick, beat = self._follower.clock, self._next_tick(), None if self._sender is None else self._sender.next
        moments = [self._outbox.next(), self._again, None if clock is None else clock.deadline]
        if self.tempo is not None:
            moments += [
                None if tick is None else self.tempo.ns_at(tick) - self._lead,
                None if beat is None else self.tempo.ns_at(beat),
            ]
        return min((at for at in moments if at is not None), default=None)

    def _due(self, now: int) -> None:
        """Something is: of the clocks, or of the band."""
        if self._follower.clock is not None:
            self._follow(self._follower.clock.on_silence(now))
        self._quieten_again(now)
        if self._sender is not None:
            self._beat(self._sender, now)
        if self.tempo is not None:
            self._advance(now)

    def _next_tick(self) -> int | None:
        if self._still is not None:
            return None
        cue = self._agenda.next_tick()
        if cue is None or self._grid is None:
            return self._grid if cue is None else cue
        return min(cue, self._grid)

    def _advance(self, now: int) -> None:
        """Do all that is due by now, in order: at one tick, commit the step, end notes, begin notes, ask.

        The band is ahead of the clock by as much as its slowest output needs, and its messages wait in the outbox.
        """
        assert self.tempo is not None
        current = self._band_tick(now)
        self._wake(current)
        while (tick := self._next_tick()) is not None and tick <= current:
            at_grid = tick == self._grid
            if at_grid and tick % TICKS_PER_STEP == 0:
                self._step(tick)
            for cue in self._agenda.take(tick, current, self._silent):
                self._send(cue)
            self._release(now)
            if at_grid and self._grid is not None:
                self._grid = tick + HALF_STEP
                if tick % TICKS_PER_STEP:
                    self._ask(tick, late=tick + HALF_STEP <= current)
        self._release(now)
        self.counters.dropped = self._agenda.dropped

    def _wake(self, current: int) -> None:
        """Has the machine stood still, it goes on with what is now; as after a sleep when that was long."""
        assert self.tempo is not None
        if self._still is None and self._grid is not None and current - self._grid > _STALL:
            self.counters.stalls += 1
            if self.tempo.ns_at(current) - self.tempo.ns_at(self._grid) > _SLEEP:
                self._wake_up()
                return
            missed = current // TICKS_PER_STEP - self._grid // TICKS_PER_STEP
            self.counters.steps += missed
            self.counters.uncovered += missed
            self._go_on(current)

    def _wake_up(self) -> None:
        """The machine has slept. Nobody waits for the music to go on where it was: the band begins again with the next
        note, or with its master."""
        now = self._world.now()
        self._window.release(self._tick(now))
        self.loop.release(self._tick(now), self._number)
        if self._grid is None or self._still is not None:
            return
        if self._follower.leads:
            self._go_on(self._band_tick(now))
        else:
            self._stop()
            self._armed = True

    def _go_on(self, current: int) -> None:
        """Where the band would be now, had it not been held up."""
        self._end_all()
        self._begin(-((HALF_STEP - current) // TICKS_PER_STEP))  # the first step whose middle has not passed

    def _step(self, tick: int) -> None:
        """A step begins."""
        bars = 0 if self._looping else self.settings.pause_bars  # a loop is there to be listened to
        self._form.pause(tick, self._window.silent_since, bars)
        match self._form.phase(tick):
            case Phase.PLAYING:
                self._commit(tick // TICKS_PER_STEP)
            case Phase.CHORD:
                self._finale(tick)
            case Phase.OVER:
                paused = self._form.ending is not None and self._form.ending.paused
                self._stop()
                self._armed = paused  # who only paused goes on when he likes

    def _finale(self, tick: int) -> None:
        """The final chord, on the harmony of the last plan."""
        assert self._form.ending is not None
        length = self._form.ending.over - tick
        harmony = {role: self._agenda.harmony(role, tick, tick + TICKS_PER_BEAT) for role in self._player.roles}
        if DRUMS in harmony:
            harmony[DRUMS] = tuple(Note(tick, pitch, 1, 100) for pitch in _FINALE)
        for cue in self._agenda.drop(tick):
            self._send(cue)
        for role, notes in harmony.items():
            for note in notes:
                self._agenda.add(role, Note(tick, note.pitch, length, note.velocity))

    def _commit(self, step: int) -> None:
        for note in self.loop.notes_at(step):
            self._agenda.add(EDITS, note)
        number = self._agenda.commit(step)
        counters = self.counters
        counters.steps += 1
        counters.uncovered += number is None
        counters.in_time += number is not None and number == self._number
        counters.used = self._agenda.used

    # Asking

    def _begin(self, step: int) -> None:
        """Ask from the middle of this step on."""
        self._armed = False
        if self._sender is not None:
            self._sender.play()
        self._grid = step * TICKS_PER_STEP + HALF_STEP
        self._renew = True
        if self._looping and self.loop.draft is None:
            self._begin_loop(step)

    def _ask(self, tick: int, late: bool) -> None:
        """The question of this tick, the middle of a step, for the steps after it. If the first of these has come
        already (the machine stood still), it is numbered, but not asked."""
        if self._form.phase(tick) is not Phase.PLAYING:
            return
        step = (tick + HALF_STEP) // TICKS_PER_STEP
        origin, metre = self.song.metre_at(step * TICKS_PER_STEP)
        settings = self._form.settings(step * TICKS_PER_STEP, self.settings)
        if not (self._renew or settings != self._asked_with or self._is_due(step, origin, metre)):
            return
        self._asked_with = settings
        self._number += 1
        self._renew = late
        if late:
            return
        self._asked_for = step
        since = (step - self._player.past_steps) * TICKS_PER_STEP - metre.ticks_per_bar
        remembered = (step - self._player.memory_steps) * TICKS_PER_STEP - metre.ticks_per_bar
        self._window.forget(remembered)
        heard = None if self.song.melody is not None else self._heard_by(tick)
        self.counters.asked += 1
        self._composer.ask(
            PlanRequest(
                number=self._number,
                now=step,
                heard=heard,
                melody=self._window.notes(remembered, heard) if heard is not None else self.song.melody or (),
                committed={role: self._agenda.committed(role, since) for role in self._player.roles},
                metre=metre,
                settings=settings,
                bar_origin=origin,
                loop=self.loop.state(self._world.now(), settings),
            )
        )

    def _is_due(self, step: int, origin: int, metre: Metre) -> bool:
        if self._replan == "step" or step >= self._asked_for + self._player.future_steps:
            return True
        if self._replan == "beat":
            return step % STEPS_PER_BEAT == 0
        return (step * TICKS_PER_STEP - origin) % metre.ticks_per_bar < TICKS_PER_STEP

    # Events

    def _handle(self, event: Event) -> None:
        match event:
            case MidiIn():
                self._listen(event)
            case Position():
                self._follow(() if self._follower.clock is None else self._follower.clock.on_event(event))
            case PlanReady():
                self._take_plan(event.plan)
            case WorkerFailed():
                self.counters.failed += 1
                self._renew = True
            case ControlChange():
                accepted = self._command(event)
                if event.done is not None:
                    event.done(accepted)
            case PortsLost():
                self._lose_ports()
            case PortsBack():
                self._greet_ports()
            case SystemResumed():
                self.counters.stalls += 1
                self._wake_up()
            case Quit():
                self._running = False

    def _listen(self, event: MidiIn) -> None:
        """To the melody, the master's clock, and nothing of one's own."""
        if self._echo.is_own(event.at, event.data):
            self.counters.echoes += 1
        elif is_system(event.data):
            self._follow(() if self._follower.clock is None else self._follower.clock.on_event(event))
        else:
            self._follower.remember(event)
            if not self._follower.waiting:
                self._hear(event)

    def _hear(self, event: MidiIn) -> None:
        tick = self._first_tick(event.at) if self._floating else self._tick(event.at)
        began = self._window.hear(tick, event.data)
        if began:
            self._form.played(tick)
        if began and self._armed:
            if self._floating:
                self._anchor(tick, event.at)
            self._begin(round_to_step(tick))
        self._end_places(self.loop.hear(tick, event.data, self.settings.overdub, self._number))
        if self._grid is None:
            self._window.forget(tick - _MEMORY)

    def _first_tick(self, at: int) -> int:
        """Where a first note now would lie: its pickup before bar 1, or before the first bar to come when this is not
        the first performance."""
        if self.tempo is None:
            return -self.song.pickup
        now = self.tempo.tick_at(at)
        origin, metre = self.song.metre_at(now)
        return now + metre.ticks_per_bar - (now + self.song.pickup - origin) % metre.ticks_per_bar

    def _anchor(self, tick: int, at: int) -> None:
        """The first note has come: now it is known where the ticks lie. What was heard before is of no account."""
        self._floating = False
        self._window.forget(tick + 1)
        self.loop.forget()
        if self.tempo is None:
            self.tempo = TempoMap(self._us, tick, at)
        else:
            self.tempo.jump(tick, at, self._us)
        if self._sender is not None:
            self._sender.begin(tick)

    def _take_plan(self, plan: Plan) -> None:
        self.counters.answered += 1
        self.counters.inference_ns.add(plan.inference_ns)
        if plan.number < self._oldest or self._grid is None or self.tempo is None:
            return
        if self._form.phase(self._grid - HALF_STEP) is not Phase.PLAYING:
            return
        current = (self._grid - 1) // TICKS_PER_STEP  # the last step whose beginning has come
        now = self._world.now()
        self._agenda.replace(plan, self.tempo.tick_from(now + self._lead))
        if plan.edits:
            self._hear_of(self.loop.take(plan.edits, plan.number, now, self._band_tick(now), self.settings), now)
        if plan.first <= current:
            self.counters.late += 1
            self._agenda.commit(current)  # for roles that had no plan at all for it

    def _command(self, event: ControlChange) -> bool:
        try:
            value = controls.parse(event.key, event.value, self._player.styles, self._techniques())
        except controls.ControlError:
            self.counters.refused += 1
            return False
        now = self._world.now()
        before = self.settings
        self._set(controls.with_control(self.settings, event.key, value))
        self._renew = True
        if _who_edits(before) != _who_edits(self.settings):
            self._change_loop(now)
        if self._grid is None and _who_plays(before) != _who_plays(self.settings):
            self._call_in()
        key, _, role = event.key.partition(".")
        if key == "mute" and role in self.settings.muted:
            self._end_now(self._agenda.silence(self._band_tick(now), role))
        elif key == "bpm" and isinstance(value, float):
            self._change_tempo(max(event.at, now), value)
        elif key == "tap":
            self._tap(event.at, now)
        elif key == "panic":
            self._end_all()
        elif key == "stop":
            self._stop()
        elif key == "start":
            self._rearm()
        elif key == "undo":
            self._hear_of(self.loop.undo(self._number, now, self._band_tick(now)), now)
        elif key in ("fill", "variation", "ending"):
            self._shape(key, now)
        return True

    def _call_in(self) -> None:
        """Nobody plays, so who is to play next may come in without haste: a question whose answer is of no use."""
        self._number += 1
        self._oldest = self._number + 1
        self.counters.asked += 1
        self._composer.ask(PlanRequest(self._number, 4, 24, (Note(0, 60, 24),), {}, settings=self.settings))

    def _shape(self, key: str, now: int) -> None:
        """What the form is told, in the bar that is now."""
        playing = self._grid is not None
        if key == "variation":
            self._form.vary(self._band_tick(now) if playing else None)
        elif playing and key == "fill":
            self._form.fill(self._band_tick(now))
        elif playing:
            self._form.end(self._band_tick(now))

    def _tap(self, at: int, now: int) -> None:
        bpm = self._tapping.tap(at)
        if bpm is not None:
            self._change_tempo(max(at, now), bpm)

    def _techniques(self) -> tuple[str, ...]:
        """Those that can be switched to."""
        return self._player.techniques or (self.settings.technique,)

    def _set(self, settings: Settings) -> None:
        self.settings = settings
        self._lead = lookahead_ns(settings)
        self._window.split = self.loop.split = settings.split
        self._agenda.swing = settings.swing
        self._silent = settings.muted | {role for role, level in settings.levels.items() if level == 0}

    def _change_tempo(self, at: int, bpm: float) -> None:
        """From the next tick on; no tick before it moves."""
        if self._follower.leads:
            return  # the master says how fast
        self._us = us_per_beat(bpm)
        if self.tempo is not None:
            self.tempo.change(self.tempo.tick_from(at), self._us)

    def _stop(self) -> None:
        """Silence, until `start` and the next melody note, which says anew where a bar begins unless that was given."""
        self._end_all()
        self._form.reset()
        self.loop.forget()
        self._armed = False
        self._floating = self.song.tempo is None and not self.song.count_in and not self._follower.leads
        self._grid = None
        for message in () if self._sender is None else self._sender.stop():
            self._output.send(message, self._world.now())
        self._oldest = self._number + 1

    def _rearm(self) -> None:
        """The next melody note starts the band, if it does not play; without its master, if that stands still."""
        if self._still is not None and self._follower.release():
            self._stop()
            self._still = None
        self._armed = self._armed or self._grid is None

    def _count_in(self) -> None:
        _, metre = self.song.metre_at(0)
        first = -self.song.count_in * metre.ticks_per_bar
        self.tempo = TempoMap(self._us, first, self._world.now())
        if self._sender is not None:
            self._sender.begin(first)
        for click in clicks(first, 0, metre):
            self._agenda.add(CLICK, Note(click.start, click.pitch, TICKS_PER_STEP // 2, 100))

    # The loop

    @property
    def _looping(self) -> bool:
        """Whether what was played goes round and is edited."""
        theirs = self.settings.players.get(EDITS) or self.settings.technique
        return theirs == TECHNIQUE and EDITS in self._player.roles

    def _begin_loop(self, step: int) -> None:
        """From this step on."""
        tick = step * TICKS_PER_STEP
        _, metre = self.song.metre_at(tick)
        bar = self.song.bar_at(tick).start
        whole = (bar - self.song.metre_at(tick)[0]) // metre.ticks_per_bar % self.settings.loop_bars
        origin = bar - whole * metre.ticks_per_bar
        self.loop.begin(step, origin // TICKS_PER_STEP, metre, self.settings.loop_bars)

    def _change_loop(self, now: int) -> None:
        """The technique, or how many bars go round, is another: what is going round ends its notes and begins anew, or
        not."""
        self._end_now(self._agenda.silence(self._band_tick(now), EDITS))
        if not self._looping:
            self.loop.end()
        elif self._grid is not None:
            self._begin_loop((self._grid - 1) // TICKS_PER_STEP + 1)

    def _hear_of(self, edits: list[Edit], now: int) -> None:
        """Edits have been made: what they removed ends, and they are told."""
        self._end_places([(edit.step, edit.pitch) for edit in edits if edit.action == REMOVE])
        if self.settings.edit_sysex and self.loop.draft is not None:
            for edit in edits:
                self._output.send(encode_sysex(edit, self.loop.draft), now)

    def _end_places(self, places: list[tuple[int, int]]) -> None:
        """Notes of the loop, by (place, pitch), that are no longer in it."""
        if not places or self._grid is None:
            return
        now, current = self._world.now(), (self._grid - 1) // TICKS_PER_STEP
        for place, pitch in places:
            start = self.loop.passed(place, current) * TICKS_PER_STEP
            self._end_now(self._agenda.end(EDITS, start, pitch, self._band_tick(now)))

    # A master

    def _follow(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case Started():
                    self._start(change)
                case Stopped():
                    self._follower.stop()
                    self._stand_still()
                case ClockTick():
                    self.counters.clock_jitter_ns.add(change.jitter)
                    self.counters.clock_lost = change.lost
                    if self._follower.rolling:
                        self._keep_up(change)
                case TempoOnly():
                    self._us = change.us
                    self._follower.pace(change, self.tempo)
                    self._keep_up(change)

    def _start(self, change: Started) -> None:
        """The master rolls, or is somewhere else: be there at once. Whatever it is, what sounded ends."""
        now = self._world.now()
        playing = self._grid is not None and not (change.fresh and self._still is not None and now - self._still > LOOP)
        self._stand_still()
        self._still, self._us, self._floating = None, change.us, False
        self._follower.start()
        if self.tempo is None:
            self.tempo = TempoMap(change.us, change.tick, change.ns)
            tick = change.tick
        else:
            near = self._follower.near(change, self.tempo, self.song.metre_at(0)[1])
            tick = self._leap(change, playing) if near is None or not playing else self._roll_on(near)
        self._follower.meet(change, tick)
        self._armed = not playing
        for event in self._follower.early(change.ns):
            self._hear(MidiIn(max(event.at, self.tempo.ns_at(tick)), event.data))

    def _leap(self, change: Started, playing: bool) -> int:
        """To the next tick that has not come and is where the master is in its bar; the plan is of no use there."""
        assert self.tempo is not None
        now = max(self._world.now(), change.ns)
        tick = self._follower.after(change, self._band_tick(now), self.song.metre_at(0)[1])
        self.counters.jumps += 1
        self._end_all()
        self._form.reset()
        self._oldest = self._number + 1
        self.tempo.jump(tick, change.ns, change.us)
        self._grid = None
        if playing:
            self._begin(round_to_step(tick))
        return tick

    def _roll_on(self, tick: int) -> int:
        """The master is in its bar where the band is: the plan fits, and what had just begun begins again."""
        here = self._band_tick(self._world.now())
        self._agenda.revive(self._cut, max(tick, here))
        if self._grid is not None:
            self._grid = max(self._grid, -(-max(tick, here) // HALF_STEP) * HALF_STEP)
        return tick

    def _stand_still(self) -> None:
        """The master does: silence, but the plan is kept, for it may only be looping."""
        if self._still is not None:
            return
        now = self._still = self._world.now()
        tick = self._band_tick(now)
        cues = self._agenda.silence(tick)
        self._cut = [cue for cue in cues if cue.entry.onset > tick - HALF_STEP]
        self._end_now(cues)
        self._quieten(now)
        self._again = now + _ECHO
        self._window.release(self._tick(now))
        self.loop.release(self._tick(now), self._number)

    def _quieten_again(self, now: int) -> None:
        """What ends at a stop may be lost on its way, as by an xrun: so it is said twice."""
        if self._again is not None and now >= self._again:
            self._again = None
            if self._still is not None:
                self._quieten(now)

    def _keep_up(self, change: ClockTick | TempoOnly) -> None:
        """A little faster or slower, so that the band is where the master is."""
        if self.tempo is None:
            return
        try:
            steer = self._follower.steer(change, self.tempo, self.tempo.tick_from(self._world.now() + self._lead))
        except OutOfSync:
            self._start(Started(change.tick, change.ns, change.us))
            return
        if steer is not None:
            self._us = steer.us
            self.tempo.steer(steer.tick, steer.target, steer.ns, steer.us)

    def _beat(self, sender: ClockOutput, now: int) -> None:
        """Be the master of others."""
        if self.tempo is None:
            return
        origin, metre = self.song.metre_at(0)
        for tick, message in sender.take(self.tempo.tick_at(now), origin, metre.ticks_per_bar):
            self._output.send(message, self.tempo.ns_at(tick))
            self._echo.sent(now, message)

    # Ports

    def _lose_ports(self) -> None:
        """What sounded will never hear its end, and what ended since they were lost has not; that is made up for when
        they are back."""
        self.counters.losses += 1
        now = self._world.now()
        self._unheard |= self._outbox.sounding | {key for key, at in self._ended.items() if now - at < _UNNOTICED}
        self._end_all()
        self._renew = True
        self._window.release(self._tick(now))
        self.loop.release(self._tick(now), self._number)

    def _greet_ports(self) -> None:
        now = self._world.now()
        for channel, pitch in sorted(self._unheard - self._outbox.sounding):
            self._output.send(note_off(channel, pitch), now)
        self._unheard.clear()
        self._renew = True

    # Sending

    def _tick(self, now: int) -> int:
        return 0 if self.tempo is None else self.tempo.tick_at(now)

    def _band_tick(self, now: int) -> int:
        """The tick that the band, which is ahead, is at."""
        return self._tick(now + self._lead)

    def _heard_by(self, tick: int) -> int:
        """The tick that the clock is at when the band is at `tick`."""
        if not self._lead or self.tempo is None:
            return tick
        return self.tempo.tick_at(self.tempo.ns_at(tick) - self._lead)

    def _end_now(self, cues: list[NoteEvent]) -> None:
        now = self._world.now()
        for cue in cues:
            for message in self._outbox.cut((cue.entry.channel, cue.entry.note.pitch), now):
                self._emit(message)

    def _send(self, cue: NoteEvent) -> None:
        """Into the outbox, from where it leaves earlier by what its synthesiser needs, and as a human hand plays it."""
        assert self.tempo is not None
        due, entry = self.tempo.ns_at(cue.due), cue.entry
        played = humanised(self.settings, entry.role, entry.note)
        slow = self.settings.offsets_ms.get(DRUMS if entry.role == CLICK else entry.role, 0)
        at = due + played.late - round(slow * NS_PER_MS)
        key = (entry.channel, entry.note.pitch)
        if cue.on:
            self._channels.add(entry.channel)
            velocity = self._velocity(entry.role, entry.note, played.velocity)
            data = note_on(*key, velocity)
            self._outbox.put(OutputMessage(at, due, data, (cue.due, entry.heard)))
        else:
            self._outbox.put(OutputMessage(at, due, note_off(*key)))

    def _release(self, now: int) -> None:
        """Send what leaves by now."""
        for message in self._outbox.take(now):
            self._emit(message)
            self._echo.sent(now, message.data)
            if message.onset is not None:
                self._count_onset(*message.onset)
            self.counters.lateness_ns.add(self._world.now() - message.at)

    def _emit(self, message: OutputMessage) -> None:
        self._output.send(message.data, message.due)
        if message.onset is None:
            self._ended[message.key] = self._world.now()

    def _velocity(self, role: str, note: Note, touch: int) -> int:
        """As planned, times the role's level, the intensity (0.7 leaves it as it is) and, mildly, how hard the melody
        is played; taken when the note is sent, so that turning a control is heard at once."""
        loud = self.settings.levels.get(role, 1.0) * (0.3 + self.settings.intensity)
        if self._window.level:
            loud *= 1 + 0.4 * (self._window.level - 80) / 80
        return min(127, max(1, round(note.velocity * loud) + touch))

    def _count_onset(self, tick: int, heard: int | None) -> None:
        self.counters.onsets += 1
        if heard is not None and self.tempo is not None:
            self.counters.age_ticks.add(tick - heard)
            self.counters.age_ns.add(self._world.now() - self.tempo.ns_at(heard))

    def _end_all(self) -> None:
        """End every note and forget the plan; then, for a synthesiser that missed something, all notes off."""
        now = self._world.now()
        self._end_now(self._agenda.drop(self._band_tick(now)))
        self._quieten(now)

    def _quieten(self, now: int) -> None:
        for message in self._outbox.flush(now):
            self._emit(message)
        for channel in sorted(self._channels):
            self._output.send(all_notes_off(channel), now)


def _who_plays(settings: Settings) -> tuple[str, Mapping[str, str]]:
    return settings.technique, settings.players


def _who_edits(settings: Settings) -> tuple[str, str, int]:
    """What, when it is turned, ends the loop or begins it anew."""
    return settings.technique, settings.players.get(EDITS, ""), settings.loop_bars
