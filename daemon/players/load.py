"""Players loaded by the names of their techniques."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path

from daemon.arranging.drummer_feel import DrummerFeel
from daemon.core.player_info import PlayerInfo
from daemon.core.techniques import Technique, find, list_techniques
from daemon.players.ensemble import Ensemble, PlayerFactory
from daemon.players.graph import (
    Graph,
    GraphError,
    GraphPlayer,
    bounded_time,
    name_graph,
    open_graph,
    read_signature,
    reporting_misfit,
)
from daemon.players.player import Player, warm_up
from daemon.system.memory import bounded_growth

#: what a process may grow by that loads graphs: at least (the shipped ones, all at once, take 250 MB, and so much is
#: left for the threads and the numbers between them), and for every byte of the graph
LEAST_MEMORY, MEMORY_FACTOR = 1 << 30, 32
#: how long a graph from elsewhere may take until it has made its first plan
LOADING_LIMIT_S = 60.0


def choose_memory(graph: str | Path | None) -> int:
    """Return the bytes that a process may grow by which loads a graph, or shipped weights."""
    try:
        size = 0 if graph is None else Path(graph).stat().st_size
    except OSError:  # there is none, as is said when it is opened
        size = 0
    return LEAST_MEMORY + MEMORY_FACTOR * size


@contextlib.contextmanager
def guard_loading(graph: str | Path | None, technique: str) -> Iterator[None]:
    """Bound what a graph from elsewhere takes while it is loaded, and make one error of all there can be."""
    with contextlib.ExitStack() as bounds:
        bounds.enter_context(reporting_misfit(name_graph(graph, technique)))
        if graph is not None:
            bounds.enter_context(bounded_growth(choose_memory(graph)))
            bounds.enter_context(bounded_time(LOADING_LIMIT_S))
        yield


def load_player(technique: str, graph: str | Path | None = None) -> Player:
    """Return the player of a technique, on a graph file or on the shipped weights.

    Raises UserError for a technique that there is not, GraphError for a graph that cannot be played, InferenceError for
    one that does not answer.
    """
    wanted = find(technique)
    with guard_loading(graph, technique):
        player = _import_class(wanted)(Graph(graph, technique))
        player.info = describe_player(technique, player.info.styles)
        if graph is not None:  # one of ours answers; what came from elsewhere shows that it does
            warm_up(player)
    return player


def describe_player(technique: str, styles: tuple[str, ...]) -> PlayerInfo:
    """Return what the player of a technique is on a graph that knows these styles. Raises UserError as `find` does."""
    wanted = find(technique)
    info = _import_class(wanted).describe(styles)
    return replace(info, techniques=(technique,), note_editors=(technique,) if wanted.edits_notes else ())


def load_band(technique: str, graph: str | Path | None = None) -> Ensemble:
    """Return all players that can be switched among while the band plays.

    The one of this technique is loaded, the others are when they are first chosen, as far as their weights are here.
    Raises as `load_player` does, for the first.
    """
    first = load_player(technique, graph)
    factories = {technique: PlayerFactory(first.info, partial(load_player, technique, graph))}
    for other in list_techniques():
        if other.name not in factories:
            try:
                styles = read_signature(None, other.name).styles
            except GraphError:  # it cannot be chosen, and `technique` says so
                continue
            info = describe_player(other.name, styles)
            factories[other.name] = PlayerFactory(info, partial(load_player, other.name))
    return Ensemble({technique: first}, factories, load_feel())


def load_feel() -> DrummerFeel | None:
    """Return the drummer's feel that is shipped; None where there is none, and notes stray at random."""
    file = resources.files("models.pretrained") / "feel.onnx"
    return DrummerFeel(*open_graph(file.read_bytes())) if file.is_file() else None


def _import_class(technique: Technique) -> type[GraphPlayer]:
    module, _, name = technique.player.partition(":")
    found: type[GraphPlayer] = getattr(importlib.import_module(module), name)
    return found
