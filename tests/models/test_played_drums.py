"""Bands take the drums of drummers whose style and tempo suit them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.played_drums import PHRASE_BARS, let_drummers_play
from models.data.song_cache import CachedSong
from music.note import Metre
from music.styles import DRUMMERS
from music.track_names import PARTS
from tests.support.training import make_song

DRUMS, MELODY = PARTS.index("drums"), PARTS.index("melody")
BARS = 20
SNARE, TOM, KICK = 38, 45, 36


def make_band(name: str = "007-pop", style: str = "pop", bpm: int = 100) -> CachedSong:
    return replace(make_song(name, style, bars=BARS), bpm=bpm)


def make_take(
    name: str = "d1-s1-1", pitch: int = SNARE, bars: int = 4, style: str = "pop", **changes: object
) -> CachedSong:
    """A take with a hit on the second beat of every bar."""
    notes = np.array([[DRUMS, 16 * bar + 4, pitch, 1, 60 + bar] for bar in range(bars)], np.int32)
    take = CachedSong(name, DRUMMERS, f"{DRUMMERS}/{style}", "train", notes, np.zeros((4 * bars, 2), np.int8), bpm=100)
    return replace(take, **changes)  # type: ignore[arg-type]


def get_drums(song: CachedSong) -> NDArray[np.int32]:
    found: NDArray[np.int32] = song.notes[song.notes[:, 0] == DRUMS]
    return found


def test_a_take_lies_under_the_whole_song_and_nothing_else_changes() -> None:
    band = make_band()
    [joined] = let_drummers_play([band, make_take()])
    assert get_drums(joined)[:, 1].tolist() == [16 * bar + 4 for bar in range(BARS)]
    assert set(get_drums(joined)[:, 2].tolist()) == {SNARE}
    before, after = (sorted(row for row in song.notes.tolist() if row[0] != DRUMS) for song in (band, joined))
    assert before == after
    assert (joined.style, joined.split, joined.bpm, joined.steps) == ("pop", "train", 100, band.steps)
    assert (np.diff(joined.notes[:, 1]) >= 0).all()


def test_a_take_begins_and_ends_with_its_full_bars() -> None:
    bars = np.concatenate([np.repeat(make_take(bars=6).notes[1:5], 4, 0), make_take(bars=6).notes[[0, 5]]])
    take = make_take(notes=bars[np.argsort(bars[:, 1])], bars=6)
    [joined] = let_drummers_play([make_band(), take])
    first = get_drums(joined)[::4]
    assert first[:5, 1].tolist() == [4, 20, 36, 52, 68]
    assert first[:5, 4].tolist() == [61, 62, 63, 64, 61]  # the loudness tells the bars of the take


def test_phrases_end_with_fills_of_the_same_drummer() -> None:
    fill = make_take("d1-s1-2", TOM, bars=1, is_fill=True)
    other = make_take("d2-s1-2", KICK, bars=1, is_fill=True)
    songs = let_drummers_play([*(make_band(f"{i}-pop") for i in range(8)), make_take(), fill, other])
    drums = [get_drums(song) for song in songs]
    for song, rows in zip(songs, drums, strict=True):  # a song tells where they are
        assert [16 * (start // 16) for _, start, pitch, *_ in rows.tolist() if pitch == TOM] == list(song.fills)
    places = {int(start) // 16 for rows in drums for _, start, pitch, *_ in rows.tolist() if pitch == TOM}
    assert places == {PHRASE_BARS - 1, 2 * PHRASE_BARS - 1}  # the melody begins with bar 1
    assert not any((rows[:, 2] == KICK).any() for rows in drums)
    for rows in drums:  # the fill takes the bar's place
        assert len(rows) == len(set(rows[:, 1].tolist())) == BARS


@pytest.mark.parametrize(
    "take",
    [
        make_take(bpm=140),
        make_take(style="jazz"),
        make_take(split="valid"),
        make_take(bars=3),
        make_take(is_fill=True),
        make_take(metre=Metre(3, 4)),
    ],
    ids=["too fast", "another style", "another split", "too short", "a fill", "another metre"],
)
def test_a_band_that_nobody_suits_keeps_its_drums(take: CachedSong) -> None:
    band = make_band()
    [song] = let_drummers_play([band, take])
    assert song is band


def test_other_metres_and_collections_keep_theirs() -> None:
    waltz, piano = replace(make_band(), metre=Metre(3, 4)), replace(make_band(), collection="pop909")
    one, other = let_drummers_play([waltz, piano, make_take()])
    assert one is waltz
    assert other is piano


def test_a_song_gets_the_same_drummers_whatever_songs_there_are() -> None:
    takes = [make_take(f"d1-s1-{i}", 36 + i) for i in range(6)]
    band, others = make_band(), [make_band(f"{i}-pop") for i in range(3)]
    [alone], among = let_drummers_play([band, *takes]), let_drummers_play([*others, band, *takes])
    assert np.array_equal(alone.notes, among[-1].notes)
