"""The pages that are open: each is told of what happens as fast as it reads, and none makes another one wait."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

Json = dict[str, Any]

#: pages at a time
MAX_PAGES = 32
#: characters that may wait for a page; beyond them it loses events
MAX_QUEUED_CHARACTERS = 1 << 19
#: messages to one page after which others have their turn
SENT_AT_ONCE = 16
#: a page that takes nothing for so long is sent away
SEND_PATIENCE_S = 20.0


class Page:
    """One open page: a queue of what it is going to be sent. Belongs to the server's loop."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        """send: sends one message, and waits while the page does not read."""
        self._send = send
        self._queue: deque[str] = deque()
        self._queued_characters = 0
        self._lost_events = 0
        self._filled, self._has_room = asyncio.Event(), asyncio.Event()
        self._has_room.set()

    def add_event(self, text: str) -> None:
        """Send an event (JSON), or drop it where too much waits; the page is told later how many were dropped."""
        if self._queued_characters + len(text) > MAX_QUEUED_CHARACTERS:
            self._lost_events += 1
            return
        if self._lost_events:
            self._add(json.dumps({"event": "lost", "count": self._lost_events}))
            self._lost_events = 0
        self._add(text)

    def add_answer(self, answer: Json) -> None:
        """Send the answer to a request, whatever waits already: `wait_for_room` bounds how many requests there are."""
        self._add(json.dumps(answer))

    async def wait_for_room(self) -> None:
        """Wait until the page has read enough of what it was sent to ask for more."""
        await self._has_room.wait()

    async def send_all(self) -> None:
        """Send what is added, until the page is gone. Raises TimeoutError where it does not read."""
        sent = 0
        while True:
            await self._filled.wait()
            while self._queue:
                text = self._queue.popleft()
                self._queued_characters -= len(text)
                self._note_room()
                async with asyncio.timeout(SEND_PATIENCE_S):
                    await self._send(text)
                sent += 1
                if sent % SENT_AT_ONCE == 0:  # sending does not wait while there is room: others have their turn
                    await asyncio.sleep(0)
            self._filled.clear()

    def _add(self, text: str) -> None:
        self._queue.append(text)
        self._queued_characters += len(text)
        self._filled.set()
        self._note_room()

    def _note_room(self) -> None:
        if self._queued_characters <= MAX_QUEUED_CHARACTERS:
            self._has_room.set()
        else:
            self._has_room.clear()


class Pages:
    """All open pages."""

    def __init__(self) -> None:
        self._pages: dict[Page, None] = {}

    @property
    def is_full(self) -> bool:
        """Tell whether there is no room for another page."""
        return len(self._pages) >= MAX_PAGES

    def add(self, page: Page) -> None:
        """Let a page hear of what happens from now on."""
        self._pages[page] = None

    def remove(self, page: Page) -> None:
        """Forget a page."""
        self._pages.pop(page, None)

    def tell(self, event: Json) -> None:
        """Send an event to all pages."""
        self.tell_text(json.dumps(event))

    def tell_text(self, text: str) -> None:
        """Send an event, as JSON, to all pages."""
        for page in self._pages:
            page.add_event(text)
