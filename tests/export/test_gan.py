"""The GAN's graph computes what torch computes."""

from __future__ import annotations

from pathlib import Path

import torch

from export.check import measure_difference
from export.gan import GanGraph
from models.gan.network import Generator
from tests.support.training import GAN_CONFIG as SMALL


def test_the_graph_computes_what_torch_computes(tiny_graph: Path) -> None:
    torch.manual_seed(0)
    assert measure_difference(GanGraph(Generator(SMALL)), tiny_graph) < 1e-4
