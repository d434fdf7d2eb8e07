"""A graph that does not play is named, with its remedy; and how far ahead plans must be asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.core.plan import Plan, PlanRequest
from daemon.diagnostics.check import BAD, GOOD, ODD, BandSetup, CheckContext
from daemon.diagnostics.inference_checks import check_inference, explain_lookahead
from tests.support.fakes import FakePlayer


def test_a_broken_graph(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    run = CliRunner().invoke(main, ["doctor", "--graph", str(broken), "--json"])
    assert run.exit_code == 1
    (found,) = (f for f in json.loads(run.output)["findings"] if f["what"] == "graph and inference")
    assert found["state"] == BAD
    assert "not a graph that onnxruntime can load" in found["found"]
    assert "leave --graph out" in found["remedy"]


def test_a_graph_that_answers_with_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FakePlayer):
        def plan(self, request: PlanRequest) -> Plan:
            np.full(3, np.nan, np.float32).astype(int)
            return super().plan(request)

    monkeypatch.setattr("daemon.players.load.load_player", lambda *_: Broken())
    (found,) = check_inference(CheckContext(BandSetup(graph="mine.onnx")))
    assert (found.state, "answers with NaN" in found.message) == (BAD, True)
    assert "leave --graph out" in found.remedy


def test_lookahead() -> None:
    result, steps = explain_lookahead(10)
    assert (result.state, steps) == (GOOD, 1)
    result, steps = explain_lookahead(200)
    assert (result.state, steps, "up to 50 bpm only" in result.message) == (ODD, 3, True)
