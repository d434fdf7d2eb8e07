"""The output of a band whose notes a plugin places: lines ahead of time, with positions of the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from daemon.output.programs import SOUND_CHANNELS
from daemon.plugin.lines import make_line
from daemon.plugin.timeline import TICK_NS, US_PER_BEAT, HostTimeline, TimelineMember
from music import midi
from music.note import TICKS_PER_BEAT

#: notes that are remembered, for a loop that comes round and for connections that join
MAX_REMEMBERED = 4096
#: and for how long
REMEMBERED_NS = 8 * TICKS_PER_BEAT * TICK_NS
_ROLES = {channel: role for role, channel in SOUND_CHANNELS.items()}


class _Sent(NamedTuple):
    """The begin or the end of a note."""

    due: int  #: the time at which it is due
    late_ns: int  #: nanoseconds of real time by which it sounds later
    role: str
    pitch: int
    velocity: int  #: 0: it ends
    ahead: int  #: the stretch that it was written ahead on, for the next one; 0: it was not


class NoteLines:
    """An Output that writes what is sent as lines for every connection of a session."""

    def __init__(self, timeline: HostTimeline, tell: Callable[[int, bytes], None]) -> None:
        """tell: called with the number of a connection and a line for it; it must not wait."""
        self._timeline, self._tell = timeline, tell
        self._members: dict[int, TimelineMember] = {}
        #: returns the lines that a connection is told first
        self.list_standing: Callable[[], list[bytes]] = list
        #: ns by which messages leave before they are due
        self.latency_ns = 0
        #: ns by which a note may stray, either way
        self.stray_ns = 0
        #: role -> ns that its synthesiser needs, which are no part of a beat
        self.slow_ns: Mapping[str, int] = {}
        self._sent: deque[_Sent] = deque(maxlen=MAX_REMEMBERED)
        self._banks: dict[str, int] = {}
        self._programs: dict[str, tuple[int, int]] = {}
        self._until: dict[int, tuple[int, int, int]] = {}  # connection -> what was told last: epochs and position

    def add(self, number: int, member: TimelineMember) -> None:
        """Tell a connection, too, from now on."""
        self._members[number] = member
        for line in self.list_standing():
            self._tell(number, line)
        for role, program in self._programs.items():
            self._tell(number, make_line("program", role, *program))

    def remove(self, number: int) -> None:
        """Tell a connection no more."""
        self._members.pop(number, None)
        self._until.pop(number, None)

    def send(self, data: bytes, due: int, at: int | None = None) -> None:
        """Write one MIDI message, as far as the plugin has a line for it."""
        kind = data[0] & 0xF0
        role = _ROLES.get(data[0] & 0x0F)
        if role is None or data[0] >= midi.SYSEX:
            return
        if midi.is_note(data):
            self._send_note(role, data[1], data[2] if midi.is_note_on(data) else 0, due, at)
        elif kind == midi.PROGRAM_CHANGE:
            self._choose(role, data[1] + 1, self._banks.get(role, 0))
        elif kind == midi.CONTROL_CHANGE and data[1] == midi.ALL_NOTES_OFF:
            self.end_all()
        elif kind == midi.CONTROL_CHANGE and data[1] == midi.BANK_HIGH:
            self._banks[role] = data[2] * 128 + self._banks.get(role, 0) % 128
        elif kind == midi.CONTROL_CHANGE and data[1] == midi.BANK_LOW:
            self._banks[role] = self._banks.get(role, 0) // 128 * 128 + data[2]

    def end_all(self) -> None:
        """Have the plugin end what sounds at once, and drop what was to come."""
        if self._sent:
            self._sent.clear()
            self._tell_all(make_line("panic"))

    def tell_until(self, at: int) -> None:
        """Tell every connection that all notes before a time have been written."""
        while self._sent and self._sent[0].due < at - REMEMBERED_NS:
            self._sent.popleft()
        for number, member in self._members.items():
            if not self._timeline.is_member(member):
                continue
            position, loop = self._timeline.find_position(at), self._timeline.loop
            told = member.epoch, member.serial, position
            before = self._until.get(number)
            if before is not None and before[:2] == told[:2] and before[2] >= position:
                continue
            self._until[number] = told
            self._tell(number, make_line("until", member.epoch, position))
            if loop is not None and position > loop[1]:
                self._tell(number, make_line("until", member.epoch + 1, loop[0] + position - loop[1]))

    def join(self, number: int, told_ahead: int | None = None) -> None:
        """Tell a connection that has come to the stretch that is played what was written of it.

        told_ahead: the stretch before, where what was written ahead on it holds.
        """
        member = self._members[number]
        begin = self._timeline.find_time(member.begin)
        for sent in self._sent:
            if sent.due >= begin and sent.ahead != told_ahead:
                self._tell_note(sent, number, member)

    def forget_loop(self) -> None:
        """Take it that the host goes round elsewhere, or nowhere: the plugin forgets what it was told for that."""
        self._sent = deque((sent._replace(ahead=0) for sent in self._sent), MAX_REMEMBERED)

    def _send_note(self, role: str, pitch: int, velocity: int, due: int, at: int | None) -> None:
        timeline, late = self._timeline, 0
        if at is not None:  # a hand's share is of a step, and a step of the band's time lasts another time in the host
            slow = self.slow_ns.get(role, 0)
            late = (at + self.latency_ns - due + slow) * timeline.us // US_PER_BEAT - slow
            late = max(-self.stray_ns, min(late, self.stray_ns))
        is_ahead = timeline.loop is not None and timeline.find_position(due) >= timeline.loop[1]
        sent = _Sent(due, late, role, pitch, velocity, timeline.serial if is_ahead else 0)
        self._sent.append(sent)
        if velocity and due < timeline.find_begin():
            return
        for number, member in self._members.items():
            if self._timeline.is_member(member):
                self._tell_note(sent, number, member)

    def _tell_note(self, sent: _Sent, number: int, member: TimelineMember) -> None:
        """Tell a connection a note; one behind the end of a loop also for where the loop begins, in the next round."""
        position, loop = self._timeline.find_position(sent.due), self._timeline.loop
        places = [(member.epoch, position)]
        if loop is not None and position >= loop[1]:
            places.append((member.epoch + 1, loop[0] + position - loop[1]))
        for epoch, place in places:
            self._tell(number, make_line("note", epoch, sent.role, place, sent.pitch, sent.velocity, sent.late_ns))

    def _choose(self, role: str, program: int, bank: int) -> None:
        if self._programs.get(role) != (program, bank):
            self._programs[role] = program, bank
            self._tell_all(make_line("program", role, program, bank))

    def _tell_all(self, line: bytes) -> None:
        for number in self._members:
            self._tell(number, line)
