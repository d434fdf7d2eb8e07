"""Standard output and standard error that hold nothing up and end nothing: what they do not take is lost.

Whoever starts a band may close its stderr, never read it, or send it to a full disk. A pipe that nobody reads stops
whoever writes to it, in the middle of a note.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

#: what waits for a slow reader; of more than that the oldest is lost
MAX_WAITING_BYTES = 1 << 16
#: a pipe or terminal that says it takes something takes so much at once
_CHUNK_BYTES = 512
#: how long the end of the program may wait for a slow reader
MAX_DRAIN_S = 1.0


class LossyOutput(io.RawIOBase):
    """An open file that is written to without waiting and without errors. Any thread may write."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._waiting = bytearray()
        self._lock = threading.RLock()  # a signal handler may write while its own thread does

    def fileno(self) -> int:
        """Return the file's number."""
        return self._file

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return os.isatty(self._file)

    def writable(self) -> bool:
        """Return True: it is."""
        return True

    def write(self, data: Any) -> int:
        """Write as much as is taken at once; the rest waits, or is lost."""
        with self._lock:
            self._waiting += data
            self._send(0.0)
            del self._waiting[:-MAX_WAITING_BYTES]
        return len(data)

    def drain(self) -> None:
        """Give a slow reader a moment for what waits."""
        with self._lock:
            self._send(MAX_DRAIN_S)

    def _send(self, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while self._waiting and _takes_something(self._file, max(0.0, deadline - time.monotonic())):
            try:
                taken = os.write(self._file, self._waiting[:_CHUNK_BYTES])
            except BlockingIOError:
                return
            except OSError:  # nobody reads any more, or the disk is full
                taken = len(self._waiting)
            del self._waiting[:taken]


def _takes_something(file: int, patience_s: float) -> bool:
    """Tell whether a write returns at once, if need be after a while; a write that fails does."""
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    return bool(poll.poll(patience_s * 1000))


def open_missing_files() -> None:
    """Open the null device where standard input, output or error is closed: the next file would take its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):  # the lowest free number is this one
                os.open(os.devnull, os.O_RDWR)


@contextlib.contextmanager
def hold_nothing_up(name: str) -> Iterator[None]:
    """Let what is printed on `sys.stdout` or `sys.stderr`, by name, be lost rather than hold up or end the program."""
    before = getattr(sys, name)
    try:
        file = before.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or no file
        yield
        return
    output = LossyOutput(file)
    text = io.TextIOWrapper(output, before.encoding, "backslashreplace", line_buffering=True, write_through=True)  # type: ignore[type-var]
    setattr(sys, name, text)
    try:
        yield
    finally:
        output.drain()
        setattr(sys, name, before)


def reopen_without_waiting(number: int) -> None:
    """Let C libraries, too, never wait for a pipe or a terminal that takes nothing: what they print is lost.

    The file is opened anew, so that other programs which have it open are none the wiser.
    """
    with contextlib.suppress(OSError):
        mode = os.fstat(number).st_mode
        if not (stat.S_ISFIFO(mode) or os.isatty(number)):
            return
        again = os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        os.dup2(again, number)
        os.close(again)
