"""Several players behind one: the control `technique` says which of them answers, from the next plan on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from daemon.plan import Plan, PlanRequest
from daemon.players import Player


class Switch:
    """A Player made of players by technique, the first of which answers where nothing else is said.

    It knows the styles and writes the roles of all; who does not know a style plays the first of its own, and roles
    that the others left behind rest.
    """

    def __init__(self, players: Mapping[str, Player]) -> None:
        self._players = dict(players)
        self.techniques = tuple(self._players)
        everybody = self._players.values()
        self.past_steps = max(player.past_steps for player in everybody)
        self.future_steps = min(player.future_steps for player in everybody)
        self.roles = tuple(dict.fromkeys(role for player in everybody for role in player.roles))
        self.styles = tuple(dict.fromkeys(style for player in everybody for style in player.styles))

    def plan(self, request: PlanRequest) -> Plan:
        """The answer of the player whose turn it is. Raises whatever that raises."""
        settings = request.settings
        player = self._players.get(settings.technique) or self._players[self.techniques[0]]
        if settings.style not in player.styles:
            request = replace(request, settings=replace(settings, style=player.styles[0]))
        plan = player.plan(request)
        if len(self._players) == 1:
            return plan
        return replace(plan, notes={**dict.fromkeys(self.roles, ()), **plan.notes})
