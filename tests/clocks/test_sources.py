"""The table of clocks that the band can follow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from daemon.clocks import ableton_link, jack_transport
from daemon.clocks.sources import CLOCK_SOURCES, ClockSetup
from music.note import Metre


def test_a_clock_leads_where_the_band_waits_for_its_start() -> None:
    for source in CLOCK_SOURCES.values():
        clock = source.make(ClockSetup())
        assert source.leads == (clock is not None and clock.waits_for_start)


@pytest.mark.parametrize(("name", "asked"), [("jack", (7, 90.0)), ("link", (7, 90.0, 3.0))])
def test_threads_are_told_tempo_and_bar(name: str, asked: tuple[float, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[float, ...]] = []

    class Thread:
        def __init__(self, now: Callable[[], int], _: object, *rest: float) -> None:
            made.append((now(), *rest))

        def close(self) -> None:
            pass

    monkeypatch.setattr(jack_transport, "JackTransport", Thread)
    monkeypatch.setattr(ableton_link, "LinkSession", Thread)
    opener = CLOCK_SOURCES[name].open
    assert opener is not None
    with closing(opener(ClockSetup(90.0, Metre(3, 4)), lambda: 7, lambda _: None)):
        assert made == [asked]
