"""`--json`, wherever something is listed, shown or rendered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from daemon.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a preset, a gesture and no band."""
    monkeypatch.setenv("HOUSEBAND_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text('[presets.quiet]\nintensity = 0.3\n[gestures]\n"cc 20" = "fill"\n')
    return tmp_path


def ask(*arguments: str) -> Any:
    return json.loads(CliRunner().invoke(main, list(arguments)).stdout)


@pytest.mark.parametrize(
    "command",
    [
        *(
            "render",
            "extend",
            "seeds",
            "moments",
            "evaluate",
            "chart",
            "status",
            "doctor",
            "bench",
            "config",
            "learn",
            "set",
        ),
        *("moments", "takes list", "takes export", "songs list", "songs show"),
    ],
)
def test_commands_that_tell_something_have_it(command: str) -> None:
    found: click.Command | None = main
    for name in command.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name)
    assert found is not None
    assert "--json" in [option for parameter in found.params for option in parameter.opts]


def test_the_configuration(home: Path) -> None:
    shown = ask("config", "--json", "--preset", "quiet")
    assert (shown["intensity"], shown["presets"], shown["gestures"]["cc 20"]) == (
        0.3,
        {"quiet": {"intensity": 0.3}},
        "fill",
    )
    assert ask("config", "--path", "--json") == {"path": str(home / "config.toml"), "exists": True}


def test_gestures() -> None:
    rows = ask("learn", "--list", "--json")
    assert {"gesture": "cc 20", "key": "fill", "learnt": False} in rows


def test_controls() -> None:
    rows = {row["key"]: row for row in ask("set", "--list", "--json")}
    assert rows["intensity"] | {"help": ""} == {
        "key": "intensity",
        "help": "",
        "values": "a number from 0 to 1",
        "default": 0.7,
        "choices": [],
    }
    assert "jazz" in rows["style"]["choices"]
    assert rows["fill"]["values"] == "no value"
