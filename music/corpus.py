"""Collections of songs as MIDI files, packed (`<collection>.tar.gz`) or in folders (`<collection>/`).

In both, the files of a split lie in a folder of its name: `train/003-jazz.mid`. The part of a file's name before the
first dash is the song it belongs to: the segments, movements and arrangements of a song are files of their own.

Any folder of songs will do, too (`list_songs`): what cannot be read in it is told, and costs nothing else.
"""

from __future__ import annotations

import hashlib
import os
import random
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

from music import midifile, styles
from music.archives import ARCHIVE_SUFFIXES, ArchiveError, find_archive_suffix, is_other_archive, iterate_archive
from music.errors import UserError
from music.midi_text import make_printable
from music.midifile import MAX_FILE_BYTES, Song

#: Where songs are learned from, and where what was learned is tried.
SPLITS = ("train", "valid")
ARCHIVE_SUFFIX = ".tar.gz"
MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")
_UNREADABLE = "cannot be read"


class CorpusError(UserError):
    """A collection that is not there or cannot be read."""


@dataclass(frozen=True, slots=True)
class SongFile:
    """A MIDI file of a collection."""

    collection: str
    split: str
    name: str  #: without its ending
    content: bytes
    is_own: bool = (
        False  #: it lies in no folder of a split, but in somebody's own: its name says neither song nor style
    )

    @property
    def song(self) -> str:
        """The song it belongs to."""
        return self.name if self.is_own else get_song(self.name)

    @property
    def named_style(self) -> str | None:
        """The style it was made in, where its name says so."""
        return None if self.is_own else styles.read_style(self.collection, self.name)

    @property
    def style(self) -> str:
        """The style it is in, by its name or its collection."""
        return styles.find_style(self.collection, "" if self.is_own else self.name)

    def read(self) -> Song:
        """Return the notes in it. Raises MidiFileError when it is not a MIDI file."""
        return midifile.parse(self.content, f"{self.collection}/{self.name}")


def get_song(name: str) -> str:
    """Return the song a file belongs to: `020-a`, `020-b` and `020-jazz` are all of song 020."""
    return name.partition("-")[0]


# --- one split of one collection ------------------------------------------------------------------------------------


def read_split(
    data: Path,
    collection: str,
    split: str,
    *,
    songs: int | None = None,
    seed: int = 0,
    style: str | None = None,
) -> list[SongFile]:
    """Return the files of a split, sorted by name.

    data: the folder that holds `<collection>/<split>/*.mid`, or `<collection>.tar.gz` with `<split>/*.mid` in it;
    songs: choose so many songs by `seed`, with all of their files; style: leave out files whose names say another one.
    Raises CorpusError when none is left.
    """
    source = find_split(data, collection, split)
    if source.is_dir():
        files = {path.stem: path for path in source.iterdir() if is_midi(path)}
        chosen = _choose(files, collection, songs, seed, style)
        found = [SongFile(collection, split, name, files[name].read_bytes()) for name in chosen]
    else:
        packed = _read_packed_split(source, split)
        chosen = _choose(packed, collection, songs, seed, style)
        found = [SongFile(collection, split, name, packed[name]) for name in chosen]
    if not found:
        made = f" in style {style}" if style else ""
        raise CorpusError(f"{data}: the split {split!r} of {collection} holds no MIDI file{made}")
    return found


def _read_packed_split(archive: Path, split: str) -> dict[str, bytes]:
    """Return the MIDI files in an archive's folders of a split, by name. Raises CorpusError."""
    try:
        return {
            member.path.stem: member.read()
            for member in iterate_archive(archive)
            if member.path.parent.name == split and is_midi(member.path)
        }
    except ArchiveError as error:
        raise CorpusError(f"{archive}: not a readable archive ({error})") from None


def find_split(data: Path, collection: str, split: str) -> Path:
    """Return the folder or the archive that holds a split. Raises CorpusError when neither is there."""
    folder, archive = data / collection / split, data / f"{collection}{ARCHIVE_SUFFIX}"
    if folder.is_dir():
        return folder
    if archive.is_file():
        return archive
    raise CorpusError(
        f"no music to judge by: there is neither {folder} nor {archive}; name the folder of the collections with --data"
    )


def find_next_song(files: Sequence[SongFile], index: int) -> SongFile | None:
    """Return the next file of the list, going round, that belongs to another song and is made in the same style."""
    here = files[index]
    for file in (*files[index + 1 :], *files[:index]):
        if file.song != here.song and file.named_style == here.named_style:
            return file
    return None


def _choose(names: Iterable[str], collection: str, songs: int | None, seed: int, style: str | None) -> list[str]:
    fitting = sorted(n for n in names if style is None or styles.read_style(collection, n) in (None, style))
    if songs is None:
        return fitting
    ids = sorted({get_song(name) for name in fitting})
    drawn = set(random.Random(seed).sample(ids, min(songs, len(ids))))
    return [name for name in fitting if get_song(name) in drawn]


# --- everything below a folder --------------------------------------------------------------------------------------


class SkippedFile(NamedTuple):
    """A file in a folder of songs that is not used."""

    file: str  #: its path below the folder, printable; what lies in an archive follows the archive's path
    reason: str  #: why not, in the form "is ..."


@dataclass(frozen=True, slots=True)
class SongSource:
    """A MIDI file in a folder of songs, which has not been read yet."""

    collection: str
    split: str
    name: str  #: of its song: without its ending, but in a user's own folder with the folders it lies in
    path: Path  #: the file or the archive
    member: str  #: its path in the archive; '' for a file
    label: str  #: as in `SkippedFile.file`
    is_own: bool = False  #: as in `SongFile`

    def with_content(self, content: bytes) -> SongFile:
        """Return the file with its bytes."""
        return SongFile(self.collection, self.split, self.name, content, self.is_own)

    def skip(self, reason: str) -> SkippedFile:
        """Return that it is not used."""
        return SkippedFile(self.label, reason)

    def read(self) -> SongFile:
        """Read a file that is in no archive. Raises CorpusError, with the reason alone."""
        try:
            # a pipe that has come in its place must not stop everything
            handle = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            with os.fdopen(handle, "rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            raise CorpusError(_describe_os_error(error)) from None
        if len(content) > MAX_FILE_BYTES:
            raise CorpusError(f"is larger than {MAX_FILE_BYTES >> 20} MiB")
        return self.with_content(content)


class CorpusListing(NamedTuple):
    """The songs below a folder."""

    files: tuple[SongSource, ...]  #: first those in archives, each sorted by path
    skipped: tuple[SkippedFile, ...]


def list_songs(folder: Path, collections: Iterable[str] | None = None) -> CorpusListing:
    """List every MIDI file below a folder, in archives and folders, those behind links too; nothing ends it.

    folder: may be a MIDI file, too, which is a folder of one song then; collections: only these. A file in no folder
    of a split, as in a user's own folder, is of the collection that the folder or the archive is called; every tenth
    of those, by the hash of its name, is in the split `valid`. Of an archive that has folders of splits, only these
    are used; they are of the collection that the folder around them is called, where that is a known one.
    """
    wanted = frozenset(collections) if collections else None
    if wanted is None and is_midi(folder) and folder.is_file():
        return CorpusListing((_describe_source(folder.parent, folder, folder.stem),), ())
    own_name = Path(os.path.realpath(folder)).name
    paths, skipped = _walk(folder)
    files: list[SongSource] = []
    for archive in (path for path in paths if find_archive_suffix(path)):
        name = archive.name.removesuffix(find_archive_suffix(archive))
        if wanted is None or name in wanted or not styles.is_collection(name):
            listing = _list_archive(folder, archive, name)
            of_wanted = [source for source in listing.files if wanted is None or source.collection in wanted]
            files += of_wanted
            skipped += listing.skipped if wanted is None or name in wanted or of_wanted else ()
    for path in paths:
        if is_midi(path):
            source = _describe_source(folder, path, own_name)
            if wanted is None or source.collection in wanted:
                files.append(source)
    return CorpusListing(tuple(files), tuple(sorted(skipped)))


def read_songs(files: Iterable[SongSource]) -> Iterator[tuple[SongSource, SongFile | str]]:
    """Yield each file with its content, or with the reason why it has none; last those in archives."""
    packed = []
    for source in files:
        if source.member:
            packed.append(source)
            continue
        try:
            yield source, source.read()
        except CorpusError as error:
            yield source, str(error)
    yield from read_packed(packed)


def read_own_songs(
    folder: Path, split: str | None = None, *, songs: int | None = None, seed: int = 0
) -> tuple[list[SongFile], list[SkippedFile]]:
    """Return the songs below any folder, and what cannot be read of it.

    split: only those that training takes for it; songs: choose so many files by `seed`. Raises CorpusError when there
    is none.
    """
    listing = list_songs(folder)
    files = [source for source in listing.files if split in (None, source.split)]
    if songs is not None:
        chosen = set(random.Random(seed).sample(files, min(songs, len(files))))
        files = [source for source in files if source in chosen]
    found, skipped = [], list(listing.skipped)
    for source, content in read_songs(files):
        if isinstance(content, SongFile):
            found.append(content)
        else:
            skipped.append(source.skip(content))
    if not found:
        in_split = f" in the split {split!r}" if split else ""
        raise CorpusError(f"{folder}: holds no MIDI file{in_split}; name another folder with --data")
    return found, sorted(skipped)


def read_packed(files: Iterable[SongSource]) -> Iterator[tuple[SongSource, SongFile | str]]:
    """Yield each file in an archive as `read_songs` does, in the archive's own order."""
    packed: dict[Path, dict[str, SongSource]] = {}
    for source in files:
        packed.setdefault(source.path, {})[source.member] = source
    for archive, left in packed.items():
        problem = "is not in the archive any more"
        try:
            for member in iterate_archive(archive):
                found = left.pop(str(member.path), None)
                if found is not None:
                    try:
                        yield found, found.with_content(member.read())
                    except ArchiveError as error:
                        yield found, str(error)
        except ArchiveError as error:
            problem = str(error)
        yield from ((source, problem) for source in left.values())


def is_midi(path: PurePath) -> bool:
    """Tell whether a file's name ends as those of MIDI files do."""
    return path.suffix.lower() in MIDI_SUFFIXES


def _describe_source(folder: Path, path: Path, collection: str) -> SongSource:
    """Return a MIDI file in a folder of songs."""
    inside = path.relative_to(folder)
    label = make_printable(str(inside))
    if path.parent.name in SPLITS:
        return SongSource(path.parent.parent.name, path.parent.name, path.stem, path, "", label)
    name = inside.as_posix().removesuffix(path.suffix)
    return SongSource(collection, _assign_split(path.stem), name, path, "", label, is_own=True)


def _list_archive(folder: Path, archive: Path, collection: str) -> CorpusListing:
    """List the MIDI files in an archive, sorted by path."""
    label = make_printable(str(archive.relative_to(folder)))
    found: dict[PurePosixPath, None] = {}
    skipped: list[SkippedFile] = []
    try:
        for member in iterate_archive(archive):
            name = f"{label}/{make_printable(str(member.path))}"
            if find_archive_suffix(member.path) or is_other_archive(member.path):
                skipped.append(SkippedFile(name, "is an archive in an archive; unpack the outer one"))
            elif is_midi(member.path) and (member.problem or member.path in found):
                skipped.append(SkippedFile(name, member.problem or "is in the archive twice"))
            elif is_midi(member.path):
                found[member.path] = None
    except ArchiveError as error:
        skipped.append(SkippedFile(label, str(error)))
    if not found and not skipped:
        skipped.append(SkippedFile(label, "holds no MIDI file"))
    has_splits = any(path.parent.name in SPLITS for path in found)
    files = []
    for path in sorted(found):
        name = f"{label}/{make_printable(str(path))}"
        if path.parent.name in SPLITS:
            inner = path.parent.parent.name  # an archive may hold several of the collections that are known
            files.append(
                SongSource(
                    inner if styles.is_collection(inner) else collection,
                    path.parent.name,
                    path.stem,
                    archive,
                    str(path),
                    name,
                )
            )
        elif has_splits:
            skipped.append(SkippedFile(name, f"is in no folder called {' or '.join(SPLITS)}, as others in its archive"))
        else:
            own = str(path).removesuffix(path.suffix)
            files.append(SongSource(collection, _assign_split(path.stem), own, archive, str(path), name, is_own=True))
    return CorpusListing(tuple(files), tuple(skipped))


def _assign_split(name: str) -> str:
    return SPLITS[int(hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest(), 16) % 10 == 0]


def _walk(folder: Path) -> tuple[list[Path], list[SkippedFile]]:
    """Return the MIDI files and archives below a folder, sorted, and what only looks like one.

    Links are followed, and no folder is read twice.
    """
    paths: list[Path] = []
    skipped: list[SkippedFile] = []
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            about = here.stat()
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            names = sorted(os.listdir(here))  # noqa: PTH208 - iterdir() would make a path of each name
        except OSError as error:
            skipped.append(_skip(folder, here, f"cannot be listed ({error.strerror})"))
            continue
        for name in names:
            path = here / name
            problem = _find_problem(path)
            if problem is None:
                waiting.append(path)
            looks_like_one = is_midi(path) or find_archive_suffix(path) or is_other_archive(path)
            if looks_like_one and problem == "":
                paths.append(path)
            elif problem and (looks_like_one or problem.startswith(_UNREADABLE)):
                skipped.append(_skip(folder, path, problem))
            elif is_midi(path):
                skipped.append(_skip(folder, path, "is a folder; the songs in it are read"))
    return sorted(paths), skipped


def _skip(folder: Path, path: Path, reason: str) -> SkippedFile:
    return SkippedFile(make_printable(str(path.relative_to(folder))), reason)


def _find_problem(path: Path) -> str | None:
    """Return why a path cannot be read as a file, '' where nothing is known against it, None for a folder."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return "is a link that leads nowhere"
    except OSError as error:
        return _describe_os_error(error)
    if stat.S_ISDIR(about.st_mode):
        return None
    if is_other_archive(path):
        return f"is an archive of a kind that is not read; make it one of {', '.join(ARCHIVE_SUFFIXES)}, or unpack it"
    if not stat.S_ISREG(about.st_mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
        return f"is {kinds.get(stat.S_IFMT(about.st_mode), 'no file')}"
    if is_midi(path) and about.st_size > MAX_FILE_BYTES:
        return f"is larger than {MAX_FILE_BYTES >> 20} MiB"
    return ""


def _describe_os_error(error: Exception) -> str:
    return f"{_UNREADABLE} ({getattr(error, 'strerror', None) or error})"
