"""Going from one song to another, on virtual time: when it begins, what it turns, and that nothing hangs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.core.events import CalledSong, ControlChange, Event
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.song import SongInfo
from daemon.harmony.chart_line import ChartLine, OpenedChart
from music.charts.reading import parse_charts
from music.note import Metre, Note
from tests.support.fakes import FakePlayer, Stage, only, perform

BAR = 96
AT_120 = TempoMap(500_000)
ALONE = SongInfo(follows_chart=True)
CHART = OpenedChart("/waltz.txt", ChartLine(parse_charts(b"Time: 3/4\n| D | G |\n", Path("waltz.txt"))[0]))


def song(name: str, **changes: object) -> CalledSong:
    pairs = {key.replace("__", "."): value for key, value in changes.items()}
    return CalledSong(name, tuple(pairs.items()), frozenset(pairs))


def at(tick: int) -> int:
    return AT_120.ns_at(tick)


def call(tick: int, called: CalledSong, **more: object) -> ControlChange:
    return ControlChange(at(tick), "song", called, **more)  # type: ignore[arg-type]


def tune(bars: int) -> list[Note]:
    return [Note(24 * beat, 72, 20) for beat in range(4 * bars)]


def play(
    events: Iterable[Event],
    bars: int = 4,
    *,
    player: FakePlayer | None = None,
    melody: Iterable[Note] | None = None,
    info: SongInfo = ALONE,
    settings: Settings = Settings(),
) -> tuple[FakePlayer, Stage]:
    player = player or only("bass", lambda request, step: 36 + request.settings.seed, length=30)
    notes = tune(bars) if melody is None else melody
    return player, perform(player, notes, until=bars * BAR, events=events, song=info, settings=settings)


def by_step(player: FakePlayer) -> dict[int, PlanRequest]:
    return {request.now: request for request in player.asked}


@pytest.mark.parametrize("tick", [100, 97 + 80, 189, 191])
def test_a_song_begins_at_the_next_bar_line_with_all_that_it_holds(tick: int) -> None:
    waltz = song("waltz", style="rock", seed=7, metre="3/4", key="D minor", intensity=1.0)
    player, stage = play([call(tick, waltz)])
    asked = by_step(player)
    assert (asked[31].settings.style, asked[31].metre) == ("pop", Metre())
    new = asked[32]
    assert (new.settings.style, new.settings.seed, new.settings.song) == ("rock", 7, "waltz")
    assert (new.metre, new.bar_origin, str(new.key and new.key.name)) == (Metre(3, 4), 192, "D minor")
    assert stage.conductor.settings.intensity == 1.0
    starts = {start: pitch for start, _, pitch, _ in stage.notes}
    assert {pitch for start, pitch in starts.items() if start < 192} == {36}
    assert {pitch for start, pitch in starts.items() if start >= 192} == {43}


def test_whatever_sounds_of_the_old_song_ends_where_the_new_one_begins_and_nothing_hangs() -> None:
    _, stage = play([call(100, song("waltz", seed=7))])
    assert all(start + length <= 192 for start, _, pitch, length in stage.notes if pitch == 36)
    assert stage.notes  # which checks that each has ended


def test_players_are_told_nothing_of_the_old_song() -> None:
    player, _ = play([call(100, song("waltz", seed=7))])
    new = by_step(player)[36]
    assert min(note.start for note in new.melody) >= 189
    assert min(note.start for note in new.committed["bass"]) >= 192


def test_its_tempo_holds_from_its_first_tick_on() -> None:
    _, stage = play([call(100, song("fast", bpm=240.0))], 6)
    assert stage.conductor.tempo is not None
    assert stage.conductor.tempo.marks == ((0, 500_000), (192, 250_000))


def test_its_chart_begins_at_its_bar_1_and_gives_the_metre() -> None:
    player, _ = play([call(100, song("waltz", chart=CHART, harmony="chart"))])
    asked = by_step(player)
    roots = [
        next(each.root for each in asked[step].harmony if each.start <= step * 6 < each.end)
        for step in (32, 43, 44, 56)
    ]
    assert roots == [2, 2, 7, 2]
    assert {asked[step].metre for step in (32, 44, 56)} == {Metre(3, 4)}


def test_at_once_it_begins_with_the_next_step() -> None:
    settings = Settings(song_change="now")
    player, stage = play([call(40, song("waltz", seed=7, metre="3/4"))], settings=settings)
    assert by_step(player)[7].bar_origin == 42
    assert {pitch for start, _, pitch, _ in stage.notes if start >= 42} == {43}
    assert all(start + length <= 42 for start, _, pitch, length in stage.notes if pitch == 36)
    _, late = play([call(46, song("waltz", seed=7))], settings=settings)  # the next step has been asked for
    assert {pitch for start, _, pitch, _ in late.notes if start >= 48} == {43}


def test_while_nothing_plays_it_holds_at_once_and_the_first_note_begins_it() -> None:
    player, stage = play(
        [ControlChange(-5, "song", song("waltz", bpm=60.0, metre="3/4", pickup=1.0, seed=7))],
        melody=[Note(0, 72, 20)],
        info=SongInfo(),
    )
    assert stage.conductor.us_per_beat == 1_000_000
    assert (player.asked[-1].metre, stage.conductor.settings.song) == (Metre(3, 4), "waltz")
    assert stage.conductor.find_bar(0).start == 0
    assert next(request for request in player.asked if request.number > 1).now <= -3  # the pickup comes first


def test_what_a_song_turned_is_turned_back_and_what_the_player_turned_stays() -> None:
    events = [
        ControlChange(at(5), "density", 0.5),
        call(10, song("one", transpose=5, intensity=0.2, bpm=60.0, level__bass=0.5)),
        call(200, song("two", seed=3)),
    ]
    _, stage = play(events, 8, settings=Settings(intensity=0.9))
    settings = stage.conductor.settings
    assert (settings.song, settings.transpose, settings.intensity, settings.levels) == ("two", 0, 0.9, {})
    assert (settings.density, settings.seed, stage.conductor.us_per_beat) == (0.5, 3, 500_000)


def test_of_two_songs_the_one_that_was_called_last_begins() -> None:
    player, stage = play([call(100, song("one", seed=1)), call(150, song("two", seed=2))])
    assert by_step(player)[32].settings.song == "two"
    assert stage.conductor.settings.seed == 2


def test_a_song_that_is_called_as_another_begins_follows_a_bar_later_and_nothing_hangs() -> None:
    player, stage = play([call(100, song("one", seed=1)), call(190, song("two", seed=2))])
    asked = by_step(player)
    assert (asked[32].settings.song, asked[47].settings.song, asked[48].settings.song) == ("one", "one", "two")
    assert stage.notes  # which checks that each has ended


def test_during_an_ending_it_waits_for_the_next_performance() -> None:
    player, stage = play([ControlChange(at(100), "ending", True), call(120, song("next", seed=7))], 6)
    assert {request.settings.song for request in player.asked if request.number > 1 and request.now > 8} >= {""}
    assert stage.conductor.settings.song == "next"
    assert not stage.conductor.playing
    assert {pitch for _, _, pitch, _ in stage.notes} == {36}
    assert stage.notes  # which checks that each has ended


def test_a_stop_lets_it_hold_at_once() -> None:
    _, stage = play([call(100, song("next", seed=7)), ControlChange(at(120), "stop", True)])
    assert (stage.conductor.settings.song, stage.conductor.playing) == ("next", False)
    _, stage = play([call(100, song("next", seed=7)), ControlChange(at(190), "stop", True)])  # it has been prepared
    assert (stage.conductor.settings.song, stage.conductor.settings.seed) == ("next", 7)
    assert stage.notes  # which checks that each has ended


def test_a_control_that_is_turned_as_a_song_begins_is_not_lost() -> None:
    _, stage = play([call(100, song("next", seed=7)), ControlChange(at(190), "density", 0.25)])
    assert (stage.conductor.settings.density, stage.conductor.settings.seed) == (0.25, 7)


def test_a_song_that_cannot_be_played_is_refused_in_a_sentence_and_changes_nothing() -> None:
    said: list[str] = []
    done: list[bool] = []
    change = call(100, song("bad", harmony="chart"), done=done.append, explain=said.append)
    _, stage = play([change, call(110, song("worse", metre="2/4", pickup=3.0), done=done.append, explain=said.append)])
    assert done == [False, False]
    assert said[0] == "harmony: there is no chart to play from"
    assert said[1].startswith("pickup: takes beats")
    assert (stage.conductor.settings.song, stage.conductor.settings.harmony) == ("", "melody")


def test_the_techniques_of_songs_to_come_are_told_to_players() -> None:
    called = CalledSong("one", (("seed", 1),), frozenset({"seed"}), ("transformer",))
    player, _ = play([call(100, called)])
    assert by_step(player)[40].upcoming == ("transformer",)


def test_no_song_at_all_turns_back_what_the_last_one_turned() -> None:
    _, stage = play([call(10, song("one", seed=5)), call(200, CalledSong(""))], 5)
    assert (stage.conductor.settings.song, stage.conductor.settings.seed) == ("", 0)


def test_the_instruments_of_a_song_are_chosen_as_it_begins_and_others_are_left() -> None:
    _, stage = play(
        [call(100, song("one", program__bass=34, program__pad=90)), call(300, song("two", program__pad=90))]
    )
    chosen = [(message.at, message.data) for message in stage.sent if message.data[0] & 0xF0 == 0xC0]
    assert chosen == [(at(192), bytes((0xC1, 33))), (at(192), bytes((0xC3, 89)))]


@pytest.mark.parametrize("latency", [30_000_000, 80_000_000, 200_000_000])
def test_a_plan_that_comes_late_plays_nothing_of_the_old_song_into_the_new_one(latency: int) -> None:
    player = only("bass", lambda request, step: 36 + request.settings.seed, length=30)
    stage = perform(player, tune(4), until=384, events=[call(100, song("next", seed=7))], song=ALONE, latency=latency)
    assert all(start + length <= 192 for start, _, pitch, length in stage.notes if pitch == 36)
    late = [start for start, _, pitch, _ in stage.notes if pitch == 43]
    assert min(late) >= 192


def test_chords_are_told_in_the_players_key_and_those_of_bar_1_before_a_song_begins() -> None:
    held = call(100, song("waltz", chart=CHART, harmony="chart", transpose=2))
    waiting = [ControlChange(at(100), "stop", True), replace(held, at=at(150))]
    for bars in (3, 4, 5, 6):
        _, stage = play(waiting, bars, info=SongInfo())
        assert stage.conductor.find_chords(at(bars * BAR))[:2] == ("D:maj", "G:maj")
    _, stage = play([held], 3)  # bar 2 of the waltz begins at tick 264
    assert stage.conductor.find_chords(at(265))[:2] == ("G:maj", "D:maj")
