"""Changes of items: trimming, notes, and the edits of the AR-CNN one by one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.offline.file_editing import EditOptions, edit_draft
from daemon.players.arcnn import EditScorer
from daemon.projects.item import Item, ItemError, ListedEdit
from daemon.projects.item_changes import make_input as make_input_of
from daemon.projects.item_changes import put_notes, show_edits, trim
from music.edits.draft import Draft
from music.edits.edit import ADD, REMOVE, Limits
from music.edits.selection import EditScores
from music.encoding import edit_grid
from music.note import EDITS, MELODY, PITCHES, TICKS_PER_STEP, Metre, Note, quantise
from tests.projects.items import items, lines, make_input


class RandomScorer(EditScorer):
    """Scores that have nothing to do with the notes, so that edits take each other back as well."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def score(self, draft: Draft, limits: Limits, style: str) -> EditScores:
        weights = self._random.normal(size=(draft.steps, PITCHES)).astype(np.float32)
        lengths = self._random.integers(1, 9, (draft.steps, PITCHES)).astype(np.int16)
        return EditScores(weights, lengths, calibrated=False)


@cache
def edit(seed: int) -> tuple[Item, Draft]:
    """Return a result as the AR-CNN's are, from edits at random, and the draft as it was left."""
    item = make_input()
    lengths, velocities = edit_grid.from_notes(item.get(MELODY), 0, item.ticks // TICKS_PER_STEP)
    draft = Draft(lengths, velocities, range(0, item.ticks // TICKS_PER_STEP, 16))
    done = edit_draft(draft, RandomScorer(seed), EditOptions("pop", Limits(60, 24, low=55, high=80), 6, 1.0, seed))
    listed = tuple(
        ListedEdit(e.action, e.step * 6, e.pitch, e.length * 6, e.velocity, e.log_probability, e.iteration)
        for e in done
    )
    given_notes = tuple(quantise(item.get(MELODY)))
    notes = {MELODY: given_notes, EDITS: tuple(edit_grid.to_notes(draft.lengths, draft.velocities))}
    return replace(item, kind="result", notes=notes, edits=listed, edits_shown=len(listed)), draft


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2))
def test_all_edits_give_what_the_network_left_and_none_what_was_given(seed: int) -> None:
    item, draft = edit(seed)
    assert {each.action for each in item.edits} == {ADD, REMOVE}
    assert show_edits(item, 0).get(EDITS) == item.get(MELODY)
    again = show_edits(show_edits(item, 0), len(item.edits))
    assert again.get(EDITS) == tuple(edit_grid.to_notes(draft.lengths, draft.velocities)) == item.get(EDITS)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2), st.data())
def test_each_edit_shown_is_one_note_more_or_less(seed: int, data: st.DataObject) -> None:
    item, _ = edit(seed)
    shown = data.draw(st.integers(1, len(item.edits)))
    before, after = (set(show_edits(item, count).get(EDITS)) for count in (shown - 1, shown))
    changed = item.edits[shown - 1]
    assert {(n.start, n.pitch) for n in before ^ after} == {(changed.tick, changed.pitch)}
    assert len(after) - len(before) == (1 if changed.action == ADD else -1)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2), st.data())
def test_any_choice_of_edits_gives_notes(seed: int, data: st.DataObject) -> None:
    item, _ = edit(seed)
    kept = data.draw(st.lists(st.booleans(), min_size=len(item.edits), max_size=len(item.edits)))
    chosen = show_edits(item, data.draw(st.integers(0, len(item.edits))), kept)
    assert [each.kept for each in chosen.edits] == kept
    added = {(e.tick, e.pitch) for e in chosen.edits[: chosen.edits_shown] if e.kept and e.action == ADD}
    taken = {(e.tick, e.pitch) for e in chosen.edits[: chosen.edits_shown] if e.kept and e.action == REMOVE}
    places = {(n.start, n.pitch) for n in chosen.get(EDITS)}
    given_places = {(n.start, n.pitch) for n in item.get(MELODY)}
    assert places <= given_places | added
    assert given_places - taken <= places
    for one in chosen.get(EDITS):
        assert not any(one.pitch == other.pitch and one.start < other.start < one.end for other in chosen.get(EDITS))


def test_edits_that_are_not_there_are_told() -> None:
    item, _ = edit(0)
    count = len(item.edits)
    with pytest.raises(ItemError, match="this item has no edits; they come from the AR-CNN"):
        show_edits(make_input(), 0)
    with pytest.raises(ItemError, match=f"kept: {count} values are needed, one for each edit"):
        show_edits(item, 0, [True])
    with pytest.raises(ItemError, match=f"shown: a number from 0 to {count} is needed"):
        show_edits(item, count + 1)


def test_the_edited_melody_is_that_of_the_next_input() -> None:
    item, _ = edit(0)
    made = make_input_of(item, "i7")
    assert (made.id, made.kind, made.parent) == ("i7", "input", "i1")
    assert made.get(MELODY) == item.get(EDITS)
    assert not made.get(EDITS)
    assert not made.edits


@settings(max_examples=15, deadline=None)
@given(items(), st.data())
def test_trimming_keeps_what_sounds_in_the_bars(item: Item, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, item.bars))
    last = data.draw(st.integers(first, item.bars))
    done = trim(item, first, last)
    bar = item.metres[0][1].ticks_per_bar
    assert (done.bars, done.ticks) == (last - first + 1, (last - first + 1) * bar)
    for role, line in item.notes.items():
        for tick in {note.start for note in line} | {first * bar}:
            if (first - 1) * bar <= tick < last * bar:
                before = {note.pitch for note in line if note.start <= tick < note.end}
                moved = tick - (first - 1) * bar
                assert {note.pitch for note in done.get(role) if note.start <= moved < note.end} == before
    assert done.edits_shown <= len(done.edits)
    assert trim(done, 1, done.bars) == done


def test_trimming_goes_by_the_bars_of_each_metre() -> None:
    item = replace(make_input(), metres=((0, Metre(3, 4)), (144, Metre(4, 4)), (336, Metre(3, 4))), bars=6)
    done = trim(item, 2, 5)
    assert done.metres == ((0, Metre(3, 4)), (72, Metre(4, 4)), (264, Metre(3, 4)))
    with pytest.raises(ItemError, match="bars: there are no bars 0 to 3; there are 1 to 6"):
        trim(item, 0, 3)


@settings(max_examples=15, deadline=None)
@given(items(), lines(bars=20))
def test_other_notes_in_a_role_leave_the_rest_and_get_the_bars_they_need(item: Item, line: tuple[Note, ...]) -> None:
    done = put_notes(item, {"bass": line})
    assert done.get("bass") == tuple(sorted(line))
    assert {**done.notes, "bass": ()} == {**item.notes, "bass": ()}
    assert done.bars >= item.bars
    assert all(note.end <= done.ticks for note in line)
