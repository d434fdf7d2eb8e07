"""A reader of soundfont files for tests: which samples a preset leads to."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_INSTRUMENT, _KEY_RANGE, _SAMPLE = 41, 43, 53


@dataclass(frozen=True)
class ReadZone:
    """A zone of an instrument, with its sample."""

    name: str
    keys: tuple[int, int]
    generators: dict[int, int]
    samples: NDArray[Any]
    loop: tuple[int, int]
    rate: int
    root: int


def read_chunks(bank: bytes) -> dict[str, bytes]:
    """Return the content of all chunks that are no lists, by their names."""
    kind, size, form = struct.unpack_from("<4sI4s", bank)
    assert (kind, size, form) == (b"RIFF", len(bank) - 8, b"sfbk")
    return _read(bank, 12, len(bank))


def _read(data: bytes, at: int, end: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    while at < end:
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"LIST":
            found |= _read(data, at + 12, at + 8 + size)
        else:
            found[kind.decode()] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == end
    return found


def read_presets(bank: bytes) -> dict[tuple[int, int], list[ReadZone]]:
    """Return the zones of each preset's instrument, by bank and program."""
    chunks = read_chunks(bank)
    presets = list(struct.iter_unpack("<20sHHHIII", chunks["phdr"]))
    instruments = list(struct.iter_unpack("<20sH", chunks["inst"]))
    preset_zones = _zones(chunks["pbag"], chunks["pgen"])
    instrument_zones = _zones(chunks["ibag"], chunks["igen"])
    found: dict[tuple[int, int], list[ReadZone]] = {}
    for (_, program, number, begin, *_), (_, _, _, end, *_) in pairwise(presets):
        (zone,) = preset_zones[begin:end]
        which = zone[_INSTRUMENT]
        first, last = instruments[which][1], instruments[which + 1][1]
        found[number, program] = [_read_zone(chunks, each) for each in instrument_zones[first:last]]
    return found


def _zones(bags: bytes, generators: bytes) -> list[dict[int, int]]:
    begins = [begin for begin, _ in struct.iter_unpack("<HH", bags)]
    pairs = list(struct.iter_unpack("<Hh", generators))
    return [dict(pairs[begin:end]) for begin, end in pairwise(begins)]


def _read_zone(chunks: dict[str, bytes], zone: dict[int, int]) -> ReadZone:
    name, begin, end, loop_begin, loop_end, rate, root, _, _, kind = struct.unpack_from(
        "<20sIIIIIBbHH", chunks["shdr"], zone[_SAMPLE] * 46
    )
    assert kind == 1
    assert next(reversed(zone)) == _SAMPLE
    keys = zone[_KEY_RANGE]
    data = np.frombuffer(chunks["smpl"], "<i2")[begin:end]
    loop = (loop_begin - begin, loop_end - begin)
    return ReadZone(name.rstrip(b"\0").decode(), (keys & 127, keys >> 8), zone, data, loop, rate, root)
