"""`houseband run --plugin` as a DAW's plugin meets it: started, two projects, a third, killed, left alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no plugin for Windows")

PATIENCE_S = 60.0


class Program:
    """`houseband run --plugin`, and connections to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "plugin.sock"
        environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "HOUSEBAND_PLUGIN_SOCKET": str(self.path),
            "HOUSEBAND_CONFIG": str(folder / "config.toml"),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daemon", "run", "--plugin"], env=environment, stderr=subprocess.PIPE, text=True
        )
        self.sockets: list[socket.socket] = []

    def connect(self, session: str) -> Connection:
        """Connect as soon as there is somebody."""
        pause = threading.Event()
        for _ in range(int(PATIENCE_S / 0.05)):
            plugin = socket.socket(socket.AF_UNIX)
            plugin.settimeout(PATIENCE_S)
            self.sockets.append(plugin)
            try:
                plugin.connect(str(self.path))
            except OSError:
                assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
                pause.wait(0.05)
                continue
            plugin.sendall(f"hello 1 {session} a test\nplays 1 1\n".encode())
            return Connection(plugin)
        raise AssertionError("nobody listens")

    def close(self) -> None:
        for each in self.sockets:
            each.close()
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)


class Connection:
    """A connection of a plugin."""

    def __init__(self, plugin: socket.socket) -> None:
        self.socket = plugin
        self._lines = plugin.makefile("rb")

    def wait_for(self, begin: bytes) -> bytes:
        """Return the next line that begins so; empty at the end of the connection."""
        try:
            for line in self._lines:
                if line == b"ping\n":
                    self.socket.sendall(b"ping\n")  # who says nothing for five seconds is given up
                if line.startswith(begin):
                    return bytes(line)
        except ConnectionError:
            pass
        return b""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    found = Program(tmp_path)
    yield found
    found.close()


def list_children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").iterdir()
    text = " ".join((task / "children").read_text(encoding="utf-8") for task in tasks)
    return [each for child in text.split() for each in (int(child), *list_children(int(child)))]


def test_two_projects_are_played_for_and_a_third_is_told_why_not(program: Program) -> None:
    first, second = program.connect("one"), program.connect("two")
    with ThreadPoolExecutor() as both:  # none of them may be silent while the other gets ready
        assert all(both.map(lambda each: each.wait_for(b"state 2"), (first, second)))
    assert b"2 projects" in program.connect("three").wait_for(b"refused 5 ")
    program.process.terminate()
    assert first.wait_for(b"no such line") == second.wait_for(b"no such line") == b""
    assert program.process.wait(PATIENCE_S) == 0
    assert not program.path.exists()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed in /proc")
def test_a_program_that_is_killed_leaves_no_process_and_another_takes_its_place(
    program: Program, tmp_path: Path
) -> None:
    plugin = program.connect("one")
    assert plugin.wait_for(b"state 2")
    children = list_children(program.process.pid)
    assert len(children) >= 2
    program.process.send_signal(signal.SIGKILL)
    assert plugin.wait_for(b"no such line") == b""  # it ends, so the plugin ends what sounds
    another = Program(tmp_path)
    try:
        assert another.connect("one").wait_for(b"welcome 1 ")
    finally:
        another.close()
    pause, alive = threading.Event(), children
    for _ in range(int(PATIENCE_S / 0.05)):
        alive = [child for child in children if Path(f"/proc/{child}").exists() and not is_zombie(child)]
        if not alive:
            return
        pause.wait(0.05)
    pytest.fail(f"still there: {alive}")


def is_zombie(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True
