"""Voicings: chords follow each other closely."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.arranging.voicing import find_top, ground, lead_voices
from music.note import Note

PITCHES = st.lists(st.integers(52, 84), min_size=2, max_size=5, unique=True)


def test_a_chord_that_leaps_takes_the_inversion_near_the_one_before() -> None:
    assert lead_voices((84, 79, 76), top=67, bass=40) == (60, 67, 64)


def test_a_chord_that_is_about_as_near_stays_as_it_is_written() -> None:
    assert lead_voices((69, 65, 60), top=67, bass=40) == (69, 65, 60)


@given(PITCHES, st.integers(52, 90), st.integers(-1, 51))
def test_voices_keep_their_pitch_classes_and_the_top_comes_no_further_away(
    pitches: list[int], top: int, bass: int
) -> None:
    moved = lead_voices(tuple(pitches), top, bass)
    assert [pitch % 12 for pitch in moved] == [pitch % 12 for pitch in pitches]
    assert abs(max(moved) - top) <= abs(max(pitches) - top)
    assert len(set(moved)) == len(moved)
    assert moved == tuple(pitches) or min(moved) > bass


def test_without_a_bass_the_lowest_note_of_a_chord_is_its_root() -> None:
    assert ground((55, 60, 64), (), root=0) == (48, 60, 64)
    assert ground((48, 52, 55), (), root=0) == (48, 52, 55)
    assert ground((55, 60, 64), (43,), root=0) == (55, 60, 64)
    assert ground((67, 72, 76), (), root=0) == (67, 72, 76)


@given(PITCHES, st.integers(0, 11))
def test_a_chord_that_is_grounded_keeps_its_other_notes(pitches: list[int], root: int) -> None:
    moved = ground(tuple(pitches), (), root)
    lowest = min(pitches)
    assert [pitch for pitch, before in zip(moved, pitches, strict=True) if before != lowest] == [
        pitch for pitch in pitches if pitch != lowest
    ]
    assert min(moved) % 12 == root or lowest > 64
    assert len(set(moved)) == len(moved)


def test_the_top_of_the_latest_chord_is_found_and_single_notes_are_none() -> None:
    notes = [Note(0, 60, 6), Note(0, 64, 6), Note(24, 72, 6), Note(48, 40, 6), Note(48, 55, 6)]
    assert find_top(notes) == 64
    assert find_top(notes[2:]) is None
