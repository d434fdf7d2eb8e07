"""Soundfonts played by the system's fluidsynth; and the choice between it and the built-in synthesiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from daemon.sound.builtin_synth import BuiltInSynth
from daemon.sound.soundfont import SoundFontError, find_soundfont
from daemon.sound.synth import RATE, Samples, Synth
from music import midi
from music.note import CHANNELS, HAND_SOUND_CHANNEL, MELODY

#: General MIDI programs (0..127) that channels begin with: piano (both hands), fingered bass, electric piano, warm pad
PROGRAMS = {
    CHANNELS[MELODY]: 0,
    HAND_SOUND_CHANNEL: 0,
    CHANNELS["bass"]: 33,
    CHANNELS["chords"]: 4,
    CHANNELS["pad"]: 89,
}


def open_synth(soundfont: str | Path | None = None) -> Synth:
    """Return fluidsynth on the named soundfont, or on one in the usual places; else the built-in synthesiser.

    Raises SoundFontError for a soundfont that was named and cannot be played.
    """
    path = find_soundfont(soundfont)
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
    """The system's fluidsynth through pyfluidsynth."""

    velocity_exponent = 2.0  # as SoundFont 2 has it

    def __init__(self, path: Path) -> None:
        """Load a soundfont. Raises ImportError without pyfluidsynth, SoundFontError for a broken file."""
        import fluidsynth

        self.name = f"fluidsynth, {path.name}"
        self._synth: Any = fluidsynth.Synth(gain=0.8, samplerate=float(RATE))
        font = self._synth.sfload(str(path), 1)  # every channel gets an instrument, the tenth drums
        if font < 0:
            raise SoundFontError(f"{path}: fluidsynth cannot load it")
        for channel, program in PROGRAMS.items():
            self._synth.program_select(channel, font, 0, program)

    def play(self, data: bytes) -> None:
        """Take one MIDI message, which holds from the next sample on."""
        kind, channel = midi.kind_of(data), midi.channel_of(data)
        if midi.is_note_on(data):
            self._synth.noteon(channel, data[1], data[2])
        elif midi.is_note_off(data):
            self._synth.noteoff(channel, data[1])
        elif kind == midi.CONTROL_CHANGE:
            self._synth.cc(channel, data[1], data[2])
        elif kind == midi.PROGRAM_CHANGE:
            self._synth.program_change(channel, data[1])
        elif kind == midi.PITCH_BEND:
            self._synth.pitch_bend(channel, (data[1] | data[2] << 7) - 8192)

    def render(self, frames: int) -> Samples:
        """Return the next samples, of shape (frames, 2)."""
        samples = self._synth.get_samples(frames)
        return np.asarray(samples, np.float32).reshape(-1, 2) / np.float32(32768)

    def set_gain(self, channel: int, gain: float) -> None:
        """Multiply what a channel plays by a factor of at most 1: by its volume, of which that is the square."""
        self._synth.cc(channel, midi.VOLUME, round(127 * min(1.0, gain) ** 0.5))

    def silence(self) -> None:
        """End everything that sounds."""
        for channel in range(16):
            self._synth.cc(channel, 120, 0)
