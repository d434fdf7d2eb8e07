"""MIDI clock: 24 ticks a beat, Start, Stop, Continue, Song Position Pointer."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.clocks.clock import Change, ClockTick, Started, Stopped, TempoOnly
from daemon.clocks.tick_filter import TickFilter
from daemon.core.events import MidiIn, Position
from daemon.core.tempo import NS_PER_S, NS_PER_US
from music import midi
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP

#: a clock that has been silent for so long (ns) has stopped, though nobody said so
SILENCE_TIMEOUT_NS = 2 * NS_PER_S
#: a clock that has only beaten, for so many ticks, and never started, gives the tempo
PULSE = TICKS_PER_BEAT
#: whoever looks so much (ns) later than he should was held up, and the master with him, or its ticks wait to be heard
HELD_UP = NS_PER_S // 2
#: no tick comes so much (ns) too early, unless many have waited
AHEAD = NS_PER_S // 2


class MidiClock:
    """A Clock of MIDI messages."""

    def __init__(self, us: int, waits_for_start: bool = True, unit: int | None = None, bar: int = 16) -> None:
        """Expect `us` microseconds per beat at first.

        waits_for_start: see `Clock`; unit: ticks that Song Position counts in, 6 (the standard's sixteenths), 1 (as
        Ardour 7), or None to find out; bar: sixteenths in one.
        """
        self.waits_for_start = waits_for_start
        self._line = TickFilter(us * NS_PER_US / TICKS_PER_BEAT)
        self._known = False  # whether a tempo has been heard
        self._last: int | None = None  # when the newest tick came
        self._base = 0  # song position of the line's tick 0
        self._rolling = False  # a Start or Continue holds
        self._told = False  # and its first tick has come, so that somebody follows
        self._lost = False  # it went silent while rolling
        self._held_up = False  # and not by itself
        self._started = False  # a Start or Continue has ever been heard
        self._pending: int | None = None  # song position of the next tick, where that is news
        self._fresh = False
        self._place = SongPosition(unit, bar)

    def on_event(self, event: MidiIn | Position) -> Sequence[Change]:
        """What a message means; any but the five of MIDI clock mean nothing."""
        if isinstance(event, Position) or not event.data:
            return ()
        match event.data[0]:
            case midi.CLOCK:
                return self._tick(event.at)
            case midi.START:
                self._go(0, fresh=True)
            case midi.CONTINUE:
                self._go(self._here())
            case midi.STOP:
                return self._stop(event.at)
            case midi.SONG_POSITION if len(event.data) == 3 and event.data[1] < 0x80 and event.data[2] < 0x80:
                self._pending = self._place.tick(event.data[1] | event.data[2] << 7, self._here())
                self._fresh = False
        return ()

    @property
    def deadline(self) -> int | None:
        """When the clock, silent while it rolls, counts as stopped. A start that no tick has followed yet is none."""
        return self._last + SILENCE_TIMEOUT_NS if self._told and self._last is not None else None

    def on_silence(self, now: int) -> Sequence[Change]:
        """Stopped, if the clock has been silent for too long."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return ()
        self._rolling = self._told = False
        self._lost, self._held_up = True, now - deadline > HELD_UP
        return (Stopped(now),)

    def _here(self) -> int:
        """The song position of the tick to come."""
        return self._base + self._line.number + 1 if self._pending is None else self._pending

    def _go(self, position: int, fresh: bool = False) -> None:
        self._pending, self._fresh = position, fresh
        self._started = True
        self._lost = False
        self._rolling = True

    def _stop(self, at: int) -> Sequence[Change]:
        self._started = True
        if self._rolling or self._lost:
            self._pending = self._here()  # where Continue goes on
        told = self._told
        self._rolling = self._told = self._lost = False
        return (Stopped(at),) if told else ()

    def _tick(self, at: int) -> Sequence[Change]:
        """A tick of the clock: the first one after Start is the downbeat."""
        self._take(at)
        if not self._rolling and not self._lost:
            return self._pace() if not self._started and self._line.number >= PULSE else ()
        pending, self._pending = self._pending, None
        lost, self._lost = self._lost, False
        self._rolling = self._told = True
        if pending is not None:
            self._base = pending - self._line.number
            fresh, self._fresh = self._fresh, False
            return (Started(pending, self._line.at(self._line.number), self._us(), fresh),)
        number = self._line.number
        place, ns = self._base + number, self._line.at(number)
        if lost:  # it was away, and position goes by the time that has passed
            return (Started(place, ns, self._us()),)
        return (ClockTick(place, ns, self._us(), abs(self._line.residual_ns), self._line.lost),)

    def _pace(self) -> Sequence[Change]:
        return (TempoOnly(self._base + self._line.number, self._line.at(self._line.number), self._us()),)

    def _take(self, at: int) -> None:
        """Draw the line on. Where the clock begins anew it may lie anywhere: a new line, as fast as the old one."""
        silent = self._last is not None and at - self._last > SILENCE_TIMEOUT_NS
        apart = self._pending is not None and not self._line.fits(at)
        number = self._line.number
        due = self._line.at(number + 1)
        ahead = number >= 0 and due - at > AHEAD
        if apart or silent or ahead:
            missing = round((at - due) / self._line.interval_ns) if silent and not self._held_up else 0
            self._known = self._known or number >= PULSE
            self._base += max(0, missing) + number + 1
            before = self._line if self._known and not ahead else None  # one that was overtaken was wrong
            self._line = TickFilter(self._line.interval_ns, before)
        self._last, self._held_up = at, False
        self._line.add(at)

    def _us(self) -> int:
        return max(1, round(self._line.interval_ns * TICKS_PER_BEAT / NS_PER_US))


class SongPosition:
    """Which tick a Song Position Pointer means. The standard counts sixteenths; Ardour 7 counts MIDI clocks, always
    at a whole beat. Found out where a master goes on from where it stopped, or jumps to where no bar would begin in
    sixteenths; until then sixteenths, which are in step with the bar both ways where one jumps to a bar.
    """

    def __init__(self, unit: int | None = None, bar: int = 16) -> None:
        self.unit = unit or TICKS_PER_STEP
        self._sure = unit is not None
        self._bar = bar
        self._last: int | None = None  # the last value
        self._from = 0  # and what was counted as its tick

    def tick(self, value: int, counted: int) -> int:
        """The tick that a value (0..16383) means, where `counted` is the one that would have come next."""
        if not self._sure:
            self._look(value, counted)
        self._last, self._from = value, value * self.unit
        return value * self.unit

    def _look(self, value: int, counted: int) -> None:
        if value % TICKS_PER_BEAT:
            self.unit = TICKS_PER_STEP
            return
        if value % self._bar:
            self.unit = 1
            return
        passed, step = counted - self._from, value - (self._last or 0)
        if passed >= 2 * TICKS_PER_BEAT and 0 <= step - passed <= TICKS_PER_BEAT:
            self.unit = 1
