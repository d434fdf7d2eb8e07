"""Measurements that the doctor and the bench share."""

from __future__ import annotations

from daemon.core.settings import Settings
from daemon.diagnostics.measure import make_plan_requests


def test_a_player_that_edits_is_asked_about_a_loop_that_is_never_the_same() -> None:
    first, second = (request for request, _ in zip(make_plan_requests(Settings(), edits=True), range(2), strict=False))
    assert first.loop
    assert second.loop
    assert first.loop.wanted_edits == 1
    assert first.loop.notes != second.loop.notes
    assert next(make_plan_requests(Settings())).loop is None
