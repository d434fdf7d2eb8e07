"""Connections of the studio's HTTP server: none may keep others waiting by being slow, or by being many."""

from __future__ import annotations

import asyncio
import json
import socket
from http import HTTPStatus
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request, Response

from daemon.studio.access import SAFETY_HEADERS

#: connections at a time; one more takes the place of the one that has longest been silent
MAX_CONNECTIONS = 200
#: how long a client may take over the head of a request, and over its body
HEAD_PATIENCE_S, BODY_PATIENCE_S = 10.0, 60.0


class HttpConnection(H11Protocol):
    """A connection that is cut where a request does not come whole in time."""

    #: connections that are waited for, the longest silent one first; a process has one server
    waiting: ClassVar[dict[HttpConnection, None]] = {}

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Begin as uvicorn has it."""
        super().__init__(*arguments, **named)
        self._phase: object = None  # of the request that is waited for: its head, its body; None: nothing is
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection, in the place of a silent one if need be."""
        super().connection_made(transport)
        # asyncio does it only where the listening socket names its protocol; without it, messages wait up to 40 ms
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > MAX_CONNECTIONS:
            (next(iter(self.waiting), self)).transport.abort()
        self._await_client()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest of the request."""
        super().data_received(data)
        self._await_client()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request."""
        body = json.dumps({"error": msg}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *SAFETY_HEADERS,
        ]
        response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _await_client(self) -> None:
        """See to it that what the client has begun to say comes in time."""
        state = self.conn.their_state
        phase = state if state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing() else None
        if phase is self._phase:
            return
        self._stop_waiting()
        if phase is not None:
            self._phase = phase
            self.waiting[self] = None
            patience_s = HEAD_PATIENCE_S if phase is h11.IDLE else BODY_PATIENCE_S
            self._timer = self.loop.call_later(patience_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        self._phase = None
        self.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class SocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket's connection; a handshake that is none is refused with the headers of every answer."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Begin as uvicorn has it."""
        super().__init__(*arguments, **named)
        accept = self.conn.accept

        def accept_safely(request: Request) -> Response:
            response = accept(request)
            if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
                for name, value in SAFETY_HEADERS:
                    response.headers[name.decode()] = value.decode()
            return response

        self.conn.accept = accept_safely  # type: ignore[method-assign]
