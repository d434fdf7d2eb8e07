"""The connections of a session: one thread that reads lines from their sockets, and writes those that it is given.

It alone owns the sockets. Both ways are bounded: a plugin that sends too much waits, one that reads too little is left.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.core.tempo import NS_PER_S
from daemon.plugin.lines import MAX_LINE_BYTES, Bye, Line, LineError, make_line, read_line

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 16
#: bytes that wait to be written to a connection, until it is given up
MAX_WAITING_BYTES = 1 << 20
#: lines a second that are read from a connection, on average, and at once
LINES_PER_S, MAX_LINES_AT_ONCE = 4000, 8000
#: lines that the conductor has not worked off, from which on no more are read
MAX_BACKLOG = 16_000
#: between two pings, and the silence after which a connection is given up
PING_NS, SILENCE_NS = NS_PER_S, 5 * NS_PER_S
#: a connection that has taken nothing for so long is given up
STUCK_NS = 5 * NS_PER_S
#: between two looks at times
TICK_S = 0.25
_READ_BYTES = 1 << 16


@dataclass(slots=True)
class Link:
    """A connection."""

    number: int  #: from 1
    socket: socket.socket
    read: bytearray = field(default_factory=bytearray)  #: the beginning of a line
    waiting: deque[bytes] = field(default_factory=deque)  #: lines to be written; any thread appends
    put_bytes: int = 0  #: bytes of all lines so far; only whoever appends counts them
    taken_bytes: int = 0  #: of those that are taken from `waiting`; only the thread of the links counts them
    rest: bytes = b""  #: bytes that the socket did not take at once
    events: int = 0  #: those of the selector that are waited for
    tokens: int = MAX_LINES_AT_ONCE * NS_PER_S  #: billionths of lines that may be read now ...
    counted_at: int = 0  #: ... at this time (ns)
    heard_at: int = 0  #: when (ns) something came last
    told_at: int = 0  #: when (ns) something was written last
    overflows: bool = False  #: more waits than may

    @property
    def is_waiting(self) -> bool:
        """True while something is to be written."""
        return bool(self.rest or self.waiting)


class PluginLinks:
    """Keeps the connections of a session. `tell` is for one thread, the conductor's."""

    def __init__(self, now: Callable[[], int] = time.monotonic_ns) -> None:
        """now: returns the ns of a real clock."""
        self._now = now
        self._put: Callable[[int, Line | None], None] = lambda _number, _line: None
        self._orphaned: Callable[[], None] = lambda: None
        self._backlog: Callable[[], int] = lambda: 0
        self._links: dict[int, Link] = {}
        self._count = 0
        self._greeting: tuple[bytes, ...] = ()
        self._wake_in, self._wake_out = socket.socketpair()
        self._is_awake = False
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="plugin-links", daemon=True)
        #: connections that were given up because they did not read
        self.dropped = 0

    def start(
        self,
        channel: socket.socket,
        put: Callable[[int, Line | None], None],
        orphaned: Callable[[], None],
        backlog: Callable[[], int],
    ) -> None:
        """Serve the connections that come through a channel, each with a byte of its own.

        put: takes the number of a connection and what it says, None when it has ended; orphaned: called when whoever
        hands over connections is gone; backlog: returns how much of what was put waits.
        """
        self._put, self._orphaned, self._backlog = put, orphaned, backlog
        for each in (channel, self._wake_in, self._wake_out):
            each.setblocking(False)
        self._selector.register(channel, selectors.EVENT_READ, "channel")
        self._selector.register(self._wake_in, selectors.EVENT_READ, "wake")
        self._thread.start()
        channel.send(b"r")  # connections may come

    def greet(self, *lines: bytes) -> None:
        """Tell all connections something, and those that come from now on first of all."""
        self._greeting = lines
        for line in lines:
            self.tell_all(line)

    def tell(self, number: int, line: bytes) -> None:
        """Write a line to a connection, soon; it is none of the caller's business when."""
        link = self._links.get(number)
        if link is None or link.overflows:
            return
        if link.put_bytes - link.taken_bytes + len(line) > MAX_WAITING_BYTES:
            link.overflows = True
        else:
            link.put_bytes += len(line)
            link.waiting.append(line)
        self._wake()

    def tell_all(self, line: bytes) -> None:
        """Write a line to every connection, soon."""
        for number in list(self._links):
            self.tell(number, line)

    def close(self) -> None:
        """Write what is to be written, as far as it is taken, and end all connections."""
        self._closing = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join()

    def _wake(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            with contextlib.suppress(OSError):
                self._wake_out.send(b"w")

    # The thread

    def _run(self) -> None:
        while not self._closing:
            for key, events in self._selector.select(TICK_S):
                self._serve(key.data, key.fileobj, events)
            self._is_awake = False
            now = self._now()
            for link in list(self._links.values()):
                self._look_after(link, now)
        for link in list(self._links.values()):
            self._write(link)
            self._end(link, None)
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]  # the channel, and the end that wakes
        self._selector.close()
        self._wake_out.close()

    def _serve(self, data: object, source: object, events: int) -> None:
        if data == "wake":
            with contextlib.suppress(OSError):
                self._wake_in.recv(4096)
        elif data == "channel":
            assert isinstance(source, socket.socket)
            self._accept(source)
        elif isinstance(data, Link) and data.number in self._links and events & selectors.EVENT_READ:
            self._read(data)

    def _accept(self, channel: socket.socket) -> None:
        """Take the connections that are handed over."""
        try:
            message, files, _, _ = socket.recv_fds(channel, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            message, files = b"", []
        if not message:
            self._selector.unregister(channel)
            channel.close()
            self._orphaned()
        for number in files:
            self.add(socket.socket(fileno=number))

    def add(self, connection: socket.socket) -> None:
        """Serve a connection, too; it has said hello."""
        connection.setblocking(False)
        if len(self._links) >= MAX_CONNECTIONS:
            reason = make_line("refused", 5, f"a project of a DAW may have {MAX_CONNECTIONS} connections to houseband")
            with contextlib.suppress(OSError):
                connection.send(reason)
            connection.close()
            return
        self._count += 1
        now = self._now()
        link = Link(self._count, connection, heard_at=now, told_at=now, counted_at=now)
        link.rest = b"".join(self._greeting)
        self._links[link.number] = link
        self._wait_for(link, selectors.EVENT_READ)

    def _read(self, link: Link) -> None:
        try:
            data = link.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(link, str(error))
            return
        if not data:
            self._end(link, None)
            return
        link.heard_at = self._now()
        link.read += data
        *lines, rest = link.read.split(b"\n")
        link.read = bytearray(rest)
        link.tokens -= len(lines) * NS_PER_S
        for text in lines:
            if not self._take(link, bytes(text)):
                return
        if len(rest) >= MAX_LINE_BYTES:
            self._refuse(link, "a line of the plugin is too long")

    def _take(self, link: Link, text: bytes) -> bool:
        """Put what a line says; return False where the connection has ended by it."""
        try:
            if len(text) >= MAX_LINE_BYTES:
                raise LineError("a line of the plugin is too long")
            line = read_line(text)
        except LineError as error:
            self._refuse(link, str(error))
            return False
        if isinstance(line, Bye):
            self._end(link, None)
            return False
        if line is not None:
            self._put(link.number, line)
        return True

    def _refuse(self, link: Link, reason: str) -> None:
        link.rest += make_line("error", reason)
        self._write(link)
        self._end(link, reason)

    def _look_after(self, link: Link, now: int) -> None:
        """Write, ping, and give up a connection that is of no use any more."""
        if not link.is_waiting and now - link.told_at >= PING_NS:
            link.rest = b"ping\n"
        self._write(link)
        if link.number not in self._links:
            return
        if link.overflows or (link.is_waiting and now - link.told_at > STUCK_NS):
            self.dropped += 1
            self._end(link, "it does not read what it is told")
        elif now - link.heard_at > SILENCE_NS and link.events & selectors.EVENT_READ:
            self._end(link, "it has been silent for too long")
        else:
            link.tokens = min(MAX_LINES_AT_ONCE * NS_PER_S, link.tokens + (now - link.counted_at) * LINES_PER_S)
            link.counted_at = now
            reads = link.tokens > 0 and self._backlog() < MAX_BACKLOG
            if not reads:
                link.heard_at = now  # nobody listens
            self._wait_for(
                link, (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if link.is_waiting else 0)
            )

    def _wait_for(self, link: Link, events: int) -> None:
        if events == link.events:
            return
        if not link.events:
            self._selector.register(link.socket, events, link)
        elif not events:
            self._selector.unregister(link.socket)
        else:
            self._selector.modify(link.socket, events, link)
        link.events = events

    def _write(self, link: Link) -> None:
        """Write as much as the socket takes."""
        while link.is_waiting:
            if not link.rest:
                lines = [link.waiting.popleft() for _ in range(len(link.waiting))]
                link.rest = b"".join(lines)
                link.taken_bytes += len(link.rest)
            try:
                sent = link.socket.send(link.rest)
            except BlockingIOError:
                return
            except OSError as error:
                self._end(link, str(error))
                return
            link.rest = link.rest[sent:]
            link.told_at = self._now()

    def _end(self, link: Link, reason: str | None) -> None:
        if self._links.pop(link.number, None) is None:
            return
        if reason is not None:
            log.warning("a plugin's connection is ended: %s", reason)
        self._wait_for(link, 0)
        link.socket.close()
        self._put(link.number, None)
