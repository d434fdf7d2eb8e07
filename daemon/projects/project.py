"""A project: items, what was done to them, and what was uploaded for them, in a folder that survives whatever happens.

`items/REVISION.json` holds each revision of an item and never changes; `history.jsonl` says which are there now;
`uploads/` has charts; `project.json` the name. What a method here has done is on the disk when it returns.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon.projects.durable_files import write_durably
from daemon.projects.history import History, find_number
from daemon.projects.item import Item, ItemError, parse_item, parse_name
from music.errors import UserError
from music.midi_text import make_printable

#: the most that a project holds
MAX_ITEMS = 500
MAX_PROJECT_BYTES = 1 << 30
_MAX_ITEM_BYTES = 8 << 20
_MAX_UPLOADS = 1000
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ProjectError(UserError):
    """Raised for what cannot be done in a project."""


class MissingError(ProjectError):
    """Raised for a project, an item or a take that there is not."""


class StorageError(ProjectError):
    """Raised where something cannot be saved: the disk is full, for instance. All that was saved before is there."""


class Project:
    """An open project. Owned by one thread; no other program can open it meanwhile."""

    def __init__(self, folder: Path) -> None:
        """Open the project in a folder, or begin one there. Raises StorageError, BusyFileError."""
        self.folder = folder
        with report_storage_errors():
            for each in (folder, folder / "items", folder / "uploads"):
                each.mkdir(parents=True, exist_ok=True)
            self._history = History(folder / "history.jsonl")
            self._bytes = _count_bytes(folder)
        self.name = read_project_name(folder)
        #: sentences about what could not be read
        self.problems: list[str] = []
        if self._history.bad_lines:
            self.problems.append(f"the history of this project has lines that make no sense: {self._history.bad_lines}")
        self._items: dict[str, Item] = {}  # revision -> item, of those that are there now
        self._load()

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    def list_items(self) -> list[Item]:
        """Return the items, in the order in which they came."""
        revisions = self._history.revisions
        found = (self._items.get(revisions[key]) for key in sorted(revisions, key=find_number))
        return [item for item in found if item is not None]

    def get(self, key: str) -> Item:
        """Return an item by its id. Raises MissingError."""
        item = self._items.get(self._history.revisions.get(key, ""))
        if item is None:
            raise MissingError(
                f"there is no item {make_printable(key[:20])!r} in this project; it may have been undone"
            )
        return item

    def choose_id(self, kind: str) -> str:
        """Return the id of the next item of a kind."""
        return f"{kind[0]}{self._history.last_number + 1}"

    def describe(self) -> dict[str, Any]:
        """Return the project as JSON has it."""
        return {
            "id": self.id,
            "name": self.name,
            "undo": self._history.undo_label,
            "redo": self._history.redo_label,
            "items": [item.summarise() for item in self.list_items()],
            "problems": self.problems,
        }

    def put(self, label: str, *items: Item) -> None:
        """Add items, or put them in the place of those with the same ids. Raises ProjectError, StorageError."""
        items = tuple(parse_item(item.as_json()) for item in items)  # what is saved can be read again
        present = self._history.revisions
        if len(present.keys() | {item.id for item in items}) > MAX_ITEMS:
            raise ProjectError(f"a project holds at most {MAX_ITEMS} items; delete some, or begin a new project")
        if all(present.get(item.id) == item.revision for item in items):
            return
        with report_storage_errors():
            for item in items:
                self._save(item)
            self._history.record(label, {item.id: item.revision for item in items})
        self._load()

    def delete(self, label: str, *keys: str) -> None:
        """Delete items; `undo` brings them back. Raises MissingError, StorageError."""
        for key in keys:
            self.get(key)
        with report_storage_errors():
            self._history.record(label, dict.fromkeys(keys))
        self._load()

    def undo(self) -> None:
        """Undo the last change. Raises HistoryError, StorageError."""
        with report_storage_errors():
            self._history.undo()
        self._load()

    def redo(self) -> None:
        """Make the change again that was undone last. Raises HistoryError, StorageError."""
        with report_storage_errors():
            self._history.redo()
        self._load()

    def keep_upload(self, name: str, data: bytes) -> Path:
        """Keep a file that was uploaded, and return its path. Raises ProjectError, StorageError."""
        folder = self.folder / "uploads"
        with report_storage_errors():
            count = sum(1 for _ in folder.iterdir())
            if count >= _MAX_UPLOADS:
                raise ProjectError(f"a project holds at most {_MAX_UPLOADS} charts; begin a new project")
            self._reserve(len(data))
            path = folder / f"{count + 1:03d}-{make_file_name(name)}"
            write_durably(path, data)
        return path

    def rename(self, name: str) -> None:
        """Give the project another name. Raises StorageError."""
        with report_storage_errors():
            write_durably(self.folder / "project.json", json.dumps({"name": name}).encode())
        self.name = name

    def close(self) -> None:
        """Let other programs open the project."""
        self._history.close()

    def _save(self, item: Item) -> None:
        path = self.folder / "items" / f"{item.revision}.json"
        data = json.dumps(item.as_json(), separators=(",", ":")).encode()
        if len(data) > _MAX_ITEM_BYTES:
            raise ProjectError(f"{item.name}: that is more than an item can hold; take fewer bars")
        if not path.exists():
            self._reserve(len(data))
            write_durably(path, data)
        self._items[item.revision] = item

    def _reserve(self, size: int) -> None:
        if self._bytes + size > MAX_PROJECT_BYTES:
            raise ProjectError("this project is as large as one may be (1 GiB); go on in a new project")
        self._bytes += size

    def _load(self) -> None:
        """Read the items that are there now and were not yet, and forget those that are not any more."""
        revisions = self._history.revisions
        self._items = {revision: self._items[revision] for revision in revisions.values() if revision in self._items}
        for key, revision in revisions.items():
            if revision not in self._items:
                try:
                    self._items[revision] = self._read(key, revision)
                except (OSError, ValueError, RecursionError, UserError):
                    sentence = f"the item {key} cannot be read, and is left out"
                    self.problems = list(dict.fromkeys((*self.problems, sentence)))

    def _read(self, key: str, revision: str) -> Item:
        with (self.folder / "items" / f"{revision}.json").open("rb") as file:
            item = parse_item(json.loads(file.read(_MAX_ITEM_BYTES + 1)))
        if item.id != key or item.revision != revision:
            raise ItemError("its file has been changed")
        return item


def make_file_name(name: str) -> str:
    """Return a name of a file that is harmless on any system, as much as possible like a given one."""
    plain = "".join(c if c.isalnum() or c in " ._-" else "_" for c in make_printable(name))
    stem, dot, suffix = plain.strip(" .").rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    stem = stem.encode()[:100].decode(errors="ignore").strip(" .") or "file"
    return f"{stem}.{suffix[:10]}" if suffix else stem


def read_project_name(folder: Path) -> str:
    """Return the name of the project in a folder."""
    try:
        with (folder / "project.json").open("rb") as file:
            return parse_name(json.loads(file.read(1 << 16))["name"])
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return make_printable(folder.name)


@contextlib.contextmanager
def report_storage_errors() -> Iterator[None]:
    """Turn an OSError into the StorageError that tells which file of a project cannot be read or written."""
    try:
        yield
    except OSError as error:
        raise _make_storage_error(error) from None


def _make_storage_error(error: OSError) -> StorageError:
    if error.errno in _FULL:
        return StorageError("there is no room left on the disk, so this was not saved; all before is; make room there")
    where = f"{make_printable(str(error.filename))}: " if error.filename else ""
    return StorageError(f"{where}the project cannot be saved: {error.strerror or error}")


def _count_bytes(folder: Path) -> int:
    """Return how much the files of a project take but for its history. Raises OSError."""
    total = 0
    for each in (folder / "items", folder / "uploads"):
        with os.scandir(each) as entries:
            total += sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    return total
