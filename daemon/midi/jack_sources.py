"""Sources of a JACK input: which of the ports that are connected to it a message has come from.

An input hands over what all of them sent as one stream. But their own buffers can be read, too, in the same period: a
message is from the port that has the same one at the same frame.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from daemon.midi.ports import PortEvents

log = logging.getLogger(__name__)

#: number of the source of a message that no connected port has
UNKNOWN = 0
#: messages that no port has, before any that one has, after which ports are taken for unreadable: this JACK has no way
MAX_UNREADABLE = 12
#: (frame in the period, message)
_Event = tuple[int, bytes]


class JackSources:
    """Numbers the ports that are connected to our input, from 1; one that comes back has its number again.

    Where ports cannot be read, all of them are one source. The process callback only calls `attribute`; other threads
    call `add`, `remove` and `update`.
    """

    def __init__(self, events: PortEvents, make_reader: Callable[[Any], Any]) -> None:
        """make_reader: returns what reads a port's own events, in the process callback."""
        self._events, self._make_reader = events, make_reader
        self._numbers: dict[str, int] = {}
        self._connected: dict[str, tuple[int, Any]] = {}  # replaced as a whole by every change
        self._changing = threading.Lock()
        self._unreadable = 0  # messages in a row that no port had, of the process callback; below 0: some could be read

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the connected ports."""
        return tuple(self._connected)

    def add(self, port: Any) -> None:
        """Take note that a port is connected."""
        with self._changing:
            self._add(port)

    def remove(self, name: str) -> None:
        """Take note that a port is connected no longer."""
        with self._changing:
            self._remove(name)

    def update(self, ports: Iterable[Any]) -> None:
        """Take note of all ports that are connected."""
        there = {port.name: port for port in ports}
        with self._changing:
            for name in [name for name in self._connected if name not in there]:
                self._remove(name)
            for port in there.values():
                self._add(port)

    def _add(self, port: Any) -> None:
        if port.name not in self._connected:
            number = self._numbers.setdefault(port.name, len(self._numbers) + 1)
            self._connected = {**self._connected, port.name: (number, self._make_reader(port))}

    def _remove(self, name: str) -> None:
        if name not in self._connected:
            return
        number, _ = self._connected[name]
        self._connected = {other: known for other, known in self._connected.items() if other != name}
        log.info("the MIDI port %r is connected no longer", name)
        alone = not self._connected or self._unreadable >= MAX_UNREADABLE
        self._events.report_source_lost(None if alone else number)

    def attribute(self, events: list[_Event]) -> list[int]:
        """Return the number of the source of each message of this period; called in the process callback."""
        connected = list(self._connected.values())
        if not events or len(connected) < 2 or self._unreadable >= MAX_UNREADABLE:
            return [connected[0][0] if connected else UNKNOWN] * len(events)
        senders: dict[_Event, list[int]] = {}
        with contextlib.suppress(Exception):  # a port that is just being taken down, whatever the library says to that
            for number, reader in connected:
                for frame, data in reader.incoming_midi_events():
                    senders.setdefault((frame, bytes(data)), []).append(number)
        found = [numbers.pop(0) if (numbers := senders.get(event)) else UNKNOWN for event in events]
        if self._unreadable >= 0:
            self._unreadable = -1 if any(found) else self._unreadable + len(events)
        return found
