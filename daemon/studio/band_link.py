"""The studio's link to the band: found, lost and found again, and how the band stands, for pages that open later."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from daemon.control.client import NoBandError
from daemon.control.owner_lock import find_owner
from daemon.control.protocol import TOPICS
from daemon.studio.band_connection import BandConnection
from daemon.studio.band_process import BandProcess
from daemon.studio.page_notes import PageNotes
from daemon.studio.pages import Pages
from daemon.studio.setup import Json

log = logging.getLogger(__name__)

PLAYING, ABSENT, STARTING = "playing", "absent", "starting"
#: how often a band is looked for, while one is starting and while there is none
STARTING_INTERVAL_S, ABSENT_INTERVAL_S = 0.05, 0.5
#: how long a band that others have started may be away before the studio starts one of its own
AWAY_PATIENCE_S = 3.0
#: how long the band may take over the state and the subscription
ANSWER_PATIENCE_S = 10.0
#: event -> the members of the state that it has anew
_MEMBERS = {
    "controls": ("controls",),
    "counters": ("counters",),
    "tempo": ("bpm", "playing", "tick", "at", "waiting_for"),
}
#: events that are a member of the state as a whole
_WHOLE = frozenset({"chord", "song"})


class BandLink:
    """Keeps a connection to the band, which is started where none plays. Belongs to the server's loop."""

    def __init__(self, where: str, process: BandProcess, pages: Pages) -> None:
        """where: the address of the control socket; process: a band of the studio's own, which is started if need be.

        pages: are told what the band tells, and when it comes and goes.
        """
        self._where = where
        self._process = process
        self._pages = pages
        self._main: BandConnection | None = None
        self._keys: BandConnection | None = None
        self._status = ABSENT
        self._gone_s = -AWAY_PATIENCE_S  # when the last connection ended
        self._was_own = False  # it was one to the studio's own band
        #: what pages play to the band
        self.notes = PageNotes()
        self._gets: dict[tuple[str, bool], asyncio.Future[Json]] = {}  # values that somebody asks for
        #: how the band stands, as `get` of the control socket has it; None while there is none
        self.state: Json | None = None

    def describe(self) -> Json:
        """Return whether there is a band, whether it has MIDI ports, whether it is the studio's own and has audio."""
        has_ports = bool(self.state and self.state.get("ports"))
        is_own = self._process.is_running
        has_audio = is_own and self._process.has_audio
        return {"status": self._status, "own": is_own, "ports": has_ports, "audio": has_audio}

    def find_chart(self) -> str:
        """Return the path or link of the chart that the band plays from; empty where there is none."""
        return str(((self.state or {}).get("controls") or {}).get("chart") or "")

    async def run(self) -> None:
        """Find the band, follow it until it is gone, and so on; ends when it is cancelled, with the band of its own."""
        try:
            self._start_own_band()
            while True:
                try:
                    await self._follow(self._where)
                except NoBandError:
                    pass
                except Exception:
                    log.exception("the band said something that the studio does not understand")
                self._start_own_band()
                await asyncio.sleep(STARTING_INTERVAL_S if self._status == STARTING else ABSENT_INTERVAL_S)
        finally:
            self._lose()
            await asyncio.shield(asyncio.to_thread(self._process.stop))

    def ask(self, op: str, **members: Any) -> asyncio.Future[Json]:
        """Ask the band something; the future, which is not to be cancelled, is its answer, or raises NoBandError.

        Whoever asks for the same value at the same time has the same answer.
        """
        if op == "get":
            key = str(members.get("key")), "key" in members
            if key not in self._gets:
                self._gets[key] = self._ask(op, **members)
                self._gets[key].add_done_callback(lambda _: self._gets.pop(key, None))
            return self._gets[key]
        return self._ask(op, **members)

    def _ask(self, op: str, **members: Any) -> asyncio.Future[Json]:
        connection = self._keys if op == "panic" else self._main  # behind no more than one other request
        if connection is None:
            raise NoBandError("there is no band at present")
        if op == "panic":
            self.notes.forget_waiting()
        return connection.ask(op, **members)

    def _start_own_band(self) -> None:
        """Start a band where none is to be found, and tell the pages how things stand."""
        may_come_back = not self._was_own and time.monotonic() - self._gone_s < AWAY_PATIENCE_S
        may_start = not self._process.is_running and not may_come_back and self._process.can_start
        if may_start and find_owner(self._where) is None:
            self._process.start()
        self._change_status(STARTING if self._process.is_running else ABSENT)

    async def _follow(self, where: str) -> None:
        """Connect to the band and follow it until it is gone. Raises NoBandError where there is none."""
        early: list[Json] = []
        main = await BandConnection.open(where, lambda event, line: self._take(event, line, early))
        reading = asyncio.create_task(main.read())
        keys: asyncio.Task[None] | None = None
        try:
            self._keys = await BandConnection.open(where, lambda _event, _line: None)
            keys = asyncio.create_task(self._keys.read())
            async with asyncio.timeout(ANSWER_PATIENCE_S):
                subscribed, answer = main.ask("subscribe", to=list(TOPICS)), main.ask("get")
                await subscribed
                self.state = (await answer)["state"]
            for event in early:
                self._update_state(event)
            self._main = main
            await self._end_needless_band(where)
            self.notes.use(self._keys)
            self._change_status(PLAYING)
            await asyncio.wait([reading, keys], return_when=asyncio.FIRST_COMPLETED)
        except (TimeoutError, KeyError) as error:
            raise NoBandError("the band does not answer") from error
        finally:
            self._lose()
            main.close()
            for task in (reading, *([keys] if keys else [])):
                task.cancel()

    async def _end_needless_band(self, where: str) -> None:
        """End the studio's own band where another one was faster to have the address."""
        owner = find_owner(where)
        self._was_own = self._process.is_running
        if self._was_own and owner is not None and owner != self._process.pid:
            self._was_own = False
            await asyncio.to_thread(self._process.stop)

    def _lose(self) -> None:
        if self._main is not None:
            self._gone_s = time.monotonic()
        if self._keys is not None:
            self._keys.close()
        self._main = self._keys = self.state = None
        self._gets.clear()
        self.notes.use(None)

    def _change_status(self, status: str) -> None:
        if status != self._status:
            self._status = status
            self._pages.tell({"event": "band", **self.describe()} | ({"state": self.state} if self.state else {}))

    def _take(self, event: Json, line: str, early: list[Json]) -> None:
        """Take an event: pass it on to all pages; one that comes before the state waits for it."""
        if self._main is None:
            early.append(event)
            return
        self._update_state(event)
        self._pages.tell_text(line)

    def _update_state(self, event: Json) -> None:
        """Keep the state as `get` would have it."""
        name = event["event"]
        if self.state is None:
            return
        if name in _WHOLE:
            self.state[name] = {key: value for key, value in event.items() if key != "event"}
        self.state |= {key: event[key] for key in _MEMBERS.get(name, ()) if key in event}
