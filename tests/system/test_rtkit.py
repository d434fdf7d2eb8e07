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
    """What `ask` gave, in a process of its own (limits cannot be raised again), and what busctl was told."""
    if status is not None:
        fake = tmp_path / "busctl"
        fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\nexit {status}\n')
        fake.chmod(0o755)
    code = (
        "import os, resource, signal, threading\nfrom daemon.system import rtkit\n"
        "print(rtkit.request_realtime(), os.getpid(), threading.get_native_id(),"
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
    assert told[-5:] == ["MakeThreadRealtimeWithPID", "ttu", pid, thread, str(rtkit.PRIORITY)]
    assert int(soft) < int(hard) <= 200_000


@pytest.mark.parametrize("status", [1, None])
def test_a_refusal_or_no_answer_is_no_error(status: int | None, tmp_path: Path) -> None:
    said, _ = asked(tmp_path, status)
    assert said.startswith("False ")
    assert said.endswith(" False")


@pytest.mark.parametrize("pass_on", [True, False])
def test_a_worker_has_real_time_priority_below_the_conductors_where_that_is_allowed(
    pass_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, how, what: given.append((pid, how, what.sched_priority)))
    assert rtkit.raise_priority(pass_on)
    assert given == [(0, os.SCHED_RR | (0 if pass_on else os.SCHED_RESET_ON_FORK), rtkit.WORKER_PRIORITY)]
    assert 0 < rtkit.WORKER_PRIORITY < rtkit.PRIORITY


@pytest.mark.parametrize(("allowed", "granted"), [(True, True), (False, True), (False, False)])
def test_a_worker_goes_before_others_where_that_is_allowed_or_granted(
    allowed: bool, granted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[object, ...]] = []

    def setpriority(*what: int) -> None:
        if not allowed:
            raise PermissionError
        told.append(what)

    def call(*what: object) -> bool:
        told.append(what)
        return granted

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    monkeypatch.setattr(os, "setpriority", setpriority)
    monkeypatch.setattr(rtkit, "_call", call)
    assert rtkit.raise_priority() == (allowed or granted)
    asked = ("MakeThreadHighPriorityWithPID", "tti", rtkit.NICE)
    assert told == [(os.PRIO_PROCESS, 0, rtkit.NICE) if allowed else asked]


def test_who_computes_too_long_gives_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, policy, _param: given.append((pid, policy)))
    before = signal.signal(signal.SIGXCPU, rtkit._give_up)
    try:
        signal.raise_signal(signal.SIGXCPU)
    finally:
        signal.signal(signal.SIGXCPU, before)
    assert given == [(0, os.SCHED_OTHER)]
