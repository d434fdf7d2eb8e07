"""The band's side of the control socket, through which other programs watch and control it.

The server is a process of its own (`daemon.control.server`); `protocol.md` describes what clients may ask. Nothing that
a client does is waited for by the conductor: a bounded queue leads to the server, and what does not fit is dropped. A
server that ends or hangs is replaced, and the band plays on meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from daemon.control import gestures
from daemon.control.client_keys import ClientKeys
from daemon.control.learned import change_learned
from daemon.control.owner_lock import OwnerLock
from daemon.control.server_process import ServerProcess
from daemon.core.events import ControlChange, Event, ForgetGesture, LearnGesture, Ping
from daemon.system.child_process import describe_exit_status
from daemon.system.journald import with_fields
from daemon.system.sd_notify import notify

log = logging.getLogger(__name__)

#: pause before a server is replaced: doubled each time, up to the longest; the first one again after a long life
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
#: facts that say how something stands, of which a new server is told the last ones
_STANDING_FACTS = ("controls", "tempo", "waiting", "counters", "song")
#: the numbers that one server may give to commands; the next one begins behind them
_SERIALS = 1 << 32


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
    #: preset -> its style, of those that name no technique
    preset_styles: Mapping[str, str] = field(default_factory=dict)
    #: technique -> the styles that it has learned, where not all have learned the same
    technique_styles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: the configuration's gestures, as gesture -> target
    gestures: Mapping[str, str] = field(default_factory=dict)
    #: gestures learned earlier, which are kept in `learned_file`
    learned: Mapping[str, str] = field(default_factory=dict)
    learned_file: str = ""
    #: names of the MIDI ports, input and output
    ports: tuple[str, ...] = ()
    #: the clock that is followed, as `--clock` has it
    clock: str = ""
    #: how many servers of this band have ended before
    restarts: int = 0
    #: the number before that of the first command
    serial: int = 0


class ControlSocket:
    """The socket, as the band sees it: keeps a server running, tells it facts, puts clients' commands on the inbox."""

    def __init__(self, put: Callable[[Event], None], now: Callable[[], int]) -> None:
        """Start the first server, which loads meanwhile. put, now: the world's inbox and clock (ns). Raises OSError."""
        self._put, self._now = put, now
        #: the topics that some client has subscribed to
        self.wanted: frozenset[str] = frozenset()
        #: commands of clients that the conductor has handled, as (serial number, accepted); on the conductor's thread,
        #: which tells the server of them once it has told what they changed
        self.outcomes: deque[tuple[int, bool, str]] = deque()
        self._latest: dict[str, tuple[Any, ...]] = {}  # kind -> the last fact that says how something stands
        self._setup: ServerSetup | None = None
        self._lock: OwnerLock | None = None
        self._is_open = False  # a server has said that it listens
        self._closing = threading.Event()
        self._replacing = threading.Lock()  # held to change `_server`, which `close` must not miss
        self._server = ServerProcess()
        self._thread = threading.Thread(target=self._supervise, name="control-supervisor", daemon=True)
        self._keys = ClientKeys(put, now)  # of the supervisor's thread
        self._pause_s = FIRST_PAUSE_S / 2  # before the last replacement, doubled before the next

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._server.pid

    def start(self, setup: ServerSetup) -> None:
        """Open the socket; where its address is another band's or cannot be had, that is logged, and there is none."""
        try:
            self._lock = OwnerLock(setup.where)
            self._setup = setup
            self._server.start(asdict(setup))
            self._thread.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: a limit of memory or of threads is reached
            log.warning("control socket: there is none, for %s", error)
            self._server.end()

    def tell(self, *fact: Any) -> None:
        """Tell the server a fact, or drop it where the server lags. Never waits; called on the conductor's thread."""
        if fact[0] in _STANDING_FACTS:
            self._latest[fact[0]] = fact
        self._server.tell(fact)

    def tell_learned(self, gesture: str, target: str) -> None:
        """Tell the server that a gesture was learned, or, where the target is empty, forgotten."""
        if self._setup is not None:
            self._setup = replace(self._setup, learned=change_learned(self._setup.learned, gesture, target))
        self._server.tell(("learned", gesture, target), must_come=True)

    def confirm_panic(self, _accepted: bool) -> None:
        """Show the program that sent the signal for a panic that what sounded has been ended."""
        if self._lock is not None:
            self._lock.confirm()

    def close(self) -> None:
        """Close the socket and end the server, which is killed where it hangs."""
        with self._replacing:
            self._closing.set()
            server = self._server
        if self._is_open:  # a client that is cut off then finds that the band has gone, too
            self._release()
        server.end()
        if self._thread.ident is not None:
            self._thread.join()
        server.dispose()
        self._release()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release(remove_socket=self._is_open)

    def _supervise(self) -> None:
        """Hear the server until the socket is closed; replace one that ends."""
        server: ServerProcess | None = self._server
        while server is not None:
            server.read(self._take)
            self._keys.release()  # no client is connected any more
            status = server.dispose()
            self.wanted = frozenset()
            if self._closing.is_set():
                return
            self._put(LearnGesture(self._now(), ""))  # whoever asked for one has lost the connection
            log.warning(
                "control socket: its server ended with %s and is started again; the band plays on",
                describe_exit_status(status),
                extra=with_fields(event="control-server-lost"),
            )
            notify("STATUS=the server of the control socket ended and is started again; the band plays on")
            server = self._start_another(server.lifetime_s)

    def _start_another(self, lifetime_s: float) -> ServerProcess | None:
        """Start a server in place of one that lived for some seconds; None where the socket is closed meanwhile."""
        assert self._setup is not None
        restarts = self._setup.restarts + 1
        self._setup = replace(self._setup, restarts=restarts, serial=restarts * _SERIALS)
        self._pause_s = FIRST_PAUSE_S if lifetime_s > LONGEST_PAUSE_S else min(2 * self._pause_s, LONGEST_PAUSE_S)
        while not self._closing.wait(self._pause_s):
            try:
                server = ServerProcess()
                server.start(asdict(self._setup))
            except (OSError, RuntimeError):  # a limit of memory, processes or threads: another time
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
                continue
            for fact in list(self._latest.values()):
                server.tell(fact)
            with self._replacing:
                if self._closing.is_set():
                    server.end()
                    server.dispose()
                    break
                self._server = server
            return server
        return None

    def _take(self, message: dict[str, Any]) -> None:
        """Do what the server says."""
        match message["kind"]:
            case "command":
                self._put(self._make_event(message["key"], message["value"], message["serial"]))
            case "play":
                self._keys.play(message["client"], message["notes"])
            case "left":
                self._keys.release(message["client"])
            case "wanted":
                self.wanted = frozenset(message["topics"])
            case "warning":
                log.warning("control socket: %s", message["text"])
            case "listening":
                self._is_open = True
                log.info("control socket: %s", message["where"])
                if self._setup is not None and self._setup.restarts:
                    notify(
                        f"STATUS=ready; the control socket's server was started again {self._setup.restarts} time(s)"
                    )

    def _make_event(self, key: str, value: object, serial: int) -> Event:
        """Return the event for a client's command."""
        reasons: list[str] = []

        def done(accepted: bool) -> None:
            self.outcomes.append((serial, accepted, reasons[-1] if reasons else ""))

        match key:
            case gestures.LEARN:
                return LearnGesture(self._now(), str(value), done=done)
            case gestures.FORGET:
                return ForgetGesture(self._now(), str(value), done=done)
            case gestures.PING:
                return Ping(self._now(), done=done)
            case _:
                return ControlChange(self._now(), key, value, done=done, explain=reasons.append)
