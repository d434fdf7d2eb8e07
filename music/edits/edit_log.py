"""Logs of edits: as lines of JSON (EDITS.jsonl), applied again, and without what was done for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from music.edits.draft import Draft, EditError
from music.edits.edit import ADD, REMOVE, Edit


def format_edit(edit: Edit, draft: Draft) -> str:
    """Return the line of EDITS.jsonl for an edit of a draft.

    `bar` counts from 1, `step` within the bar from 0, `start` is steps from bar 1.
    """
    bar, step = draft.locate(edit.step)
    return json.dumps(
        {
            "iteration": edit.iteration,
            "action": edit.action,
            "bar": bar,
            "step": step,
            "pitch": edit.pitch,
            "length": edit.length,
            "log_probability": round(edit.log_probability, 4),
            "velocity": edit.velocity,
            "start": edit.step,
        }
    )


def parse_edit(line: str) -> Edit:
    """Return the edit in a line of EDITS.jsonl. Raises EditError."""
    try:
        found: dict[str, Any] = json.loads(line)
        action = found["action"]
        if action not in (ADD, REMOVE):
            raise EditError(f"no such action: {action!r}")
        step, pitch, length, velocity = (int(found[key]) for key in ("start", "pitch", "length", "velocity"))
        return Edit(int(found["iteration"]), action, step, pitch, length, velocity, float(found["log_probability"]))
    except (ValueError, KeyError, TypeError):
        raise EditError(f"not a line of edits: {line.strip()[:80]!r}") from None


def replay(draft: Draft, edits: Iterable[Edit]) -> None:
    """Apply edits in order. Raises EditError at the first that does not fit."""
    for edit in edits:
        draft.apply(edit)


def drop_cancelled(log: Iterable[Edit]) -> list[Edit]:
    """Return a log without the notes that were added and removed again: it gives the same notes."""
    kept: list[Edit | None] = []
    added: dict[tuple[int, int], int] = {}
    for edit in log:
        cell = edit.step, edit.pitch
        if edit.action == ADD:
            added[cell] = len(kept)
            kept.append(edit)
        elif cell in added:
            kept[added.pop(cell)] = None
        else:
            kept.append(edit)
    return [edit for edit in kept if edit is not None]
