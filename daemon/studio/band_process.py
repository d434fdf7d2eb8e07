"""The band that the studio starts itself where none plays; it ends with the studio, however that ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from daemon.system.child_process import ChildProcess, describe_exit_status

log = logging.getLogger(__name__)

#: how long a band may take to end its notes and write what was played
END_PATIENCE_S = 10.0
#: pause before a band that ended by itself is started again: doubled each time, up to the longest
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
#: the exit status of a program that was given something it cannot use, which trying again does not mend
_MISTAKE = 2


class BandProcess:
    """A band of the studio's own. One thread uses it, and none waits but in `stop`."""

    def __init__(self, target: str, options: Sequence[str], *, has_audio: bool = False) -> None:
        """target: the function that plays, as `module:function`, until its stdin ends; options: its arguments.

        has_audio: these have it play through the machine's loudspeakers.
        """
        self.has_audio = has_audio
        self._target, self._options = target, options
        self._child: ChildProcess | None = None
        self._pause_s = FIRST_PAUSE_S
        self._next_start_s = 0.0
        self._has_mistake = False

    @property
    def pid(self) -> int | None:
        """The process id of the one that was started last; None before that and after its end."""
        return None if self._child is None else self._child.pid

    @property
    def is_running(self) -> bool:
        """Tell whether it runs; one that has just ended is cleared away."""
        if self._child is None:
            return False
        status = self._child.exit_status
        if status is None:
            return True
        log.warning("the band ended with %s", describe_exit_status(status))
        self._child.stop()
        self._child = None
        self._has_mistake = status == _MISTAKE
        self._next_start_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return False

    @property
    def can_start(self) -> bool:
        """Tell whether it makes sense to start one now."""
        return bool(self._target) and not self._has_mistake and time.monotonic() >= self._next_start_s

    def start(self) -> None:
        """Start one; that it can be reached takes a moment."""
        try:
            self._child = ChildProcess(self._target, *self._options, pipe_stdout=False, new_session=True)
        except OSError as error:  # a limit of memory or processes: another time
            log.warning("the band cannot be started: %s", error)
            self._next_start_s = time.monotonic() + LONGEST_PAUSE_S

    def stop(self) -> None:
        """End it, which takes a moment, for it ends what sounds; one that hangs is killed."""
        child, self._child = self._child, None
        if child is not None:
            child.close_stdin()
            child.wait(END_PATIENCE_S)
