"""Processes that the bench measures in: its workloads (`daemon.diagnostics.bench_workloads`) and the band itself."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.core.techniques import DEFAULT_TECHNIQUE
from daemon.diagnostics import measure
from music.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
#: seconds until a workload is thought to hang
HANG_TIMEOUT_S = 120
#: seconds that a standing workload has to leave
LEAVE_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """Options of one run of the bench."""

    technique: str = DEFAULT_TECHNIQUE
    #: a graph's file; None for the shipped weights
    graph: str | None = None
    #: how often everything is measured
    rounds: int = 5
    #: how long a round plays
    seconds: float = 5.0
    #: called with a line about what is measured next
    say: Callable[[str], None] = lambda _text: None


class BenchError(UserError):
    """Something that was to be measured does not run; the message is one sentence."""


def start_workload(name: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a workload in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "daemon.diagnostics.bench_workloads", name, json.dumps(arguments)],
        cwd=ROOT,
        env=measure.make_single_thread_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_result(workload: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a workload's end and return what it measured. Raises BenchError."""
    try:
        out, err = workload.communicate(timeout=HANG_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        workload.kill()
        workload.communicate()
        raise BenchError("a measurement hangs") from None
    if workload.returncode:
        raise BenchError(f"a measurement failed: {_find_last_line(err, 'no reason given')}")
    found: dict[str, Any] = json.loads(out)
    return found


def run_workload(name: str, *arguments: object) -> dict[str, Any]:
    """Run a workload to its end and return what it measured. Raises BenchError."""
    return read_result(start_workload(name, *arguments))


@contextlib.contextmanager
def keep_workload(name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Keep a workload running inside the block, from when it is ready. Raises BenchError."""
    workload = start_workload(name, *arguments)
    try:
        assert workload.stdout
        if workload.stdout.readline() != "ready\n":
            raise BenchError(f"{name}: {_find_last_line(workload.communicate()[1], 'does not start')}")
        yield workload
    finally:
        _let_leave(workload)


def _let_leave(workload: subprocess.Popen[str]) -> None:
    """Close a workload's stdin, at which it leaves; kill one that does not."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        assert workload.stdin
        workload.stdin.close()
        workload.wait(LEAVE_TIMEOUT_S)
    if workload.poll() is None:
        workload.kill()
    workload.wait()
    for pipe in (workload.stdin, workload.stdout, workload.stderr):
        assert pipe
        pipe.close()


def _find_last_line(text: str, otherwise: str) -> str:
    return (text.strip().splitlines() or [otherwise])[-1]


@contextlib.contextmanager
def keep_band(options: BenchOptions, api: str) -> Iterator[subprocess.Popen[str]]:
    """Keep `houseband run` running inside the block, from when it is ready. Raises BenchError.

    The user's configuration, takes and control socket are left alone.
    """
    given = ["--graph", options.graph] if options.graph else []
    command = ["run", "--api", api, "--control", "off", "--technique", options.technique, *given]
    environment = {**os.environ, "HOUSEBAND_TAKES": "off", "HOUSEBAND_CONFIG": os.devnull}
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon", *command], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr
        said = ""
        for line in process.stderr:
            said += line
            if "is ready" in line:
                break
        else:
            raise BenchError(f"houseband run does not start: {_find_last_line(said, 'no reason given')}")
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=HANG_TIMEOUT_S)
