"""The control socket's server: a process of its own, so that no client can make the band wait.

One asyncio loop serves all clients. A thread reads what the band tells from stdin; messages for the band go to stdout.
`protocol.md` describes what is spoken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import Full, Queue
from typing import Any

from daemon.control.connection import MAX_QUEUE_BYTES, Connection, Json, Turnstile
from daemon.control.protocol import PROTOCOL, TCP
from daemon.control.requests import RequestError, RequestHandler, is_panic, make_answer, make_refusal
from daemon.core import wire
from daemon.core.version import find_installed_version
from daemon.system.paths import find_control_token_file
from music.errors import describe_error
from music.files import write_atomically

MAX_LINE_BYTES = 1 << 16
MAX_CLIENTS = 32
#: connections beyond those, on which a panic is carried out and nothing else; one more takes the oldest one's place
MAX_RESERVED = 16
#: connections over TCP that have not shown the token yet; one more takes the oldest one's place
MAX_STRANGERS = 256
#: how long a connection may stay that has shown no token, or that is beyond `MAX_CLIENTS`
PATIENCE_S = 5.0
#: a request is not longer that shows the token, or that asks for a panic and has precedence
MAX_SHORT_BYTES = 1000
#: connections that wait to be accepted
BACKLOG = 512
#: how long a program must go on answering at an address for it to be another's
TAKEN_AFTER_S = 1.0
#: facts that are read ahead of the loop; while so many wait, clients can read what they were sent
MAX_FACTS_AHEAD = 256
#: requests a second that are answered to all clients together, and panics, which wait for no other requests
ALL_REQUESTS_PER_SECOND = 200.0
PANICS_PER_SECOND = 20.0
#: messages that may wait for the band to read them
MAX_QUEUED_MESSAGES = 1000

_FULL = f"there are {MAX_CLIENTS} clients already"


class ControlServer:
    """Serves the clients. Belongs to one event loop."""

    def __init__(self, handler: RequestHandler, token: str, pass_on: Callable[[Json], bool]) -> None:
        """Serve clients that know `token` (all, where it is empty).

        `pass_on` sends a message to the band, or returns False where the band takes none.
        """
        self._handler = handler
        self._token = token
        self._pass_on = pass_on
        self._clients: dict[Connection, None] = {}
        self._reserved: dict[Connection, None] = {}
        self._strangers: dict[Connection, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = Turnstile(ALL_REQUESTS_PER_SECOND)
        self._panics = Turnstile(PANICS_PER_SECOND, PANICS_PER_SECOND)
        self._wanted_topics: frozenset[str] = frozenset()

    async def run(self, listener: socket.socket, read_fact: Callable[[], tuple[Any, ...]]) -> None:
        """Serve until the band has no more to tell. `read_fact` waits for a fact; it raises EOFError after the last."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        facts: Queue[tuple[Any, ...]] = Queue(MAX_FACTS_AHEAD)

        def read_facts() -> None:
            with contextlib.suppress(EOFError):
                while True:
                    facts.put(read_fact())
                    loop.call_soon_threadsafe(self._take_facts, facts)
            loop.call_soon_threadsafe(ended.set)

        listening = await asyncio.start_server(self._serve, sock=listener, limit=MAX_LINE_BYTES)
        threading.Thread(target=read_facts, name="control-facts", daemon=True).start()
        await ended.wait()
        listening.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _take_facts(self, facts: Queue[tuple[Any, ...]]) -> None:
        """Take the facts that have come; a client is sent their events in one piece, which it reads faster."""
        for _ in range(facts.qsize()):
            fact = facts.get()
            self._handler.tell_gone()
            if fact == ("ping",):
                self._pass_on({"kind": "pong"})
                continue
            found = self._handler.take_fact(fact)
            if found is None:
                continue
            topic, event = found
            line = json.dumps(event).encode() + b"\n"
            for client in self._clients:
                if topic in client.topics:
                    client.add_event(line)
        for client in self._clients:
            client.flush()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it leaves or is sent away."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = Connection(writer)
        writer.transport.set_write_buffer_limits(MAX_QUEUE_BYTES, MAX_QUEUE_BYTES)
        client.send({"houseband": find_installed_version(), "protocol": PROTOCOL})
        try:
            # it has gone, was sent away, stayed too long, or said too much before it was admitted
            with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                if await self._admit(client, reader):
                    await self._serve_admitted(client, reader)
        except asyncio.CancelledError:  # the band has ended; asyncio would log that a connection was cut off
            writer.transport.abort()
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _admit(self, client: Connection, reader: asyncio.StreamReader) -> bool:
        """Return whether a connection may ask anything: over TCP, whether it shows the token in time."""
        if not self._token:
            return True
        with _seated(self._strangers, client, MAX_STRANGERS):
            async with asyncio.timeout(PATIENCE_S):
                line = await reader.readuntil()
        return len(line) <= MAX_SHORT_BYTES and await self._carry_out(client, line, self._authenticate)

    async def _serve_admitted(self, client: Connection, reader: asyncio.StreamReader) -> None:
        """Answer requests: all where there is room for one more client, else only that for a panic."""
        if len(self._clients) >= MAX_CLIENTS:
            client.send(make_refusal({}, _FULL))
            with _seated(self._reserved, client, MAX_RESERVED):
                async with asyncio.timeout(PATIENCE_S):
                    await self._carry_out(client, await self._read_line(client, reader), self._answer_panic)
                    await reader.read()  # until the client, once it is answered, leaves
            return
        self._clients[client] = None
        try:
            while True:
                await self._carry_out(client, await self._read_line(client, reader), self._handler.answer)
                self._pass_on_wanted_topics()
                await client.writer.drain()
        finally:
            del self._clients[client]
            self._handler.drop_client(client)
            self._pass_on_wanted_topics()

    async def _read_line(self, client: Connection, reader: asyncio.StreamReader) -> bytes:
        """Return the next line that is not empty, once it is the connection's turn.

        Raises EOFError and OSError when the connection has gone or is to be sent away.
        """
        while True:
            try:
                line = await reader.readuntil()
            except asyncio.LimitOverrunError:
                client.send(make_refusal({}, f"a request is at most {MAX_LINE_BYTES} bytes long"))
                raise EOFError from None
            await client.turns.wait()
            await (self._panics if _may_be_panic(line) else self._turns).wait()
            if line.strip():
                return line

    async def _carry_out(self, client: Connection, line: bytes, do: Callable[[Connection, Json], None]) -> bool:
        """Do what a line asks for; return False where it is refused, which the client is told."""
        request: Json = {}
        try:
            request = _parse_request(line)
            if is_panic(request) and not _may_be_panic(line):
                await self._panics.wait()
            do(client, request)
        except RequestError as error:
            client.send(make_refusal(request, str(error)))
        except Exception as error:  # noqa: BLE001 - whatever a request does, it is answered, and the server goes on
            client.send(make_refusal(request, f"this request cannot be carried out ({describe_error(error)})"))
        else:
            return True
        return False

    def _answer_panic(self, client: Connection, request: Json) -> None:
        if not is_panic(request):
            raise RequestError(_FULL)
        self._handler.answer(client, request)

    def _authenticate(self, client: Connection, request: Json) -> None:
        token = request.get("token")
        if not isinstance(token, str) or not secrets.compare_digest(_to_bytes(token), _to_bytes(self._token)):
            raise RequestError(
                'the first request over TCP is {"op": "hello", "token": ...}, with the token in control.tcp'
            )
        client.send(make_answer(request))

    def _pass_on_wanted_topics(self) -> None:
        """Tell the band what somebody has subscribed to, so that it works out nothing else."""
        wanted = frozenset(topic for client in self._clients for topic in client.topics)
        if wanted != self._wanted_topics and self._pass_on({"kind": "wanted", "topics": sorted(wanted)}):
            self._wanted_topics = wanted


@contextlib.contextmanager
def _seated(seats: dict[Connection, None], client: Connection, most: int) -> Iterator[None]:
    """Give a connection one of `most` seats, while it needs one; the one that has had its seat longest is sent away."""
    if len(seats) >= most:
        oldest = next(iter(seats))
        del seats[oldest]
        oldest.writer.transport.abort()
    seats[client] = None
    try:
        yield
    finally:
        seats.pop(client, None)


def _may_be_panic(line: bytes) -> bool:
    return len(line) <= MAX_SHORT_BYTES and b"panic" in line


def _parse_request(line: bytes) -> Json:
    """Return a line's request. Raises RequestError."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise RequestError("not a line of JSON") from None
    if not isinstance(found, dict):
        raise RequestError('a request is a JSON object such as {"op": "get"}')
    return found


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def listen(where: str) -> tuple[socket.socket, str, str]:
    """Return a listening socket, the token that clients must know, and its address. Raises OSError.

    The band's main process has the address locked (`daemon.control.owner_lock`): a socket there is one left behind,
    unless another program listens to it.
    """
    if where.startswith(TCP):
        return _listen_tcp(int(where.removeprefix(TCP) or 0))
    path = Path(where)
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket():
            if _is_answered(path):
                raise OSError(f"another program listens at {where}; give this band a `control` of its own")
            path.unlink()
        mask = os.umask(0o177)  # nobody else's from its first moment
        try:
            listener.bind(where)
        finally:
            os.umask(mask)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener, "", where


def _is_answered(path: Path) -> bool:
    """Tell whether a program listens at a socket, and goes on to: a server whose band was killed is about to end."""
    end = time.monotonic() + TAKEN_AFTER_S
    while True:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TAKEN_AFTER_S)
            try:
                client.connect(str(path))
            except OSError:
                return False
        if time.monotonic() > end:
            return True
        time.sleep(0.05)


def _listen_tcp(port: int) -> tuple[socket.socket, str, str]:
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    try:
        port = int(listener.getsockname()[1])
        token = secrets.token_hex(16)
        mask = os.umask(0o177)  # nobody else may read it
        try:
            path = find_control_token_file()
            path.unlink(missing_ok=True)  # with whatever mode it had
            write_atomically(path, f"{port} {token}\n")
        finally:
            os.umask(mask)
    except OSError:
        listener.close()
        raise
    return listener, token, f"{TCP}{port}"


class BandMessages:
    """Messages to the band, which reads our stdout; a band that does not read holds up nobody."""

    def __init__(self) -> None:
        self._queue: Queue[Mapping[str, object]] = Queue(MAX_QUEUED_MESSAGES)
        threading.Thread(target=self._write, name="control-messages", daemon=True).start()

    def pass_on(self, message: Mapping[str, object]) -> bool:
        """Send a message; return False, and lose it, where the band does not read what was sent before."""
        try:
            self._queue.put_nowait(message)
        except Full:
            return False
        return True

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # the band is gone
            while True:
                sys.stdout.write(json.dumps(self._queue.get()) + "\n")
                sys.stdout.flush()


def serve() -> None:
    """Run the server's process: read the setup from stdin, then facts until there are no more."""
    if hasattr(os, "nice"):
        os.nice(5)
    messages = BandMessages()
    with contextlib.suppress(EOFError):
        _, setup = wire.receive(sys.stdin.buffer)
        try:
            listener, token, where = listen(setup["where"])
        except (OSError, ValueError) as error:
            messages.pass_on({"kind": "warning", "text": f"there is none, for {error}"})
            while wire.receive(sys.stdin.buffer) is not None:
                messages.pass_on({"kind": "pong"})
            return
        messages.pass_on({"kind": "listening", "where": where})
        server = ControlServer(RequestHandler(setup, messages.pass_on), token, messages.pass_on)
        asyncio.run(server.run(listener, lambda: wire.receive(sys.stdin.buffer)))
