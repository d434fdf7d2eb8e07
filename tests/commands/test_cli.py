from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import click
import pytest
from click.testing import CliRunner

from daemon import cli
from daemon.cli import main

HEAVY = ("torch", "onnxruntime", "rtmidi", "models.cli", "export.command")


def test_help_lists_the_commands_of_this_room() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in ("render", "run", "evaluate"):
        assert f"  {name} " in result.output


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(main, ["conduct"])
    assert result.exit_code == 2
    assert "No such command 'conduct'" in result.stderr


def test_what_commands_share_is_no_command() -> None:
    assert CliRunner().invoke(main, ["_options"]).exit_code == 2
    assert "_options" not in CliRunner().invoke(main, ["--help"]).output


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["render", "--help"]])
def test_asking_for_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from daemon.cli import main; main(sys.argv[1:], standalone_mode=False); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_python_m_daemon_is_houseband() -> None:
    done = subprocess.run([sys.executable, "-m", "daemon", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: houseband ")


@click.command()
def foreign() -> None:
    click.echo("played elsewhere")


def _found(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    points = [EntryPoint("train", value, cli.ENTRY_POINTS)]
    monkeypatch.setattr(cli, "find_entry_points", lambda group: points if group == cli.ENTRY_POINTS else [])


def test_commands_of_other_rooms_are_listed_unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    _found(monkeypatch, "no_such_module:command")
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "train Train a player on music of your own" in " ".join(result.output.split())


def test_commands_of_other_rooms_are_loaded_when_called(monkeypatch: pytest.MonkeyPatch) -> None:
    _found(monkeypatch, f"{__name__}:foreign")
    assert CliRunner().invoke(main, ["train"]).output == "played elsewhere\n"


def test_a_command_whose_packages_are_not_installed_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    _found(monkeypatch, "no_such_module:command")
    result = CliRunner().invoke(main, ["train"])
    assert result.exit_code == 2
    assert "needs the package no_such_module, which is not installed" in result.stderr
    assert "pip install 'houseband[train,torch]'" in result.stderr
