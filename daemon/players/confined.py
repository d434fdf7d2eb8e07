"""Players for the process that does nothing but play: it confines itself before it reads a graph.

A graph comes from anywhere, and a few hundred bytes of one can ask for any amount of memory, or use a fault of the
library that reads it. So the process has a limit on its memory, no network, and only the files that it needs.
"""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path

from daemon.core.techniques import DEFAULT_TECHNIQUE, find
from daemon.players import load
from daemon.players.ensemble import Ensemble
from daemon.players.graph import GraphError
from daemon.players.player import Player
from daemon.system.confinement import confine
from daemon.system.memory import limit_growth
from daemon.system.paths import find_graph_cache_folder


def load_band(technique: str, graph: str | None, memory_mb: int) -> Player:
    """Confine this process, and return what `daemon.players.load.load_band` does.

    memory_mb: megabytes that the process may grow by; 0: as many as a graph of that size may need.
    """
    _confine(technique, graph, memory_mb)
    return load.load_band(technique, graph)


def load_stand_in(technique: str, memory_mb: int) -> Player:
    """Confine this process, and return the band for one whose graph fails: on the shipped weights of its technique.

    Where none are shipped, the default technique plays.
    """
    try:
        return load_band(technique, None, memory_mb)
    except GraphError:
        return load.load_band(DEFAULT_TECHNIQUE)


def load_player(technique: str, graph: str | None, memory_mb: int) -> Player:
    """Confine this process as `load_band` does, and return the player of one technique, with a drummer's feel."""
    _confine(technique, graph, memory_mb)
    return Ensemble({technique: load.load_player(technique, graph)}, feel=load.load_feel())


def _confine(technique: str, graph: str | None, memory_mb: int) -> None:
    import daemon.players.onnx_runtime  # noqa: F401 - now, while Python may still keep what it compiles

    importlib.import_module(find(technique).player.partition(":")[0])
    for name in {technique, DEFAULT_TECHNIQUE}:  # installed in place, the shipped weights lie in a folder of their own
        with contextlib.suppress(ImportError):
            importlib.import_module(find(name).graph_package)
    cache = find_graph_cache_folder()
    if cache is not None:
        with contextlib.suppress(OSError):  # then nothing is kept
            cache.mkdir(parents=True, exist_ok=True)
    # the folder, not the file: one that takes the file's place must be readable, too
    readable = [] if graph is None else [str(Path(graph).resolve().parent), str(Path(graph).absolute().parent)]
    confine(readable, [] if cache is None else [str(cache)])
    limit_growth(memory_mb << 20 if memory_mb else load.choose_memory(graph))
