"""Files that are on the disk, and not only on their way to it, once a function here has returned."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import BinaryIO

from music.errors import UserError


class BusyFileError(UserError):
    """Raised for a file that another program writes."""


def write_durably(path: Path, data: bytes) -> None:
    """Write a file whole, or not at all, and wait until it is on the disk. Raises OSError."""
    temporary = path.with_name(f".houseband-{os.urandom(8).hex()}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can tell. Raises OSError."""
    if sys.platform == "win32":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class LineLog:
    """A file to which whole lines are added, each on the disk before it counts, by one program at a time.

    A last line that was written in part, because the program or the machine stopped, is cut off.
    """

    def __init__(self, path: Path) -> None:
        """Open a file, or begin it. Raises BusyFileError where another program has it, and OSError."""
        is_new = not path.exists()
        self._path = path
        self._file: BinaryIO = path.open("r+b" if not is_new else "x+b", buffering=0)
        try:
            _lock(self._file, path)
            if is_new:
                sync_folder(path.parent)
            data = self._file.read()
        except BaseException:
            self._file.close()
            raise
        whole = data.rfind(b"\n") + 1
        #: the lines that were there, without their ends
        self.lines = data[:whole].split(b"\n")[:-1]
        self._end = whole
        self._is_torn = whole < len(data)

    @property
    def size(self) -> int:
        """The bytes of the whole lines."""
        return self._end

    def append(self, line: bytes) -> None:
        """Add a line. Raises OSError; then the file is as it was before, or is made so before the next line."""
        if self._is_torn:
            self._file.truncate(self._end)
        self._is_torn = True
        self._file.seek(self._end)
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
                self._is_torn = False
            raise
        self._end += len(line) + 1
        self._is_torn = False

    def close(self) -> None:
        """Let other programs have the file."""
        self._file.close()


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other programs from writing a file for as long as it is open. Raises BusyFileError."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(1 << 40)  # a place that nobody reads
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BusyFileError(f"{path.parent}: another studio has this project open; close it there") from None
        file.seek(0)
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyFileError(f"{path.parent}: another studio has this project open; close it there") from None
