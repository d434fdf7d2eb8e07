from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.plan import Plan
from daemon.engine.schedule import CLICK, NoteSchedule, State
from music.note import Note


def plan(number: int, first: int, *notes: Note, role: str = "bass", held: tuple[Note, ...] = ()) -> Plan:
    return Plan(number, first, first + 8, None, {role: notes}, {role: held} if held else {})


def cues(agenda: NoteSchedule, tick: int, now: int | None = None) -> list[tuple[int, bool, int]]:
    taken = agenda.take(tick, tick if now is None else now)
    return [(cue.due, cue.on, cue.entry.note.pitch) for cue in taken]


def test_a_step_is_committed_once_from_the_newest_plan() -> None:
    agenda = NoteSchedule()
    assert agenda.commit(0) is None
    agenda.replace(plan(1, 0, Note(0, 40, 6), Note(6, 41, 6)), 0)
    assert agenda.commit(0) == 1
    agenda.replace(plan(2, 0, Note(0, 50, 6), Note(6, 51, 6)), 0)
    assert agenda.commit(0) is None
    assert agenda.commit(1) == 2
    assert agenda.commit(2) == 2
    assert agenda.commit(8) is None
    assert cues(agenda, 99, now=0) == [(0, True, 40), (6, False, 40), (6, True, 51), (12, False, 51)]


def test_an_older_plan_changes_nothing() -> None:
    agenda = NoteSchedule()
    agenda.replace(plan(2, 0, Note(0, 50, 6)), 0)
    agenda.replace(plan(1, 0, Note(0, 40, 6)), 0)
    assert agenda.commit(0) == 2


def test_at_one_tick_ends_come_before_onsets() -> None:
    agenda = NoteSchedule()
    agenda.add("bass", Note(0, 41, 6))
    agenda.add("chords", Note(6, 40, 6))
    assert cues(agenda, 6, now=0) == [(0, True, 41), (6, False, 41), (6, True, 40)]


def test_a_role_without_a_channel_and_a_second_note_of_one_onset_are_ignored() -> None:
    agenda = NoteSchedule()
    agenda.add("kazoo", Note(0, 40, 6))
    agenda.add("bass", Note(0, 40, 6))
    agenda.add("bass", Note(0, 40, 12))
    assert cues(agenda, 20, now=0) == [(0, True, 40), (6, False, 40)]


def test_the_click_shares_the_drums_channel_and_neither_ends_the_other() -> None:
    agenda = NoteSchedule()
    agenda.add(CLICK, Note(0, 76, 12))
    agenda.add("drums", Note(6, 76, 12))
    assert cues(agenda, 30, now=0) == [(0, True, 76), (6, False, 76), (6, True, 76), (18, False, 76)]


def test_ends_are_never_too_late_but_onsets_are() -> None:
    agenda = NoteSchedule()
    agenda.add("bass", Note(0, 40, 6))
    agenda.add("bass", Note(1, 41, 6))
    assert cues(agenda, 4, now=4) == [(1, True, 41)]
    assert agenda.dropped == 1
    assert agenda.committed("bass", -1) == (Note(1, 41, 6),)
    assert cues(agenda, 1_000, now=1_000) == [(7, False, 41)]


def test_muted_notes_stay_silent_and_are_remembered() -> None:
    agenda = NoteSchedule()
    agenda.add("bass", Note(0, 40, 6))
    assert list(agenda.take(0, 0, {"bass"})) == []
    assert agenda.next_tick() is None
    assert agenda.committed("bass", -1) == (Note(0, 40, 6),)


def test_the_end_of_a_silent_note_can_be_moved_while_it_lasts() -> None:
    agenda = NoteSchedule()
    agenda.add("bass", Note(0, 40, 6))
    list(agenda.take(0, 0, {"bass"}))
    agenda.replace(plan(1, 1, held=(Note(0, 40, 12),)), 3)
    assert agenda.committed("bass", -1) == (Note(0, 40, 12),)
    agenda.replace(plan(2, 3, held=(Note(0, 40, 30),)), 15)
    assert agenda.committed("bass", -1) == (Note(0, 40, 12),)


def test_a_note_that_has_ended_stays_ended() -> None:
    agenda = NoteSchedule()
    agenda.add("bass", Note(0, 40, 6))
    cues(agenda, 6, now=0)
    agenda.replace(plan(1, 1, held=(Note(0, 40, 30),)), 6)
    assert agenda.next_tick() is None
    assert agenda.committed("bass", -1) == (Note(0, 40, 6),)


def test_dropping_all_ends_what_sounds_and_remembers_it_as_it_sounded() -> None:
    agenda = NoteSchedule()
    agenda.replace(plan(1, 0, Note(0, 40, 60), Note(5, 41, 6), Note(6, 42, 6)), 0)
    agenda.commit(0)
    cues(agenda, 3)
    ended = agenda.drop(4)
    assert [(cue.on, cue.entry.note.pitch, cue.entry.state) for cue in ended] == [(False, 40, State.SILENT)]
    assert agenda.sounding == {}
    assert agenda.next_tick() is None
    assert agenda.commit(1) is None
    assert agenda.committed("bass", -1) == (Note(0, 40, 4),)


def test_what_ended_long_ago_is_forgotten_and_what_sounds_is_not() -> None:
    agenda = NoteSchedule()
    for note in (Note(0, 40, 6), Note(6, 41, 600), Note(12, 42, 6)):
        agenda.add("bass", note)
    cues(agenda, 100, now=0)
    assert agenda.committed("bass", 50) == (Note(6, 41, 600), Note(12, 42, 6))
    cues(agenda, 606)
    assert agenda.committed("bass", 606) == ()
    assert agenda.committed("pad", 0) == ()


@given(st.floats(0, 1), st.integers(-1_000, 1_000))
def test_swing_keeps_the_order_of_ticks_and_the_place_of_eighths(swing: float, tick: int) -> None:
    agenda = NoteSchedule()
    agenda.swing = swing
    assert agenda._swung(tick) <= agenda._swung(tick + 1)
    assert agenda._swung(tick * 12) == tick * 12
    assert 0 <= agenda._swung(tick) - tick <= 2
