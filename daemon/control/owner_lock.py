"""The lock by which one band alone has an address of the control socket, and by which others find its process.

It is a file beside the socket. The band's main process holds it as long as it plays, whatever happens to the process
that serves the socket, so that of two bands that start at once exactly one gets the address.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from daemon.control.protocol import TCP
from daemon.system.paths import find_control_token_file
from daemon.system.signals import PANIC_SIGNAL

if sys.platform != "win32":
    import fcntl

#: a band that is not busy answers a signal in milliseconds
SIGNAL_TIMEOUT_S = 2.0
#: how long an address must stay locked to be another's: a program that asks for its owner locks it for a moment
_TAKEN_AFTER_S = 0.3
_LOOK_AGAIN_S = 0.01
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class OwnerLock:
    """An address of the control socket that this process has. On Windows nothing is locked."""

    def __init__(self, where: str) -> None:
        """Take an address. Raises OSError where another band has it, or it cannot be had."""
        self._where = where
        self._path = find_lock_file(where)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file: int | None = None
        while sys.platform != "win32" and self._file is None:
            self._file = self._open()

    def _open(self) -> int | None:
        """Return the locked file; None where it was removed by its owner meanwhile, and has to be made again."""
        file = os.open(self._path, _FLAGS | os.O_CREAT, 0o600)
        try:
            if not _try_lock(file):
                raise OSError(f"another houseband has {self._where} already; give this one a `control` of its own")
            if not _is_at(file, self._path):
                os.close(file)
                return None
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        except OSError:
            os.close(file)
            raise
        return file

    def confirm(self) -> None:
        """Show the program that sent the signal for it that the band has ended what sounded."""
        if self._file is not None:
            os.utime(self._file)

    def release(self, *, remove_socket: bool) -> None:
        """Let others have the address; remove_socket: and remove what clients find it by."""
        if remove_socket:
            (find_control_token_file() if self._where.startswith(TCP) else Path(self._where)).unlink(missing_ok=True)
        if self._file is not None:
            self._path.unlink(missing_ok=True)  # still locked: whoever opened it meanwhile finds that it is gone
            os.close(self._file)
            self._file = None


def find_lock_file(where: str) -> Path:
    """Return the path of the lock of an address. Raises OSError where there is no folder for it."""
    socket = find_control_token_file() if where.startswith(TCP) else Path(where)
    return socket.with_name(f"{socket.name}.lock")


def find_owner(where: str) -> int | None:
    """Return the process id of the band that has an address; None where there is none, or it cannot be told."""
    with _opened(where) as file:
        return None if file is None else _read_owner(file)


def panic_by_signal(where: str) -> bool | None:
    """End what sounds without the control socket; return whether the band confirmed it, None where no band is found."""
    with _opened(where) as file:
        owner = None if file is None else _read_owner(file)
        if file is None or owner is None or PANIC_SIGNAL is None:
            return None
        before = os.fstat(file).st_mtime_ns
        try:
            os.kill(owner, PANIC_SIGNAL)
        except OSError:
            return None
        end = time.monotonic() + SIGNAL_TIMEOUT_S
        while os.fstat(file).st_mtime_ns == before and time.monotonic() < end:
            time.sleep(_LOOK_AGAIN_S)
        return os.fstat(file).st_mtime_ns != before


def is_stopped(process: int) -> bool:
    """Tell whether a process has been stopped, by SIGSTOP or a terminal; known on Linux only."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return state[:1] == ["T"]


@contextlib.contextmanager
def _opened(where: str) -> Iterator[int | None]:
    """Open the lock of an address; None where there is none that can be read."""
    try:
        file = os.open(find_lock_file(where), _FLAGS | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        yield None
        return
    try:
        yield file
    finally:
        os.close(file)


def _read_owner(file: int) -> int | None:
    """Return the process that holds a lock, None where nobody does."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.pread(file, 20, 0).strip()
        return int(number) if number.isdigit() and int(number) > 1 else None
    except OSError:
        return None
    fcntl.flock(file, fcntl.LOCK_UN)
    return None


def _try_lock(file: int) -> bool:
    """Lock a file; return False where another has locked it. A file system without locks has none that holds."""
    end = time.monotonic() + _TAKEN_AFTER_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK_AGAIN_S)
            continue
        except OSError:
            pass
        return True


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False
