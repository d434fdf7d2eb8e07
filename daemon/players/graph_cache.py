"""onnxruntime sessions, and a cache of graphs as onnxruntime has unpacked and optimised them.

A shipped graph is a small file because its weights are packed (int8). Unpacking them takes half a second, a core and
200 MB at every start; the result loads in a tenth of that time. It is kept in the user's cache folder under a hash of
the graph and of onnxruntime's version, so that another graph, or another onnxruntime, is another file. Where nothing
can be kept, every start is as slow as the first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from daemon.system.paths import find_graph_cache_folder
from music.files import prepare_replacement

#: size from which on a graph is worth keeping
MIN_BYTES = 1 << 20
#: number of graphs that are kept: those used last
MAX_ENTRIES = 8


def open_session(model: bytes, keeps_memory: bool = True) -> Any:
    """Open a session of one thread on a graph (the bytes of an .onnx file).

    keeps_memory: what a run needed is kept for the next, which many small runs have sooner at hand; one large graph
    runs as fast without it, and the AR-CNN's takes 10 MB less. Raises what onnxruntime does for a graph that it cannot
    load.
    """
    where = find_graph_cache_folder() if len(model) >= MIN_BYTES else None
    if where is None:
        return _make_session(model, keeps_memory=keeps_memory)
    file = where / f"{_hash_model(model)}.onnx"
    return (
        _open_cached(file, keeps_memory)
        or _open_cached(_write_cached(model, file), keeps_memory)
        or _make_session(model, keeps_memory=keeps_memory)
    )


def _hash_model(model: bytes) -> str:
    from daemon.players.onnx_runtime import onnxruntime

    return hashlib.sha256(onnxruntime.__version__.encode() + b"\0" + model).hexdigest()[:32]


def _open_cached(file: Path | None, keeps_memory: bool) -> Any:
    """Return a session on a kept graph; None where there is none, or a damaged one."""
    if file is None or not file.is_file():
        return None
    with contextlib.suppress(Exception):  # whatever is wrong with it, it is written anew
        session = _make_session(str(file), keeps_memory=keeps_memory)
        os.utime(file)  # used just now
        return session
    return None


def _write_cached(model: bytes, file: Path) -> Path | None:
    """Write a graph into the file, unpacked; return None when that cannot be.

    The file is whole or not there at all, even if other processes do the same.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with prepare_replacement(file) as part:
            _make_session(model, part)
        _delete_oldest(file.parent)
    except Exception:  # noqa: BLE001 - no room, no right to write, or no good graph: the caller finds out which
        return None
    return file


def _delete_oldest(folder: Path) -> None:
    """Delete all but the graphs that were used last."""
    for file in sorted(folder.glob("*.onnx"), key=lambda f: f.stat().st_mtime, reverse=True)[MAX_ENTRIES:]:
        file.unlink(missing_ok=True)


def _make_session(source: str | bytes, unpacked: Path | None = None, *, keeps_memory: bool = True) -> Any:
    """Open a session on a graph.

    unpacked: where to write the graph with its weights unpacked, optimised for any processor; optimisations for this
    one are left to the session that loads it.
    """
    from daemon.players.onnx_runtime import onnxruntime  # here, so that --help and errors before it do not pay for it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = keeps_memory
    if unpacked is not None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(unpacked)
    # without its fallback: that only tries the same once more, and prints on the standard output
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"], enable_fallback=False)
