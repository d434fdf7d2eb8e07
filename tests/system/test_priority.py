"""Threads that keep time go before others, where the system lets them."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from daemon.system import rtkit
from daemon.system.priority import (
    CONDUCTOR_PRIORITY,
    WORKER_NICENESS,
    WORKER_PRIORITY,
    raise_priority,
    real_time_section,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's scheduler")


@pytest.mark.parametrize("allowed", [True, False])
def test_the_other_threads_are_urgent_too_but_less_so(allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that holds the interpreter's lock and waits for the processor would hold up the conductor."""
    over = threading.Event()
    other = threading.Thread(target=over.wait, daemon=True)
    other.start()
    given: list[tuple[int, int, int]] = []

    def schedule(thread: int, policy: int, what: os.sched_param) -> None:
        if not allowed:
            raise PermissionError
        if thread in (0, other.native_id):
            given.append((thread, policy & ~os.SCHED_RESET_ON_FORK, what.sched_priority))

    monkeypatch.setattr(os, "sched_setscheduler", schedule)
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_OTHER)
    monkeypatch.setattr(rtkit, "request_realtime", lambda _: False)
    with real_time_section():
        pass
    over.set()
    number = other.native_id or 0
    lifted = [(0, os.SCHED_FIFO, CONDUCTOR_PRIORITY), (number, os.SCHED_RR, WORKER_PRIORITY)]
    assert given == ([*lifted, (number, os.SCHED_OTHER, 0), (0, os.SCHED_OTHER, 0)] if allowed else [])


@pytest.mark.parametrize("inherit", [True, False])
def test_a_worker_has_real_time_priority_below_the_conductors_where_that_is_allowed(
    inherit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, how, what: given.append((pid, how, what.sched_priority)))
    assert raise_priority(inherit)
    assert given == [(0, os.SCHED_RR | (0 if inherit else os.SCHED_RESET_ON_FORK), WORKER_PRIORITY)]
    assert 0 < WORKER_PRIORITY < CONDUCTOR_PRIORITY


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
    assert raise_priority() == (allowed or granted)
    asked = ("MakeThreadHighPriorityWithPID", "tti", WORKER_NICENESS)
    assert told == [(os.PRIO_PROCESS, 0, WORKER_NICENESS) if allowed else asked]
