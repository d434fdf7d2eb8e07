"""The process that makes results: wishes come in as lines of JSON, and what becomes of them goes out likewise.

Requests: `{"job", "op", ...}` with `op` one of `jobs.OPERATIONS`, and `{"cancel": job}`. Answers: `{"ready"}` with the
name of each technique that is loaded; for a job `{"job", "share"}` on the way, and at the end one with `item`, `file`,
`error` or `cancelled`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from daemon.core.techniques import list_techniques
from daemon.projects.exporting import write_wav
from daemon.projects.generation import LoadedPlayers, make_result, regenerate_selection
from daemon.projects.item import parse_item
from daemon.projects.jobs import REGENERATE, WAV
from daemon.projects.techniques_on_offer import Wish, build_mix
from daemon.sound.fluid_synth import open_synth
from daemon.sound.synth import Synth
from daemon.system.child_process import guard_stdout
from music.errors import HousebandError, describe_error

#: below every program that somebody waits for, and far below the band
_NICENESS = 10
#: the least time from one report of progress to the next
_REPORT_S = 0.05


class JobCancelledError(HousebandError):
    """Raised within a job that nobody wants any more."""


def run() -> None:
    """Make results until the pipe from the parent process ends. The first thing that the process does."""
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(_NICENESS)
    ResultMaker(sys.stdin.buffer, guard_stdout()).run()


class ResultMaker:
    """Reads requests on a thread of its own and makes one result after another."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests, self._answers = requests, answers
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled: set[str] = set()  # added to by the reading thread
        self._players = LoadedPlayers()
        self._to_load = [technique.name for technique in list_techniques()]
        self._synth: Synth | None = None
        self._reported_s = 0.0

    def run(self) -> None:
        """Make results for ever; techniques are loaded while nothing else is to be done. The process ends itself."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while True:
            try:
                request = self._queue.get(block=not self._to_load)
            except queue.Empty:
                self._load(self._to_load.pop(0))
            else:
                self._answer(request)

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._requests:
                request = json.loads(line)
                if "cancel" in request:
                    self._cancelled.add(request["cancel"])
                else:
                    self._queue.put(request)
        os._exit(0)  # nobody is there any more; what is being made is not wanted

    def _load(self, technique: str) -> None:
        try:
            self._players.load(technique)
        except HousebandError as error:
            print(f"{technique}: {error}", file=sys.stderr)  # noqa: T201 - the log of the program
            return
        self._write({"ready": technique})

    def _answer(self, request: dict[str, Any]) -> None:
        job = request["job"]
        try:
            self._report(job, 0.0)
            answer = self._make(job, request)
        except JobCancelledError:
            answer = {"cancelled": True}
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one wish, the next is another
            answer = {"error": describe_error(error)}
        self._cancelled.discard(job)
        self._write({"job": job, **answer})

    def _make(self, job: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the members of the answer to a request. Raises whatever is wrong."""
        item, operation = parse_item(request["item"]), request["op"]

        def progress(share: float) -> None:
            self._report(job, share)

        if operation == WAV:
            self._synth = self._synth or open_synth()
            target = Path(request["file"])
            write_wav(item, build_mix(request["mix"]), target, self._synth, progress)
            return {"file": str(target)}
        wish = Wish(**request["wish"])
        if operation == REGENERATE:
            first, last = request["bars"]
            made = regenerate_selection(item, (first, last), request["roles"], wish, self._players, progress)
        else:
            made = make_result(item, wish, self._players, progress)
        return {"item": made.as_json()}

    def _report(self, job: str, share: float) -> None:
        """Tell how far a job has come. Raises JobCancelledError where it is not wanted any more."""
        if job in self._cancelled:
            raise JobCancelledError("cancelled")
        now = time.monotonic()
        if now - self._reported_s >= _REPORT_S or share == 0:
            self._reported_s = now
            self._write({"job": job, "share": round(share, 3)})

    def _write(self, answer: dict[str, Any]) -> None:
        self._answers.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
        self._answers.flush()
