"""Requests travel whole, although only what is new in them is sent."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from daemon.core import wire
from daemon.core.plan import PlanRequest
from music.note import ROLES, Note
from tests.support.note_histories import histories


@given(st.fixed_dictionaries({part: histories() for part in ("melody", *ROLES)}), st.data())
def test_requests_arrive_as_they_were_made_whatever_was_sent_before(
    told: dict[str, list[tuple[Note, ...]]], data: st.DataObject
) -> None:
    packer, unpacker = wire.RequestPacker(), wire.RequestUnpacker()
    for number in range(max(len(lists) for lists in told.values())):
        melody, *band = (lists[min(number, len(lists) - 1)] for lists in told.values())
        committed = {role: notes for role, notes in zip(ROLES, band, strict=True) if data.draw(st.booleans())}
        request = PlanRequest(number, 4, 21, melody, committed)
        assert unpacker.unpack(pickle.loads(wire.pack(packer.pack(request)))) == request


def test_notes_that_were_told_before_are_not_sent_again_and_stay_the_same_objects() -> None:
    notes = tuple(Note(6 * i, 60, 6) for i in range(300))
    packer, unpacker = wire.RequestPacker(), wire.RequestUnpacker()
    first = unpacker.unpack(packer.pack(PlanRequest(1, 4, 21, notes[:-1], {"bass": notes[:-1]})))
    message = packer.pack(PlanRequest(2, 5, 27, notes[9:], {"bass": notes[9:]}))
    assert len(wire.pack(message)) < len(wire.pack(notes[:40]))
    second = unpacker.unpack(message)
    assert all(one is other for one, other in zip(first.melody[9:], second.melody, strict=False))
