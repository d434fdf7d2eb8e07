"""Loudness by ITU-R BS.1770-4, in LUFS: K-weighted, in blocks of 400 ms, with both of its gates.

Samples come in pieces of any length, and only the energies of blocks are kept.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.sound.synth import RATE, Samples

#: loudness of what has none that could be measured: silence, and what is shorter than a block
SILENCE_LUFS = float("-inf")
#: blocks that are quieter count for nothing
ABSOLUTE_GATE_LUFS = -70.0
#: nor do those that are so much quieter than the mean of the others
RELATIVE_GATE_LU = -10.0
#: of a mean square of 1 in one channel
_OFFSET_LUFS = -0.691
#: blocks of 400 ms overlap by three quarters
_HOP = RATE // 10
_HOPS_PER_BLOCK = 4
#: length of the filters' impulse response, in which it dies away by more than 100 dB
_TAPS = RATE // 8
#: coefficients of the standard's two filters at 48 kHz: numerator, denominator
_SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)


class LoudnessMeter:
    """Measures the loudness of stereo sound that comes in pieces."""

    def __init__(self) -> None:
        self.peak = 0.0  #: the largest absolute sample so far
        self._tail = np.zeros((_TAPS - 1, 2))  # the samples before the next piece
        self._rest = np.zeros((0, 2))  # weighted samples that make no whole hop yet
        self._hops: list[float] = []  # energy of each hop

    def add(self, samples: Samples) -> None:
        """Take in the next samples, of shape (frames, 2)."""
        if not len(samples):
            return
        self.peak = max(self.peak, float(np.abs(samples).max()))
        extended = np.concatenate([self._tail, samples])
        self._tail = extended[len(extended) - (_TAPS - 1) :]
        weighted = np.concatenate([self._rest, _filter(extended)])
        whole = len(weighted) // _HOP * _HOP
        hops = weighted[:whole].reshape(-1, _HOP, 2)
        self._hops += (hops**2).sum((1, 2)).tolist()
        self._rest = weighted[whole:]

    def measure(self) -> float:
        """Return the loudness of everything so far, SILENCE_LUFS where there is none."""
        hops = np.array(self._hops)
        if len(hops) < _HOPS_PER_BLOCK:
            return SILENCE_LUFS
        energy = np.convolve(hops, np.ones(_HOPS_PER_BLOCK), "valid") / (_HOPS_PER_BLOCK * _HOP)
        loud = energy[energy > _energy_of(ABSOLUTE_GATE_LUFS)]
        if not len(loud):
            return SILENCE_LUFS
        gate = _energy_of(_loudness_of(float(loud.mean())) + RELATIVE_GATE_LU)
        return _loudness_of(float(loud[loud > gate].mean()))


def measure_loudness(samples: Samples) -> float:
    """Return the loudness of stereo samples, in LUFS."""
    meter = LoudnessMeter()
    meter.add(samples)
    return meter.measure()


def _loudness_of(energy: float) -> float:
    return _OFFSET_LUFS + 10 * float(np.log10(energy))


def _energy_of(loudness: float) -> float:
    return float(10 ** ((loudness - _OFFSET_LUFS) / 10))


def _filter(samples: NDArray[Any]) -> NDArray[Any]:
    """Return samples with K-weighting, without the first ones, which only lead in."""
    size = 1 << (len(samples) + _TAPS - 2).bit_length()
    spectrum = np.fft.rfft(samples, size, axis=0) * np.fft.rfft(_impulse_response(), size)[:, None]
    return np.fft.irfft(spectrum, size, axis=0)[_TAPS - 1 : len(samples)]


@cache
def _impulse_response() -> NDArray[Any]:
    response = np.zeros(_TAPS)
    response[0] = 1
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        filtered, before = np.zeros(_TAPS), [0.0, 0.0]
        padded = np.concatenate([[0, 0], response])
        for at in range(_TAPS):
            value = sum(numerator[lag] * padded[at + 2 - lag] for lag in range(3))
            value -= denominator[1] * before[0] + denominator[2] * before[1]
            filtered[at] = value
            before = [value, before[0]]
        response = filtered
    return response
