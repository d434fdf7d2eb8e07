"""Files that commands write: refused before the work begins, and one sentence where writing fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from music.errors import UserError


def check_writable(path: Path) -> None:
    """Raise UserError for a path that is a folder, or lies in none."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UserError(f"{path}: cannot be written, for its folder does not exist or it is one itself")


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError while a file is written into a UserError that names it."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
