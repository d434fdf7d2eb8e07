"""Figures of tiny hand-made songs, computed by hand, and what must hold of any song."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.chords import ChordTrack
from music.evaluation import consonance, metrics, rhythm
from music.evaluation.means import estimate_mean
from music.evaluation.passage import MelodyPassage, PlayedNotes, collect_notes, find_passage
from music.note import REST, Metre, Note

BAR = 16


def note(step: int, pitch: int, steps: int) -> Note:
    return Note(step * 6, pitch, steps * 6)


#: C5 for a beat, D5 for a beat, F5 for a beat, a beat of rest ...
MELODY = [note(0, 72, 4), note(4, 74, 4), note(8, 77, 4)]
#: ... over C3 for two beats (unison class, then a second), E4 for two steps (a semitone), then nothing.
BAND = {"bass": [note(0, 48, 8)], "chords": [note(8, 64, 2)]}


def test_a_passage_is_whole_bars_from_the_first_melody_note_to_the_last() -> None:
    where = find_passage([note(2 * BAR + 5, 60, 2), note(3 * BAR + 15, 67, 2)])
    assert (where.first_step, where.steps, where.bars) == (2 * BAR, 3 * BAR, 3)
    assert np.flatnonzero(where.line != REST).tolist() == [5, 6, 31, 32]
    assert where.line[[5, 32]].tolist() == [60, 67]


def test_a_melody_that_ends_on_a_bar_line_does_not_reach_into_the_next_bar() -> None:
    assert find_passage([note(0, 60, BAR)]).bars == 1


def test_the_top_voice_is_the_melody() -> None:
    assert find_passage([note(0, 60, 2), note(0, 67, 1)]).line[:3].tolist() == [67, 60, REST]


def test_bars_follow_the_metre() -> None:
    where = find_passage([note(12, 60, 1)], Metre(3, 4))
    assert (where.first_step, where.steps) == (12, 12)


def test_no_melody_no_passage() -> None:
    with pytest.raises(ValueError, match="melody"):
        find_passage([])


def test_consonance_by_hand() -> None:
    where = find_passage(MELODY)
    found = consonance.measure_consonance(where, collect_notes(BAND, where))
    assert found == {"consonant": 4 / 12, "ur": 2 / 12, "clash": 2 / 10, "tone_in_beat": 4 / 12}


@pytest.mark.parametrize(
    ("pitch", "consonant"),
    [
        (60, 1),
        (57, 1),
        (56, 1),
        (53, 1),
        (52, 1),
        (51, 1),
        (55, 0),
        (58, 0),
        (49, 0),
        (64, 1),
        (67, 1),
        (65, 0),
        (45, 1),
    ],
)
def test_intervals_are_counted_from_the_lower_note(pitch: int, consonant: int) -> None:
    where = find_passage([note(0, 60, 1)])
    assert (
        consonance.measure_consonance(where, collect_notes({"chords": [note(0, pitch, 1)]}, where))["consonant"]
        == consonant
    )


def test_a_consonant_note_beside_a_sharp_one_is_no_clash() -> None:
    where = find_passage([note(0, 65, 4)])
    band = {"chords": [note(0, 64, 4)], "bass": [note(2, 53, 2)]}
    found = consonance.measure_consonance(where, collect_notes(band, where))
    assert (found["consonant"], found["clash"]) == (0.5, 0.5)


def test_the_melodys_pitch_class_counts_anywhere_in_its_beat_and_nowhere_else() -> None:
    where = find_passage([note(4, 67, 1), note(8, 67, 1)])
    found = consonance.measure_consonance(where, collect_notes({"pad": [note(7, 43, 1)]}, where))
    assert found["tone_in_beat"] == 0.5


def test_chord_hit_by_hand() -> None:
    where = find_passage(MELODY)
    ours = collect_notes(BAND, where)
    assert consonance.measure_chord_hit(where, ours, ChordTrack([(0, "C:maj")])) == 1
    assert consonance.measure_chord_hit(where, ours, ChordTrack([(0, "C:maj"), (48, "F:maj")])) == 8 / 10
    assert consonance.measure_chord_hit(where, ours, ChordTrack([(0, "F:maj"), (48, "N")])) == 1
    assert consonance.measure_chord_hit(where, ours, ChordTrack([(0, "D:min")])) == 0
    assert math.isnan(consonance.measure_chord_hit(where, ours, ChordTrack([])))


def test_chroma_cosine_by_hand() -> None:
    where = find_passage([note(0, 72, 4 * BAR)])
    human = collect_notes({"chords": [note(0, 60, BAR), note(BAR, 60, BAR), note(2 * BAR, 62, BAR)]}, where)
    ours = collect_notes({"pad": [note(0, 48, BAR), note(BAR, 48, 4), note(BAR, 53, 4)]}, where)
    # alike; C and F against C; silence against D; the human part rests in the last bar, which is not counted
    assert consonance.measure_chroma(where, ours, human) == pytest.approx((1 + 1 / math.sqrt(2) + 0) / 3)


def four_bars(*bars: list[tuple[int, int, int]]) -> tuple[MelodyPassage, PlayedNotes]:
    where = find_passage([note(0, 72, len(bars) * BAR)])
    notes = [note(index * BAR + step, pitch, steps) for index, bar in enumerate(bars) for step, pitch, steps in bar]
    return where, collect_notes({"chords": notes}, where)


def test_groove_by_hand() -> None:
    pattern = [(0, 48, 4), (6, 52, 1)]
    where, ours = four_bars(pattern, pattern, [], [(0, 50, 4), (6, 53, 2)])
    found = rhythm.measure_groove(where, ours)
    assert found["onsets"] == 6 / 4
    assert found["on_beat"] == 3 / 6
    assert found["crumbs"] == 2 / 6
    assert found["empty"] == 1 / 4
    assert found["repeated"] == 1 / 2
    assert found["distinct"] == 3 / 4  # the empty bar is one of them
    assert found["groove"] == pytest.approx(1)


def test_neighbouring_bars_that_share_no_position_are_against_each_other() -> None:
    where, ours = four_bars([(0, 48, 1)], [(8, 48, 1)])
    assert rhythm.measure_groove(where, ours)["groove"] == pytest.approx(-1 / 15)


def test_a_bar_that_only_holds_on_is_not_empty_and_is_not_compared() -> None:
    where, ours = four_bars([(0, 48, 2 * BAR)], [])
    found = rhythm.measure_groove(where, ours)
    assert (found["empty"], found["distinct"]) == (0, 1)
    assert math.isnan(found["repeated"])


def test_two_parts_on_one_pitch_are_two_notes_and_one_sounding_pitch() -> None:
    where = find_passage([note(0, 72, BAR)])
    ours = collect_notes({"bass": [note(0, 48, 4)], "chords": [note(0, 48, 4)]}, where)
    assert (ours.onset.size, int(ours.sounding.sum())) == (2, 4)


def test_notes_begun_before_the_passage_sound_in_it_but_do_not_begin_in_it() -> None:
    where = find_passage([note(BAR, 72, BAR)])
    ours = collect_notes({"pad": [note(0, 48, BAR + 4), note(2 * BAR, 48, 4)]}, where)
    assert (ours.onset.size, int(ours.sounding.sum())) == (0, 4)


def test_overlaps_by_hand() -> None:
    where = find_passage([note(0, 72, BAR)])
    ours = collect_notes({"chords": [note(0, 48, 4), note(8, 48, 2)]}, where)
    human = collect_notes({"chords": [note(0, 48, 4), note(4, 52, 4), note(4, 55, 4), note(12, 48, 20)]}, where)
    assert rhythm.measure_overlaps(where, ours, human) == {
        "position": 1 / 4,  # (1/2 0 1/2 0) and (1/4 1/2 0 1/4)
        "duration": 1 / 2,  # half are four steps long; three quarters
        "polyphony": 8 / 12,  # always one; one on 8 of 12 steps, else two
        "pitch_class": 8 / 16,  # always C; C on 8 of 16 note-steps
    }


def test_drums_are_in_no_figure_but_their_own() -> None:
    where = find_passage(MELODY)
    drums = {"drums": [note(s, 36, 1) for s in range(0, BAR, 2)]}
    human = {"drums": [note(s, 38, 1) for s in range(0, BAR, 4)]}
    found = metrics.measure_all(where, drums, human)
    silent = metrics.measure_all(where, {}, human)
    assert (found["drum_onsets"], found["drum_overlap"]) == (8, 0.5)
    assert (silent["drum_onsets"], silent["drum_overlap"]) == (0, 0)
    for key in set(found) - {"drum_onsets", "drum_overlap"}:
        assert found[key] == silent[key] or math.isnan(found[key])


def test_every_figure_has_its_key_and_silence_is_silent() -> None:
    found = metrics.measure_all(find_passage(MELODY), {}, BAND, ChordTrack([(0, "C:maj")]))
    assert list(found) == [figure.key for figure in metrics.METRICS]
    zero = {"consonant", "tone_in_beat", "half_bar_root", "half_bar_triad", "clear", "changes", "chroma", "onsets"}
    zero |= {"drum_onsets"} | {f"{name}_overlap" for name in ("position", "duration", "polyphony", "pitch_class")}
    assert {key for key, value in found.items() if value == 0} == zero
    assert {key for key, value in found.items() if value == 1} == {"ur", "empty", "distinct"}
    assert all(math.isnan(value) for key, value in found.items() if key not in zero | {"ur", "empty", "distinct"})


def test_means_leave_out_what_is_not_there_and_hold_their_interval() -> None:
    mean = estimate_mean([0.0, 1.0, math.nan, 2.0, 1.0])
    assert (mean.value, mean.songs) == (1.0, 4)
    assert 0 < mean.low < 1 < mean.high < 2
    assert mean == estimate_mean([0.0, 1.0, math.nan, 2.0, 1.0])
    alone = estimate_mean([0.25])
    assert (alone.value, alone.low, alone.high) == (0.25, 0.25, 0.25)
    assert estimate_mean([math.nan]).songs == 0


notes = st.builds(note, st.integers(0, 60), st.integers(30, 90), st.integers(1, 20))
lines = st.lists(notes, min_size=1, max_size=20)


@given(lines, lines)
def test_the_human_part_is_like_itself(melody: list[Note], band: list[Note]) -> None:
    where = find_passage(melody)
    human = {"chords": band}
    found = metrics.measure_all(where, human, human)
    for key in ("chroma", "position_overlap", "duration_overlap", "polyphony_overlap", "pitch_class_overlap"):
        assert math.isnan(found[key]) or found[key] == pytest.approx(1)


@given(lines, lines)
def test_shares_are_shares(melody: list[Note], band: list[Note]) -> None:
    found = metrics.measure_all(find_passage(melody), {"pad": band}, {"pad": melody}, ChordTrack([(0, "C:maj")]))
    assert found["consonant"] + found["ur"] <= 1 + 1e-12
    for key, value in found.items():
        if key not in ("onsets", "groove", "drum_onsets", "changes", "voice_step"):
            assert math.isnan(value) or 0 <= value <= 1 + 1e-12, key


@given(lines, lines, notes)
def test_one_note_more_never_makes_it_less_consonant(melody: list[Note], band: list[Note], more: Note) -> None:
    where = find_passage(melody)
    before = consonance.measure_consonance(where, collect_notes({"bass": band}, where))
    after = consonance.measure_consonance(where, collect_notes({"bass": band, "pad": [more]}, where))
    assert after["consonant"] >= before["consonant"]
    assert after["ur"] <= before["ur"]
    assert after["tone_in_beat"] >= before["tone_in_beat"]


@given(lines, lines, st.integers(1, 5))
def test_figures_do_not_care_where_in_the_file_the_song_stands(melody: list[Note], band: list[Note], bars: int) -> None:
    def later(line: list[Note]) -> list[Note]:
        return [Note(n.start + bars * 96, n.pitch, n.length) for n in line]

    here = metrics.measure_all(find_passage(melody), {"bass": band}, {"bass": melody})
    there = metrics.measure_all(find_passage(later(melody)), {"bass": later(band)}, {"bass": later(melody)})
    assert np.array_equal(list(here.values()), list(there.values()), equal_nan=True)


def test_one_more_figure_is_one_more_line(monkeypatch: pytest.MonkeyPatch) -> None:
    line = metrics.Metric("bars", "bars", metrics.RHYTHM, "number of bars", lambda c: float(c.where.bars))
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, line))
    assert metrics.measure_all(find_passage(MELODY), BAND)["bars"] == 1
