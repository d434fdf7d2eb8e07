"""Standard MIDI Files made byte by byte, right or wrong on purpose."""

from __future__ import annotations

END = b"\x00\xff\x2f\x00"
DIVISION = 96
#: pitches of the tune, a beat each
PITCHES = (60, 62, 64, 65)


def number(value: int) -> bytes:
    """Return a number of 7 bits a byte."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """Return a chunk; size: what it claims, where that is not its length."""
    return name + (len(content) if size is None else size).to_bytes(4, "big") + content


def header(count: int, *, kind: int = 1, division: int = DIVISION) -> bytes:
    return chunk(b"MThd", b"".join(value.to_bytes(2, "big") for value in (kind, count, division)))


def meta(kind: int, body: bytes, delta: int = 0) -> bytes:
    return number(delta) + bytes((0xFF, kind)) + number(len(body)) + body


def tune(channel: int = 0, pitches: tuple[int, ...] = PITCHES, beat: int = DIVISION) -> bytes:
    """Return the messages of a tune, each note ended by one of its own."""
    return b"".join(
        bytes((0, 0x90 | channel, pitch, 80)) + number(beat) + bytes((0x80 | channel, pitch, 0)) for pitch in pitches
    )


def track(*messages: bytes, end: bytes = END) -> bytes:
    return chunk(b"MTrk", b"".join(messages) + end)


def file(*tracks: bytes, kind: int = 1, division: int = DIVISION) -> bytes:
    return header(len(tracks), kind=kind, division=division) + b"".join(tracks)
