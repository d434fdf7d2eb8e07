"""The band's own MIDI clock, for others to follow: which of its messages go out at which tick."""

from __future__ import annotations

from collections.abc import Iterator

from music import midi

TICK, START, STOP = (bytes((status,)) for status in (midi.CLOCK, midi.START, midi.STOP))


class ClockOutput:
    """Beats 24 times a beat from `begin` on; Start goes out at the first bar line after `play`, Stop with `stop`."""

    def __init__(self, *, enabled: bool = True) -> None:
        """Beat when told to, or never if it is not enabled."""
        self._enabled = enabled
        #: the tick of the next message, None while it does not beat
        self.next_tick: int | None = None
        self._starts_next_bar = False
        self._since: int | None = None  # the tick before which no Start goes out
        self._started = False

    def begin(self, tick: int) -> None:
        """Beat from this tick on, anew if it beats already."""
        if self._enabled:
            self.next_tick = tick

    def play(self, since: int | None = None) -> None:
        """Send Start at the next bar line, or at the first one from a tick on, unless it has been sent."""
        self._starts_next_bar, self._since = not self._started, since

    def take(self, tick: int, bar_origin: int, bar_ticks: int) -> Iterator[tuple[int, bytes]]:
        """Yield what is due up to `tick`, as (tick, message); bar_origin: a tick at which a bar begins."""
        while self.next_tick is not None and self.next_tick <= tick:
            is_early = self._since is not None and self.next_tick < self._since
            if self._starts_next_bar and not is_early and (self.next_tick - bar_origin) % bar_ticks == 0:
                self._starts_next_bar, self._started = False, True
                yield self.next_tick, START
            yield self.next_tick, TICK
            self.next_tick += 1

    def stop(self) -> Iterator[bytes]:
        """Yield Stop, if Start has been sent; go on beating."""
        self._starts_next_bar = False
        if self._started:
            self._started = False
            yield STOP
