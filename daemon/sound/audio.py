"""Sound through loudspeakers, as the conductor sees it: messages go to the audio process through a pipe.

Each message is a record of sixteen bytes that says when it was due on the machine's monotonic clock. The pipe is never
waited for. If it is full, because the process hangs, messages are lost and nothing else; the first thing sent once it
takes some again is to end everything that sounds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import threading
from dataclasses import dataclass

from daemon.core.observers import Observer, PerformanceView
from daemon.sound.player_sound import PlayerSound
from daemon.system.child_process import ChildProcess
from music import midi
from music.errors import UserError

log = logging.getLogger(__name__)

#: due (ns), number of bytes in the message (0: end everything that sounds), the message
RECORD = struct.Struct("<qB7s")
_MAX_MESSAGE_BYTES = 7
#: an audio device that takes longer to start is thought to hang
START_TIMEOUT_S = 15.0
#: time in which the last sound dies away
FADE_S = 0.4
_TARGET = "daemon.sound.audio_process:serve"


class AudioError(UserError):
    """There is no sound."""


@dataclass(frozen=True, slots=True)
class AudioSetup:
    """Options of the sound."""

    on: bool = False
    soundfont: str | None = None  #: a file; None: one in the usual places
    click: bool = False  #: a click on every beat, too


class Audio(Observer):
    """Plays the melody and the band through loudspeakers. `wait_ready` first, `close` at the end."""

    def __init__(self, soundfont: str | None = None, target: str = _TARGET) -> None:
        """Start the process. target: the function that it runs, `module:function`."""
        self._child = ChildProcess(target, soundfont or "", new_session=True, buffering=0)
        self._pipe = self._child.stdin.fileno()
        self._full = self._gone = False
        self._sound = PlayerSound()
        self._performance: PerformanceView | None = None
        with contextlib.suppress(OSError, AttributeError):  # Windows, before Python 3.12
            os.set_blocking(self._pipe, False)

    @property
    def pid(self) -> int:
        """The process id of the audio process."""
        return self._child.pid

    def wait_ready(self) -> str:
        """Return the name of what plays, once it does. Raises AudioError."""
        guard = threading.Timer(START_TIMEOUT_S, self._child.kill)
        guard.daemon = True
        guard.start()
        answer = self._child.stdout.readline().decode(errors="replace").strip()
        guard.cancel()
        kind, _, text = answer.partition(" ")
        if kind == "ready":
            return text
        self.close()
        raise AudioError(text or f"the audio device does not start within {START_TIMEOUT_S:g} seconds")

    def on_start(self, performance: PerformanceView) -> None:
        """Let melody and left hand sound as the settings of this performance have it."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> None:
        """End what was muted."""
        self._follow_settings(now)

    def on_input(self, data: bytes, at: int) -> None:
        """Play a message of the player, on the melody's channel; an MPE instrument's notes on channels of their own."""
        self._follow_settings(at)
        for message in self._sound.pass_on(data):
            self.send(message, at)

    def _follow_settings(self, now: int) -> None:
        if self._performance is not None:
            for message in self._sound.use(self._performance.settings):
                self.send(message, now)

    def on_output(self, data: bytes, due: int) -> None:
        """Play a message of the band."""
        if not midi.is_system(data):
            self.send(data, due)

    def send(self, data: bytes, due: int) -> None:
        """Play a message that is due at a time (ns); return at once, whatever becomes of it."""
        if self._gone or len(data) > _MAX_MESSAGE_BYTES:
            return
        try:
            if self._full:
                os.write(self._pipe, RECORD.pack(due, 0, b""))
                self._full = False
            os.write(self._pipe, RECORD.pack(due, len(data), data))
        except BlockingIOError:
            self._full = True
        except OSError:
            self._gone = True
            log.warning("the audio process is gone; the band plays on in silence")

    def close(self) -> None:
        """End the process; one that hangs is not waited for long."""
        self._child.close_stdin()
        self._child.stop(FADE_S + 1)
        self._child.stdout.close()
