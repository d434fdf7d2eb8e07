"""Standard MIDI Files that are damaged or unusual: each a changed copy of another, the same for the same seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tests.support.damaged_graphs import damage_bytes
from tests.support.smf_bytes import END, chunk, file, meta, number, track, tune

#: ticks a beat, and frames a second with ticks a frame, that make sense, make little, or make none
DIVISIONS = (
    *(0, 1, 2, 7, 23, 24, 25, 96, 479, 960, 0x7FFF, 0x8000, 0x8101),
    *(0xE728, 0xE828, 0xE304, 0xE250, 0xE700, 0xFFFF),
)
DELTAS = (0, 1, 127, 128, 0x3FFF, 0x4000, 0x1FFFFF, 0x0FFFFFFF)
_MESSAGES = (
    *(b"\x90\x3c\x40", b"\x3c\x00", b"\x80\x3c\x00", b"\xb0\x40\x7f", b"\xb0\x7b\x00", b"\xc0\x05", b"\xe0\x00\x40"),
    *(b"\x99\x24\x64", b"\x9f\x7f\x7f", b"\x90\x80\x40", b"\x90\x3c\xff", b"\xf8", b"\xfe", b"\xf1\x00", b"\xf6"),
    *(
        b"\xf0\x03\x7e\x7f\xf7",
        b"\xf0\x05\x7e\x7f",
        b"\xf0\x7f",
        b"\xf7\x01\xf8",
        b"\xff",
        b"\xff\x51",
        b"\xd0\x00",
        b"\xf4",
    ),
)
_METAS = (
    *((0x51, b"\x00\x00\x00"), (0x51, b"\xff\xff\xff"), (0x51, b"\x00\x00\x01"), (0x51, b"\x07"), (0x51, b"")),
    *((0x58, b"\x04\x02\x18\x08"), (0x58, b"\x00\x02\x18\x08"), (0x58, b"\xff\x00\x18\x08"), (0x58, b"\x0d\x05")),
    *((0x58, b"\x04\xff\x00\x00"), (0x58, b"\x01\x04\x18\x08"), (0x58, b"\x03"), (0x58, b""), (0x59, b"\x7f\x09")),
    *(
        (0x59, b"\x00"),
        (0x03, b"melody"),
        (0x03, b"\xff\xfe\x00m"),
        (0x03, b"\x1b[2J"),
        (0x03, b""),
        (0x03, b"x" * 300),
    ),
    *((0x54, b"\x00" * 5), (0x54, b"\xff" * 5), (0x2F, b""), (0x2F, b"\x00"), (0x20, b"\x10"), (0x21, b"\x7f")),
    *(
        (0x06, b"C:maj7"),
        (0x06, b"\xd8\x00"),
        (0x05, "\u3042".encode("shift-jis")),
        (0x80, b"a"),
        (0x60, b""),
        (0x7F, b"a"),
    ),
)


def damage(whole: bytes, seed: int) -> bytes:
    """Return a file with damage of one or more kinds."""
    rng = random.Random(seed)
    found = whole
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        found = rng.choice(EDITS)(found, rng)
    return found


def make(seed: int) -> bytes:
    """Return a file made of messages right and wrong, in an order that nobody wrote."""
    rng = random.Random(seed)
    tracks = []
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        events = [_make_event(rng) for _ in range(rng.choice((0, 1, 5, 40)))]
        if rng.random() < 0.7:
            events.insert(rng.randrange(len(events) + 1), tune(rng.randrange(16), beat=rng.choice((1, 24, 96, 480))))
        tracks.append(track(*events, end=END if rng.random() < 0.7 else b""))
    return file(*tracks, kind=rng.choice((0, 1, 1, 2, 3, 0xFFFF)), division=rng.choice(DIVISIONS))


def _make_event(rng: random.Random) -> bytes:
    delta = rng.choice(DELTAS) if rng.random() < 0.05 else rng.choice((0, 0, 1, 24, 96, 480))
    if rng.random() < 0.3:
        kind, body = rng.choice(_METAS)
        return meta(kind, body, delta)
    return number(delta) + rng.choice(_MESSAGES)


def _insert_event(data: bytes, rng: random.Random) -> bytes:
    at = _find_music(data, rng)
    return data[:at] + _make_event(rng) + data[at:]


def _insert_delta(data: bytes, rng: random.Random) -> bytes:
    at = _find_music(data, rng)
    return data[:at] + rng.choice((number(rng.choice(DELTAS)), b"\xff" * 4, b"\x80" * 9 + b"\x01")) + data[at:]


def _find_music(data: bytes, rng: random.Random) -> int:
    return rng.randrange(min(22, len(data)), len(data) + 1)


def _set_division(data: bytes, rng: random.Random) -> bytes:
    return data[:12] + rng.choice(DIVISIONS).to_bytes(2, "big") + data[14:]


def _set_header(data: bytes, rng: random.Random) -> bytes:
    at = rng.choice((4, 8, 10))
    return data[:at] + rng.choice((0, 1, 2, 3, 6, 0x7FFF, 0xFFFF)).to_bytes(2, "big") + data[at + 2 :]


def _set_size(data: bytes, rng: random.Random) -> bytes:
    at = data.find(b"MTrk", rng.randrange(len(data) + 1))
    if at < 0:
        return data
    size = rng.choice((0, 1, 7, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
    return data[: at + 4] + size.to_bytes(4, "big") + data[at + 8 :]


def _wrap(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice((len(data) + 12, 0, 0xFFFFFFFF))
    return (
        b"RIFF" + struct.pack("<I", size) + b"RMID" + b"data" + struct.pack("<I", rng.choice((len(data), size))) + data
    )


def _add_chunk(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice((None, 0, 1 << 30, 3))
    return data[:14] + chunk(rng.choice((b"XFIH", b"\x00" * 4, b"MTrk", b"MThd")), rng.randbytes(20), size) + data[14:]


def _repeat_tracks(data: bytes, rng: random.Random) -> bytes:
    return data + data[14:] * rng.choice((1, 3)) if len(data) < 100_000 else data


EDITS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(lambda data, rng: damage_bytes(data, rng) if data else data,) * 4,
    *(_insert_event, _insert_event, _insert_delta, _set_division, _set_header, _set_size, _wrap, _add_chunk),
    _repeat_tracks,
)
