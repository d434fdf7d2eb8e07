"""Clocks that tell their position over and over: JACK's transport, Ableton Link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from daemon.clocks.clock import Change, ClockTick, Started, Stopped
from daemon.clocks.midi_clock import SILENCE_TIMEOUT_NS
from daemon.core.events import MidiIn, Position
from daemon.core.tempo import NS_PER_US
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP

#: a position this far from where the last one led is a jump
JUMP_TICKS = TICKS_PER_STEP // 2
#: the share of what a position is off that is believed at once
SMOOTHING = 1 / 8


class PositionClock:
    """A Clock of positions."""

    waits_for_start = True

    def __init__(self) -> None:
        self._last: Position | None = None

    def on_event(self, event: MidiIn | Position) -> Sequence[Change]:
        """Return the changes that a position brings, beside the one before."""
        if not isinstance(event, Position):
            return ()
        before, self._last = self._last, event if event.rolling else None
        if not event.rolling:
            return (Stopped(event.at),) if before is not None else ()
        span = event.us * NS_PER_US / TICKS_PER_BEAT
        if before is None:
            return (Started(event.tick, event.ns, event.us, fresh=0 <= event.tick < TICKS_PER_STEP),)
        off = event.ns - before.ns - (event.tick - before.tick) * before.us * NS_PER_US / TICKS_PER_BEAT
        if abs(off) > JUMP_TICKS * span:
            return (Started(event.tick, event.ns, event.us),)
        ns = event.ns - round(off * (1 - SMOOTHING))  # mostly, whoever asked was late
        self._last = replace(event, ns=ns)
        return (ClockTick(event.tick, ns, event.us, round(abs(off))),)

    @property
    def deadline(self) -> int | None:
        """When (ns) a clock that has stopped telling counts as stopped."""
        return None if self._last is None else self._last.at + SILENCE_TIMEOUT_NS

    def on_silence(self, now: int) -> Sequence[Change]:
        """Return Stopped, if the clock has told nothing for too long."""
        if self._last is None or now < self._last.at + SILENCE_TIMEOUT_NS:
            return ()
        self._last = None
        return (Stopped(now),)


def make_position(at: int, rolling: bool, beat: float, bpm: float) -> Position:
    """Return the position of a clock that is at `beat`, crotchets from bar 1, at the time `at` (ns)."""
    us = max(1, round(60_000_000 / bpm))
    tick = int(beat * TICKS_PER_BEAT // 1)
    return Position(at, rolling, tick, at - round((beat * TICKS_PER_BEAT - tick) * us * NS_PER_US / TICKS_PER_BEAT), us)
