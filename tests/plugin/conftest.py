"""Instances of the plugin for the tests of its C code."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.plugin.instances import Daemon, Instance, load_library


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The plugin without its interfaces, to be called from here."""
    return load_library(tmp_path_factory.mktemp("library") / "core.so")


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    made = Daemon(tmp_path / "socket", monkeypatch)
    yield made
    made.close()


@pytest.fixture
def make(library: ctypes.CDLL, daemon: Daemon) -> Iterator[Callable[..., Instance]]:
    """Make an instance, which ends with the test."""
    made: list[Instance] = []

    def create(plays: int, session: str = "one") -> Instance:
        made.append(Instance(library, plays, session))
        return made[-1]

    yield create
    for each in made:
        each.destroy()
