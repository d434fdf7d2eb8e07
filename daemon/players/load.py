"""Which player plays a technique."""

from __future__ import annotations

from pathlib import Path

from daemon.players import Player
from daemon.session import TECHNIQUES, Graph, GraphError


def load_player(technique: str, graph: str | Path | None = None) -> Player:
    """The player of a technique on a graph file, or on the shipped weights. Raises GraphError."""
    if technique == "gan":
        from daemon.players.gan import GanPlayer

        return GanPlayer(Graph(graph, technique))
    known = ", ".join(TECHNIQUES)
    if technique in TECHNIQUES:
        raise GraphError(f"this version has no player for the {technique} yet; play the gan")
    raise GraphError(f"no technique {technique!r}; there are {known}")
