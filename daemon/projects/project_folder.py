"""The folder of projects: which there are, which one is open, and the bin that deleted ones go to."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from daemon.projects.durable_files import BusyFileError, sync_folder, write_durably
from daemon.projects.item import parse_name
from daemon.projects.project import (
    MissingError,
    Project,
    ProjectError,
    read_project_name,
    report_storage_errors,
)
from music.midi_text import make_printable

BIN = "bin"
_CURRENT = "current"
_ID_FORMAT = "%Y-%m-%d_%H-%M-%S"
UNTITLED = "Untitled"
_MAX_PROJECTS = 1000


class ProjectFolder:
    """The projects in a folder, one of which is open. Owned by one thread."""

    def __init__(self, folder: Path) -> None:
        """Open the project that was open last, or a new one. Raises StorageError."""
        self.folder = folder
        with report_storage_errors():
            folder.mkdir(parents=True, exist_ok=True)
        #: the project that is open
        self.project = self._open_first()

    def list_projects(self) -> list[dict[str, Any]]:
        """Return the projects as JSON has them, the newest first."""
        return [
            {"id": path.name, "name": read_project_name(path), "current": path.name == self.project.id}
            for path in self._list_paths()
        ]

    def create(self, name: str) -> None:
        """Begin a project and open it. Raises ProjectError, StorageError."""
        if len(self._list_paths()) >= _MAX_PROJECTS:
            raise ProjectError(f"there are {_MAX_PROJECTS} projects, and that is the most; delete some")
        self._use(self._begin(name))

    def open(self, key: str) -> None:
        """Open another project. Raises MissingError, StorageError, BusyFileError."""
        path = self._find(key)
        if path.name != self.project.id:
            self._use(Project(path))

    def delete(self, key: str) -> None:
        """Move a project to the bin, and open another where it was open. Raises MissingError, StorageError."""
        path = self._find(key)
        is_open = path.name == self.project.id
        if not is_open:
            Project(path).close()  # refused while another program has it
        else:
            self.project.close()
        try:
            with report_storage_errors():
                move_to_bin(path)
        finally:
            if is_open:
                self.project = self._open_first()

    def close(self) -> None:
        """Let other programs open the project."""
        self.project.close()

    def _use(self, project: Project) -> None:
        self.project.close()
        self.project = project
        self._note_current()

    def _note_current(self) -> None:
        with contextlib.suppress(OSError):  # then the newest is opened the next time
            write_durably(self.folder / _CURRENT, self.project.id.encode())

    def _open_first(self) -> Project:
        """Return the project that was open last, else the newest that can be opened, else a new one."""
        last = ""
        with contextlib.suppress(OSError, ValueError):
            last = (self.folder / _CURRENT).read_text(encoding="utf-8").strip()
        paths = self._list_paths()
        for path in sorted(paths, key=lambda each: each.name != last)[:10]:
            with contextlib.suppress(BusyFileError, ProjectError):
                return Project(path)
        return self._begin(UNTITLED)

    def _begin(self, name: str) -> Project:
        first = datetime.now().astimezone().strftime(_ID_FORMAT)
        names = (first if number == 1 else f"{first}-{number}" for number in count(1))
        path = next(self.folder / each for each in names if not os.path.lexists(self.folder / each))
        project = Project(path)
        project.rename(parse_name(name))
        with report_storage_errors():
            sync_folder(self.folder)
        return project

    def _list_paths(self) -> list[Path]:
        """Return the folders of projects, the newest first."""
        with report_storage_errors(), os.scandir(self.folder) as entries:
            names = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
        found = [self.folder / name for name in names if name != BIN and not name.startswith(".")]
        return sorted((path for path in found if (path / "items").is_dir()), key=lambda path: path.name, reverse=True)

    def _find(self, key: str) -> Path:
        found = next((path for path in self._list_paths() if path.name == key), None)
        if found is None:
            raise MissingError(f"there is no project {make_printable(key[:40])!r}")
        return found


def move_to_bin(path: Path) -> Path:
    """Move a file or a folder into the bin beside it, and return where it is now. Raises OSError."""
    folder = path.parent / BIN
    folder.mkdir(exist_ok=True)
    names = (f"{path.stem}{f'-{number}' if number > 1 else ''}{path.suffix}" for number in count(1))
    target = next(folder / name for name in names if not os.path.lexists(folder / name))
    path.rename(target)
    return target
