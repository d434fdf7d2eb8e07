"""The transport of a JACK server as a source of positions, asked by a thread."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from daemon.clocks.clock import ClockError
from daemon.clocks.position_clock import make_position
from daemon.core.events import Position
from daemon.core.tempo import NS_PER_S

log = logging.getLogger(__name__)

#: between two questions to the transport, which does not report changes itself
POLL_S = 0.01
#: until a lost server is looked for: a new client, where there is no server, harms old ones that are not closed yet
RECONNECT_S = 5.0


class JackTransport:
    """Puts where a JACK transport is on the inbox, over and over, until it is closed."""

    def __init__(self, now: Callable[[], int], put: Callable[[Position], None], bpm: float) -> None:
        """Join the server. bpm: the tempo while the transport names none. Raises ClockError."""
        try:
            import jack
        except (ImportError, OSError) as error:
            raise ClockError(f"--clock jack needs houseband[jack] and JACK's library ({error})") from None
        self._jack = jack
        self._now, self._put, self._bpm = now, put, bpm
        self._client: Any = self._join()
        if self._client is None:
            raise ClockError("--clock jack finds no JACK server: start one, or choose another clock")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="jack-transport", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop asking and leave the server."""
        self._closing.set()
        self._thread.join()
        self._leave()

    def _join(self) -> Any:
        try:
            client = self._jack.Client("houseband transport", no_start_server=True)
        except self._jack.JackError:
            return None
        self._alive = True
        client.set_shutdown_callback(self._on_shutdown)
        client.activate()
        return client

    def _on_shutdown(self, *_: object) -> None:
        self._alive = False

    def _leave(self) -> None:
        if self._client is not None:
            with contextlib.suppress(Exception):  # of a server that is gone nothing more can be asked
                self._client.close()
        self._client = None

    def _poll(self) -> None:
        rolled = False
        while not self._closing.wait(POLL_S if self._client is not None else RECONNECT_S):
            if self._client is None:
                self._client = self._join()
                continue
            if not self._alive:
                log.warning("the JACK server is gone; the band looks for it every few seconds")
                self._leave()
                continue
            first, state, where = self._ask()
            rolling = state == self._jack.ROLLING
            if rolling or rolled:
                passed = count_frames(first, self._client.frame_time)
                at = self._now() - passed * NS_PER_S // where["frame_rate"]
                beat, bpm = read_position(where, self._bpm)
                self._put(make_position(at, rolling, beat, bpm))
            rolled = rolling

    def _ask(self) -> tuple[int, Any, Mapping[str, Any]]:
        """Return the first frame of a period, the state of the transport, and where it is at that frame.

        The position tells a time, too, but by a clock that nobody corrects: within a day it was 100 ms behind ours.
        """
        while True:
            first = self._client.last_frame_time
            state, where = self._client.transport_query()
            if self._client.last_frame_time == first:
                return first, state, where


def count_frames(since: int, until: int) -> int:
    """Return how many frames one of JACK's frame times, which have 32 bits, is later than another.

    Below 0 if it is earlier: JACK estimates the time now, which after a period that came late can be before its start.
    """
    return (until - since + (1 << 31)) % (1 << 32) - (1 << 31)


def read_position(where: Mapping[str, Any], bpm: float) -> tuple[float, float]:
    """Return a JACK position as (crotchets from bar 1, beats per minute).

    One without bars and beats is taken at `bpm`.
    """
    if "bar" not in where:
        return where["frame"] / where["frame_rate"] * bpm / 60, bpm
    crotchets = 4 / where["beat_type"]
    beats = (where["bar"] - 1) * where["beats_per_bar"] + where["beat"] - 1 + where["tick"] / where["ticks_per_beat"]
    return beats * crotchets, where["beats_per_minute"] * crotchets
