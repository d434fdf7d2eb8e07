"""An Ableton Link session as a source of positions, asked by a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from daemon.clocks.clock import ClockError
from daemon.clocks.position_clock import make_position
from daemon.core.events import Position

#: between two questions to the session, which does not report when it stops
POLL_S = 0.02
#: to listen to a session before its tempo is believed: on joining, it is one's own for a while
SETTLING_S = 2.0


class LinkSession:
    """Puts where a Link session is on the inbox, over and over, until it is closed.

    The session is followed, never led: no tempo is ever set, so that joining cannot overwrite the session's.
    """

    def __init__(self, now: Callable[[], int], put: Callable[[Position], None], bpm: float, bar: float = 4.0) -> None:
        """Join the session. bar: crotchets in one, for peers agree on where in a bar they are. Raises ClockError."""
        try:
            import aalink
        except (ImportError, OSError) as error:
            raise ClockError(f"--clock link needs houseband[link] ({error})") from None
        self._link: Any = aalink.Link
        self._bpm, self._bar = bpm, bar
        self._now, self._put = now, put
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the session."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._poll())

    async def _poll(self) -> None:
        try:
            link = self._link(self._bpm)
        except TypeError:  # before 0.2 it wants to be told its loop
            link = self._link(self._bpm, asyncio.get_running_loop())
        link.quantum = self._bar
        link.start_stop_sync_enabled = True
        link.enabled = True
        heard, played, joined = 0.0, False, 0.0
        while not self._closing.is_set():
            await asyncio.sleep(POLL_S)
            heard += POLL_S
            joined = joined + POLL_S if link.num_peers else 0.0
            played = played or link.playing
            if joined < SETTLING_S and heard < 2 * SETTLING_S:
                continue  # alone, its own tempo is as good as any; with others theirs must have come
            if played or link.num_peers:
                rolling = link.playing if played else True  # who knows no start and stop has only the beat
                self._put(make_position(self._now(), rolling, link.beat, link.tempo))
        link.enabled = False
