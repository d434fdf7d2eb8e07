"""The recorder of takes: whatever is played to the band and by it goes through a queue to a thread that writes it down.

The thread writes five times a second, so that whatever ends the program loses less than a second; another one brings
it to the disk, which may take long. Where a take cannot be written, because the disk is full or the folder not ours, it
waits in memory and is tried again; that is one warning, and the band plays on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from daemon.core.observers import Observer, PerformanceView
from daemon.core.settings import Settings
from daemon.takes import storage, take_log
from daemon.takes.chord_history import ChordHistory
from daemon.takes.log_file import LogFile
from daemon.takes.metre_history import MetreHistory
from daemon.takes.settings_history import SettingsHistory, format_change
from music import midi
from music.midi import SYSEX
from music.note import Metre

log = logging.getLogger(__name__)

WRITE_INTERVAL_S = 0.2
#: bytes of a take after which older ones are pruned again: all together are never more than that above the limit
PRUNE_INTERVAL_BYTES = 1 << 18
#: messages from before the band begins that may be its upbeat, which belongs to the take; and how old they may be
MAX_UPBEAT_MESSAGES, MAX_UPBEAT_NS = 64, 4_000_000_000
#: how long the end of the program may wait for the disk, and then for MIDI files to be made
MAX_CLOSE_S, MAX_CONVERSION_S = 5.0, 5.0


class Recorder(Observer):
    """Keeps every performance as a take in a folder."""

    def __init__(self, folder: Path, max_bytes: int, metre: Metre) -> None:
        """max_bytes: those that all takes together may have; the oldest go first."""
        self._queue: SimpleQueue[str | None] = SimpleQueue()  # lines of the log; None ends a take
        self._upbeat: deque[tuple[int, bytes]] = deque(maxlen=MAX_UPBEAT_MESSAGES)
        self._playing = False
        self._mark: tuple[int, int, int] | None = None  # the tempo mark that was written last
        self._settings = SettingsHistory()
        self._chosen: dict[tuple[str, bytes], bytes] = {}  # i or o, status and controller -> newest program or bank
        self._chords = ChordHistory()
        self._metre, self._metres = metre, MetreHistory((0, metre))
        self._performance: PerformanceView | None = None
        self._over = threading.Event()
        self._folder = folder
        self._writer = _TakeWriter(folder, max_bytes, take_log.format_header(metre), self._queue)
        self._thread = threading.Thread(target=self._writer.run, args=(self._over,), name="recorder", daemon=True)
        self._thread.start()

    @property
    def takes(self) -> list[Path]:
        """The files of what was played, once the recorder is closed."""
        return [storage.find_take(log) for log in self._writer.logs]

    def on_start(self, performance: PerformanceView) -> None:
        """Record this performance."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> None:
        """Begin or end a take if the band has begun or ended; write down where bars begin to lie otherwise."""
        if self._performance is None:
            return
        self._begin_or_end_if_due(now)
        if not self._playing:
            return
        self._write_settings(now, self._performance.settings)
        mark = self._metres.update(self._performance, now)
        if mark is not None:
            self._queue.put(take_log.format_metre(*mark))

    def _begin_or_end_if_due(self, now: int) -> None:
        if self._performance is not None and self._performance.playing != self._playing:
            self._begin_or_end(now)

    def _begin_or_end(self, now: int) -> None:
        self._playing = not self._playing
        if not self._playing:
            self._queue.put(None)
            return
        self._mark, self._settings = None, SettingsHistory()
        if self._performance is not None:
            self._write_settings(now, self._performance.settings, is_first=True)
        for (way, _), data in self._chosen.items():
            self._write_down(way, now, data)
        self._chords, self._metres = ChordHistory(), MetreHistory((0, self._metre))
        for at, data in self._upbeat:
            if now - at < MAX_UPBEAT_NS:
                self._write_down("i", at, data)
        self._upbeat.clear()

    def on_input(self, data: bytes, at: int) -> None:
        """Write down a message, or remember it for the take that it may be the upbeat of.

        A take is what is played: messages of the system (clock, SysEx, which may be of any length) are no part of it.
        """
        if not data or data[0] >= SYSEX:
            return
        self._remember_program("i", data)
        if self._playing:
            self._write_down("i", at, data)
        elif not midi.chooses_program(data):
            self._upbeat.append((at, data))

    def on_output(self, data: bytes, due: int) -> None:
        """Write down a message of the band."""
        self._begin_or_end_if_due(due)
        self._remember_program("o", data)
        if self._playing and data[0] < SYSEX:
            self._write_down("o", due, data)

    def _remember_program(self, way: str, data: bytes) -> None:
        """Keep what chooses an instrument for takes that begin later; of a bank and its program, in their order."""
        if midi.chooses_program(data):
            key = way, data[: len(data) - 1]
            self._chosen.pop(key, None)
            self._chosen[key] = data

    def on_chords(self, chords: Sequence[tuple[int, str]]) -> None:
        """Write down which chords the band follows, as far as it has not been written yet."""
        if self._playing:
            for tick, label in self._chords.update(chords):
                self._queue.put(take_log.format_chord(tick, label))

    def _write_down(self, way: str, at: int, data: bytes) -> None:
        if self._performance is None:
            return
        tempo, settings = self._performance.tempo, self._performance.settings
        if tempo is not None and (mark := tempo.mark_at(at)) != self._mark:
            self._mark = mark
            self._queue.put(take_log.format_tempo(mark))
        self._write_settings(at, settings)
        self._queue.put(take_log.format_message(way, at, data))

    def _write_settings(self, at: int, settings: Settings, *, is_first: bool = False) -> None:
        """Write down which controls stand otherwise than before; is_first: of this take."""
        before = self._settings.settings
        for change in self._settings.update(settings):
            self._queue.put(take_log.format_setting(at, format_change(*change)))
        if is_first or settings.style != before.style:
            self._queue.put(take_log.format_style(at, settings.style))
        if settings.chord_channel != before.chord_channel:
            self._queue.put(take_log.format_hand(at, settings.chord_channel - 1))

    def close(self) -> None:
        """Write what is left, and make a MIDI file of it."""
        self._over.set()  # before the last line, which the thread waits for
        self._queue.put(None)
        self._thread.join(MAX_CLOSE_S)
        if self._thread.is_alive():
            log.warning("the end of a take could not be written: the disk does not answer (%s)", self._folder)
            return
        problems: list[str] = []
        storage.recover(self._folder, problems, time.monotonic() + MAX_CONVERSION_S)
        for problem in problems:
            log.warning("%s", problem)


class _TakeWriter:
    """Owns the log of the take that is recorded; everything belongs to its thread."""

    def __init__(self, folder: Path, max_bytes: int, header: str, queue: SimpleQueue[str | None]) -> None:
        self._folder, self._max_bytes, self._header, self._queue = folder, max_bytes, header, queue
        self.logs: list[Path] = []  #: of the takes so far
        self._syncer = _Syncer()
        self._log: LogFile | None = None
        self._pruned_at = 0  # bytes of the take when older ones were pruned last
        self._is_too_long = False  # the take: the rest of it is not recorded
        self._failing = False  # the last attempt to write did not succeed, as has been said

    def run(self, over: threading.Event) -> None:
        """Write the lines of the queue down until the one that ends a take comes after `over` is set."""
        with contextlib.suppress(OSError):
            if storage.list_logs(self._folder):
                storage.recover_in_background(self._folder)
        last = False
        while not last:
            lines = [self._queue.get()]  # while nobody plays nothing wakes us
            last = over.wait(WRITE_INTERVAL_S)
            with contextlib.suppress(Empty):
                while True:
                    lines.append(self._queue.get_nowait())
            self._take_lines(lines, last)
        self._end()

    def _take_lines(self, lines: Sequence[str | None], last: bool) -> None:
        of_this_take: list[str] = []
        for line in lines:
            if line is not None:
                of_this_take.append(line)
                continue
            self._write(of_this_take)
            of_this_take = []
            if self._log is not None:
                self._end()
                if not last:  # whoever closes converts them
                    storage.recover_in_background(self._folder)
            self._is_too_long = False
        self._write(of_this_take)

    def _write(self, lines: list[str]) -> None:
        if self._is_too_long:
            return
        if self._log is None:
            if not lines:
                return
            storage.prune(self._folder, self._max_bytes)
            self._log, self._pruned_at = LogFile(self._folder, self._header), 0
        self._log.add(lines)
        try:
            self._syncer.sync(self._log.write())
        except OSError as error:
            if not self._failing:
                log.warning("takes are no longer recorded: %s (%s)", storage.reason(error), self._folder)
            self._failing = True
            return
        self._report(self._log)
        if self._log.size - self._pruned_at > PRUNE_INTERVAL_BYTES:
            self._pruned_at = self._log.size
            storage.prune(self._folder, self._max_bytes)
        if self._log.size > self._max_bytes // 2:
            reason = f"this one alone has filled half of the {self._max_bytes >> 20} MB that takes may have"
            log.warning("the rest of this take is not recorded: %s (%s)", reason, self._folder)
            self._is_too_long = True
            self._end()
            storage.recover_in_background(self._folder)

    def _report(self, written: LogFile) -> None:
        """Say what has changed with a write that succeeded."""
        if self._failing:
            lost = f"; {written.missing} messages of this one are missing" if written.missing else ""
            log.warning("takes are recorded again%s (%s)", lost, self._folder)
        if written.moved:
            log.warning("a take was deleted while it was recorded; it has been made anew (%s)", self._folder)
        self._failing, written.missing, written.moved = False, 0, False

    def _end(self) -> None:
        if self._log is not None:
            self._log.close()
            if self._log.path is not None:
                self.logs.append(self._log.path)
            self._log = None


class _Syncer:
    """Brings written bytes to the disk in a thread of its own, so that a slow disk holds up no write."""

    def __init__(self) -> None:
        self._failure: OSError | None = None
        self._files: SimpleQueue[int] = SimpleQueue()
        self._busy = False
        threading.Thread(target=self._run, name="recorder-sync", daemon=True).start()

    def sync(self, file: int) -> None:
        """Bring a file to the disk; do nothing while the disk is still at it. Raises OSError if it failed before."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if not self._busy:
            self._busy = True
            self._files.put(os.dup(file))

    def _run(self) -> None:
        while True:
            file = self._files.get()
            try:
                os.fsync(file)
            except OSError as error:
                self._failure = error
            finally:
                os.close(file)
                self._busy = False
