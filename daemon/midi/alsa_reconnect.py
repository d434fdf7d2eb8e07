"""After a crash: what was connected is remembered, told to end its notes, and connected again.

A killed process sends no ends, and its virtual ports vanish with what was connected to them. So while the service runs
a thread writes down who listens to the band and whom the band listens to, on ALSA's sequencer; `silence` tells those
who listened that all notes are off, and the next start connects them again.
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
from daemon.midi.rtmidi_ports import IN_NAME, OUT_NAME
from daemon.system.journald import with_fields
from music import midi
from music.files import write_atomically
from music.note import CHANNELS, MELODY

log = logging.getLogger(__name__)

#: seconds between two looks at the connections
LOOK = 1.0
#: the channels that the band uses; the click is on the drums'
USED = tuple(sorted(channel for role, channel in CHANNELS.items() if role != MELODY))
#: clients that connect everything by themselves, or are of the system
_SYSTEM = frozenset(("System",))

Links = list[tuple[alsa_sequencer.Name, alsa_sequencer.Name]]


def all_notes_off() -> list[bytes]:
    """Messages that end whatever may still sound: pedal up and all notes off on every channel the band uses."""
    return [midi.control_change(channel, number, 0) for channel in USED for number in (midi.PEDAL, midi.ALL_NOTES_OFF)]


def is_ours(name: alsa_sequencer.Name) -> bool:
    """Whether it is a port of the band's."""
    return name[0].startswith((IN_NAME, OUT_NAME))


def links(ports: Iterable[alsa_sequencer.Port]) -> Links:
    """(sender's name, destination's name) of every connection from and to the band."""
    there = {port.address: port for port in ports}
    found = [
        (port.name, there[peer].name)
        for port in there.values()
        for peer in port.to
        if peer in there and is_ours(port.name) != is_ours(there[peer].name)
    ]
    return sorted(link for link in found if not _SYSTEM & {link[0][0], link[1][0]})


def to_connect(
    remembered: Links, ports: Iterable[alsa_sequencer.Port]
) -> list[tuple[alsa_sequencer.Address, alsa_sequencer.Address]]:
    """The remembered connections that are not there and whose ends both are."""
    listed = list(ports)
    by_name = {port.name: port for port in reversed(listed)}  # of several of one name the first
    found = []
    for sender, destination in remembered:
        source, target = by_name.get(sender), by_name.get(destination)
        if source is not None and target is not None and target.address not in source.to:
            found.append((source.address, target.address))
    return found


def read(file: Path) -> Links:
    """Connections as they were last written down; none where they cannot be read."""
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        return [((str(a), str(b)), (str(c), str(d))) for (a, b), (c, d) in found]
    except (OSError, ValueError, TypeError):
        return []


def write(file: Path, remembered: Links) -> None:
    """Write them down, whole."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(remembered))


def end_notes_of_dead_band(file: Path) -> int:
    """Tell whoever listened to a band that is gone that all notes are off; returns to how many."""
    listened = {destination for sender, destination in read(file) if is_ours(sender)}
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
                for message in all_notes_off():
                    sender.send_message(message)
                sender.close_port()
                told += 1
    finally:
        sender.delete()
    return told


class ConnectionKeeper:
    """Connects what was connected, then keeps what is. file: where it is written down."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = read(file)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="connections", daemon=True)

    def start(self) -> None:
        """Connect again, and from now on remember."""
        made = alsa_sequencer.connect(to_connect(self._known, alsa_sequencer.ports()))
        if made:
            log.info("connected again: %d", made, extra=with_fields(event="connected", connections=made))
        self._thread.start()

    def close(self) -> None:
        """Stop looking; what is known stays."""
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        while True:
            now = links(alsa_sequencer.ports())
            if now != self._known:
                self._known = now
                write(self._file, now)
            if self._over.wait(LOOK):
                return
