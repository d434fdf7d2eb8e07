"""The lines that the plugin of a DAW and the band send each other, as `protocol.md` describes them.

A line is a word and fields with one space between them. What comes in is made typed values of here, and what goes out
is made lines; nothing is sent or received.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from music.errors import HousebandError
from music.note import Metre

#: the version that is spoken
VERSION = 1
#: bytes of a line, its end included
MAX_LINE_BYTES = 1024
#: milliticks in a tick: positions are counted in them
MILLITICKS = 1000
#: instances of the plugin, by what they play -> their place in MASK
INSTANCES = {"all": 1, "bass": 2, "chords": 4, "pad": 8, "drums": 16}
#: positions are no larger than this, either way: a song of some years
MAX_POSITION = 1 << 50
MAX_US = 60_000_000

STOPPED, ROLLING, OFFLINE = 0, 1, 2
GETS_READY, READY, FAILED = 1, 2, 3

_SESSION = re.compile(r"[0-9a-zA-Z-]{1,64}")
_KEY = re.compile(r"[a-z0-9_.]{1,64}")


class LineError(HousebandError):
    """Raised for a line that has a known word and cannot be read; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The beginning of a connection."""

    version: int
    session: str  #: names the project
    name: str  #: of the host, for people


@dataclass(frozen=True, slots=True)
class Plays:
    """The instances of the plugin that a connection is for."""

    mask: int  #: values of INSTANCES, added up
    lead: bool  #: it tells transport, melody and controls


@dataclass(frozen=True, slots=True)
class At:
    """The host's transport. Positions are milliticks from its bar 1."""

    epoch: int  #: counts the discontinuities of the position, from 1
    begin: int  #: the position at which the epoch began
    heard: int  #: everything played before this position has been told
    mode: int  #: STOPPED, ROLLING or OFFLINE
    us: int  #: microseconds per quarter note
    bar: int  #: the position at which the current bar begins
    metre: Metre | None  #: its metre; None: one that no bar of whole sixteenths has
    ahead: int  #: milliticks: all notes that begin before `heard + ahead` are needed now
    loop: tuple[int, int] | None  #: the positions between which the host goes round


@dataclass(frozen=True, slots=True)
class Played:
    """A MIDI message to the lead."""

    epoch: int
    position: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Turned:
    """A control that is turned."""

    epoch: int  #: 0: at once
    position: int
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Bye:
    """The end of a connection."""


Line = Hello | Plays | At | Played | Turned | Bye


def read_line(text: bytes) -> Line | None:
    """Return what a line, without its end, says; None for one that says nothing known. Raises LineError."""
    word, _, rest = text.decode("utf-8", "replace").partition(" ")
    try:
        match word:
            case "hello":
                return _read_hello(rest)
            case "plays":
                mask, lead = _read_numbers(rest, 2)
                return Plays(mask & sum(INSTANCES.values()), lead == 1)
            case "at":
                return _read_at(*_read_numbers(rest, 11))
            case "in":
                return _read_played(*_read_numbers(rest, 5))
            case "set":
                return _read_turned(rest)
            case "bye":
                return Bye()
    except ValueError as error:
        raise LineError(f"a line of the plugin cannot be read ({word}: {error})") from None
    return None


def _read_numbers(rest: str, count: int) -> list[int]:
    fields = rest.split(" ")
    if len(fields) < count:
        raise ValueError(f"{count} numbers are needed")
    numbers = [int(field) for field in fields[:count] if len(field) <= 20]
    if len(numbers) < count or any(abs(number) > MAX_POSITION for number in numbers):
        raise ValueError("a number is too large")
    return numbers


def _read_hello(rest: str) -> Hello:
    version, _, rest = rest.partition(" ")
    session, _, name = rest.partition(" ")
    if not version.isdecimal() or len(version) > 9:
        raise ValueError("no version")
    if _SESSION.fullmatch(session) is None:
        raise ValueError("no session")
    return Hello(int(version), session, name)


def _read_at(
    epoch: int, begin: int, heard: int, mode: int, us: int, bar: int, beats: int, unit: int, ahead: int, *loop: int
) -> At:
    if epoch < 1 or mode not in (STOPPED, ROLLING, OFFLINE):
        raise ValueError("no such epoch or mode")
    if not 1 <= us <= MAX_US or ahead < 0 or heard < begin:
        raise ValueError("no such tempo or position")
    try:
        metre = Metre(beats, unit) if beats <= 64 else None
    except ValueError:
        metre = None
    return At(epoch, begin, heard, mode, us, bar, metre, ahead, (loop[0], loop[1]) if loop[0] < loop[1] else None)


def _read_played(epoch: int, position: int, *data: int) -> Played:
    if not 0x80 <= data[0] < 0xF0 or not all(0 <= each < 0x80 for each in data[1:]):
        raise ValueError("no message of a channel")
    length = 2 if data[0] & 0xE0 == 0xC0 else 3
    return Played(epoch, position, bytes(data[:length]))


def _read_turned(rest: str) -> Turned:
    fields = rest.split(" ", 3)
    if len(fields) < 4 or _KEY.fullmatch(fields[2]) is None:
        raise ValueError("no control and value")
    epoch, position = _read_numbers(" ".join(fields[:2]), 2)
    return Turned(epoch, position, fields[2], fields[3])


def make_line(word: str, *fields: object) -> bytes:
    """Return a line; a last field that is a text loses what would end it, or make it too long."""
    line = " ".join((word, *(str(field) for field in fields))).encode()
    return b" ".join(line[: MAX_LINE_BYTES - 1].decode(errors="ignore").encode().splitlines()) + b"\n"
