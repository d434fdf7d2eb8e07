from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.system.sd_notify import STOP_SIGNALS, notify, on_stop

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="there are no service managers of this kind there")


@posix
@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"houseband-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}" if abstract else name)
        assert notify("READY=1")
        assert manager.recv(100) == b"READY=1"


@posix
def test_one_that_does_not_read_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setattr("daemon.system.sd_notify.PATIENCE", 0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        told = 0
        while notify("STOPPING=1"):
            told += 1
        assert told > 0


@pytest.mark.parametrize("address", ["", "nowhere/at/all"])
def test_without_one_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


@posix
def test_every_way_of_being_stopped_is_heard_and_the_old_handlers_return() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    stops: list[int] = []
    with on_stop(lambda: stops.append(len(stops))):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
    assert stops == [0, 1, 2]
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells in /proc")
def test_processes_started_later_have_no_huge_pages_either() -> None:
    code = (
        "import subprocess; from daemon.system.memory import disable_huge_pages; assert disable_huge_pages(); "
        "subprocess.run(['cat', '/proc/self/status'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "THP_enabled:\t0" in done.stdout
