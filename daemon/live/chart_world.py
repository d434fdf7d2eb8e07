"""A World in which a chart that is chosen while the band plays arrives once it has been read.

Reading takes time, which the conductor has none of: it is done by a thread of its own, one chart after another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from daemon.core.events import ControlChange, Event
from daemon.core.world import World
from daemon.harmony.chart_line import OpenedChart, open_chart
from music.charts.reading import check_chart
from music.errors import HousebandError, describe_error

log = logging.getLogger(__name__)


class ChartWorld:
    """Hands on the chart in place of its file's name; one that cannot be read is logged, and refused."""

    def __init__(self, world: World, put: Callable[[Event], None], *, follows_metre: bool = False) -> None:
        """Hear what `world` hears. put: gives it an event; follows_metre: the band is to play the chart's metres."""
        self._world, self._put, self._follows_metre = world, put, follows_metre
        self._thread = ThreadPoolExecutor(1, "chart")

    def now(self) -> int:
        """Return the world's time, ns."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """Wait for the next event, at the latest until `until` (ns); None when nothing came."""
        while True:
            event = self._world.wait(until)
            if not (isinstance(event, ControlChange) and event.key == "chart" and isinstance(event.value, str)):
                return event
            if not event.value:
                return replace(event, value=OpenedChart("", None))
            self._thread.submit(self._read, event, event.value)

    def close(self) -> None:
        """Read no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _read(self, event: ControlChange, source: str) -> None:
        chart: OpenedChart | None = None
        try:
            check_chart(Path(source))
            chart = open_chart(source)
            if self._follows_metre:
                _ = chart.metres
        except (HousebandError, OSError, ValueError, MemoryError) as error:
            chart = None
            log.error("the chart is not taken: %s", describe_error(error))
        self._put(ControlChange(self._world.now(), event.key, chart, done=event.done))
