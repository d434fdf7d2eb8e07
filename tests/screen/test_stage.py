"""The stage view of `houseband top`: what it says, and how large."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daemon.screen.band_state import BandState
from daemon.screen.stage import draw_stage, enlarge, shorten

STATE: dict[str, Any] = {
    "controls": {"style": "jazz", "technique": "gan"}, "counters": {}, "bpm": 120.0, "playing": True, "tick": 96,
    "at": 0, "clock": "midi", "waiting_for": [],
    "song": {"name": "blue", "title": "Blue", "next": "green", "next_title": "Green"},
    "chord": {"now": "D:min7", "next": "G:7", "source": "chart"},
}  # fmt: skip


def drawn(width: int = 80, height: int = 24, **changed: object) -> str:
    band = BandState()
    band.begin({**STATE, **changed}, 0)
    return draw_stage(band, 0, width, height, ascii_only=True).plain


def test_it_says_song_place_chords_wait_and_clock() -> None:
    lines = drawn().split("\n")
    assert lines[0].split() == ["Song", "Blue", "next", "Green"]
    assert sum("####" in line for line in lines) >= 5
    assert any(line.split()[:2] == ["Chord", "Dm7"] and "then  G7" in line for line in lines)
    assert "Clock      MIDI clock" in lines
    assert "Plays" in lines
    assert any("4/4   120 bpm   jazz, gan" in line for line in lines)
    assert lines[-1].startswith("q leaves")


def test_it_says_what_is_waited_for() -> None:
    said = drawn(playing=False, waiting_for=["clock", "port Keys"])
    assert "Waits for  the clock to start, port Keys" in said
    assert "Waits for  your first note" in drawn(playing=False)


def test_before_it_begins_it_says_the_metre_that_is_chosen() -> None:
    waltz = {"style": "jazz", "technique": "gan", "metre": "3/4, 9: 4/4"}
    said = drawn(playing=False, controls=waltz)
    assert "3/4   120 bpm" in said
    assert "  O  O  O\n" in said.replace(".", "O")
    assert "4/4   120 bpm" in drawn(playing=False, controls={**waltz, "metre": "auto"})


def test_where_there_are_no_songs_and_no_chords_nothing_is_made_up() -> None:
    said = drawn(song={"name": "", "title": "", "next": "", "next_title": ""}, chord={"now": None}, clock="")
    assert "Song" not in said
    assert "next" not in said
    assert "Clock" not in said
    assert "guessed from the melody" in said


@given(st.text("0123456789.-", min_size=1, max_size=8), st.integers(1, 200), st.integers(1, 60))
def test_figures_are_as_large_as_fits(said: str, width: int, height: int) -> None:
    rows = enlarge(said, width, height, "#")
    if rows != [said]:
        assert len(rows) <= height
        assert all(len(row) <= width for row in rows)
        assert len(rows) % 5 == 0


def test_what_is_too_long_ends_in_dots() -> None:
    assert [shorten("abcdef", width) for width in (6, 5, 3, 2, 0)] == ["abcdef", "ab...", "...", "..", ""]
