"""The doctor checks what the configuration plays with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.diagnostics import doctor
from daemon.diagnostics.check import BAD, BandSetup
from daemon.diagnostics.doctor import DoctorReport


def test_what_is_checked_is_what_the_configuration_plays_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[BandSetup] = []

    def run_checks(setup: BandSetup, _on_result: object) -> DoctorReport:
        seen.append(setup)
        return DoctorReport((), {})

    monkeypatch.setattr(doctor, "run_checks", run_checks)
    mine = tmp_path / "mine.toml"
    mine.write_text('graph = "mine.onnx"\naudio = true\ntakes = "here"\ntakes_mb = 7\n')
    run = CliRunner().invoke(main, ["doctor", "--config", str(mine), "--technique", "arcnn"])
    assert (run.exit_code, "All is well" in run.output) == (0, True)
    assert seen == [BandSetup("auto", "arcnn", "mine.onnx", None, True, seen[0].takes, 7 << 20)]
    mine.write_text("bpm = 0\n")
    run = CliRunner().invoke(main, ["doctor", "--config", str(mine), "--json"])
    told = json.loads(run.output)
    assert (run.exit_code, told["fit"]) == (1, False)
    assert [(f["what"], f["state"]) for f in told["findings"]] == [("configuration", BAD)]
    assert "bpm: takes a number" in told["findings"][0]["found"]
