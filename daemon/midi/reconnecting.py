"""Ports that come back: what is lost, a device unplugged, a DAW or a JACK server gone, is looked for and opened again.

One thread asks twice a second whether the ports are well. Where they are not, it says so to the conductor, drops them
and tries to open the same again until it can. The conductor goes on meanwhile; what it sends goes nowhere.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from daemon.core.events import Event, PortsBack, PortsLost
from daemon.midi.rtmidi_ports import PortError
from daemon.system.suspend import SuspendDetector

log = logging.getLogger(__name__)

#: seconds between two looks, and until ports that were just dropped may be deleted: a send may be under way
LOOK, GRACE = 0.5, 0.1
#: seconds that a MIDI system may take for its last words
PATIENCE = 5.0


#: (what a port of ours is called, a port that it is connected to)
Links = Sequence[tuple[str, str]]


class MidiPorts(Protocol):
    """Ports of any kind; `daemon.midi.rtmidi_ports.RtMidiPorts` says what the methods mean."""

    @property
    def api(self) -> str:
        """The MIDI system."""
        ...

    @property
    def names(self) -> tuple[str, str]:
        """What is heard and played to."""
        ...

    @property
    def note(self) -> str | None:
        """What to tell the user."""
        ...

    @property
    def links(self) -> Links:
        """Who was connected to us at the last look, where that ends with us."""
        ...

    def relink(self, links: Links) -> None:
        """Connect them again, each as soon as it is there."""
        ...

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """Stamp and put what arrives."""
        ...

    def send(self, data: bytes, due: int) -> None:
        """Send one MIDI message."""
        ...

    def trouble(self) -> str | None:
        """What is wrong."""
        ...

    def replug(self) -> None:
        """The machine has slept: devices may have been away."""
        ...

    def close(self) -> None:
        """Close in peace."""
        ...

    def abandon(self) -> None:
        """Drop."""
        ...


class ReconnectingPorts:
    """An Output, and what hears, that outlives the ports it is made of. open: opens them, at once and again whenever
    they were lost; raises PortError. Raises it, too, when the first attempt does."""

    def __init__(self, open: Callable[[], MidiPorts]) -> None:  # noqa: A002 - it does
        self._open = open
        self._ports: MidiPorts | None = open()
        self.api, self.names, self.note = self._ports.api, self._ports.names, self._ports.note
        self._links: Links = ()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """From now on what arrives is put, and so is what becomes of the ports."""
        if self._ports is not None:
            self._ports.listen(now, put)
        self._thread = threading.Thread(target=self._keep, args=(now, put), name="port-keeper", daemon=True)
        self._thread.start()

    @property
    def xruns(self) -> int:
        """Those of the audio server so far, where the ports know."""
        return int(getattr(self._ports, "xruns", 0))

    def send(self, data: bytes, due: int) -> None:
        """Send one MIDI message now; to nobody while the ports are gone."""
        ports = self._ports
        if ports is not None:
            ports.send(data, due)

    def close(self) -> None:
        """Close the ports for good. A server that hangs keeps nobody from leaving."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        if self._ports is not None:
            closing = threading.Thread(target=self._ports.close, name="port-closer", daemon=True)
            closing.start()
            closing.join(PATIENCE)
        self._ports = None

    def _keep(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        sleep = SuspendDetector()
        while not self._over.wait(LOOK):
            try:
                if sleep.has_resumed() and self._ports is not None:
                    self._ports.replug()
                if self._ports is None:
                    self._reopen(now, put)
                elif (trouble := self._ports.trouble()) is not None:
                    self._lose(trouble, now, put)
            except Exception as error:  # noqa: BLE001 - whatever a MIDI system raises as it falls apart: look again
                log.debug("the MIDI ports: %s", error)

    def _lose(self, trouble: str, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        log.warning("%s; it is looked for", trouble)
        lost, self._ports = self._ports, None
        put(PortsLost(now()))
        self._over.wait(GRACE)
        if lost is not None:
            self._links = lost.links or self._links
            lost.abandon()

    def _reopen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        try:
            ports = self._open()
        except PortError as error:
            log.debug("not yet: %s", error)
            return
        ports.relink(self._links)
        ports.listen(now, put)
        self._ports = ports
        put(PortsBack(now()))
        log.warning("the MIDI ports are there again, on %s", ports.api)
