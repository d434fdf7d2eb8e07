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
#: notes sent before one, of which so many as this share must have come back for it to be one that does: else a player
#: has struck the same key as the band, and no less hard
NOTES_BEFORE, BACK_SHARE = 4, 0.75
#: notes of a channel that are remembered for that
_MAX_NOTES = 64


#: a message that was sent: (serial number, from 1; when it was, ns)
_Sent = tuple[int, int]


class LoopbackFilter:
    """Remembers for a moment what was sent. Each message sent excuses one that comes in at each port.

    A note-off is the band's own only where the note-on before it was: one that a player sends, for a note that the
    band has just ended, too, comes through, whatever its velocity. So an echo may put the note-off in other words.
    """

    def __init__(self) -> None:
        self._serial = 0
        self._sent: dict[bytes, deque[_Sent]] = {}
        self._ended: dict[Key, deque[_Sent]] = {}  # note-offs by what they end
        self._notes: dict[int, deque[_Sent]] = {}  # note-ons by channel
        self._excused: dict[tuple[int, bytes], int] = {}  # (port, message) -> serial that it was last taken for
        self._back: dict[tuple[int, int], deque[int]] = {}  # (port, channel) -> serials of note-ons that came back
        self._echoing: dict[tuple[int, Key], int] = {}  # (port, key) of own notes that came back -> serial of their on

    def add(self, data: bytes, at: int) -> None:
        """Remember a message that was sent at `at` (ns)."""
        self._serial += 1
        sent = self._serial, at
        oldest = at - MAX_LOOP_NS
        if len(self._sent) > MAX_MESSAGES:
            self._sent = {data: times for data, times in self._sent.items() if times and times[-1][1] >= oldest}
            self._excused = {known: serial for known, serial in self._excused.items() if known[1] in self._sent}
        is_on = midi.is_note_on(data)
        if not is_on and midi.is_note(data):
            key = midi.key_of(data)
            times = self._ended.get(key)
            if times is None:
                times = self._ended[key] = deque()
        else:
            times = self._sent.get(data)
            if times is None:
                times = self._sent[data] = deque()
        while times and times[0][1] < oldest:
            times.popleft()
        times.append(sent)
        if is_on:
            channel = midi.channel_of(data)
            notes = self._notes.get(channel)
            if notes is None:
                notes = self._notes[channel] = deque(maxlen=_MAX_NOTES)
            notes.append(sent)

    def is_own(self, data: bytes, at: int, port: int = 0) -> bool:
        """Return True if a message that comes in at `at` (ns) is one that was sent, and forget that one."""
        times = self._sent.get(data)
        if times is None:  # as nearly always; note-offs are elsewhere
            if not self._echoing:
                return False
            return midi.is_note_off(data) and self._is_own_end((port, midi.key_of(data)), at)
        sent = _find(times, self._excused.get((port, data), 0), at)
        if sent is None:
            return False
        self._excused[port, data] = sent[0]
        return not midi.is_note_on(data) or self._is_own_note(data, sent, port)

    def _is_own_note(self, data: bytes, sent: _Sent, port: int) -> bool:
        """Return True if the notes that were sent before one came back at this port, too, as far as there are any."""
        channel = midi.channel_of(data)
        back = self._back.setdefault((port, channel), deque(maxlen=_MAX_NOTES))
        before = [serial for serial, at in self._notes[channel] if at < sent[1]][-NOTES_BEFORE:]
        is_own = sum(serial in back for serial in before) >= BACK_SHARE * len(before)
        back.append(sent[0])
        if is_own:
            self._echoing[port, midi.key_of(data)] = sent[0]
        return is_own

    def _is_own_end(self, place: tuple[int, Key], at: int) -> bool:
        begun = self._echoing.get(place)
        if begun is None or _find(self._ended.get(place[1], ()), begun, at) is None:
            return False
        del self._echoing[place]
        return True


def _find(times: Iterable[_Sent], after: int, at: int) -> _Sent | None:
    """Return the first, of a serial number above `after`, that may be heard at `at` (ns); None if there is none."""
    return next((sent for sent in times if sent[0] > after and at - MAX_LOOP_NS <= sent[1] <= at), None)
