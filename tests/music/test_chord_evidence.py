"""What the harmonist is told of chords that are known."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from music.analysis.key import Key, count_foreign_tones
from music.chords import NO_CHORD
from music.encoding.chord_evidence import (
    BASS,
    CERTAINTY,
    EVIDENCE_BEATS,
    KEY_WEIGHT,
    KNOWN,
    PAST_BEATS,
    ROOT,
    SILENCE,
    TONES,
    GivenChord,
    draw_evidence,
    find_known_chords,
    pack_tones,
    weigh_bass,
    weigh_key,
)

BEAT = 24
C_MAJOR = GivenChord(0, 4 * BEAT, 0, pack_tones((60, 64, 67)), 4, 1.0)
G = GivenChord(4 * BEAT, 8 * BEAT, 7, pack_tones((7, 11, 2)), NO_CHORD, 0.5)


def test_chords_lie_at_their_beats_with_their_certainty() -> None:
    pitched, plain = draw_evidence([C_MAJOR, G], now=4 * 2)
    here = PAST_BEATS
    assert np.flatnonzero(pitched[TONES, :, here]).tolist() == [0, 4, 7]
    assert np.flatnonzero(pitched[ROOT, :, here]).tolist() == [0]
    assert np.flatnonzero(pitched[BASS, :, here]).tolist() == [4]
    assert pitched[TONES, 7, here + 2] == plain[CERTAINTY, here + 2] == 0.5
    assert not pitched[BASS, :, here + 2].any()
    assert plain[CERTAINTY].tolist() == [0, 0, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0, 0]


def test_a_beat_that_has_begun_has_the_chord_that_follows() -> None:
    late = GivenChord(BEAT // 2, 4 * BEAT, 7, pack_tones((7, 11, 2)), 7, 1.0)
    early = C_MAJOR._replace(end=BEAT // 2)
    assert draw_evidence([early, late], now=2).pitched[ROOT, 7, PAST_BEATS] == 1
    assert draw_evidence([early._replace(end=20), late._replace(start=20)], now=0).pitched[ROOT, 0, PAST_BEATS] == 1


def test_no_chord_is_told_as_silence() -> None:
    pitched, plain = draw_evidence([GivenChord(0, BEAT, NO_CHORD, 0, NO_CHORD, 1.0)], now=0)
    assert not pitched.any()
    assert plain[SILENCE, PAST_BEATS] == plain[CERTAINTY, PAST_BEATS] == 1


def test_the_bass_is_the_lowest_note_of_a_chord_that_is_sure_where_it_begins_and_on_the_bar() -> None:
    long = C_MAJOR._replace(end=8 * BEAT)
    wanted = weigh_bass([long, G._replace(start=8 * BEAT, end=12 * BEAT)], 0, 48, 0, 16)
    assert {(int(pc), int(step)) for pc, step in np.argwhere(wanted)} == {(4, s) for s in (*range(4), *range(16, 20))}
    known = find_known_chords([long], -2, 5)
    assert known == [None, None, long, long, long]


def test_a_key_stands_in_the_way_of_foreign_chords_where_no_chord_is_known() -> None:
    key = Key(0, False)
    foreign = np.array(count_foreign_tones(key), np.float32)
    unsure = G._replace(start=9 * BEAT, end=10 * BEAT, certainty=KNOWN / 2)
    weights = weigh_key(key, [C_MAJOR, G, unsure], first=2 * 4, beats=8)
    assert not weights[:, :6].any()  # both chords are known there
    assert weights[:, 6].tolist() == (-KEY_WEIGHT * foreign).tolist()
    assert weights[:, 7].tolist() == (-KEY_WEIGHT / 2 * foreign).tolist()
    assert not weigh_key(None, [], 0, 4).any()


chords = st.builds(
    lambda start, length, root, tones, bass, certainty: GivenChord(start, start + length, root, tones, bass, certainty),
    *(st.integers(-50, 300), st.integers(1, 200), st.integers(-1, 11), st.integers(0, 4095), st.integers(-1, 11)),
    st.sampled_from([0.25, 0.5, 1.0]),
)


@given(st.lists(chords, max_size=6), st.integers(0, 40), st.integers(0, 11))
def test_another_key_turns_the_planes(given_chords: list[GivenChord], now: int, up: int) -> None:
    moved = [
        c._replace(
            root=(c.root + up) % 12 if c.root != NO_CHORD else NO_CHORD,
            bass=(c.bass + up) % 12 if c.bass != NO_CHORD else NO_CHORD,
            tones=pack_tones(t + up for t in c.list_tones()),
        )
        for c in given_chords
    ]
    before, after = draw_evidence(given_chords, now), draw_evidence(moved, now)
    assert np.array_equal(np.roll(before.pitched, up, 1), after.pitched)
    assert np.array_equal(before.plain, after.plain)
    assert before.pitched.shape == (3, 12, EVIDENCE_BEATS)
