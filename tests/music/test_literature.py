"""Figures of other papers, of notes for which they are known by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.evaluation import literature
from music.evaluation.means import estimate_pooled
from music.evaluation.passage import Floats, MelodyPassage, PlayedNotes, collect_notes, find_passage
from music.note import Note

BEAT, BAR = 24, 96


def chord(beat: float, beats: float, *pitches: int) -> list[Note]:
    return [Note(round(BEAT * beat), pitch, round(BEAT * beats)) for pitch in pitches]


def join(melody: list[Note], notes: list[Note]) -> tuple[MelodyPassage, PlayedNotes]:
    where = find_passage(melody)
    return where, collect_notes({"chords": notes}, where)


C, A_MINOR, F, G = (48, 52, 55), (45, 48, 52), (53, 57, 60), (55, 59, 62)


def test_note_in_chord_leaves_out_silence() -> None:
    melody = [*chord(0, 1, 72), *chord(1, 1, 74), *chord(3, 1, 76)]  # C D - E
    where, ours = join(melody, [*chord(0, 1.5, *C), *chord(2, 1, *C), *chord(3.5, 0.5, 40)])
    # C in C for four steps, D in C for two, E over E for two
    assert literature.count_notes_in_chord(where, ours).tolist() == [6, 8]
    assert literature.measure_note_in_chord(where, ours) == 6 / 8
    assert math.isnan(literature.measure_note_in_chord(*join(melody, [])))
    pooled = literature.pool_notes_in_chord(np.array([[6.0, 8.0], [0.0, 0.0]]))
    assert (pooled[0], math.isnan(pooled[1])) == (6 / 8, True)


def test_the_melody_moves_by_six_semitones_at_beat_17() -> None:
    melody = [Note(BAR + BEAT * i, 60, BEAT) for i in range(60)] + [Note(BAR + 15 * BEAT, 125, 2 * BEAT)]
    melody += [Note(BAR + 20 * BEAT, 125, BEAT)]
    moved = literature.move_melody(melody, find_passage(melody))
    assert [n.pitch for n in moved if n.pitch < 100] == [60] * 16 + [66] * 32
    assert [n.pitch for n in moved if n.pitch >= 100] == [125, 119]
    assert max(n.end for n in moved) == BAR + 48 * BEAT


def test_beats_are_followed_one_by_one() -> None:
    melody = [*chord(0, 2, 72), *chord(3, 1, 73)]
    beats = literature.count_beats_in_chord(*join(melody, [*chord(0, 0.5, 48), *chord(1, 0.25, 49), *chord(2, 2, 61)]))
    assert beats[:4].tolist() == [[1, 1], [0, 1], [0, 0], [1, 1]]
    assert not beats[4:].any()
    sums = np.stack([beats, beats + np.array([0.5, 1])])
    mean = literature.average_beats(sums)
    assert mean[0, :4] == pytest.approx([1, 0, math.nan, 1], nan_ok=True)
    assert mean[1, :5].tolist() == [0.75, 0.25, 0.5, 0.75, 0.5]
    assert literature.measure_recovery(sums, 1, 3).tolist() == [0.5, 0.5]
    assert math.isnan(literature.measure_recovery(sums, 5, 48)[0])


def test_chords_are_runs_of_beats() -> None:
    melody = [*chord(0, 1, 72), *chord(3, 1, 72), *chord(5.5, 2.5, 72)]
    where, ours = join(melody, [*chord(0, 2, *C), *chord(2, 2, *A_MINOR), *chord(5, 1, *A_MINOR), *chord(6, 2, *F)])
    runs = [(run.triad, run.first_step, run.steps) for run in literature.find_chord_runs(where, ours)]
    assert runs == [(0, 0, 8), (21, 8, 8), (21, 20, 4), (5, 24, 8)]
    # at beat 0, 2, 5 and 6 of melody notes at 0, 3 and 5.5
    intervals = literature.count_onset_intervals(where, ours)
    assert intervals.tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 2] + [0] * 9
    lengths = literature.count_chord_lengths(where, ours)
    assert {int(i): lengths[i] for i in np.flatnonzero(lengths)} == {4: 1, 8: 3}
    entropy = literature.measure_length_entropy(lengths[None])
    assert entropy == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


def test_chords_before_the_melody_are_left_out_and_long_ones_are_in_the_last_bins() -> None:
    melody = [*chord(2, 1, 72), *chord(11, 1, 72)]
    where, ours = join(melody, [*chord(0, 10, *C), *chord(10, 2, *G)])
    assert np.flatnonzero(literature.count_onset_intervals(where, ours)).tolist() == [17]
    assert np.flatnonzero(literature.count_chord_lengths(where, ours)).tolist() == [8, 33]


def test_the_earth_movers_distance_is_in_steps() -> None:
    def bins(*intervals: int) -> Floats:
        return np.bincount(np.array(intervals, np.int64), minlength=18).astype(np.float64)

    pairs: list[tuple[list[int], list[int]]] = [([0, 0], [0]), ([3], [1]), ([0, 4], [0]), ([0, 4], [4, 0]), ([], [1])]
    sums = np.stack([np.stack([bins(*ours), bins(*theirs)]) for ours, theirs in pairs])
    assert literature.measure_sync_distance(sums) == pytest.approx([0, 2, 2, 0, math.nan], nan_ok=True)


LONG = [*chord(0, 1, 72), *chord(127, 1, 72)]


def repeat(*chords: tuple[int, ...]) -> list[Note]:
    return [note for beat in range(0, 128, 2) for note in chord(beat, 2, *chords[beat // 2 % len(chords)])]


def score(*songs: list[Note]) -> float:
    counts = np.stack([literature.count_progressions(*join(LONG, song)) for song in songs])
    return float(literature.measure_vendi_score(counts.sum(axis=0)[None])[0])


def test_the_vendi_score_counts_different_progressions() -> None:
    alike, moved = repeat(C, F), repeat(*(tuple(pitch + 2 for pitch in each) for each in (C, F)))
    other, held = repeat(C, tuple(pitch + 1 for pitch in C)), chord(0, 128, *C)
    vectors = literature.embed_progressions(*join(LONG, alike))
    assert vectors.shape == (2, 49)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1])
    assert literature.embed_progressions(*join(LONG, held)).shape == (1, 49)
    assert score(alike) == score(moved) == pytest.approx(1, abs=1e-2)
    assert score(alike, moved) == pytest.approx(1, abs=0.01)
    assert score(alike, other) == pytest.approx(2, abs=0.01)
    assert score(held, held) == pytest.approx(1)
    assert score(alike, other, held, held) == pytest.approx(3, abs=0.01)
    assert math.isnan(score([]))


notes = st.builds(
    lambda step, pitch, steps: Note(6 * step, pitch, 6 * steps),
    st.integers(0, 300),
    st.integers(30, 90),
    st.integers(1, 40),
)
lines = st.lists(notes, min_size=1, max_size=30)


@given(lines, lines)
def test_figures_stay_in_their_ranges(melody: list[Note], band: list[Note]) -> None:
    where, ours = join(melody, band)
    runs = literature.find_chord_runs(where, ours)
    assert all(before.first_step + before.steps <= after.first_step for before, after in pairwise(runs))
    assert literature.count_chord_lengths(where, ours).sum() == len(runs)
    inside, counted = literature.count_notes_in_chord(where, ours)
    assert 0 <= inside <= counted <= where.steps
    sequences = len(literature.embed_progressions(where, ours))
    found = literature.measure_vendi_score(literature.count_progressions(where, ours)[None])[0]
    assert 1 - 1e-6 <= found <= sequences + 1e-6 if sequences else math.isnan(found)


def test_figures_of_all_songs_have_an_interval_and_say_how_many_songs_have_them() -> None:
    songs = [np.array([2.0, 4.0]), np.array([4.0, 4.0]), np.array([0.0, 0.0])]
    found = estimate_pooled(songs, literature.pool_notes_in_chord)
    assert (found.value, found.songs) == (6 / 8, 2)
    assert 0.5 <= found.low < found.value < found.high <= 1
    assert found == estimate_pooled(songs, literature.pool_notes_in_chord)
    alone = estimate_pooled(songs, literature.pool_notes_in_chord, has_interval=False)
    assert (alone.value, math.isnan(alone.low), math.isnan(alone.high)) == (6 / 8, True, True)
    assert estimate_pooled(songs[2:], literature.pool_notes_in_chord).songs == 0
    assert estimate_pooled([], literature.pool_notes_in_chord).songs == 0
