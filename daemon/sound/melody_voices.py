"""Channels of the synthesiser for what the player plays: one for all, and for each member of an MPE zone its own.

So the pitch bend, the pressure and the timbre of a note on a member channel concern that note alone.
"""

from __future__ import annotations

from daemon.input.melody_channels import MelodyChannels
from music import midi
from music.midi import Key
from music.note import CHANNELS, HAND_SOUND_CHANNEL, MELODY

MELODY_CHANNEL = CHANNELS[MELODY]
#: the synthesiser's channels that nobody else uses
FREE_CHANNELS = tuple(set(range(midi.CHANNEL_COUNT)) - {*CHANNELS.values(), HAND_SOUND_CHANNEL})
#: semitones that a member channel's pitch bend covers up or down, by the MPE standard
MEMBER_BEND_SEMITONES = 48


class MelodyVoices:
    """Moves channel messages to the synthesiser's channels. Of equal keys that meet on one, the last ends the note."""

    def __init__(self) -> None:
        self._channels = MelodyChannels()
        self._voices: dict[int, int] = {}  # member channel -> the synthesiser's, the one used least lately first
        self._holders: dict[Key, set[int]] = {}  # the synthesiser's key -> channels on which it is down

    def pass_on(self, data: bytes) -> list[bytes]:
        """Return the messages for the synthesiser that a message of the player makes."""
        self._channels.hear(data)
        if not data or midi.is_system(data) or midi.kind_of(data) == midi.PROGRAM_CHANGE:
            return []
        channel = midi.channel_of(data)
        if not midi.is_note(data):
            return [midi.with_channel(data, voice) for voice in self._find_concerned(channel, data)]
        opening = self._open_voice(channel) if midi.is_note_on(data) else []
        voice = self._voices.get(channel, MELODY_CHANNEL)
        holders = self._holders.setdefault((voice, data[1]), set())
        if midi.is_note_on(data):
            holders.add(channel)
        else:
            holders.discard(channel)
        return opening if holders and not midi.is_note_on(data) else [*opening, midi.with_channel(data, voice)]

    def _find_concerned(self, channel: int, data: bytes) -> list[int]:
        """Return the synthesiser's channels that a message, which is no note, is for."""
        governed = self._channels.list_governed(channel)
        own = self._voices.get(channel, MELODY_CHANNEL)
        if len(governed) == 1 or midi.kind_of(data) == midi.PITCH_BEND:  # the members have a bend of their own
            return [own]
        return [own, *(voice for member, voice in self._voices.items() if member in governed and voice != own)]

    def _open_voice(self, channel: int) -> list[bytes]:
        """Give a member channel that begins a note a channel of the synthesiser; return what sets that up."""
        manager = self._channels.find_manager(channel)
        if manager is None or manager == channel:
            return self._close_voice(channel)
        if channel in self._voices:
            self._voices[channel] = self._voices.pop(channel)
            return []
        used = set(self._voices.values())
        ends = self._close_voice(next(iter(self._voices))) if len(used) == len(FREE_CHANNELS) else []
        voice = next(free for free in FREE_CHANNELS if free not in set(self._voices.values()))
        self._voices[channel] = voice
        numbers = midi.REGISTERED_PARAMETER_HIGH, midi.REGISTERED_PARAMETER_LOW, midi.DATA_ENTRY
        values = 0, 0, MEMBER_BEND_SEMITONES  # Registered Parameter 0 is the range of pitch bend
        return ends + [midi.control_change(voice, number, value) for number, value in zip(numbers, values, strict=True)]

    def _close_voice(self, channel: int) -> list[bytes]:
        """Take a member's channel of the synthesiser away; return what ends the notes that sound there."""
        voice = self._voices.pop(channel, None)
        sounding = [key for key, holders in self._holders.items() if key[0] == voice and holders]
        for key in sounding:
            del self._holders[key]
        return [midi.note_off(*key) for key in sounding]
