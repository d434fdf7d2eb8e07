"""A small General MIDI bank of our own, for machines without a soundfont: the sounds of the built-in synthesiser."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from daemon.sound.builtin_synth import PATCHES, Patch, make_drum_samples, name_drum
from daemon.sound.soundfont_file import (
    DRUM_BANK,
    BankSample,
    Instrument,
    Preset,
    Zone,
    ZoneParameter,
    make_soundfont,
    to_time_cents,
)
from daemon.sound.synth import RATE
from music.note import CHANNELS, MELODY

NAME = "houseband built-in"
#: keys that a tone is made for, and the highest one that each of them serves
_ROOTS = ((36, 47), (60, 71), (84, 127))
#: samples of one period of a tone, and periods in its loop
_PERIOD, _PERIODS = 128, 16
#: partials above this are left away, for no sampling rate of a browser's would hold them
_MAX_HERTZ = 18_000.0
#: an exponential decay falls by 100 dB in so many of its time constants
_TIMES_PER_100_DB = 11.5
#: strength of a tone's fundamental, and of drums
_TONE_STRENGTH, _DRUM_STRENGTH = 1.3 * 32767, 1.4 * 32767
_DRUM_RING_S = 5.0
#: General MIDI's drums, and those of them that end each other: the hi-hat
_DRUMS, _HI_HAT = range(27, 88), (42, 44, 46)

_PIANO, _KEYS = PATCHES[CHANNELS[MELODY]], replace(PATCHES[CHANNELS["chords"]], gain=0.22)
_BASS, _PAD = PATCHES[CHANNELS["bass"]], PATCHES[CHANNELS["pad"]]
_BELL = Patch((1, 0, 0, 0.4, 0, 0.15), 0.002, 0.5, 0.0, 0.4, 0.16, 0.0)
_ORGAN = Patch((1, 0.7, 0.4, 0.35, 0, 0.2), 0.01, 1.0, 1.0, 0.05, 0.1, 0.0)
_GUITAR = Patch((1, 0.6, 0.4, 0.25, 0.15, 0.1), 0.002, 0.35, 0.05, 0.08, 0.17, 0.0)
_STRINGS = Patch((1, 0.6, 0.45, 0.3, 0.2, 0.15, 0.1), 0.09, 2.0, 0.85, 0.15, 0.1, 0.0)
_BRASS = Patch((1, 0.9, 0.7, 0.5, 0.3, 0.2), 0.04, 0.4, 0.8, 0.06, 0.1, 0.0)
_REED = Patch((1, 0.1, 0.55, 0.1, 0.3, 0.05, 0.15), 0.03, 0.5, 0.85, 0.06, 0.13, 0.0)
_PIPE = Patch((1, 0.15, 0.08), 0.05, 0.5, 0.9, 0.08, 0.18, 0.0)
_LEAD = Patch((1, 0.5, 0.33, 0.25, 0.2, 0.17), 0.005, 0.5, 0.8, 0.06, 0.1, 0.0)
#: General MIDI's families of 8 programs, by the half where the halves differ
_FAMILIES: tuple[tuple[str, Patch, Patch], ...] = (
    ("Piano", _PIANO, _KEYS), ("Bells", _BELL, _BELL), ("Organ", _ORGAN, _ORGAN), ("Guitar", _GUITAR, _GUITAR),
    ("Bass", _BASS, _BASS), ("Strings", _STRINGS, _STRINGS), ("Ensemble", _STRINGS, _PAD), ("Brass", _BRASS, _BRASS),
    ("Reed", _REED, _REED), ("Pipe", _PIPE, _PIPE), ("Lead", _LEAD, _LEAD), ("Pad", _PAD, _PAD),
    ("Effects", _PAD, _PAD), ("Plucked", _GUITAR, _GUITAR), ("Struck", _BELL, _BELL), ("Sounds", _PAD, _PAD),
)  # fmt: skip


@cache
def make_builtin_bank() -> bytes:
    """Return the bank as the bytes of an .sf2 file: always the same."""
    samples: list[BankSample] = []
    instruments: list[Instrument] = []
    presets: list[Preset] = []
    made: dict[Patch, int] = {}
    for family, (name, *halves) in enumerate(_FAMILIES):
        for half, patch in enumerate(halves):
            if patch not in made:
                made[patch] = len(instruments)
                instruments.append(_make_instrument(name, patch, samples))
            begin = 8 * family + 4 * half
            presets += [Preset(f"{name} {program + 1}", 0, program, made[patch]) for program in range(begin, begin + 4)]
    presets.append(Preset("Drums", DRUM_BANK, 0, len(instruments)))
    instruments.append(_make_drums(samples))
    return make_soundfont(NAME, samples, instruments, presets)


def _make_instrument(name: str, patch: Patch, samples: list[BankSample]) -> Instrument:
    """Return an instrument that sounds as a patch does; its samples are added to the others."""
    generators = {
        ZoneParameter.ATTACK: to_time_cents(patch.attack),
        ZoneParameter.DECAY: to_time_cents(patch.decay * _TIMES_PER_100_DB),
        ZoneParameter.SUSTAIN: round(min(1000.0, -200 * np.log10(max(patch.sustain, 1e-5)))),
        ZoneParameter.RELEASE: to_time_cents(patch.release * _TIMES_PER_100_DB),
    }
    zones, low = [], 0
    for root, high in _ROOTS:
        zones.append(Zone(len(samples), low, high, generators))
        samples.append(_make_tone(f"{name} {root}", patch, root, high))
        low = high + 1
    return Instrument(name, zones)


def _make_tone(name: str, patch: Patch, root: int, high: int) -> BankSample:
    """Return a tone that is looped from its beginning: the envelope is the zone's."""
    hertz, highest = (440 * 2 ** ((key - 69) / 12) for key in (root, min(high, 96)))
    phase = np.arange(_PERIOD * (_PERIODS + 1)) / _PERIOD * 2 * np.pi
    wave = np.zeros(len(phase))
    for number, strength in enumerate(patch.harmonics, 1):
        if number * highest < _MAX_HERTZ:
            wave += strength * np.sin(phase * number)
    loud = np.clip(wave * patch.gain * _TONE_STRENGTH, -32767, 32767).astype(np.int16)
    return BankSample(name, loud, round(hertz * _PERIOD), root, (_PERIOD // 2, _PERIOD // 2 + _PERIOD * _PERIODS))


def _make_drums(samples: list[BankSample]) -> Instrument:
    """Return the drum kit; its samples are added to the others."""
    numbers = {}
    for name, sample in make_drum_samples().items():
        numbers[name] = len(samples)
        loud = np.clip(sample * _DRUM_STRENGTH, -32767, 32767).astype(np.int16)
        samples.append(BankSample(name, loud, RATE, 45, None))
    zones = []
    for pitch in _DRUMS:
        name = name_drum(pitch)
        generators = {ZoneParameter.RELEASE: to_time_cents(_DRUM_RING_S)}  # a drum sounds as long as it sounds
        if name != "tom":  # toms have pitches, and others their own
            generators[ZoneParameter.SCALE_TUNING] = 0
        if pitch in _HI_HAT:
            generators[ZoneParameter.EXCLUSIVE_CLASS] = 1
        zones.append(Zone(numbers[name], pitch, pitch, generators))
    return Instrument("Drums", zones)
