"""A filter for the band's own notes, which may come back on its input if somebody wired it so: they are no melody."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from daemon.core.tempo import NS_PER_MS
from music import midi
from music.midi import Key

#: a message that comes in later than this after it was sent is not taken for the band's own
MAX_LOOP_NS = 250 * NS_PER_MS
#: different messages that are remembered before old ones are forgotten
MAX_MESSAGES = 2048

_Sent = deque[tuple[int, int]]  # (serial number, when in ns) of each time that a message was sent, oldest first


class LoopbackFilter:
    """Remembers for a moment what was sent. Each message sent excuses one that comes in at each port.

    A note-off is the band's own only where the note-on before it was: one that a player sends, for a note that the
    band has just ended, too, comes through, whatever its velocity. So an echo may put the note-off in other words.
    """

    def __init__(self) -> None:
        self._serial = 0
        self._sent: dict[bytes, _Sent] = {}
        self._ended: dict[Key, _Sent] = {}  # note-offs by what they end
        self._excused: dict[tuple[int, bytes], int] = {}  # (port, message) -> serial that it was last taken for
        self._echoing: dict[tuple[int, Key], int] = {}  # (port, key) of own notes that came back -> serial of their on

    def add(self, data: bytes, at: int) -> None:
        """Remember a message that was sent at `at` (ns)."""
        self._serial += 1
        oldest = at - MAX_LOOP_NS
        if len(self._sent) > MAX_MESSAGES:
            self._sent = {data: sent for data, sent in self._sent.items() if sent and sent[-1][1] >= oldest}
            self._excused = {known: serial for known, serial in self._excused.items() if known[1] in self._sent}
        if midi.is_note_off(data):
            _append(self._ended.setdefault(midi.key_of(data), deque()), self._serial, at)
        else:
            _append(self._sent.setdefault(data, deque()), self._serial, at)

    def is_own(self, data: bytes, at: int, port: int = 0) -> bool:
        """Return True if a message that comes in at `at` (ns) is one that was sent, and forget that one."""
        if midi.is_note_off(data):
            return self._is_own_end((port, midi.key_of(data)), at)
        serial = _find(self._sent.get(data, ()), self._excused.get((port, data), 0), at)
        if serial is None:
            return False
        self._excused[port, data] = serial
        if midi.is_note_on(data):
            self._echoing[port, midi.key_of(data)] = serial
        return True

    def _is_own_end(self, place: tuple[int, Key], at: int) -> bool:
        begun = self._echoing.get(place)
        if begun is None or _find(self._ended.get(place[1], ()), begun, at) is None:
            return False
        del self._echoing[place]
        return True


def _append(sent: _Sent, serial: int, at: int) -> None:
    while sent and sent[0][1] < at - MAX_LOOP_NS:
        sent.popleft()
    sent.append((serial, at))


def _find(sent: Iterable[tuple[int, int]], after: int, at: int) -> int | None:
    """Return the serial number, above `after`, of the first that may be heard at `at` (ns); None if there is none."""
    return next((serial for serial, when in sent if serial > after and at - MAX_LOOP_NS <= when <= at), None)
