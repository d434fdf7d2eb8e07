"""The balance of a mix: how loud each role is beside the melody, which is to be heard above the band."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from daemon.core.settings import Settings
from daemon.sound.loudness import measure_loudness
from daemon.sound.synth import RATE, Synth, render_messages
from music.midi import DRUM_CHANNEL, note_off, note_on
from music.note import CHANNELS, EDITS, HAND, HAND_SOUND_CHANNEL, MELODY

#: loudness of each role, in LU against the melody's, where its level is 1
BALANCE_LU = {
    MELODY: 0.0,
    HAND: -4.0,
    "bass": -4.0,
    "drums": -4.5,
    "chords": -5.0,
    "pad": -8.0,
    EDITS: -4.0,
    "click": -8.0,
}
#: loudness of the mix, as far as its peaks allow it
MIX_LUFS = -16.0
#: highest sample of the mix and of every stem
MAX_PEAK = 10 ** (-1 / 20)
#: the most that a role is made louder or softer: a role that is hardly there is not to be blown up
_MAX_GAIN_DB = 40.0

_CHANNEL_ROLES = {**CHANNELS, HAND: HAND_SOUND_CHANNEL}
#: what each role typically plays: pitches that sound together, and their velocity
_TYPICAL = {
    MELODY: ((72,), 90),
    HAND: ((48, 52, 55), 75),
    "bass": ((36,), 85),
    "chords": ((60, 64, 67), 75),
    "pad": ((60, 64, 67), 65),
    EDITS: ((72,), 90),
}
_TYPICAL_DRUMS = ((36, 42), (42,), (38, 42), (42,))
#: length of a note of these, and how many of them are measured
_NOTE_FRAMES, _NOTE_COUNT = RATE // 4, 6


def find_gains(loudness: Mapping[str, float], settings: Settings, velocity_exponent: float) -> dict[str, float]:
    """Return the factor for each role's samples that lets it be as loud beside the melody as it should be.

    loudness: role -> LUFS as it was played; settings: with the levels that it was played with, which stay; a role that
    cannot be measured is not changed. velocity_exponent: the power of a velocity that samples grow with.
    """
    gains: dict[str, float] = {}
    for role, measured in loudness.items():
        level = settings.levels.get(role, 1.0)
        if math.isinf(measured) or not level:
            gains[role] = 1.0
            continue
        wanted = MIX_LUFS + BALANCE_LU[role] + 20 * velocity_exponent * math.log10(level)
        gains[role] = 10 ** (max(-_MAX_GAIN_DB, min(_MAX_GAIN_DB, wanted - measured)) / 20)
    return gains


def balance_channels(synth: Synth) -> None:
    """Set the synthesiser's channels so that what the roles typically play is in balance; nothing sounds afterwards."""
    loudness = {role: measure_loudness(_play_typically(synth, role)) for role in _CHANNEL_ROLES}
    gains = find_gains(loudness, Settings(), synth.velocity_exponent)
    loudest = max(gains.values())
    for role, channel in _CHANNEL_ROLES.items():
        synth.set_gain(channel, gains[role] / loudest)
    synth.silence()


def _play_typically(synth: Synth, role: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the sound of what a role typically plays."""
    channel, messages = _CHANNEL_ROLES[role], list[tuple[int, bytes]]()
    for number in range(_NOTE_COUNT):
        drums = _TYPICAL_DRUMS[number % len(_TYPICAL_DRUMS)]
        pitches, velocity = (drums, 90) if channel == DRUM_CHANNEL else _TYPICAL[role]
        at = number * _NOTE_FRAMES
        messages += [(at, note_on(channel, pitch, velocity)) for pitch in pitches]
        messages += [(at + _NOTE_FRAMES * 4 // 5, note_off(channel, pitch)) for pitch in pitches]
    messages.sort(key=lambda each: each[0])
    samples = render_messages(synth, messages, _NOTE_COUNT * _NOTE_FRAMES)
    synth.silence()
    synth.render(RATE // 8)
    return samples
