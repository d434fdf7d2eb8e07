"""The world the conductor lives in: a clock and an inbox in one role, an output, and somebody who composes."""

from __future__ import annotations

from typing import Protocol

from daemon.core.events import Event
from daemon.core.plan import PlanRequest


class World(Protocol):
    """What time is it, and what happened. Time is integer nanoseconds of a monotonic clock."""

    def now(self) -> int:
        """Nanoseconds since some fixed moment."""
        ...

    def wait(self, until: int | None) -> Event | None:
        """The next event, or None once `until` has come (None waits for ever)."""
        ...


class Output(Protocol):
    """Where the band's MIDI goes. Only the conductor sends."""

    def send(self, data: bytes, due: int) -> None:
        """Send one MIDI message now; `due` is the moment (ns) it was meant for, for counters and recorders."""
        ...


class Composer(Protocol):
    """Asks a player for a plan without waiting; the answer comes to the inbox as PlanReady or WorkerFailed."""

    def ask(self, request: PlanRequest) -> None:
        """Latest wins: a request not yet begun is replaced by a newer one."""
        ...
