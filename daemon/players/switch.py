"""Several players behind one: the control `technique` says which of them answers, from the next plan on.

A player is loaded when it is first chosen. Where time is real that happens beside the playing: those that played go on
until the new one is warm, and then make room for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Protocol

from daemon import memory
from daemon.plan import Plan, PlanRequest, Settings
from daemon.players import Player, warm


class Shape(Protocol):
    """What is known of a player before it is loaded: its class says it."""

    past_steps: int
    future_steps: int
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A player that can be had. load: makes it; raises what it will."""

    past_steps: int
    future_steps: int
    roles: tuple[str, ...]
    styles: tuple[str, ...]
    load: Callable[[], Player]

    @classmethod
    def of(cls, shape: Shape, styles: tuple[str, ...], load: Callable[[], Player]) -> Offer:
        """That of a player, or of its class."""
        return cls(shape.past_steps, shape.future_steps, tuple(shape.roles), tuple(styles), load)


class Switch:
    """A Player made of players by technique, the first of which answers where nothing else is said.

    It knows the styles and writes the roles of all; who does not know a style plays the first of its own, and roles
    that nobody plays any more rest. The settings may give roles to other players than the rest: each is asked, and
    hears what all of them have played.
    """

    def __init__(self, players: Mapping[str, Player], offers: Mapping[str, Offer] | None = None) -> None:
        """players: who is there, by technique; offers: who can be had, those among the players too that may leave."""
        self._players, self._offers = dict(players), dict(offers or {})
        everybody: dict[str, Player | Offer] = {**self._offers, **self._players}
        self.techniques = tuple(dict.fromkeys((*self._players, *self._offers)))
        self.past_steps = max(one.past_steps for one in everybody.values())
        self.future_steps = min(one.future_steps for one in everybody.values())
        self.roles = tuple(dict.fromkeys(role for name in self.techniques for role in everybody[name].roles))
        self.styles = tuple(dict.fromkeys(style for name in self.techniques for style in everybody[name].styles))
        self._roles = {name: one.roles for name, one in everybody.items()}
        self._main = self.techniques[0]
        self._failed: set[str] = set()  # chosen, could not be loaded, and that was said
        self._budget_ns: int | None = None
        self._loading: str | None = None  # by a thread, which says here what came of it
        self._arrived: SimpleQueue[Player | Exception] = SimpleQueue()

    def hurry(self, budget_ns: int) -> None:
        """Time is real from now on: no plan waits for a player to be loaded, and those who can are told what an answer
        may take."""
        self._budget_ns = budget_ns
        for player in self._players.values():
            _hurry(player, budget_ns)

    def plan(self, request: PlanRequest) -> Plan:
        """The answers of the players whose turn it is, as one. Raises whatever those raise; ValueError, once, when one
        that is chosen cannot be loaded: who played before goes on in its place."""
        settings = request.settings
        chosen = self._chosen(settings)
        self._have(chosen)
        if settings.technique in self._players:
            self._main = settings.technique
        self._make_room(chosen)
        main = self._main
        theirs = {role: name for role, name in settings.players.items() if self._plays(name, role) and name != main}
        plan = self._ask(main, request)
        if len(self.techniques) == 1:
            return plan
        notes = {**dict.fromkeys(self.roles, ()), **plan.notes}
        held, last, edits, spent = dict(plan.held), plan.last, plan.edits, plan.inference_ns
        for name in dict.fromkeys(theirs.values()):
            other = self._ask(name, request)
            mine = [role for role in theirs if theirs[role] == name]
            notes |= {role: other.notes.get(role, ()) for role in mine}
            held = {role: ends for role, ends in held.items() if role not in mine}
            held |= {role: other.held[role] for role in mine if role in other.held}
            last, edits = min(last, other.last), other.edits or edits
            spent += other.inference_ns
        return replace(plan, notes=notes, held=held, last=last, edits=edits, inference_ns=spent)

    def _plays(self, name: str, role: str) -> bool:
        return name in self._players and role in self._roles[name]

    def _ask(self, name: str, request: PlanRequest) -> Plan:
        player, settings = self._players[name], request.settings
        if settings.style not in player.styles:
            request = replace(request, settings=replace(settings, style=player.styles[0]))
        return player.plan(request)

    # Who is there

    def _chosen(self, settings: Settings) -> list[str]:
        """The techniques that the settings want."""
        main = settings.technique if settings.technique in self.techniques else self._main
        theirs = [name for role, name in settings.players.items() if role in self._roles.get(name, ())]
        return list(dict.fromkeys((main, *theirs)))

    def _have(self, chosen: list[str]) -> None:
        """See to it that those who are chosen are there, or will be. Raises ValueError, once, for one that cannot."""
        self._failed &= set(chosen)  # who is chosen again has another chance
        self._take_in()
        missing = [name for name in chosen if name not in self._players and name not in self._failed]
        if self._budget_ns is None:
            for name in missing:
                self._loading = name
                self._load(name)
                self._take_in()
        elif missing and self._loading is None:
            self._loading = missing[0]
            threading.Thread(target=self._load, args=(missing[0],), name="load", daemon=True).start()

    def _load(self, name: str) -> None:
        """Load a player and say what came of it. May run on a thread of its own: the player is nobody else's yet."""
        try:
            player = self._offers[name].load()
            if self._budget_ns is not None:
                warm(player)
                _hurry(player, self._budget_ns)
            self._arrived.put(player)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others play on
            self._arrived.put(error)
        memory.give_back()

    def _take_in(self) -> None:
        """A player that has been loaded is ours now."""
        if self._loading is None:
            return
        try:
            arrived = self._arrived.get_nowait()
        except Empty:
            return
        name, self._loading = self._loading, None
        if isinstance(arrived, Exception):
            self._failed.add(name)
            raise ValueError(f"the {name} cannot be loaded, who played before plays on: {arrived}") from arrived
        self._players[name] = arrived

    def _make_room(self, chosen: list[str]) -> None:
        """Where time is real only who plays stays in memory: another is soon loaded again."""
        if self._budget_ns is None or self._loading is not None:
            return
        idle = [name for name in self._players if name in self._offers and name not in (*chosen, self._main)]
        for name in idle:
            del self._players[name]
        if idle:
            memory.give_back()


def _hurry(player: Player, budget_ns: int) -> None:
    if hasattr(player, "hurry"):
        player.hurry(budget_ns)
