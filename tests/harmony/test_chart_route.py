"""The way through a chart: round and round, a vamp, an ending, another chart."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.harmony.chart_line import ChartLine
from daemon.harmony.chart_route import ChartRoute
from music.charts.reading import parse_charts

BAR = 96
SONG = "[Verse]\n| C | F |\n[Chorus]\n| G | Am | D |\n[Ending]\n| E | A |\n"
PLAIN = "| C | F | G |\n"


def line(text: str) -> ChartLine:
    return ChartLine(parse_charts(text.encode(), Path("song.txt"))[0])


def route_of(text: str, bar_1: int = 0) -> ChartRoute:
    route = ChartRoute()
    route.change_chart(line(text), None)
    route.restart(bar_1)
    return route


def roots(route: ChartRoute, first: int, count: int) -> str:
    """The roots of so many bars from one on."""
    names = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]
    found = []
    for bar in range(first, first + count):
        (chord,) = route.list_chords(bar * BAR, (bar + 1) * BAR)
        assert (chord.start, chord.end) == (bar * BAR, (bar + 1) * BAR)
        found.append(names[chord.root])
    return " ".join(found)


def test_the_form_goes_round_from_bar_1_on() -> None:
    assert roots(route_of(PLAIN), 0, 7) == "C F G C F G C"
    assert roots(route_of(PLAIN, 2 * BAR), 0, 7) == "F G C F G C F"
    assert ChartRoute().list_chords(0, 1000) == []


def test_a_vamp_repeats_the_section_until_it_is_over_and_goes_on_behind_it() -> None:
    route = route_of(SONG)
    route.wants_vamp = True
    route.vamp(3 * BAR + 40)
    assert roots(route, 0, 12) == "C F G A D G A D G A D G"
    route.wants_vamp = False
    route.vamp(6 * BAR + 10)  # in the second bar of its second pass
    assert roots(route, 5, 8) == "G A D E A C F G"


def test_without_sections_a_vamp_repeats_the_bar() -> None:
    route = route_of(PLAIN)
    route.wants_vamp = True
    route.vamp(BAR + 1)
    assert roots(route, 0, 5) == "C F F F F"
    route.wants_vamp = False
    route.vamp(3 * BAR)
    assert roots(route, 0, 7) == "C F F F G C F"


def test_a_vamp_that_is_taken_back_was_none_and_one_that_is_wanted_again_goes_on() -> None:
    route = route_of(SONG)
    for wanted in (True, False):
        route.wants_vamp = wanted
        route.vamp(BAR)
    assert roots(route, 0, 9) == "C F G A D E A C F"
    for wanted in (True, False, True):
        route.wants_vamp = wanted
        route.vamp(3 * BAR)
    assert roots(route, 2, 7) == "G A D G A D G"


def test_a_vamp_that_is_wanted_from_the_start_repeats_the_first_section() -> None:
    route = route_of(SONG)
    route.wants_vamp = True
    route.restart(BAR)
    assert roots(route, 1, 5) == "C F C F C"
    route.wants_vamp = False
    route.vamp(BAR - 20)  # during the pickup
    assert roots(route, 1, 4) == "C F G A"


def test_a_vamp_that_is_wanted_repeats_the_section_where_one_begins() -> None:
    route = route_of(SONG)
    route.wants_vamp = True
    route.restart(2 * BAR, 5 * BAR + 10)
    assert roots(route, 4, 7) == "G A D G A D G"
    route.restart(2 * BAR, 2 * BAR - 10)  # in the pickup
    assert roots(route, 2, 5) == "C F C F C"


def test_a_vamp_that_is_pressed_in_the_pickup_repeats_the_first_section() -> None:
    route = route_of(SONG)
    route.wants_vamp = True
    route.vamp(-12)
    assert roots(route, 0, 5) == "C F C F C"
    route.wants_vamp = False
    route.vamp(-6)
    assert roots(route, 0, 5) == "C F G A D"


def test_an_ending_goes_to_the_section_that_is_called_so() -> None:
    route = route_of(SONG)
    assert route.end(3 * BAR) == 4 * BAR  # its last bar is the final chord
    assert roots(route, 0, 6) == "C F G E A C"
    route = route_of(SONG)
    assert route.end(5 * BAR) == 6 * BAR  # it is there
    assert roots(route, 0, 7) == "C F G A D E A"


@pytest.mark.parametrize(
    ("text", "line_bar", "chord_bar", "played"),
    [
        (PLAIN, 1, 2, "C G C"),  # the last bar, and bar 1's chord
        (PLAIN, 2, 3, "C F G C"),
        (PLAIN, 3, 4, "C F G G C"),
        ("| C | F |\n[Outro]\n| G . . D |\n", 1, 2, "C"),
        ("[Coda]\n| G |\n[A]\n| C | F |\n", 2, 2, "G C G"),
    ],
)
def test_where_an_ending_goes(text: str, line_bar: int, chord_bar: int, played: str) -> None:
    route = route_of(text)
    assert route.end(line_bar * BAR) == chord_bar * BAR
    assert roots(route, 0, len(played.split())) == played


@pytest.mark.parametrize(
    ("line_bar", "soonest", "chord_bar", "played"),
    [
        (2, 2 * BAR - 20, 2, "A F C"),
        (2, 2 * BAR + 1, 3, "A F C C"),
        (4, 0, 4, "A F G E C"),
        (5, 0, 5, "A F G E C C"),
    ],
)
def test_an_ending_of_one_bar_is_its_chord_after_a_bar_of_it_where_time_is_short(
    line_bar: int, soonest: int, chord_bar: int, played: str
) -> None:
    route = route_of("[A]\n| Am | F | G | E |\n[Ending]\n| C |\n")
    assert route.end(line_bar * BAR, soonest) == chord_bar * BAR
    assert roots(route, 0, len(played.split())) == played


def test_after_an_ending_in_the_middle_of_the_form_that_has_no_chord_of_its_own_comes_bar_1s() -> None:
    route = route_of("[A]\n| Am | F |\n[Ending]\n| G | D . . E |\n[B]\n| Bb |\n")
    assert route.end(BAR) == 3 * BAR
    assert roots(route, 0, 2) == "A G"
    assert roots(route, 3, 2) == "A F"


def test_an_ending_leaves_a_vamp() -> None:
    route = route_of(SONG)
    route.wants_vamp = True
    route.vamp(0)
    assert route.end(4 * BAR) == 5 * BAR
    assert roots(route, 0, 6) == "C F C F E A"


def test_another_song_begins_at_the_bar_line_and_a_corrected_one_goes_on() -> None:
    route = route_of(PLAIN)
    route.change_chart(line("| D | E |\n"), 2 * BAR)
    assert roots(route, 0, 5) == "C F D E D"
    route = route_of(PLAIN)
    route.change_chart(line("| C | F | Bb | Eb |\n"), 5 * BAR, is_same=True)
    assert roots(route, 3, 6) == "C F Bb Eb C F"
    route.change_chart(None, 7 * BAR)
    assert route.chart is None
    assert route.list_chords(7 * BAR, 9 * BAR) == []


def test_where_a_clock_leads_another_song_is_where_that_is() -> None:
    route = route_of(PLAIN)
    route.change_chart(line("| D | E |\n"), 3 * BAR, is_led=True)
    assert roots(route, 2, 4) == "G E D E"


def test_a_vamp_goes_over_to_another_chart() -> None:
    route = route_of(SONG)
    route.wants_vamp = True
    route.vamp(0)
    route.change_chart(line("[A]\n| D | E |\n[B]\n| F |\n"), BAR)
    assert roots(route, 0, 6) == "C D E D E D"
    route.wants_vamp = False
    route.vamp(BAR - 1)  # before the new chart begins
    assert roots(route, 0, 5) == "C D E F D"


moves = st.tuples(st.sampled_from(["vamp", "off", "end", "same", "other", "none", "restart"]), st.integers(1, 400))


@given(st.lists(moves, max_size=12))
def test_whatever_the_way_chords_follow_each_other_without_a_gap(turns: list[tuple[str, int]]) -> None:
    route, tick = route_of(SONG), 0
    other = line("Time: 3/4\n[X]\n| D | E |\n[Y]\n| F . G |\n")
    for turn, step in turns:
        tick += step
        bar_line = -(-tick // BAR) * BAR
        match turn:
            case "vamp" | "off":
                route.wants_vamp = turn == "vamp"
                route.vamp(tick)
            case "end":
                chord = route.end(bar_line)
                assert chord is None or chord >= bar_line
            case "restart":
                route.restart(bar_line)
            case _:
                chart = {"same": line(SONG), "other": other}.get(turn)
                route.change_chart(chart, bar_line, is_same=turn == "same")
    chords = route.list_chords(tick, tick + 1000)
    assert all(a.end == b.start or route.find(a.end).chart is None for a, b in pairwise(chords))
    assert all(chord.start < chord.end for chord in chords)
    if route.chart is not None:
        assert chords[-1].end >= tick + 1000
