"""The system's way with the program's memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells in /proc")
def test_processes_started_later_have_no_huge_pages_either() -> None:
    code = (
        "import subprocess; from daemon.system.memory import disable_huge_pages; assert disable_huge_pages(); "
        "subprocess.run(['cat', '/proc/self/status'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "THP_enabled:\t0" in done.stdout
