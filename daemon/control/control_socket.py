"""The control socket: what other programs may ask of a band that plays, and how.

A Unix socket of the user's alone (mode 0600) in the runtime directory, `control.sock`; on Windows, and where the
configuration says `control = "tcp:PORT"`, a TCP port on loopback whose number and secret are in `control.tcp` beside
it. Lines of JSON (UTF-8, at most 64 KiB) go both ways. The server speaks first:

    {"houseband": "0.1.0", "protocol": 1}

then answers every request in turn, with its `id` where it has one, and with `"ok": true`, or `false` and an `error`
of one sentence. Over TCP the first request must be `{"op": "hello", "token": SECRET}`. The requests:

    {"op": "get"}                          all there is: `state`, with the members controls, bpm, playing, tick, at,
                                           counters, styles, techniques, presets, gestures, ports
    {"op": "get", "key": "intensity"}      one control's `value`, or one member of the state
    {"op": "set", "key": K, "value": V}    turn a control (`houseband set --help` lists them); answered when it is done
    {"op": "panic"}                        end everything that sounds, at once
    {"op": "subscribe", "to": [...]}       events from now on: notes, heard, plans, edits, tempo, counters, controls
    {"op": "unsubscribe", "to": [...]}
    {"op": "learn", "key": "intensity"}    bind the next controller, key or program change that is played; answered
                                           with the `gesture` when one came; "key=value" is allowed
    {"op": "forget", "key": "intensity"}   unlearn it

Events have a member `event` and no `ok`. Times `at` and `due` are nanoseconds of the machine's monotonic clock, ticks
are 1/24 beat from bar 1:

    {"event": "note", "role", "on", "pitch", "velocity", "tick", "due"}      the band begins or ends a note
    {"event": "heard", "on", "pitch", "velocity", "channel", "tick", "at"}   so does the player
    {"event": "plan", "number", "first", "last", "heard", "ms", "notes"}     steps; role -> [[tick, pitch, ticks, vel.]]
    {"event": "edit", "serial", "action", "bar", "step", "pitch", "length", "velocity", "log_probability",
     "iteration", "undone", "tick", "at"}    the AR-CNN adds a note to the loop, or removes one: as in EDITS.jsonl, bar
                                             of the loop from 1, step in it from 0, length in steps
    {"event": "tempo", "bpm", "playing", "tick", "at"}                       `tick` was at `at`
    {"event": "counters", "counters"}                                        once a second while something happens
    {"event": "controls", "controls"}                                        after a control was turned, all of them
    {"event": "lost", "count"}                                               so many events were dropped: read faster

With the control `edit_sysex` on, edits are also sent as MIDI, a system exclusive message each, which a DAW can record:

    F0 7D 68 62 01  action  bar  step  pitch  length (2)  velocity  nats (2)  F7

action: 0 adds, 1 removes (an edit taken back is told as its opposite); bar of the loop from 1, step in it from 0;
length in steps and nats, minus the log-probability in hundredths, are two bytes of 7 bits each, the high one first.

Members may be added within a protocol version, none is taken away or changes its meaning.

The server is a process of its own. It takes no more than 50 requests a second from a client, and 200 from all of them;
who does not read loses events, not the band's time. Nothing a client does is waited for by the conductor: a bounded
queue leads to the server, and what does not fit is dropped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from daemon.control import gestures
from daemon.core import wire
from daemon.core.events import ControlChange, Event, ForgetGesture, LearnGesture
from daemon.system.child_process import ChildProcess

log = logging.getLogger(__name__)

PROTOCOL = 1
#: names another address than the configuration's `auto`
VARIABLE = "HOUSEBAND_CONTROL"
AUTO, OFF, TCP = "auto", "off", "tcp:"
#: facts waiting for the server; one that has stalled for longer than these last loses some
CAPACITY = 4000
#: seconds until a server that does not end is ended
PATIENCE = 2.0
#: what can be subscribed to
TOPICS = ("notes", "heard", "plans", "edits", "tempo", "counters", "controls")


@dataclass(frozen=True, slots=True)
class ServerSetup:
    """What the server must know before it lets anybody in. where: an address as `resolve` returns it; gestures: the
    configuration's bindings; learnt: those learnt, which are kept in the file learnt_path."""

    where: str
    styles: tuple[str, ...]
    techniques: tuple[str, ...]
    presets: tuple[str, ...]
    controls: Mapping[str, object]
    bpm: float
    gestures: Mapping[str, str] = field(default_factory=dict)
    learnt: Mapping[str, str] = field(default_factory=dict)
    learnt_path: str = ""
    ports: tuple[str, ...] = ()


def runtime_path() -> Path:
    """The user's runtime directory for houseband. What the session says is taken as it is: from inside a service's user
    namespace root is nobody, and platformdirs trusts no directory in one of nobody's. Raises OSError where there is
    none, and none can be had."""
    said = os.environ.get("XDG_RUNTIME_DIR", "")
    if sys.platform.startswith("linux") and Path(said).is_absolute() and Path(said).is_dir():
        return Path(said) / "houseband"
    from platformdirs import user_runtime_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where a directory is not to its liking it says so and takes another
        return user_runtime_path("houseband")


def resolve(where: str) -> str:
    """The address that a configuration's `control` stands for: a path, or `tcp:PORT`, or `off`."""
    if where == AUTO:
        where = os.environ.get(VARIABLE) or AUTO
    if where != AUTO:
        return where
    if sys.platform == "win32":
        return f"{TCP}0"
    return str(runtime_path() / "control.sock")


class ControlSocket:
    """The band's side of the socket: starts the server, tells it facts, puts what it is asked for on the inbox."""

    def __init__(self, put: Callable[[Event], None], now: Callable[[], int]) -> None:
        self._put, self._now = put, now
        #: what somebody has subscribed to
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

    def start(self, hello: ServerSetup) -> None:
        """From now on there is a socket."""
        self._queue.put(("hello", asdict(hello)))
        for thread in self._threads:
            thread.start()

    def tell(self, *fact: Any) -> None:
        """A fact for the server; never waits. Called on the conductor's thread."""
        if self._queue.qsize() < CAPACITY:
            self._queue.put(fact)

    def learnt(self, made: str, what: str) -> None:
        """A gesture was learnt, or, with no target, forgotten."""
        self._queue.put(("learnt", made, what))

    def close(self) -> None:
        """No socket any more. A server that hangs is not waited for."""
        feed, read = self._threads
        self._queue.put(None)
        if feed.ident is not None:
            feed.join(PATIENCE)
            if feed.is_alive():  # in the middle of a write that nobody reads
                self._child.kill()
                feed.join()
        self._child.close_stdin()
        self._child.stop(PATIENCE)
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
