"""Soundfont files (SoundFont 2.01), as far as a bank of plain instruments needs them: written, not read."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: the bank in which General MIDI's drum kits lie
DRUM_BANK = 128
#: samples of silence that must follow each sample, and samples that must surround a loop
_GAP_SAMPLES = 46
_MAX_NAME_BYTES = 19
_MONO_SAMPLE = 1
_END_OF_RECORDS = "EOS", "EOI", "EOP"


class ZoneParameter(IntEnum):
    """Numbers of the generators that are used: parameters of a zone."""

    PAN = 17  #: tenths of a percent, -500 (left) to 500
    ATTACK = 34  #: time cents, as the other times
    DECAY = 36  #: for 100 dB
    SUSTAIN = 37  #: centibels below the full strength
    RELEASE = 38  #: for 100 dB
    INSTRUMENT = 41
    KEY_RANGE = 43
    SAMPLE = 53
    SAMPLE_MODES = 54  #: 0: once; 1: looped
    SCALE_TUNING = 56  #: cents from key to key
    EXCLUSIVE_CLASS = 57  #: a note ends the others of its class
    ROOT_KEY = 58


@dataclass(frozen=True, slots=True)
class BankSample:
    """A sound in mono."""

    name: str
    samples: NDArray[np.int16]
    rate: int  #: samples a second
    root: int  #: the key at which it sounds as it is
    loop: tuple[int, int] | None = None  #: its first sample, and the first one after it


@dataclass(frozen=True, slots=True)
class Zone:
    """Keys that a sample sounds for."""

    sample: int  #: number of the sample
    low: int = 0  #: the lowest key
    high: int = 127
    generators: Mapping[ZoneParameter, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instrument:
    """Zones that make one instrument."""

    name: str
    zones: Sequence[Zone]


@dataclass(frozen=True, slots=True)
class Preset:
    """An instrument as MIDI calls it."""

    name: str
    bank: int
    program: int  #: 0..127
    instrument: int  #: number of the instrument


def to_time_cents(seconds: float) -> int:
    """Return a length of time as generators have it; nothing is shorter than a millisecond."""
    return round(1200 * math.log2(max(0.001, seconds)))


def make_soundfont(
    name: str, samples: Sequence[BankSample], instruments: Sequence[Instrument], presets: Sequence[Preset]
) -> bytes:
    """Return a bank as the bytes of an .sf2 file: the same bytes for the same bank."""
    ordered = sorted(presets, key=lambda preset: (preset.bank, preset.program))
    info = _chunk(b"ifil", struct.pack("<HH", 2, 1)) + _chunk(b"isng", b"EMU8000\0") + _chunk(b"INAM", _text(name))
    data, headers = _lay_out_samples(samples)
    zones = [[_list_zone_generators(zone, samples[zone.sample]) for zone in each.zones] for each in instruments]
    links = [[[(ZoneParameter.INSTRUMENT, preset.instrument)]] for preset in ordered]
    instrument_bags, instrument_generators = _lay_out_zones(zones)
    preset_bags, preset_generators = _lay_out_zones(links)
    pdta = b"".join(
        (
            _chunk(b"phdr", _list_presets(ordered)),
            _chunk(b"pbag", preset_bags),
            _chunk(b"pmod", bytes(10)),
            _chunk(b"pgen", preset_generators),
            _chunk(b"inst", _list_instruments(instruments)),
            _chunk(b"ibag", instrument_bags),
            _chunk(b"imod", bytes(10)),
            _chunk(b"igen", instrument_generators),
            _chunk(b"shdr", headers),
        )
    )
    lists = _list_chunk(b"INFO", info) + _list_chunk(b"sdta", _chunk(b"smpl", data)) + _list_chunk(b"pdta", pdta)
    return _chunk(b"RIFF", b"sfbk" + lists)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _list_chunk(kind: bytes, content: bytes) -> bytes:
    return _chunk(b"LIST", kind + content)


def _text(name: str) -> bytes:
    data = name.encode("ascii") + b"\0"
    return data + bytes(len(data) % 2)


def _name(name: str) -> bytes:
    return name.encode("ascii")[:_MAX_NAME_BYTES]


def _lay_out_samples(samples: Sequence[BankSample]) -> tuple[bytes, bytes]:
    """Return the sound of all samples one after the other, and their headers."""
    headers, pieces = bytearray(), list[NDArray[Any]]()
    at = 0
    for sample in samples:
        end = at + len(sample.samples)
        begin_loop, end_loop = sample.loop or (0, 0)
        headers += struct.pack(
            "<20sIIIIIBbHH",
            *(_name(sample.name), at, end, at + begin_loop, at + end_loop, sample.rate, sample.root, 0, 0),
            _MONO_SAMPLE,
        )
        pieces += [sample.samples.astype("<i2"), np.zeros(_GAP_SAMPLES, "<i2")]
        at = end + _GAP_SAMPLES
    headers += struct.pack("<20sIIIIIBbHH", _name(_END_OF_RECORDS[0]), *(0,) * 9)
    return b"".join(piece.tobytes() for piece in pieces), bytes(headers)


def _list_zone_generators(zone: Zone, sample: BankSample) -> list[tuple[ZoneParameter, int]]:
    """Return a zone's generators in the order that the format asks for: the keys first, the sample last."""
    looped = [(ZoneParameter.SAMPLE_MODES, 1)] if sample.loop else []
    keys = (ZoneParameter.KEY_RANGE, zone.low | zone.high << 8)
    return [keys, *sorted(zone.generators.items()), *looped, (ZoneParameter.SAMPLE, zone.sample)]


def _lay_out_zones(zones: Sequence[Sequence[Sequence[tuple[ZoneParameter, int]]]]) -> tuple[bytes, bytes]:
    """Return the bags and the generators of the zones of all instruments, or presets."""
    bags, generators = bytearray(), bytearray()
    count = 0
    for zone in (zone for each in zones for zone in each):
        bags += struct.pack("<HH", count, 0)
        for kind, amount in zone:
            generators += struct.pack("<HH", kind, amount & 0xFFFF)
        count += len(zone)
    bags += struct.pack("<HH", count, 0)
    return bytes(bags), bytes(generators + bytes(4))


def _list_instruments(instruments: Sequence[Instrument]) -> bytes:
    records, bag = bytearray(), 0
    for instrument in instruments:
        records += struct.pack("<20sH", _name(instrument.name), bag)
        bag += len(instrument.zones)
    return bytes(records + struct.pack("<20sH", _name(_END_OF_RECORDS[1]), bag))


def _list_presets(presets: Sequence[Preset]) -> bytes:
    records = bytearray()
    for bag, preset in enumerate(presets):
        records += struct.pack("<20sHHHIII", _name(preset.name), preset.program, preset.bank, bag, 0, 0, 0)
    return bytes(records + struct.pack("<20sHHHIII", _name(_END_OF_RECORDS[2]), 0, 0, len(presets), 0, 0, 0))
