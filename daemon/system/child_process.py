"""Helper processes of the program: a fresh interpreter that runs one function of one module.

It is no fork, so that no lock or thread of this process is copied into it, and it finds modules where this process
finds them. The function's name stands in the process's command line, by which tools tell the processes apart.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

from daemon.system.signals import IGNORED_BY_HELPERS

_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from daemon.system.child_process import call_target; call_target(*sys.argv[2:])"
)


class ChildProcess:
    """A running helper process. `stdin` and `stdout` are pipes to and from it.

    Ctrl-C and Ctrl-Z in a terminal and a service manager's stop reach all processes at once; a helper ignores them, for
    it is ended by the process that started it, and has nothing to do while that is stopped.
    """

    def __init__(
        self,
        target: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        pipe_stdout: bool = True,
        new_session: bool = False,
        buffering: int = -1,
        pass_files: Sequence[int] = (),
    ) -> None:
        """Start `target`, given as `module:function`, with the arguments. Raises OSError.

        environment: variables beside those of this process; pipe_stdout: False lets the helper write to the terminal;
        new_session: nothing the terminal does reaches it; buffering: of the pipes, 0 for none; pass_files: numbers of
        open files that it has, too.
        """
        self._process = subprocess.Popen(
            _command(target, arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if pipe_stdout else None,
            env={**os.environ, **(environment or {})},
            start_new_session=new_session,
            bufsize=buffering,
            pass_fds=pass_files,
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

    def write(self, data: bytes, patience_s: float) -> None:
        """Write to the helper, past the buffer of `stdin`. Raises TimeoutError where it reads too slowly, and OSError.

        A helper that has not read all of it after `patience_s` is of no use any more: the pipe holds a part.
        """
        pipe = self.stdin.fileno()
        if not hasattr(select, "poll"):  # Windows, where a pipe cannot be waited for
            self.stdin.write(data)
            self.stdin.flush()
            return
        os.set_blocking(pipe, False)
        end, rest = time.monotonic() + patience_s, memoryview(data)
        while True:
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(pipe, rest) :]
            if not rest:
                return
            room = select.poll()
            room.register(pipe, select.POLLOUT)
            if not room.poll(max(0.0, end - time.monotonic()) * 1000):
                raise TimeoutError("the helper does not read")

    def close_stdin(self) -> None:
        """Tell the helper that there is no more to come. Waits while another thread writes to it."""
        with contextlib.suppress(OSError):  # what was not yet flushed has nowhere to go
            self.stdin.close()

    def kill(self) -> None:
        """End the helper at once."""
        self._process.kill()

    def wait(self, patience_s: float = 0.0) -> int:
        """Give the helper some seconds to end by itself, then kill it; return its exit status."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        self._process.kill()
        return self._process.wait()

    def stop(self, patience_s: float = 0.0) -> int:
        """End the helper as `wait` does, and close the pipe to it, to which no other thread may write any more."""
        status = self.wait(patience_s)
        self.close_stdin()
        return status


def describe_exit_status(status: int) -> str:
    """Return an exit status in words; a negative one is the number of the signal that ended the process."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


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
    for number in IGNORED_BY_HELPERS:
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
