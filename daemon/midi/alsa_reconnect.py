"""Connections on ALSA's sequencer that survive a crash of the band.

A killed process sends no note-offs, and its virtual ports vanish with what was connected to them. So while the service
runs, a thread writes down which ports the band is connected to; `houseband silence` ends the notes of those that
listened, and the next start connects all of them again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daemon.midi import alsa_sequencer
from daemon.midi.ports import IN_NAME, OUT_NAME, ROLE_CHANNELS
from daemon.system.journald import with_fields
from music import midi
from music.files import write_atomically

log = logging.getLogger(__name__)

#: time between two looks at the connections
CHECK_INTERVAL_S = 1.0
#: the channels that the band uses; the click is on the drums'
BAND_CHANNELS = tuple(sorted(ROLE_CHANNELS.values()))
#: clients of the system, which connect by themselves
_SYSTEM_CLIENTS = frozenset(("System",))

Links = list[tuple[alsa_sequencer.Name, alsa_sequencer.Name]]


def make_silencing_messages() -> list[bytes]:
    """Return messages that end whatever may sound: pedal up and all notes off on every channel the band uses."""
    controllers = (midi.PEDAL, midi.ALL_NOTES_OFF)
    return [midi.control_change(channel, number, 0) for channel in BAND_CHANNELS for number in controllers]


def is_ours(name: alsa_sequencer.Name) -> bool:
    """Tell whether a port is the band's."""
    return name[0].startswith((IN_NAME, OUT_NAME))


def find_links(ports: Iterable[alsa_sequencer.SequencerPort]) -> Links:
    """Return (sender's name, destination's name) of every connection from and to the band."""
    there = {port.address: port for port in ports}
    found = [
        (port.name, there[peer].name)
        for port in there.values()
        for peer in port.destinations
        if peer in there and is_ours(port.name) != is_ours(there[peer].name)
    ]
    return sorted(link for link in found if not _SYSTEM_CLIENTS & {link[0][0], link[1][0]})


def find_listeners(ports: Iterable[alsa_sequencer.SequencerPort]) -> list[str]:
    """Return the ports that the band plays to, as `client:port`."""
    heard = {destination for sender, destination in find_links(ports) if is_ours(sender)}
    return [f"{client}:{port}" for client, port in sorted(heard)]


def find_missing(
    remembered: Links, ports: Iterable[alsa_sequencer.SequencerPort]
) -> list[tuple[alsa_sequencer.Address, alsa_sequencer.Address]]:
    """Return the addresses of remembered connections that are not there, but both of whose ends are."""
    listed = list(ports)
    by_name = {port.name: port for port in reversed(listed)}  # of several of one name the first
    found = []
    for sender, destination in remembered:
        source, target = by_name.get(sender), by_name.get(destination)
        if source is not None and target is not None and target.address not in source.destinations:
            found.append((source.address, target.address))
    return found


def read_links(file: Path) -> Links:
    """Return connections as they were last written down; none where they cannot be read."""
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        return [((str(a), str(b)), (str(c), str(d))) for (a, b), (c, d) in found]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def write_links(file: Path, links: Links) -> None:
    """Write connections down. What cannot be written is lost."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(links))


def end_notes_of_dead_band(file: Path) -> int:
    """End all notes of the ports that listened to a band that is gone; return how many ports those are."""
    listened = {destination for sender, destination in read_links(file) if is_ours(sender)}
    wanted = [f"{client}:{port}" for client, port in sorted(listened)]
    if not wanted:
        return 0
    try:
        import rtmidi

        sender = rtmidi.MidiOut(rtmidi.API_LINUX_ALSA, name="houseband silence")
    except (ImportError, AttributeError, OSError):  # rtmidi's own SystemError is an OSError
        return 0
    told = 0
    try:
        for index, name in enumerate(sender.get_ports()):  # e.g. `FLUID Synth (1):Synth input port 128:0`
            if name.rpartition(" ")[0] in wanted:
                sender.open_port(index)
                for message in make_silencing_messages():
                    sender.send_message(message)
                sender.close_port()
                told += 1
    finally:
        sender.delete()
    return told


class ConnectionKeeper:
    """Connects what was connected before, then remembers what is. The file is where it is written down."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = read_links(file)
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="connections", daemon=True)

    def start(self) -> None:
        """Connect again, and remember from now on."""
        made = alsa_sequencer.connect(find_missing(self._known, alsa_sequencer.list_ports()))
        if made:
            log.info("connected again: %d", made, extra=with_fields(event="connected", connections=made))
        self._thread.start()

    def close(self) -> None:
        """Remember no more; what has been written down stays."""
        self._is_closed.set()
        self._thread.join()

    def _keep(self) -> None:
        while True:
            now = find_links(alsa_sequencer.list_ports())
            if now != self._known:
                self._known = now
                write_links(self._file, now)
            if self._is_closed.wait(CHECK_INTERVAL_S):
                return
