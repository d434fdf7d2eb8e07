"""Which player plays a technique. A new technique is a line in `_PLAYERS`; live switching finds it there."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from daemon.players.ensemble import Ensemble, PlayerFactory
from daemon.players.graph import TECHNIQUES, Graph, GraphError, GraphPlayer, read_signature
from daemon.players.player import Player

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
    return _maker(technique)(Graph(graph, technique))


def load_band(technique: str, graph: str | Path | None = None) -> Ensemble:
    """All players that can be switched among while the band plays: the one of this technique, loaded, and the others as
    far as their weights are here, which are loaded when they are first chosen. Raises GraphError for the first."""
    first = load_player(technique, graph)
    offers = {technique: PlayerFactory(first.info, partial(load_player, technique, graph))}
    for other in _PLAYERS:
        if other != technique:
            try:
                styles = read_signature(None, other).styles
            except GraphError:  # it cannot be chosen, and `technique` says so
                continue
            offers[other] = PlayerFactory(_maker(other).describe(styles), partial(load_player, other))
    return Ensemble({technique: first}, offers)


def _maker(technique: str) -> type[GraphPlayer]:
    """Return the class of a technique's player."""
    module, name = _PLAYERS[technique]
    maker: type[GraphPlayer] = getattr(importlib.import_module(module), name)
    return maker
