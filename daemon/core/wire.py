"""Messages between this program's processes: pickles on a pipe; requests and plans are packed into plain tuples first.

Notes as tuples of integers pickle ten times faster than as objects, and the conductor's interpreter does the pickling.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import IO, Any

from daemon.core.plan import Plan, PlanRequest
from music.note import Note

#: notes as (start, pitch, length, velocity)
FlatNotes = tuple[tuple[int, int, int, int], ...]


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


def pack_request(request: PlanRequest) -> object:
    """Return a request as a message for `send`."""
    return replace(request, melody=(), committed={}), _flatten(request.melody), _flatten_roles(request.committed)


def unpack_request(message: Any) -> PlanRequest:
    """Return the request that was packed."""
    bare: PlanRequest
    bare, melody, committed = message
    return replace(bare, melody=_build_notes(melody), committed=_build_roles(committed))


def pack_plan(plan: Plan) -> object:
    """Return a plan as a message for `send`."""
    return replace(plan, notes={}, held={}), _flatten_roles(plan.notes), _flatten_roles(plan.held)


def unpack_plan(message: Any) -> Plan:
    """Return the plan that was packed."""
    bare: Plan
    bare, notes, held = message
    return replace(bare, notes=_build_roles(notes), held=_build_roles(held))


def _flatten(notes: Iterable[Note]) -> FlatNotes:
    return tuple((n.start, n.pitch, n.length, n.velocity) for n in notes)


def _flatten_roles(roles: Mapping[str, Iterable[Note]]) -> dict[str, FlatNotes]:
    return {role: _flatten(notes) for role, notes in roles.items()}


def _build_notes(flat: FlatNotes) -> tuple[Note, ...]:
    return tuple(Note(*numbers) for numbers in flat)


def _build_roles(roles: Mapping[str, FlatNotes]) -> dict[str, tuple[Note, ...]]:
    return {role: _build_notes(flat) for role, flat in roles.items()}
