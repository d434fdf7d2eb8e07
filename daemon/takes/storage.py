"""The folder of takes: which there are, which are being recorded, and how much room they may have.

A take is a log while it is recorded (`daemon.takes.take_log`) and a MIDI file afterwards. Its log is locked as long as
it is written, so that no other process converts or deletes it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from daemon.system import paths
from daemon.system.child_process import run_detached
from daemon.takes import take_log
from daemon.takes.take_log import LOG_SUFFIX

OFF = "off"


def find_folder(configured: str = "auto") -> Path | None:
    """Return the folder of takes, None where they are not kept.

    HOUSEBAND_TAKES says which, else the configuration; `auto` is a folder in the user's data folder.
    """
    named = os.environ.get(paths.TAKES_VARIABLE) or configured
    if named == OFF:
        return None
    if named not in ("auto", ""):
        return Path(named).expanduser()
    return paths.takes_folder()


def list_takes(folder: Path) -> list[Path]:
    """Return the files of all takes in a folder, logs and MIDI files, by name."""
    if not folder.is_dir():
        return []
    return sorted(
        file for file in folder.iterdir() if file.suffix in (LOG_SUFFIX, ".mid") and not file.name.startswith(".")
    )


def list_logs(folder: Path) -> list[Path]:
    """Return the files of the takes in a folder that are no MIDI files yet, by name."""
    return [file for file in list_takes(folder) if file.suffix == LOG_SUFFIX]


def prune(folder: Path, max_bytes: int) -> None:
    """Delete the oldest takes until all together have at most so many bytes. Raises OSError."""
    takes = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in list_takes(folder))
    total = sum(size for _, size, _ in takes)
    for _, size, file in takes:
        if total <= max_bytes:
            return
        with contextlib.suppress(OSError), _exclusive(file):
            file.unlink()
            total -= size


def recover(folder: Path | None = None, failures: list[OSError] | None = None) -> list[Path]:
    """Make MIDI files of the logs that nobody writes any more, and return those that were made.

    folder: None for the one of HOUSEBAND_TAKES. A log that cannot be converted stays for another time; failures:
    takes the reasons.
    """
    folder = folder or find_folder()
    made = []
    for path in list_logs(folder) if folder is not None else ():
        with contextlib.suppress(OSError), _exclusive(path):
            try:
                target = take_log.convert(path)
            except OSError as error:
                if failures is not None:
                    failures.append(error)
                continue
            if target is not None:
                made.append(target)
    return made


def recover_in_background(folder: Path) -> None:
    """Make MIDI files of the logs that nobody writes any more, in a process that nobody waits for."""
    with contextlib.suppress(OSError):
        run_detached("daemon.takes.storage:recover", {paths.TAKES_VARIABLE: str(folder.absolute())})


def is_being_recorded(path: Path) -> bool:
    """Return True if some process writes this take now."""
    try:
        with _exclusive(path):
            return False
    except OSError:
        return True


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a file that nobody else writes. Raises OSError for one that somebody does."""
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


def lock(file: int) -> None:
    """Mark an open file as being written."""
    if sys.platform != "win32":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def unlock(file: int) -> None:
    """Mark an open file as complete."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)
