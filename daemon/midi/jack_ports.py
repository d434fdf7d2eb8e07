"""Ports through JACK-Client (the extra `jack`), which keeps sample offsets: a constant delay and no jitter.

Everything sounds one period and a little later than it was to leave, so that the conductor's own lateness is made
up for: the process callback places it at its frame. Whoever follows a clock sends that much earlier, for the ports tell
their latency. That callback runs in JACK's own thread, so it does little: it
takes what the conductor left in a queue, and leaves there what came in.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from daemon.core.events import Event, MidiIn
from daemon.core.tempo import NS_PER_MS, NS_PER_S
from daemon.midi.end_repeater import EndRepeater
from daemon.midi.jack_clock import FrameClock
from daemon.midi.jack_connections import ConnectionOrder, JackConnections
from daemon.midi.jack_sources import JackSources
from daemon.midi.ports import ROLE_CHANNELS, Links, PortError, PortEvents, PortRequest, StartedKeys
from music import midi

log = logging.getLogger(__name__)

CLIENT_NAME = "houseband"
#: how late the conductor may be and still be on time, beside a period
SLACK_NS = 5 * NS_PER_MS
#: a note-on that would sound later than that, because the server stood still, is left out; its note-off never is
MAX_ONSET_DELAY_NS = 100 * NS_PER_MS
#: checks without a callback between them, after which the server has forgotten us
MAX_SILENT_CHECKS = 4
#: on closing, all note-offs are sent until they have so often surely been taken, and waited for no longer
CLEAN_ROUNDS, CLOSE_TIMEOUT_NS = 2, 3 * NS_PER_S
#: they have been taken if nothing was lost in so many periods after them, and for so long: an xrun is told of late
SETTLE_PERIODS, SETTLE_NS = 3, 60 * NS_PER_MS
_POLL_S = 0.005
#: JACK's metadata is not waited for any longer
METADATA_TIMEOUT_S = 1.0


class SendQueue:
    """Messages on their way from the conductor's thread, which puts, to the process callback, which does the rest."""

    def __init__(self, delay_ns: int) -> None:
        self.delay_ns = delay_ns  #: from when a message was meant for to when it sounds; set by the callback
        self._arriving: deque[tuple[int, bytes]] = deque()
        self._heap: list[tuple[int, int, bytes]] = []  # the callback's own
        self._order = count()

    def put(self, data: bytes, at: int) -> None:
        """Add a message that is meant for `at` (ns)."""
        self._arriving.append((at + self.delay_ns, data))

    def put_first(self, data: bytes) -> None:
        """Add a message that goes before all others; called by the callback."""
        heapq.heappush(self._heap, (0, next(self._order), data))

    def next(self) -> tuple[int, bytes] | None:
        """Return the earliest message with the time (ns) at which it is to sound, and keep it."""
        while self._arriving:
            at, data = self._arriving.popleft()
            heapq.heappush(self._heap, (at, next(self._order), data))
        return (self._heap[0][0], self._heap[0][2]) if self._heap else None

    def remove_next(self) -> None:
        """Remove the earliest message."""
        heapq.heappop(self._heap)

    def __bool__(self) -> bool:
        return bool(self._arriving or self._heap)


class CallbackMonitor:
    """Notices that process callbacks no longer come. Checks are counted, not seconds: the machine may have slept."""

    def __init__(self) -> None:
        self.calls = 0  #: callbacks so far
        self._seen = 0
        self._silent_checks = 0

    def count(self) -> None:
        """Count a callback; called in it."""
        self.calls += 1

    def check(self) -> int:
        """Return how many checks, this one included, have passed without a callback."""
        self._silent_checks = 0 if self.calls != self._seen else self._silent_checks + 1
        self._seen = self.calls
        return self._silent_checks


class JackPorts:
    """One JACK client with an input and an output, or an output for each role; see `daemon.midi.ports.MidiPorts`.

    A message sounds a constant delay after it was due. Named ports are connected whenever they are there.
    """

    api = "jack"
    note: str | None = None
    #: what an xrun may have lost is sent again here
    loses_ends = False

    def __init__(
        self,
        client: Any,
        request: PortRequest,
        make_reader: Callable[[Any], Any] | None = None,
        find_pretty_names: Callable[[Sequence[Any]], list[str]] = lambda _: [],
    ) -> None:
        """Take a JACK client that is not active yet, and activate it.

        make_reader: returns what reads the events of another client's port in the process callback; find_pretty_names:
        returns what ports are called in JACK's metadata.
        """
        self._client = client
        self._receiver = client.midi_inports.register("in")
        outputs: dict[int | None, str] = {None: "out"}
        if request.per_role:
            outputs = {channel: role for role, channel in ROLE_CHANNELS.items()}
        self._senders = {channel: client.midi_outports.register(name) for channel, name in outputs.items()}
        senders = list(self._senders.values())
        self.names = self._receiver.name, ", ".join(port.name for port in senders)
        self._clock = FrameClock(client.samplerate)
        self._queue = SendQueue(SLACK_NS + client.blocksize * NS_PER_S // client.samplerate)
        self._started = StartedKeys(request.keys)
        self._repeater = EndRepeater()
        self._events = PortEvents()
        self._callbacks = CallbackMonitor()
        self._is_gone = threading.Event()
        client.set_process_callback(self._process)
        client.set_shutdown_callback(lambda *_: self._is_gone.set())
        client.set_xrun_callback(lambda *_: self._repeater.report_xrun())
        self._sources = JackSources(self._events, make_reader or (lambda port: port))
        self._order = ConnectionOrder(client.name)
        client.set_port_connect_callback(self._note_connection)
        client.activate()
        self._connections = JackConnections(
            client, self._receiver, senders, request, self._events, find_pretty_names, self._order
        )
        self._sources.update(client.get_all_connections(self._receiver))

    @property
    def xruns(self) -> int:
        """The number of times that the server has told of running late."""
        return self._repeater.xruns

    @property
    def latency_ns(self) -> int:
        """The time from when a message is to leave until it is heard, counted from the clock that is followed."""
        period = self._queue.delay_ns - SLACK_NS
        return self._queue.delay_ns + (period if self._connections.is_delayed else 0)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of existing ports that are asked for and are not there."""
        return self._connections.missing

    @property
    def links(self) -> Links:
        """The connections there were at the last check but one: a server that throws us out has cut them already."""
        return self._connections.links

    def find_listeners(self) -> list[str]:
        """Return the names of the ports that the band played to at the last check."""
        return self._connections.find_listeners()

    def restore_links(self, links: Links) -> None:
        """Connect what was connected to the client before this one, each port as soon as it is there."""
        self._connections.restore(links)

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """Stamp every message that arrives from now on with its own frame's time and put it."""
        self._events.listen(now, put)

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Play one MIDI message a constant delay after it was to leave; early or far too late, after now."""
        now, leaves = self._events.now(), due if at is None else at
        self._started.add(data)
        self._queue.put(data, leaves if 0 <= now - leaves <= SLACK_NS else now)

    def find_failure(self) -> str | None:
        """Check the server and connect what has come back; return why it is of no more use, None while it is."""
        if self._is_gone.is_set():
            return "the JACK server is gone"
        silent = self._callbacks.check()
        if silent >= MAX_SILENT_CHECKS:
            return "the JACK server does not call any more"
        self._connections.check()
        self._sources.update(self._client.get_all_connections(self._receiver))
        if not silent:  # a client that is no longer called has lost its connections already
            self._connections.remember()
        return None

    def renew_connections(self) -> None:
        """Do nothing: what is no longer connected is connected at every check."""

    def end_notes(self) -> None:
        """End everything that was begun, again and again until a server that runs late has surely taken it."""
        limit = self._events.now() + CLOSE_TIMEOUT_NS
        clean = 0
        while clean < CLEAN_ROUNDS:
            losses = self._repeater.losses
            for data in self._started.make_note_offs():
                self.send(data, self._events.now())
            if not self._wait_until_taken(limit):
                return
            clean = clean + 1 if losses == self._repeater.losses else 0

    def _wait_until_taken(self, limit: int) -> bool:
        """Wait until all has been played and a loss would have been told of; return False at the time `limit`."""
        calls, settled = self._callbacks.calls, None
        while self._events.now() < limit and not self._is_gone.wait(_POLL_S):
            if self._queue:
                calls, settled = self._callbacks.calls, None
            elif settled is None:
                settled = self._events.now() + SETTLE_NS
            elif self._events.now() >= settled and self._callbacks.calls >= calls + SETTLE_PERIODS:
                return True
        return False

    def close(self) -> None:
        """Close once everything has been played, and every note-off again."""
        self.end_notes()
        self.drop()

    def drop(self) -> None:
        """Give the client up at once."""
        self._events.stop()
        with contextlib.suppress(Exception):  # of a server that is gone nothing can be asked any more
            self._client.deactivate()
        with contextlib.suppress(Exception):
            self._client.close()

    def _note_connection(self, a: Any, b: Any, is_connected: bool) -> None:
        """Take note that somebody connected or disconnected two ports; called in JACK's thread for news."""
        self._order.note(a, b, is_connected)
        if b == self._receiver and is_connected:
            self._sources.add(a)
        elif b == self._receiver:
            self._sources.remove(a.name)

    def _process(self, frames: int) -> None:
        """Play and hear one period. Must not raise: JACK would never call again."""
        now, clock = self._events.now(), self._clock
        first = clock.extend(self._client.last_frame_time)
        clock.observe(first, now)
        self._callbacks.count()
        self._queue.delay_ns = SLACK_NS + frames * NS_PER_S // clock.rate
        events = [(offset, bytes(event)) for offset, event in self._receiver.incoming_midi_events()]
        for (offset, data), port in zip(events, self._sources.attribute(events), strict=True):
            if midi.is_valid_message(data):
                self._events.put(MidiIn(clock.ns_at(first + offset), data, port))
        for port in self._senders.values():
            port.clear_buffer()
        self._repeater.begin_period(first, frames)
        for data in self._repeater.take_due(now):
            if not self._write(0, data):
                self._queue.put_first(data)
        while (item := self._queue.next()) is not None and (frame := clock.frame_at(item[0])) < first + frames:
            at, data = item
            is_stale = midi.is_note_on(data) and now - at > MAX_ONSET_DELAY_NS
            if not is_stale and not self._write(max(0, frame - first), data):
                return  # the period is full: the rest with the next
            self._queue.remove_next()
            self._repeater.add(data, now)

    def _write(self, offset: int, data: bytes) -> bool:
        """Write a message to the ports it is for; return False where there is no room."""
        if midi.is_system(data):
            ports = list(self._senders.values())
        else:
            port = self._senders.get(midi.channel_of(data)) or self._senders.get(None)
            ports = [] if port is None else [port]
        for port in ports:
            try:
                port.write_midi_event(offset, data)
            except Exception:  # noqa: BLE001 - JackError, whose module may not be there; a full buffer
                return False
        return True


def open_jack_ports(request: PortRequest) -> JackPorts:
    """Open the ports of a JACK client `houseband`; named ports that are not there are waited for.

    Raises PortError when the extra `jack`, JACK's library or a server is missing.
    """
    try:
        import jack
    except (ImportError, OSError) as error:
        raise PortError(f"output through JACK needs houseband[jack] and JACK's library ({error})") from None
    jack.set_error_function(lambda message: log.debug("JACK: %s", message))
    jack.set_info_function(lambda message: log.debug("JACK: %s", message))
    try:
        client = jack.Client(CLIENT_NAME, no_start_server=True)
    except jack.JackError as error:
        raise PortError(f"no JACK server for --output jack: start one, or leave --output out ({error})") from None
    # Its class for ports of our own, the only one that reads events, takes a port of another client as well.
    return JackPorts(client, request, lambda port: jack.OwnMidiPort(port._ptr, client), PrettyNames(jack).find)


class PrettyNames:
    """Asks for the names that somebody has given ports in JACK's metadata.

    That is a database of files, in which a program that was killed can leave a lock for ever: it is not waited for
    long, and never again once that has happened.
    """

    def __init__(self, jack: Any) -> None:
        """jack: the module."""
        self._jack = jack
        self._is_stuck = False

    def find(self, ports: Sequence[Any]) -> list[str]:
        """Return the name of each port, empty for none."""
        found: list[str] = []
        if not self._is_stuck:
            asking = threading.Thread(target=lambda: found.extend(map(self._ask, ports)), daemon=True)
            asking.start()
            asking.join(METADATA_TIMEOUT_S)
            self._is_stuck = asking.is_alive()
        return [] if self._is_stuck else found

    def _ask(self, port: Any) -> str:
        try:
            found = self._jack.get_property(port.uuid, self._jack.METADATA_PRETTY_NAME)
        except Exception:  # noqa: BLE001 - JackError, or a library without metadata
            return ""
        return "" if found is None else str(found[0].decode("utf-8", "replace"))
