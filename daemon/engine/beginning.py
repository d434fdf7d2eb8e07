"""The beginning of a performance: with clicks, an introduction by the band alone, bar 1, or the first note."""

from __future__ import annotations

from enum import Enum

from daemon.core.settings import AUTO_START, BAND_START, COUNT_IN_START, INTRO_START, NOTE_START
from daemon.engine.band import Band
from daemon.engine.transport import HALF_STEP
from music.click import clicks
from music.note import TICKS_PER_STEP, Note

#: bars of an introduction that is asked for where the settings have none
USUAL_INTRO_BARS = 4
#: length and velocity of the count-in's clicks
CLICK_TICKS, CLICK_VELOCITY = TICKS_PER_STEP // 2, 100


class ClockState(Enum):
    """States of the clock that is followed, as far as whoever begins must know."""

    NONE = "none"  # there is none, or it tells no position
    AWAITED = "awaited"  # the band waits for it
    ROLLING = "rolling"


class Beginning:
    """Begins performances. `now` is the world's time, in nanoseconds."""

    def __init__(self, band: Band) -> None:
        self._band = band

    def get_ready(self, now: int) -> None:
        """Be ready as the program starts: count in, begin where the song is known to, or wait for the first note."""
        band = self._band
        song = band.transport.song
        if song.count_in and song.tempo is None and self._choose_start() == COUNT_IN_START:
            band.count_in(band.transport.count_in(now))
        if song.bar_1:
            band.input.harmony.route.restart(song.bar_1)
        if song.ending is not None:
            band.form.end_on(song.ending, song.over)
        if song.begin is not None:
            band.begin(song.begin)
            if song.enters is not None:
                band.input.harmony.lead_in.begin((song.begin + 1) * TICKS_PER_STEP, song.enters, song.key)

    def start(self, now: int, clock: ClockState) -> None:
        """Begin as the settings have it, unless the band plays. clock: that of the clock which is followed."""
        self._start(self._choose_start(), now, clock)

    def play_intro(self, now: int, clock: ClockState) -> None:
        """Begin with an introduction; while the band plays, at the next bar line."""
        if self._band.transport.playing:
            self._return_to_intro(now)
        else:
            self._start(INTRO_START, now, clock)

    def begin_with_clock(self, tick: int, now: int, *, plays_on: bool) -> None:
        """Begin at a tick, at which a clock that leads has started: at once, or, as the settings have it, with a note.

        plays_on: the band has been playing alone.
        """
        self._band.transport.arm()
        if plays_on or self._choose_start() in (INTRO_START, BAND_START):
            self._begin_at_once(tick, now)

    def _choose_start(self) -> str:
        settings = self._band.settings
        if settings.start_with != AUTO_START:
            return settings.start_with
        if settings.intro_bars:
            return INTRO_START
        return COUNT_IN_START if self._band.transport.song.count_in else NOTE_START

    def _start(self, how: str, now: int, clock: ClockState) -> None:
        transport = self._band.transport
        if transport.playing:
            return
        if how == NOTE_START or clock is ClockState.AWAITED:
            transport.arm()
        elif clock is ClockState.ROLLING:
            self._begin_at_once(self._band.position(now), now)
        else:
            self._count_in(how, now)

    def _begin_at_once(self, tick: int, now: int) -> None:
        """Play from the next step on, in the song where the clock has it."""
        band = self._band
        step = -(-tick // TICKS_PER_STEP)
        band.begin(step)
        band.input.harmony.lead_in.begin(tick, band.transport.bars.route.bar_1)
        band.request_plan(step * TICKS_PER_STEP - HALF_STEP, now, late=False)

    def _count_in(self, how: str, now: int) -> None:
        """Let bars of clicks begin now, then an introduction, where they are wanted, and then bar 1.

        Without clicks the band begins half a step later, for it is asked then what it plays.
        """
        band = self._band
        transport, bars = band.transport, band.transport.bars
        if band.clicks:  # of the program's start, which nobody has begun with
            band.call_off()
            band.end_all(now)
        count = max(transport.song.count_in, how == COUNT_IN_START)
        early = 0 if count else HALF_STEP
        at = now + band.sender.lookahead_ns
        first = transport.find_next_line(at, early)
        has_bars = transport.song.tempo is not None  # the song says where they lie
        if not has_bars:
            bars.restart(first)  # in the metre of bar 1, wherever that will lie
        metre = bars.metre_at(first)[1]
        entry = first + count * metre.ticks_per_bar
        bar_1 = entry + (self._measure_intro(metre.ticks_per_bar) if how == INTRO_START else 0)
        if not has_bars:
            band.anchor(first - early, at, bar_1)
        counted = clicks(0, entry - first, metre)
        band.count_in([Note(first + each.start, each.pitch, CLICK_TICKS, CLICK_VELOCITY) for each in counted])
        band.begin(-(-entry // TICKS_PER_STEP) - 1, entry)
        band.input.harmony.lead_in.begin(entry, bar_1)

    def _measure_intro(self, bar_ticks: int) -> int:
        """Return the ticks of the introduction that come before bar 1: none where the chart begins with one."""
        if self._band.input.harmony.has_intro:
            return 0
        return (self._band.settings.intro_bars or USUAL_INTRO_BARS) * bar_ticks

    def _return_to_intro(self, now: int) -> None:
        """Play the introduction from the next bar line on, and the song from bar 1 after it."""
        band = self._band
        tick, bars = band.position(now), band.transport.bars
        if band.transport.led or band.form.ending is not None or tick < bars.route.bar_1:
            return
        line = bars.bar_at(tick).end
        bar_1 = line + self._measure_intro(bars.metre_at(line)[1].ticks_per_bar)
        bars.route.return_to(line, bar_1)
        band.input.harmony.lead_in.begin(line, bar_1)
