"""What has changed in the notes of a part, and which of them are recent, is told rightly whatever was told before."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from music.analysis.part_notes import NEVER_TICK, RECENT_TICKS, PartNotes
from music.note import Note
from tests.support.note_histories import histories


@given(histories(), st.data())
def test_removed_and_added_lead_from_one_list_to_the_next(history: list[tuple[Note, ...]], data: st.DataObject) -> None:
    part, tick, before = PartNotes(), 0, Counter[Note]()
    for told in history:
        tick = data.draw(st.one_of(st.integers(tick, tick + 60), st.integers(-200, 2700)))
        part.update(told, tick)
        before.subtract(part.removed)
        assert min(before.values(), default=0) >= 0
        before.update(part.added)
        assert +before == Counter(told)
        assert part.earliest == min((note.start for note in told), default=NEVER_TICK)
        assert Counter(part.recent) == Counter(note for note in told if note.end > tick - RECENT_TICKS)


def test_only_the_newest_note_is_new() -> None:
    played = [Note(6 * i, 60, 6) for i in range(200)]
    part = PartNotes()
    part.update(played[:150], 900)
    held = [*played[:146], Note(6 * 146, 60, 9), *played[147:151]]
    part.update(held[10:], 906)
    assert part.removed == (*played[:10], played[146])
    assert part.added == (held[146], played[150])
