"""The clock of a DAW whose plugin tells every discontinuity."""

from __future__ import annotations

from daemon.clocks.clock import BarTold, Moved, Started, Stopped
from daemon.clocks.plugin_clock import PluginClock
from daemon.core.events import MidiIn, Position
from music.note import Metre

US, TICK = 480_000, 20_000_000
BAR = (0, Metre())


def position(at_tick: int, tick: int, *, rolling: bool = True, bar: tuple[int, Metre] | None = BAR) -> Position:
    return Position(at_tick * TICK, rolling, tick, at_tick * TICK, US, bar)


def test_it_starts_stops_and_is_silent_in_between() -> None:
    clock = PluginClock()
    assert clock.waits_for_start
    assert clock.on_event(position(5, 0)) == [Started(0, 5 * TICK, US), BarTold(0, Metre())]
    assert clock.on_event(position(50, 45)) == []
    assert (clock.deadline, clock.on_silence(1 << 60)) == (None, ())
    assert clock.on_event(position(60, 55, rolling=False)) == (Stopped(60 * TICK),)
    assert clock.on_event(position(70, 55, rolling=False)) == ()


def test_a_jump_to_the_same_place_of_a_bar_is_played_on_over() -> None:
    clock = PluginClock()
    clock.on_event(position(0, 0))
    assert clock.on_event(position(100, 4)) == [Moved(4, 100 * TICK), BarTold(0, Metre())]
    assert clock.on_event(position(200, 10)) == [Started(10, 200 * TICK, US, elsewhere=True), BarTold(0, Metre())]


def test_a_jump_into_another_metre_is_none_to_play_on_over() -> None:
    clock = PluginClock()
    clock.on_event(position(0, 0))
    other = (0, Metre(3, 4))
    assert clock.on_event(position(100, 4, bar=other)) == [Started(4, 100 * TICK, US, elsewhere=True), BarTold(*other)]


def test_another_metre_is_told() -> None:
    clock = PluginClock()
    clock.on_event(position(0, 0))
    assert clock.on_event(position(96, 96, bar=(96, Metre(6, 8)))) == [BarTold(96, Metre(6, 8))]
    assert clock.on_event(MidiIn(0, b"\xfa")) == ()
