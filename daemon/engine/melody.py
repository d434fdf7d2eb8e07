"""The melody tracker: finds the melody, in ticks, in the MIDI messages of the player.

The melody is the top voice of the keys that are down. The sustain pedal lengthens its notes until the next one begins.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from music.midi import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    CONTROL_CHANGE,
    DRUM_CHANNEL,
    NOTE_OFF,
    NOTE_ON,
    PEDAL,
    RESET_CONTROLLERS,
    Key,
    channel_of,
    kind_of,
)
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Note

#: a higher key this soon after a lower one is the top of the same chord; the lower key was no melody note
CHORD_SPREAD_TICKS = TICKS_PER_STEP // 2
#: a lower key struck at most this long before the top one is released was the next melody note, played legato
LEGATO_TICKS = TICKS_PER_BEAT // 2
#: a key down for longer than this no longer hides what is played below it: its note-off may have been lost
STUCK_TICKS = 16 * TICKS_PER_BEAT


@dataclass(slots=True)
class SoundingNote:
    """The melody note that sounds."""

    start: int  #: tick
    key: Key
    velocity: int
    down: bool = True  #: False: its key is up, and the pedal holds it


class MelodyTracker:
    """Hears messages in time order, and keeps the melody until it is told to forget it."""

    def __init__(self, split: int = 0, channel: int | None = None) -> None:
        """Listen to one MIDI channel (0..15), or to all but the drums' if `channel` is None."""
        #: keys below this pitch (0..127) are no melody
        self.split = split
        #: the tick from which on no key was down and nothing sounded; None before the first note and while one sounds
        self.silent_since: int | None = None
        self._channel = channel
        #: how hard the melody is played: a running mean of its velocities, 0 before the first note
        self.level = 0.0
        self._past: deque[Note] = deque()
        self._down: dict[Key, tuple[int, int]] = {}  # key -> (tick, velocity)
        self._low: set[Key] = set()  # keys that are down below the split
        self._pedals: set[int] = set()  # channels whose sustain pedal is down
        self._top: SoundingNote | None = None
        self._last = -(1 << 62)  # tick of the last message
        self._played = False  # there has been a note

    def hear(self, tick: int, data: bytes) -> bool:
        """Take in a MIDI message that came at `tick`; return True if a melody note began. Nonsense is ignored."""
        if len(data) != 3 or data[0] < NOTE_OFF or data[1] > 127 or data[2] > 127:
            return False
        tick = self._last = max(tick, self._last)
        kind, channel = kind_of(data), channel_of(data)
        if channel == DRUM_CHANNEL or self._channel not in (None, channel):
            return False
        began = self._take(tick, kind, channel, data)
        if self._down or self._low or self._top is not None:
            self.silent_since = None
        elif kind in (NOTE_ON, NOTE_OFF, CONTROL_CHANGE) and self.silent_since is None and self._played:
            self.silent_since = tick
        return began

    def _take(self, tick: int, kind: int, channel: int, data: bytes) -> bool:
        if kind == NOTE_ON and data[2]:
            self._played = True
            return self._key_down(tick, (channel, data[1]), data[2])
        if kind in (NOTE_ON, NOTE_OFF):
            self._key_up(tick, (channel, data[1]))
        elif kind == CONTROL_CHANGE:
            self._control(tick, channel, data[1], data[2])
        return False

    def notes(self, since: int, heard: int) -> tuple[Note, ...]:
        """Return the melody notes that began before tick `heard` and sounded after tick `since`.

        One that still sounds at `heard` ends there.
        """
        found = [n for n in self._past if n.end > since and n.start < heard]
        if found and found[-1].end > heard:
            found[-1] = _note(found[-1].start, found[-1].pitch, heard, found[-1].velocity)
        if self._top is not None and self._top.start < heard:
            found.append(_note(self._top.start, self._top.key[1], heard, self._top.velocity))
        return tuple(found)

    def forget(self, before: int) -> None:
        """Forget the notes that ended by tick `before`."""
        while self._past and self._past[0].end <= before:
            self._past.popleft()

    def release(self, tick: int) -> None:
        """Take every key and pedal as up, as when an input is lost."""
        self._pedals.clear()
        self._down.clear()
        self._low.clear()
        self._end_top(max(tick, self._last))
        if self._played and self.silent_since is None:
            self.silent_since = max(tick, self._last)

    def _key_down(self, tick: int, key: Key, velocity: int) -> bool:
        if key in self._down:  # its off was lost
            self._key_up(tick, key)
        if key[1] < self.split:
            self._low.add(key)
            return False
        self._down[key] = (tick, velocity)
        top = self._top
        if top is not None and top.down and key[1] < top.key[1] and tick - top.start <= STUCK_TICKS:
            return False
        if top is not None and top.down and tick - top.start < CHORD_SPREAD_TICKS and key[1] > top.key[1]:
            self._top = None  # the lower part of a chord
        self._end_top(tick)
        self._begin_top(tick, key, velocity)
        self.level += (velocity - self.level) / 8 if self.level else velocity
        return True

    def _key_up(self, tick: int, key: Key) -> None:
        self._down.pop(key, None)
        self._low.discard(key)
        top = self._top
        if top is None or top.key != key or not top.down:
            return
        legato = self._find_legato_key(tick, top)
        if legato is not None:
            start, velocity = self._down[legato]
            self._end_top(start)
            self._begin_top(start, legato, velocity)
        elif key[0] in self._pedals:
            top.down = False
        else:
            self._end_top(tick)

    def _find_legato_key(self, tick: int, top: SoundingNote) -> Key | None:
        """Return the key with which the melody goes on when the top one is released: the highest one just struck."""
        recent = [
            key
            for key, (start, _) in self._down.items()
            if start >= top.start + CHORD_SPREAD_TICKS and tick - start <= LEGATO_TICKS
        ]
        return max(recent, key=lambda key: key[1], default=None)

    def _control(self, tick: int, channel: int, number: int, value: int) -> None:
        if number == PEDAL and value >= 64:
            self._pedals.add(channel)
        elif number in (PEDAL, RESET_CONTROLLERS):
            self._pedals.discard(channel)
            if self._top is not None and not self._top.down and self._top.key[0] == channel:
                self._end_top(tick)
        elif number in (ALL_SOUND_OFF, ALL_NOTES_OFF):
            self._pedals.discard(channel)
            self._down = {key: struck for key, struck in self._down.items() if key[0] != channel}
            self._low = {key for key in self._low if key[0] != channel}
            if self._top is not None and self._top.key[0] == channel:
                self._end_top(tick)

    def _begin_top(self, tick: int, key: Key, velocity: int) -> None:
        """Begin a melody note; one that would reach into it ends where it begins."""
        while self._past and self._past[-1].start >= tick:
            self._past.pop()
        if self._past and self._past[-1].end > tick:
            last = self._past.pop()
            self._past.append(_note(last.start, last.pitch, tick, last.velocity))
        self._top = SoundingNote(tick, key, velocity)

    def _end_top(self, tick: int) -> None:
        if self._top is not None:
            self._past.append(_note(self._top.start, self._top.key[1], tick, self._top.velocity))
            self._top = None


def _note(start: int, pitch: int, end: int, velocity: int) -> Note:
    return Note(start, pitch, max(1, end - start), velocity)
