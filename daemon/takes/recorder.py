"""Every take is kept: what the conductor hears and sends goes through a queue to a thread that writes it down.

The thread writes five times a second, so that whatever ends the program loses less than a second; another sees to it
that the disk has it, which may take long. A take is a journal while it is played (`daemon.takes.take_log`) and a MIDI
file
afterwards. When it cannot be written, for the disk is full or the folder not ours, that is said once, and the band
plays on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from daemon.core.observers import Observer, PerformanceView
from daemon.core.settings import Settings
from daemon.system.child_process import run_detached
from daemon.takes import take_log
from daemon.takes.take_log import ENDING
from music.note import Metre

log = logging.getLogger(__name__)

#: seconds between two writes
RHYTHM = 0.2
#: bytes of a take after which older ones are looked at again: all together are never more than that above the limit
LOOK = 1 << 18
#: messages that are remembered from before the band begins: an upbeat belongs to the take; and for how long (ns)
UPBEAT, UPBEAT_NS = 64, 4_000_000_000
#: names the folder instead of the configuration, or is `off`
VARIABLE = "HOUSEBAND_TAKES"
OFF = "off"


def folder(said: str = "auto") -> Path | None:
    """Where takes are: what HOUSEBAND_TAKES says, else the configuration; auto: the user's data folder; None: off."""
    named = os.environ.get(VARIABLE) or said
    if named == OFF:
        return None
    if named not in ("auto", ""):
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("houseband") / "takes"


class Recorder(Observer):
    """Keeps every performance as a take in a folder."""

    def __init__(self, where: Path, limit: int, metre: Metre) -> None:
        """limit: bytes that all takes together may have; the oldest go first."""
        self._queue: SimpleQueue[str | None] = SimpleQueue()  # lines; None ends a take
        self._upbeat: deque[tuple[int, bytes]] = deque(maxlen=UPBEAT)
        self._playing = False
        self._mark: tuple[int, int, int] | None = None
        self._settings: Settings | None = None
        self._style = ""
        self._performance: PerformanceView | None = None
        self._over = threading.Event()
        self._scribe = _TakeWriter(where, limit, take_log.head(metre), self._queue)
        self._thread = threading.Thread(target=self._scribe.run, args=(self._over,), name="recorder", daemon=True)
        self._thread.start()

    def on_start(self, performance: PerformanceView) -> None:
        """Record this performance."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> None:
        """Begin or end a take if the band has begun or ended."""
        self._follow(now)

    def _follow(self, now: int) -> None:
        if self._performance is None or self._performance.playing == self._playing:
            return
        self._playing = not self._playing
        if not self._playing:
            self._queue.put(None)
            return
        self._mark = self._settings = None
        self._style = ""
        for at, data in self._upbeat:
            if now - at < UPBEAT_NS:
                self._note("i", at, data)
        self._upbeat.clear()

    def on_input(self, data: bytes, at: int) -> None:
        """Write down a message, or remember it for the take that it may be the upbeat of."""
        if self._playing:
            self._note("i", at, data)
        else:
            self._upbeat.append((at, data))

    def on_output(self, data: bytes, due: int) -> None:
        """Write down a message of the band."""
        self._follow(due)
        if self._playing:
            self._note("o", due, data)

    def _note(self, way: str, at: int, data: bytes) -> None:
        if self._scribe.silent or self._performance is None:
            return
        tempo, settings = self._performance.tempo, self._performance.settings
        if tempo is not None and (mark := tempo.mark_at(at)) != self._mark:
            self._mark = mark
            self._queue.put(take_log.tempo_line(mark))
        if settings is not self._settings:
            self._settings = settings
            if settings.style != self._style:
                self._style = settings.style
                self._queue.put(take_log.style_line(at, settings.style))
        self._queue.put(take_log.message_line(way, at, data))

    def close(self) -> None:
        """Write what is left, and make a MIDI file of it."""
        self._over.set()  # before the last line, which the thread waits for
        self._queue.put(None)
        self._thread.join()
        if self._scribe.silent:
            return
        trouble: list[OSError] = []
        recover(self._scribe.folder, trouble)
        if trouble:
            reason = trouble[0].strerror or str(trouble[0])
            log.warning("a take is not a MIDI file yet: %s (%s); it is kept as it is", reason, self._scribe.folder)


class _TakeWriter:
    """Sole owner of the files; everything but `silent` belongs to its thread."""

    def __init__(self, where: Path, limit: int, head: str, queue: SimpleQueue[str | None]) -> None:
        self.folder = where
        self.silent = False
        self._limit, self._head, self._queue = limit, head, queue
        self._syncer = _Syncer()
        self._file: int | None = None
        self._path = where
        self._size = self._looked = 0

    def run(self, over: threading.Event) -> None:
        if any(_journals(self.folder)):
            convert_beside(self.folder)
        last = False
        while not last:
            found = [self._queue.get()]  # while nobody plays nothing wakes us
            last = over.wait(RHYTHM)
            with contextlib.suppress(Empty):
                while True:
                    found.append(self._queue.get_nowait())
            try:
                self._take(found, last)
            except OSError as error:
                self._give_up(error.strerror or str(error))
        self._end()

    def _take(self, found: Sequence[str | None], last: bool) -> None:
        lines: list[str] = []
        for line in found:
            if line is not None:
                lines.append(line)
                continue
            self._write(lines)
            lines = []
            if self._file is not None:
                self._end()
                if not last:  # whoever closes writes them up
                    convert_beside(self.folder)
        self._write(lines)

    def _write(self, lines: list[str]) -> None:
        if not lines or self.silent:
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
        if self._syncer.trouble is not None:
            raise self._syncer.trouble
        if self._size - self._looked > LOOK:
            self._looked = self._size
            prune(self.folder, self._limit)
        if self._size > self._limit:
            self._give_up(f"this one alone is longer than the {self._limit >> 20} MB that takes may have")

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        prune(self.folder, self._limit)
        name = time.strftime("%Y-%m-%d_%H-%M-%S")
        for number in range(1, 1000):
            path = self.folder / f"{name}{f'-{number}' if number > 1 else ''}{ENDING}"
            if path.with_suffix(".mid").exists():
                continue
            with contextlib.suppress(FileExistsError):
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
                break
        else:
            raise FileExistsError(f"{self.folder} has a thousand takes of this second")
        _lock(self._file)
        self._path = path
        self._size = self._looked = os.write(self._file, self._head.encode())

    def _give_up(self, reason: str) -> None:
        if not self.silent:
            log.warning("takes are no longer recorded: %s (%s)", reason, self.folder)
        self.silent = True
        self._end()

    def _end(self) -> None:
        if self._file is not None:
            _unlock(self._file)  # the disk may still be at it
            os.close(self._file)
            self._file = None


class _Syncer:
    """Brings to the disk what has been written, in a thread of its own: a slow disk holds up no write."""

    def __init__(self) -> None:
        self.trouble: OSError | None = None
        self._wanted: SimpleQueue[int] = SimpleQueue()
        self._busy = False
        threading.Thread(target=self._run, name="recorder-sync", daemon=True).start()

    def sync(self, file: int) -> None:
        """What has been written to a file; nothing while the disk is still at it."""
        if not self._busy:
            self._busy = True
            self._wanted.put(os.dup(file))

    def _run(self) -> None:
        while True:
            file = self._wanted.get()
            try:
                os.fsync(file)
            except OSError as error:
                self.trouble = error
            finally:
                os.close(file)
                self._busy = False


def convert_beside(where: Path) -> None:
    """Makes MIDI files of the journals in a folder, in a process of its own that waits for nobody."""
    with contextlib.suppress(OSError):
        run_detached("daemon.takes.recorder:recover", {VARIABLE: str(where.absolute())})


def recover(where: Path | None = None, trouble: list[OSError] | None = None) -> list[Path]:
    """Makes MIDI files of the journals that nobody writes any more, in a folder or the one of HOUSEBAND_TAKES; which
    were made. What cannot be written stays for another time; trouble: takes the reasons."""
    where = where or folder()
    made = []
    for path in _journals(where) if where is not None else ():
        with contextlib.suppress(OSError), _left_alone(path):
            try:
                target = take_log.convert(path)
            except OSError as error:
                if trouble is not None:
                    trouble.append(error)
                continue
            if target is not None:
                made.append(target)
    return made


def prune(where: Path, limit: int) -> None:
    """Deletes the oldest takes until all together have at most so many bytes. Raises OSError."""
    takes = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in files(where))
    total = sum(size for _, size, _ in takes)
    for _, size, file in takes:
        if total <= limit:
            return
        with contextlib.suppress(OSError), _left_alone(file):
            file.unlink()
            total -= size


def files(where: Path) -> list[Path]:
    """All takes in a folder, written up or not, by name."""
    if not where.is_dir():
        return []
    return sorted(file for file in where.iterdir() if file.suffix in (ENDING, ".mid") and not file.name.startswith("."))


def _journals(where: Path) -> list[Path]:
    return [file for file in files(where) if file.suffix == ENDING]


def is_being_played(path: Path) -> bool:
    """Whether somebody writes this take now."""
    try:
        with _left_alone(path):
            return False
    except OSError:
        return True


@contextlib.contextmanager
def _left_alone(path: Path) -> Iterator[None]:
    """Holds a file that nobody else writes. Raises OSError for one that somebody does."""
    if sys.platform == "win32":
        path.rename(path)  # refused while it is open
        yield
        return
    import fcntl

    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():
            raise FileNotFoundError(path)
        yield


def _unlock(file: int) -> None:
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)


def _lock(file: int) -> None:
    if sys.platform != "win32":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
