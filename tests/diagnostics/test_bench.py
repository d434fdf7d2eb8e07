"""The bench: how its figures are made of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.diagnostics import bench
from daemon.diagnostics.bench_playing import PlanFigures, report_beside_graph, report_offline_render
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


def test_the_parts_of_a_plan_and_both_renders_are_measured(tiny_graph: Path) -> None:
    parts = run_workload("parts", 24, "gan", str(tiny_graph))
    assert {len(spent) for spent in parts.values()} == {19}
    assert all(time > 0 for spent in parts.values() for time in spent)
    renders = run_workload("renders", 8, "gan", str(tiny_graph))
    figures = PlanFigures(parts, {mode: [rate] for mode, rate in renders.items()})
    beside, offline = report_beside_graph(figures), report_offline_render(figures)
    assert beside.value is not None
    assert beside.reference is not None
    assert beside.value <= beside.reference
    assert offline is not None
    assert offline.value == renders["offline"]
    assert offline.reference == renders["live"]
    assert report_offline_render(PlanFigures(parts, {})) is None


def test_the_ratio_of_a_bench_is_that_of_the_best_rounds() -> None:
    row = compare_rounds("late", "ms", [[9.0, 9.0, 9.0], [2.0, 1.0, 2.0]], "waits", [[1.0], [5.0]], "6 ms", 6)
    assert (row.value, row.reference, row.ratio, row.kept) == (9.0, 5.0, 2.0, False)
