"""The surroundings of the conductor as it sees them: a clock and an inbox in one, an output, and a composer."""

from __future__ import annotations

from typing import Protocol

from daemon.core.events import Event
from daemon.core.plan import PlanRequest


class World(Protocol):
    """A clock and an inbox. Time is integer nanoseconds of a monotonic clock."""

    def now(self) -> int:
        """Return the nanoseconds since some fixed moment."""
        ...

    def wait(self, until: int | None) -> Event | None:
        """Return the next event, or None once `until` has come; `until` None waits for ever."""
        ...


class Inbox(Protocol):
    """A World's clock and inbox, as whoever puts something there sees them."""

    def now(self) -> int:
        """Return the world's time in nanoseconds."""
        ...

    def put(self, event: Event) -> None:
        """Hand an event to the conductor; any thread may."""
        ...


class Output(Protocol):
    """The ports, or whatever else the band's MIDI goes to. Only the conductor sends."""

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Send one MIDI message now.

        due: the time (ns) that it is meant for, for counters and recorders; at: when (ns) it was to leave, as early as
        whatever is behind the output needs it, for ports that make up for a late conductor; None: when it is due.
        """
        ...


class Composer(Protocol):
    """A player that is asked for plans without waiting; answers come to the inbox as PlanReady or WorkerFailed."""

    def ask(self, request: PlanRequest) -> None:
        """Ask for a plan. A request that has not been begun is replaced by a newer one."""
        ...
