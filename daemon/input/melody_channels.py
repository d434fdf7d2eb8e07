"""MIDI channels on which the melody is played, and the zones that MPE (MIDI Polyphonic Expression) makes of them.

An MPE instrument plays every note on a channel of its own, a member of a zone, and says on the zone's manager channel
what concerns all of them, such as the sustain pedal. It announces the zone by Registered Parameter 6 on the manager
channel: 1 manages the channels above it, 16 those below it.
"""

from __future__ import annotations

from dataclasses import dataclass

from music import midi

#: the channels that can manage a zone, 0..15
LOWER_MANAGER, UPPER_MANAGER = 0, midi.CHANNEL_COUNT - 1
#: the number of channels that both zones together can have as members
MAX_MEMBERS = midi.CHANNEL_COUNT - 2
#: the Registered Parameter (most and least significant 7 bits) that announces a zone
_MPE_CONFIGURATION = (0, 6)
_RESET, _NO_CHANNELS = bytes((midi.SYSTEM_RESET,)), range(0)


@dataclass(slots=True)
class _Source:
    """A port's zones, and what it is about to set."""

    lower: int = 0  #: member channels of the zone that channel 1 manages
    upper: int = 0  #: and of the one that channel 16 does
    #: manager channel -> the Registered Parameter that it has chosen; None for one that is not registered
    parameters: dict[int, tuple[int | None, int | None]] | None = None


class MelodyChannels:
    """Knows on which channels a melody is heard, by port.

    That is the one which the player has named, together with its zone if it manages one; else all but the drums'
    channel, and that too if it is part of a zone.
    """

    def __init__(self, only: int | None = None) -> None:
        """only: the channel (0..15) that the player has named, None for none."""
        self._only = only
        #: the channel (0..15) on which chords are played, and no melody; -1: none
        self.chords = -1
        self._sources: dict[int, _Source] = {}

    def hear(self, data: bytes, port: int = 0) -> range:
        """Take in a message; return the channels that it has reset, which have no notes then."""
        if len(data) != 3:
            if data != _RESET:
                return _NO_CHANNELS
            self._sources.pop(port, None)
            return range(midi.CHANNEL_COUNT)
        status, number, value = data
        channel = status & 0x0F
        if status - channel != midi.CONTROL_CHANGE or number not in midi.PARAMETER_CONTROLLERS:
            return _NO_CHANNELS
        if channel not in (LOWER_MANAGER, UPPER_MANAGER):
            return _NO_CHANNELS
        source = self._sources.setdefault(port, _Source())
        chosen = source.parameters = source.parameters or {}
        high, low = chosen.get(channel, (None, None))
        if number == midi.DATA_ENTRY and (high, low) == _MPE_CONFIGURATION and value < midi.CHANNEL_COUNT:
            return _change(source, channel, value)
        match number:
            case midi.REGISTERED_PARAMETER_HIGH:
                chosen[channel] = value, low
            case midi.REGISTERED_PARAMETER_LOW:
                chosen[channel] = high, value
            case midi.OTHER_PARAMETER_HIGH | midi.OTHER_PARAMETER_LOW:
                chosen[channel] = None, None
        return _NO_CHANNELS

    def has(self, channel: int, port: int = 0) -> bool:
        """Return True if what is played on this channel is melody."""
        if channel == self.chords:
            return False
        if self._only is not None:
            return self._only in (channel, self.find_manager(channel, port))
        return channel != midi.DRUM_CHANNEL or self.find_manager(channel, port) is not None

    def has_been_chosen(self, channel: int, port: int = 0) -> bool:
        """Return True if it is for certain that this channel has melody: the player has said so, or MPE does."""
        return self.has(channel, port) and (self._only == channel or self.find_manager(channel, port) is not None)

    def find_manager(self, channel: int, port: int = 0) -> int | None:
        """Return the manager of the zone that a channel belongs to, which may be itself; None for no zone."""
        source = self._sources.get(port) or self._sources.get(0)
        if source is None:
            return None
        if source.lower and channel <= source.lower:
            return LOWER_MANAGER
        return UPPER_MANAGER if source.upper and channel >= UPPER_MANAGER - source.upper else None

    def list_governed(self, channel: int, port: int = 0) -> range:
        """Return the channels that a message on this one concerns: its zone's, if it is the manager, else itself."""
        source = self._sources.get(port) or self._sources.get(0)
        if source is not None and source.lower and channel == LOWER_MANAGER:
            return range(source.lower + 1)
        if source is not None and source.upper and channel == UPPER_MANAGER:
            return range(UPPER_MANAGER - source.upper, midi.CHANNEL_COUNT)
        return range(channel, channel + 1)


def _change(source: _Source, manager: int, members: int) -> range:
    """Give a zone so many member channels, which the other one loses; return the channels that this concerns."""
    if manager == LOWER_MANAGER:
        concerned = range(max(source.lower, members) + 1)
        source.lower, source.upper = members, min(source.upper, max(0, MAX_MEMBERS - members))
    else:
        concerned = range(UPPER_MANAGER - max(source.upper, members), midi.CHANNEL_COUNT)
        source.upper, source.lower = members, min(source.lower, max(0, MAX_MEMBERS - members))
    return concerned
