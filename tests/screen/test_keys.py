"""Keys of a terminal, one by one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from queue import SimpleQueue

import pytest

from daemon.screen.keys import read_keys

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")


def test_keys_come_at_once_and_the_terminal_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    with os.fdopen(terminal, "rb", buffering=0) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        pressed: SimpleQueue[str] = SimpleQueue()
        with read_keys(pressed.put):
            os.write(keyboard, b"sq")  # no line ends here
            assert [pressed.get(timeout=10) for _ in "sq"] == ["s", "q"]
        assert termios.tcgetattr(stdin.fileno()) == before
    os.close(keyboard)


def test_where_there_is_no_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("rb") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with read_keys(pytest.fail):
            pass
