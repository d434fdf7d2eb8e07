"""The bench: how its figures are made of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.diagnostics import bench
from daemon.diagnostics.bench_process import BenchError, run_workload
from daemon.diagnostics.bench_row import compare_rounds


def test_bench_compares_ratios_and_draws(tmp_path: Path) -> None:
    one: list[dict[str, Any]] = [
        {"figure": "plan", "against": "torch", "ratio": 2.0},
        {"figure": "x", "against": "", "ratio": None},
    ]
    other = [{"figure": "plan", "against": "torch", "ratio": 2.2}, {"figure": "y", "against": "", "ratio": 1.0}]
    assert bench.compare_runs(one, other) == {"plan / torch": pytest.approx(0.1)}
    with pytest.raises(BenchError, match="a measurement failed"):
        run_workload("nothing")
    found = run_workload("events", 500, 2)
    assert (found["lost"], len(found["band"]), len(found["bare"])) == (0, 2, 2)
    pytest.importorskip("matplotlib")
    bench.draw_histograms(tmp_path / "a.png", {"plan, ms": {"a": [1.0, 2.0], "b": []}})
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_the_ratio_of_a_bench_is_that_of_the_best_rounds() -> None:
    row = compare_rounds("late", "ms", [[9.0, 9.0, 9.0], [2.0, 1.0, 2.0]], "waits", [[1.0], [5.0]], "6 ms", 6)
    assert (row.value, row.reference, row.ratio, row.kept) == (9.0, 5.0, 2.0, False)
