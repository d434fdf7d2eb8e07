"""Where positions come from: threads that ask JACK's transport or a Link session and put what they hear on the
inbox."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from daemon.clocks.clock import ClockError
from daemon.clocks.position_clock import position
from daemon.core.events import Position
from daemon.core.tempo import NS_PER_S, NS_PER_US

log = logging.getLogger(__name__)

#: seconds between two questions to JACK's transport, and to Link, which does not tell when it stops
JACK_EVERY, LINK_EVERY = 0.01, 0.02
#: seconds until a lost server is looked for: a new client, where there is none, harms old ones that are not closed yet
JACK_AGAIN = 5.0
#: seconds to listen to a Link session before anything is made of it: on joining, the tempo is one's own for a while
LINK_PATIENCE = 2.0

Put = Callable[[Position], None]


class JackTransport:
    """The transport of a JACK server, asked in a thread. bpm: where the transport's master tells none. Raises
    ClockError."""

    def __init__(self, now: Callable[[], int], put: Put, bpm: float) -> None:
        try:
            import jack
        except (ImportError, OSError) as error:
            raise ClockError(f"--clock jack needs houseband[jack] and JACK's library ({error})") from None
        self._jack = jack
        self._now, self._put, self._bpm = now, put, bpm
        self._client: Any = self._join()
        if self._client is None:
            raise ClockError("--clock jack finds no JACK server: start one, or choose another clock")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="jack-transport", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._over.set()
        self._thread.join()
        self._leave()

    def _join(self) -> Any:
        try:
            client = self._jack.Client("houseband transport", no_start_server=True)
        except self._jack.JackError:
            return None
        self._alive = True
        client.set_shutdown_callback(self._lose)
        client.activate()
        return client

    def _lose(self, *_: object) -> None:
        self._alive = False

    def _leave(self) -> None:
        if self._client is not None:
            with contextlib.suppress(Exception):  # of a server that is gone nothing more can be asked
                self._client.close()
        self._client = None

    def _ask(self) -> None:
        rolled = False
        while not self._over.wait(JACK_EVERY if self._client is not None else JACK_AGAIN):
            if self._client is None:
                self._client = self._join()
                continue
            if not self._alive:
                log.warning("JACK's transport is gone; it is looked for")
                self._leave()
                continue
            state, where = self._client.transport_query()
            rolling = state == self._jack.ROLLING
            if rolling or rolled:
                now, at = self._now(), where.get("usecs", 0) * NS_PER_US  # JACK's clock is the machine's monotonic one
                beat, bpm = transport_beat(where, self._bpm)
                self._put(position(at if 0 <= now - at < NS_PER_S else now, rolling, beat, bpm))
            rolled = rolling


def transport_beat(where: Mapping[str, Any], bpm: float) -> tuple[float, float]:
    """(crotchets from bar 1, beats per minute) of a JACK position; one without bars and beats is taken at `bpm`."""
    if "bar" not in where:
        return where["frame"] / where["frame_rate"] * bpm / 60, bpm
    crotchets = 4 / where["beat_type"]
    beats = (where["bar"] - 1) * where["beats_per_bar"] + where["beat"] - 1 + where["tick"] / where["ticks_per_beat"]
    return beats * crotchets, where["beats_per_minute"] * crotchets


class LinkSession:
    """An Ableton Link session, asked in a thread. It is followed, never led: no tempo is ever set, so that joining
    cannot overwrite the session's. bar: crotchets in one; what peers share of their positions is where they are in a
    bar. Raises ClockError."""

    def __init__(self, now: Callable[[], int], put: Put, bpm: float, bar: float = 4.0) -> None:
        try:
            import aalink
        except (ImportError, OSError) as error:
            raise ClockError(f"--clock link needs houseband[link] ({error})") from None
        self._link: Any = aalink.Link
        self._bpm, self._bar = bpm, bar
        self._now, self._put = now, put
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the session."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._follow())

    async def _follow(self) -> None:
        try:
            link = self._link(self._bpm)
        except TypeError:  # before 0.2 it wants to be told its loop
            link = self._link(self._bpm, asyncio.get_running_loop())
        link.quantum = self._bar
        link.start_stop_sync_enabled = True
        link.enabled = True
        heard, played, joined = 0.0, False, 0.0
        while not self._over.is_set():
            await asyncio.sleep(LINK_EVERY)
            heard += LINK_EVERY
            joined = joined + LINK_EVERY if link.num_peers else 0.0
            played = played or link.playing
            if joined < LINK_PATIENCE and heard < 2 * LINK_PATIENCE:
                continue  # alone, its own tempo is as good as any; with others theirs must have come
            if played or link.num_peers:
                rolling = link.playing if played else True  # who knows no start and stop has only the beat
                self._put(position(self._now(), rolling, link.beat, link.tempo))
        link.enabled = False
