"""Notes that pages play to the band: handed on in order, many at once, and ended when their page is gone."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from daemon.control.client import NoBandError
from daemon.control.client_keys import MAX_NOTES, read_notes
from daemon.control.connection import TokenBucket
from daemon.studio.band_connection import BandConnection
from daemon.studio.setup import Json
from music import midi

#: called with the answer to a request
Answer = Callable[[Json], None]
#: a key of a channel
Key = tuple[int, int]

#: notes (beginnings and ends) a second that pages may play together, and how many at once after a pause: more than ten
#: fingers play, and so few that the band is no later for a page that plays without end
NOTES_PER_SECOND, BURST_NOTES = 200.0, 100.0
#: requests that may wait beside the one under way; those beyond it that begin notes are refused
MAX_WAITING = 256

_NO_BAND: Json = {"ok": False, "error": "there is no band at present"}


class PageNotes:
    """Plays the notes of all pages to the band, through a connection of its own. Belongs to the server's loop.

    One request is under way at a time, and takes what has gathered meanwhile, so that fast playing needs few of the
    requests that a client of the band may make.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """now: a clock (seconds)."""
        self._now = now
        self._allowed = TokenBucket(now(), NOTES_PER_SECOND, BURST_NOTES)
        self._pause: asyncio.TimerHandle | None = None  # until the next note is allowed
        self._band: BandConnection | None = None
        self._waiting: deque[tuple[list[Json], Answer | None]] = deque()
        self._is_busy = False
        self._holders: dict[Key, set[object]] = {}

    def use(self, band: BandConnection | None) -> None:
        """Play to another band from now on; None: to nobody. What was held belongs to the one before."""
        self._band, self._is_busy = band, False
        self._holders.clear()
        waiting = [*self._waiting]
        self._waiting.clear()
        for _, answer in waiting:
            if answer is not None:
                answer(_NO_BAND)

    def play(self, page: object, request: Mapping[str, Any], answer: Answer) -> None:
        """Play the notes of a page's request; it is answered once the band has them. Raises ClientNoteError."""
        messages = [bytes(message) for message in read_notes(request)]
        is_too_fast = len(self._waiting) >= MAX_WAITING
        if is_too_fast:  # what sounds is ended all the same
            messages = [data for data in messages if not midi.is_note_on(data) and self._is_held(page, data)]
        notes = [note for data in messages if (note := self._hold(page, data)) is not None]
        if is_too_fast:
            answer({"ok": False, "error": "these are more notes than the band can be played at a time"})
            if notes:
                self._waiting.append((notes, None))
        elif self._band is None:
            answer(_NO_BAND)
        elif notes:
            self._waiting.append((notes, answer))
            self._send()
        else:
            answer({"ok": True})

    def release(self, page: object) -> None:
        """End what a page has begun that is gone."""
        held = [key for key, holders in self._holders.items() if page in holders]
        ends = [end for channel, pitch in held if (end := self._hold(page, midi.note_off(channel, pitch))) is not None]
        for first in range(0, len(ends), MAX_NOTES):
            self._waiting.append((ends[first : first + MAX_NOTES], None))
        self._send()

    def forget_waiting(self) -> None:
        """Play none of the notes that begin and are not on their way yet: after a panic nobody wants them."""
        for notes, _ in self._waiting:
            notes[:] = [note for note in notes if not note["on"]]

    def _is_held(self, page: object, data: bytes) -> bool:
        return page in self._holders.get((midi.channel_of(data), data[1]), ())

    def _hold(self, page: object, data: bytes) -> Json | None:
        """Note who holds a key; return the note as the band is told it, None where another page still holds it."""
        channel, pitch = midi.channel_of(data), data[1]
        holders = self._holders.setdefault((channel, pitch), set())
        if midi.is_note_on(data):
            holders.add(page)
        else:
            holders.discard(page)
            if holders:
                return None
            del self._holders[channel, pitch]
        return {"pitch": pitch, "on": midi.is_note_on(data), "velocity": data[2], "channel": channel + 1}

    def _send(self) -> None:
        """Send what waits, as much as one request holds."""
        if self._is_busy or self._band is None or not self._waiting or self._pause is not None:
            return
        if delay_s := self._allowed.find_delay_s(self._now()):
            self._pause = asyncio.get_running_loop().call_later(delay_s, self._go_on)
            return
        notes: list[Json] = []
        answers: list[Answer] = []
        while self._waiting and len(notes) + len(self._waiting[0][0]) <= MAX_NOTES:
            more, answer = self._waiting.popleft()
            notes += more
            for _ in more:
                self._allowed.take()
            if answer is not None:
                answers.append(answer)
        self._is_busy = True
        asked = self._band.ask("play", notes=notes) if notes else None
        if asked is None:
            self._finish({"ok": True}, answers)
        else:
            asked.add_done_callback(lambda future: self._finish(_read_answer(future), answers))

    def _go_on(self) -> None:
        self._pause = None
        self._send()

    def _finish(self, found: Json, answers: list[Answer]) -> None:
        for answer in answers:
            answer(found)
        self._is_busy = False
        self._send()


def _read_answer(future: asyncio.Future[Json]) -> Json:
    """Return what the band has answered, or that there is none."""
    if future.cancelled() or isinstance(future.exception(), NoBandError):
        return _NO_BAND
    return future.result()
