"""The types of values that settings take: how a value is read, what it is limited to, and how that is said in words.

Every type bounds its values by what they mean, so that no value, wherever it comes from, makes unbounded work.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from music.analysis.key import KEYS, read_key
from music.charts.metres import format_metres, read_metres
from music.edits.edit import parse_ranges
from music.errors import UserError

#: characters of a text: more than any name of a port, a style or a preset has
MAX_TEXT_LENGTH = 1000
#: bytes of a file's name, as Linux has it
MAX_PATH_BYTES = 4095
#: turns a switch over, where it can be changed live
TOGGLE: Final = "toggle"

_SWITCH = {"true": True, "on": True, "1": True, "yes": True, "false": False, "off": False, "0": False, "no": False}


class InvalidValueError(UserError):
    """Raised for what is no value of a type; the message says why, or is empty where the type's range does."""


class ValueType:
    """A type of values."""

    @property
    def range(self) -> str:
        """The values it takes, in words."""
        raise NotImplementedError

    def parse(self, value: object) -> object:
        """Return a value in its own type, from what TOML, JSON or a command line gave. Raises InvalidValueError."""
        raise NotImplementedError

    def to_toml(self, value: object) -> str | float | bool:
        """Return a value as a configuration file has it."""
        return value if isinstance(value, (bool, int, float)) else "" if value is None else str(value)

    @property
    def suggestions(self) -> tuple[str, ...]:
        """Values that a shell can complete."""
        return ()


class Number(ValueType):
    """A number between two bounds, both included."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    @property
    def range(self) -> str:
        """The values it takes, in words."""
        return f"a number from {self.low:g} to {self.high:g}"

    def parse(self, value: object) -> float:
        """Return the number."""
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise InvalidValueError
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise InvalidValueError from None
        if not (math.isfinite(number) and self.low <= number <= self.high):
            raise InvalidValueError
        return number


class Integer(ValueType):
    """A whole number between two bounds, both included, or any of 64 bits where there are none."""

    def __init__(self, low: int | None = None, high: int | None = None) -> None:
        self.low = low
        self.high = high

    @property
    def range(self) -> str:
        """The values it takes, in words."""
        return "a whole number" if self.high is None else f"a whole number from {self.low} to {self.high}"

    def parse(self, value: object) -> int:
        """Return the number."""
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise InvalidValueError
        try:
            number = int(value)
        except ValueError:
            raise InvalidValueError from None
        low, high = (1 - (1 << 63) if self.low is None else self.low), (1 << 63) - 1 if self.high is None else self.high
        if not low <= number <= high:
            raise InvalidValueError
        return number


class RepeatCount(Integer):
    """The number of times that an option is given, such as -v."""


class Switch(ValueType):
    """On or off. A live one also takes TOGGLE."""

    range = "true or false"

    def __init__(self, *, live: bool = False) -> None:
        self.live = live

    def parse(self, value: object) -> bool | str:
        """Return whether it is on, or TOGGLE."""
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower() if isinstance(value, (str, int, float)) else ""
        if self.live and text == TOGGLE:
            return TOGGLE
        if text not in _SWITCH:
            raise InvalidValueError
        return _SWITCH[text]

    @property
    def suggestions(self) -> tuple[str, ...]:
        """Values that a shell can complete."""
        return ("true", "false", TOGGLE) if self.live else ("true", "false")


class Choice(ValueType):
    """One of some words."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices

    @property
    def range(self) -> str:
        """The values it takes, in words."""
        return f"one of {', '.join(self.choices)}"

    def parse(self, value: object) -> str:
        """Return the word."""
        if not isinstance(value, str) or value not in self.choices:
            raise InvalidValueError
        return value

    @property
    def suggestions(self) -> tuple[str, ...]:
        """Values that a shell can complete."""
        return self.choices


class KeyName(Choice):
    """A key such as D minor, or AUTO for none in particular."""

    AUTO: Final = "auto"
    range = "auto, or a key such as D minor, Bb or F#m"

    def __init__(self) -> None:
        super().__init__((self.AUTO, *(key.name for key in KEYS)))

    def parse(self, value: object) -> str:
        """Return the key's name in full."""
        if value == self.AUTO:
            return self.AUTO
        try:
            return read_key(Text().parse(value)).name
        except ValueError:
            raise InvalidValueError from None


class Text(ValueType):
    """A line of text."""

    range = "a text"

    def parse(self, value: object) -> str:
        """Return the text."""
        if not isinstance(value, str) or not is_line(value):
            raise InvalidValueError
        return value


class KnownName(ValueType):
    """One of some names that are known only while the program runs, such as the styles of a player."""

    def __init__(self, domain: str, words: str, check: Callable[[str, Collection[str]], None]) -> None:
        """Name something of a domain: style, technique or preset.

        words: its range in words; check: raises UserError for a name that is not among those that there are.
        """
        self.domain = domain
        self._words = words
        self.check = check

    @property
    def range(self) -> str:
        """The values it takes, in words."""
        return self._words

    def parse(self, value: object) -> str:
        """Return the name."""
        return Text().parse(value)


class Ranges(ValueType):
    """Whole numbers and ranges of them, such as 1-4,7, or none at all."""

    range = "numbers and ranges such as 1-4,7, or nothing"

    def __init__(self, high: int) -> None:
        self.high = high

    def parse(self, value: object) -> str:
        """Return them as text, which `music.edits.edit.parse_ranges` reads."""
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or len(text) > MAX_TEXT_LENGTH:
            raise InvalidValueError
        try:
            numbers = parse_ranges(text)
        except ValueError:
            raise InvalidValueError from None
        if numbers and max(numbers) > self.high:
            raise InvalidValueError(f"takes numbers and ranges from 0 to {self.high}, such as 1-4,7, or nothing")
        return text


class FileName(ValueType):
    """The name of a file or folder; a leading `~` is the user's home. Nothing is None."""

    range = "a file's name"

    def parse(self, value: object) -> Path | None:
        """Return the path."""
        if value is None or value == "":
            return None
        if isinstance(value, str):
            value = check_path(value)
        if not isinstance(value, Path):
            raise InvalidValueError
        return value


class FilePath(FileName):
    """The full name of a file, as a text, which stays true in whatever folder it is used. Nothing is an empty text."""

    def parse(self, value: object) -> str:  # type: ignore[override]
        """Return the path from the root on."""
        path = super().parse(value)
        try:
            return "" if path is None else str(path.absolute())
        except OSError:
            raise InvalidValueError(f"the folder in which to look for {value} is gone") from None


class FilePathOrLink(FilePath):
    """The full name of a file, or a link that holds what the file would. Nothing is an empty text."""

    def __init__(self, *schemes: str) -> None:
        """Take links that begin with one of these, and files."""
        self.schemes = schemes

    def parse(self, value: object) -> str:  # type: ignore[override]
        """Return the link, or the path from the root on."""
        return value if isinstance(value, str) and value.startswith(self.schemes) else super().parse(value)


class PlaceOrWord(ValueType):
    """A file or folder, or one of some words that stand for a place."""

    def __init__(self, words: tuple[str, ...]) -> None:
        """Take these words, and any path; the first one also stands for nothing."""
        self.words = words

    @property
    def range(self) -> str:
        """The values it takes, in words."""
        return f"{', '.join(self.words)} or a folder"

    def parse(self, value: object) -> str:
        """Return the word, or the path as text."""
        if not isinstance(value, str):
            raise InvalidValueError
        return value or self.words[0] if value in ("", *self.words) else str(check_path(value))

    @property
    def suggestions(self) -> tuple[str, ...]:
        """Values that a shell can complete."""
        return self.words


class Metres(ValueType):
    """A time signature, with the bars from which on others hold: `4/4, 9: 3/4`; or AUTO for the chart's."""

    AUTO: Final = "auto"
    range = (
        "auto, a time signature such as 3/4, 6/8 or '7/8 2+2+3', or several, such as '4/4, 9: 3/4' for another from "
        "bar 9 on"
    )

    def parse(self, value: object) -> str:
        """Return the text, which `music.charts.metres.read_metres` reads unless it is AUTO."""
        if value == self.AUTO:
            return self.AUTO
        try:
            return format_metres(read_metres(Text().parse(value)))
        except ValueError:
            raise InvalidValueError from None

    @property
    def suggestions(self) -> tuple[str, ...]:
        """Values that a shell can complete."""
        return self.AUTO, "4/4", "3/4", "6/8", "2/4", "5/4", "7/8", "12/8"


class Trigger(ValueType):
    """No value: what has this type happens whenever it is set."""

    range = "no value"

    def parse(self, value: object) -> bool:
        """Return True, whatever the value."""
        return True


def check_name(kind: str, name: str, names: Collection[str]) -> None:
    """Raise UserError for a name that is not among those that there are of a kind."""
    if name not in names:
        raise UserError(f"no {kind} {name!r}; there {'are' if len(names) > 1 else 'is'} {', '.join(names) or 'none'}")


def check_path(text: str) -> Path:
    """Return a path with a leading `~` replaced by the user's home. Raises InvalidValueError."""
    try:
        if "\0" in text or len(os.fsencode(text)) > MAX_PATH_BYTES:
            raise InvalidValueError
        return Path(text).expanduser()
    except UnicodeEncodeError:
        raise InvalidValueError from None
    except RuntimeError:
        raise InvalidValueError(f"there is no home folder {text.partition('/')[0]}") from None


def is_line(text: str) -> bool:
    """Return whether a text is not too long, has no control characters, and can be written as UTF-8."""
    if len(text) > MAX_TEXT_LENGTH:
        return False
    return not any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000 for char in text)
