"""The keys of the hand that leads: which of what is played is chords, which is melody."""

from __future__ import annotations

from collections.abc import Callable

from daemon.harmony.hand_split import HandSplit
from daemon.harmony.hands import MAX_BLOCK, MAX_KEYS, HandReader
from music import midi

#: (port, channel, pitch)
_Key = tuple[int, int, int]
#: fewer pitch classes than this at once are no chord where melody and chords share a keyboard and no left hand shows
_FEWEST_IN_ALL = 3


class HandKeys:
    """Tells the keys of the leading hand from others in the messages of the player, and reads their chords.

    They are those below `split`, and those of `channel`. Without either, they are those of the left hand as soon as one
    shows; until then they are all keys, and only several at once make a chord.
    """

    def __init__(self, find_bar: Callable[[int], int], has_melody: Callable[[int, int], bool]) -> None:
        """find_bar: as `HandReader` takes it; has_melody: tells whether (channel, port) is listened to."""
        self.reader = HandReader(find_bar)
        self.reader.fewest = _FEWEST_IN_ALL
        self._has_melody = has_melody
        self._split, self._channel = 0, -1
        self._hands = HandSplit()
        self._shared_split = 0  # where the left hand ends that has shown; 0: none has
        self._down: dict[_Key, int] = {}  # keys that are down and may be the hand's, oldest first -> tick
        self._pedals: set[tuple[int, int]] = set()  # (port, channel)

    @property
    def are_told_apart(self) -> bool:
        """True if the keys of the hand have a range or a channel of their own."""
        return self._split > 0 or self._channel >= 0

    @property
    def split(self) -> int:
        """The pitch below which keys are the hand's, as it is set or has shown; 0 where there is none."""
        return self._split or self._shared_split

    def use(self, split: int, channel: int, *, holds: bool) -> None:
        """Let chords be the keys below `split` (0: none) and those of `channel` (0..15; -1: none) from now on.

        holds: a chord goes on when its keys are up.
        """
        self.reader.holds = holds
        if (split, channel) != (self._split, self._channel):
            self._split, self._channel = split, channel
            self.release()
            self._hands.forget()
            self._share(0)

    def hear(self, tick: int, data: bytes, port: int) -> bool:
        """Take in a message that came at a tick; return True if another chord holds now."""
        if len(data) != 3 or data[0] < midi.NOTE_OFF or data[1] > 127 or data[2] > 127:
            return False
        status, number, value = data
        channel = status & 0x0F
        kind = status - channel
        if kind == midi.NOTE_ON and value:
            return self._strike(tick, (port, channel, number))
        if kind in (midi.NOTE_ON, midi.NOTE_OFF):
            return self._release_key(tick, (port, channel, number))
        if kind != midi.CONTROL_CHANGE:
            return False
        if number == midi.PEDAL:
            return self._move_pedal(tick, (port, channel), down=midi.is_pedal_down(data))
        if number == midi.RESET_CONTROLLERS:
            return self._move_pedal(tick, (port, channel), down=False)
        if number == midi.ALL_SOUND_OFF or number >= midi.ALL_NOTES_OFF:
            changed = False
            for key in [key for key in self._down if key[:2] == (port, channel)]:
                changed |= self._release_key(tick, key)
            return changed
        return False

    def release(self) -> None:
        """Take every key and pedal as up; the chord holds."""
        self._down.clear()
        self._pedals.clear()
        self.reader.drop_keys()

    def forget(self, tick: int) -> None:
        """Let what holds begin at a tick, and forget all before, as where bar 1 moves."""
        self.reader.forget(tick)
        self._hands.move(tick)
        self._down = dict.fromkeys(self._down, tick)

    def begin_song(self, tick: int) -> None:
        """Let a chord whose keys are down begin at a tick, at which another song begins, and forget all before."""
        self.forget(tick)
        if not self.reader.is_down:
            self.reader.chords.clear()
            self.reader.struck_at = None

    def _strike(self, tick: int, key: _Key) -> bool:
        port, channel, pitch = key
        is_melody = self._has_melody(channel, port)
        if self._split or self._channel >= 0:
            is_hand = channel == self._channel or (is_melody and pitch < self._split)
            if not is_hand:
                return is_melody and self.reader.hear_elsewhere(tick, pitch)
        elif is_melody:
            self._find_hand(tick, pitch)
            is_hand = not self._shared_split or pitch < self._shared_split
        else:
            return False
        down = self._down
        down.pop(key, None)
        down[key] = tick
        if len(down) > MAX_KEYS:
            del down[next(iter(down))]
        return self.reader.strike(tick, key, pitch) if is_hand else self.reader.hear_elsewhere(tick, pitch)

    def _release_key(self, tick: int, key: _Key) -> bool:
        if self._down.pop(key, None) is None or not self.reader.has_key(key):
            return False
        return self.reader.release(tick, key, rings=bool(self._pedals) and key[:2] in self._pedals)

    def _find_hand(self, tick: int, pitch: int) -> None:
        """See, before a key goes down, where the left hand ends; if it has just shown, or has long not, change over."""
        if self._down and len(self._down) < MAX_BLOCK:
            self._hands.strike(tick, pitch, [(key[2], at) for key, at in self._down.items()])
        split = self._hands.find(tick)
        if bool(split) != bool(self._shared_split):
            self._share(split)
            for key, at in self._down.items():
                if not split or key[2] < split:
                    self.reader.hold(at, key, key[2])
        self._shared_split = split

    def _share(self, split: int) -> None:
        """Let the hand's keys be those below a split from now on, as it has shown; 0: all, where none is set."""
        self._shared_split = split
        self.reader.drop_keys()
        self.reader.shares = split > 0
        self.reader.fewest = 1 if split or self.are_told_apart else _FEWEST_IN_ALL

    def _move_pedal(self, tick: int, place: tuple[int, int], *, down: bool) -> bool:
        if down:
            self._pedals.add(place)
            return False
        if place not in self._pedals:
            return False
        self._pedals.discard(place)
        return not self._pedals and self.reader.damp(tick)
