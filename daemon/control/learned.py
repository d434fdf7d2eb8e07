"""Gestures that were learned while playing, kept in a file beside the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daemon.control import gestures
from daemon.control.gestures import GestureError
from daemon.core.schema import SettingError
from daemon.system.text_files import MissingFileError, TextFileError, format_toml, read_toml
from music.errors import UserError
from music.files import write_atomically

#: the file's only table
_TABLE = "gestures"


class LearnedGesturesError(UserError):
    """Raised for a file of learned gestures that cannot be used; the message is one sentence that names the file."""


def read_learned(file: Path) -> dict[str, str]:
    """Return the learned gestures in a file, as gesture -> target; none where there is no file.

    Raises LearnedGesturesError.
    """
    try:
        found = read_toml(file)
    except MissingFileError:
        return {}
    except TextFileError as error:
        raise LearnedGesturesError(str(error)) from None
    table = found.get(_TABLE, {})
    if set(found) - {_TABLE} or not isinstance(table, dict):
        raise LearnedGesturesError(f"{file}: takes one table, [{_TABLE}], as `houseband learn` writes it")
    for gesture, target in table.items():
        try:
            gestures.check_binding(gesture, target)
        except (GestureError, SettingError) as error:
            raise LearnedGesturesError(f"{file}: {_TABLE}.'{gesture}': {error}") from None
    return dict(table)


def change_learned(learned: Mapping[str, str], gesture: str, target: str) -> dict[str, str]:
    """Return learned gestures (gesture -> target) with one more, which takes its target from another that had it.

    Where the target is empty, the gesture is forgotten.
    """
    others = {text: known for text, known in learned.items() if text != gesture and known != target}
    return {**others, gesture: target} if target else others


def write_learned(file: Path, learned: Mapping[str, str]) -> None:
    """Write learned gestures (gesture -> target) to a file, which is replaced as a whole. Raises OSError."""
    lines = [
        "# Gestures that `houseband learn` has learnt. It writes this file: put your own into the configuration.",
        f"[{_TABLE}]",
        *(f"{format_toml(gesture)} = {format_toml(target)}" for gesture, target in learned.items()),
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, "\n".join(lines) + "\n")
