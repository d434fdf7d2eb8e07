"""The observers of a live performance that the configuration asks for: the take recorder, the loudspeakers, the log of
edits.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.core.observers import Observer
from daemon.live import edit_log
from daemon.live.edit_log import EditLog
from daemon.sound.audio import Audio, AudioSetup
from daemon.sound.click_track import ClickTrack
from daemon.takes.recorder import Recorder
from music.note import Metre

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listeners:
    """takes: the folder they are kept in, None for not keeping them; takes_limit: bytes they may have together; sound:
    whether the band is heard here."""

    takes: Path | None = None
    takes_limit: int = 1 << 29
    sound: AudioSetup = field(default_factory=AudioSetup)

    def start(self, metre: Metre, stack: ExitStack) -> tuple[list[Observer], Audio | None]:
        """Start them, until the stack ends; the audio device takes a moment, and is the second value."""
        found: list[Observer] = []
        audio = None
        if edit_log.log.isEnabledFor(logging.DEBUG):
            found.append(stack.enter_context(closing(EditLog())))
        if self.takes is not None:
            found.append(stack.enter_context(closing(Recorder(self.takes, self.takes_limit, metre))))
        if self.sound.on:
            audio = stack.enter_context(closing(Audio(self.sound.soundfont)))
            found.append(audio)
            if self.sound.click:
                found.append(ClickTrack(metre, audio.send))
        return found, audio
