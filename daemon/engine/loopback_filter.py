"""The band's own notes, heard again on its input because somebody wired it so, are no melody."""

from __future__ import annotations

from collections import deque

from daemon.core.tempo import NS_PER_MS

#: what comes back later than this (ns) is not taken for an echo
PATIENCE = 250 * NS_PER_MS
_MOST = 2048


class LoopbackFilter:
    """Remembers what was sent for a moment. Each message that was sent excuses one that comes in."""

    def __init__(self) -> None:
        self._sent: dict[bytes, deque[int]] = {}

    def sent(self, at: int, data: bytes) -> None:
        """A message was sent."""
        if len(self._sent) > _MOST:
            self._sent = {data: times for data, times in self._sent.items() if times and times[-1] >= at - PATIENCE}
        times = self._sent.setdefault(data, deque())
        while times and times[0] < at - PATIENCE:
            times.popleft()
        times.append(at)

    def is_own(self, at: int, data: bytes) -> bool:
        """Whether a message that comes in is one of those."""
        times = self._sent.get(data)
        while times and times[0] < at - PATIENCE:
            times.popleft()
        if not times or times[0] > at:
            return False
        times.popleft()
        return True
