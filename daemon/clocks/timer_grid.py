"""Tells the slips of a timer from ticks that were lost.

A sender whose timer goes off every 15.6, 16 or 20 ms can send a tick only then. Where ticks are about as far apart, or
as two of these times, they seem to come as evenly as the timer goes off, until they slip by one of its periods: as if
one had been lost, or the clock had stood still. But slips come one like the other and at even distances, and it is the
ticks' mean that has the tempo.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.clocks.tick_line import PERIODS_NS, IntervalEstimate
from music.note import TICKS_PER_BEAT

#: the periods (ns) that timers usually have: whole milliseconds, Windows', screens' and those of audio servers
USUAL_PERIODS_NS = (
    *(ms * 1e6 for ms in (4, 5, 8, 10, 12, 12.5, 15, 15.6, 15.625, 16, 20, 25, 30, 40, 50)),
    *(1e9 / hz for hz in (240, 144, 120, 75, 60, 30)),
    *PERIODS_NS,
)
#: how well a period must agree with a usual one, and a tempo with a whole number of beats per minute, as a share
PERIOD_SHARE, TEMPO_SHARE = 0.0006, 0.00006
#: how well slips must agree in size and distance, as a share
SIZE_SHARE, DISTANCE_SHARE = 0.08, 0.06
#: slips that make a grid: of a usual period, if none can have been missed before them; and of any other
FEW_SLIPS, MANY_SLIPS = 2, 3
#: how well an interval is known from slips at least, as a share
DOUBT_SHARE = 0.0001


@dataclass(frozen=True, slots=True)
class Slip:
    """A tick from which on all come later."""

    heard: int  #: ticks heard before it
    ns: float  #: how much later
    ticks: int  #: how many lost ticks that is, 0 if it is no whole number of them


@dataclass(frozen=True, slots=True)
class TimerGrid:
    """Evidence that a clock is one of a timer."""

    interval: IntervalEstimate  #: the time between ticks, on average
    slips: tuple[Slip, ...]


class SlipDetector:
    """Keeps the last slips that are like each other."""

    def __init__(self) -> None:
        self._slips: list[Slip] = []
        self._before: int | None = 0  # ticks heard before them since the line began; None: there were other slips

    def add(self, slip: Slip, interval_ns: float, since: int) -> TimerGrid | None:
        """Return the grid that this slip and those before it show, None for none.

        interval_ns: between ticks that do not slip; since: the number of ticks that had been heard when the line that
        was left by the slip was begun, if that was for no slip.
        """
        slips = self._slips
        if not slips:
            self._before = slip.heard - since
        elif not (slip.ticks == slips[-1].ticks and _agree(slip.ns, slips[-1].ns, SIZE_SHARE)):
            slips.clear()
            self._before = None
        elif len(slips) > 1 and not _agree(slip.heard - slips[-1].heard, self._mean_distance(), DISTANCE_SHARE, 1.5):
            del slips[:-1]
            self._before = None
        slips.append(slip)
        return self._judge(interval_ns) if len(slips) >= FEW_SLIPS else None

    def _mean_distance(self) -> float:
        return (self._slips[-1].heard - self._slips[0].heard) / (len(self._slips) - 1)

    def _judge(self, interval_ns: float) -> TimerGrid | None:
        slips, distance = self._slips, self._mean_distance()
        drift = sum(slip.ns for slip in slips) / len(slips) / distance
        mean_ns = interval_ns + drift
        usual = any(_agree(slips[-1].ns, period, PERIOD_SHARE) for period in USUAL_PERIODS_NS)
        doubt = drift / (len(slips) - 1) / distance
        lost = slips[-1].ticks and _is_whole_tempo(interval_ns) and not _is_whole_tempo(mean_ns, doubt)
        if lost and (not usual or len(slips) < MANY_SLIPS):
            return None
        complete = self._before is not None and self._before <= distance * (1 + DISTANCE_SHARE) + 2
        if len(slips) < (FEW_SLIPS if complete and (usual or not slips[-1].ticks) else MANY_SLIPS):
            return None
        found = TimerGrid(IntervalEstimate(mean_ns, doubt + DOUBT_SHARE * mean_ns), tuple(slips))
        self._slips = []
        return found


def _agree(a: float, b: float, share: float, more: float = 0.0) -> bool:
    return abs(a - b) <= share * abs(b) + more


def _is_whole_tempo(interval_ns: float, doubt_ns: float = 0.0) -> bool:
    """Return True if ticks so far apart are those of a whole number of beats per minute."""
    bpm = 60e9 / (interval_ns * TICKS_PER_BEAT)
    return abs(bpm - round(bpm)) <= TEMPO_SHARE * bpm + doubt_ns / 4 / interval_ns * bpm
