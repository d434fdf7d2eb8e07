"""The keys of the hand that leads: which of what is played is chords, which is melody."""

from __future__ import annotations

from collections.abc import Callable

from daemon.harmony.hands import HandReader
from music import midi

#: (port, channel, pitch)
_Key = tuple[int, int, int]
#: fewer pitch classes than this at once are no chord where melody and chords share a keyboard
_FEWEST_IN_ALL = 3


class HandKeys:
    """Tells the keys of the leading hand from others in the messages of the player, and reads their chords.

    They are those below `split`, and those of `channel`. Without either, they are all keys, and only several at once
    make a chord.
    """

    def __init__(self, find_bar: Callable[[int], int], has_melody: Callable[[int, int], bool]) -> None:
        """find_bar: as `HandReader` takes it; has_melody: tells whether (channel, port) is listened to."""
        self.reader = HandReader(find_bar)
        self.reader.fewest = _FEWEST_IN_ALL
        self._has_melody = has_melody
        self._split, self._channel = 0, -1
        self._down: set[_Key] = set()
        self._pedals: set[tuple[int, int]] = set()  # (port, channel)

    @property
    def are_told_apart(self) -> bool:
        """True if the keys of the hand have a range or a channel of their own."""
        return self._split > 0 or self._channel >= 0

    def use(self, split: int, channel: int, *, holds: bool) -> None:
        """Let chords be the keys below `split` (0: none) and those of `channel` (0..15; -1: none) from now on.

        holds: a chord goes on when its keys are up.
        """
        self.reader.holds = holds
        if (split, channel) != (self._split, self._channel):
            self._split, self._channel = split, channel
            self.reader.fewest = 1 if self.are_told_apart else _FEWEST_IN_ALL
            self.release()

    def hear(self, tick: int, data: bytes, port: int) -> bool:
        """Take in a message that came at a tick; return True if another chord holds now."""
        if len(data) != 3 or data[0] < midi.NOTE_OFF or max(data[1:]) > 127:
            return False
        channel = midi.channel_of(data)
        if midi.is_note(data):
            return self._move_key(tick, (port, channel, data[1]), down=midi.is_note_on(data))
        if midi.kind_of(data) != midi.CONTROL_CHANGE:
            return False
        if data[1] == midi.PEDAL:
            return self._move_pedal(tick, (port, channel), down=midi.is_pedal_down(data))
        if data[1] == midi.RESET_CONTROLLERS:
            return self._move_pedal(tick, (port, channel), down=False)
        if data[1] == midi.ALL_SOUND_OFF or data[1] >= midi.ALL_NOTES_OFF:
            changed = False
            for key in [key for key in self._down if key[:2] == (port, channel)]:
                changed |= self._move_key(tick, key, down=False)
            return changed
        return False

    def release(self) -> None:
        """Take every key and pedal as up; the chord holds."""
        self._down.clear()
        self._pedals.clear()
        self.reader.drop_keys()

    def _move_key(self, tick: int, key: _Key, *, down: bool) -> bool:
        if not down:
            if key not in self._down:
                return False
            self._down.discard(key)
            return self.reader.release(tick, key, rings=key[:2] in self._pedals)
        if self._belongs(key):
            self._down.add(key)
            return self.reader.strike(tick, key, key[2])
        if self._has_melody(key[1], key[0]):
            self.reader.hear_elsewhere(tick, key[2])
        return False

    def _belongs(self, key: _Key) -> bool:
        port, channel, pitch = key
        if channel == self._channel:
            return True
        if not self._has_melody(channel, port):
            return False
        return pitch < self._split if self.are_told_apart else True

    def _move_pedal(self, tick: int, place: tuple[int, int], *, down: bool) -> bool:
        if down:
            self._pedals.add(place)
            return False
        if place not in self._pedals:
            return False
        self._pedals.discard(place)
        return not self._pedals and self.reader.damp(tick)
