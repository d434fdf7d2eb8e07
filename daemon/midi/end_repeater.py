"""Note-offs sent again where an audio server that ran late may have lost them: after an xrun, or where nobody counts.

A JACK server that runs late (an xrun) loses the messages of a period, or those that a reader missed. A note-on that is
lost is a note less; a note-off that is lost sounds until somebody notices.
"""

from __future__ import annotations

from typing import Protocol

from daemon.core.events import Event
from daemon.core.tempo import NS_PER_MS, NS_PER_S
from daemon.core.world import World
from music import midi

#: an end is sent again if it was sent no longer than this before the xrun was told of, which takes a while under load
RECENT_NS = 2 * NS_PER_S
#: after an xrun all recent ends are sent so many times, so far apart: the next period may be lost as well
REPEATS, REPEAT_INTERVAL_NS = 2, 100 * NS_PER_MS
#: where nobody counts xruns, every end is sent again once so long after it: longer than the longest of periods, of 8192
#: frames
DELAY_NS = 300 * NS_PER_MS


class EndRepeater:
    """Remembers the ends that were sent lately, and which of them are to be sent again.

    It belongs to one thread, the one that sends; `report_xrun` may be called by another.
    """

    def __init__(self) -> None:
        self.xruns = 0  #: as the server tells of them
        self._gaps = 0  # periods in which we were not called
        self._seen = 0  # xruns and gaps that have been answered
        self._next_frame: int | None = None
        self._repeats_left = 0
        self._repeat_at = 0
        self._ended: dict[midi.Key, int] = {}  # keys whose latest message is a note-off -> when (ns), the oldest first

    @property
    def losses(self) -> int:
        """The number of times that something may have been lost."""
        return self.xruns + self._gaps

    def report_xrun(self) -> None:
        """Take note that the server tells of an xrun."""
        self.xruns += 1

    def add(self, data: bytes, now: int) -> None:
        """Take note of a message that is sent at `now` (ns)."""
        if midi.is_note(data):
            key = midi.key_of(data)
            self._ended.pop(key, None)
            if midi.is_note_off(data):
                self._ended[key] = now

    def begin_period(self, first: int, frames: int) -> None:
        """Take note that a period begins at the frame `first`; one that was left out is a loss, too."""
        if self._next_frame is not None and first != self._next_frame:
            self._gaps += 1
        self._next_frame = first + frames

    def take_due(self, now: int) -> list[bytes]:
        """Return the note-offs that are to be sent again now."""
        if self.losses != self._seen:
            self._seen = self.losses
            self._repeats_left, self._repeat_at = REPEATS, now
        if not self._repeats_left or now < self._repeat_at:
            return []
        self._repeats_left -= 1
        self._repeat_at = now + REPEAT_INTERVAL_NS
        self._ended = {key: at for key, at in self._ended.items() if now - at < RECENT_NS}
        return [midi.note_off(*key) for key in self._ended]


class DelayedEnds:
    """The ends that are to be sent again in a moment, but those of keys that have been struck anew. For one thread."""

    def __init__(self) -> None:
        self._due: dict[midi.Key, int] = {}  # key whose latest message is a note-off -> when (ns), the earliest first

    @property
    def next_at(self) -> int | None:
        """When (ns) the next is to be sent; None while there is none."""
        return next(iter(self._due.values()), None)

    def add(self, data: bytes, now: int) -> None:
        """Take note of a message that is sent at `now` (ns)."""
        if midi.is_note(data):
            key = midi.key_of(data)
            self._due.pop(key, None)
            if midi.is_note_off(data):
                self._due[key] = now + DELAY_NS

    def take_due(self, now: int) -> list[bytes]:
        """Return the note-offs that are to be sent again now; they are not sent a third time."""
        due = [key for key, at in self._due.items() if at <= now]
        for key in due:
            del self._due[key]
        return [midi.note_off(*key) for key in due]


class RepeatsEnds(Protocol):
    """Ports that have ends to send again, when the thread that sends calls."""

    @property
    def repeat_at(self) -> int | None:
        """When (ns) they are to be called next; None for not at all."""
        ...

    def repeat_ends(self, now: int) -> None:
        """Send again what is due."""
        ...


class EndRepeatWorld:
    """A World in which ports send ends again while the conductor, the only one that sends, waits."""

    def __init__(self, world: World, ports: RepeatsEnds) -> None:
        """Hear what `world` hears."""
        self._world, self._ports = world, ports

    def now(self) -> int:
        """Return the world's time, ns."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """Return the next event, or None once `until` (ns) has come."""
        while (at := self._ports.repeat_at) is not None and (until is None or at < until):
            event = self._world.wait(at)
            if event is not None:
                return event
            self._ports.repeat_ends(self._world.now())
        return self._world.wait(until)
