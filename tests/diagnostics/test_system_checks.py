"""Missing rights and full disks are named, with their remedies."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.diagnostics.check import GOOD, ODD
from daemon.diagnostics.system_checks import explain_memory_limit, explain_real_time, explain_takes


def test_real_time_and_memory() -> None:
    assert explain_real_time(0, granted=True).state == GOOD
    assert "rtprio" in explain_real_time(0, granted=False).remedy
    assert explain_memory_limit(-1).state == GOOD
    assert "memlock" in explain_memory_limit(64 << 10).remedy


def test_where_takes_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert explain_takes(None, 1).state == GOOD
    assert explain_takes(tmp_path / "not" / "yet", 1 << 20).message.startswith("0 in ")
    (tmp_path / "a.mid").write_bytes(bytes(1 << 20))
    assert explain_takes(tmp_path, 4 << 20).message == f"1 in {tmp_path}, 1.0 of 4 MB"
    (tmp_path / "file").touch()
    found = explain_takes(tmp_path / "file", 1)
    assert (found.state, "no folder one can write to" in found.message, "--takes DIR" in found.remedy) == (
        ODD,
        True,
        True,
    )
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3 << 20))
    assert explain_takes(tmp_path, 1).message.startswith("3 MB are left")
