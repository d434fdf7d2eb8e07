"""Files written whole or not at all, whatever there is at their path: another file, a link, a device, nothing yet."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO

from music.errors import UserError

#: the path that stands for the standard output
STDOUT = Path("-")
#: paths that are open files of a process: what is behind them must not be replaced
_OPEN_FILES = ("/dev/fd/", "/dev/stdout", "/dev/stderr", "/proc/")


#: links in a row that are followed, at most
_MAX_LINKS = 40
_TRAP = "is a link or a pipe that another user has laid in a folder for all"


class OutputError(UserError):
    """A file that cannot be written, or must not be."""


def check_writable(path: Path, *inputs: Path | None) -> None:
    """Raise OutputError for a path that cannot be written: better before the work than after it.

    It may be STDOUT, or a device or a pipe that is there. inputs: files that are read, or written besides, and must not
    be overwritten; None for one that there is not.
    """
    if path == STDOUT:
        return
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # a name that is too long, links in a circle, a NUL
        raise OutputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    if _find_trap(path) is not None:
        raise OutputError(f"{path}: {_TRAP}; choose another")
    if path.is_dir():
        raise OutputError(f"{path}: cannot be written, for it is a folder; name a file in it")
    if any(_is_same_file(path, each) for each in inputs if each is not None):
        raise OutputError(f"{path}: is the input, which would be lost; name another file")
    folder = _resolve(path).parent if path.is_symlink() else path.parent
    if not path.exists() and not folder.is_dir():
        raise OutputError(f"{path}: cannot be written, for there is no folder {folder}; choose another")
    if not os.access(path, os.W_OK) and (_is_special(path) or not os.access(folder, os.W_OK)):
        raise OutputError(f"{path}: cannot be written, for you have no right to; choose another")


def find_free_path(path: Path) -> Path:
    """Return a path, with a number behind its stem where there is something at it already, even a link."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return path if not os.path.lexists(path) else next(each for each in numbered if not os.path.lexists(each))


def check_distinct(*paths: Path | None) -> None:
    """Raise OutputError where two files that are to be written are one; None stands for none."""
    seen: set[Path] = set()
    for path in paths:
        if path is None or path == STDOUT or _is_special(path):
            continue
        if _resolve(path) in seen:
            raise OutputError(f"{path}: is an output already, which would be lost; name another file")
        seen.add(_resolve(path))


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file as `open_atomically` does; text as UTF-8. Raises OSError."""
    with open_atomically(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write that replaces the one at a path as a whole, and only once all has been written.

    It is written beside the target, under a name nobody can foresee, and renamed. Links are followed, an older file's
    mode and owner are kept. What is no regular file (a device, a pipe, STDOUT) is written straight into, and so is an
    older file whose owner could not be kept or whose folder takes no other. Raises OSError, which names the path.
    """
    with _naming(path):
        _refuse_trap(path)
        if path == STDOUT:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        opened = None if _is_special(path) else _open_beside(path)
        if opened is None:
            with path.open("wb") as straight:
                yield straight
            return
        file, temporary, target = opened
        with _removed_at_last(temporary):
            with file:
                yield file
            temporary.replace(target)


@contextlib.contextmanager
def prepare_replacement(path: Path) -> Iterator[Path]:
    """Give a path to write to, for what opens its files itself; what is there at the end goes to `path`.

    It goes there as with `open_atomically`. Raises OSError, which names the path.
    """
    with _naming(path):
        _refuse_trap(path)
        opened = None if path == STDOUT or _is_special(path) else _open_beside(path)
        if opened is None:
            import shutil  # these two are slow to load and rarely needed
            import tempfile

            with tempfile.TemporaryDirectory() as folder:
                temporary = Path(folder, path.name)
                yield temporary
                with temporary.open("rb") as written, open_atomically(path) as file:
                    shutil.copyfileobj(written, file)
            return
        file, temporary, target = opened
        with _removed_at_last(temporary):
            file.close()
            yield temporary
            temporary.replace(target)


def _refuse_trap(path: Path) -> None:
    """Raise PermissionError for a path that leads elsewhere than its owner meant it to."""
    if path != STDOUT and _find_trap(path) is not None:
        raise PermissionError(errno.EACCES, _TRAP, str(path))


def _find_trap(path: Path) -> Path | None:
    """Return the link or pipe on the way that another user has laid where everybody may write; None where none is.

    Linux itself follows none either (protected_symlinks, protected_fifos), where it is asked to open one.
    """
    if not hasattr(os, "geteuid"):  # Windows
        return None
    for _ in range(_MAX_LINKS):
        try:
            found, folder = path.lstat(), path.parent.stat()
        except OSError:
            return None
        is_foreign = found.st_uid not in (os.geteuid(), folder.st_uid) and folder.st_mode & stat.S_IWOTH
        if is_foreign and (stat.S_ISLNK(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
            return path
        if not stat.S_ISLNK(found.st_mode):
            return None
        path = path.parent / path.readlink()
    return None


def _resolve(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _is_special(path: Path) -> bool:
    """Tell whether a path is something there that is no regular file, or a file that a process has open."""
    if os.path.abspath(path).startswith(_OPEN_FILES):  # noqa: PTH100 - resolve() would follow the link
        return True
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _open_beside(path: Path) -> tuple[BinaryIO, Path, Path] | None:
    """Open a new file beside the target; return it, its path and the target's.

    None where the target has to be written straight into, for that is all its owner or its folder allows.
    """
    target = _resolve(path)
    temporary = target.with_name(f".houseband-{os.urandom(8).hex()}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        file = os.fdopen(os.open(temporary, flags, 0o666), "wb")  # less the umask, as any new file
    except PermissionError:
        if os.access(target, os.W_OK):
            return None
        raise
    if not _copy_owner_and_mode(target, file):
        file.close()
        temporary.unlink()
        return None
    return file, temporary, target


def _copy_owner_and_mode(source: Path, file: BinaryIO) -> bool:
    """Give a file the owner, group and mode of another, if that is there.

    Return False where the owner cannot be had and the other may be written to.
    """
    try:
        old = source.stat()
    except OSError:
        return True
    if not hasattr(os, "fchown"):  # Windows, where files have no such owners and modes
        return True
    new = os.fstat(file.fileno())
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(file.fileno(), old.st_uid, old.st_gid)
        except PermissionError:
            if os.access(source, os.W_OK):
                return False
    os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
    return True


@contextlib.contextmanager
def _removed_at_last(temporary: Path) -> Iterator[None]:
    try:
        yield
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an OSError name the file that was meant, and not the one beside it."""
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename).endswith(".part"):
            error.filename, error.filename2 = str(path), None
        raise
