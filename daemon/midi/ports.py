"""MIDI ports of the band, whatever they are made of: what they can do, and what all kinds of them have in common."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Protocol

from daemon.core.events import Event, PortsBack, PortsLost, SourceLost
from daemon.midi.name_pattern import NamePattern, PatternError
from music import midi
from music.errors import UserError
from music.note import CHANNELS, MELODY

log = logging.getLogger(__name__)

#: the MIDI system that is none
NO_PORTS = "none"
IN_NAME, OUT_NAME = "houseband in", "houseband out"
#: role -> channel, of the roles that can have an output port of their own
ROLE_CHANNELS = {role: channel for role, channel in CHANNELS.items() if role != MELODY}

#: connections that others made: (a port of ours, the port it is connected to), by name
Links = Sequence[tuple[str, str]]


class KeyTable(Protocol):
    """Memory with a byte for each key: a bytearray, or what processes share."""

    def __getitem__(self, place: int, /) -> int: ...

    def __setitem__(self, place: int, state: int, /) -> None: ...

    def __buffer__(self, flags: int, /) -> memoryview: ...


class PortError(UserError):
    """No MIDI system or no such port."""


@dataclass(frozen=True, slots=True)
class PortRequest:
    """The ports that are asked for."""

    api: str = "auto"  #: the MIDI system: auto, or a name in `daemon.midi.backends.API_CHOICES`, or NO_PORTS
    backend: str = "auto"  #: what opens the ports: auto, or a name in `daemon.midi.backends.BACKENDS`
    in_port: str | None = None  #: (parts of) names of existing ports to listen to, with commas; None: a port of our own
    out_port: str | None = None  #: (a part of) the name of an existing port to play to; None: a port of our own
    per_role: bool = False  #: an output port for each role instead of one for all
    wait: bool = False  #: a named port that does not exist is connected to as soon as it does
    hears_clock: bool = True  #: the clock that is followed comes through these ports, if there is one
    keys: KeyTable | None = None  #: where `StartedKeys` keeps what was begun; None: in memory of its own

    @property
    def in_ports(self) -> list[str]:
        """The named ports to listen to; none for a port of our own."""
        return [name.strip() for name in (self.in_port or "").split(",") if name.strip()]


class MidiPorts(Protocol):
    """Open ports: inputs whose messages are put on the conductor's inbox, and an Output.

    Only the conductor's thread sends; one other thread, which keeps the ports, calls everything else.
    """

    @property
    def api(self) -> str:
        """The MIDI system."""
        ...

    @property
    def names(self) -> tuple[str, str]:
        """The names of the inputs and of the outputs, as a user knows them."""
        ...

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of existing ports that are asked for and are not there."""
        ...

    @property
    def note(self) -> str | None:
        """A sentence for the user about the choice of this system; None for none."""
        ...

    @property
    def xruns(self) -> int:
        """The number of times that the audio server has run late; 0 where nobody counts."""
        ...

    @property
    def latency_ns(self) -> int:
        """The time from when a message is to leave until whoever sends the clock hears it; 0 if unknown."""
        ...

    @property
    def loses_ends(self) -> bool:
        """True where messages may get lost and nobody tells of it, so that every end has to be sent again."""
        ...

    @property
    def links(self) -> Links:
        """The connections others had made by the last check, where they are lost with these ports."""
        ...

    def find_listeners(self) -> Sequence[str]:
        """Return the ports that hear the band, as far as that can be known, by the names that python-rtmidi lists."""
        ...

    def restore_links(self, links: Links) -> None:
        """Make connections again, each as soon as the other port is there."""
        ...

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """Stamp every message that arrives from now on with `now()` and put it; it comes in a thread of its own."""
        ...

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Send one MIDI message; see `daemon.core.world.Output`."""
        ...

    def find_failure(self) -> str | None:
        """Check the ports and connect what has come back; return why they are of no more use, None while they are.

        To be called about twice a second.
        """
        ...

    def renew_connections(self) -> None:
        """Connect devices anew: the machine was suspended, and they may have been away."""
        ...

    def end_notes(self) -> None:
        """End everything that was begun; return once that has surely arrived. The conductor sends nothing meanwhile."""
        ...

    def close(self) -> None:
        """Close the ports once everything has ended."""
        ...

    def drop(self) -> None:
        """Give the ports up at once; nothing more is to be expected of them."""
        ...


class PortEvents:
    """Where ports report messages and what becomes of the devices they are connected to; nowhere until `listen`."""

    def __init__(self) -> None:
        self.now: Callable[[], int] = time.monotonic_ns
        self.put: Callable[[Event], None] = _ignore

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """Report from now on by calling `put`, with times from `now`."""
        self.now, self.put = now, put

    def stop(self) -> None:
        """Report nothing any more."""
        self.put = _ignore

    def report_lost(self, name: str, is_input: bool, port: int | None = None) -> None:
        """Report that a device is gone; port: the number of an input, None if any may be concerned."""
        log.warning("the MIDI port %r is gone; it is looked for", name)
        self.put(SourceLost(self.now(), port) if is_input else PortsLost(self.now()))

    def report_source_lost(self, port: int | None) -> None:
        """Report that somebody who was connected to an input is so no longer; port: as above."""
        self.put(SourceLost(self.now(), port))

    def report_found(self, name: str, is_input: bool) -> None:
        """Report that a device is there."""
        log.warning("the MIDI port %r is there now", name)
        if not is_input:
            self.put(PortsBack(self.now()))


def _ignore(_event: Event) -> None:
    pass


class NoPorts:
    """Ports where there are to be none: nothing comes in, and what is sent goes nowhere, but all is as with ports.

    Clients of the control socket play to the band, and takes, sound and those clients have what it plays.
    """

    api = NO_PORTS
    names = ("", "")
    missing: tuple[str, ...] = ()
    note = None
    xruns = latency_ns = 0
    loses_ends = False
    links: Links = ()

    def find_listeners(self) -> Sequence[str]:
        """Return nobody."""
        return ()

    def restore_links(self, links: Links) -> None:
        """Connect nothing."""

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """Hear nothing."""

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Send nothing."""

    def find_failure(self) -> str | None:
        """Return None: there is nothing that could fail."""
        return None

    def renew_connections(self) -> None:
        """Connect nothing."""

    def end_notes(self) -> None:
        """End nothing: nobody hears a note."""

    def close(self) -> None:
        """Close nothing."""

    def drop(self) -> None:
        """Give nothing up."""


class StartedKeys:
    """The keys of all notes sent so far. Where a message can get lost, their note-offs are sent again at the end."""

    def __init__(self, table: KeyTable | None = None) -> None:
        """table: where the keys are kept, for each of which there is a byte; another process may read it."""
        self._table: KeyTable = bytearray(midi.KEY_COUNT) if table is None else table

    def add(self, data: bytes) -> None:
        """Take note of a message that is sent."""
        if midi.is_note_on(data):
            self._table[midi.find_place(data)] = midi.KEY_SOUNDS
        elif midi.is_note(data) and self._table[midi.find_place(data)]:
            self._table[midi.find_place(data)] = midi.KEY_ENDED

    def make_note_offs(self) -> list[bytes]:
        """Return the note-offs of all keys; first those of keys that sound, as far as is known."""
        return midi.list_note_offs(bytes(self._table)[: midi.KEY_COUNT])


def option_of(is_input: bool) -> str:
    """Return the command-line option that names a port."""
    return "--in-port" if is_input else "--out-port"


def find_port(names: Sequence[str], wanted: str, other_names: Sequence[Sequence[str]] = ()) -> int | None:
    """Return the index of the port of that name, else of the first whose name contains it or matches it as a pattern.

    other_names: what each port is called besides. Case does not matter, except in a name given in full. None where
    there is no such port.
    """
    all_names = [(name, *others) for name, others in zip_longest(names, other_names, fillvalue=())]
    if wanted in names:
        return names.index(wanted)
    for index, known in enumerate(all_names):
        if wanted in known:
            return index
    pattern = _read_pattern(wanted)
    for index, known in enumerate(all_names):
        if any(wanted.casefold() in name.casefold() or (pattern and pattern.is_in(name)) for name in known):
            return index
    return None


@lru_cache(maxsize=64)
def _read_pattern(text: str) -> NamePattern | None:
    """Return a pattern; None for a text that is none."""
    try:
        return NamePattern(text)
    except PatternError:
        return None


def describe_missing(wanted: str, is_input: bool, names: Sequence[str]) -> str:
    """Return the sentence about a port that is waited for: it may not be switched on yet, or the name is mistyped."""
    return (
        f"no MIDI port {wanted!r} for {option_of(is_input)} yet: it is waited for; there are now: {list_names(names)}"
    )


def list_names(names: Sequence[str]) -> str:
    """Return names as they stand in a sentence."""
    return ", ".join(names) or "none"
