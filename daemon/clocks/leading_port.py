"""MIDI clocks of several ports, of which one leads: the one that started."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from daemon.clocks.clock import Change, Clock, Started, Stopped, TempoOnly
from daemon.core.events import MidiIn, Position


class LeadingPortClock:
    """A Clock of one MIDI port among several.

    Until one starts, every port's clock is heard by itself. From then on, until that one stops, no other counts for
    anything: neither its ticks nor its Start, Stop, Continue, Song Position or reset.
    """

    def __init__(self, make: Callable[[], Clock], waits_for_start: bool) -> None:
        """Follow a port's clock by means of a state machine of its own, which `make` returns."""
        self.waits_for_start = waits_for_start
        self._make = make
        self._clocks: dict[int, Clock] = {}  # by port; while one leads, it alone
        self._leader: int | None = None  # the port that has started and not stopped
        self._tempo_leader: int | None = None  # the port that gives the tempo while none has started

    def on_event(self, event: MidiIn | Position) -> Sequence[Change]:
        """Return the changes that a message brings, none if it comes from a port that does not lead."""
        if isinstance(event, Position) or self._leader not in (None, event.port):
            return ()
        if event.port not in self._clocks:
            self._clocks[event.port] = self._make()
        return self._pass_on(event.port, self._clocks[event.port].on_event(event))

    @property
    def deadline(self) -> int | None:
        """When (ns) silence of the leading port means something; None while none leads."""
        return None if self._leader is None else self._clocks[self._leader].deadline

    def on_silence(self, now: int) -> Sequence[Change]:
        """Return the changes that the silence of the leading port brings."""
        return () if self._leader is None else self._pass_on(self._leader, self._clocks[self._leader].on_silence(now))

    def _pass_on(self, port: int, changes: Sequence[Change]) -> Sequence[Change]:
        for change in changes:
            match change:
                case Started():
                    self._leader, self._clocks = port, {port: self._clocks[port]}
                case Stopped():
                    self._leader = None
                case TempoOnly():
                    if self._tempo_leader is None:
                        self._tempo_leader = port
                    return changes if self._tempo_leader == port else ()
        return changes
