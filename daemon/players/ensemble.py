"""Several players behind one: the control `technique` chooses which of them answers, from the next plan on.

A player is loaded when it is first chosen. Where time is real that happens beside the playing, on a thread of its own:
the players that played go on until the new one is ready, and are then unloaded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from daemon.arranging.drummer_feel import DrummerFeel
from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.players.player import Player, warm_up
from daemon.system import memory
from music.errors import UserError


@dataclass(frozen=True, slots=True)
class PlayerFactory:
    """A player that can be loaded."""

    #: what it says of itself once it is loaded
    info: PlayerInfo
    #: makes it; raises what it will
    load: Callable[[], Player]


class Ensemble(Player):
    """A Player made of players by technique, the first of which answers where no other is chosen.

    It knows the styles and writes the roles of all of them. Roles that no player writes any more rest. The settings may
    give roles to other players than the rest: each is asked, and is told what all of them have played. One that does
    not know the style plays its roles in the first of its own.
    """

    def __init__(
        self,
        players: Mapping[str, Player],
        factories: Mapping[str, PlayerFactory] | None = None,
        feel: DrummerFeel | None = None,
    ) -> None:
        """Make one of players by technique.

        players: those that are loaded; factories: those that can be, and of the loaded ones those that may be unloaded;
        feel: lies over what they write.
        """
        self._feel = feel
        self._players, self._factories = dict(players), dict(factories or {})
        infos = {name: one.info for name, one in (self._factories | self._players).items()}
        techniques = tuple(dict.fromkeys((*self._players, *self._factories)))
        self.info = PlayerInfo(
            past_steps=max(info.past_steps for info in infos.values()),
            memory_steps=max(info.memory_steps for info in infos.values()),
            future_steps=min(info.future_steps for info in infos.values()),
            roles=tuple(dict.fromkeys(role for name in techniques for role in infos[name].roles)),
            styles=tuple(dict.fromkeys(style for name in techniques for style in infos[name].styles)),
            techniques=techniques,
            note_editors=tuple(name for name in techniques if name in infos[name].note_editors),
            technique_styles={name: infos[name].styles for name in techniques},
            technique_steps={name: infos[name].future_steps for name in techniques},
        )
        self._roles = {name: info.roles for name, info in infos.items()}
        self._main = techniques[0]  # plays all roles that are not given to others
        self._settings = Settings(technique=self._main)  # those of the newest request
        self._upcoming: list[str] = []  # soon to be chosen
        self._failed: set[str] = set()  # chosen, could not be loaded, and that was reported
        self._budget_ns: int | None = None
        self._post: Callable[[Callable[[], None]], None] | None = None
        self._is_loading = False

    def set_time_budget(self, budget_ns: int) -> None:
        """Limit the time (ns) that an answer of each player may take."""
        self._budget_ns = budget_ns
        for player in self._players.values():
            player.set_time_budget(budget_ns)

    def on_idle_call(self, post: Callable[[Callable[[], None]], None]) -> None:
        """Load players beside the playing from now on: each joins by a call between two requests."""
        self._post = post

    def close(self) -> None:
        """Close the players that are loaded."""
        for player in self._players.values():
            player.close()

    def plan(self, request: PlanRequest) -> Plan:
        """Return the plans of the chosen players as one.

        Raises whatever those raise; UserError, once, when a chosen one cannot be loaded: the one before it goes on.
        """
        self._settings = request.settings
        plan = self._join_plans(request)
        if self._feel is None:
            return plan
        begun_ns = time.perf_counter_ns()
        plan = self._feel.play(request, plan)
        return replace(plan, inference_ns=plan.inference_ns + time.perf_counter_ns() - begun_ns)

    def _join_plans(self, request: PlanRequest) -> Plan:
        settings = request.settings
        self._upcoming = [name for name in request.upcoming if name in self.info.techniques]
        self._load_chosen()
        main = self._main
        given = {role: name for role, name in settings.players.items() if self._can_play(name, role) and name != main}
        plan = self._ask(main, request)
        if len(self.info.techniques) == 1:
            return plan
        notes = {**dict.fromkeys(self.info.roles, ()), **plan.notes}
        held, last, edits, spent_ns = dict(plan.held), plan.last, plan.edits, plan.inference_ns
        for name in dict.fromkeys(given.values()):
            other = self._ask(name, request)
            roles = [role for role in given if given[role] == name]
            notes |= {role: other.notes.get(role, ()) for role in roles}
            held = {role: ends for role, ends in held.items() if role not in roles}
            held |= {role: other.held[role] for role in roles if role in other.held}
            last, edits = min(last, other.last), other.edits or edits
            spent_ns += other.inference_ns
        return replace(plan, notes=notes, held=held, last=last, edits=edits, inference_ns=spent_ns)

    def _can_play(self, name: str, role: str) -> bool:
        return name in self._players and role in self._roles[name]

    def _ask(self, name: str, request: PlanRequest) -> Plan:
        player, settings = self._players[name], request.settings
        if settings.style not in player.info.styles:
            request = replace(request, settings=replace(settings, style=player.info.styles[0]))
        return player.plan(request)

    # Loading

    def _load_chosen(self) -> None:
        """Load the players that the settings choose, or begin to; unload others where that costs no plan.

        Raises UserError, once, for one that cannot be loaded.
        """
        main, players = self._settings.technique, self._settings.players
        given = [name for role, name in players.items() if role in self._roles.get(name, ())]
        chosen = list(dict.fromkeys((main if main in self.info.techniques else self._main, *given, *self._upcoming)))
        self._failed &= set(chosen)  # one that is chosen again has another chance
        for name in chosen:
            if name not in self._players and name not in self._failed:
                self._start_loading(name)
        if main in self._players:
            self._main = main
        if self._post is not None and not self._is_loading:
            self._unload_idle({*chosen, self._main})

    def _start_loading(self, name: str) -> None:
        if self._post is None:
            self._add(name, self._load(name))
        elif not self._is_loading:
            self._is_loading = True
            threading.Thread(target=self._load_beside, args=(name, self._post), name="load", daemon=True).start()

    def _load(self, name: str) -> Player | Exception:
        """Return a player that is ready to play, or what went wrong. It belongs to the thread that called this."""
        try:
            player = self._factories[name].load()
            if self._budget_ns is not None:
                warm_up(player)
                player.set_time_budget(self._budget_ns)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others play on
            return error
        return player

    def _load_beside(self, name: str, post: Callable[[Callable[[], None]], None]) -> None:
        """Load a player and hand it over to the thread that plays. Runs on a thread of its own."""
        result = self._load(name)
        memory.trim_heap()
        post(lambda: self._finish_loading(name, result))

    def _finish_loading(self, name: str, result: Player | Exception) -> None:
        self._is_loading = False
        self._add(name, result)
        self._load_chosen()

    def _add(self, name: str, result: Player | Exception) -> None:
        """Add a player that was loaded. Raises UserError where it could not be."""
        if isinstance(result, Exception):
            self._failed.add(name)
            raise UserError(f"the {name} cannot be loaded, the player before it goes on: {result}") from result
        self._players[name] = result

    def _unload_idle(self, needed: set[str]) -> None:
        """Unload the players that do not play, for memory; each is soon loaded again."""
        idle = [name for name in self._players if name in self._factories and name not in needed]
        for name in idle:
            self._players.pop(name).close()
        if idle:
            memory.trim_heap()
