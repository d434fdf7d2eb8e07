from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.plan import Plan
from daemon.output.schedule import CLICK, NoteSchedule, NoteState
from music.note import Note


def plan(number: int, first: int, *notes: Note, role: str = "bass", held: tuple[Note, ...] = ()) -> Plan:
    return Plan(number, first, first + 8, None, {role: notes}, {role: held} if held else {})


def events(schedule: NoteSchedule, tick: int, now: int | None = None) -> list[tuple[int, bool, int]]:
    taken = schedule.take(tick, tick if now is None else now)
    return [(event.due, event.on, event.scheduled.note.pitch) for event in taken]


def test_a_step_is_committed_once_from_the_newest_plan() -> None:
    schedule = NoteSchedule()
    assert schedule.commit(0) is None
    schedule.replace(plan(1, 0, Note(0, 40, 6), Note(6, 41, 6)), 0)
    assert schedule.commit(0) == 1
    schedule.replace(plan(2, 0, Note(0, 50, 6), Note(6, 51, 6)), 0)
    assert schedule.commit(0) is None
    assert schedule.commit(1) == 2
    assert schedule.commit(2) == 2
    assert schedule.commit(8) is None
    assert events(schedule, 99, now=0) == [(0, True, 40), (6, False, 40), (6, True, 51), (12, False, 51)]


def test_an_older_plan_changes_nothing() -> None:
    schedule = NoteSchedule()
    schedule.replace(plan(2, 0, Note(0, 50, 6)), 0)
    schedule.replace(plan(1, 0, Note(0, 40, 6)), 0)
    assert schedule.commit(0) == 2


def test_at_one_tick_ends_come_before_onsets() -> None:
    schedule = NoteSchedule()
    schedule.add("bass", Note(0, 41, 6))
    schedule.add("chords", Note(6, 40, 6))
    assert events(schedule, 6, now=0) == [(0, True, 41), (6, False, 41), (6, True, 40)]


def test_a_role_without_a_channel_and_a_second_note_of_one_onset_are_ignored() -> None:
    schedule = NoteSchedule()
    schedule.add("kazoo", Note(0, 40, 6))
    schedule.add("bass", Note(0, 40, 6))
    schedule.add("bass", Note(0, 40, 12))
    assert events(schedule, 20, now=0) == [(0, True, 40), (6, False, 40)]


def test_the_click_shares_the_drums_channel_and_neither_ends_the_other() -> None:
    schedule = NoteSchedule()
    schedule.add(CLICK, Note(0, 76, 12))
    schedule.add("drums", Note(6, 76, 12))
    assert events(schedule, 30, now=0) == [(0, True, 76), (6, False, 76), (6, True, 76), (18, False, 76)]


def test_ends_are_never_too_late_but_onsets_are() -> None:
    schedule = NoteSchedule()
    schedule.add("bass", Note(0, 40, 6))
    schedule.add("bass", Note(1, 41, 6))
    assert events(schedule, 4, now=4) == [(1, True, 41)]
    assert schedule.dropped == 1
    assert schedule.committed("bass", -1) == (Note(1, 41, 6),)
    assert events(schedule, 1_000, now=1_000) == [(7, False, 41)]


def test_muted_notes_stay_silent_and_are_remembered() -> None:
    schedule = NoteSchedule()
    schedule.add("bass", Note(0, 40, 6))
    assert list(schedule.take(0, 0, {"bass"})) == []
    assert schedule.next_tick() is None
    assert schedule.committed("bass", -1) == (Note(0, 40, 6),)


def test_the_end_of_a_silent_note_can_be_moved_while_it_lasts() -> None:
    schedule = NoteSchedule()
    schedule.add("bass", Note(0, 40, 6))
    list(schedule.take(0, 0, {"bass"}))
    schedule.replace(plan(1, 1, held=(Note(0, 40, 12),)), 3)
    assert schedule.committed("bass", -1) == (Note(0, 40, 12),)
    schedule.replace(plan(2, 3, held=(Note(0, 40, 30),)), 15)
    assert schedule.committed("bass", -1) == (Note(0, 40, 12),)


def test_a_note_that_has_ended_stays_ended() -> None:
    schedule = NoteSchedule()
    schedule.add("bass", Note(0, 40, 6))
    events(schedule, 6, now=0)
    schedule.replace(plan(1, 1, held=(Note(0, 40, 30),)), 6)
    assert schedule.next_tick() is None
    assert schedule.committed("bass", -1) == (Note(0, 40, 6),)


def test_dropping_all_ends_what_sounds_and_remembers_it_as_it_sounded() -> None:
    schedule = NoteSchedule()
    schedule.replace(plan(1, 0, Note(0, 40, 60), Note(5, 41, 6), Note(6, 42, 6)), 0)
    schedule.commit(0)
    events(schedule, 3)
    ended = schedule.drop(4)
    found = [(event.on, event.scheduled.note.pitch, event.scheduled.state) for event in ended]
    assert found == [(False, 40, NoteState.SILENT)]
    assert schedule.sounding == {}
    assert schedule.next_tick() is None
    assert schedule.commit(1) is None
    assert schedule.committed("bass", -1) == (Note(0, 40, 4),)


def test_what_ended_long_ago_is_forgotten_and_what_sounds_is_not() -> None:
    schedule = NoteSchedule()
    for note in (Note(0, 40, 6), Note(6, 41, 600), Note(12, 42, 6)):
        schedule.add("bass", note)
    events(schedule, 100, now=0)
    assert schedule.committed("bass", 50) == (Note(6, 41, 600), Note(12, 42, 6))
    events(schedule, 606)
    assert schedule.committed("bass", 606) == ()
    assert schedule.committed("pad", 0) == ()


@given(st.floats(0, 1), st.integers(-1_000, 1_000))
def test_swing_keeps_the_order_of_ticks_and_the_place_of_eighths(swing: float, tick: int) -> None:
    schedule = NoteSchedule()
    schedule.swing = swing
    assert schedule._swing_tick(tick) <= schedule._swing_tick(tick + 1)
    assert schedule._swing_tick(tick * 12) == tick * 12
    assert 0 <= schedule._swing_tick(tick) - tick <= 2
