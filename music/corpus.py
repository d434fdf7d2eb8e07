"""Collections of songs as MIDI files, packed (`<collection>.tar.gz`) or in folders (`<collection>/`).

In both, the files of a split lie in a folder of its name: `train/003-jazz.mid`. The part of a file's name before the
first dash is the song it belongs to: the segments, movements and arrangements of a song are files of their own.
"""

from __future__ import annotations

import hashlib
import random
import tarfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from music import midifile, styles
from music.errors import UserError
from music.midifile import Song

#: Where songs are learned from, and where what was learned is tried.
SPLITS = ("train", "valid")
ARCHIVE_SUFFIX = ".tar.gz"
MIDI_SUFFIXES = (".mid", ".midi")


class CorpusError(UserError):
    """A collection that is not there or cannot be read."""


@dataclass(frozen=True, slots=True)
class SongFile:
    """A MIDI file of a collection."""

    collection: str
    split: str
    name: str  #: without its ending
    content: bytes

    @property
    def song(self) -> str:
        """The song it belongs to."""
        return get_song(self.name)

    @property
    def named_style(self) -> str | None:
        """The style it was made in, where its name says so."""
        return styles.read_style(self.collection, self.name)

    @property
    def style(self) -> str:
        """The style it is in, by its name or its collection."""
        return styles.find_style(self.collection, self.name)

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
        packed = {path.stem: content for path, content in _read_archive(source, (split,))}
        chosen = _choose(packed, collection, songs, seed, style)
        found = [SongFile(collection, split, name, packed[name]) for name in chosen]
    if not found:
        made = f" in style {style}" if style else ""
        raise CorpusError(f"{data}: the split {split!r} of {collection} holds no MIDI file{made}")
    return found


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


def read_folder(folder: Path, collections: Iterable[str] | None = None) -> Iterator[SongFile]:
    """Yield every MIDI file below a folder that training may use, first those in archives, each sorted by path.

    collections: only these. A file in no folder of a split, as in a user's own folder, is of the collection that the
    folder is called; every tenth of those, by the hash of its name, is in the split `valid`. Raises CorpusError for an
    archive that cannot be read.
    """
    wanted = set(collections) if collections else None
    for archive in sorted(folder.glob(f"*{ARCHIVE_SUFFIX}")):
        collection = archive.name.removesuffix(ARCHIVE_SUFFIX)
        if wanted is None or collection in wanted:
            for path, content in sorted(_read_archive(archive, SPLITS)):
                yield SongFile(collection, path.parent.name, path.stem, content)
    for file in sorted(path for path in folder.rglob("*") if is_midi(path)):
        split = file.parent.name
        collection = file.parent.parent.name if split in SPLITS else folder.name
        if wanted is None or collection in wanted:
            if split not in SPLITS:
                split = SPLITS[int(hashlib.sha256(file.stem.encode()).hexdigest(), 16) % 10 == 0]
            yield SongFile(collection, split, file.stem, file.read_bytes())


def is_midi(path: PurePath) -> bool:
    """Tell whether a file's name ends as those of MIDI files do."""
    return path.suffix.lower() in MIDI_SUFFIXES


def _read_archive(archive: Path, splits: Collection[str]) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield path and content of the MIDI files in the folders of some splits, in one pass. Raises CorpusError."""
    try:
        with tarfile.open(archive, "r|*") as packed:
            for member in packed:
                path = PurePosixPath(member.name)
                wanted = path.parent.name in splits and is_midi(path)
                file = packed.extractfile(member) if wanted else None
                if file is not None:
                    yield path, file.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise CorpusError(f"{archive}: not a readable archive ({error})") from None
