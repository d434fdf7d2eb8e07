"""Whatever stops the program is heard."""

from __future__ import annotations

import os
import signal

import pytest

from daemon.system.signals import STOP_SIGNALS, on_stop


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_every_way_of_being_stopped_is_heard_and_the_old_handlers_return() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    stops: list[int] = []
    with on_stop(lambda: stops.append(len(stops))):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
    assert stops == [0, 1, 2]
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before
