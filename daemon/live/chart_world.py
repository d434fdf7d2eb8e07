"""A World in which a chart that is chosen while the band plays arrives once it has been read.

Reading takes time, which the conductor has none of: it is done by a thread of its own, one chart after another.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from daemon.core.events import ControlChange, Event
from daemon.core.world import World
from daemon.harmony.chart_line import OpenedChart, open_chart
from daemon.harmony.harmony_source import CHART
from music.errors import HousebandError, describe_error

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _ReadChart(ControlChange):
    """The change of a chart that the thread is done with."""


class ChartWorld:
    """Hands on the chart in place of its file's name; one that cannot be read is logged, and refused."""

    def __init__(self, world: World, put: Callable[[Event], None], *, follows_metre: bool = False) -> None:
        """Hear what `world` hears. put: gives it an event; follows_metre: the band is to play the chart's metres."""
        self._world, self._put, self._follows_metre = world, put, follows_metre
        self._pending = 0  # charts that the thread has yet to read
        #: changes of `harmony` that wait for a chart, each with the number of charts that come before it
        self._held: deque[tuple[int, ControlChange]] = deque()
        self._to_read: SimpleQueue[ControlChange | None] = SimpleQueue()
        self._is_closed = threading.Event()
        # a daemon thread: whoever quits does not wait for it
        threading.Thread(target=self._read_charts, name="chart", daemon=True).start()

    def now(self) -> int:
        """Return the world's time, ns."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """Wait for the next event, at the latest until `until` (ns); None when nothing came."""
        while True:
            if self._held and self._held[0][0] <= 0:
                return self._held.popleft()[1]
            event = self._world.wait(until)
            if isinstance(event, _ReadChart):
                self._pending -= 1
                self._held = deque((count - 1, change) for count, change in self._held)
                return ControlChange(event.at, event.key, event.value, done=event.done)
            if not isinstance(event, ControlChange) or not self._keep(event):
                return event

    def close(self) -> None:
        """Read no more."""
        self._is_closed.set()
        self._to_read.put(None)

    def _keep(self, change: ControlChange) -> bool:
        """Keep a change back that must wait for a chart to be read; return False for one that need not.

        That is a chart, also none at all, which must not overtake another, and `harmony = chart`, which is refused
        while there is no chart, with every change of `harmony` behind it.
        """
        if change.key == "chart" and isinstance(change.value, str):
            self._pending += 1
            self._to_read.put(change)
            return True
        if change.key == "harmony" and self._pending and (change.value == CHART or self._held):
            self._held.append((self._pending, change))
            return True
        return False

    def _read_charts(self) -> None:
        while (change := self._to_read.get()) is not None and not self._is_closed.is_set():
            chart = self._read(change)
            self._put(_ReadChart(self._world.now(), change.key, chart, done=change.done))

    def _read(self, change: ControlChange) -> OpenedChart | None:
        """Return a chart, an empty one for no source; None, and say why, where it cannot be read."""
        source = str(change.value)
        if not source:
            return OpenedChart("", None)
        from music.charts.reading import check_file  # here, as where it is read

        try:
            check_file(source)
            chart = open_chart(source)
            if self._follows_metre:
                _ = chart.metres
        except (HousebandError, OSError, ValueError, MemoryError) as error:
            reason = f"the chart is not taken: {describe_error(error)}"
            log.error("%s", reason)
            if change.explain is not None:
                change.explain(reason)
            return None
        return chart
