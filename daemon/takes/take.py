"""A take: the MIDI that was heard and sent in a performance, to be written as a multi-track MIDI file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.core.observers import Observer, PerformanceView
from daemon.core.tempo import PlacedMark, TempoMap
from daemon.takes.metre_history import MetreHistory, find_bar_start, list_metres
from daemon.takes.settings_history import SET_PREFIX, SettingsHistory, format_change
from music.charts.chord_names import list_markers
from music.midi import is_note, is_note_off, is_performed, pair_notes
from music.note import CHANNELS, HAND, MELODY, TICKS_PER_BEAT, Metre, Note

if TYPE_CHECKING:
    import mido

_ROLE_OF = {channel: role for role, channel in CHANNELS.items() if role != MELODY}
_Message = tuple[int, bytes]


class Take(Observer):
    """One performance as it sounded, kept in memory until it is written as a MIDI file."""

    def __init__(self) -> None:
        self._heard: list[_Message] = []  # notes, and all else that is played
        self._led: list[_Message] = []  # what the leading hand played, where it has a channel of its own
        self._led_keys: set[bytes] = set()  # channel and pitch of its keys that are down
        self._chords: list[tuple[int, str]] = []  # (tick, label) of every change
        self._sent: list[_Message] = []
        self._end = 0  # the time (ns) of the latest message
        self._performance: PerformanceView | None = None
        self._metres = MetreHistory()
        self._history = SettingsHistory()
        self._changes: list[tuple[int, str]] = []  # (ns, text) of every control that stands otherwise than usual
        self._marks: list[PlacedMark] = []  # of the tempo, by time; the performance itself drops old ones

    def on_start(self, performance: PerformanceView) -> None:
        """Keep the tempo of this performance."""
        self._performance = performance

    def on_wait(self, now: int, until: int | None) -> None:
        """Keep the tempo marks that have been passed, and where bars begin to lie otherwise."""
        if self._performance is not None:
            for change in self._history.update(self._performance.settings):
                self._changes.append((now, format_change(*change)))
        tempo = None if self._performance is None else self._performance.tempo
        if tempo is None or self._performance is None:
            return
        self._metres.update(self._performance, now)
        while self._marks and tempo.mark_at(self._marks[-1][1]) != self._marks[-1]:
            self._marks.pop()  # a leap that began before it has taken its place
        if not self._marks:
            self._marks.append(tempo.mark_at(now))
        self._marks += tempo.marks_between(self._marks[-1][1], now)

    def on_input(self, data: bytes, at: int) -> None:
        """Keep a channel message that arrived at `at` (ns)."""
        self._keep(self._led if self._is_led(data) else self._heard, data, at)

    def _is_led(self, data: bytes) -> bool:
        """Tell whether a message is the leading hand's; a note-off is whose the note-on was."""
        if not is_performed(data):
            return False
        key = bytes((data[0] & 0x0F, data[1]))
        if is_note_off(data):
            is_led = key in self._led_keys
            self._led_keys.discard(key)
            return is_led
        if self._performance is None or self._performance.settings.chord_channel - 1 != key[0]:
            return False
        if is_note(data):
            self._led_keys.add(key)
        return True

    def on_chords(self, chords: Sequence[tuple[int, str]]) -> None:
        """Keep the chords that the band follows."""
        while self._chords and self._chords[-1][0] >= chords[0][0]:
            self._chords.pop()
        self._chords += chords

    def on_output(self, data: bytes, due: int) -> None:
        """Keep a channel message that was sent and was due at `due` (ns)."""
        self._keep(self._sent, data, due)

    def _keep(self, messages: list[_Message], data: bytes, at: int) -> None:
        self._end = max(self._end, at)
        if is_performed(data) and data[1:].isascii():
            messages.append((at, data))

    def parts(self, tempo: TempoMap) -> dict[str, list[Note]]:
        """Return the notes of the melody, of the leading hand and of every role that played, in ticks.

        A note that never ended ends with the last message.
        """
        by_channel = _notes_by_channel(self._sent, tempo, self._end)
        roles = {role: by_channel[channel] for channel, role in _ROLE_OF.items() if channel in by_channel}
        heard, led = (_collect_notes(messages, tempo, self._end) for messages in (self._heard, self._led))
        return {MELODY: heard} | ({HAND: led} if led else {}) | roles

    def write(self, path: Path, tempo: TempoMap, metre: Metre) -> None:
        """Write a MIDI file: the melody, the leading hand, a track for each role, the chords. Raises OSError.

        metre: that of the bars, where the performance has told of none. An upbeat moves everything by whole bars, for a
        file has nothing before its beginning.
        """
        from music import midifile  # here, so that getting ready to play does not wait for mido

        tempo = tempo.with_older(self._marks)
        parts = self.parts(tempo)
        metres = self._metres.marks or [(0, metre)]
        first = min((n.start for notes in parts.values() for n in notes), default=0)
        shift = max(0, -find_bar_start(metres, first))
        tempos = {max(0, tick + shift) if number else 0: us for number, (tick, us) in enumerate(tempo.marks)}
        moved = {
            name: [Note(n.start + shift, n.pitch, n.length, n.velocity) for n in notes] for name, notes in parts.items()
        }
        channel = self._led[0][1][0] & 0x0F if self._led else CHANNELS[MELODY]
        midifile.write(
            path,
            moved,
            tempos=tempos.items(),
            metres=list_metres(metres, -shift),
            harmony=list_markers((tick + shift, label) for tick, label in self._chords),
            channels={**CHANNELS, HAND: channel},
            controls=self._list_controls(tempo, shift),
            metas=_list_settings(self._changes, tempo, shift),
        )

    def _list_controls(self, tempo: TempoMap, shift: int) -> dict[str, list[tuple[int, bytes]]]:
        """Return, by part, (tick, message) of all that is no note; what came before the file is at its beginning."""
        found: dict[str, list[tuple[int, bytes]]] = {}
        channels = {channel: role for role, channel in CHANNELS.items() if role != MELODY}
        sent = ((channels.get(data[0] & 0x0F), at, data) for at, data in self._sent)
        heard = [(part, at, data) for part, kept in ((MELODY, self._heard), (HAND, self._led)) for at, data in kept]
        for part, at, data in (*heard, *sent):
            if part is not None and not is_note(data):
                found.setdefault(part, []).append((max(0, _nearest_tick(tempo, at) + shift), data))
        return found


def _list_settings(changes: Iterable[tuple[int, str]], tempo: TempoMap, shift: int) -> list[mido.MetaMessage]:
    """Return messages of controls as `music.midifile.write` takes them. changes: (ns, text) by time."""
    import mido

    from music import midifile

    found, last = [], 0
    for at, change in changes:
        here = max(last, (_nearest_tick(tempo, at) + shift) * (midifile.FILE_TICKS // TICKS_PER_BEAT))
        found.append(mido.MetaMessage("sequencer_specific", data=f"{SET_PREFIX}{change}".encode(), time=here - last))
        last = here
    return found


def _collect_notes(messages: Iterable[_Message], tempo: TempoMap, end: int) -> list[Note]:
    """Return the notes of all channels together, sorted."""
    return sorted(note for notes in _notes_by_channel(messages, tempo, end).values() for note in notes)


def _notes_by_channel(messages: Iterable[_Message], tempo: TempoMap, end: int) -> dict[int, list[Note]]:
    """Return channel -> notes in the order in which they ended; a second onset of a key that sounds ends the first."""
    found: dict[int, list[Note]] = {}
    for note in pair_notes(messages, end):
        start = _nearest_tick(tempo, note.start)
        length = max(1, _nearest_tick(tempo, note.end) - start)
        found.setdefault(note.channel, []).append(Note(start, note.pitch, length, note.velocity))
    return found


def _nearest_tick(tempo: TempoMap, at: int) -> int:
    """Return the tick nearest to a time (ns); what was due at a tick is exactly there."""
    tick = tempo.tick_at(at)
    return tick if at - tempo.ns_at(tick) <= tempo.ns_at(tick + 1) - at else tick + 1
