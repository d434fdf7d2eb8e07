"""`houseband songs`: songs are made, listed, shown, checked and imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOUSEBAND_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "songs"


def houseband(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["songs", *arguments])


def done(*arguments: str) -> str:
    result = houseband(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_song_is_made_shown_listed_and_checked(folder: Path) -> None:
    assert done("new", "waltz", "--title", "A Waltz", "--set", "bpm=96", "--set", "metre=3/4").strip() == str(
        folder / "waltz.toml"
    )
    assert done("show", "waltz") == 'title = "A Waltz"\nbpm = 96.0\nmetre = "3/4"\n'
    assert json.loads(done("show", "waltz", "--json"))["controls"] == {"bpm": 96.0, "metre": "3/4"}
    assert done("list") == "waltz  A Waltz  96 bpm, 3/4\n"
    assert json.loads(done("list", "--json"))[0]["title"] == "A Waltz"
    assert "1 song can be played" in done("check")


def test_nothing_is_written_over_and_no_name_is_guessed(folder: Path) -> None:
    done("new", "waltz")
    again = houseband("new", "waltz")
    assert (again.exit_code, "there is a song 'waltz' already" in again.stderr) == (2, True)
    other = houseband("show", "polka")
    assert (other.exit_code, "no song 'polka'; there are waltz" in other.stderr) == (2, True)
    wrong = houseband("new", "fast", "--set", "bpm=9999")
    assert (wrong.exit_code, "bpm: takes a number" in wrong.stderr) == (2, True)
    assert not (folder / "fast.toml").exists()
    trigger = houseband("new", "full", "--set", "fill=1")
    assert (trigger.exit_code, "fill: is nothing that a song holds" in trigger.stderr) == (2, True)
    assert not (folder / "full.toml").exists()


def test_what_cannot_be_played_is_said_song_by_song(folder: Path) -> None:
    done("new", "good")
    (folder / "lost.toml").write_text('chart = "nowhere.txt"\n')
    (folder / "odd.toml").write_text('style = "polka"\n')
    (folder / "wrong.toml").write_text("bpm = 0\n")
    (folder.parent / "config.toml").write_text('[setlists]\nfriday = ["good", "wrong"]\n')
    result = houseband("check")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert [any(word in line for line in lines) for word in ("nowhere.txt", "polka", "bpm", "good")] == [
        *(True, True, True, False)
    ]
    assert "4 of these cannot be used" in lines[-1]
    assert "1 song can be played" in done("check", "good")
    assert "cannot be used" in done("list")


def test_charts_become_songs_with_their_charts_beside_them(folder: Path, tmp_path: Path) -> None:
    chart = tmp_path / "tune.txt"
    chart.write_text("Title: Blue Moon\nKey: C\nTime: 3/4\n| C | F |\n")
    assert done("import", str(chart)).strip() == str(folder / "blue-moon.toml")
    assert done("import", str(chart)).strip() == str(folder / "blue-moon-2.toml")  # the first one stays
    shown = json.loads(done("show", "blue-moon", "--json"))
    assert shown["title"] == "Blue Moon"
    assert shown["controls"] == {"chart": str(folder / "blue-moon.txt"), "harmony": "auto"}
    assert "2 songs can be played" in done("check")
    assert done("import", str(folder / "blue-moon.toml")).strip() == str(folder / "blue-moon-3.toml")


def test_a_set_list_is_listed_in_its_order(folder: Path) -> None:
    for name in ("a", "b"):
        done("new", name)
    (folder.parent / "config.toml").write_text('[setlists]\nfriday = ["b", "a"]\n')
    assert [row["name"] for row in json.loads(done("list", "--setlist", "friday", "--json"))] == ["b", "a"]
    assert houseband("list", "--setlist", "monday").exit_code == 2


def test_an_edited_song_is_checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done("new", "waltz")
    monkeypatch.setattr("click.edit", lambda filename: Path(filename).write_text("bpm = 0\n"))
    result = houseband("edit", "waltz")
    assert (result.exit_code, "bpm: takes a number" in result.stderr) == (2, True)
    assert houseband("edit", "polka").exit_code == 2
