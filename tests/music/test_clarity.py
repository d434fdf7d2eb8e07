"""Figures of how clearly an accompaniment tells its harmony, of notes for which they are known by hand."""

from __future__ import annotations

import math

import pytest

from music.chords import NO_CHORD, ChordTrack
from music.evaluation.clarity import find_beat_triads, measure_beats, measure_half_bars
from music.evaluation.passage import MelodyPassage, collect_notes, find_passage
from music.note import Metre, Note

#: a melody of four bars
TUNE = [Note(24 * i, 72, 24) for i in range(16)]
CHORDS = ChordTrack([(0, "C:maj"), (96, "A:min7/b3"), (240, "G:sus4"), (288, "N")])


def chord(start: int, length: int, *pitches: int) -> list[Note]:
    return [Note(start, pitch, length) for pitch in pitches]


def measure(notes: list[Note], chords: ChordTrack = CHORDS, metre: Metre = Metre()) -> tuple[float, float, float]:
    where = find_passage(TUNE, metre)
    ours = collect_notes({"chords": notes}, where)
    halves = measure_half_bars(where, ours, chords)
    return halves["half_bar_root"], halves["half_bar_triad"], measure_beats(where, ours)["root_on_1"]


def test_a_half_bar_tells_the_triad_that_fits_best_what_sounds() -> None:
    right = [*chord(0, 96, 48, 64, 67), *chord(96, 144, 45, 60, 64), *chord(240, 48, 43, 60, 62)]
    # G, C and D fit a triad on C as well, which comes first
    assert measure(right)[:2] == (5 / 6, 5 / 6)
    parallel = [*chord(0, 96, 48, 63, 67), *chord(96, 144, 45, 61, 64)]
    assert measure(parallel)[:2] == (5 / 6, 0.0)
    assert measure([])[:2] == (0.0, 0.0)
    assert all(math.isnan(value) for value in measure(right, ChordTrack([]))[:2])


def test_the_chord_that_fills_most_of_a_half_bar_counts() -> None:
    chords = ChordTrack([(0, "C:maj"), (30, "F:maj"), (48, "F:maj"), (96, "N")])
    assert measure(chord(0, 48, 60, 64, 67), chords)[0] == 1 / 2
    assert measure(chord(0, 96, 60, 64, 67), ChordTrack([(0, "F:maj"), (3, "C:maj"), (96, "N")]))[0] == 1


def test_the_root_is_looked_for_where_one_chord_is_clear() -> None:
    clear, inverted = chord(0, 24, 48, 64, 67), chord(96, 24, 52, 60, 67)
    assert measure([*clear, *inverted])[2] == 1 / 2
    smeared = [*clear, *chord(96, 24, 48, 50, 64, 65, 67, 71)]
    assert measure(smeared)[2] == 1
    late, thin = chord(6, 18, 48, 64, 67), chord(96, 24, 48, 55)
    assert math.isnan(measure([*late, *thin])[2])
    assert measure([*chord(0, 24, 45, 60, 64, 67), *chord(96, 24, 48, 57, 64, 67)])[2] == 1  # Am7, or C6


def test_notes_from_before_the_passage_do_not_count() -> None:
    tune = find_passage(TUNE)
    where = MelodyPassage(16, 16, tune.line[:16], tune.begins[:16])
    ours = collect_notes({"pad": chord(90, 96, 48, 64, 67)}, where)
    assert measure_half_bars(where, ours, ChordTrack([(0, "C:maj")])) == {"half_bar_root": 0, "half_bar_triad": 0}


@pytest.mark.parametrize(("metre", "halves"), [(Metre(3, 4), 12), (Metre(7, 8), 10), (Metre(1, 16), 64)])
def test_bars_of_other_metres_have_halves_too(metre: Metre, halves: int) -> None:
    notes = chord(0, 6, 60, 64, 67)
    assert measure(notes, ChordTrack([(0, "C:maj")]), metre)[0] == pytest.approx(1 / halves)
    assert measure(notes, ChordTrack([(0, "C:maj")]), metre)[2] == 1


def measure_beats_of(notes: list[Note]) -> dict[str, float]:
    where = find_passage(TUNE)
    return measure_beats(where, collect_notes({"chords": notes}, where))


def test_beats_are_clear_if_one_chord_holds_what_sounds() -> None:
    notes = [
        *chord(0, 24, 48, 64, 67),  # C on its root
        *chord(24, 24, 52, 60, 67),  # C on its third
        *chord(48, 24, 48, 55),  # two pitch classes
        *chord(72, 24, 48, 50, 52, 53, 55),  # no chord
        *chord(102, 18, 48, 64, 67),  # nothing at the beat's first step
        *chord(120, 24, 57, 60, 64, 67),  # Am7, which is C6, too
    ]
    found = measure_beats_of(notes)
    assert found["clear"] == 3 / 6
    assert found["own_root"] == 2 / 3
    assert found["root_on_1"] == 1
    assert measure_beats_of([]) == {"clear": 0, "own_root": pytest.approx(math.nan, nan_ok=True), "changes": 0} | {
        "root_on_1": pytest.approx(math.nan, nan_ok=True)
    }


def test_more_than_nine_tenths_of_the_time_lie_in_the_chord() -> None:
    whole = chord(0, 24, 48, 52, 55)  # 12 steps of C, and so many of F sharp
    for strange, clear in (([Note(18, 66, 6)], 1), ([Note(12, 66, 12)], 0)):
        assert measure_beats_of([*whole, *strange])["clear"] == clear


def test_changes_pass_over_beats_that_rest() -> None:
    notes = [*chord(0, 24, 48, 52, 55), *chord(48, 48, 48, 52, 55), *chord(96, 24, 45, 48, 52), *chord(144, 24, 60)]
    assert measure_beats_of(notes)["changes"] == 2 / 4
    where = find_passage(TUNE)
    triads = find_beat_triads(where, collect_notes({"chords": notes}, where))
    assert triads.tolist() == [0, NO_CHORD, 0, 0, 21, NO_CHORD, 0] + [NO_CHORD] * 9


def test_a_beat_that_a_bar_cuts_short_is_one() -> None:
    assert find_passage(TUNE[:4], Metre(7, 8)).list_beats()[:5] == [(0, 4), (4, 8), (8, 12), (12, 14), (14, 18)]
