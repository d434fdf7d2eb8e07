"""Observers of a live performance that the configuration asks for: take recorder, loudspeakers, log of edits."""

from __future__ import annotations

import logging
from collections.abc import Iterable
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


@dataclass(frozen=True, slots=True)
class Listeners:
    """Options of what records and sounds besides the MIDI ports."""

    takes: Path | None = None  #: the folder that takes are kept in; None: they are not kept
    max_takes_bytes: int = 1 << 29  #: the room that all takes together may have
    sound: AudioSetup = field(default_factory=AudioSetup)

    @staticmethod
    def list_takes(observers: Iterable[Observer]) -> list[Path]:
        """Return the files of what was played, once the observers that `start` gave are closed."""
        recorders = (each for each in observers if isinstance(each, Recorder))
        return [path for recorder in recorders for path in recorder.takes if path.exists()]

    def start(self, metre: Metre, stack: ExitStack) -> tuple[list[Observer], Audio | None]:
        """Start the observers that are wanted, until the stack closes. metre: that of bar 1.

        Returns them, and the audio process, if there is one, which is not ready yet.
        """
        found: list[Observer] = []
        audio = None
        if edit_log.log.isEnabledFor(logging.DEBUG):
            found.append(stack.enter_context(closing(EditLog())))
        if self.takes is not None:
            found.append(stack.enter_context(closing(Recorder(self.takes, self.max_takes_bytes, metre))))
        if self.sound.on:
            audio = stack.enter_context(closing(Audio(self.sound.soundfont)))
            found.append(audio)
            if self.sound.click:
                found.append(ClickTrack(audio.send))
        return found, audio
