"""Logs for the journal in its own protocol: levels, and fields one can ask for (`journalctl HOUSEBAND_EVENT=ready`).

See systemd.journal-fields(7) and https://systemd.io/JOURNAL_NATIVE_PROTOCOL. Standard library only.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
from collections.abc import Mapping

#: where the journal listens
SOCKET = "/run/systemd/journal/socket"
#: a datagram of a socket's usual buffer; a longer entry would need a file of its own
LONGEST = 60_000
#: what a log record may carry, as `extra={FIELDS: {"event": "ready"}}`, and what its names begin with in the journal
FIELDS, PREFIX = "fields", "HOUSEBAND_"
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def fields(**values: object) -> dict[str, dict[str, object]]:
    """The `extra` of a log call that carries these fields."""
    return {FIELDS: values}


def stderr_is_journal() -> bool:
    """Whether stderr is the journal's, as it is for a service."""
    said = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return said == f"{found.st_dev}:{found.st_ino}"


def entry(record: logging.LogRecord, message: str) -> bytes:
    """A record in the journal's protocol."""
    found = {
        "MESSAGE": message[:LONGEST],
        "PRIORITY": next((priority for level, priority in _PRIORITIES if record.levelno >= level), 7),
        "SYSLOG_IDENTIFIER": "houseband",
        "LOGGER": record.name,
        "CODE_FILE": record.pathname,
        "CODE_LINE": record.lineno,
        "CODE_FUNC": record.funcName,
        "THREAD_NAME": record.threadName,
    }
    carried = getattr(record, FIELDS, None)
    if isinstance(carried, Mapping):
        found.update({PREFIX + str(name).upper(): value for name, value in carried.items()})
    return b"".join(_field(name, str(value)) for name, value in found.items())


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"


class JournalHandler(logging.Handler):
    """Sends records to the journal; never waits for it, and what it has no room for is lost."""

    def __init__(self, address: str = SOCKET) -> None:
        """Raises OSError where no journal listens."""
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            self._socket.send(entry(record, self.format(record)))
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
        super().close()
