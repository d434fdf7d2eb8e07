"""Requests and configurations as nobody should make them: huge, deep, of wrong types, and nearly right."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from daemon.control.protocol import TOPICS
from daemon.control.server import MAX_LINE_BYTES
from daemon.core.controls import CONTROLS

OPS: tuple[Any, ...] = (
    "get",
    "set",
    "panic",
    "ping",
    "play",
    "subscribe",
    "unsubscribe",
    "learn",
    "forget",
    "hello",
    "sing",
    "",
    None,
    1,
    [],
)
WORDS = (
    "", " ", "0", "1", "-1", "1e999", "nan", "-inf", "true", "toggle", "pop", "jazz", "gan", "arcnn", "a{99999999999}",
    "0-100000", "1-4,7", "4/4", "9999999999/1", "~nosuchuser", "tcp:99999", "\x00", "\x7f", "\ud800", "\u202e",
    "é" * 40, "%s%n", "${jndi}", "../../etc/passwd", "/dev/zero", "cc 80", "note 38 channel 16", "program", "٣",
    "𝟛",
)  # fmt: skip
NUMBERS = (0, 1, -1, 0.5, 7, 127, 128, 1e308, -1e308, 2**31, 2**63, 2**64, 10**400, float("nan"), float("inf"), True)


def make_text(rng: random.Random) -> str:
    """Return a text: a word, much of one, or characters by chance."""
    match rng.randrange(6):
        case 0:
            return rng.choice(WORDS) * rng.choice((1, 2, 1000, 20_000))
        case 1:
            return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(12)))
        case 2:
            return ",".join(f"{rng.randrange(100_000)}-{rng.randrange(200_000)}" for _ in range(rng.randrange(4000)))
        case 3:
            return f"{rng.choice(list(CONTROLS))}={rng.choice(WORDS)}"
        case 4:
            return rng.choice("([{-9") * rng.choice((10, 5000, 50_000))
        case _:
            return rng.choice(WORDS)


def make_value(rng: random.Random, depth: int = 0) -> Any:
    """Return a value that JSON can write."""
    match rng.randrange(9 if depth < 3 else 5):
        case 0 | 1:
            return make_text(rng)
        case 2:
            return rng.choice(NUMBERS)
        case 3:
            return rng.choice((None, True, False, [], {}, ""))
        case 4:
            return rng.uniform(-1000, 1000)
        case 5:
            return [make_value(rng, depth + 1) for _ in range(rng.randrange(5))]
        case 6:
            return {make_text(rng): make_value(rng, depth + 1) for _ in range(rng.randrange(4))}
        case 7:
            nested: Any = 1
            for _ in range(rng.choice((5, 300, 700))):
                nested = [nested]
            return nested
        case _:
            return list(range(rng.choice((10, 5000))))


def make_note(rng: random.Random) -> dict[str, Any]:
    """Return a note to play, often one that is right."""
    note: dict[str, Any] = {"pitch": rng.randrange(128), "on": rng.random() < 0.5, "channel": rng.randrange(1, 16)}
    if rng.random() < 0.3:
        note[rng.choice(("pitch", "on", "channel", "velocity"))] = make_value(rng)
    return note


def make_request(rng: random.Random) -> dict[str, Any]:
    """Return a request: of a known operation mostly, about a known control often."""
    request: dict[str, Any] = {"op": rng.choice(OPS)}
    if rng.random() < 0.9:
        request["key"] = rng.choice(list(CONTROLS)) if rng.random() < 0.8 else make_value(rng)
    if rng.random() < 0.8:
        request["value"] = make_value(rng)
    if rng.random() < 0.3:
        request["to"] = [rng.choice(TOPICS) for _ in range(rng.randrange(9))] if rng.random() < 0.6 else make_value(rng)
    if rng.random() < 0.3:
        request["notes"] = [make_note(rng) for _ in range(rng.choice((0, 1, 5, 100)))]
    if rng.random() < 0.2:
        request |= make_note(rng)
    if rng.random() < 0.5:
        request["id"] = make_value(rng)
    if rng.random() < 0.2:
        request[make_text(rng)] = make_value(rng)
    return request


def make_line(rng: random.Random, make: Callable[[random.Random], dict[str, Any]] = make_request) -> bytes:
    """Return a line to send: a request, one that is cut or changed, or anything."""
    try:
        line = json.dumps(make(rng)).encode()
    except (ValueError, RecursionError):
        line = b"{}"
    match rng.randrange(10):
        case 0:
            line = line[: rng.randrange(len(line) + 1)]
        case 1:
            changed = bytearray(line)
            for _ in range(rng.randrange(1, 4)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            line = bytes(changed)
        case 2:
            line = rng.randbytes(rng.choice((1, 100, MAX_LINE_BYTES - 1)))
        case 3:
            line = rng.choice((b"{", b"[", b'{"a":', b"9", b"\\", b'"')) * rng.choice((10, 10_000))
    return line.replace(b"\n", b" ")[: MAX_LINE_BYTES - 1] + b"\n"
