"""A World and an Output that let somebody listen in, on the conductor's own thread: takes, displays, thru.

Whoever listens is called with (ns, MIDI message) and must be quick.
"""

from __future__ import annotations

from collections.abc import Callable

from daemon.core.events import Event, MidiIn
from daemon.core.world import Output, World

Tap = Callable[[int, bytes], None]


class ObservedWorld:
    """A World whose MIDI input is also told to the taps, each message with the moment it came."""

    def __init__(self, world: World, *taps: Tap) -> None:
        self._world, self._taps = world, taps

    def now(self) -> int:
        """As the world's."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """As the world's."""
        event = self._world.wait(until)
        if isinstance(event, MidiIn):
            for tap in self._taps:
                tap(event.at, event.data)
        return event


class ObservedOutput:
    """An Output; what it has sent is also told to the taps, each message with the moment it was due."""

    def __init__(self, output: Output, *taps: Tap) -> None:
        self._output, self._taps = output, taps

    def send(self, data: bytes, due: int) -> None:
        """As the output's."""
        self._output.send(data, due)
        for tap in self._taps:
            tap(due, data)
