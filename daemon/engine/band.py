"""The band: the owners of a performance's state, and the operations that concern several of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from daemon.clocks.clock_output import ClockOutput
from daemon.core.counters import Counters
from daemon.core.events import MidiIn
from daemon.core.plan import Plan
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.world import Composer, Output
from daemon.engine.form import Form, Phase
from daemon.engine.looper import EditLoop
from daemon.engine.planner import Planner
from daemon.engine.schedule import CLICK, DRUMS, NoteSchedule
from daemon.engine.sender import NoteSender
from daemon.engine.song import SongInfo
from daemon.engine.transport import HALF_STEP, Transport
from daemon.harmony.harmony_source import HarmonySource, find_split
from daemon.input.melody import MelodyTracker
from daemon.input.melody_channels import MelodyChannels
from music.edits.edit import REMOVE, Edit
from music.edits.sysex import encode_sysex
from music.midi import CONTROL_CHANGE
from music.note import EDITS, TICKS_PER_BEAT, TICKS_PER_STEP, Note, round_to_step

#: how much (ticks) of what is played while the band is silent is remembered
MEMORY_TICKS = 16 * 4 * TICKS_PER_BEAT
#: General MIDI's bass drum and crash cymbal, for the drums of a final chord
FINAL_DRUMS = (36, 49)


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
        self.channels = MelodyChannels(channel)  # where melody is heard
        self.melody = MelodyTracker(channels=self.channels)  # what was played to the band
        self.schedule = NoteSchedule()  # what the band will play, in ticks
        self.loop = EditLoop(self.channels)  # what goes round and is edited
        self.harmony = HarmonySource(bars.bar_at, self.channels.has, bars.route)  # the chords that the player gives
        owners = self.melody, self.schedule, self.loop, self.counters, self.harmony, bars
        self.planner = Planner(composer, player, song, *owners, replan=replan)
        self.sender = NoteSender(output, now, self.counters)
        self.clock_output = ClockOutput(enabled=send_clock)

    def use(self, settings: Settings) -> None:
        """Let these settings hold from now on."""
        self.settings = settings
        self.silent_roles = settings.muted | {role for role, level in settings.levels.items() if level == 0}
        self.melody.split = self.loop.split = find_split(settings)
        self.harmony.use(settings)
        self.channels.chords, self.schedule.swing = settings.chord_channel - 1, settings.swing
        self.sender.use(settings)

    def position(self, now: int) -> int:
        """Return the tick that the band is at."""
        return self.transport.tick_at(now + self.sender.lookahead_ns)

    # Beginning and ending

    def start(self, now: int) -> None:
        """Begin the performance: with a count-in, at a given step, or by waiting for the first note."""
        song = self.transport.song
        if song.count_in:
            clicks = self.transport.count_in(now)
            self.clock_output.begin(clicks[0].start)
            for click in clicks:
                self.schedule.add(CLICK, click)
        if song.begin is not None:
            self.begin(song.begin)

    def begin(self, step: int) -> None:
        """Play; the first plan is asked for in the middle of this step."""
        self.clock_output.play()
        self.transport.begin(step)
        self.planner.renew()
        if self.looping and self.loop.draft is None:
            self.loop.begin(step, self.transport.bars, self.settings.loop_bars)

    def stop(self, now: int) -> None:
        """Be silent, until somebody arms the transport and a melody note begins anew."""
        self.end_all(now)
        self.form.reset()
        self.loop.forget()
        self.transport.stop()
        for message in self.clock_output.stop():
            self.sender.send(message, now)
        self.planner.discard_pending()

    def end_all(self, now: int) -> None:
        """End every note and drop the plan."""
        self.sender.end(self.schedule.drop(self.position(now)), now)
        self.sender.end_all(now)

    def release_keys(self, now: int) -> None:
        """Take every key of the player as up, whose note-offs may never come."""
        tick = self.transport.tick_at(now)
        self.melody.release(tick)
        self.loop.release(tick, self.planner.number)
        self.harmony.release()

    # The machine stood still

    def catch_up(self, position: int, now: int) -> None:
        """Go on at `position`, if the machine stood still for long; as after a sleep if it was for very long."""
        stall = self.transport.find_stall(position)
        if stall is None:
            return
        self.counters.stalls += 1
        if stall.slept:
            self.wake_up(now)
            return
        self.counters.steps += stall.missed_steps
        self.counters.uncovered += stall.missed_steps
        self._begin_again(position, now)

    def wake_up(self, now: int) -> None:
        """Begin again after a sleep, which nobody sits through: with the clock, if one leads, else with a note."""
        self.release_keys(now)
        if not self.transport.playing or self.transport.held_since is not None:
            return
        if self.transport.led:
            self._begin_again(self.position(now), now)
        else:
            self.stop(now)
            self.transport.arm()

    def _begin_again(self, position: int, now: int) -> None:
        self.end_all(now)
        self.begin(-((HALF_STEP - position) // TICKS_PER_STEP))  # the first step whose middle has not passed

    # Steps

    def begin_step(self, tick: int, now: int) -> None:
        """Do what the form has for the step that begins at a tick: mostly, commit its notes."""
        bars = self.settings.pause_bars
        if bars and not self.looping:  # a loop is there to be listened to
            self.form.end_after_pause(tick, self.melody.silent_since(tick), bars)
        match self.form.phase(tick):
            case Phase.PLAYING:
                step = tick // TICKS_PER_STEP
                for note in self.loop.go_round(step, self.transport.bars, self.planner.number):
                    self.schedule.add(EDITS, note)
                self.planner.count_step(self.schedule.commit(step))
            case Phase.CHORD:
                self._play_final_chord(tick)
            case Phase.OVER:
                paused = self.form.ending is not None and self.form.ending.paused
                self.stop(now)
                if paused:  # whoever only paused goes on when he likes
                    self.transport.arm()

    def _play_final_chord(self, tick: int) -> None:
        """Hold the harmony of the last plan to the end."""
        assert self.form.ending is not None
        assert self.transport.tempo is not None
        length = self.form.ending.over - tick
        chord = _make_final_chord(self.schedule, self.player.roles, tick)
        for event in self.schedule.drop(tick):
            self.sender.play(event, self.transport.tempo, self.melody.level)
        for role, notes in chord.items():
            for note in notes:
                self.schedule.add(role, Note(tick, note.pitch, length, note.velocity))

    def request_plan(self, tick: int, now: int, *, late: bool) -> None:
        """Ask, in the middle of a step, for what sounds from the next step on; late: that has begun already."""
        if self.form.phase(tick) is Phase.PLAYING:
            step = (tick + HALF_STEP) // TICKS_PER_STEP
            settings = self.form.settings(step * TICKS_PER_STEP, self.settings)
            heard = self.transport.tick_before(tick, self.sender.lookahead_ns)
            self.planner.request(step, settings, heard, now, late=late)

    def take_plan(self, plan: Plan, now: int) -> None:
        """Play from this plan, from now on, unless it comes from before a stop or the end is near."""
        tempo = self.transport.tempo
        if not self.planner.receive(plan) or not self.transport.playing or tempo is None:
            return
        if self.form.phase(self.transport.grid - HALF_STEP) is not Phase.PLAYING:
            return
        self.schedule.replace(plan, tempo.tick_from(now + self.sender.lookahead_ns))
        if plan.edits:
            self.announce(self.loop.take(plan.edits, plan.number, now, self.position(now), self.settings), now)
        if plan.first <= self.transport.last_step:
            self.counters.late += 1
            self.schedule.commit(self.transport.last_step)  # for roles that had no plan at all for it

    # The melody

    def hear(self, event: MidiIn, now: int) -> None:
        """Take in what is played: it may be melody, start the band, and go into the loop."""
        transport, data, port = self.transport, event.data, event.port
        tick, armed = transport.tick_of_input(event.at), transport.armed
        if data[0] >= CONTROL_CHANGE and (changed := self.channels.hear(data, port)):
            self.melody.release_channels(tick, port, changed)
        self.melody.split = self.harmony.hear(tick, data, port, is_armed=armed)
        if self.melody.hear(tick, data, port):
            self.form.melody_played(tick)
            if armed:
                if transport.anchored:
                    self.harmony.route.restart(transport.find_bar_1(tick), tick)
                else:
                    self._anchor(tick, event.at)
                self.begin(round_to_step(tick))
        if removed := self.loop.hear(tick, data, self.settings.overdub, self.planner.number, port):
            self._end_loop_notes(removed, now)
        if not transport.playing:
            self.melody.forget(tick - MEMORY_TICKS)

    def _anchor(self, tick: int, at: int) -> None:
        """Let bar 1 lie where the first melody note says. Nothing that was heard before counts."""
        self.melody.forget(tick + 1)
        self.loop.forget()
        self.harmony.forget(tick, tick + self.transport.song.pickup)
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

    # The loop

    @property
    def looping(self) -> bool:
        """True if what is played goes round and is edited."""
        return self.loop.is_wanted(self.settings, self.player.note_editors)

    def change_loop(self, now: int) -> None:
        """End what goes round, and begin it anew if it is still wanted: technique or number of bars have changed."""
        self.sender.end(self.schedule.silence(self.position(now), EDITS), now)
        if not self.looping:
            self.loop.end()
        elif self.transport.playing:
            self.loop.begin(self.transport.last_step + 1, self.transport.bars, self.settings.loop_bars)

    def announce(self, edits: Sequence[Edit], now: int) -> None:
        """End the notes that edits, which have just been applied, removed; send the edits as MIDI, if wanted."""
        self._end_loop_notes([(edit.step, edit.pitch) for edit in edits if edit.action == REMOVE], now)
        if self.settings.edit_sysex and self.loop.draft is not None:
            for edit in edits:
                self.sender.send(encode_sysex(edit, self.loop.draft), now)

    def _end_loop_notes(self, places: Iterable[tuple[int, int]], now: int) -> None:
        """End notes, given by place in the loop and pitch, that are no longer in it."""
        if not self.transport.playing:
            return
        for place, pitch in places:
            start = self.loop.last_pass(place, self.transport.last_step) * TICKS_PER_STEP
            self.sender.end(self.schedule.end(EDITS, start, pitch, self.position(now)), now)

    # Ports

    def lose_ports(self, now: int) -> None:
        """End everything: neither band nor player can be heard."""
        self.counters.losses += 1
        self.sender.lose_ports(now)
        self.end_all(now)
        self.planner.renew()

    def regain_ports(self, now: int) -> None:
        """Make up for the note-offs that were lost, and ask anew."""
        self.sender.regain_ports(now)
        self.planner.renew()


def _make_final_chord(schedule: NoteSchedule, roles: Iterable[str], tick: int) -> dict[str, tuple[Note, ...]]:
    """Return, by role, what is held to the end from a tick on."""
    chord = {role: schedule.chord_at(role, tick, tick + TICKS_PER_BEAT) for role in roles}
    if DRUMS in chord:
        chord[DRUMS] = tuple(Note(tick, pitch, 1, 100) for pitch in FINAL_DRUMS)
    return chord
