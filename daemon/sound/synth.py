"""Synthesisers: the built-in one, which needs nothing, and fluidsynth on a soundfont. MIDI messages in, samples out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from daemon.sound.soundfont import SoundFontError, find
from music.note import CHANNELS, MELODY

RATE = 48_000
Samples = NDArray[np.float32]
#: General MIDI programs (0..127) that parts begin with: piano, fingered bass, electric piano, warm pad
PROGRAMS = {MELODY: 0, "bass": 33, "chords": 4, "pad": 89}
DRUM_CHANNEL = 9


class Synth(Protocol):
    """Plays 16 MIDI channels at RATE."""

    name: str

    def play(self, data: bytes) -> None:
        """One MIDI message, from the next sample on."""
        ...

    def render(self, frames: int) -> Samples:
        """The next samples: (frames, 2), within -1..1."""
        ...

    def quiet(self) -> None:
        """End what sounds."""
        ...


def open_synth(soundfont: str | Path | None = None) -> Synth:
    """Fluidsynth on the soundfont named, or on one in the usual places; else the built-in synthesiser. Raises
    SoundFontError for a soundfont that was named and cannot be played."""
    path = find(soundfont)
    if path is not None:
        try:
            return FluidSynth(path)
        except (ImportError, OSError, AttributeError) as error:
            if soundfont is not None:
                raise SoundFontError(
                    f"{path}: there is no soundfont player ({error}); install it with: pip install 'houseband[audio]', "
                    "and the system's fluidsynth library"
                ) from None
    return BuiltInSynth()


class FluidSynth:
    """The system's fluidsynth through pyfluidsynth. Raises ImportError without it, SoundFontError for a broken file."""

    def __init__(self, path: Path) -> None:
        import fluidsynth

        self.name = f"fluidsynth, {path.name}"
        self._synth: Any = fluidsynth.Synth(gain=0.5, samplerate=float(RATE))
        font = self._synth.sfload(str(path), 1)  # every channel gets an instrument, the tenth drums
        if font < 0:
            raise SoundFontError(f"{path}: fluidsynth cannot load it")
        for role, program in PROGRAMS.items():
            self._synth.program_select(CHANNELS[role], font, 0, program)

    def play(self, data: bytes) -> None:
        """As `Synth` says."""
        kind, channel = data[0] & 0xF0, data[0] & 0x0F
        if kind == 0x90 and data[2]:
            self._synth.noteon(channel, data[1], data[2])
        elif kind in (0x80, 0x90):
            self._synth.noteoff(channel, data[1])
        elif kind == 0xB0:
            self._synth.cc(channel, data[1], data[2])
        elif kind == 0xC0:
            self._synth.program_change(channel, data[1])

    def render(self, frames: int) -> Samples:
        """As `Synth` says."""
        samples = self._synth.get_samples(frames)
        return np.asarray(samples, np.float32).reshape(-1, 2) / np.float32(32768)

    def quiet(self) -> None:
        """As `Synth` says."""
        for channel in range(16):
            self._synth.cc(channel, 120, 0)


@dataclass(frozen=True, slots=True)
class Patch:
    """An instrument of the built-in synthesiser. harmonics: their strengths; attack, decay, release: seconds (decay and
    release: to a third); sustain: what is left of the strength; pan: -1..1."""

    harmonics: tuple[float, ...]
    attack: float
    decay: float
    sustain: float
    release: float
    gain: float
    pan: float


PATCHES = {
    CHANNELS[MELODY]: Patch((1, 0.35, 0.25, 0.08), 0.004, 0.6, 0.3, 0.06, 0.22, 0.1),
    CHANNELS["bass"]: Patch((1, 0.5, 0.3, 0.15, 0.08), 0.004, 0.5, 0.4, 0.04, 0.3, 0.0),
    CHANNELS["chords"]: Patch((1, 0.15, 0.12, 0.05), 0.003, 0.8, 0.15, 0.08, 0.11, -0.25),
    CHANNELS["pad"]: Patch((1, 0.3, 0.1), 0.08, 2.0, 0.7, 0.25, 0.08, 0.3),
}
_TABLE = 2048
_VOICES = 64


class BuiltInSynth:
    """A small additive synthesiser with noises for drums."""

    name = "built-in synthesiser"

    def __init__(self) -> None:
        ramp = np.arange(_TABLE) / _TABLE * 2 * np.pi
        self._channels = {channel: row for row, channel in enumerate(PATCHES)}
        patches = list(PATCHES.values())
        waves = [sum(h * np.sin(ramp * (n + 1)) for n, h in enumerate(p.harmonics)) for p in patches]
        self._tables = np.stack(waves).astype(np.float32)
        self._shape = np.array([[p.attack * RATE, p.decay * RATE, p.sustain, p.release * RATE] for p in patches])
        self._sides = np.array([[p.gain * (1 - p.pan), p.gain * (1 + p.pan)] for p in patches])
        self._row = np.zeros(_VOICES, int)
        self._phase, self._pace, self._loud = (np.zeros(_VOICES) for _ in range(3))
        self._age = np.zeros(_VOICES)
        self._freed = np.full(_VOICES, np.inf)  # the age at which the key went up
        self._key: list[tuple[int, int] | None] = [None] * _VOICES
        self._alive = np.zeros(_VOICES, bool)
        self._drums = _drums()
        self._hits: list[tuple[Samples, int, float]] = []

    def play(self, data: bytes) -> None:
        """As `Synth` says."""
        kind, channel = data[0] & 0xF0, data[0] & 0x0F
        if kind == 0x90 and data[2]:
            self._begin(channel, data[1], data[2])
        elif kind in (0x80, 0x90):
            self._end((channel, data[1]))
        elif kind == 0xB0 and data[1] in (120, 123):
            for key in [key for key in self._key if key is not None and key[0] == channel]:
                self._end(key)

    def quiet(self) -> None:
        """As `Synth` says."""
        self._alive[:] = False
        self._key = [None] * _VOICES
        self._hits.clear()

    def _begin(self, channel: int, pitch: int, velocity: int) -> None:
        if channel == DRUM_CHANNEL:
            self._hits.append((self._drums[_kind_of(pitch)], 0, (velocity / 127) ** 1.5))
            return
        self._end((channel, pitch))
        free = np.flatnonzero(~self._alive)
        voice = int(free[0]) if free.size else int(self._age.argmax())
        self._row[voice] = self._channels.get(channel, 0)
        self._phase[voice] = self._age[voice] = 0
        self._pace[voice] = 440 * 2 ** ((pitch - 69) / 12) / RATE
        self._loud[voice] = (velocity / 127) ** 1.5
        self._freed[voice] = np.inf
        self._alive[voice] = True
        self._key[voice] = (channel, pitch)

    def _end(self, key: tuple[int, int]) -> None:
        if key in self._key:
            voice = self._key.index(key)
            self._freed[voice] = self._age[voice]
            self._key[voice] = None

    def render(self, frames: int) -> Samples:
        """As `Synth` says."""
        out = np.zeros((frames, 2))
        alive = np.flatnonzero(self._alive)
        if alive.size:
            self._tones(alive, out)
        self._strike(out)
        return np.tanh(out).astype(np.float32)

    def _tones(self, alive: NDArray[Any], out: NDArray[Any]) -> None:
        frames = len(out)
        along = np.arange(frames)
        row, age = self._row[alive], self._age[alive, None] + along
        attack, decay, sustain, release = (self._shape[row, column, None] for column in range(4))
        phase = self._phase[alive, None] + self._pace[alive, None] * along
        tone = self._tables[row[:, None], (phase % 1 * _TABLE).astype(int)]
        strength = np.minimum(age / attack, 1) * (sustain + (1 - sustain) * np.exp(-age / decay))
        freed = self._freed[alive, None]
        after = np.maximum(age - np.where(np.isinf(freed), age, freed), 0)
        strength *= np.exp(-after / release)
        voices = tone * strength * self._loud[alive, None]
        for side in (0, 1):
            out[:, side] += voices.T @ self._sides[row, side]
        self._phase[alive] = (phase[:, -1] + self._pace[alive]) % 1
        self._age[alive] += frames
        self._alive[alive] = after[:, -1] < 7 * release[:, 0]

    def _strike(self, out: NDArray[Any]) -> None:
        left = []
        for sample, at, loud in self._hits:
            piece = sample[at : at + len(out)]
            out[: len(piece)] += piece[:, None] * loud
            if at + len(out) < len(sample):
                left.append((sample, at + len(out), loud))
        self._hits = left


#: General MIDI drum pitches by the noise that stands for them; others are a tom
_KINDS = {
    "kick": (35, 36), "snare": (38, 40, 39), "closed": (42, 44), "open": (46, 49, 51, 52, 53, 55, 57, 59, 54),
    "high": (76, 37, 75, 56), "low": (77, 33, 34),
}  # fmt: skip


def _kind_of(pitch: int) -> str:
    return next((kind for kind, pitches in _KINDS.items() if pitch in pitches), "tom")


def _drums() -> dict[str, Samples]:
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


def render_messages(synth: Synth, messages: Iterable[tuple[int, bytes]], frames: int) -> Samples:
    """So many frames of (frame, message)s, which are sorted; those of the same frame in their order."""
    pieces: list[Samples] = []
    at = 0
    for when, data in messages:
        if when > at:
            pieces.append(synth.render(min(when, frames) - at))
            at = min(when, frames)
        synth.play(data)
    if at < frames:
        pieces.append(synth.render(frames - at))
    return np.concatenate(pieces) if pieces else np.zeros((0, 2), np.float32)
