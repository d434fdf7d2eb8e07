"""Reading text and TOML files that a user may have written, with errors that say in one sentence what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

from music.errors import UserError


class TextFileError(UserError):
    """Raised for a file that cannot be read; the message is one sentence that names the file."""


class MissingFileError(TextFileError):
    """Raised for a file that does not exist."""


def read_text(path: Path) -> str:
    """Return the contents of a UTF-8 text file.

    Raises MissingFileError where there is no file, TextFileError where it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TextFileError(f"{path}: cannot be read as text: {reason}") from None


def read_toml(path: Path) -> dict[str, object]:
    """Return the top-level table of a TOML file.

    Raises MissingFileError where there is no file, TextFileError where it cannot be read or is not TOML.
    """
    text = read_text(path)
    import tomllib  # most users have no such file

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: TOMLDecodeError, or an integer of too many digits
        raise TextFileError(f"{path}: not TOML: {error}") from None


def format_toml(value: str | float | bool) -> str:
    """Return a text, number or switch as it is written in TOML."""
    # JSON's texts are TOML's, but for DEL, which TOML wants escaped
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
