"""The band: the owners of a performance's state, and the operations that concern several of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from daemon.clocks.clock_output import ClockOutput
from daemon.core.counters import Counters
from daemon.core.events import MidiIn
from daemon.core.plan import Plan
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.world import Composer, Output
from daemon.engine.form import Form, Phase
from daemon.engine.loop_player import LoopPlayer
from daemon.engine.looper import EditLoop
from daemon.engine.planner import Planner
from daemon.engine.song import SongInfo
from daemon.engine.transport import HALF_STEP, Transport
from daemon.harmony.band_input import BandInput
from daemon.output.schedule import CLICK, NoteSchedule
from daemon.output.sender import NoteSender
from music.note import PITCHED_ROLES, TICKS_PER_BEAT, TICKS_PER_STEP, Note, round_to_step

#: how much (ticks) of what is played while the band is silent is remembered
MEMORY_TICKS = 16 * 4 * TICKS_PER_BEAT


class Band:
    """Everything that makes up a performance, but for the loop that runs it and whatever controls it from outside.

    The band is ahead of the clock by as much as its slowest synthesiser needs: `position` is the tick that it is at.
    Every method has the world's time, in nanoseconds, as `now`.
    """

    def __init__(
        self,
        output: Output,
        composer: Composer,
        player: PlayerInfo,
        song: SongInfo,
        now: Callable[[], int],
        *,
        replan: str = "step",
        channel: int | None = None,
        send_clock: bool = False,
    ) -> None:
        """Play `song` with `player`; the parameters are the conductor's."""
        self.counters = Counters()
        self.player = player
        self.settings = Settings()  # how the controls stand
        self.silent_roles: frozenset[str] = frozenset()  # muted, or of level 0
        self.transport = Transport(song)  # whether the band plays, how fast, and where it is
        bars = self.transport.bars
        self.form = Form(bars)  # fills, variations, endings
        self.input = BandInput(bars.bar_at, bars.route, channel)  # what was played to the band
        self.clicks: tuple[Note, ...] = ()  # of the count-in
        self.schedule = NoteSchedule()  # what the band will play, in ticks
        self.sender = NoteSender(output, now, self.counters)
        self.clock_output = ClockOutput(enabled=send_clock)
        self.loop = EditLoop(self.input.channels)  # what goes round and is edited
        self.loop_player = LoopPlayer(self.loop, self.transport, self.schedule, self.sender, player.note_editors)
        owners = self.input.melody, self.schedule, self.loop, self.counters, self.input.harmony, bars
        self.planner = Planner(composer, player, song, *owners, replan=replan)

    def use(self, settings: Settings) -> None:
        """Let these settings hold from now on."""
        self.transport.change_song(self.settings, settings)
        self.settings = settings
        self.silent_roles = settings.muted | {role for role, level in settings.levels.items() if level == 0}
        self.input.use(settings)
        self.loop.split, self.schedule.swing = self.input.melody.split, settings.swing
        self.loop_player.use(settings)
        self.sender.use(settings)

    def position(self, now: int) -> int:
        """Return the tick that the band is at."""
        return self.transport.tick_at(now + self.sender.lookahead_ns)

    # Beginning and ending

    def count_in(self, clicks: Sequence[Note]) -> None:
        """Play these clicks, which come before the performance."""
        self.clicks = tuple(clicks)
        if clicks:
            self.clock_output.begin(clicks[0].start)
        for click in clicks:
            self.schedule.add(CLICK, click)

    def begin(self, step: int, entry: int | None = None) -> None:
        """Play; the first plan is asked for in the middle of this step.

        entry: the tick at which the band comes in, if that is still to come: it counts in until then.
        """
        self.clock_output.play(entry)
        self.transport.begin(step, entry)
        self.planner.renew()
        self.loop_player.begin(step)

    def stop(self, now: int) -> None:
        """Be silent, until somebody arms the transport and a melody note begins anew."""
        self.call_off()
        self.end_all(now)
        self.form.reset()
        self.input.harmony.final_tick = None
        self.loop.forget()
        self.transport.resume_tempo(now + self.sender.lookahead_ns)
        self.transport.stop()
        for message in self.clock_output.stop():
            self.sender.send(message, now)
        self.planner.discard_pending()

    def call_off(self) -> None:
        """Count in no more, and lead in to no melody."""
        self.clicks = ()
        self.input.harmony.lead_in.cancel()
        self.transport.entry = None

    def end_all(self, now: int) -> None:
        """End every note and drop the plan; clicks of a count-in are still to come."""
        position = self.position(now)
        self.sender.end(self.schedule.drop(position), now)
        self.sender.end_all(now)
        for click in self.clicks:
            if click.start > position:
                self.schedule.add(CLICK, click)

    def release_keys(self, now: int) -> None:
        """Take every key of the player as up, whose note-offs may never come."""
        tick = self.transport.tick_at(now)
        self.input.release(tick)
        self.loop.release(tick, self.planner.number)

    # Steps

    def request_plan(self, tick: int, now: int, *, late: bool) -> None:
        """Ask, in the middle of a step, for what sounds from the next step on; late: that has begun already."""
        if self.form.phase(tick) is Phase.PLAYING:
            step = (tick + HALF_STEP) // TICKS_PER_STEP
            settings = self.form.settings(step * TICKS_PER_STEP, self.settings)
            heard = self.transport.tick_before(tick, self.sender.lookahead_ns)
            bpm, fill = self.transport.find_bpm(tick), self.form.is_fill(step * TICKS_PER_STEP)
            self.planner.request(step, settings, heard, now, bpm=bpm, fill=fill, late=late)

    def take_plan(self, plan: Plan, now: int) -> None:
        """Play from this plan, from now on, unless it comes from before a stop or the end is near."""
        tempo = self.transport.tempo
        if not self.planner.receive(plan) or not self.transport.playing or tempo is None:
            return
        if self.form.phase(self.transport.grid - HALF_STEP) is not Phase.PLAYING:
            return
        self.schedule.replace(self._leave_out_unknown(plan), tempo.tick_from(now + self.sender.lookahead_ns))
        if plan.edits:
            self.loop_player.take(plan.edits, plan.number, now)
        if plan.first <= self.transport.last_step:
            self.counters.late += 1
            self.schedule.commit(self.transport.last_step)  # for roles that had no plan at all for it

    def _leave_out_unknown(self, plan: Plan) -> Plan:
        """Return a plan without notes of pitch where neither melody nor chords nor key say which: drums lead in."""
        harmony, first = self.input.harmony, plan.first
        if not harmony.lacks_chords(first):
            return plan
        lost = next((step for step in range(first, plan.last) if not harmony.lacks_chords(step)), plan.last)
        notes = {
            role: tuple(note for note in line if note.start >= lost * TICKS_PER_STEP) if role in PITCHED_ROLES else line
            for role, line in plan.notes.items()
        }
        return replace(plan, notes=notes)

    # The melody

    def hear(self, event: MidiIn, now: int) -> bool:
        """Take in what is played: it may be melody, start the band, and go into the loop.

        Return True if a note of the melody begins.
        """
        transport, data, port = self.transport, event.data, event.port
        tick, armed = transport.tick_of_input(event.at), transport.armed
        is_note = self.input.hear(tick, data, port, is_armed=armed)
        if is_note and self.input.harmony.lead_in.hear_melody(tick):
            self.planner.renew()
        if is_note and armed:
            if transport.anchored:
                transport.bars.restart(transport.find_bar_1(tick), tick)
            else:
                self.anchor(tick, event.at, tick + transport.song.pickup)
            self.begin(round_to_step(tick))
        self.loop_player.hear(tick, data, port, self.planner.number, now)
        if not transport.playing:
            self.input.melody.forget(tick - MEMORY_TICKS)
        return is_note

    def anchor(self, tick: int, at: int, bar_1: int) -> None:
        """Let a tick lie at `at` (ns), and bar 1 at another. Nothing that was heard before counts."""
        self.input.forget(tick, bar_1)
        self.transport.bars.restart(bar_1)
        self.loop.forget()
        self.transport.anchor(tick, at)
        self.clock_output.begin(tick)

    def send_clock(self, now: int) -> None:
        """Send the band's own MIDI clock, as far as it is due."""
        tempo = self.transport.tempo
        if tempo is None or self.clock_output.next_tick is None:
            return
        origin, metre = self.transport.bars.metre_at(tempo.tick_at(now))
        for tick, message in self.clock_output.take(tempo.tick_at(now), origin, metre.ticks_per_bar):
            self.sender.send_clock(message, tempo.ns_at(tick), now)
