"""How the live side is wired up: which clock, and what does not go together."""

from __future__ import annotations

import pytest

from daemon.clocks.clock import ClockError
from daemon.clocks.leading_port import LeadingPortClock
from daemon.clocks.position_clock import PositionClock
from daemon.config.config import SONG_POSITIONS, Config
from daemon.config.reading import build_config
from daemon.engine.song import SongInfo
from daemon.live.connections import SONG_POSITION_TICKS, Connections


def values(**said: object) -> Config:
    return build_config(values=said)


def test_what_is_not_said_is_auto() -> None:
    assert Connections.from_config(values()) == Connections()


def test_the_choices_of_song_position_are_the_configurations() -> None:
    assert tuple(SONG_POSITION_TICKS) == SONG_POSITIONS


@pytest.mark.parametrize(
    ("clock", "kind", "waits"),
    [
        ("auto", LeadingPortClock, False),
        ("midi", LeadingPortClock, True),
        ("midi-tempo", LeadingPortClock, True),
        ("jack", PositionClock, True),
        ("link", PositionClock, True),
        ("internal", type(None), None),
    ],
)
def test_clocks(clock: str, kind: type, waits: bool | None) -> None:
    made = Connections.from_config(values(clock=clock)).make_clock(SongInfo())
    assert type(made) is kind
    assert getattr(made, "waits_for_start", None) == waits


def test_a_master_follows_nobodys_midi_clock() -> None:
    assert Connections.from_config(values(send_clock=True)).make_clock(SongInfo()) is None
    with pytest.raises(ClockError, match="send_clock: there can be one master only"):
        Connections.from_config(values(send_clock=True, clock="midi"))


def test_who_follows_does_not_count_in() -> None:
    with pytest.raises(ClockError, match="count_in: with --clock midi the master says where bar 1 is"):
        Connections.from_config(values(clock="midi", count_in=1))
