"""The players: gan, arcnn, transformer, behind one Protocol."""

from __future__ import annotations

from typing import Protocol

from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import Settings
from music.note import Note


class Player(Protocol):
    """Answers plan requests. Lives in the worker; owned by one thread; may keep state between requests.

    One that has `hurry(budget_ns)` is told, where time is real, how long an answer may take: what it has by then is its
    plan. One that has `between(post)` may have functions called between two questions by passing them to `post`, from
    any thread.
    """

    #: steps left of the now-line in which the player looks at what was played
    past_steps: int
    #: steps left of the now-line of which it wants to know the melody; at least as many
    memory_steps: int
    #: steps right of the now-line that a plan covers (at least this many)
    future_steps: int
    #: the roles it writes
    roles: tuple[str, ...]
    #: the styles it knows
    styles: tuple[str, ...]

    def plan(self, request: PlanRequest) -> Plan:
        """The answer. Deterministic: equal requests give equal plans, whatever was asked before."""
        ...


def warm(player: Player) -> None:
    """Asks a first question, so that what is slow only once is over before anybody waits for an answer. It is for
    whoever plays where no technique is said."""
    settings = Settings(player.styles[0], technique="")
    player.plan(PlanRequest(0, 4, 24, (Note(0, 60, 24),), {}, settings=settings))
