"""Songs to judge by: packed or not, drawn by seed, whose part is somebody else's."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest

from music import midifile
from music.corpus import (
    CorpusError,
    CorpusListing,
    SongFile,
    find_next_song,
    list_songs,
    read_packed,
    read_songs,
    read_split,
)
from music.midifile import MidiFileError
from music.note import Note


def fill(data: Path, collection: str, names: list[str]) -> None:
    folder = data / collection / "valid"
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        midifile.write(folder / f"{name}.mid", {"melody": [Note(0, 60 + number, 24)]})


def pack(data: Path, collection: str) -> Path:
    packed = data / "packed"
    packed.mkdir()
    with tarfile.open(packed / f"{collection}.tar.gz", "w:gz") as archive:
        archive.add(data / collection / "valid", "valid")
        archive.add(data / collection / "valid", "train")
    return packed


def names(entries: list[SongFile]) -> list[str]:
    return [entry.name for entry in entries]


def test_packed_and_unpacked_are_the_same_songs(tmp_path: Path) -> None:
    fill(tmp_path, "tunes", ["020-b", "020-a", "003"])
    loose = read_split(tmp_path, "tunes", "valid")
    assert names(loose) == ["003", "020-a", "020-b"]
    assert read_split(pack(tmp_path, "tunes"), "tunes", "valid") == loose
    part = loose[0].read().part("melody")
    assert part is not None
    assert part.notes == (Note(0, 62, 24, 80),)


def test_songs_are_drawn_whole_and_by_seed(tmp_path: Path) -> None:
    fill(tmp_path, "tunes", [f"{song:03}-{segment}" for song in range(20) for segment in "ab"])
    drawn = names(read_split(tmp_path, "tunes", "valid", songs=5, seed=1))
    assert len(drawn) == 10
    assert {name[:3] + segment for name in drawn for segment in ("-a", "-b")} == set(drawn)
    assert drawn == names(read_split(tmp_path, "tunes", "valid", songs=5, seed=1))
    assert drawn != names(read_split(tmp_path, "tunes", "valid", songs=5, seed=2))
    assert len(read_split(tmp_path, "tunes", "valid", songs=100)) == 40


def test_a_style_chooses_among_the_bands_only(tmp_path: Path) -> None:
    fill(tmp_path, "bands", ["003-pop", "003-jazz", "ewld1-jazz"])
    fill(tmp_path, "tunes", ["003-a"])
    jazz = read_split(tmp_path, "bands", "valid", style="jazz")
    assert names(jazz) == ["003-jazz", "ewld1-jazz"]
    assert [entry.named_style for entry in jazz] == ["jazz", "jazz"]
    assert [entry.named_style for entry in read_split(tmp_path, "tunes", "valid", style="jazz")] == [None]


def test_somebody_else_is_another_song_in_the_same_style(tmp_path: Path) -> None:
    fill(tmp_path, "bands", ["003-jazz", "003-pop", "020-jazz", "020-pop", "020-rock"])
    fill(tmp_path, "tunes", ["020-a", "020-b", "028"])
    bands, tunes = read_split(tmp_path, "bands", "valid"), read_split(tmp_path, "tunes", "valid")
    others = [find_next_song(bands, index) for index in range(5)]
    assert [other and other.name for other in others] == ["020-jazz", "020-pop", "003-jazz", "003-pop", None]
    others = [find_next_song(tunes, index) for index in range(3)]
    assert [other and other.name for other in others] == ["028", "028", "020-a"]


def test_what_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="--data"):
        read_split(tmp_path, "tunes", "valid")
    fill(tmp_path, "bands", ["003-pop"])
    with pytest.raises(CorpusError, match="in style polka"):
        read_split(tmp_path, "bands", "valid", style="polka")
    (tmp_path / "torn.tar.gz").write_bytes(b"no archive")
    with pytest.raises(CorpusError, match="not a readable archive"):
        read_split(tmp_path, "torn", "valid")


def test_a_broken_file_names_itself() -> None:
    with pytest.raises(MidiFileError, match="tunes/003: not a readable MIDI file"):
        SongFile("tunes", "valid", "003", b"MThd").read()


# --- any folder -----------------------------------------------------------------------------------------------------


def labels(listing: CorpusListing) -> list[str]:
    return [source.label for source in listing.files]


def put(path: Path, content: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def pack_files(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def zip_files(path: Path, files: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.read_bytes()


def test_every_ending_of_midi_files_is_read_in_any_case(tmp_path: Path) -> None:
    for name in ("a.mid", "b.MIDI", "c.Kar", "d.rmi", "e.SMF", "f.txt", "g"):
        put(tmp_path / name)
    assert labels(list_songs(tmp_path)) == ["a.mid", "b.MIDI", "c.Kar", "d.rmi", "e.SMF"]


def test_what_is_no_file_is_told_and_ends_nothing(tmp_path: Path) -> None:
    put(tmp_path / "good.mid")
    put(tmp_path / "folder.mid" / "inside.mid")
    put(tmp_path / "music.rar")
    (tmp_path / "gone.mid").symlink_to("/nowhere/at/all.mid")
    (tmp_path / "loop.mid").symlink_to("loop.mid")
    (tmp_path / "zero.mid").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.mid")
    os.mkfifo(tmp_path / "pipe.tar.gz")
    with (tmp_path / "huge.mid").open("wb") as file:
        file.truncate(1 << 40)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(tmp_path / "s.mid"))
    listing = list_songs(tmp_path)
    assert labels(listing) == ["folder.mid/inside.mid", "good.mid"]
    assert {file.file: file.reason for file in listing.skipped} == {
        "folder.mid": "is a folder; the songs in it are read",
        "gone.mid": "is a link that leads nowhere",
        "huge.mid": "is larger than 128 MiB",
        "loop.mid": "cannot be read (Too many levels of symbolic links)",
        "music.rar": "is an archive of a kind that is not read; make it one of .tar.gz, .tgz, .tar, .zip, or unpack it",
        "pipe.mid": "is a pipe",
        "pipe.tar.gz": "is a pipe",
        "s.mid": "is a socket",
        "zero.mid": "is a device",
    }


def test_folders_behind_links_are_read_once(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "x.mid")
    folder = tmp_path / "songs"
    put(folder / "a.mid")
    (folder / "round").symlink_to(folder)
    (folder / "other").symlink_to(tmp_path / "elsewhere")
    assert labels(list_songs(folder)) == ["a.mid", "other/x.mid"]


def test_names_that_are_no_text_are_read_and_printable(tmp_path: Path) -> None:
    for name in (b"caf\xe9.mid", b"\x1b[31m.mid", b"a\nb.mid"):
        put(tmp_path / os.fsdecode(name))
    listing = list_songs(tmp_path)
    assert sorted(labels(listing)) == ["[31m.mid", "a b.mid", "caf.mid"]
    assert [content for _, content in read_songs(listing.files) if isinstance(content, str)] == []


def test_songs_of_a_users_own_folder_keep_their_side_and_their_folders(tmp_path: Path) -> None:
    for number in range(60):
        put(tmp_path / "mine" / "album" / f"{number}.mid")
    pack_files(tmp_path / "mine" / "packed.tgz", {f"album/{number}.mid": b"x" for number in range(60)})
    files = list_songs(tmp_path / "mine").files
    packed, loose = files[:60], files[60:]
    assert {source.collection for source in loose} == {"mine"}
    assert {source.collection for source in packed} == {"packed"}
    assert [(s.name, s.split) for s in packed] == [(s.name, s.split) for s in loose]
    assert packed[0].name == "album/0"
    assert 0 < sum(source.split == "valid" for source in loose) < 20
    assert list_songs(tmp_path / "mine", ["mine"]).files == loose


def test_an_archive_with_splits_is_used_by_them(tmp_path: Path) -> None:
    pack_files(tmp_path / "tunes.tar", {"train/1.mid": b"x", "valid/2.mid": b"x", "test/3.mid": b"x"})
    listing = list_songs(tmp_path)
    assert [(s.collection, s.split, s.name) for s in listing.files] == [
        ("tunes", "train", "1"),
        ("tunes", "valid", "2"),
    ]
    assert listing.skipped == (
        ("tunes.tar/test/3.mid", "is in no folder called train or valid, as others in its archive"),
    )


def test_an_archive_may_hold_several_collections(tmp_path: Path) -> None:
    pack_files(tmp_path / "triple.tar", {"bands/train/1-jazz.mid": b"x", "grooves/valid/2.mid": b"x"})
    put(tmp_path / "lieder.tar", b"no archive")
    found = list_songs(tmp_path, ["bands", "triple"])
    assert [(s.collection, s.split, s.name) for s in found.files] == [("bands", "train", "1-jazz")]
    assert not found.skipped
    assert {s.collection for s in list_songs(tmp_path).files} == {"bands", "grooves"}


def test_archives_are_read_as_far_as_they_are_whole(tmp_path: Path) -> None:
    noise = {f"{number:02}.mid": os.urandom(3000) for number in range(30)}
    pack_files(tmp_path / "whole.tar.gz", noise)
    put(tmp_path / "cut.tar.gz", (tmp_path / "whole.tar.gz").read_bytes()[:50_000])
    put(tmp_path / "none.zip", b"PK\3\4 but nothing else")
    put(tmp_path / "none.tar", b"no archive" * 100)
    pack_files(tmp_path / "outer.tar", {"inner.zip": b"PK", "x.mid": b"x", "x.txt": b""})
    pack_files(tmp_path / "dull.tar", {"x.txt": b""})
    listing = list_songs(tmp_path)
    told = dict(listing.skipped)
    assert set(told) == {"cut.tar.gz", "none.zip", "none.tar", "outer.tar/inner.zip", "dull.tar"}
    assert told["cut.tar.gz"].startswith("the archive is damaged (")
    assert told["outer.tar/inner.zip"] == "is an archive in an archive; unpack the outer one"
    read = {source.label: content for source, content in read_packed(listing.files)}
    whole = {label: content for label, content in read.items() if isinstance(content, SongFile)}
    assert {f"whole.tar.gz/{name}" for name in noise} <= set(whole)
    assert sum(label.startswith("cut.tar.gz") for label in whole) >= 10
    assert all(content.content == noise[Path(label).name] for label, content in whole.items() if "cut" in label)


def test_nothing_outside_of_an_archive_is_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        for name, kind, target in (
            ("a.mid", tarfile.SYMTYPE, "/etc/passwd"),
            ("b.mid", tarfile.LNKTYPE, "nowhere"),
            ("c.mid", tarfile.FIFOTYPE, ""),
            ("d.mid", tarfile.CHRTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    link = zipfile.ZipInfo("e.mid")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "links.zip", "w") as zipped:
        zipped.writestr(link, "/etc/passwd")
    listing = list_songs(tmp_path)
    assert listing.files == ()
    assert {reason.partition(",")[0] for _, reason in listing.skipped} == {
        "is a link in an archive",
        "is no regular file",
    }
    assert len(listing.skipped) == 5


def test_a_zip_that_is_encrypted_or_lies_costs_its_file(tmp_path: Path) -> None:
    content = bytearray(zip_files(tmp_path / "a.zip", {"1.mid": b"one", "2.mid": b"two"}))
    for name, offset, value in (("encrypted", 8, 1), ("method", 10, 99), ("size", 24, 2)):
        changed = bytearray(content)
        changed[content.find(b"PK\1\2") + offset] = value
        put(tmp_path / f"{name}.zip", bytes(changed))
    listing = list_songs(tmp_path)
    read = {source.label: content for source, content in read_songs(listing.files)}
    assert dict(listing.skipped) == {"encrypted.zip/1.mid": "is encrypted"}
    assert {label for label, content in read.items() if isinstance(content, str)} == {
        "method.zip/1.mid",
        "size.zip/1.mid",
    }
    assert {content.content for content in read.values() if isinstance(content, SongFile)} == {b"one", b"two"}


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("music.archives.FREE_BYTES", 1 << 20)
    monkeypatch.setattr("music.archives.MAX_MEMBER_BYTES", 1 << 18)
    pack_files(tmp_path / "tape.tar.gz", {"a.mid": b"x", "b.mid": bytes(2 << 20), "c.mid": b"x"})
    zip_files(tmp_path / "many.zip", {f"{number}.mid": bytes(1 << 18) for number in range(6)})
    zip_files(tmp_path / "one.zip", {"a.mid": bytes(1 << 19), "b.mid": b"x"})
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    put(tmp_path / "name.tar", long_name.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 12))
    listing = list_songs(tmp_path)
    assert labels(listing) == [*(f"many.zip/{n}.mid" for n in range(4)), "one.zip/b.mid", "tape.tar.gz/a.mid"]
    assert dict(listing.skipped) == {
        "many.zip/4.mid": "would unpack to more than is reasonable for its archive",
        "many.zip/5.mid": "would unpack to more than is reasonable for its archive",
        "name.tar": "it asks for more memory than an archive of songs can need",
        "one.zip/a.mid": "is larger than 0 MiB",
        "tape.tar.gz": "it unpacks to more than 1 MiB, and that is too much for its size",
        "tape.tar.gz/b.mid": "is larger than 0 MiB",
    }


def test_a_file_is_a_folder_of_one_song(tmp_path: Path) -> None:
    (tmp_path / "one.mid").write_bytes(b"MThd")
    (tmp_path / "two.mid").write_bytes(b"MThd")
    (file,) = list_songs(tmp_path / "one.mid").files
    assert (file.name, file.label, file.is_own) == ("one", "one.mid", True)
    assert list_songs(tmp_path / "none.mid").files == ()
