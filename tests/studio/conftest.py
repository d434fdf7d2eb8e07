"""Fixtures of the studio's tests: a studio that runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.studio import StudioProcess


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio with a band of its own that has no MIDI ports."""
    with StudioProcess(tmp_path_factory.mktemp("studio"), "--api", "none") as running:
        yield running
