"""Reading the chords of a hand as it plays them: struck together, broken over a beat, or as single bass notes.

A chord holds until another is played. Notes that pass by change nothing: what may be one waits until it has been held
for a while, or until others come that make a chord with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice

from daemon.harmony.chord_reading import ReadChord, read_chord
from music.encoding.chord_evidence import pack_tones
from music.note import PITCH_CLASSES, TICKS_PER_BEAT, TICKS_PER_STEP, round_to_step

#: (tick, pitch) of a key that went down
_Strike = tuple[int, int]

#: ticks within which keys are struck together
SPREAD_TICKS = TICKS_PER_STEP // 2
#: ticks that a note must stay which may only be passing: longer than an eighth
PASSING_TICKS = 15
#: beats without two keys at once after which single notes are taken for the roots of chords
SINGLE_NOTE_BEATS = 8
#: ticks for which what was played elsewhere tells the third of a chord that has none
CONTEXT_TICKS = 4 * TICKS_PER_BEAT
#: one key that is down for longer than that, while others are struck, is none of a chord: its note-off was lost
STALE_TICKS = 16 * TICKS_PER_BEAT
#: notes that are remembered, of the hand and of others: more in the last beats are no hands, and must cost no more
MAX_STRIKES = 64
#: keys that are down at once, and notes that are struck together: more are no hands, either
MAX_KEYS, MAX_BLOCK = 32, 12
#: chords among which the third of a single note is looked for
MEMORY_CHORDS = 8
#: chords that are remembered
MAX_CHORDS = 256
MAJOR_THIRD = 4
#: tones of the major and minor triads
_TRIADS = {pack_tones((root, root + third, root + 7)) for root in range(PITCH_CLASSES) for third in (3, 4)}


@dataclass(slots=True)
class PlayedChord:
    """A chord that a hand has played."""

    start: int  #: tick, of a step
    chord: ReadChord | None  #: None: from here on there is none


class HandReader:
    """Knows the chord that a hand plays, and those before. Is told of keys in the order of their ticks."""

    def __init__(self, find_bar: Callable[[int], int]) -> None:
        """find_bar: returns the tick at which the bar of a tick begins."""
        #: the chords, oldest first; the last one holds
        self.chords: deque[PlayedChord] = deque(maxlen=MAX_CHORDS)
        #: tick at which the hand struck last; None before it did
        self.struck_at: int | None = None
        #: tick at which a key or the pedal went up last
        self.released_at = -(1 << 62)
        #: fewer pitch classes than that make no chord: the hand plays melody, too
        self.fewest = 1
        #: a chord holds when its keys are up
        self.holds = True
        #: notes of others that are struck with the hand's are tones of its chord, but for the highest: the melody
        self.shares = False
        self._find_bar = find_bar
        self._down: dict[Hashable, tuple[int, int]] = {}  # key -> (tick, pitch)
        self._ringing: dict[Hashable, tuple[int, int]] = {}  # keys that are up, and held by a pedal
        self._strikes: deque[_Strike] = deque(maxlen=MAX_STRIKES)  # of the last beats
        self._elsewhere: deque[_Strike] = deque(maxlen=MAX_STRIKES)  # and of what others have played
        self._together_at = -(1 << 62)  # the tick at which two keys were struck together last
        self._pending: tuple[int, int, ReadChord] | None = None  # until when it must stay, its start, the chord

    @property
    def current(self) -> ReadChord | None:
        """The chord that holds."""
        return self.chords[-1].chord if self.chords else None

    @property
    def is_down(self) -> bool:
        """Tell whether the hand has keys down, or a pedal holds some: as many as a chord has."""
        return len(self._down) + len(self._ringing) >= self.fewest

    def has_key(self, key: Hashable) -> bool:
        """Tell whether a key of the hand is down."""
        return key in self._down

    def hear_elsewhere(self, tick: int, pitch: int) -> bool:
        """Take in a note that is not the hand's: it may tell the third of a chord. Return True if another holds now."""
        self._elsewhere.append((tick, pitch))
        _forget(self._elsewhere, tick - CONTEXT_TICKS)
        if not self.shares or not self._strikes or self._strikes[-1][0] < tick - SPREAD_TICKS:
            return False
        block = _list_recent(self._strikes, tick - SPREAD_TICKS, MAX_BLOCK + 1)
        if _add_others(block, _list_recent(self._elsewhere, tick - SPREAD_TICKS, MAX_BLOCK)) is block:
            return False  # they make no chord
        changed = self.advance(tick)
        return self._read(tick) or changed

    def hold(self, tick: int, key: Hashable, pitch: int) -> None:
        """Take in that a key is the hand's which has been down since a tick, and has been heard."""
        self._down[key] = tick, pitch

    def strike(self, tick: int, key: Hashable, pitch: int) -> bool:
        """Take in that a key goes down; return True if another chord holds now."""
        changed = self._pending is not None and self.advance(tick)
        down, strikes = self._down, self._strikes
        if down and tick - next(iter(down.values()))[0] > STALE_TICKS:
            self._drop_stale_key(tick)
        if self.fewest == 1:
            self.struck_at = tick
        if self._ringing:
            self._ringing.pop(key, None)
        down.pop(key, None)
        down[key] = tick, pitch
        if len(down) > MAX_KEYS:
            del down[next(iter(down))]
        strikes.append((tick, pitch))
        if strikes[0][0] < tick - 2 * TICKS_PER_BEAT:
            _forget(strikes, tick - 2 * TICKS_PER_BEAT)
        self._pending = None
        return self._read(tick) or changed

    def _drop_stale_key(self, tick: int) -> None:
        """Take a key as up that alone has been down for very long; several are a chord that is held."""
        oldest = list(islice(self._down.items(), 2))
        if [tick - at > STALE_TICKS for _, (at, _) in oldest] in ([True], [True, False]):
            del self._down[oldest[0][0]]

    def release(self, tick: int, key: Hashable, *, rings: bool = False) -> bool:
        """Take in that a key goes up; return True if another chord holds now. rings: a pedal holds its note."""
        changed = self._pending is not None and self.advance(tick)
        struck, self.released_at = self._down.pop(key, None), tick
        if struck is not None and rings:
            self._ringing[key] = struck
            if len(self._ringing) > MAX_KEYS:
                del self._ringing[next(iter(self._ringing))]
        elif self._pending is not None and struck is not None and struck[0] == self._pending[1]:
            self._pending = None  # it was only passing
        return (not self.holds and self._end_if_released(tick)) or changed

    def damp(self, tick: int) -> bool:
        """Take in that the pedal goes up; return True if another chord holds now."""
        changed = self.advance(tick)
        self._ringing.clear()
        self.released_at = tick
        return self._end_if_released(tick) or changed

    def advance(self, tick: int) -> bool:
        """Go on to a tick; return True if a chord that had to stay for a while holds now."""
        if self._pending is None or tick < self._pending[0]:
            return False
        _, start, chord = self._pending
        self._pending = None
        return self._adopt(start, chord)

    def forget(self, tick: int) -> None:
        """Let what holds begin at a tick, and forget all before, as where bar 1 moves."""
        current = self.current
        self.chords.clear()
        if current is not None:
            self.chords.append(PlayedChord(tick, current))
            self.struck_at = tick
        self._pending = None
        self._strikes.clear()
        self._elsewhere.clear()
        for held in (self._down, self._ringing):
            held.update({key: (tick, pitch) for key, (_, pitch) in held.items()})
        self._together_at = min(self._together_at, tick)

    def drop_keys(self) -> None:
        """Take every key as up, without a word about when; the chord holds."""
        self._down.clear()
        self._ringing.clear()
        self._pending = None

    def _read(self, tick: int) -> bool:
        """Read what is played after a strike at `tick`; return True if another chord holds now."""
        since = tick - SPREAD_TICKS
        if _are_together(self._strikes, MAX_BLOCK + 1, since):
            return False
        if len(self._down) < self.fewest > 1 and not _are_together(self._strikes, 3, since):  # mostly, in a melody
            if _are_together(self._strikes, 2, since) and (self._strikes[-2][1] - self._strikes[-1][1]) % PITCH_CLASSES:
                self._together_at = tick
            return False
        block = _list_recent(self._strikes, since, MAX_BLOCK)
        if self.shares:
            block = _add_others(block, _list_recent(self._elsewhere, since, MAX_BLOCK))
        pitches = [pitch for _, pitch in block]
        count = pack_tones(pitches).bit_count()
        if count >= 2:
            self._together_at = tick
        if count >= 3:
            self.struck_at = tick
            return not self._restates(pitches) and self._adopt(block[0][0], read_chord(pitches))
        if self.fewest > 1:
            return self._read_all_held(tick, block)
        if count == 2:
            return self._read_two(tick, block[0][0], pitches)
        return self._read_broken(tick, pitches[-1])

    def _read_all_held(self, tick: int, block: list[_Strike]) -> bool:
        """Read what is held with the key that was struck last, where melody and chords come from one keyboard."""
        if len(self._down) > MAX_BLOCK:
            return False
        pitches = [pitch for _, pitch in self._down.values()]
        if pack_tones(pitches).bit_count() < self.fewest or self._fits(pitches):
            return False
        recent = sum(at >= tick - TICKS_PER_BEAT for at, _ in self._down.values())
        if recent >= self.fewest:  # an arpeggio that is held
            self._wait(tick, read_chord(pitches, self._list_context()))
        return False

    def _read_block(self, pitches: list[int]) -> ReadChord | None:
        context = self._list_context() if pack_tones(pitches).bit_count() <= 2 else ()  # more tell the chord alone
        return read_chord(pitches, context)

    def _read_two(self, tick: int, start: int, pitches: list[int]) -> bool:
        if self._fits(pitches):
            return False
        held = [pitch for at, pitch in (*self._down.values(), *self._ringing.values()) if at < start]
        lowest = min(pitches) <= min(held, default=127)
        chord = _complete(pitches, held, self._list_context())
        if _is_on_beat(start) or lowest:
            return self._adopt(start, chord)
        self._wait(start, chord)
        return False

    def _read_broken(self, tick: int, pitch: int) -> bool:
        """Read a single note, with those before it in its beat."""
        begin = round_to_step(tick) * TICKS_PER_STEP // TICKS_PER_BEAT * TICKS_PER_BEAT - SPREAD_TICKS
        gathered = _list_recent(self._strikes, begin, MAX_STRIKES)
        pitches = [other for _, other in gathered]
        if self._fits(pitches) and not (len(pitches) == 1 and self._is_new_bass(tick, pitch)):
            return False
        start, count = gathered[0][0], pack_tones(pitches).bit_count()
        chord = self._read_block(pitches)
        if count >= 3 and chord is not None and not pack_tones(pitches) & ~chord.tones:
            return self._adopt(start, chord)
        if count == 1:
            start, chord = tick, _recall_chord(self.chords, [pitch], self._list_context())
            alone = tick - self._together_at > SINGLE_NOTE_BEATS * TICKS_PER_BEAT
            if self._begins_bar(tick) or (alone and _is_on_beat(tick)):  # unless it is the first of several keys
                self._wait(start, chord, SPREAD_TICKS)
                return False
        elif count == 2 and _is_on_beat(start) and pitches[0] == min(pitches):
            is_bare = chord is not None and chord.root == pitches[0] % 12 and chord.tones.bit_count() < 3
            return self._adopt(start, _recall_chord(self.chords, pitches, self._list_context()) if is_bare else chord)
        self._wait(start, chord)
        return False

    def _is_new_bass(self, tick: int, pitch: int) -> bool:
        """Tell whether a single note begins a bar, below all that is down, and is not the bass that holds."""
        current = self.current
        if current is None or pitch % 12 in (current.bass, current.root, (current.root + MAJOR_THIRD) % 12):
            return False  # on its major third, the chord that holds is turned over
        if not self._begins_bar(tick):
            return False
        return all(pitch <= other for _, other in (*self._down.values(), *self._ringing.values()))

    def _begins_bar(self, tick: int) -> bool:
        return _is_on_beat(tick) and self._find_bar(tick + SPREAD_TICKS) >= tick - SPREAD_TICKS

    def _restates(self, pitches: list[int]) -> bool:
        """Tell whether notes are the upper part of the chord that holds, over its bass, which still sounds."""
        current = self.current
        if current is None or pack_tones(pitches) & ~current.tones:
            return False
        below = [pitch for _, pitch in (*self._down.values(), *self._ringing.values()) if pitch < min(pitches)]
        return bool(below) and min(below) % 12 == current.bass

    def _fits(self, pitches: list[int]) -> bool:
        """Tell whether notes all belong to the chord that holds."""
        current = self.current
        return current is not None and not pack_tones(pitches) & ~current.tones

    def _wait(self, start: int, chord: ReadChord | None, ticks: int = PASSING_TICKS) -> None:
        if chord is not None:
            self._pending = start + ticks, start, chord

    def _adopt(self, tick: int, chord: ReadChord | None) -> bool:
        """Let a chord hold that was struck at a tick; return True if it is another."""
        if chord is None or chord == self.current:
            return False
        if chord.tones.bit_count() < self.fewest:
            return False
        self.struck_at = max(tick, self.struck_at or tick)
        self._begin(round_to_step(tick) * TICKS_PER_STEP, chord)
        return True

    def _begin(self, start: int, chord: ReadChord | None) -> None:
        while self.chords and self.chords[-1].start >= start:  # it has been read from the first of its notes
            self.chords.pop()
        if not self.chords or self.chords[-1].chord != chord:
            self.chords.append(PlayedChord(start, chord))

    def _end_if_released(self, tick: int) -> bool:
        if self.holds or self.is_down or self.current is None:
            return False
        self._begin(round_to_step(tick) * TICKS_PER_STEP, None)
        return True

    def _list_context(self) -> list[int]:
        since = (self.struck_at or 0) - CONTEXT_TICKS
        current = self.current
        tones = [] if current is None else [pc for pc in range(12) if current.has(pc)]
        heard = [pitch for at, pitch in self._elsewhere if at >= since]
        return heard or tones


def _are_together(strikes: deque[_Strike], count: int, since: int) -> bool:
    """Tell whether the last `count` strikes, or more, came since a tick; without a look at each of them."""
    return len(strikes) >= count and strikes[-count][0] >= since


def _is_on_beat(tick: int) -> bool:
    return (tick + SPREAD_TICKS) % TICKS_PER_BEAT <= 2 * SPREAD_TICKS


def _add_others(block: list[_Strike], others: list[_Strike]) -> list[_Strike]:
    """Return a block with what others strike with it, if that makes a chord; without their top note if it can."""
    if not others or len(block) + len(others) > MAX_BLOCK:
        return block
    together = sorted([*block, *others])
    top = max(together, key=_pitch_of)
    for notes in ([note for note in together if note != top], together):
        if pack_tones(pitch for _, pitch in notes).bit_count() >= 3:
            return notes
    return block


def _complete(pitches: list[int], held: list[int], context: list[int]) -> ReadChord | None:
    """Return the chord of two notes: with one that is still held, if that makes a triad."""
    played = pack_tones(pitches)
    for other in sorted(held):
        tones = played | 1 << other % PITCH_CLASSES
        if tones in _TRIADS:
            chord = read_chord([*pitches, other])
            if chord is not None and chord.tones == tones:
                return chord
    return read_chord(pitches, [*context, *held])


def _recall_chord(past: Sequence[PlayedChord], pitches: list[int], context: list[int]) -> ReadChord | None:
    """Return the chord over a note, or a note and its fifth: as it was last played on it, else what is known of it.

    Where neither melody nor chord tells its third, the chords of the last bars do. past: the chords, oldest first.
    """
    root, tones = pitches[0] % 12, pack_tones(pitches)
    for played in reversed(past):
        chord = played.chord
        if chord is not None and chord.root == root and chord.tones.bit_count() >= 3 and not tones & ~chord.tones:
            return chord
    chord = read_chord(pitches, context)
    for played in islice(reversed(past), MEMORY_CHORDS):
        if chord is None or chord.tones.bit_count() >= 3:
            break
        if played.chord is not None:
            chord = read_chord(pitches, [pc for pc in range(12) if played.chord.has(pc)])
    return chord


def _list_recent(notes: deque[_Strike], since: int, most: int) -> list[_Strike]:
    """Return the notes since a tick, oldest first: the newest of them, if there are more than the most."""
    found: list[_Strike] = []
    for note in reversed(notes):
        if note[0] < since or len(found) == most:
            break
        found.append(note)
    found.reverse()
    return found


def _pitch_of(strike: _Strike) -> int:
    return strike[1]


def _forget(notes: deque[_Strike], before: int) -> None:
    while notes and notes[0][0] < before:
        notes.popleft()
