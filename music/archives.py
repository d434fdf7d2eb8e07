"""Archives of files: `.tar`, `.tar.gz`, `.tgz` and `.zip`, read without trust in what they claim.

No link is followed, nothing is written, and neither a file nor an archive may unpack to more than is reasonable.
"""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from music.errors import UserError

#: endings of archives that are read
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
#: endings of archives that are not
OTHER_ARCHIVE_SUFFIXES = (".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")
#: a file in an archive may have so many bytes
MAX_MEMBER_BYTES = 128 << 20
#: an archive may unpack to so many bytes, or to so many times its size
FREE_BYTES, MAX_RATIO = 1 << 30, 60
#: an archive may hold so many files
MAX_MEMBERS = 2_000_000

_GZIP_MAGIC = b"\x1f\x8b"
_ENCRYPTED = 0x1  #: flag of a member of a .zip
#: whatever a damaged archive makes its readers raise
_DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, OverflowError, MemoryError, NotImplementedError, RuntimeError),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


class ArchiveError(UserError):
    """An archive that cannot be read, or no further."""


class Member(NamedTuple):
    """A file in an archive."""

    path: PurePosixPath
    #: why it cannot be read; '' where it can
    problem: str
    #: returns its bytes, while it is the newest that was yielded. Raises ArchiveError.
    read: Callable[[], bytes]


def find_archive_suffix(path: PurePath) -> str:
    """Return which of ARCHIVE_SUFFIXES a file's name ends in, in any case, as it is written there; '' for none."""
    return _find_suffix(path.name, ARCHIVE_SUFFIXES)


def is_other_archive(path: PurePath) -> bool:
    """Tell whether a file is an archive of a kind that is not read."""
    return bool(_find_suffix(path.name, OTHER_ARCHIVE_SUFFIXES))


def _find_suffix(name: str, suffixes: tuple[str, ...]) -> str:
    return next((name[-len(s) :] for s in suffixes if name.lower().endswith(s) and len(name) > len(s)), "")


def iterate_archive(archive: Path) -> Iterator[Member]:
    """Yield the files of an archive in its own order. Raises ArchiveError where it cannot be read any further."""
    try:
        with archive.open("rb") as file:
            if file.read(2) == b"PK":
                members = _iterate_zip(file, archive.stat().st_size)
            else:
                members = _iterate_tar(file, archive.stat().st_size)
            for count, member in enumerate(members):
                if count >= MAX_MEMBERS:
                    raise ArchiveError(f"it holds more than {MAX_MEMBERS} files")
                yield member
    except ArchiveError:
        raise
    except _DAMAGE as error:
        raise ArchiveError(_describe_damage(error)) from None


def _describe_damage(error: BaseException) -> str:
    reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return f"the archive is damaged ({reason})"


def _read_member(read: Callable[[int], bytes], size: int) -> bytes:
    """Return the bytes of a member that claims so many. Raises ArchiveError."""
    try:
        content = read(MAX_MEMBER_BYTES + 1)
    except ArchiveError:
        raise
    except _DAMAGE as error:
        raise ArchiveError(_describe_damage(error)) from None
    if len(content) != size:
        raise ArchiveError("the archive is damaged (a file in it ends too early)")
    return content


def _refuse(problem: str) -> Callable[[], bytes]:
    def read() -> bytes:
        raise ArchiveError(problem)

    return read


# --- tar -------------------------------------------------------------------------------------------------------------


class _BoundedFile(io.RawIOBase):
    """A file that is read forwards only so far, and only so much at once: a packed tape of zeros is endless."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file, self._limit = file, limit

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises ArchiveError for more than can be meant."""
        if not 0 <= size <= MAX_MEMBER_BYTES + tarfile.BLOCKSIZE:
            raise ArchiveError("it asks for more memory than an archive of songs can need")
        self._check(self._file.tell() + size)
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place. Raises ArchiveError for one that is too far away."""
        self._check(offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True

    def _check(self, place: int) -> None:
        if place > self._limit:
            raise ArchiveError(f"it unpacks to more than {self._limit >> 20} MiB, and that is too much for its size")


def _iterate_tar(file: BinaryIO, size: int) -> Iterator[Member]:
    file.seek(0)
    is_packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    unpacked = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if is_packed else file
    bounded = _BoundedFile(unpacked, max(FREE_BYTES, MAX_RATIO * size) if is_packed else size + tarfile.RECORDSIZE)
    with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r:") as packed:
        while (member := packed.next()) is not None:
            packed.members = []  # type: ignore[attr-defined]  # else it remembers all of them
            if member.isdir():
                continue
            problem = _judge_tar_member(member)
            path = PurePosixPath(member.name)
            yield Member(path, problem, _refuse(problem) if problem else _make_tar_reader(packed, member))
        bounded.seek(packed.offset)  # tarfile takes a damaged header for the end
        if any(bounded.read(tarfile.BLOCKSIZE)):
            raise ArchiveError("the archive is damaged (something in it is no file)")


def _judge_tar_member(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "is a link in an archive, which is not followed"
    if not member.isreg():
        return "is no regular file"
    if member.size > MAX_MEMBER_BYTES:
        return f"is larger than {MAX_MEMBER_BYTES >> 20} MiB"
    return ""


def _make_tar_reader(packed: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        opened = packed.extractfile(member)
        assert opened is not None
        return _read_member(opened.read, member.size)

    return read


# --- zip -------------------------------------------------------------------------------------------------------------


def _iterate_zip(file: BinaryIO, size: int) -> Iterator[Member]:
    limit, unpacked = max(FREE_BYTES, MAX_RATIO * size), 0
    with zipfile.ZipFile(file) as packed:
        for member in packed.infolist():
            if member.is_dir():
                continue
            problem = _judge_zip_member(member)
            if not problem:
                unpacked += member.file_size
                problem = "would unpack to more than is reasonable for its archive" if unpacked > limit else ""
            path = PurePosixPath(member.filename)
            yield Member(path, problem, _refuse(problem) if problem else _make_zip_reader(packed, member))


def _judge_zip_member(member: zipfile.ZipInfo) -> str:
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link in an archive, which is not followed"
    if kind not in (0, stat.S_IFREG):
        return "is no regular file"
    if member.file_size > MAX_MEMBER_BYTES:
        return f"is larger than {MAX_MEMBER_BYTES >> 20} MiB"
    return ""


def _make_zip_reader(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with packed.open(member) as opened:
                return _read_member(opened.read, member.file_size)
        except ArchiveError:
            raise
        except _DAMAGE as error:
            raise ArchiveError(_describe_damage(error)) from None

    return read
