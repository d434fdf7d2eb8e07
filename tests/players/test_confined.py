"""A process for playing confines itself once it can find all that it plays."""

from __future__ import annotations

import sys

import pytest

from daemon.players import confined


def test_the_shipped_weights_are_found_before_the_files_are_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "models.pretrained", raising=False)
    known = []
    monkeypatch.setattr(confined, "confine", lambda *_: known.append("models.pretrained" in sys.modules))
    monkeypatch.setattr(confined, "limit_growth", lambda _: None)
    confined._confine("gan", None, 0)
    assert known == [True]
