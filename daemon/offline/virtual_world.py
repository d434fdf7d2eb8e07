"""Virtual time: a heap of scripted events, in which time jumps to whichever comes first.

The conductor that plays live runs here for rendering and for every test of timing: exact, instant, without threads.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

from daemon.core.events import Event, PlanReady, WorkerFailed
from daemon.core.plan import PlanRequest
from daemon.core.tempo import TempoMap
from daemon.players.player import Player
from music.errors import describe_error


class VirtualWorld:
    """A World whose clock stands still until somebody waits.

    Of events at one moment, the one that was put first comes first; an event at the very moment of a deadline comes
    before it.
    """

    def __init__(self, start: int = 0) -> None:
        self._now = start
        self._tempo: TempoMap | None = None
        self._script: deque[tuple[int, Callable[[int], Event]]] = deque()
        self._heap: list[tuple[int, int, Event | Callable[[], None]]] = []
        self._order = count()

    def now(self) -> int:
        """Return the virtual time in nanoseconds."""
        return self._now

    def put(self, event: Event) -> None:
        """Script an event for its time `at`; one whose time has passed comes at once."""
        heapq.heappush(self._heap, (event.at, next(self._order), event))

    def put_at_ticks(self, tempo: TempoMap, script: Iterable[tuple[int, Callable[[int], Event]]]) -> None:
        """Script events for ticks, in their order: each is made for the time at which its tick comes.

        tempo: where the ticks lie; it may change on the way. An event at a tick comes before others at its time.
        """
        self._tempo, self._script = tempo, deque(script)

    def call(self, at: int, function: Callable[[], None]) -> None:
        """Script a function to be called at a time, without an event for the conductor."""
        heapq.heappush(self._heap, (at, next(self._order), function))

    def wait(self, until: int | None) -> Event | None:
        """Return the next event, or None once `until` has come. Raises RuntimeError rather than wait for ever."""
        while self._heap or self._script:
            due = self._heap[0][0] if self._heap else None
            scripted = max(self._now, self._tempo.ns_at(self._script[0][0])) if self._tempo and self._script else None
            first = min(at for at in (due, scripted) if at is not None)
            if until is not None and first > until:
                break
            if first == scripted:
                self._now = scripted
                return self._script.popleft()[1](scripted)
            at, _, item = heapq.heappop(self._heap)
            self._now = max(self._now, at)
            if not callable(item):
                return item
            item()
        if until is None:
            raise RuntimeError("nothing is scripted to happen any more")
        self._now = max(self._now, until)
        return None


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A MIDI message that was sent at time `at` and was due at `due` (ns)."""

    at: int
    due: int
    data: bytes


class RecordingOutput:
    """An Output that records what is sent, and when."""

    def __init__(self, world: VirtualWorld) -> None:
        self.sent: list[SentMessage] = []
        self._world = world

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Record a message."""
        self.sent.append(SentMessage(self._world.now(), due, data))


class InlineComposer:
    """A Composer that calls the player on the spot and lets the plan arrive `latency` ns after the request.

    Like the worker, it serves one request at a time and keeps only the newest of those that wait. latency is a number
    of ns or a function of the request; a player's exception becomes WorkerFailed at the time of the plan.
    """

    def __init__(self, world: VirtualWorld, player: Player, latency: int | Callable[[PlanRequest], int] = 0) -> None:
        self._world = world
        self._player = player
        self._latency = latency
        #: the reason of the first inference that failed
        self.first_failure = ""
        self._free_at: int | None = None
        self._slot: PlanRequest | None = None

    def ask(self, request: PlanRequest) -> None:
        """Serve a request at once, or when the one in hand has been served."""
        self._slot = request
        if self._free_at is None:
            self._begin()

    def _begin(self) -> None:
        request, self._slot, self._free_at = self._slot, None, None
        if request is None:
            return
        at = self._world.now() + (self._latency(request) if callable(self._latency) else self._latency)
        self._free_at = at
        answer = _make_answer(self._player, request, at)
        if isinstance(answer, WorkerFailed):
            self.first_failure = self.first_failure or answer.reason
        self._world.put(answer)
        self._world.call(at, self._begin)


def _make_answer(player: Player, request: PlanRequest, at: int) -> PlanReady | WorkerFailed:
    try:
        return PlanReady(at, player.plan(request))
    except Exception as error:  # noqa: BLE001 - as in the worker: a failed inference is an event, not the end
        return WorkerFailed(at, request.number, describe_error(error))
