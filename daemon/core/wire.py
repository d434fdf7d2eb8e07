"""Requests and plans as plain tuples in one pickle: what travels between the conductor's process and the worker's.

Notes as tuples of integers pickle ten times faster than as objects, and the conductor's interpreter does the pickling.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import IO, Any

from daemon.core.plan import Plan, PlanRequest
from music.note import Note

Flat = tuple[tuple[int, int, int, int], ...]


def send(pipe: IO[bytes], message: object) -> None:
    """Write one message, whole. Raises OSError when nobody reads any more."""
    pipe.write(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """The next message; it comes from this program's own other half. Raises EOFError when there is none to come."""
    try:
        return pickle.load(pipe)  # noqa: S301
    except (pickle.UnpicklingError, OSError, ValueError) as error:  # cut off in the middle, or closed meanwhile
        raise EOFError(str(error)) from None


def pack_request(request: PlanRequest) -> object:
    """A request for `send`."""
    return replace(request, melody=(), committed={}), _flat(request.melody), _flat_roles(request.committed)


def unpack_request(message: Any) -> PlanRequest:
    """The request that was packed."""
    bare: PlanRequest
    bare, melody, committed = message
    return replace(bare, melody=_notes(melody), committed=_note_roles(committed))


def pack_plan(plan: Plan) -> object:
    """A plan for `send`."""
    return replace(plan, notes={}, held={}), _flat_roles(plan.notes), _flat_roles(plan.held)


def unpack_plan(message: Any) -> Plan:
    """The plan that was packed."""
    bare: Plan
    bare, notes, held = message
    return replace(bare, notes=_note_roles(notes), held=_note_roles(held))


def _flat(notes: Iterable[Note]) -> Flat:
    return tuple((n.start, n.pitch, n.length, n.velocity) for n in notes)


def _flat_roles(roles: Mapping[str, Iterable[Note]]) -> dict[str, Flat]:
    return {role: _flat(notes) for role, notes in roles.items()}


def _notes(flat: Flat) -> tuple[Note, ...]:
    return tuple(Note(*numbers) for numbers in flat)


def _note_roles(roles: Mapping[str, Flat]) -> dict[str, tuple[Note, ...]]:
    return {role: _notes(flat) for role, flat in roles.items()}
