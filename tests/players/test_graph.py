"""Graphs are opened, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.players.graph import Graph, GraphError
from export.onnx_file import store
from music.signature import Signature


def test_graphs_that_do_not_fit_are_refused_in_one_sentence(tiny_graph: Path, tmp_path: Path) -> None:
    import onnx

    broken = tmp_path / "broken.onnx"
    broken.write_bytes(tiny_graph.read_bytes()[:2000])
    bare = onnx.load(tiny_graph)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    store(onnx.load(tiny_graph), Signature("arcnn", {}, {}, ()), tmp_path / "other.onnx")
    cases = {
        "missing": "no such file",
        "broken": "not a graph",
        "bare": "no signature inside",
        "other": "not for the gan",
    }
    for name, words in cases.items():
        with pytest.raises(GraphError, match=words) as error:
            Graph(tmp_path / f"{name}.onnx", "gan")
        assert "\n" not in str(error.value)
