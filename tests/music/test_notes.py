"""Notes, rolls, MIDI files and chord labels: round trips, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music import chords
from music.encoding import piano_roll
from music.note import TICKS_PER_STEP, Note, make_notes, quantise, round_to_step

notes = st.lists(
    st.builds(Note, st.integers(0, 400), st.integers(0, 127), st.integers(1, 60), st.integers(1, 127)), max_size=40
)


def test_an_onset_half_a_step_early_belongs_to_the_coming_step() -> None:
    assert [round_to_step(tick) for tick in (-4, -3, 0, 2, 3, 8, 9)] == [-1, 0, 0, 0, 1, 1, 2]


@given(notes)
def test_notes_made_of_numbers_are_notes(played: list[Note]) -> None:
    made = make_notes([(note.start, note.pitch, note.length, note.velocity) for note in played])
    assert made == played
    assert list(map(hash, made)) == list(map(hash, played))


@given(notes)
def test_quantised_notes_lie_on_the_grid_and_equal_pitches_never_overlap(played: list[Note]) -> None:
    made = quantise(played)
    assert all(n.start % TICKS_PER_STEP == 0 and n.length % TICKS_PER_STEP == 0 for n in made)
    by_pitch: dict[int, int] = {}
    for n in made:
        assert n.start >= by_pitch.get(n.pitch, n.start)
        by_pitch[n.pitch] = n.end
    assert quantise(made) == made


@given(notes)
def test_roll_round_trip(played: list[Note]) -> None:
    made = [Note(n.start, n.pitch, n.length) for n in quantise(played)]
    drawn = piano_roll.from_notes(made, 0, 200)
    assert piano_roll.to_notes(drawn) == made
    assert not (drawn.onset & ~drawn.sustain).any()


def test_sustain_without_an_onset_is_no_note() -> None:
    drawn = piano_roll.from_notes([Note(0, 60, 48)], 4, 8)
    assert drawn.sustain[:4, 60].all()
    assert piano_roll.to_notes(drawn) == []


@pytest.mark.parametrize(
    ("label", "root", "tones", "bass"),
    [
        ("C:maj", 0, {0, 4, 7}, 0),
        ("A:min7/b7", 9, {9, 0, 4, 7}, 7),
        ("Bb:sus4(b7)", 10, {10, 3, 5, 8}, 10),
        ("F#:maj(9)", 6, {6, 10, 1, 8}, 6),
        ("G", 7, {7, 11, 2}, 7),
        ("D:maj/5", 2, {2, 6, 9}, 9),
    ],
)
def test_chord_labels(label: str, root: int, tones: set[int], bass: int) -> None:
    chord = chords.parse(label)
    assert chord is not None
    assert chord[:3] == (root, frozenset(tones), bass)
    assert chord.tones == frozenset(tones)


def test_a_foreign_bass_is_none_of_the_tones() -> None:
    chord = chords.parse("C:maj/2")
    assert chord == chords.Chord(0, frozenset({0, 2, 4, 7}), 2, frozenset({0, 4, 7}))


def test_no_chord_and_nonsense() -> None:
    assert chords.parse("N") is None
    with pytest.raises(ValueError, match="H:maj"):
        chords.parse("H:maj")
    track = chords.ChordTrack([(24, "C:maj"), (48, "N")])
    assert [track.find(t) is None for t in (0, 24, 47, 48)] == [True, False, False, True]


def test_roll_of_nothing() -> None:
    assert not np.any(piano_roll.make_silence(3).sustain)
