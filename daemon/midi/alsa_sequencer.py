"""Connections on ALSA's sequencer: read from /proc, made through the system's libasound."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CLIENTS = Path("/proc/asound/seq/clients")
_CLIENT = re.compile(r'Client +(\d+) : "(.*)" \[')
_PORT = re.compile(r'  Port +(\d+) : "(.*)" \(')
_PEERS = re.compile(r"    (Connecting To|Connected From): (.*)")
_ADDRESS = re.compile(r"(\d+):(\d+)")
_DUPLEX = 3  # SND_SEQ_OPEN_DUPLEX

Address = tuple[int, int]
#: a client's and its port's name, which stay when numbers change
Name = tuple[str, str]


@dataclass(slots=True)
class SequencerPort:
    """One port of the sequencer."""

    address: Address
    name: Name
    destinations: list[Address] = field(default_factory=list)  #: ports it sends to
    sources: list[Address] = field(default_factory=list)  #: ports that send to it


def list_ports(clients: Path = CLIENTS) -> list[SequencerPort]:
    """Return all ports that there are; none where there is no sequencer."""
    try:
        text = clients.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found: list[SequencerPort] = []
    client, name = 0, ""
    for line in text.splitlines():
        if match := _CLIENT.match(line):
            client, name = int(match[1]), match[2]
        elif match := _PORT.match(line):
            found.append(SequencerPort((client, int(match[1])), (name, match[2])))
        elif (match := _PEERS.match(line)) and found:
            peers = found[-1].destinations if match[1] == "Connecting To" else found[-1].sources
            peers += [(int(each[1]), int(each[2])) for each in _ADDRESS.finditer(match[2])]
    return found


class SequencerLinks:
    """Watches what is connected to the inputs of clients of one name."""

    def __init__(self, client: str, clients: Path = CLIENTS) -> None:
        """clients: the file that ALSA lists its clients in."""
        self._client, self._clients = client, clients
        self._known: set[tuple[Address, Address]] = set()  # (sender, one of ours)

    def has_lost_one(self) -> bool:
        """Return True if a connection that was there at the last call is so no longer, though our input is."""
        ours = [port for port in list_ports(self._clients) if port.name[0] == self._client]
        there = {port.address for port in ours}
        before, self._known = self._known, {(source, port.address) for port in ours for source in port.sources}
        return any(link[1] in there for link in before - self._known)


class _Addr(ctypes.Structure):
    _fields_ = (("client", ctypes.c_ubyte), ("port", ctypes.c_ubyte))


def connect(links: list[tuple[Address, Address]]) -> int:
    """Connect (sender, destination) pairs that are not connected yet; return how many have been."""
    if not links:
        return 0
    made = 0
    try:
        library = ctypes.CDLL("libasound.so.2")
    except OSError:
        return 0
    with _sequencer(library) as sequencer:
        for sender, destination in links if sequencer else ():
            subscription = ctypes.c_void_p()
            library.snd_seq_port_subscribe_malloc(ctypes.byref(subscription))
            library.snd_seq_port_subscribe_set_sender(subscription, ctypes.byref(_Addr(*sender)))
            library.snd_seq_port_subscribe_set_dest(subscription, ctypes.byref(_Addr(*destination)))
            made += library.snd_seq_subscribe_port(sequencer, subscription) == 0
            library.snd_seq_port_subscribe_free(subscription)
    return made


@contextmanager
def _sequencer(library: ctypes.CDLL) -> Iterator[ctypes.c_void_p | None]:
    handle = ctypes.c_void_p()
    if library.snd_seq_open(ctypes.byref(handle), b"default", _DUPLEX, 0) < 0:
        yield None
        return
    try:
        yield handle
    finally:
        library.snd_seq_close(handle)
