"""A chart while the band plays: its metres, a vamp, its ending, another chart, and where its bar 1 is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.core.events import ControlChange, Event
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.core.value_types import TOGGLE
from daemon.engine.song import Bar, BarLines, SongInfo
from daemon.harmony.chart_line import ChartLine, OpenedChart
from music.charts.reading import parse_charts
from music.note import Metre, Note
from tests.support.fakes import FakePlayer, Stage, only, perform

BAR = 96
AT_120 = TempoMap(500_000)
NAMES = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]
SONG = "[Verse]\n| C | F |\n[Chorus]\n| G | Am | D |\n[Ending]\n| E | A |\n"
ALONE = SongInfo(follows_chart=True)  # the first note says where bar 1 is
FROM_CHART = Settings(harmony="chart", chart="/song.txt")
LATER = replace(FROM_CHART, final_chord="bar-later")
HELD = [Note(0, 72, 2000)]


def line(text: str) -> ChartLine:
    return ChartLine(parse_charts(text.encode(), Path("song.txt"))[0])


def turn(tick: int, key: str, value: object = True) -> ControlChange:
    return ControlChange(AT_120.ns_at(tick), key, value)


def tune(bars: int, first: int = 0) -> list[Note]:
    return [Note(BAR * first + 24 * beat, 72, 20) for beat in range(4 * bars)]


def play(
    text: str,
    bars: int,
    events: Iterable[Event] = (),
    *,
    melody: Iterable[Note] | None = None,
    song: SongInfo = ALONE,
    settings: Settings = FROM_CHART,
) -> tuple[FakePlayer, Stage]:
    player = only("bass", lambda request, step: 36 + step % 2)
    notes = tune(bars) if melody is None else melody
    return player, perform(
        player, notes, until=bars * BAR, events=events, song=song, settings=settings, chart=line(text)
    )


def find_root(request: PlanRequest) -> str:
    now = request.now * 6
    return next((NAMES[each.root] for each in request.harmony if each.start <= now < each.end), "-")


def roots(player: FakePlayer) -> str:
    """The root that was heard of at beat 2 of every bar, which nothing that is turned at its beginning misses."""
    return " ".join(find_root(request) for request in player.asked if request.now % 16 == 4)


def test_the_metres_of_a_chart_are_the_bands_and_come_round_with_its_form() -> None:
    text = "Time: 3/4\n| C | F |\nTime: 4/4\n| G |\n"
    three, four = Metre(3, 4), Metre()
    player, _ = play(text, 6)
    bars = {(request.bar_origin, request.metre, find_root(request)) for request in player.asked if request.now < 80}
    assert {(origin, metre) for origin, metre, _ in bars} == {(0, three), (144, four), (240, three), (384, four)}
    assert {root for _, metre, root in bars if metre == four} == {"G"}
    by_step = {request.now: (find_root(request), request.metre) for request in player.asked}
    found = [by_step[step] for step in (12, 23, 24, 39, 40, 52, 64)]
    assert found == [("F", three), ("F", three), ("G", four), ("G", four), ("C", three), ("F", three), ("G", four)]


def test_a_metre_that_the_player_has_given_stays() -> None:
    player, _ = play("Time: 3/4\n| C | F |\nTime: 4/4\n| G |\n", 4, song=SongInfo())
    assert {(request.bar_origin, request.metre) for request in player.asked} == {(0, Metre())}


def test_a_chart_in_one_metre_leaves_bars_counted_from_where_they_were() -> None:
    player, _ = play("Time: 3/4\n| C | F |\n", 6, song=replace(ALONE, metres=((0, Metre(3, 4)),)))
    assert {(request.bar_origin, request.metre) for request in player.asked} == {(0, Metre(3, 4))}


def test_bar_lines_lie_where_the_chart_has_them_and_a_jump_cuts_a_bar_short() -> None:
    bars = BarLines([(0, Metre())], follows_chart=True)
    route = bars.route
    assert (bars.bar_at(100), bars.metre_at(100)) == (Bar(96, 192), (0, Metre()))
    route.change_chart(line("Time: 3/4\n| C | F |\nTime: 6/8\n| G |\n"), None)
    route.restart(10)
    assert [bars.bar_at(tick) for tick in (0, 10, 81, 82, 154, 226)] == [
        *(Bar(-62, 10), Bar(10, 82), Bar(10, 82), Bar(82, 154), Bar(154, 226, 12), Bar(226, 298))
    ]
    route.change_chart(line("| C |\n"), 120)
    assert (bars.bar_at(100), bars.bar_at(130)) == (Bar(82, 120), Bar(120, 216))


def test_a_vamp_holds_the_section_and_is_heard_without_a_gap() -> None:
    player, stage = play(SONG, 11, [turn(3 * BAR + 30, "vamp"), turn(6 * BAR + 30, "vamp", TOGGLE)])
    assert roots(player) == "C F G A D G A D E A C"
    assert [start for start, *_ in stage.notes] == list(range(6, 11 * BAR, 6))


def test_an_ending_goes_to_the_charts_and_the_next_song_begins_at_bar_1() -> None:
    again = 9 * BAR + 40
    events = [turn(2 * BAR + 30, "ending"), turn(7 * BAR, "start")]
    player, stage = play(SONG, 12, events, melody=[*tune(3), *(Note(again + 24 * i, 72, 20) for i in range(9))])
    before = [request for request in player.asked if request.now < 9 * 16]
    assert roots(only_asked(before)) == "C F G E"
    over = [start for start, *_ in stage.notes if start < again]
    assert max(over) == 4 * BAR  # the final chord
    after = [request for request in player.asked if request.now >= 9 * 16]
    first = after[0].now - 1
    assert [find_root(request) for request in after if (request.now - first) % 16 == 4] == ["C", "F", "G"]


def only_asked(requests: list[PlanRequest]) -> FakePlayer:
    player = FakePlayer()
    player.asked = requests
    return player


@pytest.mark.parametrize(("asked", "chord"), [(BAR + 10, 2 * BAR), (2 * BAR - 2, 3 * BAR)])
def test_an_ending_of_one_bar_is_held_and_no_other_chord_is(asked: int, chord: int) -> None:
    text = "[A]\n| Am | F | G | E |\n[Ending]\n| C |\n"
    player = only("bass", lambda request, step: 36 + NAMES.index(find_root(request)))
    stage = perform(
        player,
        tune(8),
        until=8 * BAR,
        events=[turn(asked, "ending")],
        song=ALONE,
        settings=FROM_CHART,
        chart=line(text),
    )
    (final,) = [note for note in stage.notes if note[0] >= chord]
    assert final == (chord, 1, 36, BAR)


def test_the_final_chord_of_a_chart_that_lies_off_the_grid_comes() -> None:
    _, stage = play("Time: 7/32\n| C | F | G |\n", 6, [turn(BAR + 10, "ending")], song=SongInfo(), settings=LATER)
    assert max(start for start, *_ in stage.notes) == 2 * BAR + 24
    assert max(start + length for start, _, _, length in stage.notes) == 3 * BAR


def test_where_chords_are_guessed_an_ending_is_a_chord_on_the_next_bar_line() -> None:
    _, stage = play(SONG, 8, [turn(3 * BAR - 7, "ending")], settings=Settings(harmony="melody"))
    assert max(start for start, *_ in stage.notes) == 3 * BAR


def test_a_chart_without_an_ending_goes_to_the_chord_of_bar_1_or_plays_its_last_bar_before() -> None:
    text, pressed = "| C | F | G | D |\n", BAR + 90
    player, stage = play(text, 6, [turn(pressed, "ending")], melody=HELD)
    assert max(start for start, *_ in stage.notes) == 3 * BAR  # a sixteenth is left: the next bar is meant
    assert roots(player) == "C F G"
    player, stage = play(text, 6, [turn(pressed - 1, "ending")], melody=HELD)
    assert max(start for start, *_ in stage.notes) == 2 * BAR
    assert find_root(player.asked[-1]) == "C"
    player, stage = play(text, 6, [turn(pressed - 1, "ending")], melody=HELD, settings=LATER)
    assert max(start for start, *_ in stage.notes) == 3 * BAR
    assert (roots(player), find_root(player.asked[-1])) == ("C F D", "C")


def test_a_vamp_that_is_pressed_during_an_ending_comes_too_late() -> None:
    _, stage = play(SONG, 8, [turn(2 * BAR + 30, "ending"), turn(3 * BAR + 6, "vamp")])
    assert max(start for start, *_ in stage.notes) == 4 * BAR


def test_a_vamp_that_is_turned_during_a_pauses_ending_holds_when_that_is_called_off() -> None:
    settings, melody = replace(FROM_CHART, pause_bars=4), [*tune(2), Note(BAR * 6 + 60, 72, 20), *tune(8, 7)]
    on, _ = play(SONG, 12, [turn(BAR * 6 + 10, "vamp")], melody=melody, settings=settings)
    assert roots(on) == "C F G A D E A E A E A E"
    off, _ = play(
        SONG, 12, [turn(BAR * 3, "vamp"), turn(BAR * 6 + 10, "vamp", False)], melody=melody, settings=settings
    )
    assert roots(off) == "C F G A D G A D E A C F"


def test_another_chart_is_taken_at_the_next_bar_line_without_a_gap() -> None:
    other, corrected = OpenedChart("/other.txt", line("| Bb | Eb |\n")), line("| Bb | Ab |\n")
    events = [turn(2 * BAR + 90, "chart", other), turn(5 * BAR + 1, "chart", OpenedChart("/other.txt", corrected))]
    player, stage = play(SONG, 9, events)
    assert roots(player) == "C F G Bb Eb Bb Ab Bb Ab"
    assert [start for start, *_ in stage.notes] == list(range(6, 9 * BAR, 6))
    assert stage.conductor.settings.chart == "/other.txt"


def test_a_chart_in_another_metre_begins_on_the_bar_line() -> None:
    player, _ = play("| C |\n", 4, [turn(BAR + 9, "chart", OpenedChart("/w.txt", line("Time: 3/4\n| D | E |\n")))])
    assert sorted({(request.bar_origin % 72, request.metre) for request in player.asked if request.now >= 32}) == [
        (2 * BAR % 72, Metre(3, 4))
    ]
    by_step = {request.now: find_root(request) for request in player.asked}
    assert [by_step[step] for step in (31, 32, 43, 44, 55, 56)] == ["C", "D", "D", "E", "E", "D"]


@pytest.mark.parametrize("value", [None, "/song.txt", 7, True])
def test_what_is_no_chart_that_has_been_read_is_refused_and_the_old_one_stays(value: object) -> None:
    player, stage = play("| C | F |\n", 4, [turn(BAR, "chart", value)])
    assert roots(player) == "C F C F"
    assert (stage.counters.refused, stage.conductor.settings.chart) == (1, "/song.txt")


def test_a_chart_can_be_taken_away_and_chosen_before_anybody_plays() -> None:
    chosen = OpenedChart("/other.txt", line("| D | E |\n"))
    player, _ = play(SONG, 5, [turn(-50, "chart", chosen), turn(2 * BAR, "chart", OpenedChart("", None))])
    assert roots(player) == "D E D - -"


def test_a_chart_that_is_chosen_during_the_ending_is_the_next_songs() -> None:
    events = [turn(2 * BAR + 30, "ending"), turn(3 * BAR, "chart", OpenedChart("/b.txt", line("| Bb |\n")))]
    player, stage = play(SONG, 9, [*events, turn(6 * BAR, "start")], melody=[*tune(3), *tune(2, 7)])
    assert [find_root(request) for request in player.asked if request.now % 16 == 4] == ["C", "F", "G", "E", "Bb", "Bb"]
    assert 4 * BAR in {start for start, *_ in stage.notes}


def test_a_long_rest_does_not_move_the_chart() -> None:
    player, _ = play("| C | F | G |\n", 10, melody=[*tune(2), *tune(1, 8)])
    assert roots(player) == "C F G C F G C F G C"


def test_a_pause_ends_and_the_next_note_is_bar_1_again() -> None:
    settings = replace(FROM_CHART, pause_bars=1)
    late = [Note(8 * BAR + 30 + 24 * i, 72, 20) for i in range(8)]
    player, _ = play("| C | F | G |\n", 11, melody=[*tune(2), *late], settings=settings)
    after = [request for request in player.asked if request.now > 8 * 16]
    first = after[0].now - 1
    assert [find_root(request) for request in after if (request.now - first) % 16 == 4][:2] == ["C", "F"]


def test_after_a_count_in_the_song_that_is_begun_anew_has_its_bar_1_at_the_nearest_bar_line() -> None:
    events = [turn(2 * BAR, "stop"), turn(3 * BAR, "start")]
    song = replace(ALONE, count_in=1)
    player, _ = play("| C | F | G |\n", 9, events, melody=[*tune(2), Note(5 * BAR - 3, 72, 90), *tune(3, 6)], song=song)
    shift = player.asked[0].now - 1
    assert {find_root(request) for request in player.asked if 5 * 16 <= request.now - shift < 6 * 16} == {"C"}
    assert {find_root(request) for request in player.asked if 6 * 16 <= request.now - shift < 7 * 16} == {"F"}
