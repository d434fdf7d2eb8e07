"""What a melody recalls: where it went like this before, found without a look ahead."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from music.analysis.melody_recall import (
    MEMORY_STEPS,
    MIN_LAG_STEPS,
    find_all_matches,
    find_match,
    find_matches,
    sample_melody,
)
from music.encoding import melody_context
from music.note import REST, Metre, Note

VERSE = [(0, 60, 4), (4, 62, 4), (8, 64, 8), (16, 65, 4), (20, 64, 4), (24, 62, 8), (32, 67, 16), (48, 64, 16)]
CHORUS = [(0, 72, 2), (2, 71, 6), (8, 69, 8), (16, 67, 8), (24, 69, 8), (32, 71, 16), (48, 65, 12)]


def _song(*parts: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    return [(start + 64 * i, pitch, length) for i, part in enumerate(parts) for start, pitch, length in part]


def test_the_second_verse_recalls_the_first() -> None:
    pitches = sample_melody(_song(VERSE, CHORUS, VERSE), 192)
    for line in range(152, 193):
        found = find_match(pitches[:line])
        assert found.line == line - 128
        assert found.trust > 0.2


def test_other_octaves_are_the_same_melody() -> None:
    pitches = sample_melody(_song(VERSE, CHORUS, [(s, p - 12, n) for s, p, n in VERSE]), 192)
    assert find_match(pitches).line == 64


def test_of_two_times_the_nearer_is_recalled() -> None:
    pitches = sample_melody(_song(*[CHORUS, VERSE] * 3)[:-2], 64 * 5 + 32)
    assert find_match(pitches).line == 64 * 3 + 32


def test_nothing_is_recalled_of_a_beginning_nor_of_what_is_new() -> None:
    assert find_match(sample_melody(VERSE, 64)) == (-1, 0.0)
    assert find_match(sample_melody([], 200)) == (-1, 0.0)
    assert find_match(sample_melody(_song(VERSE, [(s, p + 6, n) for s, p, n in VERSE]), 128)).trust < 0.1


def test_lines_lie_whole_bars_apart_in_any_metre() -> None:
    waltz = [(s + 96 * i, p, n) for i in range(3) for s, p, n in [(0, 60, 12), (12, 64, 6), (18, 67, 6), (24, 65, 72)]]
    found = find_match(sample_melody(waltz, 240), Metre(3, 4).steps_per_bar)
    assert (240 - found.line) % 12 == 0
    assert 240 - found.line >= MIN_LAG_STEPS


melodies = st.lists(st.integers(-1, 6), min_size=1, max_size=40).map(
    lambda line: np.repeat(np.array([REST if p < 0 else 60 + p for p in line], np.int16), 8)
)


@given(melodies, st.data())
def test_all_lines_at_once_are_what_each_is_alone(
    pitches: np.ndarray[tuple[int], np.dtype[np.int16]], data: st.DataObject
) -> None:
    lines, trust = find_all_matches(pitches)
    line = data.draw(st.integers(0, len(pitches)))
    alone = find_match(pitches[:line])
    assert abs(alone.trust - trust[line]) < 0.02  # recall() does not listen for ever
    if alone.trust > 0.05:
        assert line - lines[line] >= MIN_LAG_STEPS or lines[line] < 0
    assert (lines <= np.maximum(np.arange(len(pitches) + 1) - MIN_LAG_STEPS, -1)).all()
    assert ((trust >= 0) & (trust <= 1)).all()


def test_what_followed_then_stands_right_of_the_line_and_nothing_else_does() -> None:
    rows = _song(VERSE, CHORUS, VERSE, CHORUS)
    whole = [Note(s * 6, p, n * 6) for s, p, n in rows]
    now = 176
    live = melody_context.build_harmonist_input(whole, now, heard_all=False)
    truth = melody_context.build_harmonist_input(whole, now, heard_all=True)
    assert 0 < live.known[0] < 1 == truth.known[0]
    # what followed the first verse will follow the second
    assert np.array_equal(
        live.melody[:, :, : melody_context.PAST_STEPS + 48], truth.melody[:, :, : melody_context.PAST_STEPS + 48]
    )
    changed = [n if n.start < now * 6 else Note(n.start, n.pitch + 1, n.length) for n in whole]
    assert np.array_equal(melody_context.build_harmonist_input(changed, now, heard_all=False).melody, live.melody)
    assert melody_context.build_harmonist_input(whole[:4], 32, heard_all=False).known[0] == 0


def test_a_song_may_last_longer_than_it_is_remembered() -> None:
    rows = _song(*[VERSE, CHORUS] * 20)
    pitches = sample_melody(rows, 64 * 40)
    assert 0 < len(pitches) - find_match(pitches).line <= MEMORY_STEPS


@given(st.lists(melodies, min_size=1, max_size=4))
def test_melodies_together_are_recalled_as_each_is_alone(
    voices: list[np.ndarray[tuple[int], np.dtype[np.int16]]],
) -> None:
    steps = min(map(len, voices))
    together = np.stack([voice[:steps] for voice in voices])
    assert find_matches(together) == [find_match(voice) for voice in together]
