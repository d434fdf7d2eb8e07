"""Reading a chord from pitches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.harmony.chord_reading import QUALITY_INTERVALS, read_chord
from music.encoding.chord_evidence import pack_tones

NAMES = {"C": 0, "D": 2, "Eb": 3, "E": 4, "F": 5, "G": 7, "A": 9, "Bb": 10, "B": 11}


@pytest.mark.parametrize(
    ("pitches", "root", "tones", "bass"),
    [
        ([48, 52, 55], "C", "C E G", "C"),
        ([52, 55, 60], "C", "C E G", "C"),  # in close position the root is meant, whatever is below
        ([55, 60, 64], "C", "C E G", "C"),
        ([40, 55, 60, 64], "C", "C E G", "E"),  # a bass of its own
        ([50, 60, 64, 67], "C", "C D E G", "D"),  # a foreign bass
        ([45, 52, 55, 60], "A", "A C E G", "A"),
        ([43, 47, 53], "G", "G B D F", "G"),  # without its fifth
        ([48, 52, 58], "C", "C E G Bb", "C"),
        ([48, 53, 55], "C", "C F G", "C"),
        ([48, 52, 54, 55], "C", "C E G", "C"),  # a slip
        ([48, 55], "C", "C G", "C"),  # an open fifth
        ([55, 60], "C", "C G", "C"),
        ([45, 48], "A", "A C E", "A"),
        ([48, 52], "C", "C E G", "C"),
    ],
)
def test_chords_as_hands_play_them(pitches: list[int], root: str, tones: str, bass: str) -> None:
    chord = read_chord(pitches)
    assert chord is not None
    assert (chord.root, chord.tones, chord.bass) == (
        NAMES[root],
        pack_tones(NAMES[name] for name in tones.split()),
        NAMES[bass],
    )


@pytest.mark.parametrize(("context", "third"), [([64], "E"), ([75], "Eb"), ([64, 75], ""), ([], "")])
def test_what_sounds_elsewhere_tells_the_third_of_a_fifth_or_of_a_bass_alone(context: list[int], third: str) -> None:
    expected = pack_tones([0, 7, *([NAMES[third]] if third else [])])
    for pitches in ([36, 43], [36]):
        chord = read_chord(pitches, context)
        assert chord is not None
        assert (chord.root, chord.tones) == (0, expected)


def test_nothing_is_no_chord() -> None:
    assert read_chord([]) is None


@given(st.lists(st.integers(0, 127), min_size=1, max_size=10))
def test_every_chord_has_its_root_and_bass(pitches: list[int]) -> None:
    chord = read_chord(pitches)
    assert chord is not None
    assert chord.has(chord.root)
    assert chord.has(chord.bass)


@given(st.integers(0, 11), st.sampled_from(["maj", "min", "7", "min7", "maj7", "dim", "sus4"]), st.integers(-12, 12))
def test_a_chord_in_root_position_is_read_as_what_it_is_in_every_key(root: int, quality: str, up: int) -> None:
    chord = read_chord([48 + root + up + interval for interval in QUALITY_INTERVALS[quality]])
    assert chord is not None
    root = (root + up) % 12
    assert chord == (root, pack_tones(root + interval for interval in QUALITY_INTERVALS[quality]), root)
