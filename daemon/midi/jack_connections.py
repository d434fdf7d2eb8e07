"""Connections of a JACK client's ports: those the user asks for by name, and those that others make."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from daemon.midi.ports import Links, PortEvents, PortRequest, describe_missing, find_port

log = logging.getLogger(__name__)


class ConnectionOrder:
    """Tells which way of a loop JACK has made the late one: that which was connected when there was the other already.

    It is told of every connection, by JACK's thread for news.
    """

    def __init__(self, client: str) -> None:
        """client: the name of ours."""
        self._client = client
        self._links: set[tuple[str, str]] = set()  # names of two ports, of which one is ours
        self._first: dict[str, bool] = {}  # client -> it heard us before we heard it

    def note(self, source: Any, sink: Any, is_connected: bool) -> None:
        """Take note that somebody has connected or disconnected two ports."""
        from_us = _find_client(source.name) == self._client
        if not from_us and _find_client(sink.name) != self._client:
            return
        other = _find_client(sink.name if from_us else source.name)
        if not is_connected:
            self._links.discard((source.name, sink.name))
        else:
            if not self._has_link(other, from_us=not from_us):
                self._first[other] = from_us
            self._links.add((source.name, sink.name))

    def _has_link(self, client: str, *, from_us: bool) -> bool:
        return any(_find_client(link[from_us]) == client for link in self._links)

    @property
    def are_we_first(self) -> bool:
        """True if whoever is in a loop with us hears us in the same period, and we hear him in the next."""
        loops = [c for c in self._first if self._has_link(c, from_us=True) and self._has_link(c, from_us=False)]
        return bool(loops) and all(self._first[client] for client in loops)


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
        order: ConnectionOrder,
    ) -> None:
        """Take a client's own input and outputs, and connect what is asked for and there.

        find_pretty_names: returns what ports are called in JACK's metadata.
        """
        self._client, self._find_pretty_names = client, find_pretty_names
        self._order, self._hears_clock = order, request.hears_clock
        self._receiver, self._senders = receiver, senders
        self._events = events
        self._wanted = [(name, True) for name in request.in_ports]
        self._wanted += [(request.out_port, False)] if request.out_port else []
        self._missing: set[tuple[str, bool]] = set()
        self._to_restore: Links = ()
        self._latest: Links = ()
        #: the connections of the last check but one: those of the last one may be lost already
        self.links: Links = ()
        #: what we send is heard a period later than by others, beside the clock that we follow
        self.is_delayed = False
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
        if found != self._latest:
            self.is_delayed = self._find_delay()
        self.links, self._latest = self._latest, found

    def _find_delay(self) -> bool:
        """Return whether what we send is heard a period later, counted from the clock that we follow.

        JACK calls the clients one after the other in each period. If what we send can come back to us, the first of
        them hears what the last one sent in the period before. A clock in that loop is late, or our answer is: both
        come to the same. The hardware is in no loop.
        """
        seen = {_find_client(port.name) for port in self._client.get_ports(is_physical=True)}
        listening = list(self._senders)
        while listening:
            heard_by = self._client.get_all_connections(listening.pop())
            for client in {_find_client(port.name) for port in heard_by} - seen:
                if client == self._client.name:
                    return self._hears_clock or not self._order.are_we_first
                seen.add(client)
                listening += self._client.get_ports(f"^{re.escape(client)}:", is_output=True)
        return False

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


def _find_client(port_name: str) -> str:
    """Return the name of the client that a port belongs to."""
    return port_name.partition(":")[0]


def _list_known_names(ports: list[Any]) -> list[str]:
    """Return the names of ports, each with its aliases."""
    return [f"{port.name} ({', '.join(port.aliases)})" if port.aliases else port.name for port in ports]
