"""The band's side of the control socket, through which other programs watch and control it.

The server is a process of its own (`daemon.control.server`); `protocol.md` describes what clients may ask. Nothing that
a client does is waited for by the conductor: a bounded queue leads to the server, and what does not fit is dropped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from queue import SimpleQueue
from typing import Any

from daemon.control import gestures
from daemon.core import wire
from daemon.core.events import ControlChange, Event, ForgetGesture, LearnGesture
from daemon.system.child_process import ChildProcess

log = logging.getLogger(__name__)

#: facts that may wait for the server; a server that stalls for longer than these last loses some
MAX_QUEUED_FACTS = 4000
#: a server that has not ended by then is killed
CLOSE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class ServerSetup:
    """All that the server must know before it lets a client in."""

    #: the address, as `daemon.control.protocol.resolve_address` returns it
    where: str
    styles: tuple[str, ...]
    techniques: tuple[str, ...]
    #: names of the configuration's presets
    presets: tuple[str, ...]
    #: how the controls stand
    controls: Mapping[str, object]
    bpm: float
    #: the configuration's gestures, as gesture -> target
    gestures: Mapping[str, str] = field(default_factory=dict)
    #: gestures learned earlier, which are kept in `learned_file`
    learned: Mapping[str, str] = field(default_factory=dict)
    learned_file: str = ""
    #: names of the MIDI ports, input and output
    ports: tuple[str, ...] = ()


class ControlSocket:
    """The socket, as the band sees it: starts the server, tells it facts, puts clients' commands on the inbox."""

    def __init__(self, put: Callable[[Event], None], now: Callable[[], int]) -> None:
        self._put, self._now = put, now
        #: the topics that some client has subscribed to
        self.wanted: frozenset[str] = frozenset()
        #: commands of clients that the conductor has handled, as (serial number, accepted); on the conductor's thread,
        #: which tells the server of them once it has told what they changed
        self.outcomes: deque[tuple[int, bool]] = deque()
        self._queue: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._child = ChildProcess("daemon.control.server:serve")
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._feed, "control-feed"), (self._read, "control-read"))
        ]

    def start(self, setup: ServerSetup) -> None:
        """Open the socket."""
        self._queue.put(("setup", asdict(setup)))
        for thread in self._threads:
            thread.start()

    def tell(self, *fact: Any) -> None:
        """Tell the server a fact, or drop it where the server lags. Never waits; called on the conductor's thread."""
        if self._queue.qsize() < MAX_QUEUED_FACTS:
            self._queue.put(fact)

    def tell_learned(self, gesture: str, target: str) -> None:
        """Tell the server that a gesture was learned, or, where the target is empty, forgotten."""
        self._queue.put(("learned", gesture, target))

    def close(self) -> None:
        """Close the socket and end the server, which is killed where it hangs."""
        feed, read = self._threads
        self._queue.put(None)
        if feed.ident is not None:
            feed.join(CLOSE_TIMEOUT_S)
            if feed.is_alive():  # in the middle of a write that nobody reads
                self._child.kill()
                feed.join()
        self._child.close_stdin()
        self._child.stop(CLOSE_TIMEOUT_S)
        if read.ident is not None:
            read.join()
        self._child.stdout.close()

    def _feed(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # it is gone, or closed
            while (fact := self._queue.get()) is not None:
                wire.send(self._child.stdin, fact)

    def _read(self) -> None:
        for line in self._child.stdout:
            message = json.loads(line)
            match message["kind"]:
                case "command":
                    self._put(self._event(message["key"], message["value"], message["serial"]))
                case "wanted":
                    self.wanted = frozenset(message["topics"])
                case "warning":
                    log.warning("control socket: %s", message["text"])
                case "listening":
                    log.info("control socket: %s", message["where"])

    def _event(self, key: str, value: object, serial: int) -> Event:
        """Return the event for a client's command."""

        def done(accepted: bool) -> None:
            self.outcomes.append((serial, accepted))

        match key:
            case gestures.LEARN:
                return LearnGesture(self._now(), str(value), done=done)
            case gestures.FORGET:
                return ForgetGesture(self._now(), str(value), done=done)
            case _:
                return ControlChange(self._now(), key, value, done=done)
