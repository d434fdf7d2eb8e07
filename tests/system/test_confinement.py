"""A process gives rights up."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

import pytest

from daemon.system import confinement, memory
from daemon.system.child_process import ChildProcess


def knows_landlock() -> bool:
    try:
        return confinement._call_system("landlock_create_ruleset", None, 0, 1) > 0
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="there is nothing to give up elsewhere")
def test_a_confined_process_computes_and_can_do_little_else(tmp_path: Path) -> None:
    for name in ("readable", "writable"):
        (tmp_path / name).mkdir()
    (tmp_path / "readable" / "a").write_text("a")
    (tmp_path / "secret").write_text("a")
    process = ChildProcess("tests.support.confined_child:report", str(tmp_path))
    with closing(process.stdout):
        can = json.loads(process.stdout.readline())
    process.stop(5)
    free = not knows_landlock()
    assert can == {
        "udp": False,
        "tcp": False,
        "unix": True,
        "read": True,
        "write": True,
        "replace": True,
        "read elsewhere": free,
        "write elsewhere": free,
        "program": True,
        "signal": can["signal"],  # only newer kernels keep them from others
        "memory": True,
        "more memory": False,
        "program later": False,
        "fork later": False,
        "thread later": True,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what is allocated")
def test_growth_is_bounded_for_a_while() -> None:
    with memory.bounded_growth(64 << 20):
        with pytest.raises(MemoryError):
            bytes(256 << 20)
        with memory.bounded_growth(1 << 40), pytest.raises(MemoryError):  # a lower limit holds
            bytes(256 << 20)
    assert len(bytes(256 << 20)) == 256 << 20
