"""Graph files for players: their signatures are checked before the first note."""

from __future__ import annotations

import base64
from abc import abstractmethod
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daemon.core.player_info import PlayerInfo
from daemon.core.techniques import find
from daemon.players.graph_cache import open_session
from daemon.players.player import Player
from music import signature
from music.errors import UserError
from music.signature import Signature, SignatureError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


class GraphError(UserError):
    """A graph that cannot be played."""


class Graph:
    """A loaded graph."""

    def __init__(self, path: str | Path | None, technique: str) -> None:
        """Load a file, or the shipped weights of the technique.

        Raises GraphError for a file that is no graph of the technique, UserError for a technique that there is not.
        """
        name, metadata, model = _read_graph(path, technique)
        try:
            self._session = open_session(model)
        except Exception as error:  # noqa: BLE001 - onnxruntime has exceptions of its own for every kind of broken file
            raise GraphError(f"{name}: not a graph that onnxruntime can load ({_get_first_line(error)})") from None
        try:
            #: what it takes and gives, and what its player must know besides
            self.signature: Signature = signature.read_signature(metadata)
            signature.check_signature(
                self.signature,
                technique,
                _list_shapes(self._session.get_inputs()),
                _list_shapes(self._session.get_outputs()),
            )
        except SignatureError as error:
            raise GraphError(f"{name}: this graph does not fit: {error}") from None
        self._outputs = [o.name for o in self._session.get_outputs()]
        self._parts = {
            key.removeprefix(f"{signature.PART_KEY}."): text
            for key, text in metadata.items()
            if key.startswith(f"{signature.PART_KEY}.")
        }

    @property
    def session(self) -> Any:
        """The onnxruntime session, to bind inputs and outputs directly."""
        return self._session

    def open_part(self, name: str) -> Any:
        """Open a session on a further graph that this one carries. Raises GraphError; also the second time."""
        try:
            return open_session(base64.b64decode(self._parts.pop(name)))
        except KeyError:
            raise GraphError(f"this graph does not fit: it carries no {name!r}") from None

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Run the graph; return its outputs by name."""
        return dict(zip(self._outputs, self._session.run(None, dict(inputs)), strict=True))


class GraphPlayer(Player):
    """A player made from a graph."""

    @abstractmethod
    def __init__(self, graph: Graph) -> None:
        """Make a player. Raises GraphError for a graph whose shapes or settings are not those of the technique."""

    @classmethod
    @abstractmethod
    def describe(cls, styles: tuple[str, ...]) -> PlayerInfo:
        """Return what a player of this class says of itself on a graph that knows these styles."""


def read_signature(path: str | Path | None, technique: str) -> Signature:
    """Return the signature of a graph file, or of the shipped weights, without loading it. Raises GraphError."""
    name, metadata, _ = _read_graph(path, technique)
    try:
        found = signature.read_signature(metadata)
    except SignatureError as error:
        raise GraphError(f"{name}: this graph does not fit: {error}") from None
    if found.technique != technique:
        raise GraphError(f"{name}: it is a graph for the {found.technique}, not for the {technique}")
    return found


def _read_graph(path: str | Path | None, technique: str) -> tuple[str, dict[str, str], bytes]:
    """Return what to call a graph in messages, its metadata, and the graph without them. Raises GraphError.

    path: None for the shipped weights.
    """
    name = str(path) if path is not None else f"the shipped {technique} weights"
    file = Path(path) if path is not None else _find_shipped(technique)
    if not file.is_file():
        raise GraphError(f"{name}: {'a folder, not a graph' if file.is_dir() else 'no such file'}")
    try:
        graph = file.read_bytes()
        if not graph:
            raise GraphError(f"{name}: an empty file, not a graph")
        return name, *signature.split_metadata(graph)
    except OSError as error:
        raise GraphError(f"{name}: {error.strerror}") from None
    except SignatureError as error:
        raise GraphError(f"{name}: not a graph that onnxruntime can load ({error})") from None


def _find_shipped(technique: str) -> Traversable:
    """Return the file of a technique's shipped weights. Raises GraphError where there is none."""
    file = resources.files(find(technique).graph_package) / f"{technique}.onnx"
    if not file.is_file():
        raise GraphError(f"this houseband was built without weights for the {technique}; name a graph with --graph")
    return file


def _list_shapes(values: list[Any]) -> dict[str, tuple[int | str, ...]]:
    return {v.name: tuple(v.shape) for v in values}


def _get_first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
