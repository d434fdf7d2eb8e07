"""The output queue, between the schedule and the ports: note-ons and note-offs wait here for their time to leave.

A slow synthesiser gets its notes earlier by its `offset_ms`; notes of a human hand lie a little before or behind the
beat. Both move a message in nanoseconds, which the schedule, in ticks, knows nothing of. Whatever the order in which
messages come in, a key that began is ended once, and a note never ends one that begins after it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from music.midi import Key, key_of, note_off


@dataclass(slots=True, eq=False)
class OutputMessage:
    """A note-on or a note-off."""

    at: int  #: when (ns) it is to leave
    due: int  #: the time (ns) that it is meant for
    data: bytes
    #: of a note-on, the ticks (at which it begins, up to which its plan knew the melody); None: it is a note-off
    onset: tuple[int, int | None] | None = None
    waiting: bool = True  #: it has not left, and will
    key: Key = field(init=False)  #: channel and pitch

    def __post_init__(self) -> None:
        self.key = key_of(self.data)


class OutputQueue:
    """Messages that wait to leave, by time; at one time note-offs before note-ons."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, bool, int, OutputMessage]] = []
        self._order = count()
        self._waiting: dict[Key, list[OutputMessage]] = {}
        self._on: set[Key] = set()  # keys that have begun and not ended

    def put(self, message: OutputMessage) -> None:
        """Let a message wait."""
        waiting = self._waiting.setdefault(message.key, [])
        if message.onset is not None:
            for other in waiting:  # what sounded at this pitch is over by then
                if other.onset is None and other.at > message.at:
                    other.at = message.at
                    self._push(other)
        else:
            for other in waiting:  # and nothing ends before it has begun
                if other.onset is not None and other.at >= message.at:
                    message.at = other.at + 1
        waiting.append(message)
        self._push(message)

    def next_at(self) -> int | None:
        """Return when (ns) the next message leaves, None while there is none."""
        while self._heap and not _is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: int) -> Iterator[OutputMessage]:
        """Yield what leaves by `now`, in order."""
        while (at := self.next_at()) is not None and at <= now:
            message = heapq.heappop(self._heap)[3]
            key = message.key
            self._forget(message)
            if message.onset is not None:
                if key in self._on:
                    yield OutputMessage(message.at, message.due, note_off(*key))
                self._on.add(key)
            elif key in self._on:
                self._on.discard(key)
            else:
                continue
            yield message

    def end_note(self, key: Key, now: int) -> Iterator[OutputMessage]:
        """Yield the note-off of a key that sounds; what waits of it never leaves."""
        for message in self._waiting.pop(key, ()):
            message.waiting = False
        if key in self._on:
            self._on.discard(key)
            yield OutputMessage(now, now, note_off(*key))

    def end_all(self, now: int) -> Iterator[OutputMessage]:
        """Yield the note-offs of all keys that sound; nothing waits any more."""
        for key in sorted({*self._waiting, *self._on}):
            yield from self.end_note(key, now)

    @property
    def sounding(self) -> frozenset[Key]:
        """The keys that have begun and not ended."""
        return frozenset(self._on)

    def _push(self, message: OutputMessage) -> None:
        heapq.heappush(self._heap, (message.at, message.onset is not None, next(self._order), message))

    def _forget(self, message: OutputMessage) -> None:
        message.waiting = False
        waiting = self._waiting[message.key]
        waiting.remove(message)
        if not waiting:
            del self._waiting[message.key]


def _is_current(item: tuple[int, bool, int, OutputMessage]) -> bool:
    return item[3].waiting and item[0] == item[3].at
