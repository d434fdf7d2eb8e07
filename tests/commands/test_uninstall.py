"""`houseband uninstall`: what it shows, what it removes, and what stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.commands import uninstall
from daemon.takes import storage
from music.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the folders are those of Linux")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has used the program."""
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for name in ("HOUSEBAND_CONFIG", "HOUSEBAND_TAKES", "HOUSEBAND_CONTROL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(storage, "is_own", lambda path: path.name.startswith("2026"))
    for name in ("config/houseband/config.toml", "cache/houseband/graphs/a.onnx", "data/houseband/takes/2026.mid"):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text("")
    (tmp_path / "run").mkdir()
    return tmp_path


def left(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


EVERYTHING = ["cache/houseband/graphs/a.onnx", "config/houseband/config.toml", "data/houseband/takes/2026.mid"]


def test_without_purge_it_only_shows_what_there_is(home: Path) -> None:
    shown = CliRunner().invoke(main, ["uninstall"])
    assert shown.exit_code == 0
    for name in ("configuration", "cache", "takes"):
        assert f"  {name} " in shown.stdout
    assert str(home / "data/houseband/takes") in shown.stdout
    assert left(home) == EVERYTHING


@pytest.mark.parametrize(
    ("options", "answers", "stays"),
    [
        ([], "n\nn\n", EVERYTHING),
        ([], "", EVERYTHING),  # nobody answers
        ([], "y\nn\n", EVERYTHING[2:]),
        ([], "y\ny\n", []),
        (["--yes"], "n\n", EVERYTHING[2:]),
        (["--yes"], "", EVERYTHING[2:]),
        (["--yes", "--takes"], "", []),
    ],
)
def test_it_removes_what_is_agreed_to_and_asks_for_takes_by_themselves(
    home: Path, options: list[str], answers: str, stays: list[str]
) -> None:
    CliRunner().invoke(main, ["uninstall", "--purge", *options], input=answers)
    assert left(home) == stays
    if not stays:
        assert not list(home.rglob("houseband"))


def test_what_is_not_its_own_stays(home: Path) -> None:
    for name in ("config/houseband/my-chart.txt", "data/houseband/takes/song.mid"):
        (home / name).write_text("")
    done = CliRunner().invoke(main, ["uninstall", "--purge", "--yes", "--takes"])
    assert done.exit_code == 0
    assert left(home) == ["config/houseband/my-chart.txt", "data/houseband/takes/song.mid"]


def test_songs_are_asked_for_by_themselves(home: Path) -> None:
    song = home / "config/houseband/songs/blue-moon.toml"
    song.parent.mkdir()
    song.write_text("")
    assert "  songs " in CliRunner().invoke(main, ["uninstall"]).stdout
    CliRunner().invoke(main, ["uninstall", "--purge", "--yes", "--takes"], input="n\n")
    assert left(home) == ["config/houseband/songs/blue-moon.toml"]
    CliRunner().invoke(main, ["uninstall", "--purge", "--yes", "--takes", "--songs"])
    assert not list(home.rglob("houseband"))


def test_who_cannot_answer_is_told_how_to_say_yes_in_advance(home: Path) -> None:
    asked = CliRunner().invoke(main, ["uninstall", "--purge"])
    assert asked.exit_code == 2
    assert "say --yes" in asked.output


def test_while_a_band_plays_nothing_is_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise UserError("a band is playing")

    monkeypatch.setattr(uninstall, "_check_nobody_plays", refuse)
    done = CliRunner().invoke(main, ["uninstall", "--purge", "--yes", "--takes"])
    assert done.exit_code != 0
    assert left(home) == EVERYTHING


def test_projects_and_deleted_takes_go_with_the_takes(home: Path) -> None:
    takes = home / "data/houseband/takes"
    for name in ("studio/2026-01-01/items/a.json", "studio/current", "bin/My take.mid"):
        (takes / name).parent.mkdir(parents=True, exist_ok=True)
        (takes / name).write_text("x")
    shown = CliRunner().invoke(main, ["uninstall"]).stdout
    assert f"{takes / 'studio'} (0.0 MB, 2 files)" in shown
    kept = CliRunner().invoke(main, ["uninstall", "--purge", "--yes"], input="n\n")
    assert kept.exit_code == 0
    assert (takes / "studio/current").exists()
    CliRunner().invoke(main, ["uninstall", "--purge", "--yes", "--takes"])
    assert left(home) == []
