"""One process that serves the control socket, as the band sees it: what it is told, what it says, and its end."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from daemon.core import wire
from daemon.system.child_process import ChildProcess

#: facts that may wait for the server; a server that stalls for longer than these last loses some
MAX_QUEUED_FACTS = 4000
#: how often the server is asked for a sign of life, and how many times in a row it may give none
PING_INTERVAL_S, MAX_UNANSWERED_PINGS = 5.0, 3
#: a server that has not read what it was told by then hangs
WRITE_TIMEOUT_S = 10.0
#: a server that has not ended by then is killed
CLOSE_TIMEOUT_S = 2.0

Fact = tuple[Any, ...]


class ServerProcess:
    """A server process with a thread that tells it facts; the thread that calls `read` hears what it says."""

    def __init__(self) -> None:
        """Start the process, which loads while the caller goes on. Raises OSError."""
        self._queue: SimpleQueue[Fact | None] = SimpleQueue()
        self._child = ChildProcess("daemon.control.server:serve")
        self._feeder = threading.Thread(target=self._feed, name="control-feed", daemon=True)
        self._unanswered_pings = 0
        self._started_s = time.monotonic()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def start(self, setup: dict[str, Any]) -> None:
        """Give the server its setup, upon which it opens the socket. Raises RuntimeError where no thread can start."""
        self._queue.put(("setup", setup))
        self._feeder.start()

    def tell(self, fact: Fact, *, must_come: bool = False) -> None:
        """Tell a fact, or drop it where the server lags and it need not come. Never waits."""
        if must_come or self._queue.qsize() < MAX_QUEUED_FACTS:
            self._queue.put(fact)

    def read(self, take: Callable[[dict[str, Any]], None]) -> None:
        """Pass on what the server says until it says no more."""
        for line in self._child.stdout:
            message = json.loads(line)
            if message["kind"] == "pong":
                self._unanswered_pings = 0
            else:
                take(message)

    @property
    def lifetime_s(self) -> float:
        """The seconds since it was started."""
        return time.monotonic() - self._started_s

    def end(self) -> None:
        """Tell the server that there is no more to come; `read` then returns. One that hangs is killed."""
        self._queue.put(None)
        if self._feeder.ident is not None:
            self._feeder.join(CLOSE_TIMEOUT_S)
        if self._feeder.is_alive():  # in the middle of a write that nobody reads
            self._child.kill()
            self._feeder.join()
        self._child.close_stdin()
        self._child.stop(CLOSE_TIMEOUT_S)

    def dispose(self) -> int:
        """Clear away a server that says no more; return its exit status."""
        self._queue.put(None)
        status = self._child.wait(CLOSE_TIMEOUT_S)
        if self._feeder.ident is not None:
            self._feeder.join()
        self._child.close_stdin()
        self._child.stdout.close()
        return status

    def _feed(self) -> None:
        """Tell facts until there are no more, or until the server is gone or hangs, which ends it."""
        ping_at = time.monotonic() + PING_INTERVAL_S
        with contextlib.suppress(OSError, ValueError):  # it is gone, closed, or does not read
            while self._unanswered_pings <= MAX_UNANSWERED_PINGS:
                try:
                    fact = self._queue.get(timeout=max(0.0, ping_at - time.monotonic()))
                except Empty:
                    self._unanswered_pings += 1
                    ping_at = time.monotonic() + PING_INTERVAL_S
                    fact = ("ping",)
                if fact is None:
                    return
                self._child.write(wire.pack(fact), WRITE_TIMEOUT_S)
        self._child.kill()
