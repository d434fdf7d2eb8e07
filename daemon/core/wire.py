"""Messages between this program's processes: pickles on a pipe; requests and plans are packed into plain tuples first.

Notes as tuples of integers pickle ten times faster than as objects, and the conductor's interpreter does the pickling.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import IO, Any

from daemon.core.plan import Plan, PlanRequest, Recollection
from music.analysis.part_notes import find_kept
from music.note import Note, NoteNumbers, list_numbers, make_notes

#: the melody among the roles of a request
_MELODY = ""
FlatNotes = tuple[NoteNumbers, ...]


def send(pipe: IO[bytes], message: object) -> None:
    """Write one message, whole, however long that takes. Raises OSError if nobody reads any more."""
    pipe.write(pack(message))
    pipe.flush()


def pack(message: object) -> bytes:
    """Return one message as the bytes that `receive` reads."""
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


def receive(pipe: IO[bytes]) -> Any:
    """Return the next message, from another process of this program. Raises EOFError if there is none to come."""
    try:
        return pickle.load(pipe)  # noqa: S301
    except (pickle.UnpicklingError, OSError, ValueError) as error:  # cut off in the middle, or closed meanwhile
        raise EOFError(str(error)) from None


class RequestPacker:
    """Packs the requests to one process, which is told only of notes that it has not been told of before.

    Of some hundred notes a few are new at every step.
    """

    def __init__(self) -> None:
        self._told: dict[str, tuple[Note, ...]] = {}

    def pack(self, request: PlanRequest) -> object:
        """Return a request as a message for `send`, which must be sent."""
        parts = {role: self._pack_notes(role, notes) for role, notes in request.committed.items()}
        bare = replace(request, melody=(), committed={}, recalled=None)
        return bare, self._pack_notes(_MELODY, request.melody), parts, _pack_recollection(request.recalled)

    def _pack_notes(self, part: str, notes: tuple[Note, ...]) -> tuple[int, int, FlatNotes]:
        """Return where the notes begin among those told before, how many of those they keep, and those after them."""
        first, kept = find_kept(self._told.get(part, ()), notes)
        self._told[part] = notes
        return first, kept, _flatten(notes[kept:])


class RequestUnpacker:
    """Unpacks the requests of one RequestPacker, all of them and in their order."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Note, ...]] = {}

    def unpack(self, message: Any) -> PlanRequest:
        """Return the request that was packed."""
        bare: PlanRequest
        bare, melody, parts, recalled = message
        committed = {role: self._unpack_notes(role, notes) for role, notes in parts.items()}
        told = _unpack_recollection(recalled)
        return replace(bare, melody=self._unpack_notes(_MELODY, melody), committed=committed, recalled=told)

    def _unpack_notes(self, part: str, packed: tuple[int, int, FlatNotes]) -> tuple[Note, ...]:
        first, kept, flat = packed
        notes = self._told.get(part, ())[first : first + kept] + _build_notes(flat)
        self._told[part] = notes
        return notes


def pack_plan(plan: Plan) -> object:
    """Return a plan as a message for `send`."""
    return replace(plan, notes={}, held={}), _flatten_roles(plan.notes), _flatten_roles(plan.held)


def unpack_plan(message: Any) -> Plan:
    """Return the plan that was packed."""
    bare: Plan
    bare, notes, held = message
    return replace(bare, notes=_build_roles(notes), held=_build_roles(held))


def _pack_recollection(recalled: Recollection | None) -> tuple[int, float, dict[str, FlatNotes]] | None:
    return None if recalled is None else (recalled.until, recalled.trust, _flatten_roles(recalled.notes))


def _unpack_recollection(packed: tuple[int, float, dict[str, FlatNotes]] | None) -> Recollection | None:
    return None if packed is None else Recollection(packed[0], packed[1], _build_roles(packed[2]))


def _flatten(notes: Iterable[Note]) -> FlatNotes:
    return tuple(list_numbers(notes))


def _flatten_roles(roles: Mapping[str, Iterable[Note]]) -> dict[str, FlatNotes]:
    return {role: _flatten(notes) for role, notes in roles.items()}


def _build_notes(flat: FlatNotes) -> tuple[Note, ...]:
    return tuple(make_notes(flat))  # they were notes in the other process, and are not checked once more


def _build_roles(roles: Mapping[str, FlatNotes]) -> dict[str, tuple[Note, ...]]:
    return {role: _build_notes(flat) for role, flat in roles.items()}
