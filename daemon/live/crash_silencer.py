"""Ending the notes of a band whose process was killed: a process of its own outlives it and tells who listened.

A killed process sends no note-offs, and its ports vanish with it. What it has begun stands in memory that both
processes share, written with nothing but a store, and so do the names of those who listen.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
from collections.abc import Sequence

from daemon.live.crash_silencer_child import LENGTH_BYTES, MAX_NAMES_BYTES, SHARED_BYTES
from daemon.midi.rtmidi_library import API_CONSTANTS
from daemon.system.child_process import ChildProcess
from music.midi import KEY_COUNT

log = logging.getLogger(__name__)

#: the helper has this long to end by itself
CLOSE_TIMEOUT_S = 1.0


class CrashSilencer:
    """The keys that a band has begun, in shared memory, and the process that ends them if this one is killed.

    Where either cannot be had, the keys are kept, and nobody ends them.
    """

    def __init__(self, target: str = "daemon.live.crash_silencer_child:watch") -> None:
        """Start the process. target: the function it runs, as `module:function`."""
        #: the state of each key, for `daemon.midi.ports.StartedKeys`; behind them the names of who listens
        self.keys: bytearray | mmap.mmap = bytearray(SHARED_BYTES)
        self._told = b""
        self._child: ChildProcess | None = None
        if os.name == "nt":  # a process is given no open file there
            return
        try:
            file = _open_memory()
            try:
                os.write(file, bytes(SHARED_BYTES))  # so that the room is there: there is no error later, only a crash
                shared = mmap.mmap(file, SHARED_BYTES)
                self._child = ChildProcess(target, str(file), pass_files=(file,))
                self.keys = shared
            finally:
                os.close(file)
        except OSError as error:
            log.warning("if the band is killed, nobody will end its notes: %s", error)

    def tell_listeners(self, api: str, names: Sequence[str]) -> None:
        """Write down who listens: a MIDI system, as `--api` names it, and ports by the names python-rtmidi lists."""
        told = json.dumps([API_CONSTANTS[api], *names]).encode()
        if told == self._told or len(told) > MAX_NAMES_BYTES:
            return
        self._told = told
        begin = KEY_COUNT + LENGTH_BYTES
        self.keys[KEY_COUNT:begin] = bytes(LENGTH_BYTES)  # none while they are written
        self.keys[begin : begin + len(told)] = told
        self.keys[KEY_COUNT:begin] = len(told).to_bytes(LENGTH_BYTES, "little")

    def close(self) -> None:
        """End the process; call it once everything has ended."""
        self.keys[:KEY_COUNT] = bytes(KEY_COUNT)  # there is nothing left to end
        if self._child is not None:
            self._child.close_stdin()
            self._child.stop(CLOSE_TIMEOUT_S)
            with contextlib.suppress(OSError):
                self._child.stdout.close()


def _open_memory() -> int:
    """Return an open file that lies in memory where the system has such files. Raises OSError."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("houseband keys")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
