"""Is the file right, and how fast is it: ONNX checker, parity with torch, time on a core beside its GEMM peak."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn


def shapes(values: Iterable[onnx.ValueInfoProto]) -> dict[str, tuple[int | str, ...]]:
    """Name -> shape of a graph's inputs or outputs; a size that varies by its name."""
    return {v.name: tuple(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}


def session(path: Path | bytes) -> onnxruntime.InferenceSession:
    """A session as the daemon opens it: one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        path if isinstance(path, bytes) else str(path), options, providers=["CPUExecutionProvider"]
    )


def multiply_adds(model: onnx.ModelProto) -> int:
    """Multiply-adds of all convolutions and matrix products, from inferred shapes."""
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


def gemm_peak(seconds: float = 0.5) -> float:
    """This core's measured peak in fp32 matrix products through torch on one thread, in GFLOP/s."""
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


def worst_difference(graph: nn.Module, path: Path | bytes) -> float:
    """Largest difference of any output between torch and onnxruntime on the graph's example, as a share of the output's
    largest value where that is above 1."""
    example = graph.example()  # type: ignore[operator]
    with torch.no_grad():
        expected = graph(*example)
    found = session(path).run(None, {n: v.numpy() for n, v in zip(graph.inputs, example, strict=True)})  # type: ignore[arg-type]
    return max(
        float(np.abs(e.numpy() - f).max() / max(1.0, np.abs(e.numpy()).max()))
        for e, f in zip(expected, found, strict=True)
    )


def milliseconds(path: Path | bytes, inputs: dict[str, np.ndarray[Any, Any]], runs: int = 300) -> np.ndarray[Any, Any]:
    """Times of single runs on one thread, sorted."""
    one = session(path)
    times = []
    for _ in range(runs + 20):
        begun = time.perf_counter()
        one.run(None, inputs)
        times.append((time.perf_counter() - begun) * 1e3)
    return np.sort(times[20:])


def report(graph: nn.Module, path: Path) -> dict[str, Any]:
    """Everything the export says of a file."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inputs = {n: v.numpy() for n, v in zip(graph.inputs, graph.example(), strict=True)}  # type: ignore[arg-type,operator]
    times = milliseconds(path, inputs)
    work, peak = multiply_adds(model), gemm_peak()
    middle = float(times[len(times) // 2])
    return {
        "file": path.name,
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "worst difference to torch": worst_difference(graph, path),
        "MFLOP a plan": round(2 * work / 1e6, 1),
        "ms a plan, p50": round(middle, 2),
        "ms a plan, p99": round(float(times[int(0.99 * len(times))]), 2),
        "GEMM peak GFLOP/s": round(peak, 1),
        "share of GEMM peak": round(2 * work / (middle * 1e6) / peak, 3),
    }
