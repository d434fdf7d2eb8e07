"""Real-time priority is asked for of RealtimeKit, and a refusal changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.system import rtkit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RealtimeKit is Linux's")


def asked(tmp_path: Path, status: int | None) -> tuple[str, list[str]]:
    """What the call returned, in a process of its own (limits cannot be raised again), and what busctl was told."""
    if status is not None:
        fake = tmp_path / "busctl"
        fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\nexit {status}\n')
        fake.chmod(0o755)
    code = (
        "import os, resource, signal, threading\nfrom daemon.system import rtkit\n"
        "print(rtkit.request_realtime(10), os.getpid(), threading.get_native_id(),"
        " *resource.getrlimit(resource.RLIMIT_RTTIME),"
        " callable(signal.getsignal(signal.SIGXCPU)))"
    )
    root = Path(rtkit.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": str(tmp_path), "PYTHONPATH": str(root)}, capture_output=True,
        text=True, check=True, timeout=30,
    )  # fmt: skip
    told = tmp_path / "told"
    return done.stdout.strip(), told.read_text().split() if told.exists() else []


def test_it_is_asked_for_this_thread_within_a_limit(tmp_path: Path) -> None:
    said, told = asked(tmp_path, 0)
    granted, pid, thread, soft, hard, handled = said.split()
    assert (granted, handled) == ("True", "True")
    assert told[-5:] == ["MakeThreadRealtimeWithPID", "ttu", pid, thread, "10"]
    assert int(soft) < int(hard) <= 200_000


@pytest.mark.parametrize("status", [1, None])
def test_a_refusal_or_no_answer_is_no_error(status: int | None, tmp_path: Path) -> None:
    said, _ = asked(tmp_path, status)
    assert said.startswith("False ")
    assert said.endswith(" False")


def test_who_computes_too_long_gives_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, policy, _param: given.append((pid, policy)))
    before = signal.signal(signal.SIGXCPU, rtkit._give_priority_up)
    try:
        signal.raise_signal(signal.SIGXCPU)
    finally:
        signal.signal(signal.SIGXCPU, before)
    assert given == [(0, os.SCHED_OTHER)]
