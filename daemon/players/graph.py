"""Graph files for players: their signatures are checked before the first note, their answers at every one."""

from __future__ import annotations

import base64
import contextlib
import math
import os
import re
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
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
from music.errors import HousebandError, UserError, describe_error
from music.signature import Signature, SignatureError, format_line

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


#: the largest file that is read, which is the largest that protocol buffers allow
MAX_BYTES = (1 << 31) - 1
#: the name under which a graph says in which other file weights lie, after its length, which can be written in longer
#: ways than the usual one
_OTHER_FILE = re.compile(rb"(?:\x08|\x88\x80*\x00)location")


class GraphError(UserError):
    """A graph that cannot be played."""


class InferenceError(HousebandError):
    """A graph that was loaded, but does not answer, or answers with what are no numbers."""


class Graph:
    """A loaded graph."""

    def __init__(self, path: str | Path | None, technique: str) -> None:
        """Load a file, or the shipped weights of the technique.

        Raises GraphError for a file that is no graph of the technique, UserError for a technique that there is not.
        """
        name, metadata, model = _read_graph(path, technique)
        #: what to call it in messages
        self.name = name
        self._session = self._open(model, not find(technique).is_one_network)
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

    def open_part(self, name: str, keeps_memory: bool = True) -> Any:
        """Open a session on a further graph that this one carries; keeps_memory: see `graph_cache.open_session`.

        Raises GraphError; also the second time.
        """
        try:
            model = base64.b64decode(self._parts.pop(name))
        except KeyError:
            raise GraphError(f"{self.name}: this graph does not fit: it carries no {name!r}") from None
        except ValueError:
            raise GraphError(f"{self.name}: this graph does not fit: its {name!r} is damaged") from None
        return self._open(model, keeps_memory)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Run the graph; return its outputs by name. Raises InferenceError where that gives no numbers."""
        return dict(zip(self._outputs, run_session(self._session, inputs), strict=True))

    def _open(self, model: bytes, keeps_memory: bool) -> Any:
        if _OTHER_FILE.search(model):
            raise GraphError(f"{self.name}: it keeps weights in another file; export it as one file")
        try:
            return open_session(model, keeps_memory)
        except Exception as error:  # noqa: BLE001 - onnxruntime has exceptions of its own for every kind of broken file
            if _is_out_of_memory(error):
                raise MemoryError from None
            raise GraphError(f"{self.name}: not a graph that onnxruntime can load ({_get_first_line(error)})") from None


def open_graph(model: bytes) -> tuple[Signature, Callable[[Mapping[str, NDArray[Any]]], list[NDArray[np.float32]]]]:
    """Return the signature of a graph that belongs to no technique, and what runs it as `run_session` does.

    Raises SignatureError.
    """
    metadata, graph = signature.split_metadata(model)
    return signature.read_signature(metadata), partial(run_session, open_session(graph))


def run_session(session: Any, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """Run a session; return its outputs. Raises InferenceError where that fails or gives no numbers."""
    with reporting_failure():
        outputs: list[NDArray[np.float32]] = session.run(None, dict(inputs), get_run_options())
    check_numbers(outputs)
    return outputs


@lru_cache(maxsize=1)
def get_run_options() -> Any:
    """Return onnxruntime's options of every run in this process, by which runs can be ended."""
    from daemon.players.onnx_runtime import onnxruntime

    options = onnxruntime.RunOptions()
    # no graph is captured: asked for a key that is not there, onnxruntime raises and catches an error at every run
    options.add_run_config_entry("gpu_graph_id", "-1")
    return options


#: types of inputs and outputs -> those of arrays
_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class BoundSession:
    """A session whose inputs and outputs lie in place: a run reads the arrays `inputs` and writes those of `outputs`.

    Nothing is copied nor allocated at a run.
    """

    def __init__(
        self, session: Any, given: Mapping[str, NDArray[Any]] | None = None, sizes: Mapping[str, int] | None = None
    ) -> None:
        """Make the arrays. Raises GraphError for inputs and outputs that have no place.

        given: arrays to take instead, by name; one that is an input and an output is changed in place; sizes: those
        that vary.
        """
        from daemon.players.onnx_runtime import onnxruntime

        self._session, self._binding, self._options = session, session.io_binding(), get_run_options()
        #: name -> array, to be written before a run
        self.inputs: dict[str, NDArray[Any]] = {}
        #: name -> array, to be read after a run, before the next
        self.outputs: dict[str, NDArray[np.float32]] = {}
        given, sizes = given or {}, sizes or {}
        for values, arrays, bind in (
            (session.get_inputs(), self.inputs, self._binding.bind_ortvalue_input),
            (session.get_outputs(), self.outputs, self._binding.bind_ortvalue_output),
        ):
            for each in values:
                array = given.get(each.name)
                if array is None:
                    array = _make_array(each, sizes)
                    arrays[each.name] = array
                bind(each.name, onnxruntime.OrtValue.ortvalue_from_numpy(array))

    def run(self) -> None:
        """Run the graph, on what the arrays hold. Raises InferenceError where that fails or gives no numbers."""
        with reporting_failure():
            self.run_unchecked()
        check_numbers(self.outputs.values())

    def run_unchecked(self) -> None:
        """Run the graph; the caller reports a failure (`reporting_failure`) and checks the answer (`check_numbers`)."""
        self._session.run_with_iobinding(self._binding, self._options)


def _make_array(value: Any, sizes: Mapping[str, int]) -> NDArray[Any]:
    """Return an array for an input or output; sizes: those that vary. Raises GraphError where it has no place."""
    try:
        return np.zeros([sizes.get(size, size) for size in value.shape], _DTYPES[value.type])
    except (KeyError, TypeError):
        raise GraphError(f"this graph does not fit: {value.name!r} is {value.type} {value.shape}") from None


@contextlib.contextmanager
def bounded_time(seconds: float) -> Iterator[None]:
    """End every run that lasts beyond so many seconds from now: a graph can hold a loop that never ends.

    Raises InferenceError, then; no signal reaches a program that waits for onnxruntime.
    """
    over = threading.Event()

    def end_run() -> None:
        over.set()
        get_run_options().terminate = True

    timer = threading.Timer(seconds, end_run)
    timer.daemon = True
    timer.start()
    try:
        yield
    except InferenceError:
        if over.is_set():
            raise InferenceError(f"an inference takes longer than {seconds:g} s") from None
        raise
    finally:
        timer.cancel()
        if over.is_set():
            get_run_options().terminate = False


def check_numbers(outputs: Iterable[NDArray[Any]]) -> None:
    """Raise InferenceError for outputs of a graph that hold NaN or infinity: no note can be read off them."""
    for values in outputs:
        flat = values.ravel()
        # the sum of squares, which is soon made, is no number where one of them is none, or where they are huge
        if not (math.isfinite(flat.dot(flat)) or np.isfinite(flat).all()):
            raise InferenceError(
                "the graph answers with what are no numbers (NaN or infinity); train or export it anew"
            )


def check_settings(values: Iterable[NDArray[Any]]) -> None:
    """Raise GraphError for settings of a graph that hold NaN or infinity."""
    if not all(np.isfinite(each).all() for each in values):
        raise GraphError("this graph does not fit: its settings hold what are no numbers (NaN or infinity)")


@contextlib.contextmanager
def reporting_failure() -> Iterator[None]:
    """Turn whatever an inference that fails raises, be it onnxruntime or what reads its outputs, into one error."""
    try:
        yield
    except HousebandError:
        raise
    except Exception as error:  # noqa: BLE001 - onnxruntime has exceptions of its own for every kind
        if _is_out_of_memory(error):
            raise InferenceError("an inference takes more memory than it may; name another graph") from None
        raise InferenceError(f"an inference fails ({_get_first_line(error)})") from None


@contextlib.contextmanager
def reporting_misfit(name: str) -> Iterator[None]:
    """Turn whatever goes wrong while a player is made from a graph into one error that names the graph."""
    excess = GraphError(f"{name}: it takes more memory than it may; name another graph, or see graph_memory_mb")
    try:
        yield
    except GraphError as error:
        raise GraphError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
    except InferenceError as error:
        raise InferenceError(f"{name}: {error}") from None
    except HousebandError:
        raise
    except MemoryError:
        raise excess from None
    except Exception as error:  # noqa: BLE001 - whatever a damaged graph makes a player raise, the user gets one sentence
        raise GraphError(f"{name}: this graph does not fit: {format_line(describe_error(error))}") from None


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


def read_technique(path: str | Path) -> str:
    """Return the technique that a graph file is for. Raises GraphError."""
    name, metadata, _ = _read_graph(path, "")
    try:
        return signature.read_signature(metadata).technique
    except SignatureError as error:
        raise GraphError(f"{name}: this graph does not fit: {error}") from None


def name_graph(path: str | Path | None, technique: str) -> str:
    """Return what to call a graph, or the shipped weights, in messages."""
    return str(path) if path is not None else f"the shipped {technique} weights"


def _read_graph(path: str | Path | None, technique: str) -> tuple[str, dict[str, str], bytes]:
    """Return what to call a graph in messages, its metadata, and the graph without them. Raises GraphError.

    path: None for the shipped weights.
    """
    name = name_graph(path, technique)
    file = Path(path) if path is not None else _find_shipped(technique)
    try:
        if not file.is_file():
            raise GraphError(f"{name}: {'a folder, not a graph' if file.is_dir() else 'no such file'}")
        with file.open("rb") as opened:
            if opened.seek(0, os.SEEK_END) > MAX_BYTES:
                raise GraphError(f"{name}: larger than any graph; name another file")
            opened.seek(0)
            graph = opened.read()
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


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in ("bad_alloc", "Failed to allocate"))


def _get_first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return format_line(lines[0], 160) if lines else type(error).__name__
