"""Ports that come back: where a device is unplugged, or a DAW or a JACK server gone, they are opened again.

One thread checks the ports twice a second. Where they are of no more use it tells the conductor, drops them and tries
to open the same ones until it can. The conductor goes on meanwhile; what it sends goes nowhere.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from daemon.core.events import Event, OutputLatency, PortsBack, PortsLost, SourceLost
from daemon.core.tempo import NS_PER_MS
from daemon.midi.end_repeater import DelayedEnds
from daemon.midi.ports import Links, MidiPorts, PortError
from daemon.system.suspend import SuspendDetector

log = logging.getLogger(__name__)

#: time between two checks
CHECK_INTERVAL_S = 0.5
#: ports that are given up are dropped after that: a send may be under way
DROP_DELAY_S = 0.1
#: a MIDI system that takes longer to close is left alone
CLOSE_TIMEOUT_S = 5.0


class ReconnectingPorts:
    """An Output, and inputs, that outlive the ports they are made of."""

    def __init__(
        self,
        open: Callable[[], MidiPorts],  # noqa: A002 - it does
        tell_listeners: Callable[[str, Sequence[str]], None] = lambda _api, _names: None,
        latency_ns: int | None = None,
    ) -> None:
        """Open the ports. Raises what `open` does.

        open: called at once, and again whenever they were lost; raises PortError; tell_listeners: called at every check
        with the MIDI system and the names of the ports that hear the band; latency_ns: what is taken for the latency of
        the ports, None: what they tell.
        """
        self._open, self._tell_listeners = open, tell_listeners
        self._ports: MidiPorts | None = open()
        self.api, self.names, self.note = self._ports.api, self._ports.names, self._ports.note
        self._links: Links = ()
        self._given_latency_ns, self._latency_ns = latency_ns, 0  # the second is what was told last
        self._now: Callable[[], int] = time.monotonic_ns
        self._ended = DelayedEnds()  # the conductor's thread
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """Put what arrives from now on, and what becomes of the ports."""
        self._now = now
        if self._ports is not None:
            self._ports.listen(now, put)
            self._report_latency(self._ports, now, put)
        self._thread = threading.Thread(target=self._keep, args=(now, put), name="port-keeper", daemon=True)
        self._thread.start()

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of ports that are asked for and are not there; all, while the MIDI system is gone."""
        return self.names if self._ports is None else self._ports.missing

    @property
    def xruns(self) -> int:
        """The number of times that the audio server has run late since the ports were opened; 0 where nobody counts."""
        return 0 if self._ports is None else self._ports.xruns

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Send one MIDI message; to nobody while the ports are gone."""
        ports = self._ports
        if ports is not None:
            ports.send(data, due, at)
            if ports.loses_ends:
                self._ended.add(data, self._now())

    @property
    def repeat_at(self) -> int | None:
        """When (ns) ends are to be sent again; None while there are none."""
        return self._ended.next_at

    def repeat_ends(self, now: int) -> None:
        """Send the ends again that are due at `now` (ns). For the thread that sends."""
        ports, ends = self._ports, self._ended.take_due(now)
        if ports is not None:
            for data in ends:
                ports.send(data, now)

    def end_notes(self) -> None:
        """End everything that was begun; return once that has surely arrived. A server that hangs is not waited for."""
        ports = self._ports
        if ports is not None:
            ending = threading.Thread(target=ports.end_notes, name="note-ender", daemon=True)
            ending.start()
            ending.join(CLOSE_TIMEOUT_S)

    def close(self) -> None:
        """Close the ports for good. A server that hangs keeps nobody from leaving."""
        self._is_closed.set()
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join(CLOSE_TIMEOUT_S)
        if self._ports is not None:
            closing = threading.Thread(target=self._ports.close, name="port-closer", daemon=True)
            try:
                closing.start()
            except RuntimeError:  # a limit of memory or of threads is reached
                self._ports.close()
            else:
                closing.join(CLOSE_TIMEOUT_S)
        self._ports = None

    def _keep(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        suspend = SuspendDetector()
        while not self._is_closed.wait(CHECK_INTERVAL_S):
            try:
                if suspend.has_resumed() and self._ports is not None:
                    self._ports.renew_connections()
                if self._ports is None:
                    self._reopen(now, put)
                elif (failure := self._ports.find_failure()) is not None:
                    self._give_up(failure, now, put)
                else:
                    self._report_latency(self._ports, now, put)
                    self._tell_listeners(self._ports.api, self._ports.find_listeners())
            except Exception as error:  # noqa: BLE001 - whatever a MIDI system raises as it falls apart: check again
                log.debug("the MIDI ports: %s", error)

    def _report_latency(self, ports: MidiPorts, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        latency_ns = ports.latency_ns if self._given_latency_ns is None else self._given_latency_ns
        if latency_ns != self._latency_ns:
            self._latency_ns = latency_ns
            log.info("what is played is heard %.1f ms later", latency_ns / NS_PER_MS)
            put(OutputLatency(now(), latency_ns))

    def _give_up(self, failure: str, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        log.warning("%s; it is looked for", failure)
        lost, self._ports = self._ports, None
        put(SourceLost(now()))
        put(PortsLost(now()))
        self._is_closed.wait(DROP_DELAY_S)
        if lost is not None:
            self._links = lost.links or self._links
            lost.drop()

    def _reopen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        try:
            ports = self._open()
        except PortError as error:
            log.debug("not yet: %s", error)
            return
        ports.restore_links(self._links)
        ports.listen(now, put)
        self._ports = ports
        put(PortsBack(now()))
        log.warning("the MIDI ports are there again, on %s", ports.api)
