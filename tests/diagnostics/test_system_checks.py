"""Missing rights and full disks are named, with their remedies."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.diagnostics.check import GOOD, ODD, CheckContext
from daemon.diagnostics.system_checks import (
    STUDIO_PACKAGES,
    check_studio,
    explain_memory_limit,
    explain_real_time,
    explain_takes,
)


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


def test_with_its_packages_the_studio_can_be_opened() -> None:
    [found] = check_studio(CheckContext())
    assert found.state == GOOD


def test_without_them_it_is_said_how_to_have_them() -> None:
    [found] = check_studio(CheckContext(), lambda name: None if name == "uvicorn" else name)
    assert found.state == ODD
    assert found.message == "uvicorn is not installed; `houseband studio` does not work"
    assert found.remedy == "pip install 'houseband[studio]'"
    [found] = check_studio(CheckContext(), lambda _: None)
    assert found.message.startswith(f"{', '.join(STUDIO_PACKAGES)} are not installed")
