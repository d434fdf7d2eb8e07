"""The folder of takes: which there are, which are being recorded, and how much room they may have.

A take is a log while it is recorded (`daemon.takes.take_log`) and a MIDI file afterwards. Its log is locked as long as
it is written, so that no other process converts or deletes it. The folder may hold anything else: what the band has not
written, or somebody has changed or renamed since, is never deleted or replaced.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from daemon.core.schema import shorten
from daemon.core.value_types import InvalidValueError, check_path
from daemon.system import paths
from daemon.system.child_process import run_detached
from daemon.takes import take_log
from daemon.takes.take_log import LOG_SUFFIX
from music.errors import UserError, describe_error
from music.midi_text import make_printable

OFF = "off"
MIDI_SUFFIX = ".mid"
#: the suffix of a log in which some lines made no sense, once the others are a MIDI file
DAMAGED_SUFFIX = ".damaged"
#: a take's name, without its suffix: when it began
NAME_FORMAT = "%Y-%m-%d_%H-%M-%S"
_OWN_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d{1,4})?\.(take|mid|damaged)")
#: bytes from a file's beginning by which it is recognised
_HEAD_BYTES = 128


def find_folder(configured: str = "auto") -> Path | None:
    """Return the folder of takes, None where they are not kept.

    HOUSEBAND_TAKES says which, else the configuration; `auto` is a folder in the user's data folder.
    Raises NoHomeError where there is none, and UserError.
    """
    named = os.environ.get(paths.TAKES_VARIABLE) or configured
    if named == OFF:
        return None
    if named in ("auto", ""):
        return paths.find_takes_folder()
    try:
        return check_path(named)
    except InvalidValueError as error:
        raise UserError(f"{paths.TAKES_VARIABLE}: {str(error) or f'takes a folder, not {shorten(named)}'}") from None


def list_takes(folder: Path) -> list[Path]:
    """Return the logs and MIDI files in a folder, by name. Raises OSError for a folder that cannot be read."""
    return _list_files(folder, (LOG_SUFFIX, MIDI_SUFFIX))


def list_logs(folder: Path) -> list[Path]:
    """Return the files of the takes in a folder that are no MIDI files yet, by name. Raises OSError."""
    return _list_files(folder, (LOG_SUFFIX,))


def _list_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the regular files with such names, by name: no links, folders, pipes, whatever they are called."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(folder / name for name in found if name.endswith(suffixes) and not name.startswith("."))


def find_take(log: Path) -> Path:
    """Return the file that the take of a log is by now: its MIDI file, else the log itself."""
    made = log.with_suffix(MIDI_SUFFIX)
    return made if made.exists() else log


def is_own(path: Path) -> bool:
    """Tell whether a file was written by the band and has been neither renamed nor changed since."""
    if not _OWN_NAME.fullmatch(path.name):
        return False
    from daemon.takes import midi_writer  # here, as below, so that getting ready to play does not wait for mido

    try:
        with path.open("rb") as file:
            head, size = file.read(_HEAD_BYTES), os.fstat(file.fileno()).st_size
    except OSError:
        return False
    return midi_writer.is_take(head, size) if path.suffix == MIDI_SUFFIX else take_log.is_log(head)


def prune(folder: Path, max_bytes: int) -> None:
    """Delete the oldest takes of the band until all of them together have at most so many bytes.

    What cannot be looked at or deleted stays.
    """
    takes: list[tuple[float, int, Path]] = []
    with contextlib.suppress(OSError):
        for file in _list_files(folder, (LOG_SUFFIX, MIDI_SUFFIX, DAMAGED_SUFFIX)):
            with contextlib.suppress(OSError):  # it is gone by now
                status = file.lstat()
                if stat.S_ISREG(status.st_mode) and _OWN_NAME.fullmatch(file.name):
                    takes.append((status.st_mtime, status.st_size, file))
    total = sum(size for _, size, _ in takes)
    if total <= max_bytes:
        return
    takes = [take for take in takes if is_own(take[2])]  # opened only when there is something to delete
    total = sum(size for _, size, _ in takes)
    for _, size, file in sorted(takes):
        if total <= max_bytes:
            return
        with contextlib.suppress(OSError), _exclusive(file):
            file.unlink()
            total -= size


def recover(
    folder: Path | None = None, problems: list[str] | None = None, deadline_s: float | None = None
) -> list[Path]:
    """Make MIDI files of the logs that nobody writes any more, and return those that were made.

    folder: None for the one of HOUSEBAND_TAKES; problems: takes a sentence on everything that could not be done;
    deadline_s: the moment (of time.monotonic) from which on nothing more is converted. One log stops no other.
    """
    folder = folder or find_folder()
    said = problems if problems is not None else []
    made: list[Path] = []
    try:
        logs = list_logs(folder) if folder is not None else []
    except OSError as error:
        said.append(f"{folder}: the folder of takes cannot be read: {reason(error)}")
        return made
    for log in logs:
        try:
            with _exclusive(log):
                target = _convert(log, said, deadline_s)
        except (BlockingIOError, FileNotFoundError):  # it is being written, or gone
            continue
        except OSError as error:
            said.append(f"{printable(log)}: not a MIDI file yet: {reason(error)}; it is kept as it is")
            continue
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one take must not stop the others
            said.append(f"{printable(log)}: this take cannot be read: {describe_error(error)}; {_set_aside(log)}")
            continue
        if target is not None:
            made.append(target)
    return made


def _convert(log: Path, said: list[str], deadline_s: float | None) -> Path | None:
    """Make a MIDI file of a log and delete the log; None for one without notes, and for what is no log of the band.

    A log in which some lines made no sense is set aside instead. Raises OSError.
    """
    from daemon.takes import conversion

    target = log.with_suffix(MIDI_SUFFIX)
    if not is_own(target):  # a conversion that was stopped at the very end is done again
        target = _free_path(log, MIDI_SUFFIX)
    stamp = log.stat().st_mtime
    done = conversion.convert(log, target, private=True, deadline_s=deadline_s)
    if done is None:
        return None
    if done.made:
        with contextlib.suppress(OSError):
            os.utime(target, (stamp, stamp))
    if done.bad_lines:
        saved = f"the rest is saved in {target.name}" if done.made else "there is no note in it"
        said.append(
            f"{printable(log)}: this take has lines that make no sense ({done.bad_lines}); {saved}; {_set_aside(log)}"
        )
    elif done.made or _OWN_NAME.fullmatch(log.name):
        log.unlink(missing_ok=True)
    return target if done.made else None


def _set_aside(log: Path) -> str:
    """Rename a log so that nobody tries to convert it again; return half a sentence about it."""
    path = _free_path(log, DAMAGED_SUFFIX)
    try:
        log.rename(path)
    except OSError as error:
        return f"it cannot be set aside: {reason(error)}"
    return f"what was recorded is kept as {path.name}"


def _free_path(path: Path, suffix: str) -> Path:
    """Return a path of that suffix beside another, at which there is nothing yet, not even a link."""
    names = (path.with_name(f"{path.stem}{f'-{number}' if number > 1 else ''}{suffix}") for number in count(1))
    return next(name for name in names if not os.path.lexists(name))


def reason(error: OSError) -> str:
    """Return what went wrong, without the path."""
    return error.strerror or str(error)


def printable(path: Path) -> str:
    """Return a path as it can be shown in a terminal."""
    return make_printable(str(path))


def recover_in_background(folder: Path) -> None:
    """Make MIDI files of the logs that nobody writes any more, in a process that nobody waits for."""
    with contextlib.suppress(OSError):
        run_detached("daemon.takes.storage:recover_idly", {paths.TAKES_VARIABLE: str(folder.absolute())})


def recover_idly() -> None:
    """Do as `recover`, as a process of its own that leaves the processor to those who play."""
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(10)
    recover()


def is_being_recorded(path: Path) -> bool:
    """Return True if some process writes this take now."""
    try:
        with _exclusive(path):
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a file that nobody else writes. Raises BlockingIOError for one that somebody does, else OSError."""
    if sys.platform == "win32":
        try:
            path.rename(path)  # refused while it is open
        except PermissionError:
            raise BlockingIOError(path) from None
        yield
        return
    import fcntl

    # not to wait for somebody to write into a pipe that has taken the file's place
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not stat.S_ISREG(os.fstat(file).st_mode) or not path.exists():
            raise FileNotFoundError(path)
        yield
    finally:
        os.close(file)


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
