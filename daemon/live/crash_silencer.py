"""Ending the notes of a band whose process was killed: a process of its own outlives it and tells who listened.

A killed process sends no note-offs, and its ports vanish with it. What it has begun stands in memory that both
processes share, written with nothing but a store; who listens to its ports the other process asks the MIDI system.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import tempfile

from daemon.midi.ports import KEY_COUNT
from daemon.system.child_process import ChildProcess

log = logging.getLogger(__name__)

#: the helper has this long to end by itself
CLOSE_TIMEOUT_S = 1.0


class CrashSilencer:
    """The keys that a band has begun, in shared memory, and the process that ends them if this one is killed.

    Where either cannot be had, the keys are kept, and nobody ends them.
    """

    def __init__(self, target: str = "daemon.live.crash_silencer_child:watch") -> None:
        """Start the process. target: the function it runs, as `module:function`."""
        #: the state of each key, for `daemon.midi.ports.StartedKeys`
        self.keys: bytearray | mmap.mmap = bytearray(KEY_COUNT)
        self._child: ChildProcess | None = None
        if os.name == "nt":  # a process is given no open file there
            return
        try:
            file = _open_memory()
            try:
                os.write(file, bytes(KEY_COUNT))  # so that the room is there: there is no error later, only a crash
                shared = mmap.mmap(file, KEY_COUNT)
                self._child = ChildProcess(target, str(file), pass_files=(file,))
                self.keys = shared
            finally:
                os.close(file)
        except OSError as error:
            log.warning("if the band is killed, nobody will end its notes: %s", error)

    def close(self) -> None:
        """End the process; call it once everything has ended."""
        self.keys[:] = bytes(KEY_COUNT)  # there is nothing left to end
        if self._child is not None:
            self._child.close_stdin()
            self._child.stop(CLOSE_TIMEOUT_S)
            with contextlib.suppress(OSError):
                self._child.stdout.close()


def _open_memory() -> int:
    """Return an open file that lies in memory where the system has such files. Raises OSError."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("houseband keys")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
