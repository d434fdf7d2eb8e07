"""Inference in a process of its own: the conductor asks without waiting, the newest question wins, answers come back.

In the conductor's process one thread owns the child: questions, answers and deadlines reach it through one queue, and
what it learns goes to the world's inbox. A child that crashes or hangs is replaced; the old plan plays on meanwhile.
The child (`serve`) is a fresh interpreter, not a fork, so that no lock or thread of ours is copied into it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import IO, Any

from daemon.core import wire
from daemon.core.events import Event, PlanReady, WorkerFailed
from daemon.core.plan import PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.players.player import Player, warm_up
from daemon.system import memory, rtkit
from daemon.system.child_process import ChildProcess, guard_stdout
from music.errors import HousebandError, UserError, describe_error

log = logging.getLogger(__name__)

#: seconds until an unanswered question means a hung child; longer for loading a graph on a cold disk
ANSWER_LIMIT = 3.0
START_LIMIT = 120.0
#: until a child that is to replace another hangs as it loads: at least, and how many times what the first start took
AGAIN_LIMIT, AGAIN_TIMES = 8.0, 8.0
#: a slow machine has so many times what the first plan took, where that is longer
PATIENCE = 5.0
#: time budget of an answer, for players that can stop early: a step at 300 bpm lasts 50 ms
BUDGET_NS = 25_000_000
#: seconds between the attempts to replace a child that cannot even start: doubled each time up to the last
RETRY_FIRST, RETRY_LAST = 0.5, 30.0

#: no pools of threads: one core is the worker's share
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class WorkerError(UserError):
    """The player could not be loaded."""


class WorkerLost(WorkerError):
    """The worker hung or died while it loaded its player: another attempt may do better."""

    exit_code = HousebandError.exit_code


@dataclass(frozen=True, slots=True)
class PlayerSpec:
    """Which player the worker loads: `module:function` that makes it, and what that function is given."""

    maker: str
    arguments: tuple[str | int | None, ...] = ()

    def make(self) -> Player:
        """The player. Raises whatever its maker does."""
        module, _, name = self.maker.partition(":")
        player: Player = getattr(importlib.import_module(module), name)(*self.arguments)
        return player


class PreloadedWorker:
    """A worker's process begun before anybody wants its answers, so that it loads while they get ready themselves."""

    def __init__(self, spec: PlayerSpec) -> None:
        self._child: ChildProcess | None = None
        with contextlib.suppress(OSError):  # the worker tries it again, and says why it cannot be
            self._child = _start(spec)

    def take(self) -> ChildProcess | None:
        """It is the caller's from now on; None for none."""
        child, self._child = self._child, None
        return child

    def close(self) -> None:
        """End what nobody has taken."""
        child = self.take()
        if child is not None:
            child.stop()
            child.stdout.close()


def _start(spec: PlayerSpec) -> ChildProcess:
    """A process that loads a player. Raises OSError."""
    child = ChildProcess("daemon.players.worker:serve", environment=_ONE_THREAD)
    with contextlib.suppress(OSError):  # it is gone; its reader says so
        wire.send(child.stdin, spec)
    return child


# What the owner thread finds in its mail, beside requests.
@dataclass(frozen=True, slots=True)
class _FromChild:
    life: int
    #: ready (what the player is, and the seconds its first plan took), plan, failed, told (what went wrong between two
    #: questions), or gone
    kind: str
    content: Any


@dataclass(frozen=True, slots=True)
class _Close:
    pass


class Worker:
    """The Composer of the live side. `start` it, ask, `close` it.

    put: where PlanReady and WorkerFailed go; now: the world's clock; answer_limit: seconds until an unanswered
    question means a hung child, which is then replaced; a slow machine has longer; early: a child of the same spec that
    has been begun already.
    """

    def __init__(
        self,
        spec: PlayerSpec,
        put: Callable[[Event], None],
        now: Callable[[], int],
        answer_limit: float = ANSWER_LIMIT,
        early: PreloadedWorker | None = None,
    ) -> None:
        self._owner = _Owner(spec, put, now, answer_limit)
        self._owner.early = early
        self._thread = threading.Thread(target=self._owner.run, name="worker-owner", daemon=True)

    def start(self) -> None:
        """Starts the child; it loads its player while the caller goes on to other things."""
        self._thread.start()

    def wait_ready(self) -> PlayerInfo:
        """What the player is, once it is loaded and has answered a first question. Raises WorkerError; WorkerLost where
        another attempt may do better."""
        first = self._owner.first.get()
        if isinstance(first, PlayerInfo):
            return first
        raise first

    def ask(self, request: PlanRequest) -> None:
        """Latest wins: a request that has not been begun is replaced by a newer one."""
        self._owner.mail.put(request)

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._owner.pid

    def close(self) -> None:
        """Ends the child. Nothing is put any more once this has returned."""
        if self._thread.is_alive():
            self._owner.mail.put(_Close())
            self._thread.join()


class _Owner:
    """Sole owner of the child process; everything here but `mail` and `first` belongs to its thread."""

    def __init__(
        self, spec: PlayerSpec, put: Callable[[Event], None], now: Callable[[], int], answer_limit: float
    ) -> None:
        self.mail: SimpleQueue[PlanRequest | _FromChild | _Close] = SimpleQueue()
        self.first: SimpleQueue[PlayerInfo | WorkerError] = SimpleQueue()
        self.pid: int | None = None
        self.early: PreloadedWorker | None = None
        self._spec, self._put, self._now = spec, put, now
        self._answer_limit = self._least_limit = answer_limit
        self._child: ChildProcess | None = None
        self._life = 0
        self._slot: PlanRequest | None = None  # the newest question, not yet passed on
        self._asked: PlanRequest | None = None  # the question the child is at
        self._ready = False
        self._ever_ready = False
        self._began, self._start_limit = 0.0, START_LIMIT
        self._limit: float | None = None  # when the child's silence, or the pause before the next, is over
        self._retry = RETRY_FIRST
        self._complained = False

    def run(self) -> None:
        self._begin()
        while True:
            match self._next():
                case PlanRequest() as request:
                    self._slot = request
                case _FromChild() as message if message.life == self._life:
                    self._heard(message)
                case None if self._child is None:
                    self._begin()
                case None:
                    self._lost("gave no answer in time")
                case _Close():
                    self._end()
                    return
            self._pass_on()

    def _next(self) -> PlanRequest | _FromChild | _Close | None:
        """The next piece of mail; None once the limit is over."""
        if self._limit is None:
            return self.mail.get()
        try:
            return self.mail.get(timeout=max(0.0, self._limit - time.monotonic()))
        except Empty:
            return None

    def _begin(self) -> None:
        """Starts a child and the thread that reads what it says."""
        self._life += 1
        early, self.early = self.early, None
        try:
            self._child = (early.take() if early is not None else None) or _start(self._spec)
        except OSError as error:
            self._lost(f"cannot be started ({error})")
            return
        self.pid = self._child.pid
        self._began = time.monotonic()
        self._limit = self._began + self._start_limit
        reader = threading.Thread(
            target=_read, args=(self._child.stdout, self._life, self.mail), name="worker-reader", daemon=True
        )
        reader.start()

    def _heard(self, message: _FromChild) -> None:
        if message.kind == "told":
            log.warning("%s", message.content)
            return
        asked, self._asked, self._limit = self._asked, None, None
        if message.kind == "ready":
            info, first_plan_s = message.content
            self._ready, self._retry = True, RETRY_FIRST
            self._answer_limit = max(self._least_limit, PATIENCE * first_plan_s)
            if not self._ever_ready:
                self._ever_ready = True
                self._start_limit = max(AGAIN_LIMIT, AGAIN_TIMES * (time.monotonic() - self._began))
                self.first.put(info)
                rtkit.raise_priority(pass_on=False)  # questions and answers pass through this thread, and its reader's
        elif message.kind == "plan":
            self._complained = False
            self._put(PlanReady(self._now(), wire.unpack_plan(message.content)))
        elif self._ready and message.kind == "failed" and asked is not None:
            self._complain(asked.number, message.content)
        else:  # it could not load, or it is gone
            self._asked = asked
            self._lost(message.content, told=message.kind == "failed")

    def _lost(self, reason: str, *, told: bool = False) -> None:
        """The child is of no use any more: end it, say so, and be ready to start another. told: by the child itself."""
        number = self._asked.number if self._asked is not None else 0
        started = self._ready
        status = self._end(patience=0.0 if reason else 1.0)
        reason = reason or f"ended with {_how_it_ended(status)}"
        if not self._ever_ready:  # nobody plays yet: the caller decides
            self.first.put(
                WorkerError(reason) if told else WorkerLost(f"the worker {reason} while it loaded its player")
            )
            self._limit = None
            return
        self._complain(number, f"the worker {reason}" if started else f"the worker does not start again: {reason}")
        self._limit = time.monotonic() + (0.0 if started else self._retry)
        if not started:  # it may only be slow
            self._start_limit = min(2 * self._start_limit, START_LIMIT)
        self._retry = self._retry if started else min(2 * self._retry, RETRY_LAST)

    def _complain(self, number: int, reason: str) -> None:
        if not self._complained:  # once, until something works again
            log.warning("inference failed, the old plan goes on: %s", reason)
        self._complained = True
        self._put(WorkerFailed(self._now(), number, reason))

    def _pass_on(self) -> None:
        if self._ready and self._asked is None and self._slot is not None:
            self._asked, self._slot = self._slot, None
            self._limit = time.monotonic() + self._answer_limit
            self._tell(wire.pack_request(self._asked))

    def _tell(self, message: object) -> None:
        assert self._child
        with contextlib.suppress(OSError):  # it is gone; its reader says so
            wire.send(self._child.stdin, message)

    def _end(self, patience: float = 0.0) -> int:
        """Ends the child and gives its exit status; one that is ending by itself gets `patience` seconds for it."""
        child, self._child, self.pid = self._child, None, None
        self._ready, self._asked = False, None
        if child is None:
            return 0
        self._life += 1  # what it may still have said is stale
        return child.stop(patience)


def _read(pipe: IO[bytes], life: int, mail: SimpleQueue[PlanRequest | _FromChild | _Close]) -> None:
    """Passes on what a child says until it says no more. Runs in a thread of its own."""
    with pipe, contextlib.suppress(EOFError):
        while True:
            kind, content = wire.receive(pipe)
            mail.put(_FromChild(life, kind, content))
            if kind == "ready":
                rtkit.raise_priority(pass_on=False)
    mail.put(_FromChild(life, "gone", ""))


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


def serve() -> None:
    """The child: loads the player it is told of, then answers every question until there are no more to come."""
    questions, answers = sys.stdin.buffer, guard_stdout()
    with contextlib.suppress(EOFError, OSError):
        try:
            player: Player = wire.receive(questions).make()
            begun = time.monotonic()
            warm_up(player)
            player.set_time_budget(BUDGET_NS)
            first = time.monotonic() - begun
        except Exception as error:  # noqa: BLE001 - whatever a broken graph raises, the user gets one sentence
            wire.send(answers, ("failed", describe_error(error)))
            return
        gc.freeze()
        memory.trim_heap()
        wire.send(answers, ("ready", (player.info, first)))
        rtkit.raise_priority()  # a plan is asked for half a step before it is played, however busy the machine is
        mail: SimpleQueue[Any] = SimpleQueue()  # questions, what a player wants called between them, None at the end
        player.on_idle_call(mail.put)
        threading.Thread(target=_take_questions, args=(questions, mail), name="questions", daemon=True).start()
        while (found := mail.get()) is not None:
            try:
                if callable(found):
                    found()
                    continue
                answer = "plan", wire.pack_plan(player.plan(wire.unpack_request(found)))
            except Exception as error:  # noqa: BLE001 - reported; the band goes on with the plan it has
                answer = "told" if callable(found) else "failed", describe_error(error)
            wire.send(answers, answer)
        player.close()


def _take_questions(pipe: IO[bytes], mail: SimpleQueue[Any]) -> None:
    """Runs in a thread of its own."""
    with contextlib.suppress(EOFError):
        while True:
            mail.put(wire.receive(pipe))
    mail.put(None)
