"""Graphs are opened, or refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from daemon.cli import main
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.players import load
from daemon.players.graph import Graph, GraphError, InferenceError
from daemon.players.load import load_player
from export.onnx_file import store
from music import midifile
from music.note import Note
from music.signature import METADATA_KEY, Signature
from tests.programs.fuzz_graphs import try_graph
from tests.support.damaged_graphs import damage


def test_graphs_that_do_not_fit_are_refused_in_one_sentence(tiny_graph: Path, tmp_path: Path) -> None:
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


def change(graph: Path, target: Path, edit: Callable[[onnx.ModelProto], object]) -> Path:
    """Write a graph that differs from another, and return its file."""
    model = onnx.load(graph)
    edit(model)
    target.write_bytes(model.SerializeToString())
    return target


def make_nan(model: onnx.ModelProto) -> None:
    """Let every weight of a graph be NaN."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            numbers = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(numbers, np.nan), tensor.name))


def point_elsewhere(model: onnx.ModelProto) -> None:
    """Let a graph have its first weight in another file."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def use_unknown_operator(model: onnx.ModelProto) -> None:
    """Let a graph have an operator of somebody's own."""
    model.graph.node[0].domain, model.graph.node[0].op_type = "com.example", "Own"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def set_signature(model: onnx.ModelProto, **values: object) -> None:
    """Let a graph say something else of itself."""
    (entry,) = (each for each in model.metadata_props if each.key == METADATA_KEY)
    entry.value = json.dumps(json.loads(entry.value) | values)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (point_elsewhere, "weights in another file"),
        (use_unknown_operator, "com.example"),
        (lambda model: model.graph.initializer.pop(), "onnxruntime can load"),
        (lambda model: set_signature(model, styles=[]), "no style"),
        (lambda model: set_signature(model, styles=["pop"] * 4), "styles"),
        (lambda model: set_signature(model, settings={}), "settings lack 'grooves'"),
        (lambda model: set_signature(model, settings={"grooves": 3}), "settings lack"),
        (lambda model: set_signature(model, settings={"grooves": [[]], "habits": [[]], "velocity_std": 1}), "settings"),
        (lambda model: set_signature(model, inputs={}), "input"),
    ],
)
def test_a_damaged_graph_is_one_sentence(
    tiny_graph: Path, tmp_path: Path, edit: Callable[[onnx.ModelProto], object], words: str
) -> None:
    damaged = change(tiny_graph, tmp_path / "damaged.onnx", edit)
    with pytest.raises(GraphError, match=words) as error:
        load_player("gan", damaged)
    assert str(error.value).startswith(f"{damaged}: ")
    assert str(error.value).isprintable()


def test_a_graph_that_answers_with_no_numbers_is_no_player(tiny_graph: Path, tmp_path: Path) -> None:
    nan = change(tiny_graph, tmp_path / "nan.onnx", make_nan)
    with pytest.raises(InferenceError, match="NaN") as error:
        load_player("gan", nan)
    assert str(error.value).startswith(f"{nan}: ")


def loop_for_ever(model: onnx.ModelProto) -> None:
    """Let a graph's first output wait for a loop that does not end."""
    numbers, conditions = ([helper.make_tensor_value_info(n, kind, []) for n in names] for kind, names in LOOPS)
    count = helper.make_tensor_value_info("count", TensorProto.INT64, [])
    steps = [helper.make_node("Identity", ["on"], ["again"]), helper.make_node("Mul", ["x", "x"], ["y"])]
    body = helper.make_graph(steps, "body", [count, conditions[0], numbers[0]], [conditions[1], numbers[1]])
    (node,) = (n for n in model.graph.node if model.graph.output[0].name in n.output)
    out = model.graph.output[0].name
    node.output[list(node.output).index(out)] = "before"
    model.graph.node.extend(
        [
            helper.make_node("Constant", [], ["most"], value_int=1 << 62),
            helper.make_node("ReduceSum", ["known"], ["start"], keepdims=0),
            helper.make_node("Loop", ["most", "", "start"], ["end"], body=body),
            helper.make_node("Add", ["before", "end"], [out]),
        ]
    )


LOOPS = ((TensorProto.FLOAT, ("x", "y")), (TensorProto.BOOL, ("on", "again")))


def test_a_graph_that_never_answers_is_no_player(
    tiny_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "LOADING_LIMIT_S", 0.5)
    endless = change(tiny_graph, tmp_path / "endless.onnx", loop_for_ever)
    with pytest.raises(InferenceError, match=r"takes longer than 0.5 s"):
        load_player("gan", endless)
    load_player("gan").plan(PlanRequest(0, 4, 24, (Note(0, 60, 24),), {}, settings=Settings("pop")))


def ask_for_memory(model: onnx.ModelProto) -> None:
    """Let a graph's first output wait for 32 gigabytes of zeros."""
    out = model.graph.output[0].name
    (node,) = (n for n in model.graph.node if out in n.output)
    node.output[list(node.output).index(out)] = "before"
    model.graph.node.extend(
        [
            helper.make_node("Constant", [], ["all_size"], value_ints=[1 << 33]),
            helper.make_node("ConstantOfShape", ["all_size"], ["all_zeros"]),
            helper.make_node("ReduceSum", ["all_zeros"], ["all_zero"], keepdims=0),
            helper.make_node("Add", ["before", "all_zero"], [out]),
        ]
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what is allocated")
def test_a_graph_that_wants_all_memory_is_no_player(tiny_graph: Path, tmp_path: Path) -> None:
    with pytest.raises((GraphError, InferenceError), match=r"takes more memory than it may"):
        load_player("gan", change(tiny_graph, tmp_path / "hungry.onnx", ask_for_memory))


def test_a_render_with_it_fails_and_leaves_what_was_there(tiny_graph: Path, tmp_path: Path) -> None:
    nan, source, target = change(tiny_graph, tmp_path / "nan.onnx", make_nan), tmp_path / "in.mid", tmp_path / "out.mid"
    midifile.write(source, {"melody": (Note(0, 60, 24), Note(24, 62, 24))})
    target.write_text("before")
    done = CliRunner().invoke(main, ["render", str(source), "-o", str(target), "--graph", str(nan)])
    assert done.exit_code == 1
    assert "NaN" in done.output
    assert target.read_text() == "before"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1 << 30))
def test_any_damage_is_one_sentence_or_plays(tiny_graph: Path, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(damage(tiny_graph.read_bytes(), seed))
    found = try_graph("gan", str(path))
    assert found["end"] in ("played", "refused"), found
