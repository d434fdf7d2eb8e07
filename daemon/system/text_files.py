"""Reading text and TOML files that a user may have written, with errors that say in one sentence what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

from music.errors import UserError

#: a text file may have so many, and one of TOML so many, which is read slowly
MAX_CHARACTERS, MAX_TOML_CHARACTERS = 1 << 24, 1 << 18
#: a line of TOML may have so many: the library needs memory by the square of the parts of a dotted key
MAX_DOTS = 64


class TextFileError(UserError):
    """Raised for a file that cannot be read; the message is one sentence that names the file."""


class MissingFileError(TextFileError):
    """Raised for a file that does not exist."""


def read_text(path: Path, most: int = MAX_CHARACTERS) -> str:
    """Return the contents of a UTF-8 text file.

    Raises MissingFileError where there is no file, TextFileError where it cannot be read, is not UTF-8, or has
    more than `most` characters.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(most + 1)
        if len(text) > most:
            raise TextFileError(f"{path}: has more than {most} characters; divide it, or name another file")
        return text
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TextFileError(f"{path}: cannot be read as text: {reason}") from None


def read_toml(path: Path) -> dict[str, object]:
    """Return the top-level table of a TOML file.

    Raises MissingFileError where there is no file, TextFileError where it cannot be read or is not TOML.
    """
    text = read_text(path, MAX_TOML_CHARACTERS)
    if any(line.partition("#")[0].count(".") > MAX_DOTS for line in text.splitlines()):
        raise TextFileError(f"{path}: not TOML of ours: a line with more than {MAX_DOTS} dots")
    import tomllib  # most users have no such file

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: TOMLDecodeError, or an integer of too many digits
        raise TextFileError(f"{path}: not TOML: {error}") from None


def format_toml(value: str | float | bool) -> str:
    """Return a text, number or switch as it is written in TOML."""
    # JSON's texts are TOML's, but for DEL, which TOML wants escaped
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
