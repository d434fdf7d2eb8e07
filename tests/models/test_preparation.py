"""MIDI files of a user's own folder become songs to learn from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from models.data import preparation, song_cache
from models.data.parts import split_roles
from music.note import Note
from tests.support.deadly_files import DEADLY, read_or_die
from tests.support.smf_bytes import file, track, tune

SONG = file(track(tune()), track(tune(1)))


def test_a_folder_without_music_is_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["train", "gan", "--data", str(tmp_path), "-o", str(tmp_path / "r")])
    assert result.exit_code == 2
    assert "no MIDI file" in result.output


def test_a_users_own_folder_is_read(tmp_path: Path) -> None:
    from music import midifile

    folder = tmp_path / "mine"
    folder.mkdir()
    parts = {
        "Lead vocal": [Note(i * 24, 60 + i % 5, 24) for i in range(64)],
        "Bass": [Note(i * 24, 40, 24) for i in range(64)],
    }
    midifile.write(folder / "one.mid", parts)
    (folder / "two.mid").write_bytes(b"not music")
    made = preparation.prepare(folder, tmp_path / "c.npz", jobs=1)
    assert made.songs == 1
    assert made.skipped == [("two.mid", "is not a readable MIDI file (it has no MIDI header)")]
    roles = split_roles(song_cache.load(tmp_path / "c.npz")[0])
    assert {role for role, rows in roles.items() if len(rows)} == {"melody", "bass"}


def test_each_skipped_file_is_told_in_a_table_and_as_json(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "good.KAR").write_bytes(SONG)
    (folder / "none.mid").symlink_to("nowhere")
    (folder / "solo[red].mid").write_bytes(file(track(tune())))
    prepare = ["train", "prepare", str(folder), "-o", str(tmp_path / "c.npz")]
    told = CliRunner().invoke(main, prepare)
    assert told.exit_code == 0, told.output
    lines = [" ".join(line.split()) for line in told.output.splitlines()]
    assert lines[:3] == [
        "skipped reason",
        "none.mid is a link that leads nowhere",
        "solo[red].mid has a melody and nothing beside it",
    ]
    assert lines[3].startswith("1 songs, 2 files skipped, ")
    found = json.loads(CliRunner().invoke(main, [*prepare, "--json"]).output)
    assert (found["songs"], [entry["file"] for entry in found["skipped"]]) == (1, ["none.mid", "solo[red].mid"])
    assert found["hash"] == song_cache.hash_file(tmp_path / "c.npz")


def test_a_file_that_kills_who_reads_it_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / f"{number}.mid").write_bytes(SONG)
    (tmp_path / "3.mid").write_bytes(DEADLY + SONG)
    monkeypatch.setattr(preparation, "_read_batch", read_or_die)
    monkeypatch.setattr(preparation, "_BATCH_FILES", 2)
    made = preparation.prepare(tmp_path, tmp_path / "c.npz", jobs=2)
    assert made.songs == 4
    assert made.skipped == [("3.mid", "ended the program that read it, probably for lack of memory")]
