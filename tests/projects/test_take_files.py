"""Takes: those that are over are shown, renamed and thrown away, the one that is being recorded is left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.projects import take_files
from daemon.projects.item import TAKE
from daemon.projects.project import MissingError, ProjectError
from daemon.takes import storage
from music import midifile
from music.midifile import MidiFileError
from music.note import MELODY, Metre, Note

LOG = """houseband-take 1 3 4
t 0 1000000000 500000
i 1000000000 903c50
i 1500000000 803c00
o 1500000000 912850
o 2000000000 812800
"""


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Path]:
    """The log of a take that is being recorded."""
    path = tmp_path / "2026-01-02_03-04-05.take"
    path.write_text(LOG)
    file = os.open(path, os.O_RDWR)
    storage.lock(file)
    yield path
    os.close(file)


def test_the_take_that_is_being_recorded_is_left_alone(tmp_path: Path, recording: Path) -> None:
    name = recording.stem
    assert [(take["name"], take["recording"]) for take in take_files.describe_takes(tmp_path)] == [(name, True)]
    for touch in (
        lambda: take_files.delete_take(tmp_path, name),
        lambda: take_files.rename_take(tmp_path, name, "Other"),
        lambda: take_files.open_take(tmp_path, name),
        lambda: take_files.read_take(tmp_path, name),
    ):
        with pytest.raises(ProjectError, match="this take is being recorded; stop the band first"):
            touch()
    assert [path.name for path in tmp_path.iterdir()] == [recording.name]
    assert recording.read_text() == LOG


def test_a_take_of_a_band_that_is_gone_is_made_a_file_when_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "2026-01-02_03-04-05.take"
    path.write_text(LOG)
    assert [take["recording"] for take in take_files.describe_takes(tmp_path)] == [False]
    item = take_files.open_take(tmp_path, path.stem)
    assert (item.kind, item.name, item.bpm, item.metres) == (TAKE, path.stem, 120.0, ((0, Metre(3, 4)),))
    assert item.get(MELODY) == (Note(0, 60, 24, 80),)
    assert item.get("bass") == (Note(24, 40, 24, 80),)
    assert [each.name for each in tmp_path.iterdir()] == ["2026-01-02_03-04-05.mid"]


def test_a_take_of_the_band_alone_is_shown(tmp_path: Path) -> None:
    midifile.write(tmp_path / "a.mid", {"drums": [Note(0, 36, 12)]})
    assert take_files.open_take(tmp_path, "a").get("drums") == (Note(0, 36, 12),)


def test_a_deleted_take_hides_no_other_of_its_name(tmp_path: Path) -> None:
    for pitch in (60, 61):
        midifile.write(tmp_path / "a.mid", {"melody": [Note(0, pitch, 12)]})
        take_files.delete_take(tmp_path, "a")
    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == ["a-2.mid", "a.mid"]
    midifile.write(tmp_path / "a.mid", {"melody": [Note(0, 62, 12)]})
    with pytest.raises(ProjectError, match="there is a take 'a' already; rename that one first"):
        take_files.restore_take(tmp_path, "a")


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    midifile.write(tmp_path / "secret.mid", {"melody": [Note(0, 60, 12)]})
    midifile.write(folder / "a.mid", {"melody": [Note(0, 60, 12)]})
    (folder / "link.mid").symlink_to(tmp_path / "secret.mid")
    for name in ("../secret", "link", "", ".", "a.mid"):
        with pytest.raises(MissingError):
            take_files.open_take(folder, name)
    assert take_files.rename_take(folder, "a", "../../b") == "_.._b"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".mid"] == ["secret.mid"]


def test_what_is_no_take_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(b"RIFF")
    with pytest.raises(MidiFileError, match=r"a.mid: not a readable MIDI file"):
        take_files.open_take(tmp_path, "a")
    assert take_files.describe_takes(None) == []
    with pytest.raises(MissingError, match="there is no take 'a'"):
        take_files.open_take(None, "a")
