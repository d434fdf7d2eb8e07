"""The interface of a player: it is asked for plans, and answers with notes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from music.note import Note


class Player(ABC):
    """Answers plan requests. Lives in the inference process; owned by one thread; may keep state between requests."""

    info: PlayerInfo

    @abstractmethod
    def plan(self, request: PlanRequest) -> Plan:
        """Answer a request. Deterministic: equal requests give equal plans, whatever was asked before."""

    def set_time_budget(self, budget_ns: int) -> None:  # noqa: B027 - most players cannot stop early
        """Limit the time (ns) that an answer may take from now on: what is written by then is the plan.

        Called only where time is real. Without it plans do not depend on the speed of the machine.
        """

    def on_idle_call(self, post: Callable[[Callable[[], None]], None]) -> None:  # noqa: B027 - few have such work
        """Receive a function that has other functions called between two requests.

        Called only where time is real. `post` may be used from any thread; what it is given runs on the player's own.
        """

    def close(self) -> None:  # noqa: B027 - most hold nothing but memory
        """Release what the player holds; it is not asked again."""


class ContinuingPlayer(Player):
    """A player that can write the melody, too, and so go on by itself."""

    @abstractmethod
    def plan_with_melody(self, request: PlanRequest) -> tuple[Plan, Note | None]:
        """Return a plan of one step, and the melody's note in it.

        The note begins at `request.now`, or is the request's last one, a step longer; None for a rest.
        """


def warm_up(player: Player) -> None:
    """Ask a first question, so that what is slow only once is over before anybody waits for an answer.

    It names no technique: whichever player answers by default does.
    """
    settings = Settings(player.info.styles[0], technique="")
    player.plan(PlanRequest(0, 4, 24, (Note(0, 60, 24),), {}, settings=settings))
