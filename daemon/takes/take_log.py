"""The log of a take while it is recorded: a text that only grows, so that a crash leaves all that was written.

    houseband-take 1 4 4           version, metre
    t 0 918273645 500000           a tempo mark: tick, ns, microseconds per beat
    s 918273645 jazz               the style from that moment (ns) on
    k 918273645 {"key": "level.bass", "value": 0.5}    a control from that moment (ns) on
    h 918273645 15                 the channel (0..15) on which input is the leading hand's from then on; -1: none
    m 384 3 4                      bars of a metre from a tick on, at which one begins, in place of later ones
    c 96 F:maj/3                   the chord from a tick on, in place of all that came before it for later ticks
    i 918273645 903c64             a message that came in, hexadecimal
    o 918273645 912430             one that was sent, at the moment it was meant for

A line that was cut off at the end is as if it were not there. One that makes no sense costs that line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from music.note import Metre

LOG_SUFFIX = ".take"
_HEAD = "houseband-take 1"
#: what is longer than that is neither a note nor a tempo mark, nor the name of a style
MAX_LINE_BYTES = 4096
#: of a metre that a MIDI file can hold
MAX_NUMERATOR = 255
_Mark = tuple[int, int, int]


def format_header(metre: Metre) -> str:
    """Return the first line of a log."""
    return f"{_HEAD} {metre.numerator} {metre.denominator}\n"


def format_tempo(mark: _Mark) -> str:
    """Return the line of a tempo mark: tick, ns, microseconds per beat."""
    return "t {} {} {}\n".format(*mark)


def format_style(at: int, style: str) -> str:
    """Return the line of a style that holds from a time (ns) on."""
    return f"s {at} {' '.join(style.split())}\n"


def format_setting(at: int, change: str) -> str:
    """Return the line of a control, as text, that stands otherwise from a time (ns) on."""
    return f"k {at} {change}\n"


def format_hand(at: int, channel: int) -> str:
    """Return the line of the channel (0..15) on which, from a time (ns) on, input is the leading hand's; -1: none."""
    return f"h {at} {channel}\n"


def format_metre(tick: int, metre: Metre) -> str:
    """Return the line of a metre whose bars are counted from a tick on, at which one of them begins."""
    return f"m {tick} {metre.numerator} {metre.denominator}\n"


def format_chord(tick: int, label: str) -> str:
    """Return the line of a chord that holds from a tick on, and takes the place of all written before it from there on.

    label: as of Harte et al.; empty where none is known.
    """
    return f"c {tick} {label}\n"


def format_message(way: str, at: int, data: bytes) -> str:
    """Return the line of a MIDI message at a time (ns); way: i for input, o for output."""
    return f"{way} {at} {data.hex()}\n"


def is_log(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes is a log of ours, or the very beginning of one."""
    begin = f"{_HEAD} ".encode()
    return head.startswith(begin) or (len(head) < len(begin) and begin.startswith(head))


def read_metre(header: bytes) -> Metre:
    """Return the metre in the first line of a log, 4/4 where it makes no sense."""
    try:
        return parse_metre(header.split()[2:4])
    except ValueError:
        return Metre()


def parse_metre(words: Sequence[bytes]) -> Metre:
    """Return the metre that two words tell. Raises ValueError where a MIDI file can have none such."""
    numerator, denominator = (int(word) for word in words)
    if numerator > MAX_NUMERATOR:
        raise ValueError("too many beats")
    return Metre(numerator, denominator)


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the complete lines of a file without their ends; of one that is too long only its beginning."""
    while line := file.readline(MAX_LINE_BYTES):
        following = line
        while not following.endswith(b"\n"):
            following = file.readline(MAX_LINE_BYTES)
            if not following:
                return  # it was never finished
        yield line.removesuffix(b"\n")
