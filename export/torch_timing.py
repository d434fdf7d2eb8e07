"""How long the network of a graph takes in torch itself, eagerly, on one thread; and the work in it.

    python -m export.torch_timing gan|arcnn [GRAPH.onnx]

Prints JSON: `ms` a forward pass (sorted), `mflop` of the graph. The weights are random: they change no times.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from export import check
from export.gan import ArcnnGraph, GanGraph
from models.arcnn import objective as arcnn_training
from models.arcnn.network import Arcnn
from models.gan import objective as gan_training
from models.gan.network import Generator
from music import signature

RUNS = 60


def measure(path: Path) -> dict[str, object]:
    """Times and work. Raises SignatureError for a graph without a signature."""
    model = onnx.load(path)
    inside = signature.read_signature({entry.key: entry.value for entry in model.metadata_props})
    graph = network(inside.technique, dict(inside.provenance["recipe"]))
    example = graph.example()  # type: ignore[operator]
    times = []
    with torch.inference_mode():
        for _ in range(RUNS + 10):
            begun = time.perf_counter()
            graph(*example)
            times.append((time.perf_counter() - begun) * 1e3)
    return {"ms": sorted(times[10:]), "mflop": 2 * check.multiply_adds(model) / 1e6}


def network(technique: str, recipe: dict[str, Any]) -> nn.Module:
    """The network of a recipe, with weights of chance. Raises ValueError for one that is several graphs."""
    if technique == "gan":
        return GanGraph(Generator(gan_training.recipe_from(recipe).model))
    if technique == "arcnn":
        made = arcnn_training.recipe_from(recipe)
        return ArcnnGraph(Arcnn(made.model), made.calibrated)
    raise ValueError(f"the {technique} is not one network")


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    technique, *named = sys.argv[1:]
    shipped = resources.files("models.pretrained") / f"{technique}.onnx"
    with resources.as_file(shipped) as path:
        json.dump(measure(Path(named[0]) if named else path), sys.stdout)


if __name__ == "__main__":
    main()
