"""The GAN's graph computes what torch computes."""

from __future__ import annotations

from pathlib import Path

from export.check import measure_difference
from export.gan import GanGraph
from tests.support.training import make_generator


def test_the_graph_computes_what_torch_computes(tiny_graph: Path) -> None:
    assert measure_difference(GanGraph(make_generator()), tiny_graph) < 1e-4
