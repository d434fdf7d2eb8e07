"""Masters that tell their position: JACK's transport, Link."""

from __future__ import annotations

import pytest

from daemon.clocks.clock import Change, ClockTick, Started, Stopped
from daemon.clocks.jack_transport import read_position
from daemon.clocks.midi_clock import SILENCE_TIMEOUT_NS
from daemon.clocks.position_clock import PositionClock, make_position
from tests.support.fakes import MS

BEAT = 500 * MS  # at 120 bpm


def told(*positions: tuple[int, bool, float, float]) -> list[Change]:
    """What (ns, rolling, beat, bpm) mean, one after the other."""
    clock = PositionClock()
    return [change for at in positions for change in clock.on_event(make_position(*at))]


def test_a_position_between_ticks_says_where_its_tick_was() -> None:
    told_at = make_position(1000 * MS, True, 2.53, 120)
    assert told_at.tick == 60
    assert told_at.ns == 1000 * MS - round(0.72 * BEAT / 24)


def test_positions_that_go_on_are_beats() -> None:
    changes = told((0, True, 0, 120), (100 * MS, True, 0.2, 120), (200 * MS, True, 0.4, 120))
    assert isinstance(changes[0], Started)
    assert changes[0].fresh
    assert [type(change) for change in changes[1:]] == [ClockTick, ClockTick]


def test_a_jump_is_a_start_elsewhere() -> None:
    changes = told((0, True, 8, 120), (100 * MS, True, 4, 120))
    assert changes == [Started(192, 0, 500_000), Started(96, 100 * MS, 500_000)]


def test_a_tempo_change_is_none() -> None:
    changes = told((0, True, 0, 120), (50 * MS, True, 0.1, 240), (100 * MS, True, 0.3, 240))
    assert [type(change) for change in changes] == [Started, ClockTick, ClockTick]


def test_a_question_that_was_late_moves_little_and_a_lasting_difference_is_made_up_for() -> None:
    late = told(*((i * 20 * MS + (8 * MS if i == 50 else 0), True, i * 0.04, 120) for i in range(100)))
    assert max(abs(change.ns - change.tick * BEAT / 24) for change in late if isinstance(change, ClockTick)) < 1.1 * MS
    moved = told(*((i * 20 * MS + (8 * MS if i >= 50 else 0), True, i * 0.04, 120) for i in range(100)))
    last = moved[-1]
    assert isinstance(last, ClockTick)
    assert abs(last.ns - last.tick * BEAT / 24 - 8 * MS) < 0.1 * MS


def test_stop_is_told_once() -> None:
    assert told((0, True, 0, 120), (9, False, 0, 120), (10, False, 0, 120))[1:] == [Stopped(9)]


def test_one_that_tells_nothing_any_more_has_stopped() -> None:
    clock = PositionClock()
    clock.on_event(make_position(5, True, 0, 120))
    assert clock.deadline == 5 + SILENCE_TIMEOUT_NS
    assert clock.on_silence(5 + SILENCE_TIMEOUT_NS) == (Stopped(5 + SILENCE_TIMEOUT_NS),)
    assert clock.deadline is None


@pytest.mark.parametrize(
    ("where", "beat", "bpm"),
    [
        ({"frame": 96_000, "frame_rate": 48_000}, 4.0, 120.0),
        (
            {
                "bar": 3, "beat": 2, "tick": 480, "beats_per_bar": 4.0, "beat_type": 4.0, "ticks_per_beat": 960.0,
                "beats_per_minute": 90.0,
            },
            9.5,
            90.0,
        ),
        (
            {
                "bar": 2, "beat": 4, "tick": 0, "beats_per_bar": 6.0, "beat_type": 8.0, "ticks_per_beat": 960.0,
                "beats_per_minute": 180.0,
            },
            4.5,
            90.0,
        ),
    ],
)  # fmt: skip
def test_where_jack_is(where: dict[str, float], beat: float, bpm: float) -> None:
    assert read_position(where, 120) == (beat, bpm)
