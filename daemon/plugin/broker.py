"""The broker: listens on the plugin's socket, and hands every connection to the performance of its project.

A performance is a process of its own, which begins with its first connection. The broker is not in the way of what is
said then: it reads the first line of a connection, no more, and passes the socket on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from daemon.control.owner_lock import OwnerLock
from daemon.core.tempo import NS_PER_S
from daemon.core.version import find_installed_version
from daemon.plugin.lines import GETS_READY, MAX_LINE_BYTES, VERSION, Hello, LineError, make_line, read_line

log = logging.getLogger(__name__)

#: projects that are played for at once, unless the configuration says otherwise
SESSIONS = 2
#: connections that have not said hello, and how long (ns) they may take
MAX_SILENT, HELLO_NS = 32, 5 * NS_PER_S
#: between two looks at times, and two pings to connections whose performance gets ready
TICK_S, PING_NS = 0.25, NS_PER_S
#: a performance that has not been ready to take connections for so long is given up
START_NS = 60 * NS_PER_S
#: a broker that a plugin has started ends if nobody has connected for so long, and so long after its last performance
FIRST_IDLE_NS, IDLE_NS = 30 * NS_PER_S, NS_PER_S


class SessionProcess(Protocol):
    """The process of a performance."""

    @property
    def exit_status(self) -> int | None:
        """The exit status, None while it runs."""
        ...

    def stop(self, patience_s: float = 0.0) -> int:
        """Give it some seconds to end, then kill it."""
        ...


#: starts the process of a performance: given its number, from 1, and its end of the channel. Raises OSError
Starter = Callable[[int, socket.socket], SessionProcess]


@dataclass(slots=True)
class _Silent:
    """A connection that has not said hello."""

    socket: socket.socket
    since: int
    read: bytes = b""  #: the beginning of its first line


@dataclass(slots=True)
class _Session:
    """A performance."""

    number: int  #: from 1, the lowest that is free
    process: SessionProcess
    channel: socket.socket
    since: int
    is_ready: bool = False  #: it takes connections
    waiting: list[socket.socket] = field(default_factory=list)  #: connections that it has not been handed
    pinged_at: int = 0


class Broker:
    """Owns the socket and the performances; `run` serves them, on any one thread."""

    def __init__(
        self,
        path: Path,
        start: Starter,
        sessions: int = SESSIONS,
        now: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Listen on a socket. Raises OSError where another houseband does, or it cannot be had.

        start: starts the process of a performance; sessions: how many there may be at once.
        """
        self._path, self._start, self._max, self._now = path, start, sessions, now
        try:
            self._lock = OwnerLock(str(path))
        except OSError as error:
            raise OSError(f"another houseband serves the plugin of DAWs already, or {path} cannot be had") from error
        try:
            self._listener = _listen(path)
        except OSError:
            self._lock.release(remove_socket=False)
            raise
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._stop_in, self._stop_out = socket.socketpair()
        self._selector.register(self._stop_in, selectors.EVENT_READ, None)
        self._sessions: dict[str, _Session] = {}
        self._ends_at = now() + FIRST_IDLE_NS  # if there is no performance then, and that is wanted
        self._is_closed = False

    def run(self, *, ends_when_idle: bool = False) -> None:
        """Serve until `close`, or, if that is wanted, until there has been no performance for a while."""
        try:
            while not self._is_closed:
                for key, _ in self._selector.select(TICK_S):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.data, _Silent):
                        self._greet(key.data)
                    elif isinstance(key.data, _Session):
                        self._hear_session(key.data)
                now = self._now()
                self._look_after(now)
                if ends_when_idle and not self._sessions and now > self._ends_at:
                    return
        finally:
            self._end()

    def close(self) -> None:
        """End; any thread may, and a signal handler."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._stop_out.send(b"x")

    def _end(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Silent):
                key.data.socket.close()
        for session in self._sessions.values():
            session.channel.close()
            for connection in session.waiting:
                connection.close()
        for session in self._sessions.values():
            session.process.stop(5.0)
        self._selector.close()
        for each in (self._listener, self._stop_in, self._stop_out):
            each.close()
        self._lock.release(remove_socket=True)

    # Connections

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        silent = [key.data for key in self._selector.get_map().values() if isinstance(key.data, _Silent)]
        if len(silent) >= MAX_SILENT:
            self._drop(min(silent, key=lambda each: each.since))
        self._selector.register(connection, selectors.EVENT_READ, _Silent(connection, self._now()))

    def _drop(self, silent: _Silent) -> None:
        self._selector.unregister(silent.socket)
        silent.socket.close()

    def _greet(self, silent: _Silent) -> None:
        """Read the first line of a connection, and nothing behind it."""
        connection = silent.socket
        try:
            seen = connection.recv(MAX_LINE_BYTES, socket.MSG_PEEK)
            silent.read += connection.recv(seen.find(b"\n") + 1 or len(seen)) if seen else b""
            if seen and not silent.read.endswith(b"\n") and len(silent.read) < MAX_LINE_BYTES:
                return  # it is not all there yet
            line = read_line(silent.read[:-1]) if silent.read.endswith(b"\n") else None
        except BlockingIOError:
            return
        except (OSError, LineError):
            line = None
        self._selector.unregister(connection)
        if isinstance(line, Hello):
            self._admit(connection, line)
        else:
            _refuse(
                connection, 0, "houseband does not understand the plugin; install it again: houseband plugin install"
            )

    def _admit(self, connection: socket.socket, hello: Hello) -> None:
        session = self._sessions.get(hello.session)
        if hello.version != VERSION:
            _refuse(connection, 0, "plugin and houseband are of different versions; houseband plugin install")
            return
        if session is None and len(self._sessions) >= self._max:
            _refuse(connection, 5, f"houseband plays for {self._max} projects already; close one, or wait a moment")
            return
        try:
            if session is None:
                session = self._begin_session(hello.session)
            version = make_line("welcome", VERSION, find_installed_version())
            connection.send(version + make_line("state", GETS_READY, "the band gets ready"))
        except OSError as error:
            _refuse(connection, 5, f"houseband cannot play for the project: {error}")
            return
        session.waiting.append(connection)
        self._hand_over(session)

    # Performances

    def _begin_session(self, name: str) -> _Session:
        ours, theirs = socket.socketpair()
        numbers = {session.number for session in self._sessions.values()}
        number = next(each for each in range(1, self._max + 1) if each not in numbers)
        with theirs:
            try:
                process = self._start(number, theirs)
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        session = self._sessions[name] = _Session(number, process, ours, self._now())
        self._selector.register(ours, selectors.EVENT_READ, session)
        log.info("a performance for a project of a DAW begins (%d)", number)
        return session

    def _hear_session(self, session: _Session) -> None:
        """Take the news that a performance takes connections, or that it has ended."""
        try:
            data = session.channel.recv(16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end_session(session)
        else:
            session.is_ready = True
            self._hand_over(session)

    def _hand_over(self, session: _Session) -> None:
        while session.is_ready and session.waiting:
            connection = session.waiting.pop(0)
            with connection, contextlib.suppress(OSError):  # it has just ended: the plugin connects again
                socket.send_fds(session.channel, [b"c"], [connection.fileno()])

    def _end_session(self, session: _Session) -> None:
        self._sessions = {name: each for name, each in self._sessions.items() if each is not session}
        self._selector.unregister(session.channel)
        session.channel.close()
        for connection in session.waiting:
            connection.close()
        status = session.process.stop(2.0)
        self._ends_at = self._now() + IDLE_NS
        log.info("a performance for a project of a DAW has ended (%d, exit status %d)", session.number, status)

    def _look_after(self, now: int) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Silent) and now - key.data.since > HELLO_NS:
                self._drop(key.data)
        for session in list(self._sessions.values()):
            if session.process.exit_status is not None or (not session.is_ready and now - session.since > START_NS):
                self._end_session(session)
            elif session.waiting and now - session.pinged_at > PING_NS:
                session.pinged_at = now
                for connection in session.waiting:
                    with contextlib.suppress(OSError):
                        connection.send(b"ping\n")


def _listen(path: Path) -> socket.socket:
    """Return a socket that listens at a path, for this user alone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # of one that was killed: the lock is ours
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(16)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _refuse(connection: socket.socket, retry_s: int, reason: str) -> None:
    """Say in a sentence why a connection is not served, and end it; retry_s: when to try again, 0 for never."""
    log.warning("the plugin of a DAW is refused: %s", reason)
    with connection, contextlib.suppress(OSError):
        connection.send(make_line("refused", retry_s, reason))
