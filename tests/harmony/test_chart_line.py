"""Charts on ticks."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.harmony.chart_line import ChartLine, OpenedChart, read_name, transpose_chord
from daemon.harmony.chord_reading import ReadChord
from music.analysis.key import Key, read_key
from music.charts.chart import COMMON_TIME, Chart, ChartBar, ChartError, PlacedChord
from music.charts.chord_names import parse_chord_name
from music.charts.reading import parse_charts
from music.encoding.chord_evidence import pack_tones
from music.note import Metre


def lay_out(text: str) -> ChartLine:
    return ChartLine(parse_charts(text.encode(), Path("song.txt"))[0])


def test_the_form_goes_round() -> None:
    line = lay_out("Time: 4/4\n| C | F G | C/E | Dm7 |\n")
    assert line.length == 384
    found = [(each.start, each.end, each.root, each.bass) for each in line.list_chords(0, 480)]
    first = [(0, 96, 0, 0), (96, 144, 5, 5), (144, 192, 7, 7), (192, 288, 0, 4), (288, 384, 2, 2)]
    assert found == [*first, (384, 480, 0, 0)]
    assert [each.start for each in line.list_chords(-1, 1)] == [-96, 0]


def test_other_metres_have_their_own_bars() -> None:
    line = lay_out("Time: 3/4\n| C | F . G |\n")
    assert [(each.start, each.root) for each in line.list_chords(0, 144)] == [(0, 0), (72, 5), (120, 7)]


def test_no_chord_is_a_chord_of_no_tones_but_nothing_written_yet_is_not() -> None:
    assert [(each.start, each.tones) for each in lay_out("| N.C. | C |\n").list_chords(0, 96)] == [(0, 0)]
    bars = [ChartBar(COMMON_TIME), ChartBar(COMMON_TIME, [PlacedChord(Fraction(1), parse_chord_name("C"))])]
    line = ChartLine(Chart("text", bars=bars, order=[0, 1]))
    assert [each.start for each in line.list_chords(0, 192)] == [96]


def test_a_chart_that_does_not_say_where_its_chords_are_is_refused() -> None:
    chart = parse_charts(b"{title: Song}\n[C]Words and [G]words\n", Path("song.cho"))[0]
    with pytest.raises(ChartError, match="write them in a grid"):
        ChartLine(chart)


@pytest.mark.parametrize(
    ("symbol", "tones"),
    [("C6/9", [0, 4, 7, 9, 2]), ("Cmaj7#5", [0, 4, 8, 11]), ("C7alt", [0, 4, 8, 10, 3]), ("Cdim7", [0, 3, 6, 9])],
)
def test_rare_qualities_have_their_tones(symbol: str, tones: list[int]) -> None:
    chord = read_name(parse_chord_name(symbol))
    assert (chord.root, chord.tones) == (0, pack_tones(tones))


def test_a_chart_is_transposed() -> None:
    line = lay_out("| C | G/B |\n")
    assert [(each.root, each.bass) for each in line.list_chords(0, 192, 2)] == [(2, 2), (9, 1)]
    chord = read_name(parse_chord_name("G/B"))
    assert transpose_chord(transpose_chord(chord, 5), -5) == chord


def test_a_chart_tells_its_metres_sections_bars_and_ending() -> None:
    song = lay_out("Key: Am\nTime: 3/4\n| C | F |\n[A]\nTime: 4/4\n| G | Am |\n[Coda]\n| D | E |\n")
    assert song.metres == ((0, Metre(3, 4)), (144, Metre()))
    assert song.key == Key(9, True)
    assert [song.find_section(place) for place in (0, 143, 144, 335, 336)] == [
        *[(0, 144)] * 2,
        *[(144, 336)] * 2,
        (336, 528),
    ]
    assert [song.find_bar(place) for place in (0, 71, 72, 144, 527)] == [
        *[(0, 72)] * 2,
        *((72, 144), (144, 240), (432, 528)),
    ]
    assert song.find_ending() == (336, 432)
    plain = lay_out("| C | F | G |\n")
    assert (plain.find_section(100), plain.find_ending()) == ((96, 192), (192, 288))


def test_a_section_that_is_repeated_begins_again() -> None:
    song = lay_out("[A]\n|: C | F :|\n[B]\n| G |\n")
    assert [song.find_section(place) for place in (0, 200, 400)] == [(0, 192), (192, 384), (384, 480)]


def test_a_metre_that_the_band_does_not_play_leaves_its_chords() -> None:
    song = lay_out("Time: 5/32\n| C |\n")
    assert song.metres == ()
    assert len(song.list_chords(0, 10)) == 1
    with pytest.raises(ChartError, match="it has a metre that no grid"):
        _ = OpenedChart("song.txt", song).metres


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("D dorian", "C major"),
        ("Dm Dorian", "C major"),
        ("E phrygian", "C major"),
        ("Bb lydian", "F major"),
        ("G mixolydian", "C major"),
        ("A aeolian", "A minor"),
        ("B locrian", "C major"),
        ("Eb ionian", "Eb major"),
        ("D", "D major"),
        ("Dm", "D minor"),
    ],
)
def test_the_key_of_a_chart_in_a_mode_has_that_modes_tones(written: str, key: str) -> None:
    assert lay_out(f"Key: {written}\n| C |\n").key == read_key(key)


@given(st.integers(-500, 500), st.integers(1, 300))
def test_the_chords_of_a_stretch_are_those_of_all_that_sound_in_it(since: int, length: int) -> None:
    line = lay_out("Time: 3/4\n| N.C. | C F G | C/E |\n| Dm7 |\n")
    every = line.list_chords(-216 * 4, 216 * 5)
    assert line.list_chords(since, since + length) == [
        each for each in every if each.start < since + length and each.end > since
    ]


def test_of_a_long_chart_only_what_sounds_is_looked_at() -> None:
    class Spans(list[tuple[int, int, ReadChord]]):
        def __iter__(self) -> Iterator[tuple[int, int, ReadChord]]:
            raise AssertionError("all of it is looked at")

    line = lay_out("| C | F |\n" * 1000)
    line._spans = Spans(line._spans)
    assert [each.root for each in line.list_chords(96 * 500, 96 * 502)] == [0, 5]
