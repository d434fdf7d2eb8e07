"""Whatever stops the program is heard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from daemon.system.signals import STOP_SIGNALS, on_panic, on_stop, on_suspend
from tests.house.source import ROOT


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_every_way_of_being_stopped_is_heard_and_the_old_handlers_return() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    stops: list[int] = []
    with on_stop(lambda: stops.append(len(stops))):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.raise_signal(number)
    assert stops == [0, 1, 2, 3]
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_a_program_that_hangs_after_it_was_stopped_is_ended_and_says_where() -> None:
    code = (
        "import signal, threading\n"
        "from daemon.system import signals\n"
        "signals.END_LIMIT_S = 1\n"
        "with signals.on_stop(lambda: None):\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    threading.Event().wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert 'File "<string>", line 6 in <module>' in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_a_panic_is_heard() -> None:
    panics: list[int] = []
    with on_panic(lambda: panics.append(1)):
        signal.raise_signal(signal.SIGUSR1)
    assert panics == [1]
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_ctrl_z_is_heard_and_using_the_terminal_from_the_background_stops_nothing() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGTTOU)]
    heard: list[int] = []
    with on_suspend(lambda: heard.append(1)):
        for number in (signal.SIGTSTP, signal.SIGTTOU, signal.SIGTTIN):
            signal.raise_signal(number)
    assert heard == [1]
    assert [signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGTTOU)] == before


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_where_ctrl_z_is_ignored_it_stays_so() -> None:
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    heard: list[int] = []
    try:
        with on_suspend(lambda: heard.append(1)):
            signal.raise_signal(signal.SIGTSTP)
    finally:
        signal.signal(signal.SIGTSTP, before)
    assert heard == []
