"""Jobs for the results process: one is worked on, others wait; any can be cancelled, and the process is replaced."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from daemon.system.child_process import ChildProcess, describe_exit_status
from music.errors import HousebandError, UserError

OPERATIONS = MAKE, REGENERATE, WAV = ("make", "regenerate", "wav")
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
#: the most jobs that wait
MAX_WAITING = 20
#: jobs that are over and still listed
_LISTED = 10
#: how long a job may go on that was cancelled, before the process is killed
CANCEL_PATIENCE_S = 2.0
#: how long the process may take to read a request
_WRITE_PATIENCE_S = 10.0

Message = dict[str, Any]


class JobError(HousebandError):
    """Raised for a job that failed or was cancelled."""


class TooManyJobsError(UserError):
    """Raised where too many jobs wait already."""


@dataclass(slots=True)
class Job:
    """A result, or a file, that is being made."""

    id: str
    kind: str  #: one of OPERATIONS
    name: str  #: for the user
    request: Message
    #: called once it is done, with the answer: returns the id of the item that came of it, if one did
    finish: Callable[[Message], str | None]
    share: float = 0.0
    state: str = WAITING
    item: str | None = None
    error: str = ""
    #: its answer, or JobError, once it is over
    answer: Future[Message] = field(default_factory=Future)

    def describe(self) -> dict[str, Any]:
        """Return the job as JSON has it."""
        names = ("id", "kind", "name", "share", "state", "item", "error")
        return {name: getattr(self, name) for name in names}


class ResultsProcess:
    """The process that makes results, and the thread that reads its answers."""

    def __init__(self, on_message: Callable[[Message], None]) -> None:
        """on_message: called on the reading thread with each answer, and with `{"ended": sentence}` at the end."""
        self._child = ChildProcess("daemon.projects.results_child:run", new_session=True)
        self._on_message = on_message
        threading.Thread(target=self._read, name="results", daemon=True).start()

    def send(self, message: Message) -> None:
        """Send a request. Raises OSError, TimeoutError."""
        self._child.write(json.dumps(message, separators=(",", ":")).encode() + b"\n", _WRITE_PATIENCE_S)

    def kill(self) -> None:
        """End the process at once."""
        self._child.kill()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._child.stdout as answers:
            for line in answers:
                self._on_message(json.loads(line))
        status = self._child.stop(1.0)
        self._on_message({"ended": describe_exit_status(status)})


class JobQueue:
    """The jobs, and the process that does them. Owned by one thread."""

    def __init__(
        self, post: Callable[[Callable[[], None]], None], tell: Callable[[Job], None], *, start: bool = True
    ) -> None:
        """Start the process.

        post: has a function called on the thread that owns this; tell: is told of every change of a job. start: False:
        the process is started with the first job.
        """
        self._post, self._tell = post, tell
        self._jobs: dict[str, Job] = {}
        self._numbers = count(1)
        self._process: ResultsProcess | None = None
        self._timer: threading.Timer | None = None
        #: the techniques that are loaded
        self.ready: list[str] = []
        self._is_closed = False
        if start:
            self._start()

    def list_jobs(self) -> list[dict[str, Any]]:
        """Return all jobs that are not over, and the last ones that are, as JSON has them."""
        return [job.describe() for job in sorted(self._jobs.values(), key=lambda job: int(job.id[1:]))]

    def submit(self, kind: str, name: str, request: Message, finish: Callable[[Message], str | None]) -> Job:
        """Have something made. Raises TooManyJobsError."""
        if sum(job.state == WAITING for job in self._jobs.values()) >= MAX_WAITING:
            raise TooManyJobsError(f"{MAX_WAITING} results are waiting to be made; cancel some, or wait a moment")
        key = f"j{next(self._numbers)}"
        job = Job(key, kind, name, {**request, "job": key, "op": kind}, finish)
        self._jobs[key] = job
        self._tell(job)
        self._go_on()
        return job

    def cancel(self, key: str) -> bool:
        """Cancel a job; return False where there is none that is not over yet."""
        job = self._jobs.get(key)
        if job is None or job.state not in (WAITING, RUNNING):
            return False
        if job.state == WAITING or self._process is None:
            self._end(job, CANCELLED)
            return True
        process = self._process
        with contextlib.suppress(OSError):
            process.send({"cancel": key})
        if self._timer is None:
            self._timer = threading.Timer(CANCEL_PATIENCE_S, lambda: self._post(lambda: self._lose_patience(key)))
            self._timer.daemon = True
            self._timer.start()
        return True

    def cancel_all(self) -> None:
        """Cancel all jobs."""
        for key in reversed(list(self._jobs)):  # those that wait before the one that is worked on
            self.cancel(key)

    def close(self) -> None:
        """End the process, and all jobs."""
        self._is_closed = True
        for job in list(self._jobs.values()):
            if job.state in (WAITING, RUNNING):
                self._end(job, CANCELLED)
        if self._timer is not None:
            self._timer.cancel()
        if self._process is not None:
            self._process.kill()

    def _start(self) -> None:
        """Start the process. Raises OSError."""

        def receive(message: Message) -> None:
            self._post(lambda: self._receive(process, message))

        process = self._process = ResultsProcess(receive)

    def _go_on(self) -> None:
        """Begin with the next job, if none is being worked on."""
        if self._is_closed or any(job.state == RUNNING for job in self._jobs.values()):
            return
        waiting = [job for job in self._jobs.values() if job.state == WAITING]
        if not waiting:
            return
        job = waiting[0]
        job.state = RUNNING
        try:
            if self._process is None:
                self._start()
            assert self._process is not None
            self._process.send(job.request)
        except OSError as error:
            if self._process is not None:
                self._process.kill()
            job.error = f"results cannot be made now: {error.strerror or error}; try again"
            self._end(job, FAILED)
            return
        self._tell(job)

    def _receive(self, process: ResultsProcess, message: Message) -> None:
        if process is not self._process:
            return
        if "ended" in message:
            self._process = None
            self.ready = []
            for lost in [job for job in self._jobs.values() if job.state == RUNNING]:
                was_cancelled = self._timer is not None
                lost.error = "" if was_cancelled else f"the results process ended ({message['ended']}); try again"
                self._end(lost, CANCELLED if was_cancelled else FAILED)
            return
        if "ready" in message:
            self.ready.append(message["ready"])
            return
        job = self._jobs.get(message.get("job", ""))
        if job is None or job.state != RUNNING:
            return
        if "share" in message:
            job.share = message["share"]
            self._tell(job)
        elif "cancelled" in message:
            self._end(job, CANCELLED)
        elif "error" in message:
            job.error = message["error"]
            self._end(job, FAILED)
        else:
            self._finish(job, message)

    def _finish(self, job: Job, message: Message) -> None:
        try:
            job.item = job.finish(message)
        except HousebandError as error:
            job.error = str(error)
            self._end(job, FAILED)
        else:
            job.share = 1.0
            self._end(job, DONE, message)

    def _lose_patience(self, key: str) -> None:
        job = self._jobs.get(key)
        if job is not None and job.state == RUNNING and self._process is not None:
            self._process.kill()

    def _end(self, job: Job, state: str, answer: Message | None = None) -> None:
        if job.state == RUNNING and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        job.state, job.request = state, {}
        self._jobs[job.id] = self._jobs.pop(job.id)  # those that are over lie in the order in which they ended
        over = [each.id for each in self._jobs.values() if each.state not in (WAITING, RUNNING)]
        for key in over[:-_LISTED]:
            del self._jobs[key]
        self._tell(job)
        if answer is None:
            job.answer.set_exception(JobError(job.error or "this was cancelled"))
        else:
            job.answer.set_result(answer)
        self._go_on()
