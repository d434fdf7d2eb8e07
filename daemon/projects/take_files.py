"""The takes of live performances, as they are listed, shown, renamed and thrown away."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.projects.importing import make_item
from daemon.projects.item import TAKE, Item, parse_name
from daemon.projects.project import MissingError, ProjectError, make_file_name, report_storage_errors
from daemon.projects.project_folder import BIN, move_to_bin
from daemon.takes import storage
from daemon.takes.storage import MIDI_SUFFIX
from daemon.takes.take_log import LOG_SUFFIX
from music import midifile
from music.errors import UserError
from music.midi_text import make_printable

#: the folder of projects in that of the takes
STUDIO = "studio"
#: the most takes that are listed, the newest
MAX_LISTED = 500
#: what is longer is no take that can be shown
_MAX_TAKE_BYTES = 16 << 20
#: how long a log may take to become a MIDI file
_CONVERSION_S = 20.0


def describe_takes(folder: Path | None) -> list[dict[str, Any]]:
    """Return the takes as JSON has them, the newest first. Raises StorageError."""
    found = []
    for path in _list_files(folder):
        try:
            status = path.stat()
        except OSError:  # it is gone by now
            continue
        found.append(
            {
                "name": path.stem,
                "recording": path.suffix == LOG_SUFFIX and storage.is_being_recorded(path),
                "modified": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds"),
                "bytes": status.st_size,
            }
        )
    return sorted(found, key=lambda take: (str(take["modified"]), str(take["name"])), reverse=True)[:MAX_LISTED]


def open_take(folder: Path | None, name: str) -> Item:
    """Return a take as an item. Raises MissingError, ProjectError, MidiFileError."""
    path = _find(folder, name)
    with report_storage_errors():
        if path.stat().st_size > _MAX_TAKE_BYTES:
            raise ProjectError(f"{make_printable(name)}: this take is too long to be shown; a DAW can open its file")
        data = path.read_bytes()
    song = midifile.parse(data, make_printable(path.name))
    return make_item(song, f"take:{path.stem}", TAKE, make_printable(path.stem), needs_melody=False)


def read_take(folder: Path | None, name: str) -> bytes:
    """Return the MIDI file of a take. Raises MissingError, ProjectError, StorageError."""
    with report_storage_errors():
        return _find(folder, name).read_bytes()


def rename_take(folder: Path | None, name: str, wanted: str) -> str:
    """Give a take another name, and return that. Raises MissingError, ProjectError, StorageError."""
    path = _find(folder, name)
    new = make_file_name(f"{parse_name(wanted)}{MIDI_SUFFIX}")
    target = path.with_name(f"take{new}" if new.startswith(".") else new)
    if target == path:
        return path.stem
    if os.path.lexists(target):
        raise ProjectError(f"there is a take {target.stem!r} already; choose another name")
    with report_storage_errors():
        path.rename(target)
    return target.stem


def delete_take(folder: Path | None, name: str) -> None:
    """Move a take to the bin. Raises MissingError, ProjectError, StorageError."""
    path = _find(folder, name)
    with report_storage_errors():
        move_to_bin(path)


def restore_take(folder: Path | None, name: str) -> None:
    """Bring a take back from the bin. Raises MissingError, ProjectError, StorageError."""
    shown = make_printable(name[:80])
    found = [] if folder is None else _list_files(folder / BIN)
    path = next((each for each in found if each.stem == name), None)
    if path is None or folder is None:
        raise MissingError(f"there is no take {shown!r} in the bin")
    target = folder / path.name
    if os.path.lexists(target):
        raise ProjectError(f"there is a take {shown!r} already; rename that one first")
    with report_storage_errors():
        path.rename(target)


def _find(folder: Path | None, name: str) -> Path:
    """Return the MIDI file of a take; a log that nobody writes any more is made one first.

    Raises MissingError, and ProjectError for a take that is being recorded.
    """
    shown = make_printable(name[:80])
    path = next((each for each in _list_files(folder) if each.stem == name), None)
    if path is None or folder is None:
        raise MissingError(f"there is no take {shown!r}")
    if path.suffix != LOG_SUFFIX:
        return path
    if storage.is_being_recorded(path):
        raise ProjectError(f"{shown}: this take is being recorded; stop the band first")
    problems: list[str] = []
    storage.recover(folder, problems, time.monotonic() + _CONVERSION_S)
    made = path.with_suffix(MIDI_SUFFIX)
    if not made.is_file():
        raise ProjectError(problems[0] if problems else f"{shown}: there is no note in this take")
    return made


def _list_files(folder: Path | None) -> list[Path]:
    """Return the files of all takes, a MIDI file before the log of the same name. Raises StorageError."""
    if folder is None:
        return []
    with report_storage_errors():
        found = storage.list_takes(folder)
    made = {path.stem for path in found if path.suffix == MIDI_SUFFIX}
    return [path for path in found if path.suffix == MIDI_SUFFIX or path.stem not in made]


def choose_projects_folder(takes: Path | None) -> Path:
    """Return the folder that projects are kept in: in that of the takes, even where these are not kept.

    Raises UserError where there is none.
    """
    from daemon.system import paths

    folder = takes if takes is not None else paths.find_takes_folder()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is no folder, so no project can be kept there; set HOUSEBAND_TAKES to one")
    return folder / STUDIO
