"""A client of the control socket, for the commands `status`, `set`, `panic`, `learn` and `top`."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

from daemon.control.owner_lock import find_owner, is_stopped
from daemon.control.protocol import MAX_PORT, OFF, PROTOCOL, TCP, resolve_address
from daemon.system.paths import find_control_token_file
from music.errors import UserError

Json = dict[str, Any]
#: a band answers in milliseconds
ANSWER_TIMEOUT_S = 5.0
#: no line of a server is longer: the whole state with large tables of gestures and presets
MAX_LINE_BYTES = 1 << 24


class ClientError(UserError):
    """Raised when the band refuses a request, or when it cannot be asked."""


class NoBandError(ClientError):
    """Raised when no band answers."""

    exit_code = 3


class ControlClient:
    """A connection to a band that plays."""

    def __init__(self, where: str) -> None:
        """Connect to the address that the configuration's `control` stands for. Raises ClientError and NoBandError."""
        self._where = find_address(where)
        self._socket = _connect(self._where)
        self._file = self._socket.makefile("rwb")
        self._id = 0
        self._waiting: list[Json] = []
        try:
            self._check_protocol()
        except BaseException:
            self.close()
            raise

    def _check_protocol(self) -> None:
        spoken = self._read().get("protocol")
        if spoken != PROTOCOL:
            raise ClientError(f"the program at {self._where} speaks protocol {spoken!r}, this houseband {PROTOCOL}")
        if self._where.startswith(TCP):
            self.ask("hello", token=read_tcp_file(self._where)[1])

    def ask(self, op: str, *, timeout: float | None = ANSWER_TIMEOUT_S, **members: Any) -> Json:
        """Make a request and return its answer, waiting for it `timeout` seconds, or for ever.

        Raises ClientError when it is refused, NoBandError when it is not answered.
        """
        self._id += 1
        self._socket.settimeout(timeout)
        refusal = ""
        with self._explaining():
            self._file.write(json.dumps({"id": self._id, "op": op, **members}).encode() + b"\n")
            self._file.flush()
        while True:
            try:
                found = self._read()
            except NoBandError:
                if refusal:  # told before it was sent away
                    raise ClientError(refusal) from None
                raise
            if "ok" in found and found.get("id") == self._id:
                break
            if found.get("ok") is False:
                refusal = str(found.get("error"))
            self._waiting.append(found)
        if not found["ok"]:
            raise ClientError(str(found.get("error")))
        return found

    def check_band(self) -> None:
        """Raise NoBandError unless the band itself, and not only the server of the socket, hears what it is told."""
        try:
            self.ask("ping")
        except ClientError as error:
            if not str(error).startswith("no such op"):  # a band of an earlier version
                raise

    def read_events(self) -> Iterator[Json]:
        """Yield the events that come, until the band leaves."""
        while True:
            while self._waiting:
                yield self._waiting.pop(0)
            self._socket.settimeout(None)  # a request that was made meanwhile had a limit
            try:
                yield self._read()
            except ClientError:
                return

    def close(self) -> None:
        """Close the connection; a thread that reads events reads no more."""
        with contextlib.suppress(OSError):  # its file cannot be closed while a thread waits for a line of it
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # what was not sent yet has nowhere to go
            self._file.close()
        self._socket.close()

    def _read(self) -> Json:
        """Return the next line. Raises NoBandError where none comes, ClientError for what no houseband says."""
        with self._explaining():
            line = self._file.readline(MAX_LINE_BYTES)
        if not line:
            raise NoBandError(_describe_loss(self._where, "the band has gone"))
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ClientError(f"the program at {self._where} is no houseband; say where yours is with --control")
        return found

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn an OSError of the connection into a NoBandError."""
        try:
            yield
        except TimeoutError:
            raise NoBandError(describe_silence(self._where)) from None
        except (OSError, ValueError) as error:  # ValueError: closed meanwhile
            reason = getattr(error, "strerror", None) or error
            raise NoBandError(_describe_loss(self._where, f"the band has gone ({reason})")) from None


def find_address(where: str) -> str:
    """Return the address that the configuration's `control` stands for. Raises ClientError where the socket is off."""
    try:
        address = resolve_address(where)
    except OSError as error:
        raise NoBandError(f"there is no control socket: {error}") from None
    if address == OFF:
        raise ClientError("the control socket is off in the configuration; set `control` to auto, or say --control")
    return address


def describe_silence(where: str) -> str:
    """Return a sentence about a band that does not answer at an address."""
    owner = find_owner(where)
    if owner is None:
        return "the band does not answer"
    if is_stopped(owner):
        return f"the band does not answer, for it is stopped (process {owner}); `kill -CONT {owner}` lets it go on"
    return f"the band does not answer, for it is busy or hangs (process {owner}); `kill {owner}` ends it"


def _describe_loss(where: str, nobody: str) -> str:
    """Return a sentence about a socket that is not served: `nobody` where there is no band, either."""
    owner = find_owner(where)
    if owner is None:
        return nobody
    return (
        f"the band plays (process {owner}), but its control socket does not answer; "
        "its server is started again by itself, so try once more in some seconds"
    )


def _connect(address: str) -> socket.socket:
    try:
        if address.startswith(TCP):
            return socket.create_connection(("127.0.0.1", read_tcp_file(address)[0]), timeout=ANSWER_TIMEOUT_S)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(ANSWER_TIMEOUT_S)
        try:
            client.connect(address)
        except BaseException:
            client.close()
            raise
    except TimeoutError:
        raise NoBandError(describe_silence(address)) from None
    except (OSError, ValueError):
        nobody = f"no houseband answers at {address}; start one with `houseband run`"
        raise NoBandError(_describe_loss(address, nobody)) from None
    return client


def read_tcp_file(address: str) -> tuple[int, str]:
    """Return port and token of the band on this machine. Raises OSError, and ValueError where there is another one."""
    text, token = find_control_token_file().read_text(encoding="ascii").split()
    port, wanted = int(text), int(address.removeprefix(TCP) or 0)
    if not 0 < port <= MAX_PORT or wanted not in (0, port):
        raise ValueError(f"the band has port {port}")
    return port, token
