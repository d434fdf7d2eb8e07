"""Helper processes: what they are told, what reaches their parent, and how they end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from daemon.core import wire
from daemon.system.child_process import ChildProcess, guard_stdout, run_detached
from daemon.system.signals import STOP_SIGNALS

HERE = "tests.system.test_child_process"


def chat(greeting: str) -> None:
    """Answer every message while libraries print."""
    answers = guard_stdout()
    os.write(1, b"a library prints\n")
    wire.send(answers, (greeting, os.environ["CHAT"], [signal.getsignal(number) for number in STOP_SIGNALS]))
    while (message := wire.receive(sys.stdin.buffer)) is not None:
        wire.send(answers, message)
    sys.exit(3)


def be_quiet() -> None:
    """Print where nobody may see it."""
    answers = guard_stdout(silence_stderr=True)
    os.write(1, b"one\n")
    os.write(2, b"two\n")
    answers.write(b"done\n")


def hang() -> None:
    """Never end."""
    threading.Event().wait()


def touch() -> None:
    """Make the file that MADE names."""
    Path(os.environ["MADE"]).touch()


def test_a_helper_is_told_and_answers_whatever_is_printed() -> None:
    child = ChildProcess(f"{HERE}:chat", "hello", environment={"CHAT": "yes"})
    ignored = [signal.SIG_IGN] * len(STOP_SIGNALS)
    assert wire.receive(child.stdout) == ("hello", "yes", ignored)
    for number in STOP_SIGNALS:
        os.kill(child.pid, number)
    wire.send(child.stdin, {"a": 1})
    assert wire.receive(child.stdout) == {"a": 1}
    assert child.exit_status is None
    wire.send(child.stdin, None)
    assert child.stop(20) == 3
    child.stdout.close()


def test_nothing_that_is_printed_reaches_the_terminal_where_that_is_wanted(capfd: object) -> None:
    child = ChildProcess(f"{HERE}:be_quiet", new_session=True, buffering=0)
    assert child.stdout.read() == b"done\n"
    assert child.stop(20) == 0
    child.stdout.close()
    assert capfd.readouterr() == ("", "")  # type: ignore[attr-defined]


def test_one_that_does_not_end_is_killed() -> None:
    child = ChildProcess(f"{HERE}:hang")
    child.close_stdin()
    assert child.stop(0.1) == -signal.SIGKILL
    child.stdout.close()


def test_its_name_can_be_read_off_the_process() -> None:
    child = ChildProcess(f"{HERE}:chat", "hello", environment={"CHAT": "yes"})
    wire.receive(child.stdout)
    line = Path(f"/proc/{child.pid}/cmdline")
    assert not line.exists() or f"{HERE}:chat".encode() in line.read_bytes().split(b"\0")
    child.stop()
    child.stdout.close()


def test_nobody_waits_for_a_detached_one(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    run_detached(f"{HERE}:touch", {"MADE": str(tmp_path / "made")})
    for thread in set(threading.enumerate()) - before:  # it ends with the process
        thread.join(20)
    assert (tmp_path / "made").exists()
