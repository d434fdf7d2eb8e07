"""Notes replaced in a span of one track of a MIDI file, in its bytes: all else stays to the byte.

What lies outside the span stays: other tracks as they are, and in the track itself every message, at its tick. That
holds for note-offs, too. A note from before the span sounds on into it; one that began in the span and sounded on
behind it is taken up right before its end, unless less than a sixteenth of it was left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from music import midi, smf
from music.errors import UserError
from music.note import STEPS_PER_BEAT

_HEADER, _TRACK = b"MThd", b"MTrk"
_END_OF_TRACK = bytes((smf.META, smf.END_OF_TRACK, 0))


class EditInPlaceError(UserError):
    """Raised for a file in which nothing can be replaced without touching the rest."""


class FileNote(NamedTuple):
    """A note in ticks of a file."""

    start: int
    end: int
    pitch: int
    velocity: int


class TrackSpan(NamedTuple):
    """A part of a track: the ticks of the file from `begin` up to `end`, on a channel (0..15) or, None, on all."""

    begin: int
    end: int
    channel: int | None = None


@dataclass(slots=True)
class TrackEvent:
    """One message of a track."""

    tick: int
    status: int
    #: all that follows the status
    body: bytes
    #: it has no status of its own in the file, but that of the message before
    is_running: bool = False

    @property
    def key(self) -> tuple[int, int] | None:
        """Channel and pitch of a note-on or note-off; None for other messages."""
        return (self.status & 0x0F, self.body[0]) if self.status & 0xE0 == 0x80 else None

    @property
    def is_on(self) -> bool:
        """True for what begins a note."""
        return self.status & 0xF0 == midi.NOTE_ON and self.body[1] > 0


class MidiBytes:
    """The chunks of a Standard MIDI File. Raises EditInPlaceError for a file that is damaged."""

    def __init__(self, data: bytes) -> None:
        self._chunks = list(_split_chunks(data))
        if not self._chunks or self._chunks[0][0] != _HEADER or len(self._chunks[0][1]) < 6:
            raise EditInPlaceError("it has no MIDI header")
        self._tracks = [index for index, (name, _) in enumerate(self._chunks) if name == _TRACK]
        #: ticks to the beat
        self.division = int.from_bytes(self._chunks[0][1][4:6], "big")
        if not 0 < self.division < 0x8000:
            raise EditInPlaceError("it counts frames, not beats; save it with ticks to the beat")

    @property
    def track_count(self) -> int:
        """The number of tracks."""
        return len(self._tracks)

    def replace_notes(self, track: int, span: TrackSpan, notes: Iterable[FileNote], channel: int) -> None:
        """Replace the notes that begin in a span of a track by others, on a channel (0..15), that begin there, too.

        Raises EditInPlaceError for a damaged track.
        """
        index = self._tracks[track]
        name, content = self._chunks[index]
        events = _read_track(content)
        changed = _replace_notes(events, span, list(notes), channel, self.division // STEPS_PER_BEAT)
        if changed != events:
            self._chunks[index] = name, _format_track(changed)

    def add_track(self, name: str) -> int:
        """Add an empty track; return its number."""
        title = name.encode()
        body = bytes((0, smf.META, smf.TRACK_NAME)) + _format_number(len(title)) + title + b"\0" + _END_OF_TRACK
        self._tracks.append(len(self._chunks))
        self._chunks.append((_TRACK, body))
        kind, header = self._chunks[0]
        header = (1).to_bytes(2, "big") + len(self._tracks).to_bytes(2, "big") + header[4:]
        self._chunks[0] = kind, header
        return self.track_count - 1

    def format(self) -> bytes:
        """Return the bytes of the file."""
        return b"".join(name + len(content).to_bytes(4, "big") + content for name, content in self._chunks)


def _split_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        if len(data) < at + 8 or end > len(data):
            raise EditInPlaceError("a part of it is missing at the end")
        yield data[at : at + 4], data[at + 8 : end]
        at = end


def _read_track(content: bytes) -> list[TrackEvent]:
    """Return the messages of a track up to its end, which is the last of them. Raises EditInPlaceError."""
    events: list[TrackEvent] = []
    at = tick = running = 0
    try:
        while not (events and events[-1].status == smf.META and events[-1].body[0] == smf.END_OF_TRACK):
            delta, at = _read_number(content, at)
            tick += delta
            status, is_running = content[at], content[at] < 0x80
            if is_running:
                status = running
            else:
                at += 1
            end = _find_end(content, at, status)
            body = content[at:end]
            running = status if 0x80 <= status < midi.SYSEX else running
            is_damaged = len(body) != end - at or not status >= 0x80 or (status < midi.SYSEX and not body.isascii())
            if is_damaged:
                raise IndexError
            events.append(TrackEvent(tick, status, body, is_running))
            at = end
    except IndexError:
        raise EditInPlaceError("one of its tracks is damaged; a program that reads it can save it anew") from None
    return events


def _find_end(content: bytes, at: int, status: int) -> int:
    """Return where the message ends whose body begins here. Raises IndexError where none can."""
    if status < midi.SYSEX:
        return at + (1 if 0xC0 <= status < 0xE0 else 2)
    if status in (midi.SYSEX, midi.SYSEX_END, smf.META):
        length, begin = _read_number(content, at + 1 if status == smf.META else at)
        return begin + length
    raise IndexError


def _replace_notes(
    events: Sequence[TrackEvent], span: TrackSpan, notes: Sequence[FileNote], channel: int, step: int
) -> list[TrackEvent]:
    """Return the messages of a track with other notes in a span; step: ticks of a sixteenth."""
    removed, tails, kept = _find_notes(events, span)
    last = max(span.begin, span.end - 1)
    ons: list[TrackEvent] = []
    offs: list[TrackEvent] = []
    for note in sorted(notes):
        key = channel, note.pitch
        if not span.begin <= note.start < last or note.start < kept.get(key, note.start):
            continue
        ons.append(TrackEvent(note.start, midi.NOTE_ON | channel, bytes((note.pitch, note.velocity))))
        if note.end >= span.end and key in tails:
            del tails[key]  # its end is that of the note which sounded on
            continue
        end = min(note.end, last)
        offs.append(TrackEvent(end, midi.NOTE_OFF | channel, bytes((note.pitch, 0))))
    for (own, pitch), (until, velocity) in tails.items():
        if until - span.end >= step:
            ons.append(TrackEvent(last, midi.NOTE_ON | own, bytes((pitch, velocity))))
    *rest, end_of_track = [event for index, event in enumerate(events) if index not in removed]
    merged = sorted([*offs, *rest, *ons], key=lambda event: event.tick)  # stable: at one tick, ends come first
    end = max(end_of_track.tick, merged[-1].tick if merged else 0)
    return [*merged, TrackEvent(end, end_of_track.status, end_of_track.body)]


_Key = tuple[int, int]  # channel, pitch


def _find_notes(
    events: Sequence[TrackEvent], span: TrackSpan
) -> tuple[set[int], dict[_Key, tuple[int, int]], dict[_Key, int]]:
    """Return what of a track goes and what stays where a span is to be filled anew.

    It is: the indices of messages to remove; key -> (end, velocity) of the notes to remove that sound on behind the
    span; key -> end of the notes from before that sound on into it.
    """
    removed: set[int] = set()
    tails: dict[_Key, tuple[int, int]] = {}
    kept: dict[_Key, int] = {}
    down: dict[_Key, list[int]] = {}  # key -> indices of note-ons, the oldest first
    for index, event in enumerate(events):
        key, is_inside = event.key, span.begin <= event.tick < span.end
        if key is None or span.channel not in (None, key[0]):
            continue
        if event.is_on:
            down.setdefault(key, []).append(index)
            removed |= {index} if is_inside else set()
        elif not down.get(key):
            removed |= {index} if is_inside else set()  # it ends nothing
        else:
            began = down[key].pop(0)
            if began not in removed:
                if events[began].tick < span.begin < event.tick:
                    kept[key] = event.tick
            elif is_inside:
                removed.add(index)
            else:
                tails[key] = event.tick, events[began].body[1]
    return removed, tails, kept


def _format_track(events: Iterable[TrackEvent]) -> bytes:
    content = bytearray()
    tick = before = 0
    for event in events:
        content += _format_number(event.tick - tick)
        if not (event.is_running and event.status == before):
            content.append(event.status)
        content += event.body
        tick, before = event.tick, event.status
    return bytes(content)


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return (a number of 7 bits a byte, what follows it). Raises IndexError where it does not end."""
    value = 0
    while True:
        value = value << 7 | data[at] & 0x7F
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def _format_number(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))
