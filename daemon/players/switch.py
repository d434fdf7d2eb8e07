"""Several players behind one: the control `technique` says which of them answers, from the next plan on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from daemon.plan import Plan, PlanRequest
from daemon.players import Player


class Switch:
    """A Player made of players by technique, the first of which answers where nothing else is said.

    It knows the styles and writes the roles of all; who does not know a style plays the first of its own, and roles
    that nobody plays any more rest. The settings may give roles to other players than the rest: each is asked, and
    hears what all of them have played.
    """

    def __init__(self, players: Mapping[str, Player]) -> None:
        self._players = dict(players)
        self.techniques = tuple(self._players)
        everybody = self._players.values()
        self.past_steps = max(player.past_steps for player in everybody)
        self.memory_steps = max(player.memory_steps for player in everybody)
        self.future_steps = min(player.future_steps for player in everybody)
        self.roles = tuple(dict.fromkeys(role for player in everybody for role in player.roles))
        self.styles = tuple(dict.fromkeys(style for player in everybody for style in player.styles))

    def hurry(self, budget_ns: int) -> None:
        """Tells those who can that they play live."""
        for player in self._players.values():
            if hasattr(player, "hurry"):
                player.hurry(budget_ns)

    def plan(self, request: PlanRequest) -> Plan:
        """The answers of the players whose turn it is, as one. Raises whatever those raise."""
        settings = request.settings
        main = settings.technique if settings.technique in self._players else self.techniques[0]
        theirs = {role: name for role, name in settings.players.items() if self._plays(name, role) and name != main}
        plan = self._ask(main, request)
        if len(self._players) == 1:
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
        return name in self._players and role in self._players[name].roles

    def _ask(self, name: str, request: PlanRequest) -> Plan:
        player, settings = self._players[name], request.settings
        if settings.style not in player.styles:
            request = replace(request, settings=replace(settings, style=player.styles[0]))
        return player.plan(request)
