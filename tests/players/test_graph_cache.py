"""Graphs kept as onnxruntime has unfolded them: the same numbers, whatever happens to what was kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from daemon.players import graph_cache
from music import signature
from music.signature import SignatureError


def model(seed: int = 0) -> bytes:
    """y = x @ (int8 weights * scale): folded up as shipped graphs are. With metadata before and after."""
    random = np.random.default_rng(seed)
    small = random.integers(-127, 127, (8, 8), np.int8)
    weights = [numpy_helper.from_array(small, "small"), numpy_helper.from_array(np.array(0.01, np.float32), "scale")]
    nodes = [
        helper.make_node("Cast", ["small"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["cast", "scale"], ["weight"]),
        helper.make_node("MatMul", ["x", "weight"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 8)) for name in "xy")
    whole = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], weights), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    helper.set_model_props(whole, {"houseband": "says ♪", "empty": "", "long": "z" * 300})
    data: bytes = whole.SerializeToString()
    return data


def answer(session: Any) -> bytes:
    (found,) = session.run(None, {"x": np.linspace(-1, 1, 8, dtype=np.float32)[None]})
    return bytes(np.asarray(found).tobytes())


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where graphs are kept, small ones too."""
    folder = tmp_path / "cache" / "graphs"
    monkeypatch.setattr(graph_cache, "MIN_BYTES", 0)
    monkeypatch.setattr(graph_cache, "find_graph_cache_folder", lambda: folder)
    return folder


def test_what_is_kept_gives_the_same_numbers_and_is_unfolded(kept: Path) -> None:
    expected = answer(graph_cache._make_session(model()))
    assert answer(graph_cache.open_session(model())) == expected
    [file] = kept.iterdir()
    assert [node.op_type for node in onnx.load(file).graph.node] == ["MatMul"]
    assert answer(graph_cache.open_session(model())) == expected
    assert list(kept.iterdir()) == [file]


def test_another_graph_is_another_file(kept: Path) -> None:
    answers = {answer(graph_cache.open_session(model(seed))) for seed in (0, 1)}
    assert len(answers) == len(list(kept.iterdir())) == 2


def test_a_damaged_file_is_made_anew(kept: Path) -> None:
    expected = answer(graph_cache.open_session(model()))
    [file] = kept.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert answer(graph_cache.open_session(model())) == expected
    assert file.read_bytes() == whole


def test_where_nothing_can_be_kept_it_works_all_the_same(kept: Path) -> None:
    kept.parent.write_text("in the way")
    assert answer(graph_cache.open_session(model())) == answer(graph_cache._make_session(model()))


def test_a_broken_graph_is_refused_and_leaves_nothing(kept: Path) -> None:
    with pytest.raises(Exception, match=r"[Pp]rotobuf"):
        graph_cache.open_session(b"not a graph")
    assert list(kept.iterdir()) == []


def test_those_used_last_are_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_cache, "MAX_ENTRIES", 2)
    for seed in range(4):
        graph_cache.open_session(model(seed))
    assert len(list(kept.iterdir())) == 2


def test_small_graphs_are_not_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_cache, "MIN_BYTES", 1 << 20)
    graph_cache.open_session(model())
    assert not kept.exists()


def test_metadata_are_read_without_the_graph() -> None:
    metadata, bare = signature.split_metadata(model())
    assert metadata == {"houseband": "says ♪", "empty": "", "long": "z" * 300}
    expected = onnx.load_from_string(model())
    del expected.metadata_props[:]
    assert onnx.load_from_string(bare) == expected


@given(st.binary(max_size=64))
def test_what_is_no_graph_is_refused_or_has_no_metadata(data: bytes) -> None:
    try:
        metadata, rest = signature.split_metadata(data)
    except SignatureError:
        return
    assert metadata or rest == data


@given(st.integers(0, 200))
def test_a_cut_off_file_never_passes_for_another(size: int) -> None:
    data = model()
    try:
        metadata, _ = signature.split_metadata(data[: len(data) - 1 - size])
    except SignatureError:
        return
    assert metadata != signature.split_metadata(data)[0]
