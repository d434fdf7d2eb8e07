"""Tempo: where ticks lie in time, by exact integer arithmetic that accumulates no error; and tap tempo."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable

from music.note import TICKS_PER_BEAT

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
#: marks that nobody asks for any more are dropped so many at once
MARKS_DROPPED_AT_ONCE = 256

#: (tick, ns, microseconds per beat from there on)
PlacedMark = tuple[int, int, int]


def us_per_beat(bpm: float) -> int:
    """Return beats per minute, above 0, as microseconds per beat, as MIDI files hold them (120 -> 500,000)."""
    return max(1, round(60_000_000 / bpm))


class TempoMap:
    """Knows where every tick lies in time: a list of tempo marks, from each of which on another tempo holds.

    A tick begins at the first whole nanosecond at or after its true place, so that `tick_at(ns_at(t)) == t` for every
    t, on both sides of the first mark (which holds for all that came before it, too).
    """

    def __init__(self, us: int, tick: int = 0, ns: int = 0, kept_ticks: int | None = None) -> None:
        """Begin with one tempo, and `tick` at `ns`. Raises ValueError for a tempo below 1 microsecond per beat.

        kept_ticks: how far before the newest mark somebody may still ask for ticks and times; None: for ever. Following
        a clock makes some marks a second, for weeks.
        """
        if us < 1:
            raise ValueError(f"no such tempo: {us} microseconds per beat")
        self._kept_ticks = kept_ticks
        self._ticks = [tick]
        self._ns = [ns]
        self._us = [us]

    @classmethod
    def from_marks(cls, marks: Iterable[tuple[int, int]], tick: int = 0, ns: int = 0) -> TempoMap:
        """Return the tempo of marks (tick, microseconds per beat), sorted, at least one, with `tick` at `ns`."""
        (first, us), *rest = marks
        tempo = cls(us, first, 0)
        for at, us in rest:
            tempo.change(at, us)
        shift = ns - tempo.ns_at(tick)
        tempo._ns = [at + shift for at in tempo._ns]
        return tempo

    def ns_at(self, tick: int) -> int:
        """Return the time at which a tick begins."""
        i = max(0, bisect_right(self._ticks, tick) - 1) if len(self._ticks) > 1 else 0
        return self._ns[i] - (self._ticks[i] - tick) * self._us[i] * NS_PER_US // TICKS_PER_BEAT

    def tick_at(self, ns: int) -> int:
        """Return the tick that a time lies in."""
        i = max(0, bisect_right(self._ns, ns) - 1) if len(self._ns) > 1 else 0
        return self._ticks[i] + (ns - self._ns[i]) * TICKS_PER_BEAT // (self._us[i] * NS_PER_US)

    def tick_from(self, ns: int) -> int:
        """Return the first tick that begins at or after a time."""
        tick = self.tick_at(ns)
        return tick if self.ns_at(tick) >= ns else tick + 1

    def us_at(self, tick: int) -> int:
        """Return the microseconds per beat at a tick."""
        return self._us[max(0, bisect_right(self._ticks, tick) - 1)]

    def mark_at(self, ns: int) -> PlacedMark:
        """Return the mark that holds at a time."""
        i = max(0, bisect_right(self._ns, ns) - 1)
        return self._ticks[i], self._ns[i], self._us[i]

    def marks_between(self, after: int, until: int) -> list[PlacedMark]:
        """Return the marks later than the time `after` and no later than `until` (ns)."""
        found = slice(bisect_right(self._ns, after), bisect_right(self._ns, until))
        return list(zip(self._ticks[found], self._ns[found], self._us[found], strict=True))

    def with_older(self, marks: Iterable[PlacedMark]) -> TempoMap:
        """Return this map with marks, sorted, that it has dropped since."""
        older = [mark for mark in marks if mark[1] < self._ns[0]]
        whole = TempoMap(self._us[0], self._ticks[0], self._ns[0])
        whole._ticks = [*(tick for tick, _, _ in older), *self._ticks]
        whole._ns = [*(ns for _, ns, _ in older), *self._ns]
        whole._us = [*(us for _, _, us in older), *self._us]
        return whole

    def change(self, tick: int, us: int) -> None:
        """Let another tempo hold from `tick` on; ticks before it stay where they are, marks from it on are dropped.

        Raises ValueError for a tempo below 1 microsecond per beat.
        """
        if us < 1:
            raise ValueError(f"no such tempo: {us} microseconds per beat")
        ns = self.ns_at(tick)
        while self._ticks and self._ticks[-1] >= tick:
            self._pop()
        self._mark(tick, ns, us)

    def steer(self, tick: int, target: int, ns: int, us: int) -> None:
        """Bend the tempo from `tick` on so that the later tick `target` lies at about `ns`; from there on `us` holds.

        It is at most twice and at least half as fast as `us`. Ticks before `tick` stay where they are.
        """
        hurry = (ns - self.ns_at(tick)) * TICKS_PER_BEAT // ((target - tick) * NS_PER_US)
        self.change(tick, min(max(hurry, us // 2, 1), 2 * us))
        self.change(target, us)

    def list_marks_from(self, tick: int) -> list[tuple[int, int]]:
        """Return the marks, as (tick, microseconds per beat), that make what holds from a tick on."""
        return [(tick, self.us_at(tick)), *(mark for mark in self.marks if mark[0] > tick)]

    def slow_down(self, begin: int, end: int, percent: int, step: int) -> None:
        """Play slower from `begin` to `end`, by the same share of the tempo at every step, down to `percent` of it.

        From `end` on that holds, and marks that were to come then are dropped. step: its ticks. Ticks before `begin`
        stay where they are.
        """
        length = end - begin
        usual = [(tick, self.us_at(tick)) for tick in range(begin, end, step)]
        last = self.us_at(end) * 100 // percent
        for tick, us in usual:
            passed = 2 * (tick - begin) + min(step, end - tick)  # in halves, by the middle of the step
            self.change(tick, us * 200 * length // (200 * length - (100 - percent) * passed))
        self.change(end, last)

    def jump(self, tick: int, ns: int, us: int) -> None:
        """Leap forward, at time `ns`, to a tick that has not come by then; later marks are dropped.

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
        if self._kept_ticks is not None:
            old = bisect_right(self._ticks, tick - self._kept_ticks) - 1
            if old >= MARKS_DROPPED_AT_ONCE:
                for marks in (self._ticks, self._ns, self._us):
                    del marks[:old]

    def _pop(self) -> None:
        self._ticks.pop()
        self._ns.pop()
        self._us.pop()

    @property
    def current_us(self) -> int:
        """Microseconds per beat after the last mark."""
        return self._us[-1]

    @property
    def marks(self) -> tuple[tuple[int, int], ...]:
        """The tempo marks, as (tick, microseconds per beat), sorted."""
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
