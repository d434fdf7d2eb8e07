"""The conductor: a loop that hears the melody, asks for plans and plays what is due, live and on virtual time alike.

In the middle of every step s (tick 6 s + 3) all melody onsets that belong to s have been heard, and the players are
asked what should sound from step s + 1 on. When a step comes, it is committed from the newest plan that covers it.
"""

from __future__ import annotations

from daemon.clocks.clock import Clock
from daemon.core.counters import Counters
from daemon.core.events import (
    CalledSong,
    ControlChange,
    Event,
    MidiIn,
    OutputLatency,
    PlanReady,
    PlayerReplaced,
    PortsBack,
    PortsLost,
    Position,
    Quit,
    Suspend,
    SystemResumed,
    WorkerFailed,
)
from daemon.core.observers import CLOCK, COUNT_IN, NOTE, START, ChordNames, PlayedBar
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.core.world import Composer, Output, World
from daemon.engine.band import Band
from daemon.engine.beginning import Beginning
from daemon.engine.chord_correction import ChordCorrection
from daemon.engine.clock_sync import ClockSync
from daemon.engine.form_player import FormPlayer
from daemon.engine.live_controls import LiveControls
from daemon.engine.looper import EditLoop
from daemon.engine.recovery import Recovery
from daemon.engine.song import SongInfo
from daemon.engine.song_change import SongChange
from daemon.engine.transport import HALF_STEP
from daemon.harmony.chart_line import ChartLine
from daemon.harmony.chord_naming import name_chord
from daemon.harmony.harmony_source import CHART
from daemon.input.transposition import Transposition
from music.encoding.chord_evidence import GivenChord
from music.midi import concerns_keys, is_system
from music.note import TICKS_PER_STEP


class Conductor:
    """Runs one performance: waits for an event until the next deadline, then does what is due.

    It holds no musical state itself; each owner of some (see `Band`) is called from this thread only. The properties
    are for observers on the same thread, to be read only.
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
        chart: ChartLine | None = None,
        opening_song: CalledSong | None = None,
    ) -> None:
        """Prepare a performance of `song`.

        replan: how often a plan is asked for, one of `daemon.core.plan.REPLAN_CHOICES`; channel: the only MIDI channel
        (0..15) on which the melody is heard, None for all; clock: the one to follow, None for the band's own tempo;
        send_clock: send MIDI clock for others to follow; chart: the song's chords, where there is a chart;
        opening_song: the song to begin with, where there are several.
        """
        self._world = world
        self._band = Band(
            output,
            composer,
            player,
            song or SongInfo(),
            world.now,
            replan=replan,
            channel=channel,
            send_clock=send_clock,
        )
        self._band.use(settings)
        self._band.input.harmony.route.change_chart(chart, None)
        self._form_player = FormPlayer(self._band)
        self._recovery = Recovery(self._band)
        self._correction = ChordCorrection(self._band)
        self._transposition = Transposition()
        self._beginning = Beginning(self._band)
        self._sync = ClockSync(clock, self._band, self._beginning)
        self._songs = SongChange(self._band)
        self._controls = LiveControls(self._band, self._sync, self._beginning, self._form_player, self._songs)
        if opening_song is not None:
            self._songs.call(opening_song, world.now())
        self._running = True

    @property
    def counters(self) -> Counters:
        """Figures of the performance so far."""
        return self._band.counters

    @property
    def settings(self) -> Settings:
        """The controls as they stand: a new object after every change."""
        return self._band.settings

    @property
    def tempo(self) -> TempoMap | None:
        """Where the ticks lie in time; None before the first note."""
        return self._band.transport.tempo

    @property
    def song(self) -> SongInfo:
        """The song that is played."""
        return self._band.transport.song

    @property
    def chart(self) -> ChartLine | None:
        """The chart that is played from, or will be from the next bar line on; None: there is none."""
        return self._band.input.harmony.route.chart

    @property
    def loop(self) -> EditLoop:
        """The loop, and the edits made to it."""
        return self._band.loop

    def find_chords(self, now: int) -> ChordNames:
        """Return the chords that the band is given at a time (ns), in the player's key: of bar 1 while it waits."""
        harmony, transport, lower = self._band.input.harmony, self._band.transport, self._band.settings.transpose
        state = harmony.find_state(transport.tick_at(now))
        if state.source == CHART and not transport.playing and not transport.led:
            state = harmony.find_state(harmony.route.bar_1)
        return ChordNames(_find_label(state.now, lower), _find_label(state.following, lower), state.source)

    def find_bar(self, tick: int) -> PlayedBar:
        """Return the bar that a tick lies in, as the song or the chart has it by now."""
        bars = self._band.transport.bars
        bar = bars.bar_at(tick)
        return PlayedBar(bar.start, bar.end, bars.metre_at(tick)[1])

    @property
    def playing(self) -> bool:
        """True while the band plays, False while it counts in or waits for somebody to begin."""
        return self._band.transport.playing and not self._band.transport.is_counting_in

    @property
    def us_per_beat(self) -> int:
        """The tempo: the band's own, or that of the clock which it follows."""
        return self._band.transport.us

    @property
    def waiting_for(self) -> str:
        """The reason for which it is silent, one of `daemon.core.observers.WAITING_FOR`; empty while it plays."""
        transport = self._band.transport
        if self._sync.waiting or transport.held_since is not None:
            return CLOCK
        if transport.playing:
            return COUNT_IN if transport.is_counting_in else ""
        if not transport.armed:
            return START
        counting = transport.song.count_in and transport.tempo is not None
        return COUNT_IN if counting and transport.tick_at(self._world.now()) < 0 else NOTE

    def run(self) -> None:
        """Play until Quit. However it ends, nothing sounds afterwards."""
        try:
            self._band.sender.choose_programs(self._world.now())
            self._beginning.get_ready(self._world.now())
            while self._running:
                event = self._world.wait(self._deadline())
                now = self._world.now()
                if isinstance(event, MidiIn):
                    self._hear(event, now)
                elif event is None:
                    self._do_what_is_due(now)
                else:
                    self._handle(event, now)
                self._songs.settle(now)
        finally:
            self._band.end_all(self._world.now())

    def _deadline(self) -> int | None:
        """Return the time (ns) at which something is next to be done, None for never."""
        band = self._band
        transport, sender = band.transport, band.sender
        deadline, at, tempo = sender.deadline, self._sync.deadline, transport.tempo
        if at is not None and (deadline is None or at < deadline):  # every event comes by here: no list, no min()
            deadline = at
        if tempo is None:
            return deadline
        tick = transport.next_tick(band.schedule.next_tick())
        if tick is not None:
            at = tempo.ns_at(tick) - sender.lookahead_ns
            if deadline is None or at < deadline:
                deadline = at
        tick = band.clock_output.next_tick
        if tick is not None:
            at = tempo.ns_at(tick)
            if deadline is None or at < deadline:
                deadline = at
        return deadline

    def _do_what_is_due(self, now: int) -> None:
        band = self._band
        self._sync.on_silence(now)
        band.sender.send_repeats(now, held=band.transport.held_since is not None)
        band.send_clock(now)
        if band.transport.tempo is not None:
            self._advance(band.transport.tempo, now)

    def _advance(self, tempo: TempoMap, now: int) -> None:
        """Go on to where the band is now; at one tick, commit the step, end notes, begin notes, ask for a plan."""
        band = self._band
        transport, schedule, sender = band.transport, band.schedule, band.sender
        position = band.position(now)
        self._recovery.catch_up(position, now)
        while (tick := transport.next_tick(schedule.next_tick())) is not None and tick <= position:
            at_grid = transport.is_at_grid(tick)
            if at_grid:
                self._correction.advance(tick)
                self._songs.advance(tick, now)
            if at_grid and tick % TICKS_PER_STEP == 0:
                self._form_player.begin_step(tick, now)
            for event in schedule.take(tick, position, band.silent_roles):
                sender.play(event, tempo, band.input.melody.level)
            sender.release(now, tempo)
            if at_grid and transport.playing:
                transport.pass_grid()
                if tick % TICKS_PER_STEP:
                    band.request_plan(tick, now, late=tick + HALF_STEP <= position)
        sender.release(now, tempo)
        band.counters.dropped = schedule.dropped

    def _handle(self, event: Event, now: int) -> None:
        band = self._band
        match event:
            case Position():
                self._sync.on_event(event, now)
            case PlanReady():
                band.take_plan(self._songs.adapt(self._correction.adapt(event.plan)), now)
            case WorkerFailed():
                band.counters.failed += 1
                band.planner.renew()
            case PlayerReplaced():
                band.counters.stand_ins += 1
                band.planner.renew()
            case ControlChange():
                accepted = self._controls.apply(event, now)
                if event.done is not None:
                    event.done(accepted)
            case PortsLost():
                self._recovery.lose_ports(now)
            case PortsBack():
                self._recovery.regain_ports(now)
            case OutputLatency():
                self._sync.set_latency(event.ns)
            case SystemResumed():
                self._recovery.resume(now)
            case Suspend():
                self._recovery.suspend(event, now, self._world.now)
            case Quit():
                self._running = False

    def _hear(self, event: MidiIn, now: int) -> None:
        """Take a MIDI message for melody or clock, unless it is one of the band's own that came back."""
        band, data = self._band, event.data
        if band.sender.is_own(data, event.at, event.port):
            band.counters.echoes += 1
        elif concerns_keys(data):  # a wheel sends hundreds of others a second
            self._transposition.semitones = band.settings.transpose
            event = self._transposition.apply(event)
            if self._sync.admit(event):
                if band.hear(event, now):
                    self._form_player.hear_note(now)
                if band.input.harmony.changed is not None:
                    self._correction.follow(now)
        elif is_system(data):
            self._sync.on_event(event, now)


def _find_label(chord: GivenChord | None, lower: int) -> str | None:
    name = None if chord is None else name_chord(chord, lower)
    return None if name is None else name.label
