"""Waiting for plans: one that was asked for arrives when the step begins that it is for, neither earlier nor later.

So what a band plays does not depend on how fast its players answer. A player that takes too long is not waited for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from daemon.core.events import PlanReady, WorkerFailed
from daemon.core.plan import PlanRequest
from daemon.core.tempo import NS_PER_MS, NS_PER_S

#: wall time that a plan is waited for where the host waits, too
OFFLINE_PATIENCE_NS = 10 * NS_PER_S
#: and where it does not: at least, and what the plugin's `ahead` holds for the way of the notes
LEAST_PATIENCE_NS, WAY_NS = 10 * NS_PER_MS, 35 * NS_PER_MS
#: requests of one performance that are told from those of the next
NUMBERS_PER_ROLL = 1 << 32


@dataclass(slots=True)
class _Pending:
    """A request for a plan."""

    number: int
    due: int  #: the time at which the plan is to be there
    waited_since: int | None = None  #: since when (ns of wall time) it is waited for
    answer: PlanReady | WorkerFailed | None = None


class PlanWait:
    """Owns the plan that is waited for. Numbers are made so that answers to an earlier performance are known."""

    def __init__(self) -> None:
        self._roll = 0  # counts performances
        self._pending: _Pending | None = None

    def begin(self) -> None:
        """Let another performance begin: answers to the one before are of no use any more."""
        self._roll += 1
        self._pending = None

    @property
    def due(self) -> int | None:
        """The time at which a plan is due, before which none arrives; None while none is waited for."""
        return None if self._pending is None else self._pending.due

    def ask(self, request: PlanRequest, due: int | None) -> PlanRequest:
        """Return the request to pass on. Its plan is waited for, and no older one; due: None: it is not waited for."""
        number = request.number + self._roll * NUMBERS_PER_ROLL
        if due is not None:
            self._pending = _Pending(number, due)
        return replace(request, number=number)

    def take(self, event: PlanReady | WorkerFailed) -> PlanReady | WorkerFailed | None:
        """Take an answer; return it if nobody waits for it, as the performance knows it."""
        number = event.plan.number if isinstance(event, PlanReady) else event.number
        roll, own = divmod(number, NUMBERS_PER_ROLL)
        if roll != self._roll:
            return None
        answer: PlanReady | WorkerFailed
        if isinstance(event, PlanReady):
            answer = PlanReady(event.at, replace(event.plan, number=own))
        else:
            answer = replace(event, number=own)
        if self._pending is None or number > self._pending.number:
            return answer
        if number == self._pending.number:
            self._pending.answer = answer
        return None

    def end(self, wall: int, patience_ns: int) -> tuple[bool, PlanReady | WorkerFailed | None]:
        """Return whether the plan that is due is waited for no more, and the plan; wall: the time of a real clock."""
        pending = self._pending
        if pending is None:
            return True, None
        if pending.waited_since is None:
            pending.waited_since = wall
        if pending.answer is None and wall < pending.waited_since + patience_ns:
            return False, None
        self._pending = None
        return True, pending.answer

    def find_rest(self, wall: int, patience_ns: int) -> int | None:
        """Return for how long (ns of wall time) the plan is still waited for; None while none is due."""
        since = None if self._pending is None else self._pending.waited_since
        return None if since is None else max(0, since + patience_ns - wall)


def find_patience(offline: bool, ahead_ns: int, lead_ns: int) -> int:
    """Return how long (ns) a plan is waited for that is due, so that its notes are there in time.

    ahead_ns: real time before which the plugin needs them; lead_ns: real time by which the plan is due earlier.
    """
    if offline:
        return OFFLINE_PATIENCE_NS
    return max(LEAST_PATIENCE_NS, ahead_ns - WAY_NS) + max(0, lead_ns - ahead_ns)
