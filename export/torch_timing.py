"""Time the network of a graph in torch itself, eagerly, on one thread; and count the work in it.

    python -m export.torch_timing gan|arcnn [GRAPH.onnx]

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
from export.onnx_file import read_metadata
from export.techniques import find_exporter
from music.signature import read_signature

RUNS = 60


def measure(path: Path) -> dict[str, object]:
    """Return times and work of a graph.

    Raises SignatureError for a graph without a signature, ValueError for a technique that has several graphs.
    """
    model = onnx.load(path)
    inside = read_signature(read_metadata(model))
    build = find_exporter(inside.technique, path).build_graph
    if build is None:
        raise ValueError(f"the {inside.technique} is not one network")
    graph = build(inside.provenance["recipe"])
    example = graph.example()
    times = []
    with torch.inference_mode():
        for _ in range(RUNS + 10):
            begun = time.perf_counter()
            graph(*example)
            times.append((time.perf_counter() - begun) * 1e3)
    return {"ms": sorted(times[10:]), "mflop": 2 * check.count_multiply_adds(model) / 1e6}


def main() -> None:
    """Measure the graph of a technique, and print."""
    torch.set_num_threads(1)
    technique, *named = sys.argv[1:]
    shipped = resources.files("models.pretrained") / f"{technique}.onnx"
    with resources.as_file(shipped) as path:
        json.dump(measure(Path(named[0]) if named else path), sys.stdout)


if __name__ == "__main__":
    main()
