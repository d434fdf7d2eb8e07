"""Graphs whose harmonist hears chords that are known: they compute what torch computes, and players tell them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from daemon.core.plan import PlanRequest
from daemon.players.load import load_player
from export import onnx_file
from export.check import measure_difference
from export.harmonist import GIVEN_INPUTS, HarmonyGraph, HindsightGraph
from export.onnx_file import ExportModule
from music.encoding.chord_evidence import GivenChord, pack_tones
from music.note import Note
from music.signature import Signature, read_signature
from tests.support.training import make_generator

MELODY = tuple(Note(24 * i, 60 + i % 5, 20, 80) for i in range(8))
REQUEST = PlanRequest(1, 32, 32 * 6 - 3, MELODY, {})
#: F# major, of which the melody knows nothing
GIVEN = (GivenChord(0, 100 * 24, 6, pack_tones((6, 10, 1)), 6, 1.0),)


def drop_given(source: Path, target: Path) -> Path:
    """Write a graph as one whose harmonist hears no chords: nothing is known."""
    model = onnx.load(source)
    for value in [each for each in model.graph.input if each.name in GIVEN_INPUTS]:
        shape = [size.dim_value for size in value.type.tensor_type.shape.dim]
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.float32), value.name))
        model.graph.input.remove(value)
    onnx_file.store(model, read_signature(onnx_file.read_metadata(model)), target)
    return target


@pytest.mark.parametrize("kind", [HarmonyGraph, HindsightGraph])
def test_the_harmonists_graphs_compute_what_torch_computes(kind: type[ExportModule], tmp_path: Path) -> None:
    graph = kind(make_generator().harmonist)
    onnx_file.write(graph, Signature("transformer", {}, {}, ("pop",)), tmp_path / "h.onnx")
    assert measure_difference(graph, tmp_path / "h.onnx") < 1e-4


def test_a_player_tells_its_graph_of_the_chords(tiny_graph: Path) -> None:
    plans = [load_player("gan", tiny_graph).plan(replace(REQUEST, harmony=g)).notes for g in ((), GIVEN)]
    assert plans[0] != plans[1]


def test_a_graph_that_does_not_hear_chords_plays_the_same_with_them(tiny_graph: Path, tmp_path: Path) -> None:
    deaf = drop_given(tiny_graph, tmp_path / "deaf.onnx")
    plans = [load_player("gan", deaf).plan(replace(REQUEST, harmony=g)).notes for g in ((), GIVEN)]
    assert plans[0] == plans[1]
