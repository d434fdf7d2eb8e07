"""Log records sent to systemd's journal in its own protocol, with the standard library only.

They keep their level and carry fields that one can search for (`journalctl HOUSEBAND_EVENT=ready`). See
systemd.journal-fields(7) and https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
from collections.abc import Mapping

#: where the journal listens
SOCKET_PATH = "/run/systemd/journal/socket"
#: a longer message is cut off: it would not fit into a datagram of a socket's usual buffer
MAX_MESSAGE_LENGTH = 60_000
#: the attribute of a log record that holds its fields, and what their names begin with in the journal
_FIELDS, _PREFIX = "fields", "HOUSEBAND_"
#: level -> the journal's priority, as in syslog
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def with_fields(**values: object) -> dict[str, dict[str, object]]:
    """Return the `extra` of a log call whose record carries these fields to the journal."""
    return {_FIELDS: values}


def stderr_is_journal() -> bool:
    """Tell whether stderr is connected to the journal, as it is for a service."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


def encode_entry(record: logging.LogRecord, message: str) -> bytes:
    """Return a log record, with its formatted message, in the journal's protocol."""
    found = {
        "MESSAGE": message[:MAX_MESSAGE_LENGTH],
        "PRIORITY": next((priority for level, priority in _PRIORITIES if record.levelno >= level), 7),
        "SYSLOG_IDENTIFIER": "houseband",
        "LOGGER": record.name,
        "CODE_FILE": record.pathname,
        "CODE_LINE": record.lineno,
        "CODE_FUNC": record.funcName,
        "THREAD_NAME": record.threadName,
    }
    carried = getattr(record, _FIELDS, None)
    if isinstance(carried, Mapping):
        found.update({_PREFIX + str(name).upper(): value for name, value in carried.items()})
    return b"".join(_encode_field(name, str(value)) for name, value in found.items())


def _encode_field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"


class JournalHandler(logging.Handler):
    """Sends log records to the journal; never waits for it, and loses what it has no room for."""

    def __init__(self, address: str = SOCKET_PATH) -> None:
        """Connect to the journal. Raises OSError where none listens."""
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Send one log record."""
        try:
            self._socket.send(encode_entry(record, self.format(record)))
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
        super().close()
