"""The parts of a live performance: started, stopped and taken down in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import closing

import pytest

from daemon.core.events import MidiIn
from daemon.core.observers import Observer, PerformanceView
from daemon.core.settings import Settings
from daemon.engine.song import SongInfo
from daemon.live.performance import LivePerformance
from daemon.players.worker import PlayerSpec
from daemon.system import signals

FAKE = PlayerSpec("tests.support.worker_players:fake")


class Kept(Observer):
    """An Output, and an observer of it; a part that is closed."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.observed: list[bytes] = []
        self.performance: PerformanceView | None = None
        self.closings = 0

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        self.sent.append(data)

    def on_start(self, performance: PerformanceView) -> None:
        self.performance = performance

    def on_output(self, data: bytes, due: int) -> None:
        self.observed.append(data)

    def close(self) -> None:
        self.closings += 1


def test_it_plays_with_a_player_an_output_and_nothing_else_until_it_is_stopped() -> None:
    with LivePerformance(FAKE) as live:
        kept = live.parts.enter_context(closing(Kept()))
        settings = Settings(style=live.wait_for_player().styles[0], programs={"bass": 34})
        conductor = live.make_conductor(live.world, kept, SongInfo(), settings, [kept])
        assert kept.performance is conductor
        live.world.put(MidiIn(live.world.now(), b"\x90\x3c\x50"))
        live.stop()
        live.run(conductor)
        assert kept.closings == 0
    assert kept.closings == 1
    assert kept.sent == kept.observed
    assert kept.sent[0] == b"\xc1\x21"


class Follower(Kept):
    """Ends the performance once the band has been told of a chord."""

    def __init__(self, live: LivePerformance) -> None:
        super().__init__()
        self._live = live
        self.chords: list[str] = []

    def on_chords(self, chords: Sequence[tuple[int, str]]) -> None:
        self.chords += (label for _, label in chords)
        self._live.stop()


def test_observers_are_told_of_the_chords_that_the_band_is_told_of() -> None:
    with LivePerformance(FAKE) as live:
        kept = live.parts.enter_context(closing(Follower(live)))
        settings = Settings(style=live.wait_for_player().styles[0], harmony="hands", chord_channel=16)
        conductor = live.make_conductor(live.world, kept, SongInfo(), settings, [kept])
        for message in (b"\x9f\x30\x50", b"\x9f\x34\x50", b"\x9f\x37\x50", b"\x90\x48\x50"):
            live.world.put(MidiIn(live.world.now(), message))
        live.run(conductor)
    assert kept.chords == ["C:maj"]


def test_a_signal_ends_the_program_before_it_plays_and_the_performance_afterwards() -> None:
    with LivePerformance(FAKE) as live:
        kept = live.parts.enter_context(closing(Kept()))
        with pytest.raises(SystemExit) as left:
            signal.raise_signal(signal.SIGINT)
        assert left.value.code == 0
        conductor = live.make_conductor(live.world, kept, SongInfo(), Settings(style=live.wait_for_player().styles[0]))
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        live.run(conductor)


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_ctrl_z_silences_the_performance_before_it_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    stops: list[str] = []
    monkeypatch.setattr(signals, "stop_process", lambda: stops.append("stopped"))
    with LivePerformance(FAKE) as live:
        kept = live.parts.enter_context(closing(Kept()))
        signal.raise_signal(signal.SIGTSTP)
        assert stops == ["stopped"]
        live.end_notes = lambda: stops.append("ends have arrived")
        conductor = live.make_conductor(live.world, kept, SongInfo(), Settings(style=live.wait_for_player().styles[0]))
        signal.raise_signal(signal.SIGTSTP)
        live.stop()
        live.run(conductor)
        assert stops[1:] == ["ends have arrived", "stopped"]


def test_what_fails_on_the_way_takes_everything_down() -> None:
    kept = Kept()

    def fail() -> None:
        with LivePerformance(FAKE) as live:
            live.parts.enter_context(closing(kept))
            raise ValueError("no such port")

    with pytest.raises(ValueError, match="no such port"):
        fail()
    assert kept.closings == 1
