"""The file that a take is written to while it is recorded, on a disk that may be full or a folder that may vanish."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from daemon.takes import storage
from daemon.takes.take_log import LOG_SUFFIX

#: what cannot be written waits in memory, up to about so much; after that messages are left out
MAX_WAITING_BYTES = 1 << 20
_COPY_BYTES = 1 << 20
#: kinds of lines that hold until the next of their kind: tempo, metre, style, chord, the hand's channel
_LASTING = "tmsch"


class LogFile:
    """The log of one take. Nothing is lost while it cannot be written for a while, or when its folder is deleted."""

    def __init__(self, folder: Path, header: str) -> None:
        self.size = 0  #: bytes that have been written
        self.missing = 0  #: messages that were left out
        self.moved = False  #: the file was deleted while it was written, and has been made anew
        self._folder, self._waiting = folder, bytearray(header.encode())
        self._newest: dict[str, str] = {}  # kind -> line that holds on, where messages were left out
        self._file: int | None = None
        self._path: Path | None = None

    @property
    def path(self) -> Path | None:
        """The file, once it has been created."""
        return self._path

    def add(self, lines: Iterable[str]) -> None:
        """Add whole lines, to be written with the next `write`."""
        for line in lines:
            if len(self._waiting) > MAX_WAITING_BYTES:
                if line[0] in _LASTING:
                    self._newest[line[0]] = line
                else:
                    self.missing += 1
                continue
            for newest in (*self._newest.values(), line):
                self._waiting += newest.encode(errors="replace")
            self._newest.clear()

    def write(self) -> int:
        """Write what waits, and return the open file. Raises OSError; then the rest waits on."""
        if self._file is None:
            self._file, self._path = self._create()
        elif not self._is_in_place():
            self._make_anew(self._file)
        file = self._file
        while self._waiting:
            written = os.write(file, self._waiting)
            self.size += written
            del self._waiting[:written]
        return file

    def close(self) -> None:
        """Let others convert it. One in which nothing could be written is deleted."""
        if self._file is None:
            return
        storage.unlock(self._file)  # the disk may still be at it
        os.close(self._file)
        self._file = None
        if not self.size and self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _create(self) -> tuple[int, Path]:
        """Create a file that nobody else can read, in a folder that is made if need be. Raises OSError."""
        if not self._folder.is_dir():
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
        name = time.strftime(storage.NAME_FORMAT)
        for number in range(1, 1000):
            path = self._folder / f"{name}{f'-{number}' if number > 1 else ''}{LOG_SUFFIX}"
            if os.path.lexists(path.with_suffix(storage.MIDI_SUFFIX)):
                continue
            with contextlib.suppress(FileExistsError):
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
                storage.lock(file)
                return file, path
        raise FileExistsError(f"{self._folder} has a thousand takes of this second")

    def _is_in_place(self) -> bool:
        assert self._file is not None
        assert self._path is not None
        try:
            there, own = os.lstat(self._path), os.fstat(self._file)
        except OSError:
            return False
        return (there.st_ino, there.st_dev) == (own.st_ino, own.st_dev)

    def _make_anew(self, old: int) -> None:
        """Copy what has been written, which is still there as long as it is open, into a new file. Raises OSError."""
        file, path = self._create()
        try:
            os.lseek(old, 0, os.SEEK_SET)
            while data := os.read(old, _COPY_BYTES):
                while data:
                    data = data[os.write(file, data) :]
        except OSError:
            os.close(file)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        self._file, self._path, self.moved = file, path, True
        os.close(old)
