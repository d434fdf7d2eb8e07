"""How long the network of a graph takes in torch itself, eagerly, on one thread; and the work in it.

    python -m export.eager [GRAPH.onnx]

Prints JSON: `ms` a forward pass (sorted), `mflop` of the graph. The weights are random: they change no times.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import resources
from pathlib import Path

import onnx
import torch

from export import check
from export.adapters import GanGraph
from models.gan import Generator
from models.gan_training import recipe_from
from music import signature

RUNS = 60


def measure(path: Path) -> dict[str, object]:
    """Times and work. Raises SignatureError for a graph without a signature."""
    model = onnx.load(path)
    inside = signature.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    graph = GanGraph(Generator(recipe_from(dict(inside.provenance["recipe"])).model))
    example = graph.example()
    times = []
    with torch.inference_mode():
        for _ in range(RUNS + 10):
            begun = time.perf_counter()
            graph(*example)
            times.append((time.perf_counter() - begun) * 1e3)
    return {"ms": sorted(times[10:]), "mflop": 2 * check.multiply_adds(model) / 1e6}


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    shipped = resources.files("models.pretrained") / "gan.onnx"
    with resources.as_file(shipped) as path:
        json.dump(measure(Path(sys.argv[1]) if len(sys.argv) > 1 else path), sys.stdout)


if __name__ == "__main__":
    main()
