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
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Queue
from typing import Any

from daemon.control.connection import MAX_QUEUE_BYTES, Connection, Json, TokenBucket
from daemon.control.protocol import PROTOCOL, TCP
from daemon.control.requests import RequestError, RequestHandler, make_answer, make_refusal
from daemon.core import wire
from daemon.core.version import find_installed_version
from daemon.system.paths import find_control_token_file

MAX_LINE_BYTES = 1 << 16
MAX_CLIENTS = 32
#: facts that are read ahead of the loop; while so many wait, clients can read what they were sent
MAX_FACTS_AHEAD = 256
#: requests a second that are answered to all clients together
ALL_REQUESTS_PER_SECOND = 200.0


class ControlServer:
    """Serves the clients. Belongs to one event loop."""

    def __init__(self, handler: RequestHandler, token: str, pass_on: Callable[[Json], None]) -> None:
        """Serve clients that know `token` (all, where it is empty); `pass_on` sends a message to the band."""
        self._handler = handler
        self._token = token
        self._pass_on = pass_on
        self._clients: dict[Connection, asyncio.Task[None]] = {}
        self._requests = TokenBucket(time.monotonic(), ALL_REQUESTS_PER_SECOND)
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
        tasks = list(self._clients.values())
        for client in self._clients:
            client.writer.transport.abort()
        if tasks:
            await asyncio.wait(tasks)

    def _take_facts(self, facts: Queue[tuple[Any, ...]]) -> None:
        """Take the facts that have come; a client is sent their events in one piece, which it reads faster."""
        for _ in range(facts.qsize()):
            found = self._handler.take_fact(facts.get())
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
        """Serve one client until it leaves or is sent away."""
        client = Connection(writer, TokenBucket(time.monotonic()), authenticated=not self._token)
        writer.transport.set_write_buffer_limits(MAX_QUEUE_BYTES, MAX_QUEUE_BYTES)
        client.send({"houseband": find_installed_version(), "protocol": PROTOCOL})
        if len(self._clients) >= MAX_CLIENTS:
            client.send({"ok": False, "error": f"there are {MAX_CLIENTS} clients already"})
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._clients[client] = task
        try:
            await self._answer_all(client, reader)
            writer.close()
            await writer.wait_closed()
        except (OSError, EOFError):  # it has gone
            writer.close()
        finally:
            del self._clients[client]
            self._handler.drop_client(client)
            self._pass_on_wanted_topics()

    async def _answer_all(self, client: Connection, reader: asyncio.StreamReader) -> None:
        """Answer a client's requests as fast as it may ask and reads the answers.

        Returns when it is to be sent away. Raises EOFError and OSError when it has gone.
        """
        while True:
            try:
                line = await reader.readuntil()
            except asyncio.LimitOverrunError:
                client.send(make_refusal({}, f"a request is at most {MAX_LINE_BYTES} bytes long"))
                return
            await self._wait_for_turn(client)
            if line.strip() and not self._answer(client, line):
                return
            self._pass_on_wanted_topics()
            await client.writer.drain()

    async def _wait_for_turn(self, client: Connection) -> None:
        buckets = client.bucket, self._requests
        while delay := max(bucket.find_delay_s(time.monotonic()) for bucket in buckets):
            await asyncio.sleep(delay)
        for bucket in buckets:
            bucket.take()

    def _answer(self, client: Connection, line: bytes) -> bool:
        """Answer a line. Return False when the client is to be sent away."""
        request: Json = {}
        try:
            found = json.loads(line)
            if not isinstance(found, dict):
                raise RequestError('a request is a JSON object such as {"op": "get"}')
            request = found
            if client.authenticated:
                self._handler.answer(client, request)
                return True
            self._authenticate(client, request)
        except RequestError as error:
            client.send(make_refusal(request, str(error)))
        except (ValueError, RecursionError):
            client.send(make_refusal({}, "not a line of JSON"))
        return client.authenticated

    def _authenticate(self, client: Connection, request: Json) -> None:
        token = request.get("token")
        client.authenticated = isinstance(token, str) and secrets.compare_digest(token.encode(), self._token.encode())
        if not client.authenticated:
            raise RequestError(
                'the first request over TCP is {"op": "hello", "token": ...}, with the token in control.tcp'
            )
        client.send(make_answer(request))

    def _pass_on_wanted_topics(self) -> None:
        """Tell the band what somebody has subscribed to, so that it works out nothing else."""
        wanted = frozenset(topic for client in self._clients for topic in client.topics)
        if wanted != self._wanted_topics:
            self._wanted_topics = wanted
            self._pass_on({"kind": "wanted", "topics": sorted(wanted)})


def listen(where: str) -> tuple[socket.socket, str, str]:
    """Return a listening socket, the token that clients must know, and its address. Raises OSError."""
    if where.startswith(TCP):
        return _listen_tcp(int(where.removeprefix(TCP) or 0))
    path = Path(where)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket():
            if _is_answered(path):
                raise OSError(f"another houseband has {where} already; give this one a `control` of its own")
            path.unlink()
        mask = os.umask(0o177)  # nobody else's from its first moment
        try:
            listener.bind(where)
        finally:
            os.umask(mask)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener, "", where


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def _listen_tcp(port: int) -> tuple[socket.socket, str, str]:
    listener = socket.create_server(("127.0.0.1", port))
    port = int(listener.getsockname()[1])
    token = secrets.token_hex(16)
    path = find_control_token_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(f"{port} {token}\n")
    return listener, token, f"{TCP}{port}"


def pass_on(message: Mapping[str, object]) -> None:
    """Send a message to the band, which reads our stdout."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def serve() -> None:
    """Run the server's process: read the setup from stdin, then facts until there are no more."""
    if hasattr(os, "nice"):
        os.nice(5)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _, setup = wire.receive(sys.stdin.buffer)
        try:
            listener, token, where = listen(setup["where"])
        except (OSError, ValueError) as error:
            pass_on({"kind": "warning", "text": f"there is none, for {error}"})
            sys.stdin.buffer.read()
            return
        pass_on({"kind": "listening", "where": where})
        server = ControlServer(RequestHandler(setup, pass_on), token, pass_on)
        try:
            asyncio.run(server.run(listener, lambda: wire.receive(sys.stdin.buffer)))
        finally:
            if not token:
                Path(where).unlink(missing_ok=True)
