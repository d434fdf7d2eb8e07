"""The melody tracker: finds the melody, in ticks, in the MIDI messages of the player.

The melody is the top voice of the keys that are down. The sustain pedal lengthens its notes until the next one begins.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from daemon.input.melody_channels import MelodyChannels
from music import midi
from music.note import TICKS_PER_BEAT, TICKS_PER_STEP, Note

#: a higher key this soon after a lower one is the top of the same chord; the lower key was no melody note
CHORD_SPREAD_TICKS = TICKS_PER_STEP // 2
#: a lower key struck at most this long before the top one is released was the next melody note, played legato
LEGATO_TICKS = TICKS_PER_BEAT // 2
#: a key down for longer than this no longer hides what is played below it: its note-off may have been lost
STUCK_TICKS = 16 * TICKS_PER_BEAT
#: keys are taken as up when no key and no pedal has moved for this long: nobody holds them, a note-off was lost
HELD_TICKS = 40 * TICKS_PER_BEAT

#: the level is a mean of the melody's velocities in which a note counts for so long: what pianists' accompaniments
#: follow best (models/LOG.md, Dynamics)
LEVEL_TICKS = 4 * TICKS_PER_BEAT

#: (port, channel)
Place = tuple[int, int]
#: (port, channel, pitch)
PlayedKey = tuple[int, int, int]


@dataclass(slots=True)
class SoundingNote:
    """The melody note that sounds."""

    start: int  #: tick
    key: PlayedKey
    velocity: int
    down: bool = True  #: False: its key is up, and the pedal holds it


class PlayingLevel:
    """Running mean of a melody's velocities over LEVEL_TICKS: how hard it is played."""

    def __init__(self) -> None:
        #: as a MIDI velocity; 0 before the first note
        self.velocity = 0.0
        self._tick = 0  # of the last note

    def add(self, tick: int, velocity: int) -> None:
        """Come nearer to a note's velocity, the more, the longer ago the note before it began."""
        known = math.exp(-max(0, tick - self._tick) / LEVEL_TICKS) if self.velocity else 0.0
        self.velocity = velocity + (self.velocity - velocity) * known
        self._tick = tick


class MelodyTracker:
    """Hears messages in time order, and keeps the melody until it is told to forget it.

    Keys are those of one port and channel. A pedal holds the keys of its own channel; on the manager channel of an MPE
    zone those of the zone; and on a channel that has no keys, as of a pedal with a cable of its own, all there are.
    """

    def __init__(self, split: int = 0, channels: MelodyChannels | None = None) -> None:
        """channels: those that are listened to; whoever owns them has them hear what changes them."""
        #: keys below this pitch (0..127) are no melody
        self.split = split
        self._channels = channels or MelodyChannels()
        self._level = PlayingLevel()
        self._past: deque[Note] = deque()
        self._down: dict[PlayedKey, tuple[int, int]] = {}  # key -> (tick, velocity)
        self._low: dict[PlayedKey, int] = {}  # key that is down below the split -> tick
        self._struck: set[Place] = set()  # where there have been keys, of melody or not
        self._pedals: set[Place] = set()  # where the sustain pedal is down
        self._top: SoundingNote | None = None
        self._last = -(1 << 62)  # tick of the last message
        self._moved = -(1 << 62)  # tick at which a key or a pedal has moved last
        self._newest = -(1 << 62)  # tick at which a key has gone down last
        self._silent_since: int | None = None  # but for keys that are taken as up
        self._played = False  # there has been a note

    def hear(self, tick: int, data: bytes, port: int = 0) -> bool:
        """Take in a MIDI message that came at `tick`; return True if a melody note began. Nonsense is ignored."""
        if len(data) != 3 or data[0] < midi.NOTE_OFF or data[1] > 127 or data[2] > 127:
            return False
        if tick < self._last:
            tick = self._last
        self._last = tick
        status = data[0]
        channel = status & 0x0F
        kind = status - channel
        if kind == midi.NOTE_ON and data[2]:
            self._struck.add((port, channel))
            return self._channels.has(channel, port) and self._strike(tick, (port, channel, data[1]), data[2])
        if kind in (midi.NOTE_ON, midi.NOTE_OFF):
            self._struck.add((port, channel))
            key = port, channel, data[1]
            if key in self._down or self._channels.has(channel, port):
                self._move(tick)
                self._key_up(tick, key)
        elif kind == midi.CONTROL_CHANGE:
            self._control(tick, port, channel, data)
        self._note_silence(tick)
        return False

    @property
    def level(self) -> float:
        """A velocity that says how hard the melody is played; 0 before its first note."""
        return self._level.velocity

    @property
    def newest_note(self) -> int | None:
        """The tick at which its newest note began; None before the first."""
        if self._top is not None:
            return self._top.start
        return self._past[-1].start if self._past else None

    def silent_since(self, tick: int) -> int | None:
        """Return the tick since which no key has been held and nothing has sounded, as of a tick.

        None before the first note, and while one sounds.
        """
        if not self._sounds:
            return self._silent_since
        stale = self._find_stale_tick()
        return stale if tick >= stale else None

    def _find_stale_tick(self) -> int:
        """Return the tick from which on what is down is no pause any less: it is not held, a note-off was lost.

        That is so when nothing has moved for very long; and sooner for one key alone, if the player has struck others
        since and let go of them: a chord that is held is more than that.
        """
        stale = self._moved + HELD_TICKS
        held = [*self._low.items(), *((key, start) for key, (start, _) in self._down.items())]
        if len(held) == 1 and (self._top is None or self._top.key == held[0][0]):
            start = held[0][1]
            if self._newest > start + CHORD_SPREAD_TICKS:
                return min(stale, max(start + STUCK_TICKS, self._moved))
        return stale

    def notes(self, since: int, heard: int) -> tuple[Note, ...]:
        """Return the melody notes that began before tick `heard` and sounded after tick `since`.

        One that still sounds at `heard` ends there.
        """
        found = [n for n in self._past if n.end > since and n.start < heard]
        if found and found[-1].end > heard:
            found[-1] = _note(found[-1].start, found[-1].pitch, heard, found[-1].velocity)
        top, end = self._top, min(heard, self._moved + HELD_TICKS)
        if top is not None and top.start < heard and end > since:
            found.append(_note(top.start, top.key[2], end, top.velocity))
        return tuple(found)

    def forget(self, before: int) -> None:
        """Forget the notes that ended by tick `before`."""
        while self._past and self._past[0].end <= before:
            self._past.popleft()

    def release(self, tick: int) -> None:
        """Take every key and pedal as up, as when the clock stops."""
        tick = max(tick, self._last)
        self._move(tick)
        self._pedals.clear()
        self._down.clear()
        self._low.clear()
        self._end_top(tick)
        self._note_silence(tick)

    def release_channels(self, tick: int, port: int, channels: Collection[int]) -> None:
        """Take every key of these channels of a port as up, and their pedals, too."""
        tick = max(tick, self._last)
        self._pedals -= {(port, channel) for channel in channels}
        self._release_keys(tick, port, channels)
        self._end_unless_held(tick)
        self._note_silence(tick)

    @property
    def _sounds(self) -> bool:
        return bool(self._down or self._low) or self._top is not None

    def _note_silence(self, tick: int) -> None:
        if self._sounds:
            self._silent_since = None
        elif self._silent_since is None and self._played:
            self._silent_since = tick

    def _move(self, tick: int) -> None:
        """Take note that the player moves; what has been down for too long by now is taken as up."""
        stale = self._moved + HELD_TICKS
        if tick >= stale and self._sounds:
            self._down.clear()
            self._low.clear()
            self._end_top(stale)
            self._silent_since = stale
        self._moved = tick

    def _strike(self, tick: int, key: PlayedKey, velocity: int) -> bool:
        """Take in that a key goes down; return True if a melody note began."""
        self._move(tick)
        self._played, self._newest, self._silent_since = True, tick, None
        if key in self._down:  # its off was lost
            self._key_up(tick, key)
        pitch = key[2]
        if pitch < self.split:
            self._low[key] = tick
            return False
        self._down[key] = (tick, velocity)
        top = self._top
        if top is not None:
            if top.down and pitch < top.key[2] and tick - top.start <= STUCK_TICKS:
                return False
            if top.down and tick - top.start < CHORD_SPREAD_TICKS and pitch > top.key[2]:
                self._top = None  # the lower part of a chord
            self._end_top(tick)
        self._begin_top(tick, key, velocity)
        self._level.add(tick, velocity)
        return True

    def _key_up(self, tick: int, key: PlayedKey) -> None:
        self._down.pop(key, None)
        self._low.pop(key, None)
        top = self._top
        if top is None or top.key != key or not top.down:
            return
        legato = self._find_legato_key(tick, top) if self._down else None
        if legato is not None:
            start, velocity = self._down[legato]
            self._end_top(start)
            self._begin_top(start, legato, velocity)
        else:
            top.down = False
            if not (self._pedals and self._is_held(key)):
                self._end_top(tick)

    def _find_legato_key(self, tick: int, top: SoundingNote) -> PlayedKey | None:
        """Return the key with which the melody goes on when the top one is released: the highest one just struck."""
        recent = [
            key
            for key, (start, _) in self._down.items()
            if start >= top.start + CHORD_SPREAD_TICKS and tick - start <= LEGATO_TICKS
        ]
        return max(recent, key=lambda key: key[2], default=None)

    def _control(self, tick: int, port: int, channel: int, data: bytes) -> None:
        number = data[1]
        if number == midi.PEDAL and midi.is_pedal_down(data):
            self._move(tick)
            self._pedals.add((port, channel))
        elif number in (midi.PEDAL, midi.RESET_CONTROLLERS):
            self._move(tick)
            reset = number == midi.RESET_CONTROLLERS
            channels = self._channels.list_governed(channel, port) if reset else (channel,)
            self._pedals -= {(port, each) for each in channels}
            self._end_unless_held(tick)
        elif number == midi.ALL_SOUND_OFF or number >= midi.ALL_NOTES_OFF:  # changes of mode end all notes, too
            channels = self._channels.list_governed(channel, port)
            self._release_keys(tick, port, channels)
            if number == midi.ALL_SOUND_OFF and self._top is not None and self._top.key[:2] in _places(port, channels):
                self._end_top(tick)
            self._end_unless_held(tick)

    def _release_keys(self, tick: int, port: int, channels: Collection[int]) -> None:
        """Take the keys of channels as up; a pedal may hold the note that sounds."""
        places = _places(port, channels)
        self._down = {key: struck for key, struck in self._down.items() if key[:2] not in places}
        self._low = {key: start for key, start in self._low.items() if key[:2] not in places}
        if self._top is not None and self._top.key[:2] in places:
            self._top.down = False

    def _end_unless_held(self, tick: int) -> None:
        """End the note that sounds though its key is up, unless a pedal holds it."""
        top = self._top
        if top is not None and not top.down and not self._is_held(top.key):
            self._end_top(tick)

    def _is_held(self, key: PlayedKey) -> bool:
        """Return True if a pedal that is down holds a key."""
        if not self._pedals:
            return False
        port, channel, _ = key
        if (port, channel) in self._pedals or (port, self._channels.find_manager(channel, port)) in self._pedals:
            return True
        return any(
            place not in self._struck and self._channels.find_manager(place[1], place[0]) is None
            for place in self._pedals
        )

    def _begin_top(self, tick: int, key: PlayedKey, velocity: int) -> None:
        """Begin a melody note; one that would reach into it ends where it begins."""
        past = self._past
        while past and past[-1].start >= tick:
            past.pop()
        if past and past[-1].end > tick:
            last = past.pop()
            past.append(_note(last.start, last.pitch, tick, last.velocity))
        self._top = SoundingNote(tick, key, velocity)

    def _end_top(self, tick: int) -> None:
        top, self._top = self._top, None
        if top is not None:
            self._past.append(_note(top.start, top.key[2], tick, top.velocity))


def _places(port: int, channels: Collection[int]) -> set[Place]:
    return {(port, channel) for channel in channels}


def _note(start: int, pitch: int, end: int, velocity: int) -> Note:
    return Note(start, pitch, end - start if end > start else 1, velocity)
