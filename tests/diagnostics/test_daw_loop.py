"""The loop through a DAW: what is measured, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.core.events import Event, MidiIn
from daemon.diagnostics import daw_loop
from daemon.diagnostics.daw_loop import DawLoop, NoLoopError, measure_daw_loop
from tests.support.fakes import MS


class Loop:
    """Ports whose messages a DAW sends back so much later (ns); the first ones, before it is connected, it does not."""

    names = ("houseband in", "houseband out")

    def __init__(self, late: int, told: int = 0, deaf: int = 0) -> None:
        self.latency_ns, self._late, self._deaf = told, late, deaf
        self.on: list[int] = []
        self._put: Callable[[Event], None] = lambda _: None

    def listen(self, _now: Callable[[], int], put: Callable[[Event], None]) -> None:
        self._put = put

    def find_failure(self) -> str | None:
        return None

    def send(self, data: bytes, due: int) -> None:
        if data[0] == 0x90:
            self.on.append(data[1])
            self._deaf -= 1
            if self._deaf < 0:
                self._put(MidiIn(due + 1, b"\xf8"))  # and its clock
                self._put(MidiIn(due + self._late, data))
        else:
            self.on.remove(data[1])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daw_loop, "RETURN_S", 0.01)
    monkeypatch.setattr(daw_loop, "INTERVAL_S", 0)


def measured(loop: Any) -> DawLoop:
    return measure_daw_loop(loop, lambda _: None, notes=20)


def test_it_waits_until_notes_come_back_and_tells_what_to_set() -> None:
    loop = Loop(47_654_321, deaf=3)
    found = measured(loop)
    assert found.times_ms == (47.654321,) * 20
    assert found.as_json() == {"loop_ms": 47.654, "spread_ms": 0.0, "lost": 0, "told_ms": 0.0, "latency_ms": 47.7}
    assert "latency_ms = 47.7" in found.describe()
    assert loop.on == []  # every note is ended


def test_where_the_ports_tell_it_themselves_nothing_is_to_be_set() -> None:
    found = measured(Loop(47 * MS + MS // 2, told=47 * MS + MS // 4))
    assert found.as_json()["latency_ms"] == -1
    assert "leave latency_ms as it is" in found.describe()


def test_jitter_and_losses_are_said() -> None:
    found = DawLoop(tuple(float(time) for time in range(10, 30)), 0.0, lost=2)
    assert "2 of 22 were lost" in found.describe()
    assert "real-time priority" in found.describe()


def test_where_nothing_comes_back_it_says_what_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daw_loop, "PATIENCE_S", 0.02)
    silent = Loop(MS, deaf=1 << 30)
    with pytest.raises(NoLoopError, match="connect 'houseband out' to a track, and that to 'houseband in'"):
        measured(silent)
    assert silent.on == []
    gone = SimpleNamespace(
        **{name: getattr(silent, name) for name in ("names", "listen", "find_failure", "latency_ns")}
    )
    sent: list[bytes] = []

    def send_once(data: bytes, due: int) -> None:
        if not sent:
            silent._put(MidiIn(due, data))
        sent.append(data)

    gone.send = send_once
    with pytest.raises(NoLoopError, match="nothing more"):
        measured(gone)
