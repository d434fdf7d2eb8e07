"""One sentence where writing a file fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from music.errors import UserError


@contextlib.contextmanager
def report_write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError while a file is written into a UserError that names it."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
