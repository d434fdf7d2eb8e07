"""Finding the left hand on a keyboard that melody and chords share: where it ends, and when there is one at all.

A left hand shows in chords that are struck with a gap in them, and in keys that are held on under others that are
struck far above: a melody alone has neither. It ends in the middle of that gap, followed as hands move.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from music.note import TICKS_PER_BEAT, TICKS_PER_STEP

#: semitones between the hands, at least
MIN_GAP = 8
#: ticks for which a key must stay down under another, to be no legato of a melody
MIN_HELD_TICKS = 9
#: ticks within which keys are struck together
SPREAD_TICKS = TICKS_PER_STEP // 2
#: how often both hands must show before it is believed; a chord is enough at once
MIN_SIGHTS = 2
#: ticks for which a left hand is believed in that shows no more
KEPT_TICKS = 16 * TICKS_PER_BEAT
#: how far the boundary moves towards where it is seen
PULL = 0.25
#: pitches between which a boundary is believed
LOWEST, HIGHEST = 40, 76
_NEVER = -(1 << 62)


class HandSplit:
    """Follows where the left hand of a player ends."""

    def __init__(self) -> None:
        self._split = 0.0
        self._sights = 0  # how often both hands have shown
        self._seen_at = _NEVER  # the tick at which they did so last
        self._upper = 0, _NEVER  # the key that was struck last far above another, and when

    def find(self, tick: int) -> int:
        """Return the pitch below which keys are the left hand's; 0 where there is none."""
        return round(self._split) if self._sights >= MIN_SIGHTS and self._is_recent(tick) else 0

    def strike(self, tick: int, pitch: int, down: Sequence[tuple[int, int]]) -> None:
        """Take in that a key goes down. down: (pitch, tick of its stroke) of the others that are."""
        if not down:
            return
        upper, struck_at = self._upper
        if upper and tick - struck_at >= MIN_HELD_TICKS:
            under = [low for low, at in down if at <= struck_at and low <= upper - MIN_GAP]
            if under:
                self._see(tick, sorted([*under, upper]), 1)
        together = sorted([pitch, *(other for other, at in down if at >= tick - SPREAD_TICKS)]) if len(down) > 1 else ()
        if len(together) >= 3:
            if together[-1] < self.find(tick):  # the left hand plays on alone
                self._seen_at = tick
            self._see(tick, together, MIN_SIGHTS)
        if min(down)[0] <= pitch - MIN_GAP:
            self._upper = pitch, tick

    def move(self, tick: int) -> None:
        """Let all that was seen have been seen by a tick, as where bar 1 moves."""
        if self._seen_at != _NEVER:
            self._seen_at = tick
        self._upper = 0, _NEVER

    def forget(self) -> None:
        """Forget both hands."""
        self._sights, self._seen_at = 0, _NEVER
        self._upper = 0, _NEVER

    def _see(self, tick: int, pitches: Sequence[int], sights: int) -> None:
        """Take in keys, rising, that both hands have down at a tick, if there is a gap between them."""
        gap, low = max((high - low, -low) for low, high in pairwise(pitches))
        if gap < MIN_GAP:
            return
        if not self._is_recent(tick):
            self._sights = 0
        split = min(HIGHEST, max(LOWEST, gap / 2 - low))
        self._split = self._split + PULL * (split - self._split) if self._sights else split
        self._sights, self._seen_at = self._sights + sights, tick

    def _is_recent(self, tick: int) -> bool:
        return 0 <= tick - self._seen_at <= KEPT_TICKS
