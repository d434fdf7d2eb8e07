"""Ticks <-> nanoseconds: a list of tempo marks, exact integer arithmetic, nothing accumulated."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable

from music.note import TICKS_PER_BEAT

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
#: tempo marks that are kept while a clock is followed
MOST_MARKS = 200_000


def us_per_beat(bpm: float) -> int:
    """Beats per minute as microseconds per beat, as MIDI files hold it (120 -> 500,000). bpm is above 0."""
    return max(1, round(60_000_000 / bpm))


class TempoMap:
    """Where every tick lies in time: from each mark on, `us` microseconds per beat.

    A tick begins at the first whole nanosecond at or after its true place, so that `tick_at(ns_at(t)) == t` for every
    t, on both sides of the first mark (which holds for all that came before it, too).
    """

    def __init__(self, us: int, tick: int = 0, ns: int = 0) -> None:
        """One tempo for ever, with `tick` at `ns`. Raises ValueError for a tempo below 1 microsecond per beat."""
        if us < 1:
            raise ValueError(f"no such tempo: {us} microseconds per beat")
        self._ticks = [tick]
        self._ns = [ns]
        self._us = [us]

    @classmethod
    def from_marks(cls, marks: Iterable[tuple[int, int]], tick: int = 0, ns: int = 0) -> TempoMap:
        """The tempo of a file's (tick, microseconds per beat), sorted by tick, not empty, with `tick` at `ns`."""
        (first, us), *rest = marks
        tempo = cls(us, first, 0)
        for at, us in rest:
            tempo.change(at, us)
        shift = ns - tempo.ns_at(tick)
        tempo._ns = [at + shift for at in tempo._ns]
        return tempo

    @classmethod
    def from_places(cls, places: Iterable[tuple[int, int, int]]) -> TempoMap:
        """The tempo of marks as `mark_at` gives them: (tick, ns, microseconds per beat), not empty; those that are not
        later than the one before are left out."""
        (tick, ns, us), *rest = places
        tempo = cls(us, tick, ns)
        for tick, ns, us in rest:
            if tick > tempo._ticks[-1] and ns > tempo._ns[-1]:
                tempo._mark(tick, ns, us)
        return tempo

    def ns_at(self, tick: int) -> int:
        """When a tick begins."""
        i = max(0, bisect_right(self._ticks, tick) - 1) if len(self._ticks) > 1 else 0
        return self._ns[i] - (self._ticks[i] - tick) * self._us[i] * NS_PER_US // TICKS_PER_BEAT

    def tick_at(self, ns: int) -> int:
        """The tick a moment lies in."""
        i = max(0, bisect_right(self._ns, ns) - 1) if len(self._ns) > 1 else 0
        return self._ticks[i] + (ns - self._ns[i]) * TICKS_PER_BEAT // (self._us[i] * NS_PER_US)

    def tick_from(self, ns: int) -> int:
        """The first tick that begins at or after a moment."""
        tick = self.tick_at(ns)
        return tick if self.ns_at(tick) >= ns else tick + 1

    def us_at(self, tick: int) -> int:
        """Microseconds per beat at a tick."""
        return self._us[max(0, bisect_right(self._ticks, tick) - 1)]

    def mark_at(self, ns: int) -> tuple[int, int, int]:
        """The mark that holds at a moment: (tick, ns, microseconds per beat from there on)."""
        i = max(0, bisect_right(self._ns, ns) - 1)
        return self._ticks[i], self._ns[i], self._us[i]

    def change(self, tick: int, us: int) -> None:
        """From `tick` on another tempo; marks at and after it are forgotten, ticks before it stay where they are.

        Raises ValueError for a tempo below 1 microsecond per beat.
        """
        if us < 1:
            raise ValueError(f"no such tempo: {us} microseconds per beat")
        ns = self.ns_at(tick)
        while self._ticks and self._ticks[-1] >= tick:
            self._pop()
        self._mark(tick, ns, us)

    def steer(self, tick: int, target: int, ns: int, us: int) -> None:
        """From `tick` on so fast that the later tick `target` lies at about `ns`, but at most twice and at least half
        as fast as `us`, which holds from there on. Ticks before `tick` stay where they are."""
        hurry = (ns - self.ns_at(tick)) * TICKS_PER_BEAT // ((target - tick) * NS_PER_US)
        self.change(tick, min(max(hurry, us // 2, 1), 2 * us))
        self.change(target, us)
        if len(self._ticks) > MOST_MARKS:  # hours of following a clock: the oldest go
            for marks in (self._ticks, self._ns, self._us):
                del marks[: MOST_MARKS // 2]

    def jump(self, tick: int, ns: int, us: int) -> None:
        """At a moment leap forward to a tick that has not come by then; from there on `us`. Later marks are forgotten.

        Raises ValueError for a leap that is none.
        """
        if tick <= self.tick_at(ns) or us < 1:
            raise ValueError(f"no leap forward to tick {tick}: tick {self.tick_at(ns)} has come")
        while self._ns and self._ns[-1] >= ns:
            self._pop()
        self._mark(tick, ns, us)

    def _mark(self, tick: int, ns: int, us: int) -> None:
        self._ticks.append(tick)
        self._ns.append(ns)
        self._us.append(us)

    def _pop(self) -> None:
        self._ticks.pop()
        self._ns.pop()
        self._us.pop()

    @property
    def marks(self) -> tuple[tuple[int, int], ...]:
        """(tick, microseconds per beat), sorted."""
        return tuple(zip(self._ticks, self._us, strict=True))


#: a longer pause between two taps begins a new count; a shorter one is the same tap, bouncing
LONGEST_TAP_NS, SHORTEST_TAP_NS = 2 * NS_PER_S, 3 * NS_PER_S // 20
#: the tempo is that of so many intervals
TAP_INTERVALS = 4


class TapTempo:
    """Listens to taps; the tempo is the median of the last intervals, so that one clumsy tap does no harm."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._intervals: deque[int] = deque(maxlen=TAP_INTERVALS)

    def tap(self, at: int) -> float | None:
        """Take a tap at `at` (ns); return beats per minute (30..400) from the second tap on, None before."""
        before = self._last
        if before is not None and 0 <= at - before < SHORTEST_TAP_NS:
            return None
        self._last = at
        if before is None or not 0 < at - before <= LONGEST_TAP_NS:
            self._intervals.clear()
            return None
        self._intervals.append(at - before)
        found, count = sorted(self._intervals), len(self._intervals)
        median = (found[(count - 1) // 2] + found[count // 2]) / 2
        return 60 * NS_PER_S / median
