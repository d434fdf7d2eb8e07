"""Sound of the player's own notes: the melody and the left hand, each with level, mute and pitch of its own.

The left hand is what comes on `chord_channel`, or lies below `split`.
"""

from __future__ import annotations

from typing import NamedTuple

from daemon.core.settings import Settings
from daemon.sound.melody_voices import MELODY_CHANNEL, MelodyVoices
from music import midi
from music.midi import Key
from music.note import HAND, HAND_SOUND_CHANNEL, MELODY, fit_pitch

_CHANNELS = {MELODY: MELODY_CHANNEL, HAND: HAND_SOUND_CHANNEL}


class _HeardKey(NamedTuple):
    """A key that is down, and what sounds for it."""

    role: str
    pitch: int


class PlayerSound:
    """Turns messages of the player into those for the synthesiser. A note ends where it began, whatever is set."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self._settings = settings
        self._voices = MelodyVoices()
        self._keys: dict[Key, _HeardKey] = {}  # the player's channel and pitch -> what sounds

    def use(self, settings: Settings) -> list[bytes]:
        """Sound by these settings from now on; return what ends the roles that are muted now."""
        if settings is self._settings:
            return []
        before, self._settings = self._settings, settings
        messages: list[bytes] = []
        for role, channel in _CHANNELS.items():
            if _is_silent(settings, role) and not _is_silent(before, role):
                for key in [key for key, heard in self._keys.items() if heard.role == role]:
                    messages += self._end(key, midi.note_off(*key))
                messages.append(midi.control_change(channel, midi.ALL_SOUND_OFF, 0))
        return messages

    def pass_on(self, data: bytes) -> list[bytes]:
        """Return the messages for the synthesiser that a message of the player makes."""
        if not data or midi.is_system(data):
            return self._voices.pass_on(data)
        if midi.is_note_on(data):
            return self._begin(midi.key_of(data), data)
        if midi.is_note(data):
            return self._end(midi.key_of(data), data)
        settings, is_program = self._settings, midi.kind_of(data) == midi.PROGRAM_CHANGE
        if midi.channel_of(data) == settings.chord_channel - 1:
            return [] if is_program else [midi.with_channel(data, HAND_SOUND_CHANNEL)]
        both = settings.split and not is_program  # hands that share a keyboard share its pedals and wheels
        return self._voices.pass_on(data) + ([midi.with_channel(data, HAND_SOUND_CHANNEL)] if both else [])

    def _begin(self, key: Key, data: bytes) -> list[bytes]:
        settings = self._settings
        is_left = key[0] == settings.chord_channel - 1 or key[1] < settings.split
        role = HAND if is_left else MELODY
        ends = self._end(key, midi.note_off(*key)) if key in self._keys else []
        if _is_silent(settings, role):
            return ends
        pitch = fit_pitch(key[1] + settings.find_shift(role))
        velocity = min(127, max(1, round(data[2] * settings.levels.get(role, 1.0))))
        self._keys[key] = _HeardKey(role, pitch)
        return ends + self._pass_note(role, midi.note_on(key[0], pitch, velocity))

    def _end(self, key: Key, data: bytes) -> list[bytes]:
        heard = self._keys.pop(key, None)
        return [] if heard is None else self._pass_note(heard.role, bytes((data[0], heard.pitch, data[2])))

    def _pass_note(self, role: str, data: bytes) -> list[bytes]:
        return [midi.with_channel(data, HAND_SOUND_CHANNEL)] if role == HAND else self._voices.pass_on(data)


def _is_silent(settings: Settings, role: str) -> bool:
    return role in settings.muted or settings.levels.get(role, 1.0) == 0
