"""Figures of voices, of notes for which they are known by hand."""

from __future__ import annotations

import math

import pytest

from music.evaluation.passage import collect_notes, find_passage
from music.evaluation.voices import measure_voices
from music.note import Note

TUNE = [Note(24 * i, 72, 24) for i in range(8)]


def measure(*notes: Note) -> dict[str, float]:
    where = find_passage(TUNE)
    return measure_voices(where, collect_notes({"chords": list(notes)}, where))


@pytest.mark.parametrize(("apart", "cluster"), [(1, 1), (2, 0), (11, 0), (12, 0), (13, 1), (14, 0), (25, 0)])
def test_a_semitone_and_a_minor_ninth_are_clusters(apart: int, cluster: int) -> None:
    assert measure(Note(0, 60, 24), Note(0, 60 + apart, 24))["cluster"] == cluster


def test_a_cluster_is_counted_once_a_beat_that_sounds() -> None:
    assert measure(Note(0, 60, 72), Note(6, 61, 6), Note(12, 59, 6), Note(60, 61, 6))["cluster"] == 2 / 3
    assert measure(Note(0, 60, 6), Note(6, 61, 6))["cluster"] == 0  # one after the other


def test_the_top_of_the_chords_moves() -> None:
    chords = [(0, 60, 64), (24, 55, 67), (48, 53, 84), (72, 84, 84 + 12)]
    notes = [Note(start, pitch, 12) for start, *pitches in chords for pitch in pitches]
    found = measure(*notes, Note(12, 90, 6), Note(36, 40, 6), Note(36, 51, 6), Note(42, 51, 6), Note(42, 99, 6))
    assert found["voice_step"] == (3 + 17 + 12) / 3
    assert found["leaps"] == 1 / 3


def test_one_chord_has_no_steps() -> None:
    found = measure(Note(0, 60, 24), Note(0, 64, 24))
    assert (found["cluster"], math.isnan(found["voice_step"]), math.isnan(found["leaps"])) == (0, True, True)
    assert all(math.isnan(value) for value in measure().values())
