"""Logging every edit of the loop, with `-vv`, on a thread of its own."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

from daemon.core.observers import EditHistory, Observer, PerformanceView
from daemon.core.plan import AppliedEdit
from daemon.system.journald import with_fields

log = logging.getLogger(__name__)


class EditLog(Observer):
    """Logs every edit of the loop until it is closed."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[AppliedEdit | None] = SimpleQueue()
        self._loop: EditHistory | None = None
        self._last_edit = 0  # serial number of the last edit that was logged
        self._thread = threading.Thread(target=self._write, name="edit-log", daemon=True)
        self._thread.start()

    def on_start(self, performance: PerformanceView) -> None:
        """Log the edits of this performance."""
        self._loop = performance.loop

    def on_wait(self, now: int, until: int | None) -> None:
        """Pass new edits on to the thread that writes."""
        for made in () if self._loop is None else self._loop.edits_since(self._last_edit):
            self._queue.put(made)
            self._last_edit = made.serial

    def close(self) -> None:
        """Write the rest."""
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        while (made := self._queue.get()) is not None:
            edit = made.edit
            log.debug(
                "edit %d: %s %s pitch %d, bar %d step %d, %d steps long, log-probability %.2f",
                made.serial,
                "undone," if made.undone else "made,",
                edit.action,
                edit.pitch,
                made.bar,
                made.step,
                edit.length,
                edit.log_probability,
                extra=with_fields(event="edit", action=edit.action, pitch=edit.pitch, bar=made.bar, step=made.step),
            )
