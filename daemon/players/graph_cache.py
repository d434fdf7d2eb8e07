"""onnxruntime sessions, and graphs as onnxruntime has unfolded and optimised them, kept in the user's cache.

A shipped graph is a small file because its weights are folded up. Unfolding them takes half a second, a core and 200 MB
at every start; what comes of it loads in a tenth of that. It is kept under what it was made from, so that another
graph, or another onnxruntime, is another file. Where nothing can be kept, everything works as it does at a first start.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from daemon.system.paths import graph_cache_folder
from music.files import path_to_replace

#: bytes from which on a graph is worth keeping
MIN_BYTES = 1 << 20
#: how many are kept: those used last
MAX_ENTRIES = 8


def open_session(model: bytes) -> Any:
    """A session of one thread. Raises what onnxruntime does for a graph that it cannot load."""
    where = graph_cache_folder() if len(model) >= MIN_BYTES else None
    if where is None:
        return _session(model)
    file = where / f"{_name(model)}.onnx"
    return _kept(file) or _kept(_keep(model, file)) or _session(model)


def _name(model: bytes) -> str:
    import onnxruntime

    return hashlib.sha256(onnxruntime.__version__.encode() + b"\0" + model).hexdigest()[:32]


def _kept(file: Path | None) -> Any:
    """The session of a graph that was kept; None for none, or a damaged one."""
    if file is None or not file.is_file():
        return None
    with contextlib.suppress(Exception):  # whatever is wrong with it, it is made anew
        opened = _session(str(file))
        os.utime(file)
        return opened
    return None


def _keep(model: bytes, file: Path) -> Path | None:
    """Unfolds a graph into the file; None when that cannot be. Whole or not at all, whoever else does the same."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with path_to_replace(file) as part:
            _session(model, part)
        _tidy(file.parent)
    except Exception:  # noqa: BLE001 - no room, no right to write, or no good graph: the caller finds out which
        return None
    return file


def _tidy(where: Path) -> None:
    for file in sorted(where.glob("*.onnx"), key=lambda f: f.stat().st_mtime, reverse=True)[MAX_ENTRIES:]:
        file.unlink(missing_ok=True)


def _session(source: str | bytes, unfolded: Path | None = None) -> Any:
    """unfolded: where to write the graph as it is now, for any processor; what suits this one is done when that is
    loaded."""
    import onnxruntime  # here, so that --help and errors before it do not pay for it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    if unfolded is not None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(unfolded)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
