from __future__ import annotations

import pytest

from music.note import Metre, Note
from music.tunes import TUNES, parse_tune


def test_bars_of_pitch_and_beats_become_notes() -> None:
    tune = parse_tune("test", 100, "C4:1 -:1 Bb3:1/2 F#4:3/2 | C-1:4")
    assert tune.notes == (
        Note(0, 60, 21, 92),
        Note(48, 58, 10, 80),
        Note(60, 66, 32, 80),
        Note(96, 0, 86, 92),
    )
    assert tune.bars == 2


@pytest.mark.parametrize(
    ("text", "reason"), [("C4:1", "bar 1 is not 4/4 long"), ("H4:4", "not pitch:beats"), ("C4", "not pitch:beats")]
)
def test_what_is_no_bar_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_tune("test", 100, text)


def test_the_first_bars_alone() -> None:
    tune = parse_tune("test", 100, "C4:3 | D4:3 | E4:3", Metre(3, 4))
    assert [n.pitch for n in tune.cut(2).notes] == [60, 62]
    assert tune.cut(2).bars == 2
    assert tune.cut(9) == tune


@pytest.mark.parametrize("name", TUNES)
def test_tunes_are_one_voice_and_last_under_a_minute(name: str) -> None:
    tune = TUNES[name]
    assert all(a.end <= b.start for a, b in zip(tune.notes, tune.notes[1:], strict=False))
    assert tune.notes[-1].end <= tune.bars * tune.metre.ticks_per_bar
    assert all(48 <= n.pitch <= 84 for n in tune.notes)
    assert tune.bars * tune.metre.ticks_per_bar / 24 * 60 / tune.bpm < 45
