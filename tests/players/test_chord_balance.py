"""The balance of a chord's tones: what was played lately against what a human accompaniment plays."""

from __future__ import annotations

import numpy as np

from daemon.players.chord_balance import (
    BALANCE_STEPS,
    TONE_SHARES,
    add_up_sounding_ticks,
    count_sounding_steps,
    weigh_neglected_tones,
    weigh_shares,
    weigh_ticks,
)
from music.analysis.note_rows import list_rows
from music.analysis.part_notes import RECENT_TICKS
from music.chords import QUALITIES, QUALITY_TONES
from music.note import TICKS_PER_STEP, Note

C_MAJOR = TONE_SHARES[0]


def test_shares_are_those_of_the_chords_tones() -> None:
    for quality in range(len(QUALITIES)):
        for root in range(12):
            row = TONE_SHARES[quality * 12 + root]
            assert set(np.flatnonzero(row)) == {(root + i) % 12 for i in QUALITY_TONES[quality]}
            assert row.argmax() == root
            assert 0.8 < row.sum() <= 1


def test_only_what_sounded_lately_counts_for_as_long_as_it_did() -> None:
    step = 40
    notes = [
        Note(0, 60, 40 * TICKS_PER_STEP),  # into the step: all the time
        Note(36 * TICKS_PER_STEP, 64, 2 * TICKS_PER_STEP),
        Note(39 * TICKS_PER_STEP, 76, 8 * TICKS_PER_STEP),  # goes on: one step so far
        Note(0, 67, (step - BALANCE_STEPS) * TICKS_PER_STEP),  # over
        Note(step * TICKS_PER_STEP, 62, TICKS_PER_STEP),  # to come
    ]
    wanted = np.zeros(12)
    wanted[[0, 4]] = BALANCE_STEPS, 3
    assert np.array_equal(count_sounding_steps(list_rows(notes), step), wanted)
    ticks = add_up_sounding_ticks(notes, step)
    assert np.array_equal(np.array(ticks) / 6, wanted)
    played = weigh_ticks(ticks)
    assert played is not None
    assert np.array_equal(played, weigh_shares(wanted))
    assert weigh_ticks((0,) * 12) is None
    assert RECENT_TICKS >= BALANCE_STEPS * TICKS_PER_STEP  # so the recent notes of a part are enough


def test_what_had_its_due_lacks_nothing_and_what_was_forgotten_most() -> None:
    assert np.allclose(weigh_neglected_tones(C_MAJOR, 7 * C_MAJOR), 0)
    heard = np.zeros(12)
    heard[[0, 7]] = 8, 4  # root and fifth
    missing = weigh_neglected_tones(C_MAJOR, heard)
    assert missing.argmax() == 4
    assert missing[0] < 0
    assert (missing[[1, 3, 6, 10]] == 0).all()
    assert not weigh_neglected_tones(C_MAJOR, np.zeros(12)).any()


def test_many_wishes_at_once() -> None:
    heard = np.arange(12.0)
    both = weigh_neglected_tones(TONE_SHARES[:2].T, heard)
    assert np.array_equal(both[:, 0], weigh_neglected_tones(TONE_SHARES[0], heard))
    assert np.array_equal(both[:, 1], weigh_neglected_tones(TONE_SHARES[1], heard))
