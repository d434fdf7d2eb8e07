"""The sender: turns note events into MIDI messages that leave in time, and leaves no note on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from daemon.core.counters import Counters
from daemon.core.settings import SOUNDING_ROLES, Settings
from daemon.core.tempo import NS_PER_MS, NS_PER_S, TempoMap
from daemon.core.world import Output
from daemon.input.loopback_filter import LoopbackFilter
from daemon.output.humanise import NO_TOUCH, find_lookahead_ns, humanise
from daemon.output.output_queue import OutputMessage, OutputQueue
from daemon.output.programs import list_program_changes
from daemon.output.schedule import CLICK, DRUMS, NoteEvent, ScheduledNote
from music.midi import Key, all_notes_off, note_off, note_on
from music.note import TICKS_PER_STEP, Note, fit_pitch

#: ports may have been gone for this long before it is noticed
UNNOTICED_LOSS_NS = 15 * NS_PER_S
#: after the clock that is followed has stopped, until all notes are ended once more
REPEAT_NS = 100 * NS_PER_MS


#: the melody's velocity at which the band plays as loud as it is planned
USUAL_LEVEL = 80
#: of a melody that is played louder by a factor, the band makes this power of it (models/LOG.md, Dynamics)
FOLLOWING = 0.53


class NoteSender:
    """The only one that sends. Works in nanoseconds, while the schedule works in ticks."""

    def __init__(self, output: Output, now: Callable[[], int], counters: Counters) -> None:
        """Send to `output`. now: returns the world's time, in nanoseconds."""
        self._output, self._now, self._counters = output, now, counters
        #: by how much the band must be ahead of the clock, for slow ports and synthesisers and for human hands
        self.lookahead_ns = 0
        self._settings = Settings()
        self._latency_ns = 0  # what the ports take, as far as it is made up for
        self._queue = OutputQueue()
        self._loopback = LoopbackFilter()
        #: tells whether a message that came in is one that was sent here and came back; every event is asked about
        self.is_own = self._loopback.is_own
        self._channels: set[int] = set()  # used so far
        self._shifted: dict[Key, int] = {}  # channel and pitch of notes that were moved -> the pitch that sounds
        self._ended_at: dict[tuple[int, int], int] = {}  # (channel, pitch) -> when (ns) it was last ended
        self._lost_ends: set[tuple[int, int]] = set()  # (channel, pitch) of ends that may have gone to lost ports
        self._repeat_at: int | None = None  # when (ns) all notes are ended once more

    def use(self, settings: Settings) -> None:
        """Play with these settings from now on."""
        self._settings = settings
        self.lookahead_ns = find_lookahead_ns(settings) + self._latency_ns

    def make_up_for(self, latency_ns: int) -> None:
        """Send everything so much earlier from now on: ports take that long to be heard."""
        self._latency_ns = latency_ns
        self.use(self._settings)

    @property
    def deadline(self) -> int | None:
        """When (ns) the next message leaves, None while none waits."""
        leaves, repeat = self._queue.next_at(), self._repeat_at
        if leaves is None or repeat is None:
            return repeat if leaves is None else leaves
        return min(leaves, repeat)

    def play(self, event: NoteEvent, tempo: TempoMap, melody_level: float) -> None:
        """Let a note begin or end: earlier by what its synthesiser needs, and as a human hand would.

        melody_level: how hard the melody is played, as a MIDI velocity; 0 before its first note.
        """
        due, scheduled = tempo.ns_at(event.due), event.scheduled
        touch = NO_TOUCH
        if self._settings.humanise:
            touch = humanise(self._settings, scheduled, tempo.ns_at(event.due + TICKS_PER_STEP) - due)
        slow = self._settings.offsets_ms.get(DRUMS if scheduled.role == CLICK else scheduled.role, 0)
        at = due + touch.late_ns - round(slow * NS_PER_MS) - self._latency_ns
        key = self._find_key(scheduled, begins=event.on)
        if event.on:
            self._channels.add(scheduled.channel)
            velocity = self._velocity(scheduled.role, scheduled.note, touch.velocity, melody_level)
            data = note_on(*key, velocity)
            self._queue.put(OutputMessage(at, due, data, (event.due, scheduled.heard)))
        else:
            self._queue.put(OutputMessage(at, due, note_off(*key)))

    def release(self, now: int, tempo: TempoMap) -> None:
        """Send what leaves by `now`: all of it first, for what is to be counted and remembered would delay the next."""
        sent: list[tuple[OutputMessage, int]] = []
        for message in self._queue.take(now):
            self._output.send(message.data, message.due, message.at)
            sent.append((message, self._now()))
        for message, at in sent:
            self._loopback.add(message.data, now)
            if message.onset is None:
                self._ended_at[message.key] = at
            else:
                self._count_onset(*message.onset, tempo, at)
            self._counters.lateness_ns.add(at - message.at)

    def end(self, events: Iterable[NoteEvent], now: int) -> None:
        """End these notes at once; one that has not begun never does."""
        for event in events:
            for message in self._queue.end_note(self._find_key(event.scheduled), now):
                self._emit(message, now)

    def end_all(self, now: int) -> None:
        """End every note; then, for a synthesiser that missed something, send all notes off."""
        for message in self._queue.end_all(now):
            self._emit(message, now)
        for channel in sorted(self._channels):
            self._send(all_notes_off(channel), now, now)

    def repeat_end_all(self, now: int) -> None:
        """End every note again in a moment: a note-off that coincides with a stop may be lost, as by an xrun."""
        self._repeat_at = now + REPEAT_NS

    def send_repeats(self, now: int, *, held: bool) -> None:
        """End every note again, if it is time; held: the clock that had stopped has not started since."""
        if self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = None
            if held:
                self.end_all(now)

    def choose_programs(self, now: int, roles: Iterable[str] = SOUNDING_ROLES, *, with_bank: bool = False) -> None:
        """Send what chooses the instruments of roles; with_bank: with their banks, even where these are the first."""
        for message in list_program_changes(self._settings, roles, with_bank=with_bank):
            self._send(message, now, now)

    def send(self, data: bytes, due: int) -> None:
        """Send a message that is no note."""
        self._send(data, due, self._now())

    def send_clock(self, data: bytes, due: int, now: int) -> None:
        """Send a message of the band's own MIDI clock."""
        self._send(data, due, now)

    def lose_ports(self, now: int) -> None:
        """Remember the ends that the ports, which are gone, may never have passed on."""
        recent = {key for key, at in self._ended_at.items() if now - at < UNNOTICED_LOSS_NS}
        self._lost_ends |= self._queue.sounding | recent

    def regain_ports(self, now: int) -> None:
        """Send the ends that were lost, now that the ports are back."""
        for channel, pitch in sorted(self._lost_ends - self._queue.sounding):
            self._send(note_off(channel, pitch), now, now)
        self._lost_ends.clear()

    def _send(self, data: bytes, due: int, now: int) -> None:
        self._output.send(data, due)
        self._loopback.add(data, now)

    def _emit(self, message: OutputMessage, now: int) -> None:
        self._send(message.data, message.due, now)
        if message.onset is None:
            self._ended_at[message.key] = self._now()

    def _find_key(self, scheduled: ScheduledNote, *, begins: bool = False) -> Key:
        """Return the channel and the pitch that a note sounds at; it ends where it began, whatever is set meanwhile."""
        channel, pitch = planned = scheduled.channel, scheduled.note.pitch
        if not begins:
            return channel, self._shifted.get(planned, pitch)
        moved = fit_pitch(pitch + self._settings.find_shift(scheduled.role))
        if moved != pitch:
            self._shifted[planned] = moved
        else:
            self._shifted.pop(planned, None)
        return channel, moved

    def _velocity(self, role: str, note: Note, touch: int, melody_level: float) -> int:
        """Return the velocity to play a note with, worked out as it begins, so that a turned control is heard at once.

        It is as planned, times the role's level and the intensity (0.7 leaves it as it is), and goes with how hard the
        melody is played, as pianists follow a melody.
        """
        loudness = self._settings.levels.get(role, 1.0) * (0.3 + self._settings.intensity)
        if melody_level:
            loudness *= (melody_level / USUAL_LEVEL) ** FOLLOWING
        return min(127, max(1, round(note.velocity * loudness) + touch))

    def _count_onset(self, tick: int, heard: int | None, tempo: TempoMap, at: int) -> None:
        self._counters.onsets += 1
        if heard is not None:
            self._counters.age_ticks.add(tick - heard)
            self._counters.age_ns.add(at - tempo.ns_at(heard))
