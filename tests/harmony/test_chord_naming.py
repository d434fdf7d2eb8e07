"""Names of chords by their tones."""

from __future__ import annotations

import pytest

from daemon.harmony.chart_line import read_name
from daemon.harmony.chord_naming import name_tones
from daemon.harmony.chord_reading import NO_READ_CHORD
from music.charts.chord_names import list_markers, parse_chord_name
from music.chords import NO_CHORD, parse
from music.encoding.chord_evidence import pack_tones


@pytest.mark.parametrize(
    "label",
    ["C:maj", "Eb:min7", "F#:7", "A:min/b3", "G:7/3", "C:sus4(b7)", "Bb:maj6(9)", "B:dim7", "E:hdim7", "Db:aug", "N"],
)
def test_a_name_that_was_read_is_found_again(label: str) -> None:
    name = name_tones(*read_name(parse_chord_name(label)))
    assert name is not None
    assert name.label == label


def test_every_set_of_tones_has_a_label_that_can_be_read() -> None:
    for tones in range(1, 1 << 12):
        for bass in (0, 7, NO_CHORD):
            name = name_tones(0, tones | 1, bass)
            assert name is not None
            chord = parse(name.label)
            assert chord is not None
            assert (chord.root, chord.bass) == (0, max(0, bass))


def test_foreign_basses_are_degrees() -> None:
    name = name_tones(0, pack_tones([0, 4, 7, 2]), 2)
    assert name is not None
    assert name.symbol in ("C/D", "Cadd9/D")


def test_no_chord_and_a_chord_without_a_root() -> None:
    nothing = name_tones(*NO_READ_CHORD)
    assert nothing is not None
    assert nothing.label == "N"
    assert name_tones(NO_CHORD, 5, NO_CHORD) is None


def test_markers_say_where_no_chord_is_known_any_more() -> None:
    changes = [(-48, ""), (-24, "C:maj"), (24, ""), (48, "N"), (72, "F:maj"), (96, "F:maj"), (120, "")]
    assert list_markers(changes) == [(0, "C:maj"), (24, "N"), (72, "F:maj"), (120, "N")]
    assert list_markers([(-24, "C:maj"), (0, "")]) == [(0, "N")]
    assert list_markers([(0, "")]) == []
