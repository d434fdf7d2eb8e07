"""`--record` where there is no room: the recording is kept elsewhere."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from daemon.core.tempo import TempoMap
from daemon.engine.song import SongInfo
from daemon.live import run
from daemon.live.run import LostRecordingError, write_take
from daemon.takes.take import Take
from music import midifile
from music.note import Metre, Note


class Performance:
    tempo, song = TempoMap(500_000), SongInfo()


class FullDisk(Take):
    """A take that some folder has no room for."""

    def __init__(self, *full: Path) -> None:
        super().__init__()
        self.full = full
        self.on_input(b"\x90\x3c\x50", 0)
        self.on_input(b"\x90\xae\x64", 1)  # no message: a pitch above 127
        self.on_input(b"\x80\x3c\x00", 500_000_000)

    def write(self, path: Path, tempo: TempoMap, metre: Metre) -> None:
        if path.parent in self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(path, tempo, metre)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """The folder that was asked for, that of takes, and the home."""
    asked, takes, home = (tmp_path / name for name in ("asked", "takes", "home"))
    for folder in (asked, takes, home):
        folder.mkdir()
    monkeypatch.setattr(run, "find_takes_folder", lambda: takes)
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(asked))
    return asked, takes, home


def test_a_recording_that_the_disk_does_not_take_is_kept_elsewhere(folders: tuple[Path, Path, Path]) -> None:
    asked, takes, home = folders
    performance: Any = Performance()
    with pytest.raises(LostRecordingError) as caught:
        write_take(FullDisk(asked, takes), asked / "song.mid", performance)
    (kept,) = home.iterdir()
    assert str(caught.value) == (
        f"{asked / 'song.mid'}: cannot be written: No space left on device; what was played is kept in {kept}"
    )
    assert [part.notes for part in midifile.read(kept).parts] == [(Note(0, 60, 24, 80),)]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not list(takes.iterdir())


def test_where_no_disk_takes_it_that_is_said(folders: tuple[Path, Path, Path]) -> None:
    asked, takes, home = folders
    performance: Any = Performance()
    with pytest.raises(LostRecordingError, match="could be kept nowhere else either"):
        write_take(FullDisk(asked, takes, home), asked / "song.mid", performance)
    assert not [file for folder in folders for file in folder.iterdir()]
