"""The display of a jam, as the conductor sees it: messages are passed to a process that draws them.

Nothing here waits: messages stand in a short queue, and what does not fit is dropped.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from queue import SimpleQueue

from daemon.core import wire
from daemon.core.observers import Observer, PerformanceView
from daemon.system.child_process import ChildProcess
from music.note import STEPS_PER_BEAT, Metre

#: messages that may wait to be drawn; a display that stalls for longer than these last loses some
MAX_QUEUED_MESSAGES = 2000
#: a display that has not ended by then is killed
CLOSE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class DisplaySetup:
    """Facts about a jam that the display shows or draws by."""

    title: str
    style: str
    bpm: float
    metre: Metre
    pickup: int  #: ticks by which the first note comes before bar 1
    bars: int  #: how many there are

    @property
    def step_ns(self) -> float:
        """The length of a sixteenth, ns."""
        return 60e9 / self.bpm / STEPS_PER_BEAT


class JamDisplay(Observer):
    """Shows what is played, in a process of its own."""

    def __init__(self, setup: DisplaySetup, plain: bool = False) -> None:
        """plain: a line a bar, even in a terminal."""
        self._performance: PerformanceView | None = None
        self._queue: SimpleQueue[tuple[str, int, bytes, float | None] | None] = SimpleQueue()
        self._child = ChildProcess("daemon.screen.jam_picture:serve", pipe_stdout=False)
        self._thread = threading.Thread(target=self._feed, args=(setup, plain), name="display-feed", daemon=True)
        self._thread.start()

    def on_start(self, performance: PerformanceView) -> None:
        """Show the in-time share of this performance."""
        self._performance = performance

    def on_input(self, data: bytes, at: int) -> None:
        """Show a message of the melody."""
        self._queue_message("heard", at, data)

    def on_output(self, data: bytes, due: int) -> None:
        """Show a message of the band."""
        self._queue_message("sent", due, data)

    def close(self) -> None:
        """End the display; return when it has drawn its last, or was too slow for that."""
        self._queue.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)
        self._child.stop(CLOSE_TIMEOUT_S)

    def _queue_message(self, kind: str, at: int, data: bytes) -> None:
        if self._queue.qsize() < MAX_QUEUED_MESSAGES:
            isr = None if self._performance is None else self._performance.counters.isr
            self._queue.put((kind, at, data, isr))

    def _feed(self, setup: DisplaySetup, plain: bool) -> None:
        with contextlib.suppress(OSError, ValueError):  # it is gone, or closed: nobody looks any more
            wire.send(self._child.stdin, (setup, plain))
            while (message := self._queue.get()) is not None:
                wire.send(self._child.stdin, message)
        self._child.close_stdin()
