"""The metres of a take: where bars begin to lie otherwise than they did, because the band plays from another chart."""

from __future__ import annotations

from daemon.core.observers import PerformanceView
from music.note import TICKS_PER_STEP, Metre

#: (tick, Metre): bars of a metre are counted from a tick on, at which one begins
MetreMark = tuple[int, Metre]


class MetreHistory:
    """Notices at every step of a performance whether bars are where they are expected."""

    def __init__(self, *marks: MetreMark) -> None:
        """Begin with the marks that are known beforehand."""
        #: by tick; the first one holds before its tick, too
        self.marks = list(marks)
        self._step: int | None = None  # the step that was looked at last

    def update(self, performance: PerformanceView, now: int) -> MetreMark | None:
        """Look at the bar of a time (ns); return its mark if bars lie otherwise from there on."""
        if performance.tempo is None or not performance.playing:
            return None
        tick = performance.tempo.tick_at(now)
        step = tick // TICKS_PER_STEP
        if step == self._step:
            return None
        self._step = step
        bar = performance.find_bar(tick)
        if self.marks:
            since, metre = self.marks[-1]
            if bar.metre == metre and (bar.start - since) % metre.ticks_per_bar == 0:
                return None
        mark = bar.start, bar.metre
        add_mark(self.marks, mark)
        return mark


def add_mark(marks: list[MetreMark], mark: MetreMark) -> None:
    """Add a mark, which takes the place of those that do not come before it."""
    while marks and marks[-1][0] >= mark[0]:
        marks.pop()
    marks.append(mark)


def find_bar_start(marks: list[MetreMark], tick: int) -> int:
    """Return the tick at which the bar of a tick begins; marks: not empty."""
    since, metre = next((mark for mark in reversed(marks) if mark[0] <= tick), marks[0])
    return since + (tick - since) // metre.ticks_per_bar * metre.ticks_per_bar


def list_metres(marks: list[MetreMark], begin: int) -> list[MetreMark]:
    """Return the marks of what begins at a tick, counted from there: at 0 the metre that holds there."""
    holding = next((mark for mark in reversed(marks) if mark[0] <= begin), marks[0])
    return [(0, holding[1]), *((tick - begin, metre) for tick, metre in marks[1:] if tick > begin)]
