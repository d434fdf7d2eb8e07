"""Ports through JACK-Client (the extra `jack`), which keeps sample offsets: a constant delay and no jitter.

Everything goes out one period and a little later than it was meant to, so that the conductor's own lateness is made
up for: the process callback places it at its frame. That callback runs in JACK's own thread, so it does little: it
takes what the conductor left in a queue, and leaves there what came in.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from daemon.core.events import Event, MidiIn, PortsBack, PortsLost
from daemon.core.tempo import NS_PER_MS, NS_PER_S
from daemon.midi.rtmidi_ports import PortError, waited_for
from music import midi
from music.note import CHANNELS, MELODY

log = logging.getLogger(__name__)

CLIENT = "houseband"
#: how late (ns) the conductor may be and still be on time, beside a period
SLACK = 5 * NS_PER_MS
#: an onset that would sound later (ns) than that, because the server stood still, is left out; its end never is
TOO_LATE = 100 * NS_PER_MS
#: looks without a callback between them, after which the server has forgotten us
PATIENCE = 4
#: a callback so far (ns) from where the last ones lead means that the server counts anew
ADRIFT = 20 * NS_PER_MS
#: how fast the clock's own drift is followed, a callback's lateness being none
_PULL = 512


class FrameClock:
    """JACK's frames <-> the machine's monotonic ns, from when callbacks came: none comes before its period begins, so
    the earliest say how the two lie."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._frame = 0
        self._ns: int | None = None

    def saw(self, frame: int, ns: int) -> None:
        """The callback of the period that begins with `frame` came at `ns`."""
        frame = self.near(frame)
        off = 0 if self._ns is None else ns - self.ns_at(frame)
        if self._ns is None or abs(off) > ADRIFT:
            self._frame, self._ns = frame, ns
        else:
            ns = self.ns_at(frame) + (off if off < 0 else off // _PULL)
            self._frame, self._ns = frame, ns

    def ns_at(self, frame: int) -> int:
        """When a frame is."""
        return (self._ns or 0) + (frame - self._frame) * NS_PER_S // self.rate

    def frame_at(self, ns: int) -> int:
        """The frame of a moment."""
        return self._frame + (ns - (self._ns or 0)) * self.rate // NS_PER_S

    def near(self, frame: int) -> int:
        """JACK counts in 32 bits; here it goes on."""
        return frame + round((self._frame - frame) / (1 << 32)) * (1 << 32)


class JackPorts:
    """One JACK client with an input and an output, or an output for each role. As
    `daemon.midi.rtmidi_ports.RtMidiPorts`, but
    that
    `due` is when a message sounds, plus a constant. in_port, out_port: (parts of) the names of existing ports to be
    connected to, whenever they are there."""

    api = "jack"

    def __init__(self, client: Any, in_port: str | None, out_port: str | None, per_role: bool) -> None:
        self.note: str | None = None
        #: as the server counts them
        self.xruns = 0
        self._client = client
        self._wanted = [(name.strip(), True) for name in (in_port or "").split(",") if name.strip()]
        self._wanted += [(out_port, False)] if out_port else []
        self._in = client.midi_inports.register("in")
        outs: dict[int | None, str] = {None: "out"}
        if per_role:
            outs = {channel: role for role, channel in CHANNELS.items() if role != MELODY}
        self._outs = {channel: client.midi_outports.register(name) for channel, name in outs.items()}
        self.names = self._in.name, ", ".join(port.name for port in self._outs.values())
        self._clock = FrameClock(client.samplerate)
        self._delay = SLACK + client.blocksize * NS_PER_S // client.samplerate
        self._waiting: deque[tuple[int, bytes]] = deque()  # from the conductor's thread: when it sounds (ns), message
        self._heap: list[tuple[int, int, bytes]] = []  # the callback's own
        self._order = count()
        self._calls = 0  # of the callback
        self._seen, self._idle = 0, 0  # as of the last look, and looks since then
        #: (what a port of ours is called, a port it is connected to), as of the last look after which we were called:
        #: who is no longer called has lost them already
        self.links: Sequence[tuple[str, str]] = ()
        self._linked: Sequence[tuple[str, str]] = ()  # as of the last look
        self._owed: list[tuple[str, str]] = []  # connections that were there before the server was lost
        self._begun: set[tuple[int, int]] = set()
        self._gone = threading.Event()
        self._now: Callable[[], int] = time.monotonic_ns
        self._put: Callable[[Event], None] = lambda _: None
        self._met = False  # what was asked for has been looked for
        client.set_process_callback(self._process)
        client.set_shutdown_callback(lambda *_: self._gone.set())
        client.set_xrun_callback(self._xrun)
        client.activate()
        self._lost: set[str] = set()
        for asked, heard in self._wanted:
            self._connect(asked, heard)
        self._met = True

    def listen(self, now: Callable[[], int], put: Callable[[Event], None]) -> None:
        """From now on every message that arrives is stamped with its own frame's time and put."""
        self._now, self._put = now, put

    def send(self, data: bytes, due: int) -> None:
        """Play one MIDI message a constant delay after `due`; one that comes early or far too late, after now."""
        now = self._now()
        if not 0 <= now - due <= SLACK:
            due = now
        self._waiting.append((due + self._delay, data))
        if midi.is_note_on(data):
            self._begun.add(midi.key_of(data))

    def trouble(self) -> str | None:
        """What is wrong, None while nothing is; connects what has come back."""
        if self._gone.is_set():
            return "the JACK server is gone"
        self._idle = 0 if self._calls != self._seen else self._idle + 1
        self._seen = self._calls
        if self._idle >= PATIENCE:
            return "the JACK server does not call any more"
        for asked, heard in self._wanted:
            self._connect(asked, heard)
        self._owed = [link for link in self._owed if not self._join(*link)]
        if not self._idle:
            ours = (self._in, *self._outs.values())
            there = [(own.shortname, port.name) for own in ours for port in self._client.get_all_connections(own)]
            self.links, self._linked = self._linked, there
        return None

    def relink(self, links: Sequence[tuple[str, str]]) -> None:
        """Connect what was connected to the client before this one, each port as soon as it is there."""
        self._owed = list(links)

    def replug(self) -> None:
        """What is no longer connected is connected at every look."""

    def close(self) -> None:
        """Close once everything has been played, all ends twice: an xrun may lose some."""
        for _ in range(2):
            for key in sorted(self._begun):
                self.send(midi.note_off(*key), self._now())
            self._gone.wait(0.05)
        patience = self._now() + NS_PER_S
        while (self._waiting or self._heap) and self._now() < patience and not self._gone.wait(0.02):
            pass
        self._gone.wait(0.05)
        self.abandon()

    def abandon(self) -> None:
        """Drop the client."""
        self._put = lambda _: None
        with contextlib.suppress(Exception):  # of a server that is gone nothing can be asked any more
            self._client.deactivate()
        with contextlib.suppress(Exception):
            self._client.close()

    def _there(self, heard: bool) -> list[Any]:
        found = self._client.get_ports(is_midi=True, is_output=heard, is_input=not heard)
        return [port for port in found if not port.name.startswith(f"{self._client.name}:")]

    def _connect(self, asked: str, heard: bool) -> bool:
        """Whether a port is there, and connected now if it was not."""
        pattern = re.compile(re.escape(asked) if _broken(asked) else asked, re.IGNORECASE)
        for port in self._there(heard):
            if asked.casefold() in port.name.casefold() or pattern.search(port.name):
                for own in [self._in] if heard else self._outs.values():
                    if not own.is_connected_to(port):
                        self._client.connect(*((port, own) if heard else (own, port)))
                if asked in self._lost:
                    self._lost.discard(asked)
                    log.warning("the MIDI port %r is there now", port.name)
                    if not heard:
                        self._put(PortsBack(self._now()))
                return True
        if asked not in self._lost:
            self._lost.add(asked)
            self._miss(asked, heard)
        return False

    def _join(self, own: str, other: str) -> bool:
        """Whether a port of ours and another, by name, are connected now."""
        ours = next((port for port in (self._in, *self._outs.values()) if port.shortname == own), None)
        if ours is None:
            return True  # there is no such port any more
        try:
            if not ours.is_connected_to(other):
                self._client.connect(*((other, ours) if ours is self._in else (ours, other)))
        except Exception:  # noqa: BLE001 - JackError, whose module may not be there: it is not there yet
            return False
        return True

    def _miss(self, asked: str, heard: bool) -> None:
        """A port that was asked for is not there, or no longer."""
        if not self._met:
            there = [port.name for port in self._there(heard)]
            log.warning("%s", waited_for(asked, "--in-port" if heard else "--out-port", there))
            return
        log.warning("the MIDI port %r is gone; it is looked for", asked)
        if not heard:
            self._put(PortsLost(self._now()))
        for channel in range(midi.CHANNEL_COUNT) if heard else ():
            self._put(MidiIn(self._now(), midi.all_notes_off(channel)))

    def _xrun(self, *_: object) -> None:
        self.xruns += 1

    def _process(self, frames: int) -> None:
        """One period. Must not raise: JACK would never call again."""
        now, clock = self._now(), self._clock
        first = clock.near(self._client.last_frame_time)
        clock.saw(first, now)
        self._calls += 1
        self._delay = SLACK + frames * NS_PER_S // clock.rate
        for offset, event in self._in.incoming_midi_events():
            if midi.is_valid_message(data := bytes(event)):
                self._put(MidiIn(clock.ns_at(first + offset), data))
        for port in self._outs.values():
            port.clear_buffer()
        while self._waiting:
            at, message = self._waiting.popleft()
            heapq.heappush(self._heap, (at, next(self._order), message))
        while self._heap and (frame := clock.frame_at(self._heap[0][0])) < first + frames:
            at, _, message = self._heap[0]
            stale = midi.is_note_on(message) and now - at > TOO_LATE
            if not stale and not self._write(max(0, frame - first), message):
                return  # the period is full: the rest with the next
            heapq.heappop(self._heap)

    def _write(self, offset: int, message: bytes) -> bool:
        if midi.is_system(message):
            ports = list(self._outs.values())
        else:
            port = self._outs.get(midi.channel_of(message)) or self._outs.get(None)
            ports = [] if port is None else [port]
        for port in ports:
            try:
                port.write_midi_event(offset, message)
            except Exception:  # noqa: BLE001 - JackError, whose module may not be there; a full buffer
                return False
        return True


def _broken(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return True
    return False


def open_jack_ports(in_port: str | None, out_port: str | None, per_role: bool) -> JackPorts:
    """The ports of a JACK client `houseband`. in_port, out_port: (parts of) the names of ports to connect them to;
    what is not there is waited for. Raises PortError when the extra `jack`, JACK's library or a server is missing."""
    try:
        import jack
    except (ImportError, OSError) as error:
        raise PortError(f"output through JACK needs houseband[jack] and JACK's library ({error})") from None
    jack.set_error_function(lambda message: log.debug("JACK: %s", message))
    jack.set_info_function(lambda message: log.debug("JACK: %s", message))
    try:
        client = jack.Client(CLIENT, no_start_server=True)
    except jack.JackError as error:
        raise PortError(f"no JACK server for --output jack: start one, or leave --output out ({error})") from None
    return JackPorts(client, in_port, out_port, per_role)
