"""MIDI clock: 24 ticks a beat, Start, Stop, Continue and Song Position Pointer."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.clocks.clock import Change, ClockTick, Started, Stopped, TempoOnly
from daemon.clocks.tick_filter import TickFilter
from daemon.core.events import MidiIn, Position
from daemon.core.tempo import NS_PER_S, NS_PER_US
from music import midi
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP

#: a clock that has been silent for this long has stopped, though it did not say so
SILENCE_TIMEOUT_NS = 2 * NS_PER_S
#: ticks after which the tempo of a clock is known, though it has never started
TEMPO_ONLY_TICKS = TICKS_PER_BEAT
#: if silence is noticed this much too late, this machine was held up, and perhaps the clock's ticks wait to be heard
HELD_UP_NS = NS_PER_S // 2
#: no tick comes this much too early, unless many have waited
MAX_EARLY_NS = NS_PER_S // 2


class MidiClock:
    """A Clock of MIDI messages."""

    def __init__(
        self,
        us: int,
        waits_for_start: bool = True,
        unit: int | None = None,
        bar: int = 16,
        *,
        tempo_without_start: bool = False,
    ) -> None:
        """Expect `us` microseconds per beat at first.

        waits_for_start: see `Clock`; unit: ticks that Song Position counts in, 6 (the standard's sixteenths), 1 (as
        Ardour 7), or None to find out; bar: sixteenths in one; tempo_without_start: take the tempo of a clock that has
        never started, which means nothing otherwise.
        """
        self.waits_for_start = waits_for_start
        self._tempo_without_start = tempo_without_start
        self._filter = TickFilter(us * NS_PER_US / TICKS_PER_BEAT)
        self._tempo_known = False
        self._last_tick: int | None = None  # when (ns) the newest tick came
        self._base = 0  # song position of the filter's tick 0
        self._rolling = False  # it has started or continued, and not stopped
        self._announced = False  # and its first tick has come, so that the band knows
        self._went_silent = False  # while rolling
        self._held_up = False  # and because this machine was held up
        self._ever_started = False
        self._next_position: int | None = None  # song position of the next tick, if it does not just follow
        self._fresh = False  # it starts from the top
        self._song_position = SongPosition(unit, bar)

    def on_event(self, event: MidiIn | Position) -> Sequence[Change]:
        """Return the changes that a message brings; none, unless it is one of MIDI clock or a reset."""
        if isinstance(event, Position) or not event.data:
            return ()
        match event.data[0]:
            case midi.CLOCK:
                return self._tick(event.at)
            case midi.START:
                self._roll(0, fresh=True)
            case midi.CONTINUE if not self._rolling:  # else it goes on anyway: some masters say so at every loop
                self._roll(self._position())
            case midi.STOP:
                return self._stop(event.at)
            case midi.SYSTEM_RESET:
                changes = self._stop(event.at)
                self._next_position, self._fresh = 0, False
                return changes
            case midi.SONG_POSITION if len(event.data) == 3 and event.data[1] < 0x80 and event.data[2] < 0x80:
                value = event.data[1] | event.data[2] << 7
                self._next_position = self._song_position.to_tick(value, self._position())
                self._fresh = False
        return ()

    @property
    def deadline(self) -> int | None:
        """When (ns) a clock that is silent counts as stopped; None while it does not roll or no tick has come yet."""
        return self._last_tick + SILENCE_TIMEOUT_NS if self._announced and self._last_tick is not None else None

    def on_silence(self, now: int) -> Sequence[Change]:
        """Return Stopped, if the clock has been silent for too long."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return ()
        self._rolling = self._announced = False
        self._went_silent, self._held_up = True, now - deadline > HELD_UP_NS
        return (Stopped(now),)

    def _position(self) -> int:
        """Return the song position of the tick to come."""
        return self._base + self._filter.number + 1 if self._next_position is None else self._next_position

    def _roll(self, position: int, fresh: bool = False) -> None:
        self._next_position, self._fresh = position, fresh
        self._ever_started = self._rolling = True
        self._went_silent = False

    def _stop(self, at: int) -> Sequence[Change]:
        self._ever_started = True
        if self._rolling or self._went_silent:
            self._next_position = self._position()  # where Continue goes on
        announced = self._announced
        self._rolling = self._announced = self._went_silent = False
        return (Stopped(at),) if announced else ()

    def _tick(self, at: int) -> Sequence[Change]:
        """Take a tick of the clock; the first one after Start is the downbeat."""
        self._filter_tick(at)
        number, ns, us = self._filter.number, self._filter.at(self._filter.number), self._us()
        if not self._rolling and not self._went_silent:
            tempo_only = self._tempo_without_start and not self._ever_started and number >= TEMPO_ONLY_TICKS
            return (TempoOnly(self._base + number, ns, us),) if tempo_only else ()
        position, self._next_position = self._next_position, None
        silent, self._went_silent = self._went_silent, False
        self._rolling = self._announced = True
        if position is not None:
            self._base = position - number
            fresh, self._fresh = self._fresh, False
            return (Started(position, ns, us, fresh),)
        if silent:  # it was away, and its position goes by the time that has passed
            return (Started(self._base + number, ns, us),)
        return (ClockTick(self._base + number, ns, us, abs(self._filter.residual_ns), self._filter.lost),)

    def _filter_tick(self, at: int) -> None:
        """Pass a tick through the filter; where the clock begins anew, through a new one with the old one's tempo."""
        number = self._filter.number
        due = self._filter.at(number + 1)
        silent = self._last_tick is not None and at - self._last_tick > SILENCE_TIMEOUT_NS
        elsewhere = self._next_position is not None and not self._filter.fits(at)
        early = number >= 0 and due - at > MAX_EARLY_NS
        if elsewhere or silent or early:
            missing = round((at - due) / self._filter.interval_ns) if silent and not self._held_up else 0
            self._tempo_known = self._tempo_known or number >= TEMPO_ONLY_TICKS
            self._base += max(0, missing) + number + 1
            before = self._filter if self._tempo_known and not early else None  # one that was overtaken was wrong
            self._filter = TickFilter(self._filter.interval_ns, before)
        self._last_tick, self._held_up = at, False
        self._filter.add(at)

    def _us(self) -> int:
        return max(1, round(self._filter.interval_ns * TICKS_PER_BEAT / NS_PER_US))


class SongPosition:
    """Reads Song Position Pointers, whose unit differs between programs.

    The standard counts sixteenths; Ardour 7 counts MIDI clocks, always at a whole beat. The unit is found out when a
    clock goes on from where it stopped, or jumps to where no bar would begin in sixteenths. Until then it is
    sixteenths, which are in step with the bar either way after a jump to a bar line.
    """

    def __init__(self, unit: int | None = None, bar: int = 16) -> None:
        """Count in `unit` ticks, or find out if it is None; bar: sixteenths in one."""
        self.unit = unit or TICKS_PER_STEP
        self._sure = unit is not None
        self._bar = bar
        self._last_value: int | None = None
        self._last_tick = 0  # the tick that the last value was taken for

    def to_tick(self, value: int, expected: int) -> int:
        """Return the tick that a value (0..16383) means; expected: the tick that would have come next."""
        if not self._sure:
            self._find_unit(value, expected)
        self._last_value, self._last_tick = value, value * self.unit
        return value * self.unit

    def _find_unit(self, value: int, expected: int) -> None:
        if value % TICKS_PER_BEAT:
            self.unit = TICKS_PER_STEP
            return
        if value % self._bar:
            self.unit = 1
            return
        passed, difference = expected - self._last_tick, value - (self._last_value or 0)
        if passed >= 2 * TICKS_PER_BEAT and 0 <= difference - passed <= TICKS_PER_BEAT:
            self.unit = 1
