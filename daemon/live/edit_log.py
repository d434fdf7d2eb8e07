"""A line of the log for every edit of the loop, with -vv: written by a thread of its own, not the conductor's."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

from daemon.engine.looper import AppliedEdit, EditLoop
from daemon.system.journald import fields

log = logging.getLogger(__name__)


class EditLog:
    """Writes down what edits a loop has made, until it is closed."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[AppliedEdit | None] = SimpleQueue()
        self._told = 0  # the last edit that was looked at
        self._thread = threading.Thread(target=self._write, name="edit-log", daemon=True)
        self._thread.start()

    def look(self, loop: EditLoop) -> None:
        """Take what is new. Runs on the conductor's thread and never waits."""
        if loop.told and loop.told[-1].serial > self._told:
            for told in loop.told_since(self._told):
                self._queue.put(told)
            self._told = loop.told[-1].serial

    def close(self) -> None:
        """Write the rest."""
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        while (told := self._queue.get()) is not None:
            edit = told.edit
            log.debug(
                "edit %d: %s %s pitch %d, bar %d step %d, %d steps long, log-probability %.2f",
                told.serial,
                "undone," if told.undone else "made,",
                edit.action,
                edit.pitch,
                told.bar,
                told.step,
                edit.length,
                edit.log_probability,
                extra=fields(event="edit", action=edit.action, pitch=edit.pitch, bar=told.bar, step=told.step),
            )
