"""The clock of a DAW whose plugin tells every discontinuity of its position: it drifts from nobody."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.clocks.clock import BarTold, Change, Moved, Started, Stopped
from daemon.core.events import MidiIn, Position
from daemon.core.tempo import NS_PER_US
from music.note import TICKS_PER_BEAT, Metre


class PluginClock:
    """A Clock of positions in a time that runs as the host's position does.

    A position is told when the host starts, stops, jumps, or plays in another metre; between them it goes on in the
    tempo of the first. One that lies the same in its bar as where the host would have been is moved to.
    """

    waits_for_start = True
    deadline = None

    def __init__(self) -> None:
        self._last: Position | None = None
        self._bar: tuple[int, Metre] | None = None  # as was told last

    def on_event(self, event: MidiIn | Position) -> Sequence[Change]:
        """Return the changes that a position brings, beside the one before."""
        if not isinstance(event, Position):
            return ()
        before, self._last = self._last, event if event.rolling else None
        if not event.rolling:
            return (Stopped(event.at),) if before is not None else ()
        changes: list[Change] = []
        if before is None:
            changes.append(Started(event.tick, event.ns, event.us))
        elif event.ns - before.ns != (event.tick - before.tick) * before.us * NS_PER_US // TICKS_PER_BEAT:
            goes_on = self._find_phase(before.bar, before, event.ns) == self._find_phase(event.bar, event, event.ns)
            changes.append(
                Moved(event.tick, event.ns) if goes_on else Started(event.tick, event.ns, event.us, elsewhere=True)
            )
        if event.bar is not None and (changes or event.bar != self._bar):
            self._bar = event.bar
            changes.append(BarTold(*event.bar))
        return changes

    def on_silence(self, now: int) -> Sequence[Change]:
        """Return nothing: whoever tells says so when the host stops."""
        return ()

    @staticmethod
    def _find_phase(bar: tuple[int, Metre] | None, position: Position, at: int) -> tuple[int, Metre] | None:
        """Return where in its bar a clock that was at a position is at a time (ns), in ticks, and the metre."""
        if bar is None:
            return None
        tick = position.tick + (at - position.ns) * TICKS_PER_BEAT // (position.us * NS_PER_US)
        return (tick - bar[0]) % bar[1].ticks_per_bar, bar[1]
