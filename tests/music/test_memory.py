"""Figures of how well an accompaniment remembers the song, of bars for which they are known by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from music.evaluation.memory import OTHER, SAME, compare_bars, measure_memory, measure_memory_gap
from music.evaluation.passage import Floats, collect_notes, find_passage
from music.note import Note

BAR = 96


def play(bars: Sequence[str], patterns: dict[str, list[tuple[int, int]]]) -> list[Note]:
    """Bars of notes (tick, pitch), by the names of the patterns."""
    return [Note(BAR * i + at, pitch, 12) for i, name in enumerate(bars) for at, pitch in patterns[name]]


TUNES = {"a": [(0, 72), (24, 74), (48, 76)], "b": [(0, 72), (24, 74), (48, 77)], "-": [(0, 72), (24, 74)]}
PARTS = {"x": [(0, 48), (48, 55)], "y": [(0, 48), (48, 52)], "-": []}


def compare(melody: str, accompaniment: str) -> Floats:
    where = find_passage(play(melody, TUNES))
    return compare_bars(where, collect_notes({"chords": play(accompaniment, PARTS)}, where))


def test_bars_with_the_same_melody_are_compared_by_their_onsets() -> None:
    counts = compare("abab", "xyxx")
    # bars 1 and 3 (x, x: 1), bars 2 and 4 (y, x: one of two); bars 1 and 4 (x, x: 1) have different melodies
    assert counts.tolist() == [[1.5, 2], [1, 1]]
    assert measure_memory(counts[None], SAME) == 0.75
    assert measure_memory(counts[None], OTHER) == 1
    assert measure_memory_gap(counts[None]) == -0.25


def test_neighbours_and_bars_with_few_notes_and_bars_that_rest_are_left_out() -> None:
    assert compare("aa", "xx").tolist() == [[0, 0], [0, 0]]
    assert compare("-b-", "xxx").tolist() == [[0, 0], [0, 0]]
    assert compare("aba", "xx-").tolist() == [[0, 0], [0, 0]]
    assert math.isnan(measure_memory(compare("aa", "xx")[None], SAME)[0])


def test_pairs_of_all_songs_weigh_alike() -> None:
    many, one = compare("ababa", "xyxyx"), compare("aba", "xxy")
    assert many[SAME].tolist() == [4, 4]
    assert one[SAME].tolist() == [0.5, 1]
    assert measure_memory((many + one)[None], SAME) == 4.5 / 5


def test_the_pitch_the_length_and_the_drums_do_not_count() -> None:
    where = find_passage(play("aba", TUNES))
    parts = {"chords": play("xxx", PARTS), "drums": [Note(0, 36, 6)]}
    longer = {"chords": [Note(n.start, n.pitch, n.length + i) for i, n in enumerate(parts["chords"])]}
    for played in (parts, longer):
        assert compare_bars(where, collect_notes(played, where))[SAME].tolist() == [1, 1]
