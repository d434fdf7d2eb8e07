"""Edits: what they do to the notes, how they are undone, replayed, drawn and told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from music.edits import selection
from music.edits.draft import Draft, EditError
from music.edits.edit import ADD, REMOVE, Edit, Limits, parse_ranges
from music.edits.edit_log import drop_cancelled, format_edit, parse_edit, replay
from music.edits.selection import EditScores
from music.edits.sysex import decode_sysex, encode_sysex
from music.encoding import edit_grid
from music.note import PITCHES, Note

STEPS = 48
BARS = (0, 16, 32)
rows = st.lists(
    st.tuples(st.integers(0, STEPS - 1), st.integers(55, 70), st.integers(1, 20), st.integers(1, 127)), max_size=30
)


def draft_of(notes: list[tuple[int, int, int, int]], ring: bool = False) -> Draft:
    made = [Note(step * 6, pitch, length * 6, velocity) for step, pitch, length, velocity in notes]
    lengths, velocities = edit_grid.from_notes(made, 0, STEPS)
    return Draft(lengths, velocities, BARS, ring)


def drawn(seed: int) -> EditScores:
    """Scores of a network that thinks what it likes, sure of much."""
    random = np.random.default_rng(seed)
    weights = np.log(random.random((STEPS, 128)).astype(np.float32) ** 3)
    weights[:, :50] = weights[:, 75:] = -10
    return EditScores(weights, random.integers(1, 20, (STEPS, 128)).astype(np.int16))


def edited(notes: list[tuple[int, int, int, int]], limits: Limits, seed: int, ring: bool = False) -> Draft:
    draft = draft_of(notes, ring)
    random = np.random.default_rng(seed)
    for iteration in range(1, 13):
        selection.draw_edits(draft, drawn(seed + iteration), limits, random, count=4, iteration=iteration)
    return draft


def cells(draft: Draft) -> set[tuple[int, int, int, int]]:
    steps, pitches = np.nonzero(draft.lengths)
    return {
        (int(s), int(p), int(draft.lengths[s, p]), int(draft.velocities[s, p]))
        for s, p in zip(steps, pitches, strict=True)
    }


# What an edit does


@examples(max_examples=50)
@given(rows, st.integers(0, 99), st.booleans())
def test_replaying_a_log_over_the_input_gives_the_same_notes_exactly(
    notes: list[tuple[int, int, int, int]], seed: int, ring: bool
) -> None:
    draft = edited(notes, Limits(), seed, ring)
    for log in (
        draft.log,
        drop_cancelled(draft.log),
        [parse_edit(format_edit(edit, draft)) for edit in drop_cancelled(draft.log)],
    ):
        again = draft_of(notes, ring)
        replay(again, log)
        assert cells(again) == cells(draft)


@examples(max_examples=50)
@given(rows, st.integers(0, 99), st.integers(0, 60))
def test_undoing_gives_back_what_was_there(notes: list[tuple[int, int, int, int]], seed: int, count: int) -> None:
    draft = edited(notes, Limits(), seed)
    before = draft.log
    undone = draft.undo(count)
    assert len(undone) == min(count, len(before))
    again = draft_of(notes)
    replay(again, before[: len(before) - len(undone)])
    assert (cells(again), again.added, again.removed) == (cells(draft), draft.added, draft.removed)


@examples(max_examples=50)
@given(rows, st.integers(0, 99), st.booleans())
def test_no_two_notes_of_a_pitch_ever_overlap(notes: list[tuple[int, int, int, int]], seed: int, ring: bool) -> None:
    draft = edited(notes, Limits(), seed, ring)
    covered = np.zeros((STEPS, 128), np.int64)
    for step, pitch, length, _ in cells(draft):
        assert ring or step + length <= STEPS
        covered[(step + np.arange(length)) % STEPS, pitch] += 1
    assert covered.max(initial=0) <= 1
    assert np.array_equal(covered > 0, edit_grid.find_sounding(draft.lengths, ring))


def test_an_edit_that_does_not_fit_is_refused() -> None:
    draft = draft_of([(4, 60, 4, 80)])
    for wrong in (
        Edit(1, ADD, 5, 60, 1),
        Edit(1, ADD, 2, 60, 3),
        Edit(1, ADD, 47, 61, 2),
        Edit(1, REMOVE, 5, 60, 3),
        Edit(1, REMOVE, 4, 60, 3),
        Edit(1, ADD, 48, 60, 1),
        Edit(1, ADD, 0, 128, 1),
        Edit(1, ADD, 0, 60, 0),
    ):
        with pytest.raises(EditError):
            draft.apply(wrong)
    assert draft.log == []


def test_a_settled_log_has_no_note_that_was_added_and_removed_again() -> None:
    one, two = Edit(1, ADD, 0, 60, 4), Edit(2, REMOVE, 0, 60, 4)
    other, last = Edit(2, REMOVE, 8, 62, 2), Edit(3, ADD, 2, 60, 1)
    assert drop_cancelled([one, other, two, last]) == [other, last]


@examples(max_examples=50)
@given(rows, rows, st.integers(0, 99), st.integers(0, 2), st.booleans())
def test_new_input_and_cleared_bars_keep_the_books(
    notes: list[tuple[int, int, int, int]], more: list[tuple[int, int, int, int]], seed: int, bar: int, ring: bool
) -> None:
    draft = edited(notes, Limits(), seed, ring)
    for step, pitch, length, velocity in more:
        draft.put_input(step, pitch, length, velocity)
    draft.clear(16 * bar, 16 * bar + 16)
    assert not draft.lengths[16 * bar : 16 * bar + 16].any()
    assert draft.added == int(draft.own.sum())
    assert draft.given - draft.removed == int(((draft.lengths > 0) & ~draft.own).sum())
    draft.undo(1000)
    assert draft.added == int(draft.own.sum())
    assert draft.given - draft.removed == int(((draft.lengths > 0) & ~draft.own).sum())


# Limits


@examples(max_examples=50)
@given(rows, st.integers(0, 99), st.floats(0, 100), st.integers(0, 12), st.booleans())
def test_caps_are_exact(
    notes: list[tuple[int, int, int, int]], seed: int, remove_max: float, add_max: int, ring: bool
) -> None:
    draft = edited(notes, Limits(remove_max=remove_max, add_max=add_max), seed, ring)
    given_notes = cells(draft_of(notes, ring))
    log = drop_cancelled(draft.log)
    most = int(remove_max * len(given_notes) / 100 + 1e-9)
    assert sum(edit.action == REMOVE for edit in log) <= most
    assert sum(edit.action == ADD for edit in log) <= add_max
    assert len(given_notes - cells(draft)) <= most
    if remove_max == 0:
        assert given_notes <= cells(draft)
    if add_max == 0:
        assert cells(draft) <= given_notes


def test_caps_are_reached() -> None:
    notes = [(step, 60, 1, 80) for step in range(0, 48, 4)]
    draft = draft_of(notes)
    sure = EditScores(np.full((STEPS, 128), -0.01, np.float32), np.ones((STEPS, 128), np.int16))
    random = np.random.default_rng(0)
    reached = []
    for _ in range(20):
        selection.draw_edits(draft, sure, Limits(remove_max=50, add_max=7), random, count=8, risk=3.0)
        reached.append((draft.removed, draft.added))
    assert max(reached) == (6, 7)


@examples(max_examples=50)
@given(rows, st.integers(0, 99), st.sets(st.integers(50, 75)), st.sets(st.integers(1, 3)), st.booleans())
def test_what_is_locked_stays_as_it_is(
    notes: list[tuple[int, int, int, int]], seed: int, pitches: set[int], bars: set[int], ring: bool
) -> None:
    limits = Limits(locked_pitches=frozenset(pitches), locked_bars=frozenset(bars))
    before, after = draft_of(notes, ring), edited(notes, limits, seed, ring)
    was, now = edit_grid.find_sounding(before.lengths, ring), edit_grid.find_sounding(after.lengths, ring)
    for pitch in pitches:
        assert np.array_equal(before.lengths[:, pitch], after.lengths[:, pitch])
    for bar in bars:
        inside = slice(16 * bar - 16, 16 * bar)
        assert np.array_equal(before.lengths[inside], after.lengths[inside])
        assert np.array_equal(was[inside], now[inside])


@examples(max_examples=50)
@given(rows, st.integers(0, 99), st.integers(50, 62), st.integers(62, 75))
def test_nothing_outside_the_register_is_edited(
    notes: list[tuple[int, int, int, int]], seed: int, low: int, high: int
) -> None:
    draft = edited(notes, Limits(low=low, high=high), seed)
    assert all(low <= edit.pitch <= high for edit in draft.log)


# Drawing


def test_no_risk_takes_the_likeliest_and_says_how_likely_it_was() -> None:
    weights = np.full((STEPS, 128), -9.0, np.float32)
    weights[4, 60], weights[20, 64], weights[21, 66] = np.log(0.9), np.log(0.6), np.log(0.5)
    draft = draft_of([])
    edits = selection.draw_edits(draft, EditScores(weights, np.full((STEPS, 128), 3, np.int16)), Limits(),
                         np.random.default_rng(0), count=3, risk=0)  # fmt: skip
    assert [(e.action, e.step, e.pitch, e.length) for e in edits] == [("add", 4, 60, 3), ("add", 20, 64, 3)]
    # 21 is too near to 20 to be drawn from the same evaluation
    assert all(edit.log_probability <= 0 for edit in edits)


def test_a_calibrated_network_that_has_nothing_to_say_ends_it() -> None:
    quiet = EditScores(np.full((STEPS, 128), -5.0, np.float32), np.ones((STEPS, 128), np.int16))
    assert selection.draw_edits(draft_of([(0, 60, 4, 80)]), quiet, Limits(), np.random.default_rng(0), count=4) == []


def looked(random: np.random.Generator, draft: Draft, right: np.ndarray) -> EditScores:
    """A noisy look, to which right cells seem likely on the average and others do not."""
    logit = np.where(right != (draft.lengths > 0), 1.5, -7.0) + random.normal(0, 2.0, right.shape)
    return EditScores(-np.log1p(np.exp(-logit)).astype(np.float32), np.ones(right.shape, np.int16))


def test_of_many_noisy_looks_a_belief_keeps_what_is_seen_again_and_again() -> None:
    random = np.random.default_rng(0)
    right = np.zeros((STEPS, 128), np.bool_)
    right[::4, 60] = True
    left = {}
    for name, belief in (("without", None), ("with", selection.NoteBelief())):
        draft = draft_of([])
        for iteration in range(1, 40):
            scores = looked(random, draft, right)
            if belief is not None:
                belief.update(draft, scores)
            selection.draw_edits(draft, scores, Limits(), random, count=4, risk=0, iteration=iteration, belief=belief)
        there = draft.lengths > 0
        left[name] = 2 * int((there & right).sum()) / int(there.sum() + right.sum())
    assert left["with"] > 0.9
    assert left["with"] > left["without"] + 0.1


def test_a_belief_about_a_draft_of_another_size_begins_anew() -> None:
    belief = selection.NoteBelief()
    belief.update(draft_of([]), drawn(0))
    short = Draft(np.zeros((16, 128), np.int16), np.zeros((16, 128), np.uint8))
    scores = EditScores(np.full((16, 128), -0.5, np.float32), np.ones((16, 128), np.int16))
    belief.update(short, scores)
    assert belief.real is not None
    assert belief.real.shape == (16, 128)


def test_risk_above_1_lowers_the_bar() -> None:
    weights = np.full((STEPS, 128), -12.0, np.float32)
    weights[::8, 60], weights[4::8, 62] = np.log(0.9), np.log(0.2)
    scores = EditScores(weights, np.ones((STEPS, 128), np.int16))
    counts = [int(selection.find_worthwhile(draft_of([]), scores, Limits(), risk).sum()) for risk in (0.0, 1.0, 3.0)]
    assert counts == [6, 6, 12]


@pytest.mark.parametrize(
    ("step", "pitch", "wrong"),
    [
        (4, 69, True),  # a fifth again
        (4, 74, False),  # an octave after a fifth
        (4, 65, False),  # a third
        (8, 69, False),  # nothing before it moves
    ],
)
def test_parallel_fifths_are_noticed(step: int, pitch: int, wrong: bool) -> None:
    lengths = np.zeros((edit_grid.WINDOW_STEPS, PITCHES), np.int16)
    for at, key in ((0, 60), (4, 62), (0, 67)):
        lengths[at, key] = 4
    draft = Draft(lengths, np.where(lengths > 0, 80, 0).astype(np.uint8))
    assert selection.makes_parallels(draft, Edit(1, "add", step, pitch, 4)) is wrong
    weights = np.full((edit_grid.WINDOW_STEPS, PITCHES), -16.0, np.float32)
    weights[step, pitch] = -0.01
    scores = selection.EditScores(weights, np.full((edit_grid.WINDOW_STEPS, PITCHES), 4, np.int16))
    made = selection.draw_edits(draft, scores, Limits(), np.random.default_rng(0), risk=0, strict=True)
    assert bool(made) is not wrong


def test_draws_follow_the_distribution() -> None:
    weights = np.full((STEPS, 128), -16.0, np.float32)
    weights[0, 60], weights[24, 62] = np.log(0.8), np.log(0.4)
    scores = EditScores(weights, np.ones((STEPS, 128), np.int16))
    first = 0
    for seed in range(600):
        edits = selection.draw_edits(draft_of([]), scores, Limits(), np.random.default_rng(seed), count=1)
        first += edits[0].step == 0
    assert 350 < first < 450  # two in three


# Telling


@given(st.integers(1, 99), st.sampled_from([ADD, REMOVE]), st.integers(0, 47), st.integers(0, 127),
       st.integers(1, 400), st.integers(1, 127), st.floats(-150, 0))  # fmt: skip
def test_lines_and_messages_say_the_same_again(
    iteration: int, action: str, step: int, pitch: int, length: int, velocity: int, log_p: float
) -> None:
    edit = Edit(iteration, action, step, pitch, length, velocity, log_p)  # type: ignore[arg-type]
    draft = draft_of([])
    back = parse_edit(format_edit(edit, draft))
    assert (back.iteration, back.action, back.step, back.pitch) == (iteration, action, step, pitch)
    assert (back.length, back.velocity, back.log_probability) == (length, velocity, round(log_p, 4))
    message = encode_sysex(edit, draft)
    assert message[0] == 0xF0
    assert message[-1] == 0xF7
    assert max(message[1:-1]) < 128
    told = decode_sysex(message)
    assert ((told.bar - 1) * 16 + told.step, told.action, told.pitch) == (step, action, pitch)
    assert (told.length, told.velocity) == (length, velocity)
    assert abs(told.log_probability - log_p) <= 0.005001


@pytest.mark.parametrize("line", ["", "{}", "[1]", '{"action": "twist"}', "nonsense"])
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(EditError):
        parse_edit(line)


@pytest.mark.parametrize("data", [b"", b"\xf0\x7e\xf7", b"\xf0\x7dhb\x01" + bytes(9) + b"\xf6"])
def test_other_messages_are_refused(data: bytes) -> None:
    with pytest.raises(EditError):
        decode_sysex(data)


def test_spans() -> None:
    assert parse_ranges("") == frozenset()
    assert parse_ranges("1-4, 7,9-9") == {1, 2, 3, 4, 7, 9}
    for wrong in ("a", "4-1", "1-", "-3", "1-2-3", "1-999999999"):
        with pytest.raises(ValueError, match=r".+"):
            parse_ranges(wrong)
