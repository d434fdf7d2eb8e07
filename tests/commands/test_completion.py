"""The shells complete values: each asks in words of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.commands._completion import join_assignments

SETTINGS = """[presets.quiet]
intensity = 0.3
[songs.blue]
title = "Blue"
[songs.green]
title = "Green"
[setlists]
friday = ["green", "blue"]
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a preset, two songs, a set list and two takes."""
    monkeypatch.setenv("HOUSEBAND_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(SETTINGS)
    monkeypatch.setenv("HOUSEBAND_TAKES", str(tmp_path))
    for name in ("2026-01-01_10-00-00", "2026-02-01_10-00-00"):
        (tmp_path / f"{name}.mid").write_bytes(b"")
    return tmp_path


def offered(words: str, shell: str = "zsh") -> list[str]:
    """What a shell is offered for the last of words that are separated by blanks."""
    # bash breaks words at `=`
    parts = words.replace("=", " = ").split(" ") if shell == "bash" else words.split(" ")
    parts = [part for index, part in enumerate(parts) if part or index == len(parts) - 1]
    asked = {
        "_HOUSEBAND_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "\n".join(parts),
        "COMP_CWORD": str(len(parts) - 1),
    }
    lines = CliRunner().invoke(main, [], prog_name="houseband", env=asked).output.splitlines()
    return [line.partition(",")[2] for line in lines] if shell == "bash" else lines[1::3]


@pytest.mark.parametrize(
    ("words", "some"),
    [
        ("houseband set mute.", ["mute.bass", "mute.drums"]),
        ("houseband set style ja", ["jazz"]),
        ("houseband set technique tr", ["transformer"]),
        ("houseband set player.bass tr", ["transformer"]),
        ("houseband set preset ", ["quiet"]),
        ("houseband set harmony ha", ["hands"]),
        ("houseband set mute.bass t", ["true", "toggle"]),
        ("houseband run --style ja", ["jazz"]),
        ("houseband run --preset q", ["quiet"]),
        ("houseband run --set mute.pa", ["mute.pad="]),
        ("houseband run --set style=ja", ["style=jazz"]),
        ("houseband render --set player.bass=g", ["player.bass=gan"]),
        ("houseband render --roles ba", ["bass"]),
        ("houseband render --roles bass,d", ["bass,drums"]),
        ("houseband render --technique tr", ["transformer"]),
        ("houseband learn den", ["density"]),
        ("houseband learn style=ro", ["style=rock"]),
        ("houseband takes export ", ["2026-02-01_10-00-00", "2026-01-01_10-00-00"]),
        ("houseband takes export 2026-01", ["2026-01-01_10-00-00"]),
        ("houseband config --preset ", ["quiet"]),
        ("houseband seeds --style ja", ["jazz"]),
        ("houseband set song ", ["blue", "green"]),
        ("houseband set setlist f", ["friday"]),
        ("houseband run --song g", ["green"]),
        ("houseband learn song=b", ["song=blue"]),
        ("houseband songs show g", ["green"]),
    ],
)
def test_values_are_completed(words: str, some: list[str]) -> None:
    assert [value for value in offered(words) if value in some] == some


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("houseband run --set style=ja", "jazz"),
        ("houseband run --set style=", "jazz"),
        ("houseband learn style=ja", "jazz"),
        ("houseband run --set mute.pad=true --style ja", "jazz"),
        ("houseband run --style=ja", "jazz"),
        ("houseband run --set mute.pa", "mute.pad="),
    ],
)
def test_bash_which_breaks_words_at_equals_is_offered_what_it_replaces(words: str, value: str) -> None:
    assert value in offered(words, "bash")


def test_a_role_is_offered_once() -> None:
    assert offered("houseband render --roles bass,") == ["bass,chords", "bass,pad", "bass,drums"]


def test_a_configuration_that_cannot_be_read_is_no_reason_to_fail(home: Path) -> None:
    (home / "config.toml").write_text("style = [")
    assert offered("houseband set preset ") == []
    assert offered("houseband run --set preset=") == []


def test_assignments_are_one_word() -> None:
    assert join_assignments(["run", "--set", "a", "=", "b", "--x"]) == (["run", "--set", "a=b"], "--x")
    assert join_assignments(["run", "a", "="]) == (["run"], "a=")
    assert join_assignments([""]) == ([], "")
