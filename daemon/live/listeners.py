"""Who listens while the band plays: the recorder of takes, the audio process, and the log of edits. Each off unless it
is wanted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from daemon.core.events import Event, MidiIn
from daemon.core.world import Output, World
from daemon.engine.looper import EditLoop
from daemon.live import edit_log
from daemon.live.edit_log import EditLog
from daemon.sound.audio import Audio, ClickTrack, Sound
from daemon.takes.recorder import Played, Recorder
from music.note import CHANNELS, MELODY, Metre

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listeners:
    """takes: the folder they are kept in, None for not keeping them; takes_limit: bytes they may have together; sound:
    whether the band is heard here; melody: whether what is played to it is heard, too."""

    takes: Path | None = None
    takes_limit: int = 1 << 29
    sound: Sound = field(default_factory=Sound)
    melody: bool = True

    def start(self, metre: Metre, stack: ExitStack) -> Listening:
        """Start them, until the stack ends; the audio device takes a moment."""
        recorder = audio = edits = None
        if edit_log.log.isEnabledFor(logging.DEBUG):
            edits = stack.enter_context(closing(EditLog()))
        if self.takes is not None:
            recorder = stack.enter_context(closing(Recorder(self.takes, self.takes_limit, metre)))
        if self.sound.on:
            audio = stack.enter_context(closing(Audio(self.sound.soundfont)))
        return Listening(
            recorder, audio, ClickTrack(metre, audio.send) if audio and self.sound.click else None, self.melody, edits
        )


class Looped(Played, Protocol):
    """Whom they listen to, on its own thread: the conductor."""

    loop: EditLoop


class Listening:
    """Those that listen. All of it runs on the conductor's thread."""

    def __init__(
        self,
        recorder: Recorder | None,
        audio: Audio | None,
        clicker: ClickTrack | None,
        melody: bool,
        edits: EditLog | None = None,
    ) -> None:
        self._recorder, self._audio, self._clicker, self._melody = recorder, audio, clicker, melody
        self._edits = edits
        self._conductor: Looped | None = None

    def wait_ready(self) -> None:
        """Until there is sound, if there is to be any. Raises AudioError."""
        if self._audio is not None:
            log.info("sound: %s", self._audio.wait_ready())

    def around(self, world: World, output: Output) -> tuple[World, Output]:
        """World and output as the conductor is to have them."""
        if self._recorder is None and self._audio is None and self._clicker is None and self._edits is None:
            return world, output
        return _HeardWorld(world, self._look, self._heard), _HeardOutput(output, self._sent)

    def watch(self, conductor: Looped) -> None:
        """Who it is that plays."""
        self._conductor = conductor
        if self._recorder is not None:
            self._recorder.watch(conductor)

    def _look(self, now: int) -> None:
        if self._recorder is not None:
            self._recorder.look(now)
        if self._clicker is not None and self._conductor is not None:
            self._clicker.look(self._conductor.tempo, self._conductor.playing, now)
        if self._edits is not None and self._conductor is not None:
            self._edits.look(self._conductor.loop)

    def _heard(self, at: int, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.heard(at, data)
        if self._audio is not None and self._melody and len(data) == 3 and data[0] & 0xF0 in (0x80, 0x90):
            self._audio.send(at, bytes((data[0] & 0xF0 | CHANNELS[MELODY], *data[1:])))

    def _sent(self, due: int, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.sent(due, data)
        if self._audio is not None and data[0] < 0xF0:
            self._audio.send(due, data)


class _HeardWorld:
    """A World at which somebody looks whenever the conductor comes to wait there."""

    def __init__(self, world: World, look: Callable[[int], None], heard: Callable[[int, bytes], None]) -> None:
        self._world, self._look, self._heard = world, look, heard

    def now(self) -> int:
        """As the world's."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """As the world's."""
        self._look(self._world.now())
        event = self._world.wait(until)
        if isinstance(event, MidiIn):
            self._heard(event.at, event.data)
        return event


class _HeardOutput:
    """An Output; what it has sent is told."""

    def __init__(self, output: Output, sent: Callable[[int, bytes], None]) -> None:
        self._output, self._sent = output, sent

    def send(self, data: bytes, due: int) -> None:
        """As the output's."""
        self._output.send(data, due)
        self._sent(due, data)
