"""Graphs whose harmonist hears chords that are known: they compute what torch computes, and players tell them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from daemon.core.plan import PlanRequest
from daemon.players.load import load_player
from export import onnx_file
from export.check import measure_difference
from export.gan import GanGraph
from export.harmonist import HarmonyGraph, HindsightGraph
from export.onnx_file import ExportModule
from models.gan.network import Generator
from models.harmonist.network import Harmonist
from music.encoding.chord_evidence import GivenChord, pack_tones
from music.note import Note
from music.signature import Signature
from tests.support.training import GAN_CONFIG, write_gan_graph

CONFIG = replace(GAN_CONFIG, harmonist=replace(GAN_CONFIG.harmonist, given=True))
MELODY = tuple(Note(24 * i, 60 + i % 5, 20, 80) for i in range(8))
REQUEST = PlanRequest(1, 32, 32 * 6 - 3, MELODY, {})
#: F# major, of which the melody knows nothing
GIVEN = (GivenChord(0, 100 * 24, 6, pack_tones((6, 10, 1)), 6, 1.0),)


def teach(harmonist: Harmonist) -> None:
    """Make a harmonist believe the roots that it is told of."""
    assert harmonist.given is not None
    with torch.no_grad():
        for parameter in harmonist.given.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    made = Generator(CONFIG).eval()
    teach(made.harmonist)
    return made


@pytest.fixture(scope="module")
def graph(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("given") / "gan.onnx"
    write_gan_graph(path, generator)
    return path


def test_the_gans_graph_computes_what_torch_computes(generator: Generator, graph: Path) -> None:
    assert measure_difference(GanGraph(generator), graph) < 1e-4


@pytest.mark.parametrize("kind", [HarmonyGraph, HindsightGraph])
def test_the_harmonists_graphs_compute_what_torch_computes(
    generator: Generator, tmp_path: Path, kind: type[ExportModule]
) -> None:
    graph = kind(generator.harmonist)
    onnx_file.write(graph, Signature("transformer", {}, {}, ("pop",)), tmp_path / "h.onnx")
    assert measure_difference(graph, tmp_path / "h.onnx") < 1e-4


def test_a_player_tells_its_graph_of_the_chords(graph: Path) -> None:
    plans = [load_player("gan", graph).plan(replace(REQUEST, harmony=g)).notes for g in ((), GIVEN)]
    assert plans[0] != plans[1]


def test_a_graph_that_does_not_hear_chords_plays_the_same_with_them(tiny_graph: Path) -> None:
    plans = [load_player("gan", tiny_graph).plan(replace(REQUEST, harmony=g)).notes for g in ((), GIVEN)]
    assert plans[0] == plans[1]
