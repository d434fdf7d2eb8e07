"""Clocks of several MIDI ports on virtual time: one leads."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from daemon.clocks.clock import Change, Started, Stopped, TempoOnly
from daemon.clocks.leading_port import LeadingPortClock
from daemon.clocks.midi_clock import SILENCE_TIMEOUT_NS, MidiClock
from daemon.clocks.sources import CLOCK_SOURCES, ClockSetup
from daemon.core.events import MidiIn
from tests.support.fakes import MS

TICK, START, CONTINUE, STOP, RESET = b"\xf8", b"\xfa", b"\xfb", b"\xfc", b"\xff"
SECOND = 1000 * MS


def beats(bpm: float, count: int, port: int, at: int = 0, first: bytes | None = START) -> list[MidiIn]:
    """Return a message and ticks of a port's clock."""
    ticks = [MidiIn(at + round(i * 60e9 / bpm / 24), TICK, port) for i in range(count)]
    return [*([] if first is None else [MidiIn(at, first, port)]), *ticks]


def tell(events: Iterable[MidiIn], *, tempo_without_start: bool = False) -> list[Change]:
    clock = LeadingPortClock(lambda: MidiClock(500_000, tempo_without_start=tempo_without_start), True)
    changes: list[Change] = []
    for event in sorted(events, key=lambda event: event.at):
        while (deadline := clock.deadline) is not None and deadline < event.at:
            changes += clock.on_silence(deadline)
        changes += clock.on_event(event)
    return changes


def test_the_port_that_started_leads() -> None:
    alone = beats(120, 400, 1)
    bare = beats(90, 300, 0, -SECOND, None)
    others = [*beats(87, 300, 2, SECOND), *(MidiIn((2 + i) * SECOND, said, 0) for i, said in enumerate((STOP, RESET)))]
    assert tell([*alone, *bare, *others]) == tell(alone)


@pytest.mark.parametrize("first", [START, CONTINUE])
def test_when_it_has_stopped_another_may_start(first: bytes) -> None:
    events = [*beats(120, 96, 0), MidiIn(2 * SECOND, STOP, 0), *beats(100, 50, 1, 3 * SECOND, first)]
    changes = tell([*events, *beats(120, 400, 0, 2 * SECOND + MS, None)])
    assert changes[96] == Stopped(2 * SECOND)
    assert isinstance(changes[97], Started)
    assert (changes[97].tick, changes[97].ns, changes[97].fresh) == (0, 3 * SECOND, first == START)
    assert len(changes) == 97 + 50 + 1
    assert isinstance(changes[-1], Stopped)


def test_a_port_that_fell_silent_leads_again_unless_another_has_started() -> None:
    gone = [event for event in beats(120, 2_000, 0) if not SECOND < event.at < 20 * SECOND]
    back = tell(gone)
    assert next(change for change in back if isinstance(change, Stopped)).ns <= SECOND + SILENCE_TIMEOUT_NS
    assert [change.tick for change in back if isinstance(change, Started)] == [0, 960]
    taken = tell([*gone, *beats(100, 2_000, 1, 10 * SECOND)])
    assert [(change.tick, change.ns) for change in taken if isinstance(change, Started)] == [(0, 0), (0, 10 * SECOND)]


def test_a_start_that_no_tick_follows_leads_nothing() -> None:
    assert tell([MidiIn(0, START, 0), *beats(120, 100, 1, MS)]) == tell(beats(120, 100, 1, MS))


def test_without_a_start_one_port_gives_the_tempo() -> None:
    changes = tell([*beats(100, 60, 3, 0, None), *beats(90, 60, 4, 5, None)], tempo_without_start=True)
    assert len(changes) == 36
    assert all(isinstance(change, TempoOnly) and change.us == 600_000 for change in changes)


@pytest.mark.parametrize("name", ["auto", "midi", "midi-tempo"])
def test_every_midi_clock_of_the_table_minds_the_port(name: str) -> None:
    clock = CLOCK_SOURCES[name].make(ClockSetup())
    assert clock is not None
    found = [change for event in [*beats(120, 9, 5), *beats(120, 9, 6)] for change in clock.on_event(event)]
    assert len(found) == 9
