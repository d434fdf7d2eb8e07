"""The inference process as the conductor sees it: asked without waiting, the newest request wins, plans come back.

One thread of this process, the supervisor's, owns the child: requests, answers and deadlines reach it through one
queue, and what it learns goes to the world's inbox. A child that crashes or hangs is replaced; the old plan plays on
meanwhile. What runs in the child is `daemon.players.worker_child`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import IO, Any

from daemon.core import wire
from daemon.core.events import Event, PlanReady, PlayerReplaced, WorkerFailed
from daemon.core.plan import PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.system.child_process import ChildProcess, describe_exit_status
from daemon.system.priority import raise_priority
from music.errors import HousebandError, UserError

log = logging.getLogger(__name__)

#: how long an answer may take before the child counts as hung
ANSWER_LIMIT_S = 3.0
#: on a slow machine: so many times what the first plan took, where that is longer
ANSWER_LIMIT_FACTOR = 5.0
#: how long loading a player may take, for a graph can lie on a cold disk
START_LIMIT_S = 120.0
#: how long it may take a child that replaces another: at least, and how many times what the first start took
RESTART_LIMIT_S, RESTART_LIMIT_FACTOR = 8.0, 8.0
#: pause between attempts to replace a child that cannot even start: doubled each time, up to the longest
FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 30.0
#: what fails in a row until a stand-in takes over: an inference counts once, a child that is lost twice, and a graph
#: that does not load any more this often
STAND_IN_AFTER = 4
#: how long a child that has closed its pipe may take to end
EXIT_LIMIT_S = 1.0

#: no pools of threads: one core is the worker's share
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class WorkerError(UserError):
    """The player could not be loaded."""


class WorkerLost(WorkerError):
    """The worker hung or died while it loaded its player: another attempt may do better."""

    exit_code = HousebandError.exit_code


@dataclass(frozen=True, slots=True)
class PlayerSpec:
    """The player that the worker loads."""

    #: the function that makes it, as `module:function`
    maker: str
    #: what the function is given
    arguments: tuple[str | int | None, ...] = ()
    #: the player that takes its place where it keeps failing while it plays
    stand_in: PlayerSpec | None = None


class PreloadedWorker:
    """A child started before a Worker is there to own it, so that it loads while the rest of the program does."""

    def __init__(self, spec: PlayerSpec) -> None:
        self._process: ChildProcess | None = None
        with contextlib.suppress(OSError):  # the worker tries it again, and says why it cannot be
            self._process = _start_process(spec)

    def take(self) -> ChildProcess | None:
        """Hand the process over to the caller; None where there is none, or no longer."""
        process, self._process = self._process, None
        return process

    def close(self) -> None:
        """End the process if nobody has taken it."""
        process = self.take()
        if process is not None:
            process.stop()
            process.stdout.close()


class Worker:
    """The live Composer: passes requests to the inference process and puts its plans on the inbox.

    `start` it, `wait_ready`, `ask`, and `close` it.
    """

    def __init__(
        self,
        spec: PlayerSpec,
        put: Callable[[Event], None],
        now: Callable[[], int],
        answer_limit_s: float = ANSWER_LIMIT_S,
        preloaded: PreloadedWorker | None = None,
    ) -> None:
        """Prepare a worker; nothing runs yet.

        put: takes PlanReady and WorkerFailed, called from another thread; now: the world's clock (ns); answer_limit_s:
        a child that has not answered for so long is replaced, later on slow machines; preloaded: a child of the same
        spec that runs already.
        """
        self._supervisor = _Supervisor(spec, put, now, _TimeLimits(answer_limit_s), preloaded)
        self._thread = threading.Thread(target=self._supervisor.run, name="worker-supervisor", daemon=True)

    def start(self) -> None:
        """Start the child; it loads its player while the caller goes on to other things."""
        self._thread.start()

    def wait_ready(self) -> PlayerInfo:
        """Wait until the player is loaded and has made a first plan; return what it is.

        Raises WorkerError when it cannot be loaded, WorkerLost where another attempt may do better.
        """
        first = self._supervisor.first_result.get()
        if isinstance(first, PlayerInfo):
            return first
        raise first

    @property
    def is_ready(self) -> bool:
        """True while a player is loaded; False while one is loaded, such as in place of one that was lost."""
        return self._supervisor.is_ready

    def ask(self, request: PlanRequest) -> None:
        """Ask for a plan; a request that has not been begun is replaced by a newer one."""
        self._supervisor.mail.put(request)

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._supervisor.pid

    def close(self) -> None:
        """End the child. Nothing is put any more once this has returned."""
        if self._thread.is_alive():
            self._supervisor.mail.put(_Close())
            self._thread.join()


# Mail of the supervisor, beside plan requests


@dataclass(frozen=True, slots=True)
class _FromChild:
    """A message that a child sent, or the news that its pipe has closed."""

    #: number of the child: what an earlier one still says is stale
    child: int
    #: ready, plan, failed, warning (of what went wrong between two requests), or gone
    kind: str
    #: ready: the player's PlayerInfo and the seconds its first plan took; plan: a packed Plan; else a sentence
    content: Any


@dataclass(frozen=True, slots=True)
class _Close:
    """The worker is closed."""


class _TimeLimits:
    """The times that the supervisor allows its children, which follow what they have shown to need."""

    def __init__(self, answer_s: float) -> None:
        self._least_answer_s = self.answer_s = answer_s
        self.start_s = START_LIMIT_S
        self.retry_s = FIRST_RETRY_S

    def note_start(self, first_plan_s: float) -> None:
        """Take note of a child that is ready."""
        self.answer_s = max(self._least_answer_s, ANSWER_LIMIT_FACTOR * first_plan_s)
        self.retry_s = FIRST_RETRY_S

    def note_first_start(self, start_s: float) -> None:
        """Take note of the time that the first child took to be ready."""
        self.start_s = max(RESTART_LIMIT_S, RESTART_LIMIT_FACTOR * start_s)

    def note_stand_in(self) -> None:
        """Give a child with another player as long as the very first, for it is not known how long it takes."""
        self.start_s, self.retry_s = START_LIMIT_S, FIRST_RETRY_S

    def note_failed_start(self) -> None:
        """Give the next child longer, for the machine may only be slow, and wait longer before the one after it."""
        self.start_s = min(2 * self.start_s, START_LIMIT_S)
        self.retry_s = min(2 * self.retry_s, LONGEST_RETRY_S)


@dataclass(slots=True)
class _Child:
    """A running child, as the supervisor's thread knows it."""

    number: int
    process: ChildProcess
    started_s: float
    #: its player is loaded
    is_ready: bool = False
    #: the request it is busy with
    request: PlanRequest | None = None
    packer: wire.RequestPacker = field(default_factory=wire.RequestPacker)


class _Supervisor:
    """The only owner of the child process.

    All but `mail`, `first_result`, `is_ready` and `pid` belongs to its own thread.
    """

    def __init__(
        self,
        spec: PlayerSpec,
        put: Callable[[Event], None],
        now: Callable[[], int],
        limits: _TimeLimits,
        preloaded: PreloadedWorker | None,
    ) -> None:
        self.mail: SimpleQueue[PlanRequest | _FromChild | _Close] = SimpleQueue()
        #: the player once it is loaded, or why it is not; one item
        self.first_result: SimpleQueue[PlayerInfo | WorkerError] = SimpleQueue()
        self._spec, self._put, self._now, self._limits, self._preloaded = spec, put, now, limits, preloaded
        self._child: _Child | None = None
        self._number = 0  # of the newest child
        self._waiting: PlanRequest | None = None  # the newest request, not yet passed on
        self._deadline_s: float | None = None  # when the child's silence, or the pause before the next, is over
        self._was_ever_ready = False
        self._has_complained = False
        self._failures = 0  # in a row, see STAND_IN_AFTER

    @property
    def is_ready(self) -> bool:
        """True while there is a child that has loaded its player."""
        child = self._child
        return child is not None and child.is_ready

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        child = self._child
        return None if child is None else child.process.pid

    def run(self) -> None:
        """Serve the mail until the worker is closed."""
        self._start_child()
        while True:
            match self._next_mail():
                case PlanRequest() as request:
                    self._waiting = request
                case _FromChild() as message:
                    if self._child is not None and message.child == self._child.number:
                        self._take_message(self._child, message)
                case _Close():
                    self._end_child()
                    return
                case None if self._child is None:
                    self._start_child()
                case None:
                    self._replace_child("gave no answer in time")
            self._pass_on()

    def _next_mail(self) -> PlanRequest | _FromChild | _Close | None:
        """Return the next piece of mail; None once the deadline is over."""
        if self._deadline_s is None:
            return self.mail.get()
        try:
            return self.mail.get(timeout=max(0.0, self._deadline_s - time.monotonic()))
        except Empty:
            return None

    def _start_child(self) -> None:
        """Start a child and the thread that reads what it says."""
        preloaded, self._preloaded = self._preloaded, None
        try:
            process = (preloaded.take() if preloaded is not None else None) or _start_process(self._spec)
        except OSError as error:
            self._replace_child(f"cannot be started ({error})")
            return
        self._number += 1
        self._child = _Child(self._number, process, time.monotonic())
        self._deadline_s = self._child.started_s + self._limits.start_s
        reader = threading.Thread(
            target=_read_messages, args=(process.stdout, self._number, self.mail), name="worker-reader", daemon=True
        )
        try:
            reader.start()
        except RuntimeError as error:  # a limit of memory or of threads is reached
            process.stdout.close()
            self._replace_child(f"cannot be started ({error})")

    def _take_message(self, child: _Child, message: _FromChild) -> None:
        if message.kind == "warning":
            log.warning("%s", message.content)
            return
        self._deadline_s = None
        if message.kind == "ready":
            self._take_ready(child, *message.content)
        elif message.kind == "plan":
            child.request, self._has_complained, self._failures = None, False, 0
            self._put(PlanReady(self._now(), wire.unpack_plan(message.content)))
        elif message.kind == "failed" and child.is_ready and child.request is not None:
            number, child.request = child.request.number, None
            self._complain(number, message.content)
            self._count_failure(1, message.content)
        elif message.kind == "failed":
            self._replace_child(message.content, said_itself=True)
        else:
            self._replace_child("")

    def _take_ready(self, child: _Child, info: PlayerInfo, first_plan_s: float) -> None:
        child.is_ready = True
        self._limits.note_start(first_plan_s)
        if not self._was_ever_ready:
            self._was_ever_ready = True
            self._limits.note_first_start(time.monotonic() - child.started_s)
            self.first_result.put(info)
            raise_priority(inherit=False)  # requests and plans pass through this thread, and its reader's

    def _replace_child(self, reason: str, *, said_itself: bool = False) -> None:
        """End a child that is of no use any more, report it, and be ready to start another.

        reason: empty when it ended by itself; said_itself: the child gave the reason.
        """
        child = self._child
        number = child.request.number if child is not None and child.request is not None else 0
        was_ready = child is not None and child.is_ready
        status = self._end_child(0.0 if reason else EXIT_LIMIT_S)
        reason = reason or f"ended with {describe_exit_status(status)}"
        if not self._was_ever_ready:  # nobody plays yet: the caller decides
            lost = WorkerLost(f"the worker {reason} while it loaded its player")
            self.first_result.put(WorkerError(reason) if said_itself else lost)
            self._deadline_s = None
        elif was_ready:
            self._complain(number, f"the worker {reason}")
            self._deadline_s = time.monotonic()
            self._count_failure(2, f"the worker {reason}")
        else:
            self._complain(number, f"the worker does not start again: {reason}")
            self._deadline_s = time.monotonic() + self._limits.retry_s
            self._limits.note_failed_start()
            self._count_failure(STAND_IN_AFTER if said_itself else 2, reason)

    def _count_failure(self, weight: int, reason: str) -> None:
        """Count what failed; where that is too much in a row, end the child and let the stand-in take over at once."""
        self._failures += weight
        if self._failures < STAND_IN_AFTER or self._spec.stand_in is None:
            return
        log.warning("the graph keeps failing, the shipped weights play instead of it: %s", reason)
        self._spec, self._failures, self._has_complained = self._spec.stand_in, 0, False
        self._end_child()
        self._limits.note_stand_in()
        self._deadline_s = time.monotonic()
        self._put(PlayerReplaced(self._now()))

    def _complain(self, number: int, reason: str) -> None:
        """Report that a request fails; log it once until something works again."""
        if not self._has_complained:
            log.warning("inference failed, the old plan goes on: %s", reason)
        self._has_complained = True
        self._put(WorkerFailed(self._now(), number, reason))

    def _pass_on(self) -> None:
        """Pass the newest request to a child that has nothing to do."""
        child = self._child
        if child is not None and child.is_ready and child.request is None and self._waiting is not None:
            child.request, self._waiting = self._waiting, None
            self._deadline_s = time.monotonic() + self._limits.answer_s
            with contextlib.suppress(OSError):  # it is gone, as its reader says, or does not read, as the deadline does
                child.process.write(wire.pack(child.packer.pack(child.request)), self._limits.answer_s)

    def _end_child(self, patience_s: float = 0.0) -> int:
        """End the child and return its exit status; one that is ending by itself gets some seconds for it."""
        child, self._child = self._child, None
        return 0 if child is None else child.process.stop(patience_s)


def _start_process(spec: PlayerSpec) -> ChildProcess:
    """Start a process that loads a player. Raises OSError."""
    process = ChildProcess("daemon.players.worker_child:serve", environment=_ONE_THREAD)
    with contextlib.suppress(OSError):  # it is gone; its reader says so
        wire.send(process.stdin, (spec.maker, spec.arguments))
    return process


def _read_messages(pipe: IO[bytes], child: int, mail: SimpleQueue[PlanRequest | _FromChild | _Close]) -> None:
    """Pass on what a child says until it says no more. Runs in a thread of its own."""
    try:
        with pipe, contextlib.suppress(EOFError):
            while True:
                kind, content = wire.receive(pipe)
                mail.put(_FromChild(child, kind, content))
                if kind == "ready":
                    raise_priority(inherit=False)
    finally:  # whatever ended it: a child that is not listened to is of no use
        mail.put(_FromChild(child, "gone", ""))
