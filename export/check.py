"""Check a graph: ONNX checker, parity with torch, and time on a core beside its GEMM peak."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from export.onnx_file import ExportModule
from export.onnx_runtime import onnxruntime


def open_session(path: Path | bytes) -> onnxruntime.InferenceSession:
    """Open a session as the daemon does: with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        path if isinstance(path, bytes) else str(path), options, providers=["CPUExecutionProvider"]
    )


def count_multiply_adds(model: onnx.ModelProto) -> int:
    """Return the multiply-adds of all convolutions and matrix products, from inferred shapes."""
    inferred = onnx.shape_inference.infer_shapes(model)
    known = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.graph.value_info}
    known |= {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.graph.output}
    known |= {i.name: list(i.dims) for i in model.graph.initializer}
    total = 0
    for node in inferred.graph.node:
        if node.op_type == "Conv":
            weight, out = known[node.input[1]], known[node.output[0]]
            total += int(np.prod(weight)) * int(np.prod(out[2:]))
        elif node.op_type in ("MatMul", "Gemm"):
            total += int(np.prod(known[node.output[0]])) * known[node.input[1]][-2]
    return total


def measure_gemm_peak(seconds: float = 0.5) -> float:
    """Return this core's peak in fp32 matrix products through torch on one thread, in GFLOP/s; takes `seconds`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, b = torch.randn(512, 512), torch.randn(512, 512)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - begun)
    torch.set_num_threads(threads)
    return float(2 * 512**3 / best / 1e9)


def make_inputs(graph: ExportModule) -> dict[str, NDArray[Any]]:
    """Return the example of a graph as onnxruntime takes it."""
    return {name: value.numpy() for name, value in zip(graph.inputs, graph.example(), strict=True)}


def measure_difference(graph: ExportModule, path: Path | bytes) -> float:
    """Return the largest difference of any output between torch and onnxruntime on the graph's example.

    As a share of the output's largest value where that is above 1.
    """
    with torch.no_grad():
        expected = graph(*graph.example())
    found = open_session(path).run(None, make_inputs(graph))
    return max(
        float(np.abs(e.numpy() - f).max() / max(1.0, np.abs(e.numpy()).max()))
        for e, f in zip(expected, found, strict=True)
    )


def time_runs(path: Path | bytes, inputs: dict[str, NDArray[Any]], runs: int = 300) -> NDArray[Any]:
    """Return the milliseconds of single runs on one thread, sorted."""
    one = open_session(path)
    times = []
    for _ in range(runs + 20):
        begun = time.perf_counter()
        one.run(None, inputs)
        times.append((time.perf_counter() - begun) * 1e3)
    return np.sort(times[20:])


def report(graph: ExportModule, path: Path) -> dict[str, Any]:
    """Return what is to be said of a file, by name."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    times = time_runs(path, make_inputs(graph))
    work, peak = count_multiply_adds(model), measure_gemm_peak()
    middle = float(times[len(times) // 2])
    return {
        "file": path.name,
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "worst difference to torch": measure_difference(graph, path),
        "MFLOP a plan": round(2 * work / 1e6, 1),
        "ms a plan, p50": round(middle, 2),
        "ms a plan, p99": round(float(times[int(0.99 * len(times))]), 2),
        "GEMM peak GFLOP/s": round(peak, 1),
        "share of GEMM peak": round(2 * work / (middle * 1e6) / peak, 3),
    }
