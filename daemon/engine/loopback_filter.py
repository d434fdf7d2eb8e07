"""A filter for the band's own notes, which may come back on its input if somebody wired it so: they are no melody."""

from __future__ import annotations

from collections import deque

from daemon.core.tempo import NS_PER_MS

#: a message that comes in later than this after it was sent is not taken for the band's own
MAX_LOOP_NS = 250 * NS_PER_MS
#: different messages that are remembered before old ones are forgotten
MAX_MESSAGES = 2048


class LoopbackFilter:
    """Remembers for a moment what was sent. Each message sent excuses one that comes in."""

    def __init__(self) -> None:
        self._sent: dict[bytes, deque[int]] = {}  # message -> when (ns) it was sent

    def add(self, data: bytes, at: int) -> None:
        """Remember a message that was sent at `at` (ns)."""
        oldest = at - MAX_LOOP_NS
        if len(self._sent) > MAX_MESSAGES:
            self._sent = {data: times for data, times in self._sent.items() if times and times[-1] >= oldest}
        times = self._sent.setdefault(data, deque())
        while times and times[0] < oldest:
            times.popleft()
        times.append(at)

    def is_own(self, data: bytes, at: int) -> bool:
        """Return True if a message that comes in at `at` (ns) is one that was sent, and forget that one."""
        times = self._sent.get(data)
        while times and times[0] < at - MAX_LOOP_NS:
            times.popleft()
        if not times or times[0] > at:
            return False
        times.popleft()
        return True
