"""Several players behind one: the control `technique` says which of them answers, from the next plan on.

A player is loaded when it is first chosen. Where time is real that happens beside the playing: those that played go on
until the new one is warm, and then make room for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.players.player import Player, warm_up
from daemon.system import memory


@dataclass(frozen=True, slots=True)
class PlayerFactory:
    """A player that can be loaded."""

    #: what it says of itself once it is loaded
    info: PlayerInfo
    #: makes it; raises what it will
    load: Callable[[], Player]


class Ensemble(Player):
    """A Player made of players by technique, the first of which answers where nothing else is said.

    It knows the styles and writes the roles of all; who does not know a style plays the first of its own, and roles
    that nobody plays any more rest. The settings may give roles to other players than the rest: each is asked, and
    hears what all of them have played.
    """

    def __init__(self, players: Mapping[str, Player], offers: Mapping[str, PlayerFactory] | None = None) -> None:
        """players: who is there, by technique; offers: who can be had, those among the players too that may leave."""
        self._players, self._offers = dict(players), dict(offers or {})
        infos = {name: one.info for name, one in (self._offers | self._players).items()}
        techniques = tuple(dict.fromkeys((*self._players, *self._offers)))
        self.info = PlayerInfo(
            past_steps=max(info.past_steps for info in infos.values()),
            memory_steps=max(info.memory_steps for info in infos.values()),
            future_steps=min(info.future_steps for info in infos.values()),
            roles=tuple(dict.fromkeys(role for name in techniques for role in infos[name].roles)),
            styles=tuple(dict.fromkeys(style for name in techniques for style in infos[name].styles)),
            techniques=techniques,
            note_editors=tuple(name for name in techniques if name in infos[name].note_editors),
        )
        self._roles = {name: info.roles for name, info in infos.items()}
        self._main = techniques[0]
        self._settings = Settings(technique=self._main)  # the newest
        self._failed: set[str] = set()  # chosen, could not be loaded, and that was said
        self._budget_ns: int | None = None
        self._post: Callable[[Callable[[], None]], None] | None = None
        self._loading = False

    def set_time_budget(self, budget_ns: int) -> None:
        """Limit the time (ns) that an answer of each player may take."""
        self._budget_ns = budget_ns
        for player in self._players.values():
            player.set_time_budget(budget_ns)

    def on_idle_call(self, post: Callable[[Callable[[], None]], None]) -> None:
        """Let no plan wait for a player to be loaded any more: it is taken in by a call between two requests."""
        self._post = post

    def close(self) -> None:
        """Close the players that are loaded."""
        for player in self._players.values():
            player.close()

    def plan(self, request: PlanRequest) -> Plan:
        """The answers of the players whose turn it is, as one. Raises whatever those raise; ValueError, once, when one
        that is chosen cannot be loaded: who played before goes on in its place."""
        settings = self._settings = request.settings
        self._gather()
        main = self._main
        theirs = {role: name for role, name in settings.players.items() if self._plays(name, role) and name != main}
        plan = self._ask(main, request)
        if len(self.info.techniques) == 1:
            return plan
        notes = {**dict.fromkeys(self.info.roles, ()), **plan.notes}
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
        if settings.style not in player.info.styles:
            request = replace(request, settings=replace(settings, style=player.info.styles[0]))
        return player.plan(request)

    # Who is there

    def _gather(self) -> None:
        """Those who are chosen are there, or will be; who is not any more leaves, where players are loaded beside the
        playing. Raises ValueError, once, for one that cannot be loaded."""
        main, players = self._settings.technique, self._settings.players
        theirs = [name for role, name in players.items() if role in self._roles.get(name, ())]
        chosen = list(dict.fromkeys((main if main in self.info.techniques else self._main, *theirs)))
        self._failed &= set(chosen)  # who is chosen again has another chance
        for name in chosen:
            if name not in self._players and name not in self._failed:
                self._fetch(name)
        if main in self._players:
            self._main = main
        if self._post is not None and not self._loading:
            self._make_room({*chosen, self._main})

    def _fetch(self, name: str) -> None:
        if self._post is None:
            self._take_in(name, self._load(name))
        elif not self._loading:
            self._loading = True
            threading.Thread(target=self._load_beside, args=(name, self._post), name="load", daemon=True).start()

    def _load(self, name: str) -> Player | Exception:
        """The player, warm, or what is wrong with it. It is nobody else's yet."""
        try:
            player = self._offers[name].load()
            if self._budget_ns is not None:
                warm_up(player)
                player.set_time_budget(self._budget_ns)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others play on
            return error
        return player

    def _load_beside(self, name: str, post: Callable[[Callable[[], None]], None]) -> None:
        """Runs on a thread of its own."""
        arrived = self._load(name)
        memory.trim_heap()
        post(lambda: self._arrive(name, arrived))

    def _arrive(self, name: str, arrived: Player | Exception) -> None:
        self._loading = False
        self._take_in(name, arrived)
        self._gather()

    def _take_in(self, name: str, arrived: Player | Exception) -> None:
        if isinstance(arrived, Exception):
            self._failed.add(name)
            raise ValueError(f"the {name} cannot be loaded, who played before plays on: {arrived}") from arrived
        self._players[name] = arrived

    def _make_room(self, needed: set[str]) -> None:
        """Only who plays stays in memory: another is soon loaded again."""
        idle = [name for name in self._players if name in self._offers and name not in needed]
        for name in idle:
            self._players.pop(name).close()
        if idle:
            memory.trim_heap()
