"""The built-in synthesiser, for machines without a soundfont."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.sound.synth import RATE, Samples
from music import midi
from music.note import CHANNELS, MELODY


@dataclass(frozen=True, slots=True)
class Patch:
    """An instrument of the built-in synthesiser."""

    harmonics: tuple[float, ...]  #: strengths of the fundamental and the partials above it
    attack: float  #: seconds to full strength
    decay: float  #: seconds in which it falls to a third of the way down to `sustain`
    sustain: float  #: share of the strength that is left while the key is held
    release: float  #: seconds in which it falls to a third once the key is up
    gain: float
    pan: float  #: -1 (left) to 1 (right)


PATCHES = {
    CHANNELS[MELODY]: Patch((1, 0.35, 0.25, 0.08), 0.004, 0.6, 0.3, 0.06, 0.22, 0.1),
    CHANNELS["bass"]: Patch((1, 0.5, 0.3, 0.15, 0.08), 0.004, 0.5, 0.4, 0.04, 0.3, 0.0),
    CHANNELS["chords"]: Patch((1, 0.15, 0.12, 0.05), 0.003, 0.8, 0.15, 0.08, 0.11, -0.25),
    CHANNELS["pad"]: Patch((1, 0.3, 0.1), 0.08, 2.0, 0.7, 0.25, 0.08, 0.3),
}
#: channel -> its row in tables of patches; others are played by the first
_ROWS = {channel: row for row, channel in enumerate(PATCHES)}
_TABLE_SIZE = 2048  # samples of one period
_MAX_VOICES = 64


class BuiltInSynth:
    """A small additive synthesiser with noises for drums; it needs no files and no libraries."""

    name = "built-in synthesiser"
    velocity_exponent = 1.5

    def __init__(self) -> None:
        ramp = np.arange(_TABLE_SIZE) / _TABLE_SIZE * 2 * np.pi
        patches = list(PATCHES.values())
        waves = [sum(h * np.sin(ramp * (n + 1)) for n, h in enumerate(p.harmonics)) for p in patches]
        self._tables = np.stack(waves).astype(np.float32)
        self._envelopes = np.array([[p.attack * RATE, p.decay * RATE, p.sustain, p.release * RATE] for p in patches])
        self._gains = np.array([[p.gain * (1 - p.pan), p.gain * (1 + p.pan)] for p in patches])
        self._patch = np.zeros(_MAX_VOICES, int)
        self._phase, self._increment, self._strength = (np.zeros(_MAX_VOICES) for _ in range(3))
        self._age = np.zeros(_MAX_VOICES)
        self._released = np.full(_MAX_VOICES, np.inf)  # the age at which the key went up
        self._key: list[tuple[int, int] | None] = [None] * _MAX_VOICES
        self._alive = np.zeros(_MAX_VOICES, bool)
        self._channel_gains = np.ones(midi.CHANNEL_COUNT)
        self._drums = make_drum_samples()
        self._hits: list[tuple[Samples, int, float]] = []

    def play(self, data: bytes) -> None:
        """Take one MIDI message, which holds from the next sample on."""
        channel = midi.channel_of(data)
        if midi.is_note_on(data):
            self._begin(channel, data[1], data[2])
        elif midi.is_note_off(data):
            self._end((channel, data[1]))
        elif midi.kind_of(data) == midi.CONTROL_CHANGE and data[1] in (midi.ALL_SOUND_OFF, midi.ALL_NOTES_OFF):
            for key in [key for key in self._key if key is not None and key[0] == channel]:
                self._end(key)

    def set_gain(self, channel: int, gain: float) -> None:
        """Multiply what a channel begins to play from now on by a factor."""
        self._channel_gains[channel] = gain

    def silence(self) -> None:
        """End everything that sounds."""
        self._alive[:] = False
        self._key = [None] * _MAX_VOICES
        self._hits.clear()

    def _begin(self, channel: int, pitch: int, velocity: int) -> None:
        if channel == midi.DRUM_CHANNEL:
            self._hits.append((self._drums[name_drum(pitch)], 0, self._find_strength(channel, velocity)))
            return
        self._end((channel, pitch))
        free = np.flatnonzero(~self._alive)
        voice = int(free[0]) if free.size else int(self._age.argmax())
        self._patch[voice] = _ROWS.get(channel, 0)
        self._phase[voice] = self._age[voice] = 0
        self._increment[voice] = 440 * 2 ** ((pitch - 69) / 12) / RATE
        self._strength[voice] = self._find_strength(channel, velocity)
        self._released[voice] = np.inf
        self._alive[voice] = True
        self._key[voice] = (channel, pitch)

    def _find_strength(self, channel: int, velocity: int) -> float:
        return float((velocity / 127) ** self.velocity_exponent * self._channel_gains[channel])

    def _end(self, key: tuple[int, int]) -> None:
        if key in self._key:
            voice = self._key.index(key)
            self._released[voice] = self._age[voice]
            self._key[voice] = None

    def render(self, frames: int) -> Samples:
        """Return the next samples, of shape (frames, 2)."""
        out = np.zeros((frames, 2))
        alive = np.flatnonzero(self._alive)
        if alive.size:
            self._add_tones(alive, out)
        self._add_drums(out)
        return np.tanh(out).astype(np.float32)

    def _add_tones(self, alive: NDArray[Any], out: NDArray[Any]) -> None:
        frames = len(out)
        along = np.arange(frames)
        row, age = self._patch[alive], self._age[alive, None] + along
        attack, decay, sustain, release = (self._envelopes[row, column, None] for column in range(4))
        phase = self._phase[alive, None] + self._increment[alive, None] * along
        tone = self._tables[row[:, None], (phase % 1 * _TABLE_SIZE).astype(int)]
        strength = np.minimum(age / attack, 1) * (sustain + (1 - sustain) * np.exp(-age / decay))
        freed = self._released[alive, None]
        after = np.maximum(age - np.where(np.isinf(freed), age, freed), 0)
        strength *= np.exp(-after / release)
        voices = tone * strength * self._strength[alive, None]
        for side in (0, 1):
            out[:, side] += voices.T @ self._gains[row, side]
        self._phase[alive] = (phase[:, -1] + self._increment[alive]) % 1
        self._age[alive] += frames
        self._alive[alive] = after[:, -1] < 7 * release[:, 0]

    def _add_drums(self, out: NDArray[Any]) -> None:
        left = []
        for sample, at, loud in self._hits:
            piece = sample[at : at + len(out)]
            out[: len(piece)] += piece[:, None] * loud
            if at + len(out) < len(sample):
                left.append((sample, at + len(out), loud))
        self._hits = left


#: General MIDI drum pitches by the noise that stands for them; others are a tom
DRUM_PITCHES = {
    "kick": (35, 36), "snare": (38, 40, 39), "closed": (42, 44), "open": (46, 49, 51, 52, 53, 55, 57, 59, 54),
    "high": (76, 37, 75, 56), "low": (77, 33, 34),
}  # fmt: skip


def name_drum(pitch: int) -> str:
    """Return the noise that stands for a drum of General MIDI, by its pitch: a key of `make_drum_samples`."""
    return next((kind for kind, pitches in DRUM_PITCHES.items() if pitch in pitches), "tom")


def make_drum_samples() -> dict[str, Samples]:
    """Return the drums' noises by name, in mono: the same each time."""
    random = np.random.default_rng(0)

    def noise(seconds: float, decay: float, gain: float, bright: bool = True) -> NDArray[Any]:
        t = np.arange(int(seconds * RATE)) / RATE
        white = random.standard_normal(len(t))
        return np.asarray((np.diff(white, prepend=0) * 0.5 if bright else white) * np.exp(-t / decay) * gain)

    def drop(seconds: float, high: float, low: float, decay: float, gain: float) -> NDArray[Any]:
        t = np.arange(int(seconds * RATE)) / RATE
        pitch = low + (high - low) * np.exp(-t / 0.03)
        return np.asarray(np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.exp(-t / decay) * gain)

    snare = drop(0.25, 260, 180, 0.06, 0.25) + noise(0.25, 0.07, 0.18, bright=False)
    made = {
        "kick": drop(0.35, 160, 48, 0.12, 0.7), "snare": snare, "tom": drop(0.4, 180, 110, 0.15, 0.4),
        "closed": noise(0.08, 0.02, 0.16), "open": noise(0.7, 0.2, 0.12),
        "high": drop(0.08, 1600, 1600, 0.015, 0.35), "low": drop(0.08, 1100, 1100, 0.015, 0.3),
    }  # fmt: skip
    return {kind: sample.astype(np.float32) for kind, sample in made.items()}
