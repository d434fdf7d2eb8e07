"""Between the agenda and the port: when a message leaves, and the last guard of what is left sounding.

A synthesiser that is slow gets its notes earlier by its `offset_ms`; notes of a human hand lie a little before or
behind the beat. Both move a message in nanoseconds, which the agenda, in ticks, knows nothing of. Whatever the order
they come in here, a key that began is ended once, and a note never ends one that begins after it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from music.midi import Key, key_of, note_off


@dataclass(slots=True, eq=False)
class OutputMessage:
    """A note's beginning or end. at: when it is to leave, ns; due: the moment it was meant for; heard: on an onset, the
    ticks (of the note, up to which its plan knew the melody)."""

    at: int
    due: int
    data: bytes
    onset: tuple[int, int | None] | None = None
    waiting: bool = True

    @property
    def key(self) -> Key:
        """Channel and pitch."""
        return key_of(self.data)


class OutputQueue:
    """What waits to leave, by time; ends before beginnings."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, bool, int, OutputMessage]] = []
        self._order = count()
        self._waiting: dict[Key, list[OutputMessage]] = {}
        self._on: set[Key] = set()

    def put(self, message: OutputMessage) -> None:
        """A message that the agenda has come to."""
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

    def next(self) -> int | None:
        """When the next message leaves, None while there is none."""
        while self._heap and not _valid(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: int) -> Iterator[OutputMessage]:
        """What leaves by now, in order."""
        while (at := self.next()) is not None and at <= now:
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
        """End a key at once: what of it has not begun never does."""
        for message in self._waiting.pop(key, ()):
            message.waiting = False
        if key in self._on:
            self._on.discard(key)
            yield OutputMessage(now, now, note_off(*key))

    def end_all(self, now: int) -> Iterator[OutputMessage]:
        """End all there is."""
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


def _valid(item: tuple[int, bool, int, OutputMessage]) -> bool:
    return item[3].waiting and item[0] == item[3].at
