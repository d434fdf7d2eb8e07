"""Clocks that the band can follow, by the name that `--clock` knows them by. A new one is one entry of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from daemon.clocks.clock import Clock
from daemon.core.events import Position
from daemon.core.tempo import us_per_beat
from music.note import TICKS_PER_BEAT, Metre


class ClockThread(Protocol):
    """A thread that asks a clock where it is and puts its answers on the inbox."""

    def close(self) -> None:
        """End the thread."""
        ...


@dataclass(frozen=True, slots=True)
class ClockSetup:
    """Facts about the performance that a clock may need to know at the start."""

    bpm: float = 120.0  #: the tempo to expect at first
    metre: Metre = Metre()  #: that of bar 1
    song_position_ticks: int | None = None  #: ticks that MIDI's Song Position counts in; None: find out


#: called with the setup, the world's clock and the inbox; raises ClockError
Opener = Callable[[ClockSetup, Callable[[], int], Callable[[Position], None]], ClockThread]


@dataclass(frozen=True, slots=True)
class ClockSource:
    """A clock that the band can follow.

    `make` returns its state machine, or None for the band's own tempo; `open` starts the thread that feeds it, where
    it does not come through the MIDI ports.
    """

    name: str
    make: Callable[[ClockSetup], Clock | None]
    open: Opener | None = None
    is_midi: bool = False  #: it is MIDI clock, which the band cannot follow while it sends its own
    leads: bool = True  #: nothing sounds until it has started, and it says where bar 1 is


def _make_nothing(_: ClockSetup) -> None:
    return None


def _make_midi_clock(setup: ClockSetup, *, waits_for_start: bool = True, tempo_without_start: bool = False) -> Clock:
    from daemon.clocks.leading_port import LeadingPortClock
    from daemon.clocks.midi_clock import MidiClock

    def make() -> Clock:
        return MidiClock(
            us_per_beat(setup.bpm),
            waits_for_start,
            setup.song_position_ticks,
            setup.metre.steps_per_bar,
            tempo_without_start=tempo_without_start,
        )

    return LeadingPortClock(make, waits_for_start)


def _make_midi_clock_once_it_starts(setup: ClockSetup) -> Clock:
    return _make_midi_clock(setup, waits_for_start=False)


def _make_midi_tempo(setup: ClockSetup) -> Clock:
    return _make_midi_clock(setup, tempo_without_start=True)


def _make_position_clock(_: ClockSetup) -> Clock:
    from daemon.clocks.position_clock import PositionClock

    return PositionClock()


def _make_plugin_clock(_: ClockSetup) -> Clock:
    from daemon.clocks.plugin_clock import PluginClock

    return PluginClock()


def _open_jack(setup: ClockSetup, now: Callable[[], int], put: Callable[[Position], None]) -> ClockThread:
    from daemon.clocks.jack_transport import JackTransport

    return JackTransport(now, put, setup.bpm)


def _open_link(setup: ClockSetup, now: Callable[[], int], put: Callable[[Position], None]) -> ClockThread:
    from daemon.clocks.ableton_link import LinkSession

    return LinkSession(now, put, setup.bpm, setup.metre.ticks_per_bar / TICKS_PER_BEAT)


CLOCK_SOURCES: dict[str, ClockSource] = {
    source.name: source
    for source in (
        ClockSource("auto", _make_midi_clock_once_it_starts, is_midi=True, leads=False),
        ClockSource("internal", _make_nothing, leads=False),
        ClockSource("midi", _make_midi_clock, is_midi=True),
        ClockSource("midi-tempo", _make_midi_tempo, is_midi=True),
        ClockSource("jack", _make_position_clock, _open_jack),
        ClockSource("link", _make_position_clock, _open_link),
        ClockSource("plugin", _make_plugin_clock),
    )
}
