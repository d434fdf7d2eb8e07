"""A client of the control socket, for the commands `status`, `set`, `panic`, `learn` and `top`."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

from daemon.control.protocol import OFF, PROTOCOL, TCP, resolve_address
from daemon.system.paths import find_control_token_file
from music.errors import UserError

Json = dict[str, Any]
#: a band answers in milliseconds
ANSWER_TIMEOUT_S = 5.0


class ClientError(UserError):
    """Raised when the band refuses a request, or when it cannot be asked."""


class NoBandError(ClientError):
    """Raised when no band answers."""

    exit_code = 3


class ControlClient:
    """A connection to a band that plays."""

    def __init__(self, where: str) -> None:
        """Connect to the address that the configuration's `control` stands for. Raises ClientError and NoBandError."""
        address = resolve_address(where)
        if address == OFF:
            raise ClientError("the control socket is off in the configuration; set `control` to auto, or say --control")
        self._socket = _connect(address)
        self._file = self._socket.makefile("rwb")
        self._id = 0
        self._waiting: list[Json] = []
        try:
            self._check_protocol(address)
        except BaseException:
            self.close()
            raise

    def _check_protocol(self, address: str) -> None:
        spoken = self._read().get("protocol")
        if spoken != PROTOCOL:
            raise ClientError(f"the houseband at {address} speaks protocol {spoken}, this one {PROTOCOL}")
        if address.startswith(TCP):
            self.ask("hello", token=_read_tcp_file()[1])

    def ask(self, op: str, *, timeout: float | None = ANSWER_TIMEOUT_S, **members: Any) -> Json:
        """Make a request and return its answer, waiting for it `timeout` seconds, or for ever.

        Raises ClientError when it is refused, NoBandError when it is not answered.
        """
        self._id += 1
        self._socket.settimeout(timeout)
        try:
            self._file.write(json.dumps({"id": self._id, "op": op, **members}).encode() + b"\n")
            self._file.flush()
            while True:
                found = self._read()
                if "ok" in found and found.get("id") == self._id:
                    break
                self._waiting.append(found)
        except TimeoutError:
            raise NoBandError("the band does not answer") from None
        except OSError as error:
            raise NoBandError(f"the band has gone ({error.strerror or error})") from None
        if not found["ok"]:
            raise ClientError(str(found["error"]))
        return found

    def read_events(self) -> Iterator[Json]:
        """Yield the events that come, until the band leaves."""
        self._socket.settimeout(None)
        while True:
            while self._waiting:
                yield self._waiting.pop(0)
            try:
                yield self._read()
            except (ClientError, OSError):
                return

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def _read(self) -> Json:
        line = self._file.readline()
        if not line:
            raise NoBandError("the band has gone")
        found: Json = json.loads(line)
        return found


def _connect(address: str) -> socket.socket:
    try:
        if address.startswith(TCP):
            return socket.create_connection(("127.0.0.1", _read_tcp_file()[0]), timeout=ANSWER_TIMEOUT_S)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(ANSWER_TIMEOUT_S)
        try:
            client.connect(address)
        except OSError:
            client.close()
            raise
    except (OSError, ValueError):
        raise NoBandError(f"no houseband answers at {address}; start one with `houseband run`") from None
    return client


def _read_tcp_file() -> tuple[int, str]:
    """Return port and token of the band on this machine. Raises OSError and ValueError."""
    port, token = find_control_token_file().read_text(encoding="ascii").split()
    return int(port), token
