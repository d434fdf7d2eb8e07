"""MIDI files of a user's own folder become songs to learn from."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from daemon.cli import main
from models.data import preparation, song_cache
from models.data.parts import split_roles
from music.note import Note


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
    counts = preparation.prepare(folder, tmp_path / "c.npz", jobs=1)
    assert (counts["songs"], counts["skipped"]) == (1, 1)
    roles = split_roles(song_cache.load(tmp_path / "c.npz")[0])
    assert {role for role, rows in roles.items() if len(rows)} == {"melody", "bass"}
