"""A port test without a server is skipped on a desk, and an error under CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT


@pytest.mark.parametrize(("ci", "outcome", "status"), [("true", "1 error", 1), ("", "1 skipped", 0)])
def test_a_port_test_without_a_server_is_skipped_but_never_under_ci(
    ci: str, outcome: str, status: int, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_port.py").write_text("import pytest\n@pytest.mark.jack\ndef test_port(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = jack\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    there_is_no_jackd = {**os.environ, "CI": ci, "PATH": str(tmp_path)}
    run = subprocess.run(
        command, cwd=tmp_path, env=there_is_no_jackd, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, outcome in run.stdout) == (status, True), run.stdout
    assert ("no port test may be skipped under CI: Skipped: needs jackd" in run.stdout) == bool(ci)
