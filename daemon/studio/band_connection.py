"""A connection to the band's control socket, for an event loop; `daemon/control/protocol.md` says what is spoken."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from daemon.control.client import MAX_LINE_BYTES, NoBandError, read_tcp_file
from daemon.control.protocol import PROTOCOL, TCP

Json = dict[str, Any]
#: takes an event of the band and the line that it came as
TakeEvent = Callable[[Json, str], None]

#: how long a band may take over its greeting
GREETING_PATIENCE_S = 5.0


class BandConnection:
    """A connection to a band that plays."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take_event: TakeEvent) -> None:
        self._reader, self._writer, self._take_event = reader, writer, take_event
        self._serial = 0
        self._asked: dict[int, asyncio.Future[Json]] = {}
        self._gone = False

    @classmethod
    async def open(cls, where: str, take_event: TakeEvent) -> BandConnection:
        """Connect to the band at an address, as `resolve_address` returns it. Raises NoBandError where none answers."""
        try:
            async with asyncio.timeout(GREETING_PATIENCE_S):
                if where.startswith(TCP):
                    port, token = read_tcp_file(where)
                    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MAX_LINE_BYTES)
                else:
                    token = ""
                    reader, writer = await asyncio.open_unix_connection(where, limit=MAX_LINE_BYTES)
                greeting = json.loads(await reader.readline() or b"{}")
        except (OSError, ValueError, TimeoutError) as error:
            raise NoBandError(f"no houseband answers at {where}: {error}") from None
        made = cls(reader, writer, take_event)
        if not isinstance(greeting, dict) or greeting.get("protocol") != PROTOCOL:
            made.close()
            raise NoBandError(f"what answers at {where} is no houseband of this version")
        if token:
            made._send({"op": "hello", "token": token})
        return made

    async def read(self) -> None:
        """Take what the band says until it has gone; then all that was asked and not answered is refused."""
        try:
            with contextlib.suppress(OSError, ValueError):
                while line := await self._reader.readline():
                    self._take(line)
        finally:
            self.close()

    def ask(self, op: str, **members: Any) -> asyncio.Future[Json]:
        """Make a request; the future is its answer, whether the band does it or not, or raises NoBandError."""
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        if self._gone:
            future.set_exception(NoBandError("the band has gone"))
            return future
        self._serial += 1
        self._asked[self._serial] = future
        self._send({**members, "op": op, "id": self._serial})
        return future

    def close(self) -> None:
        """Leave the band."""
        self._gone = True
        self._writer.close()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(NoBandError("the band has gone"))
                future.exception()  # nobody need have waited for it
        self._asked.clear()

    def _send(self, request: Json) -> None:
        self._writer.write(json.dumps(request).encode() + b"\n")

    def _take(self, line: bytes) -> None:
        message = json.loads(line)
        if "event" in message:
            self._take_event(message, line.decode().rstrip("\n"))
        elif (future := self._asked.pop(message.get("id", 0), None)) is not None and not future.done():
            future.set_result(message)
