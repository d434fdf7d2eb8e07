"""The transport: whether the band plays, how fast, and which tick of its step grid comes next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from daemon.core.settings import Settings
from daemon.core.tempo import NS_PER_S, TapTempo, TempoMap, us_per_beat
from daemon.core.value_types import Metres
from daemon.engine.song import BarLines, SongInfo
from music.click import clicks
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Note

HALF_STEP = TICKS_PER_STEP // 2
#: a machine that is behind by more than this (ticks) has stalled: what was due meanwhile is not made up for
STALL_TICKS = 4 * TICKS_PER_BEAT
#: and one that is behind by more than this (ns) has slept
SLEEP_NS = 20 * NS_PER_S
#: how far back (ticks) ticks and times are asked for: the age of a plan, a stall, a take's upbeat; 64 bars of 4/4
KEPT_TICKS = 64 * 4 * TICKS_PER_BEAT
#: length and velocity of the count-in's clicks
CLICK_TICKS, CLICK_VELOCITY = TICKS_PER_STEP // 2, 100


class TransportState(Enum):
    """States of the transport."""

    STOPPED = "stopped"  # silent until it is armed
    ARMED = "armed"  # silent until the next melody note
    PLAYING = "playing"
    HELD = "held"  # the clock that is followed has stopped: nothing is due until it starts again


@dataclass(frozen=True, slots=True)
class Stall:
    """A time during which the machine stood still."""

    missed_steps: int
    slept: bool  #: it was so long that nobody waits for the music to go on where it was


class Transport:
    """Knows whether the band plays and where it is in time; sends nothing and schedules nothing.

    While it plays it walks along a grid of half steps: at every whole step the notes of that step are committed, in the
    middle of every step a plan is asked for. Ticks never run backwards.
    """

    def __init__(self, song: SongInfo) -> None:
        self.song = song
        #: where its bars lie
        self.bars = BarLines(song.metres, follows_chart=song.follows_chart)
        #: where the ticks lie in time; None before anything has said so
        self.tempo = song.tempo
        #: microseconds per beat, for the tempo map that is not there yet
        self.us = us_per_beat(song.bpm)
        #: False: the melody note that begins the performance says where bar 1 lies
        self.anchored = song.tempo is not None
        #: a clock that is followed says where bar 1 lies and how fast it goes
        self.led = False
        #: a clock that is followed says how fast it goes
        self.is_paced = False
        #: when (ns) the clock that is followed stopped; None while it has not
        self.held_since: int | None = None
        #: the next tick of the grid, while the band plays
        self.grid = 0
        #: the tick at which the band comes in after a count-in; None: it has not been counted in
        self.entry: int | None = None
        self._has_begun = False  # the band has played
        self._state = TransportState.ARMED  # but for being held
        # marks of the tempo that a ritardando has taken the place of; none where another has been set since
        self._usual: list[tuple[int, int]] | None = None
        self._taps = TapTempo()

    @property
    def state(self) -> TransportState:
        """The state it is in. A transport that is released again is in the state it was held in."""
        return self._state if self.held_since is None else TransportState.HELD

    @property
    def playing(self) -> bool:
        """True while the band plays, or is held and will play on."""
        return self._state is TransportState.PLAYING

    @property
    def is_counting_in(self) -> bool:
        """True while the band counts in, and will play then."""
        return self.entry is not None and self.playing and self.grid < self.entry

    @property
    def armed(self) -> bool:
        """True while the next melody note starts the band."""
        return self._state is TransportState.ARMED

    @property
    def last_step(self) -> int:
        """The last step that has begun, while the band plays."""
        return (self.grid - 1) // TICKS_PER_STEP

    def change_song(self, before: Settings, after: Settings) -> None:
        """Take pickup, count-in and, while the band does not play, metre from settings, as far as they have changed."""
        if (before.pickup, before.count_in) != (after.pickup, after.count_in):
            self.song = replace(self.song, pickup=after.pickup_ticks, count_in=after.count_in)
        if before.metre != after.metre and not self.playing:
            self.change_metres(after, None)

    def change_metres(self, settings: Settings, line: int | None) -> None:
        """Let the bars be those that settings say from a bar line on; None: the band does not play."""
        is_open = settings.metre == Metres.AUTO
        self.bars.change_metres(settings.metres, line, follows_chart=is_open, is_led=self.led)

    # Transitions

    def count_in(self, now: int) -> list[Note]:
        """Begin the count-in now, which says where the ticks lie, and return its clicks."""
        self.anchored = True
        _, metre = self.bars.metre_at(0)
        first = -self.song.count_in * metre.ticks_per_bar
        self.tempo = TempoMap(self.us, first, now, KEPT_TICKS)
        return [Note(click.start, click.pitch, CLICK_TICKS, CLICK_VELOCITY) for click in clicks(first, 0, metre)]

    def arm(self) -> None:
        """Let the next melody note start the band, if it does not play."""
        if not self.playing:
            self._state = TransportState.ARMED

    def begin(self, step: int, entry: int | None = None) -> None:
        """Play: the first plan is asked for in the middle of this step. entry: the tick at which the band comes in."""
        self.entry = entry
        self._state, self._has_begun = TransportState.PLAYING, True
        self.grid = step * TICKS_PER_STEP + HALF_STEP

    def stop(self) -> None:
        """Stop. The next performance has its bar 1 where this one has it only if song or clock said where it lies."""
        self._state = TransportState.STOPPED
        self.anchored = self.tempo is not None and (self.song.tempo is not None or self.song.count_in > 0 or self.led)

    def hold(self, now: int) -> None:
        """Stand still until `release`."""
        self.held_since = now

    def release(self) -> None:
        """End a hold."""
        self.held_since = None

    def anchor(self, tick: int, at: int) -> None:
        """Let `tick` lie at `at` (ns), which is where the first melody note was played."""
        self.anchored = True
        self._place(tick, at)

    def leap(self, tick: int, at: int, us: int) -> None:
        """Leap forward, to a tick that has not come by `at` (ns); stop there, armed."""
        self.us = us
        self._place(tick, at)
        self._state, self._usual = TransportState.ARMED, None

    def _place(self, tick: int, at: int) -> None:
        if self.tempo is None:
            self.tempo = TempoMap(self.us, tick, at, KEPT_TICKS)
        else:
            self.tempo.jump(tick, at, self.us)

    # Tempo

    def change_tempo(self, at: int, bpm: float) -> None:
        """Play at `bpm` from the first tick at or after `at` (ns) on, unless a clock leads."""
        if self.led:
            return
        self.us, self._usual = us_per_beat(bpm), None if self._usual is None else []
        if self.tempo is not None:
            self.tempo.change(self.tempo.tick_from(at), self.us)

    def slow_down(self, begin: int, end: int, percent: int) -> None:
        """Play a ritardando, if there is no clock to be followed: slower from a tick on, down to a percent at `end`.

        It is played once until `resume_tempo`, for a tempo that is set meanwhile holds.
        """
        if self._usual is not None or self.led or self.is_paced or self.tempo is None or begin >= end:
            return
        self._usual = self.tempo.list_marks_from(begin)
        self.tempo.slow_down(begin, end, percent, TICKS_PER_STEP)

    def resume_tempo(self, at: int) -> None:
        """Play as fast as before a ritardando from the first tick at or after `at` (ns) on."""
        if self._usual and self.tempo is not None and not self.led and not self.is_paced:
            tick = self.tempo.tick_from(at)
            us = next((us for mark, us in reversed(self._usual) if mark <= tick), self._usual[0][1])
            for mark in ((tick, us), *(later for later in self._usual if later[0] > tick)):
                self.tempo.change(*mark)
        self._usual = None

    def change_tempo_from(self, tick: int, bpm: float) -> None:
        """Play at `bpm` from a tick to come on, unless a clock leads."""
        if self.led:
            return
        self.us = us_per_beat(bpm)
        if self.tempo is not None:
            self.tempo.change(tick, self.us)

    def tap(self, at: int) -> float | None:
        """Take a tap; return the tempo in beats per minute that the taps make, None if they make none."""
        return self._taps.tap(at)

    # Time

    def find_bpm(self, tick: int) -> int:
        """Return the beats a minute at a tick, a whole number: a clock that is followed is never quite steady."""
        if self.tempo is None:
            return round(60_000_000 / self.us)
        return round(60 * NS_PER_S / max(1, self.tempo.ns_at(tick + TICKS_PER_BEAT) - self.tempo.ns_at(tick)))

    def tick_at(self, ns: int) -> int:
        """Return the tick that a time lies in, 0 before there is a tempo."""
        return 0 if self.tempo is None else self.tempo.tick_at(ns)

    def tick_of_input(self, at: int) -> int:
        """Return the tick of what is played at `at` (ns).

        Before bar 1 is known, that is where a first note would lie: its pickup before bar 1, or before the first bar to
        come if this is not the first performance.
        """
        tempo = self.tempo
        if self.anchored:
            return 0 if tempo is None else tempo.tick_at(at)
        if tempo is None:
            return -self.song.pickup
        now = tempo.tick_at(at)
        origin, metre = self.bars.metre_at(now)
        return now + metre.ticks_per_bar - (now + self.song.pickup - origin) % metre.ticks_per_bar

    def find_bar_1(self, tick: int) -> int | None:
        """Return where the song's bar 1 lies if it is begun anew by a note at a tick; None: where it was before.

        That is the nearest bar line after a count-in, which counted for the first time only.
        """
        if self.led or self.song.tempo is not None or not self._has_begun:
            return None
        bar = self.bars.bar_at(tick + self.song.pickup)
        return bar.start if 2 * (tick + self.song.pickup) < bar.start + bar.end else bar.end

    def find_next_line(self, at: int, early: int) -> int:
        """Return the first bar line more than `early` ticks after a time (ns); tick 0 while there is no tempo."""
        return 0 if self.tempo is None else self.bars.bar_at(self.tempo.tick_at(at) + early).end

    def tick_before(self, tick: int, ns: int) -> int:
        """Return the tick that lies `ns` nanoseconds before another."""
        return tick if not ns or self.tempo is None else self.tempo.tick_at(self.tempo.ns_at(tick) - ns)

    # The grid

    def next_tick(self, scheduled: int | None) -> int | None:
        """Return the tick at which something is next to be done, None for never.

        scheduled: the tick at which the next note begins or ends, None for no note.
        """
        if self.held_since is not None:
            return None
        if self._state is not TransportState.PLAYING:
            return scheduled
        return self.grid if scheduled is None else min(scheduled, self.grid)

    def is_at_grid(self, tick: int) -> bool:
        """Return True if `tick` is the tick of the grid that comes next."""
        return self._state is TransportState.PLAYING and tick == self.grid

    def pass_grid(self) -> None:
        """Go on to the next tick of the grid."""
        self.grid += HALF_STEP

    def skip_to(self, tick: int) -> None:
        """Leave out the ticks of the grid before `tick`."""
        self.grid = max(self.grid, -(-tick // HALF_STEP) * HALF_STEP)

    def find_stall(self, tick: int) -> Stall | None:
        """Return the stall that shows when the band, which should be at `tick`, is far behind; None if it is not."""
        if self.tempo is None or tick - self.grid <= STALL_TICKS or self.state is not TransportState.PLAYING:
            return None
        missed = tick // TICKS_PER_STEP - self.grid // TICKS_PER_STEP
        return Stall(missed, self.tempo.ns_at(tick) - self.tempo.ns_at(self.grid) > SLEEP_NS)
