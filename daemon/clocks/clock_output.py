"""The band as master: which MIDI clock messages go out at which tick."""

from __future__ import annotations

from collections.abc import Iterator

from music import midi

TICK, START, STOP = (bytes((status,)) for status in (midi.CLOCK, midi.START, midi.STOP))


class ClockOutput:
    """Beats 24 ticks a beat from `begin` on, so that others know the tempo; Start goes with the first bar line after
    `play`, Stop with `stop`."""

    def __init__(self) -> None:
        #: the tick of the next beat, None while it is silent
        self.next: int | None = None
        self._wanted = False
        self._started = False

    def begin(self, tick: int) -> None:
        """Beat from this tick on (again)."""
        self.next = tick

    def play(self) -> None:
        """Start at the next bar line."""
        self._wanted = not self._started

    def take(self, tick: int, origin: int, bar: int) -> Iterator[tuple[int, bytes]]:
        """What is due up to `tick`, as (tick, message). origin: a tick at which a bar begins; bar: its ticks."""
        while self.next is not None and self.next <= tick:
            if self._wanted and (self.next - origin) % bar == 0:
                self._wanted, self._started = False, True
                yield self.next, START
            yield self.next, TICK
            self.next += 1

    def stop(self) -> Iterator[bytes]:
        """The band stops."""
        self._wanted = False
        if self._started:
            self._started = False
            yield STOP
