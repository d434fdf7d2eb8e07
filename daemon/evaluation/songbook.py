"""Songs to judge players by: collections of MIDI files, packed (`<collection>.tar.gz`) or not (`<collection>/`)."""

from __future__ import annotations

import random
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import mido

from music.errors import UserError
from music.midifile import MidiFileError, Song, from_mido

#: The collection whose accompaniments are made by rule; its file names end in the style they are made in.
BY_RULE = "bands"
#: style -> the collection that it is made of, where that is another.
MADE_OF = {"piano": "pop909", "chorale": "chorales", "romantic": "lieder", "classical": "quartets"}


class SongbookError(UserError):
    """Songs that cannot be had."""


@dataclass(frozen=True, slots=True)
class SongEntry:
    """One file of a collection: its name without the ending, and its bytes."""

    collection: str
    name: str
    content: bytes

    @property
    def song(self) -> str:
        """The song it belongs to: a song's segments, movements and arrangements are files of their own."""
        return song_of(self.name)

    @property
    def style(self) -> str | None:
        """The style it was made in, where the name says so."""
        return style_of(self.collection, self.name)

    def read(self) -> Song:
        """Its notes. Raises MidiFileError when it is not a MIDI file."""
        try:
            return from_mido(mido.MidiFile(file=BytesIO(self.content)))
        except MidiFileError:
            raise
        except Exception as error:  # noqa: BLE001 - as in music.midifile.read: mido raises a dozen kinds
            reason = str(error) or type(error).__name__
            raise MidiFileError(f"{self.collection}/{self.name}: not a readable MIDI file ({reason})") from None


def song_of(name: str) -> str:
    """The song a file belongs to: `020-a`, `020-b` and `020-jazz` are all of song 020."""
    return name.partition("-")[0]


def style_of(collection: str, name: str) -> str | None:
    """`003-jazz` of the bands is jazz; files of people's music do not say."""
    return name.rpartition("-")[2] if collection == BY_RULE and "-" in name else None


def open_book(
    data: Path,
    collection: str,
    split: str,
    *,
    songs: int | None = None,
    seed: int = 0,
    style: str | None = None,
) -> list[SongEntry]:
    """The files of a collection's split, by name; of `songs` songs drawn by seed; of the bands only those of a style.

    data: a folder that holds `<collection>/<split>/*.mid`, or `<collection>.tar.gz` with `<split>/*.mid` in it. Raises
    SongbookError when there are none.
    """
    source = find(data, collection, split)
    if source.is_dir():
        files = {path.stem: path for path in source.glob("*.mid")}
        chosen = _choose(files, collection, songs, seed, style)
        entries = [SongEntry(collection, name, files[name].read_bytes()) for name in chosen]
    else:
        packed = _unpack(source, split)
        chosen = _choose(packed, collection, songs, seed, style)
        entries = [SongEntry(collection, name, packed[name]) for name in chosen]
    if not entries:
        made = f" in style {style}" if style else ""
        raise SongbookError(f"{data}: the split {split!r} of {collection} holds no MIDI file{made}")
    return entries


def find(data: Path, collection: str, split: str) -> Path:
    """The folder or the archive that holds a collection's split. Raises SongbookError when neither is there."""
    folder, archive = data / collection / split, data / f"{collection}.tar.gz"
    if folder.is_dir():
        return folder
    if archive.is_file():
        return archive
    raise SongbookError(
        f"no music to judge by: there is neither {folder} nor {archive}; name the folder of the collections with --data"
    )


def next_of_another_song(entries: Sequence[SongEntry], index: int) -> SongEntry | None:
    """The next file of the list, going round, that belongs to another song and is made in the same style."""
    here = entries[index]
    for entry in (*entries[index + 1 :], *entries[:index]):
        if entry.song != here.song and entry.style == here.style:
            return entry
    return None


def _choose(names: Iterable[str], collection: str, songs: int | None, seed: int, style: str | None) -> list[str]:
    fitting = sorted(n for n in names if style is None or style_of(collection, n) in (None, style))
    if songs is None:
        return fitting
    ids = sorted({song_of(name) for name in fitting})
    drawn = set(random.Random(seed).sample(ids, min(songs, len(ids))))
    return [name for name in fitting if song_of(name) in drawn]


def _unpack(archive: Path, split: str) -> dict[str, bytes]:
    """Name -> bytes of a packed collection's split, read in one pass."""
    found = {}
    try:
        with tarfile.open(archive, "r|*") as packed:
            for member in packed:
                path = PurePosixPath(member.name)
                file = packed.extractfile(member) if path.parent.name == split and path.suffix == ".mid" else None
                if file is not None:
                    found[path.stem] = file.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise SongbookError(f"{archive}: not a readable archive ({error})") from None
    return found
