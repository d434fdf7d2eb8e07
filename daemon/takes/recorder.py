"""The recorder of takes: whatever is played to the band and by it goes through a queue to a thread that writes it down.

The thread writes five times a second, so that whatever ends the program loses less than a second; another one brings
it to the disk, which may take long. A take that cannot be written, because the disk is full or the folder not ours, is
one warning, and the band plays on.
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
from daemon.takes.take_log import LOG_SUFFIX
from music.note import Metre

log = logging.getLogger(__name__)

WRITE_INTERVAL_S = 0.2
#: bytes of a take after which older ones are pruned again: all together are never more than that above the limit
PRUNE_INTERVAL_BYTES = 1 << 18
#: messages from before the band begins that may be its upbeat, which belongs to the take; and how old they may be
MAX_UPBEAT_MESSAGES, MAX_UPBEAT_NS = 64, 4_000_000_000


class Recorder(Observer):
    """Keeps every performance as a take in a folder."""

    def __init__(self, folder: Path, max_bytes: int, metre: Metre) -> None:
        """max_bytes: those that all takes together may have; the oldest go first."""
        self._queue: SimpleQueue[str | None] = SimpleQueue()  # lines of the log; None ends a take
        self._upbeat: deque[tuple[int, bytes]] = deque(maxlen=MAX_UPBEAT_MESSAGES)
        self._playing = False
        self._mark: tuple[int, int, int] | None = None  # the tempo mark that was written last
        self._settings: Settings | None = None
        self._style = ""
        self._performance: PerformanceView | None = None
        self._over = threading.Event()
        self._writer = _TakeWriter(folder, max_bytes, take_log.format_header(metre), self._queue)
        self._thread = threading.Thread(target=self._writer.run, args=(self._over,), name="recorder", daemon=True)
        self._thread.start()

    def on_start(self, performance: PerformanceView) -> None:
        """Record this performance."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> None:
        """Begin or end a take if the band has begun or ended."""
        if self._performance is not None and self._performance.playing != self._playing:
            self._begin_or_end(now)

    def _begin_or_end(self, now: int) -> None:
        self._playing = not self._playing
        if not self._playing:
            self._queue.put(None)
            return
        self._mark = self._settings = None
        self._style = ""
        for at, data in self._upbeat:
            if now - at < MAX_UPBEAT_NS:
                self._write_down("i", at, data)
        self._upbeat.clear()

    def on_input(self, data: bytes, at: int) -> None:
        """Write down a message, or remember it for the take that it may be the upbeat of."""
        if self._playing:
            self._write_down("i", at, data)
        else:
            self._upbeat.append((at, data))

    def on_output(self, data: bytes, due: int) -> None:
        """Write down a message of the band."""
        self.on_wait(due, None)
        if self._playing:
            self._write_down("o", due, data)

    def _write_down(self, way: str, at: int, data: bytes) -> None:
        if self._writer.stopped or self._performance is None:
            return
        tempo, settings = self._performance.tempo, self._performance.settings
        if tempo is not None and (mark := tempo.mark_at(at)) != self._mark:
            self._mark = mark
            self._queue.put(take_log.format_tempo(mark))
        if settings is not self._settings:
            self._settings = settings
            if settings.style != self._style:
                self._style = settings.style
                self._queue.put(take_log.format_style(at, settings.style))
        self._queue.put(take_log.format_message(way, at, data))

    def close(self) -> None:
        """Write what is left, and make a MIDI file of it."""
        self._over.set()  # before the last line, which the thread waits for
        self._queue.put(None)
        self._thread.join()
        if self._writer.stopped:
            return
        failures: list[OSError] = []
        storage.recover(self._writer.folder, failures)
        if failures:
            reason = failures[0].strerror or str(failures[0])
            log.warning("a take is not a MIDI file yet: %s (%s); it is kept as it is", reason, self._writer.folder)


class _TakeWriter:
    """Owns the file of the take that is recorded; everything but `stopped` belongs to its thread."""

    def __init__(self, folder: Path, max_bytes: int, header: str, queue: SimpleQueue[str | None]) -> None:
        self.folder = folder
        self.stopped = False  #: takes cannot be written any more
        self._max_bytes, self._header, self._queue = max_bytes, header, queue
        self._syncer = _Syncer()
        self._file: int | None = None
        self._size = self._pruned_at = 0  # bytes of the take, and of which when older ones were pruned last

    def run(self, over: threading.Event) -> None:
        """Write the lines of the queue down until the one that ends a take comes after `over` is set."""
        if any(storage.list_logs(self.folder)):
            storage.recover_in_background(self.folder)
        last = False
        while not last:
            lines = [self._queue.get()]  # while nobody plays nothing wakes us
            last = over.wait(WRITE_INTERVAL_S)
            with contextlib.suppress(Empty):
                while True:
                    lines.append(self._queue.get_nowait())
            try:
                self._take_lines(lines, last)
            except OSError as error:
                self._give_up(error.strerror or str(error))
        self._end()

    def _take_lines(self, lines: Sequence[str | None], last: bool) -> None:
        of_this_take: list[str] = []
        for line in lines:
            if line is not None:
                of_this_take.append(line)
                continue
            self._write(of_this_take)
            of_this_take = []
            if self._file is not None:
                self._end()
                if not last:  # whoever closes converts them
                    storage.recover_in_background(self.folder)
        self._write(of_this_take)

    def _write(self, lines: list[str]) -> None:
        if not lines or self.stopped:
            return
        if self._file is None:
            self._begin()
        data = "".join(lines).encode()
        assert self._file is not None
        while data:
            written = os.write(self._file, data)
            self._size += written
            data = data[written:]
        self._syncer.sync(self._file)
        if self._syncer.failure is not None:
            raise self._syncer.failure
        if self._size - self._pruned_at > PRUNE_INTERVAL_BYTES:
            self._pruned_at = self._size
            storage.prune(self.folder, self._max_bytes)
        if self._size > self._max_bytes:
            self._give_up(f"this one alone is longer than the {self._max_bytes >> 20} MB that takes may have")

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        storage.prune(self.folder, self._max_bytes)
        name = time.strftime("%Y-%m-%d_%H-%M-%S")
        for number in range(1, 1000):
            path = self.folder / f"{name}{f'-{number}' if number > 1 else ''}{LOG_SUFFIX}"
            if path.with_suffix(".mid").exists():
                continue
            with contextlib.suppress(FileExistsError):
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
                break
        else:
            raise FileExistsError(f"{self.folder} has a thousand takes of this second")
        storage.lock(self._file)
        self._size = self._pruned_at = os.write(self._file, self._header.encode())

    def _give_up(self, reason: str) -> None:
        if not self.stopped:
            log.warning("takes are no longer recorded: %s (%s)", reason, self.folder)
        self.stopped = True
        self._end()

    def _end(self) -> None:
        if self._file is not None:
            storage.unlock(self._file)  # the disk may still be at it
            os.close(self._file)
            self._file = None


class _Syncer:
    """Brings written bytes to the disk in a thread of its own, so that a slow disk holds up no write."""

    def __init__(self) -> None:
        self.failure: OSError | None = None
        self._files: SimpleQueue[int] = SimpleQueue()
        self._busy = False
        threading.Thread(target=self._run, name="recorder-sync", daemon=True).start()

    def sync(self, file: int) -> None:
        """Bring a file to the disk; do nothing while the disk is still at it."""
        if not self._busy:
            self._busy = True
            self._files.put(os.dup(file))

    def _run(self) -> None:
        while True:
            file = self._files.get()
            try:
                os.fsync(file)
            except OSError as error:
                self.failure = error
            finally:
                os.close(file)
                self._busy = False
