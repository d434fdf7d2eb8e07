"""Connections of a JACK client's ports: those the user asks for by name, and those that others make."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from daemon.midi.ports import Links, PortEvents, PortRequest, describe_missing, find_port

log = logging.getLogger(__name__)


class JackConnections:
    """Keeps our ports connected. Called from one thread, about twice a second; never from the process callback."""

    def __init__(
        self,
        client: Any,
        receiver: Any,
        senders: list[Any],
        request: PortRequest,
        events: PortEvents,
        find_pretty_names: Callable[[Sequence[Any]], list[str]],
    ) -> None:
        """Take a client's own input and outputs, and connect what is asked for and there.

        find_pretty_names: returns what ports are called in JACK's metadata.
        """
        self._client, self._find_pretty_names = client, find_pretty_names
        self._receiver, self._senders = receiver, senders
        self._events = events
        self._wanted = [(name, True) for name in request.in_ports]
        self._wanted += [(request.out_port, False)] if request.out_port else []
        self._missing: set[tuple[str, bool]] = set()
        self._to_restore: Links = ()
        self._latest: Links = ()
        #: the connections of the last check but one: those of the last one may be lost already
        self.links: Links = ()
        for name, is_input in self._wanted:
            if not self._connect(name, is_input):
                self._missing.add((name, is_input))
                log.warning("%s", describe_missing(name, is_input, _list_known_names(self._find_others(is_input))))

    @property
    def missing(self) -> tuple[str, ...]:
        """The names that are asked for and not there."""
        return tuple(name for name, is_input in self._wanted if (name, is_input) in self._missing)

    def restore(self, links: Links) -> None:
        """Make connections again, each as soon as the other port is there."""
        self._to_restore = links

    def check(self) -> None:
        """Connect what is asked for and has come, and report what has come and gone."""
        for name, is_input in self._wanted:
            is_there, was_missing = self._connect(name, is_input), (name, is_input) in self._missing
            if is_there and was_missing:
                self._missing.discard((name, is_input))
                self._events.report_found(name, is_input)
            elif not is_there and not was_missing:
                self._missing.add((name, is_input))
                if is_input:  # its keys are released as those of any other source
                    log.warning("the MIDI port %r is gone; it is looked for", name)
                else:
                    self._events.report_lost(name, is_input)
        self._to_restore = [link for link in self._to_restore if not self._restore(*link)]

    def remember(self) -> None:
        """Take note of all connections there are."""
        ours = (self._receiver, *self._senders)
        found = [(own.shortname, port.name) for own in ours for port in self._client.get_all_connections(own)]
        self.links, self._latest = self._latest, found

    def find_listeners(self) -> list[str]:
        """Return the names of the ports that our outputs were connected to at the last check."""
        return sorted({other for own, other in self._latest if own != self._receiver.shortname})

    def _find_others(self, is_input: bool) -> list[Any]:
        """Return the MIDI ports of others that one of ours, an input or an output, can be connected to."""
        ports = self._client.get_ports(is_midi=True, is_output=is_input, is_input=not is_input)
        return [port for port in ports if not port.name.startswith(f"{self._client.name}:")]

    def _connect(self, name: str, is_input: bool) -> bool:
        """Connect our input or outputs to the port that is called so; return False where there is no such port.

        JACK's own driver calls a keyboard `system:midi_capture_1` and tells what it is in an alias.
        """
        ports = self._find_others(is_input)
        names = [port.name for port in ports]
        index = find_port(names, name, [port.aliases for port in ports])
        if index is None:  # metadata lies in a file
            index = find_port(names, name, [[pretty] for pretty in self._find_pretty_names(ports)])
        if index is None:
            return False
        for own in [self._receiver] if is_input else self._senders:
            self._join(own, names[index])
        return True

    def _restore(self, own_name: str, other: str) -> bool:
        """Make a connection again; return False where that has to wait."""
        own = next((port for port in (self._receiver, *self._senders) if port.shortname == own_name), None)
        if own is None:
            return True  # there is no such port any more
        try:
            self._join(own, other)
        except Exception:  # noqa: BLE001 - JackError, whose module may not be there: it is not there yet
            return False
        return True

    def _join(self, own: Any, other: str) -> None:
        if not own.is_connected_to(other):
            self._client.connect(*((other, own) if own is self._receiver else (own, other)))


def _list_known_names(ports: list[Any]) -> list[str]:
    """Return the names of ports, each with its aliases."""
    return [f"{port.name} ({', '.join(port.aliases)})" if port.aliases else port.name for port in ports]
