"""One tree of errors, and one place that turns it into a sentence and an exit code."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
import re

import click
import pytest
from click.testing import CliRunner

import daemon
import music
from daemon import cli
from daemon.commands import man
from daemon.control.client import ClientError, NoBandError
from daemon.core.errors import EXIT_CODES
from daemon.players.worker import WorkerError, WorkerLost
from music.errors import HousebandError, UserError


def exceptions() -> set[type[BaseException]]:
    """Every exception class that the live side and the vocabulary define."""
    names = [
        module.name
        for room in (daemon, music)
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
        if not module.name.endswith("__main__")
    ]
    return {
        found
        for name in names
        for found in vars(importlib.import_module(name)).values()
        if inspect.isclass(found) and issubclass(found, BaseException) and found.__module__ == name
    }


def test_every_exception_of_ours_derives_from_one_root() -> None:
    found = exceptions()
    assert {WorkerError, ClientError, UserError} <= found
    assert [each for each in found if not issubclass(each, HousebandError)] == []


def test_every_exit_code_is_documented() -> None:
    codes = {each.exit_code for each in exceptions() if issubclass(each, HousebandError)}
    assert codes == {1, 2, 3}
    assert {0, *codes} == set(EXIT_CODES)
    help_text = " ".join(CliRunner().invoke(cli.main, ["--help"]).output.split())
    page = "\n".join(man.make_page(cli.main, "houseband"))
    for code, meaning in EXIT_CODES.items():
        assert f"{code}: {meaning}" in help_text
        assert re.search(rf"^\.B {code}\n{meaning}", page, re.MULTILINE)


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(NoBandError("no houseband answers at nowhere")))
    assert (type(error), str(error)) == (NoBandError, "no houseband answers at nowhere")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HousebandError("it broke"), 1),
        (WorkerLost("it died"), 1),
        (WorkerError("no such player"), 2),
        (UserError("no such file"), 2),
        (ClientError("the band refuses"), 2),
        (NoBandError("nobody answers"), 3),
    ],
)
def test_any_command_ends_with_the_sentence_and_the_code_of_its_error(
    error: HousebandError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setitem(cli.main.commands, "fail", failing)
    result = CliRunner().invoke(cli.main, ["fail"])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"Error: {error}\n")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_a_limit_of_memory_or_of_threads_is_a_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setitem(cli.main.commands, "fail", failing)
    result = CliRunner().invoke(cli.main, ["fail"])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("Error: there is not enough memory, or too many threads run; close other programs")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(36, "File name too long", "a" * 5000), f"{'a' * 300}...: File name too long"),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError("no usable folder"), "no usable folder"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence(error: OSError, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setitem(cli.main.commands, "fail", failing)
    result = CliRunner().invoke(cli.main, ["fail"])
    assert (result.exit_code, result.stderr) == (2, f"Error: {said}\n")


@pytest.mark.parametrize("arguments", ["status", "set intensity 0.5", "panic", "learn fill"])
def test_without_a_band_there_is_an_exit_code_of_its_own(arguments: str) -> None:
    result = CliRunner().invoke(cli.main, [*arguments.split(), "--control", "/nowhere/control.sock"])
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: no houseband answers at /nowhere/control.sock; start one with")
