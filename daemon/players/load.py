"""Which player plays a technique. A new technique is a line in `_PLAYERS`; live switching finds it there."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from daemon.players import Player
from daemon.players.switch import Switch
from daemon.session import TECHNIQUES, Graph, GraphError

#: technique -> module and class of its player, which is made from a Graph; those that are not here do not play yet
_PLAYERS: Mapping[str, tuple[str, str]] = {
    "gan": ("daemon.players.gan", "GanPlayer"),
    "arcnn": ("daemon.players.arcnn", "ArcnnPlayer"),
    "transformer": ("daemon.players.transformer", "TransformerPlayer"),
}


def load_player(technique: str, graph: str | Path | None = None) -> Player:
    """The player of a technique on a graph file, or on the shipped weights. Raises GraphError."""
    if technique not in TECHNIQUES:
        raise GraphError(f"no technique {technique!r}; there are {', '.join(TECHNIQUES)}")
    if technique not in _PLAYERS:
        raise GraphError(f"this version has no player for the {technique} yet; play the {' or the '.join(_PLAYERS)}")
    module, name = _PLAYERS[technique]
    maker = getattr(importlib.import_module(module), name)
    player: Player = maker(Graph(graph, technique))
    return player


def load_band(technique: str, graph: str | Path | None = None) -> Switch:
    """All players that can be switched among while the band plays: the one of this technique first, then the others as
    far as their weights are here. Raises GraphError for the first."""
    players = {technique: load_player(technique, graph)}
    for other in _PLAYERS:
        if other not in players:
            try:
                players[other] = load_player(other)
            except GraphError:  # it cannot be chosen, and `technique` says so
                continue
    return Switch(players)
