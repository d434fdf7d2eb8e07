"""Items: as JSON and back, and what is no item."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.projects.item import ITEM_ROLES, Item, ItemError, count_bars, find_end, parse_item
from music.note import Metre, Note
from tests.projects.items import items


@settings(max_examples=15, deadline=None)
@given(items())
def test_an_item_comes_back_from_json(item: Item) -> None:
    again = parse_item(json.loads(json.dumps(item.as_json())))
    assert again == item
    assert again.revision == item.revision


@settings(max_examples=15, deadline=None)
@given(items())
def test_a_summary_counts_what_it_leaves_out(item: Item) -> None:
    summary = item.summarise()
    assert summary["counts"] == {role: len(item.get(role)) for role in ITEM_ROLES}
    assert summary["edit_count"] == len(item.edits)
    assert not {"notes", "edits", "chords"} & set(summary)
    assert summary["revision"] == item.revision


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(1, 20), st.sampled_from([3, 4, 5])), max_size=3))
def test_bars_and_their_end_are_of_one_mind(bars: int, changes: list[tuple[int, int]]) -> None:
    metres, tick = [(0, Metre())], 0
    for count, beats in changes:
        tick += count * metres[-1][1].ticks_per_bar
        metres.append((tick, Metre(beats, 4)))
    end = find_end(tuple(metres), bars)
    assert count_bars(tuple(metres), end) == bars
    assert count_bars(tuple(metres), end + 1) == bars + 1


PLAIN = Item("i1", "input", "a", 120.0, ((0, Metre()),), 1, {"melody": (Note(0, 60, 24),)})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bpm": float("nan")}, "bpm: a number from 10 to 400 is needed here"),
        ({"bpm": True}, "bpm: a number from 10 to 400 is needed here"),
        ({"bars": 0}, "bars: a whole number from 1 to 1000 is needed here"),
        ({"kind": "song"}, "the item is of no known kind"),
        ({"name": " \n "}, "name: give it one of at least one letter"),
        ({"metres": []}, "metres: the first one has to begin at tick 0"),
        ({"metres": [[0, "4/3"]]}, "metres: '4/3' is none; say 4/4, 3/4 or 6/8, for instance"),
        ({"notes": {"violin": []}}, "notes: no role 'violin'; there are"),
        ({"notes": {"bass": [[0, 128, 1, 1]]}}, "notes of bass: [0, 128, 1, 1] is none"),
        ({"notes": {"bass": [[0, 60, 1]]}}, "notes of bass: [0, 60, 1] is none"),
        ({"notes": {"bass": [[-1, 60, 1, 1]]}}, "notes of bass: [-1, 60, 1, 1] is none"),
        ({"notes": {"bass": [[True, 60, 1, 1]]}}, "notes of bass: [True, 60, 1, 1] is none"),
        ({"notes": {"bass": [[0, 60, 1, 1]] * 20_001}}, "notes of bass: there are 20001, and at most 20000"),
        ({"controls": {"seed": [1]}}, "seed: a number, a text or true or false is needed here"),
        ({"edits": [{"action": "move"}]}, "edits: an edit adds a note or removes one"),
        ({"edits_shown": 1}, "edits_shown: a whole number from 0 to 0 is needed here"),
    ],
)
def test_what_is_no_item_is_refused_in_a_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ItemError) as caught:
        parse_item({**PLAIN.as_json(), **change})
    assert str(caught.value).startswith(sentence)
