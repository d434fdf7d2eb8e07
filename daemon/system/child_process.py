"""Helper processes of the program: a fresh interpreter that runs one function of one module.

It is no fork, so that no lock or thread of this process is copied into it, and it finds modules where this process
finds them. The function's name stands in the process's command line, by which tools tell the processes apart.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import IO

from daemon.system.signals import STOP_SIGNALS

_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from daemon.system.child_process import call_target; call_target(*sys.argv[2:])"
)


class ChildProcess:
    """A running helper process. `stdin` and `stdout` are pipes to and from it.

    Ctrl-C in a terminal and a service manager's stop reach all processes at once; a helper ignores them, for it is
    ended by the process that started it.
    """

    def __init__(
        self,
        target: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        pipe_stdout: bool = True,
        new_session: bool = False,
        buffering: int = -1,
    ) -> None:
        """Start `target`, given as `module:function`, with the arguments. Raises OSError.

        environment: variables beside those of this process; pipe_stdout: False lets the helper write to the terminal;
        new_session: nothing the terminal does reaches it; buffering: of the pipes, 0 for none.
        """
        self._process = subprocess.Popen(
            _command(target, arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if pipe_stdout else None,
            env={**os.environ, **(environment or {})},
            start_new_session=new_session,
            bufsize=buffering,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status, None while the helper runs; a negative one is the number of the signal that ended it."""
        return self._process.poll()

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe to the helper."""
        assert self._process.stdin
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe from the helper; closed by whoever reads it."""
        assert self._process.stdout
        return self._process.stdout

    def close_stdin(self) -> None:
        """Tell the helper that there is no more to come. Waits while another thread writes to it."""
        with contextlib.suppress(OSError):  # what was not yet flushed has nowhere to go
            self.stdin.close()

    def kill(self) -> None:
        """End the helper at once."""
        self._process.kill()

    def stop(self, patience_s: float = 0.0) -> int:
        """Give the helper some seconds to end by itself, then kill it; return its exit status."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        self._process.kill()
        status = self._process.wait()
        self.close_stdin()
        return status


def run_detached(target: str, environment: Mapping[str, str]) -> None:
    """Run `target`, given as `module:function`, in a process that nobody hears of any more. Raises OSError."""
    process = subprocess.Popen(
        _command(target, ()),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    threading.Thread(target=process.wait, daemon=True).start()


def _command(target: str, arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-P", "-c", _BOOTSTRAP, json.dumps(sys.path), target, *arguments]


def call_target(target: str, *arguments: str) -> None:
    """Run a function in this process, which is a helper: the first thing that one does."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)(*arguments)


def guard_stdout(*, silence_stderr: bool = False) -> IO[bytes]:
    """Return the stream to the parent process; from now on what libraries print goes to stderr, not between answers.

    silence_stderr: what they print is lost altogether, and so are messages on stderr.
    """
    answers = os.fdopen(os.dup(1), "wb")
    if silence_stderr:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)
    os.dup2(2, 1)
    return answers
