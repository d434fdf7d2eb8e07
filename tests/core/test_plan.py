"""Plans, and the chords that are told with them."""

from __future__ import annotations

from daemon.control.client_events import make_plan_event
from daemon.core import wire
from daemon.core.plan import ChosenChord, Plan, list_chord_changes
from music.chords import parse


def test_a_chord_is_told_where_it_begins_and_again_where_it_comes_back() -> None:
    chosen = [(0, 0)] * 3 + [(10, 2)] * 2 + [(0, 0)]
    changes = list_chord_changes(chosen, 7)
    assert changes == (ChosenChord(42, 0, 0), ChosenChord(60, 10, 2), ChosenChord(72, 0, 0))
    assert list_chord_changes([], 7) == ()


def test_clients_are_told_the_chords_of_a_plan_by_name() -> None:
    plan = Plan(1, 7, 20, 42, {}, chords=list_chord_changes([(0, 0), (10, 2)], 7))
    event = make_plan_event(wire.pack_plan(plan))
    assert event["chords"] == [[42, "C:maj"], [48, "Bb:7"]]
    assert all(parse(label) for _, label in event["chords"])
