"""Songs to judge by: packed or not, drawn by seed, whose part is somebody else's."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from music import midifile
from music.corpus import CorpusError, SongFile, find_next_song, read_split
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
