"""One client of the control socket: what it is sent, and how fast it may ask."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

#: bytes that may wait to be sent to a client; beyond them it is not answered, and events are dropped
MAX_QUEUE_BYTES = 1 << 18
REQUESTS_PER_SECOND = 50.0
#: requests that may come at once after a pause
BURST_REQUESTS = 100.0


class TokenBucket:
    """A rate limit: a bucket of tokens that fills at a rate, and from which every request takes one.

    The caller says what time it is (seconds of one monotonic clock).
    """

    def __init__(self, now: float, rate: float = REQUESTS_PER_SECOND, burst: float = BURST_REQUESTS) -> None:
        """Begin with a full bucket. rate: tokens a second; burst: tokens that fit in."""
        self._rate = rate
        self._tokens = self._burst = burst
        self._filled_at = now

    def find_delay_s(self, now: float) -> float:
        """Return how long it is until a token can be taken; 0 when there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) / self._rate

    def take(self) -> None:
        """Take a token."""
        self._tokens -= 1


class Turnstile:
    """Lets requests pass one at a time, in the order in which they came, no faster than a rate limit allows."""

    def __init__(self, rate: float = REQUESTS_PER_SECOND, burst: float = BURST_REQUESTS) -> None:
        """Open it; rate and burst as of a `TokenBucket`."""
        self._bucket = TokenBucket(time.monotonic(), rate, burst)
        self._queue = asyncio.Lock()

    async def wait(self) -> None:
        """Wait for one's turn."""
        async with self._queue:
            while delay := self._bucket.find_delay_s(time.monotonic()):
                await asyncio.sleep(delay)
            self._bucket.take()


@dataclass(eq=False)
class Connection:
    """One connected client. Belongs to the server's event loop."""

    writer: asyncio.StreamWriter
    #: its own rate limit
    turns: Turnstile = field(default_factory=Turnstile)
    #: the topics it has subscribed to
    topics: set[str] = field(default_factory=set)
    #: lines that `flush` will send
    outgoing: bytearray = field(default_factory=bytearray)
    #: events dropped since the last one that was sent
    lost_events: int = 0

    def send(self, message: Json) -> None:
        """Send an answer; it waits in memory until the client reads."""
        self._add(message)
        self.flush()

    def add_event(self, line: bytes) -> None:
        """Send an event (a line) with the next `flush`.

        It is dropped where too much waits already; with the next one that is not, the client is told how many were.
        """
        waiting = len(self.outgoing) + self.writer.transport.get_write_buffer_size()
        if waiting + len(line) > MAX_QUEUE_BYTES:
            self.lost_events += 1
            return
        if self.lost_events:
            self._add({"event": "lost", "count": self.lost_events})
            self.lost_events = 0
        self.outgoing += line

    def flush(self) -> None:
        """Send what was added."""
        if self.outgoing and not self.writer.is_closing():
            self.writer.write(bytes(self.outgoing))
        self.outgoing.clear()

    def _add(self, message: Json) -> None:
        self.outgoing += json.dumps(message).encode() + b"\n"
