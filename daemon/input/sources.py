"""Sources of MIDI: keyboards, DAWs and whatever else plays to the band, each on a port.

A source that is gone sends no note-offs. So where one vanishes, falls silent though it had said that it would not
(Active Sensing), or is reset (System Reset), the note-offs of the keys that are down there are made up, and its pedals
go up: melody, loop, gestures and takes hear them like any others.
"""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from daemon.core.events import Event, MidiIn, SourceLost
from daemon.core.tempo import NS_PER_MS
from daemon.core.world import World
from music import midi
from music.midi import Key

T = TypeVar("T")

#: a source that senses actively sends something every 300 ms; it is gone after that, and after what an audio period of
#: 8192 frames and a busy machine may add
SENSING_TIMEOUT_NS = 500 * NS_PER_MS
#: the port of messages of which nobody knows the source
UNKNOWN_PORT = 0


class HeldKeys:
    """The keys and pedals that are down, by port."""

    def __init__(self) -> None:
        self._keys: dict[int, dict[Key, None]] = {}  # port -> keys in the order in which they went down
        self._pedals: dict[int, dict[int, None]] = {}  # port -> channels

    def hear(self, data: bytes, port: int) -> int:
        """Take in a message; return the port of what it moves.

        That is another than its own only where it ends what began while nobody knew the source.
        """
        if midi.is_note(data):
            return _move(self._keys, midi.key_of(data), port, down=midi.is_note_on(data))
        if len(data) == 3 and midi.kind_of(data) == midi.CONTROL_CHANGE and data[1] == midi.PEDAL:
            return _move(self._pedals, midi.channel_of(data), port, down=midi.is_pedal_down(data))
        return port

    def release(self, port: int) -> list[bytes]:
        """Return the messages that release all keys and pedals of a port; they are up then."""
        ends = [midi.note_off(*key) for key in self._keys.pop(port, ())]
        return ends + [midi.control_change(channel, midi.PEDAL, 0) for channel in self._pedals.pop(port, ())]

    @property
    def ports(self) -> list[int]:
        """The ports where something is down."""
        return sorted({port for held in (self._keys, self._pedals) for port, what in held.items() if what})


class ActiveSensing:
    """Knows which ports have begun to sense actively, and which of them have been silent for too long."""

    def __init__(self) -> None:
        self._heard: dict[int, int] = {}  # port that senses -> when (ns) something came last

    @property
    def deadline(self) -> int | None:
        """When (ns) the silence of a port means something; None while none senses."""
        return min(self._heard.values()) + SENSING_TIMEOUT_NS if self._heard else None

    def hear(self, event: MidiIn) -> None:
        """Take in a message of any kind."""
        if event.port in self._heard or event.data[0] == midi.ACTIVE_SENSING:
            self._heard[event.port] = event.at

    def forget(self, port: int) -> None:
        """Expect nothing more of a port until it senses again."""
        self._heard.pop(port, None)

    def find_silent(self, now: int) -> list[int]:
        """Return the ports that have been silent for too long, and expect nothing more of them."""
        silent = [port for port, at in self._heard.items() if now >= at + SENSING_TIMEOUT_NS]
        for port in silent:
            self.forget(port)
        return silent


class SourceWorld:
    """A World in which no key stays down when its source is gone."""

    def __init__(self, world: World) -> None:
        """Hear what `world` hears, but for Active Sensing and the loss of sources, which become note-offs."""
        self._world = world
        self._held, self._sensing = HeldKeys(), ActiveSensing()
        self._ready: deque[Event] = deque()

    def now(self) -> int:
        """Return the world's time, ns."""
        return self._world.now()

    def wait(self, until: int | None) -> Event | None:
        """Return the next event, or None once `until` (ns) has come."""
        while not self._ready:
            deadline = self._sensing.deadline
            ours = deadline is not None and (until is None or deadline < until)
            event = self._world.wait(deadline if ours else until)
            now = self._world.now()
            match event:
                case MidiIn():
                    self._hear(event)
                case SourceLost():
                    self._lose(event)
                case None:
                    for port in self._sensing.find_silent(now):
                        self._release(port, now)
                    if not ours and not self._ready:
                        return None
                case _:
                    return event
        return self._ready.popleft()

    def _hear(self, event: MidiIn) -> None:
        self._sensing.hear(event)
        status = event.data[0]
        if status == midi.ACTIVE_SENSING:
            return
        if status == midi.SYSTEM_RESET:
            self._sensing.forget(event.port)
            self._release(event.port, event.at)
        port = self._held.hear(event.data, event.port)
        self._ready.append(event if port == event.port else MidiIn(event.at, event.data, port))

    def _lose(self, event: SourceLost) -> None:
        """Release the keys of a source, those of which nobody knows the source, too; all if it is not said which."""
        for port in self._held.ports if event.port is None else (event.port, UNKNOWN_PORT):
            self._sensing.forget(port)
            self._release(port, event.at)

    def _release(self, port: int, at: int) -> None:
        self._ready.extend(MidiIn(at, data, port) for data in self._held.release(port))


def _move(held: dict[int, dict[T, None]], what: T, port: int, *, down: bool) -> int:
    """Let something go down or up; return the port where it does."""
    if down:
        held.setdefault(port, {})[what] = None
        return port
    if what not in held.get(port, ()) and what in held.get(UNKNOWN_PORT, ()):
        port = UNKNOWN_PORT
    held.get(port, {}).pop(what, None)
    return port
