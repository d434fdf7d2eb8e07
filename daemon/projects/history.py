"""The history of a project: every change of its items, in the order in which they were made, undone and made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.projects.durable_files import LineLog
from daemon.projects.item import tell_time
from music.errors import UserError

#: the longest label of a change
MAX_LABEL_LENGTH = 200
#: the most that a history may hold: at 150 bytes a change, 400 000 of them
MAX_HISTORY_BYTES = 64 << 20

#: item id -> revision; None: there is no such item
Revisions = Mapping[str, str | None]


class HistoryError(UserError):
    """Raised for a step that cannot be made: there is nothing to undo, or no room for more."""


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One change of a project."""

    label: str  #: what was done, for whoever undoes it
    before: Revisions  #: of the items that it changes
    after: Revisions


class History:
    """The revisions of a project's items as they are now, and all that led there. Owned by one thread."""

    def __init__(self, path: Path) -> None:
        """Open the history in a file, or begin one. Raises BusyFileError, OSError."""
        self._log = LineLog(path)
        #: item id -> revision
        self.revisions: dict[str, str] = {}
        #: the highest number that an item has ever had
        self.last_number = 0
        #: lines that made no sense and were left out
        self.bad_lines = 0
        self._done: list[ItemChange] = []
        self._undone: list[ItemChange] = []
        for line in self._log.lines:
            try:
                self._follow(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                self.bad_lines += 1
        self._log.lines.clear()

    @property
    def undo_label(self) -> str | None:
        """The label of what would be undone; None where nothing can be."""
        return self._done[-1].label if self._done else None

    @property
    def redo_label(self) -> str | None:
        """The label of what would be made again; None where nothing can be."""
        return self._undone[-1].label if self._undone else None

    def record(self, label: str, after: Revisions) -> None:
        """Record a change, once what it names is on the disk: revisions by item. Raises HistoryError, OSError."""
        entry = {"label": label[:MAX_LABEL_LENGTH], "items": dict(after), "at": tell_time()}
        self._write(entry)

    def undo(self) -> None:
        """Undo the last change. Raises HistoryError, OSError."""
        if not self._done:
            raise HistoryError("there is nothing to undo")
        self._write({"undo": True, "at": tell_time()})

    def redo(self) -> None:
        """Make the change again that was undone last. Raises HistoryError, OSError."""
        if not self._undone:
            raise HistoryError("there is nothing to redo")
        self._write({"redo": True, "at": tell_time()})

    def close(self) -> None:
        """Let other programs have the history."""
        self._log.close()

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, separators=(",", ":")).encode()
        if self._log.size + len(line) > MAX_HISTORY_BYTES:
            raise HistoryError("the history of this project is full; go on in a new project")
        self._log.append(line)
        self._follow(entry)

    def _follow(self, entry: dict[str, Any]) -> None:
        """Do what a line of the history says."""
        if entry.get("undo"):
            change = self._done.pop()
            self._undone.append(change)
            self._apply(change.before)
        elif entry.get("redo"):
            change = self._undone.pop()
            self._done.append(change)
            self._apply(change.after)
        else:
            after = _check_revisions(entry["items"])
            change = ItemChange(str(entry["label"]), {key: self.revisions.get(key) for key in after}, after)
            self.last_number = max(self.last_number, *(find_number(key) for key in after), 0)
            self._done.append(change)
            self._undone.clear()
            self._apply(after)

    def _apply(self, changes: Revisions) -> None:
        for key, revision in changes.items():
            if revision is None:
                self.revisions.pop(key, None)
            else:
                self.revisions[key] = revision


def find_number(item: str) -> int:
    """Return the number in an item's id. Raises ValueError."""
    if item[:1] not in ("i", "r") or not item[1:].isascii() or not item[1:].isdigit() or len(item) > 10:
        raise ValueError(f"no id of an item: {item[:20]!r}")
    return int(item[1:])


def _check_revisions(given: dict[str, object]) -> Revisions:
    """Return revisions by item, as a line of a history has them. Raises ValueError for what makes no sense."""
    for key, revision in given.items():
        find_number(key)
        is_name = isinstance(revision, str) and len(revision) == 32 and set(revision) <= set("0123456789abcdef")
        if not is_name and revision is not None:
            raise ValueError("no revision of an item")
    return {key: None if revision is None else str(revision) for key, revision in given.items()}
