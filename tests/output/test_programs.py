"""Instruments of roles: chosen at the start, when they change, after a panic, and where they are written."""

from __future__ import annotations

from pathlib import Path

from daemon.core.events import ControlChange, Event, PortsBack, PortsLost
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.output.programs import list_program_changes
from music import midi
from music.note import Note
from tests.support.fakes import FakePlayer, Stage, only, pairs, perform

AT_120 = TempoMap(500_000)
BEGIN = -2_000_000_000  #: ns at which a performance of these tests begins
TUNE = [Note(tick, 60, 20) for tick in range(0, 192, 24)]


def chosen(stage: Stage) -> list[tuple[int, str]]:
    return [(each.at, each.data.hex()) for each in stage.sent if midi.chooses_program(each.data)]


def test_a_program_is_told_with_its_bank_and_only_where_one_is_chosen() -> None:
    settings = Settings(programs={"bass": 34, "melody": 1, "hand": 128}, banks={"bass": 3 * 128 + 5, "pad": 1})
    assert [data.hex() for data in list_program_changes(settings)] == ["c000", "c57f", "b10003", "b12005", "c121"]
    assert list_program_changes(Settings()) == []


def test_programs_are_chosen_at_the_start_when_they_are_turned_and_after_a_panic() -> None:
    turns = [
        (40, "program.pad", 91),
        (50, "bank.pad", 1),
        (60, "bank.pad", 0),
        (70, "panic", True),
        (80, "bank.bass", 2),
    ]
    events = [ControlChange(AT_120.ns_at(tick), key, value) for tick, key, value in turns]
    stage = perform(FakePlayer(), TUNE, until=120, events=events, settings=Settings(programs={"drums": 9}))
    assert chosen(stage) == [
        (BEGIN, "c908"),
        (AT_120.ns_at(40), "c35a"),
        *((AT_120.ns_at(50), data) for data in ("b30000", "b32001", "c35a")),
        *((AT_120.ns_at(60), data) for data in ("b30000", "b32000", "c35a")),
        *((AT_120.ns_at(70), data) for data in ("c35a", "c908")),
    ]


def test_programs_are_chosen_again_once_lost_ports_are_back() -> None:
    events: list[Event] = [PortsLost(AT_120.ns_at(30)), PortsBack(AT_120.ns_at(90))]
    stage = perform(FakePlayer(), TUNE, until=120, events=events, settings=Settings(programs={"bass": 1}))
    assert chosen(stage) == [(BEGIN, "c100"), (AT_120.ns_at(90), "c100")]


def test_a_role_sounds_higher_by_its_semitones_and_octaves_and_ends_where_it_began() -> None:
    player = only("pad", lambda _request, step: 60 + step % 2, length=20)
    events = [ControlChange(AT_120.ns_at(51), "octave.pad", 2), ControlChange(AT_120.ns_at(99), "semitones.pad", -5)]
    stage = perform(player, TUNE, until=150, events=events)
    began = {pitch: on // AT_120.ns_at(1) for _, pitch, on, _ in sorted(pairs(stage.sent), key=lambda each: -each[2])}
    assert set(began) == {60, 61, 84, 85, 79, 80}
    assert min(began[84], began[85]) >= 51
    assert min(began[79], began[80]) > 98


def test_a_pitch_beyond_midis_is_moved_back_by_octaves() -> None:
    stage = perform(only("bass", lambda *_: 120), TUNE, until=100, settings=Settings(octaves={"bass": 2}))
    assert {pitch for _, pitch, _, _ in pairs(stage.sent)} == {120}
    stage = perform(only("bass", lambda *_: 10), TUNE, until=100, settings=Settings(octaves={"bass": -4}))
    assert {pitch for _, pitch, _, _ in pairs(stage.sent)} == {10}


def test_drums_have_programs_and_no_pitch(tmp_path: Path) -> None:
    stage = perform(only("drums", lambda *_: 36), TUNE, until=100, settings=Settings(octaves={"bass": 1}))
    assert {pitch for _, pitch, _, _ in pairs(stage.sent)} == {36}
