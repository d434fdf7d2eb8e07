"""A MIDI file made in passing from notes that come nearly in order, in memory that does not grow with its length."""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import IO, BinaryIO

from daemon.takes.metre_history import MetreMark, add_mark, find_bar_start, list_metres
from music import midi, smf
from music.charts.chord_names import NO_CHORD_ROOT
from music.midifile import FILE_TICKS, HARMONY, LAST_TICK
from music.note import TICKS_PER_BEAT, Metre

#: events may come so much (ticks) later than others that follow them in the file
REORDER_TICKS = 16 * TICKS_PER_BEAT
#: what is more than that goes to the disk while it is collected
MEMORY_BYTES = 1 << 18
MAX_TEXTS = 20_000
MAX_METRES = 10_000
#: of pedal, bend, programs, ... before the first note
MAX_EARLY_MESSAGES = 256
_MAX_TEMPO_US = 0xFFFFFF
#: chords of different names
MAX_LABELS = 10_000
_TICK_RECORD = struct.Struct("<qi")  # a tick, and what holds from there on
_CONTROL, _OFF, _ON = 0, 1, 2  # at one tick the pedal moves first, and what ends comes before what begins

#: the first message of every take's file; the number is the file's size, which no other program keeps by accident
_MARK = b"houseband take 1, %012d bytes"
_HEADER = struct.Struct(">4sIHHH")


def is_take(head: bytes, size: int) -> bool:
    """Tell whether a file of so many bytes that begins with `head` was written here and has not been changed since."""
    text = _MARK % size
    return head[_HEADER.size + 8 :].startswith(bytes((0, smf.META, smf.TEXT, len(text))) + text)


class MidiWriter:
    """Collects what is at ticks: notes, tempi, metres, chords, markers; the first note's bar is bar 1 of the file."""

    def __init__(self, tracks: Sequence[tuple[str, int]], metre: Metre, folder: Path | None) -> None:
        """tracks: name and channel of each; folder: where files without a name may be put meanwhile."""
        self._tracks = [_Chunk(folder, channel) for _, channel in tracks]
        self._names = [name.encode() for name, _ in tracks]
        self._metres: list[MetreMark] = [(0, metre)]
        #: tick, kind, track, pitch or number of a message, velocity, message
        self._waiting: list[tuple[int, int, int, int, int, bytes]] = []
        self._newest: int | None = None
        self._begin: int | None = None  # the tick that is the file's first
        self._early: deque[tuple[int, int, bytes]] = deque(maxlen=MAX_EARLY_MESSAGES)  # tick, track, message
        self._order = count()
        self._tempos, self._chords = _Chunk(folder), _Chunk(folder)
        self._labels: dict[str, int] = {}  # of chords -> number
        self._texts: list[tuple[int, int, str]] = []  # tick, kind, text
        self._folder = folder

    def __enter__(self) -> MidiWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for chunk in (*self._tracks, self._tempos, self._chords):
            chunk.close()

    def set_channel(self, track: int, channel: int) -> None:
        """Give the track of that number another channel, unless it has notes already."""
        if not self._tracks[track].size:
            self._tracks[track].channel = channel

    def begin_note(self, tick: int, track: int, pitch: int, velocity: int) -> None:
        """Add the beginning of a note to the track of that number."""
        self._add((tick, _ON, track, pitch, velocity, b""))

    def end_note(self, tick: int, track: int, pitch: int) -> None:
        """Add the end of a note."""
        self._add((tick, _OFF, track, pitch, 0, b""))

    def add_message(self, tick: int, track: int, data: bytes) -> None:
        """Add a channel message that is no note; it goes to the track's channel."""
        self._add((tick, _CONTROL, track, next(self._order), 0, data))

    def add_tempo(self, tick: int, us: int) -> None:
        """Add a tempo (microseconds per beat) that holds from a tick on; they come in order."""
        self._tempos.add(_TICK_RECORD.pack(tick, max(1, min(us, _MAX_TEMPO_US))))

    def add_metre(self, tick: int, metre: Metre) -> None:
        """Add that bars of a metre are counted from a tick on, at which one begins; it replaces later ones."""
        if len(self._metres) < MAX_METRES:
            add_mark(self._metres, (tick, metre))

    def add_chord(self, tick: int, label: str) -> None:
        """Add the label of a chord that holds from a tick on, empty where none is known; they come in order."""
        if not label and not self._labels:
            return  # none has been known yet
        label = label or NO_CHORD_ROOT
        if label in self._labels or len(self._labels) < MAX_LABELS:
            self._chords.add(_TICK_RECORD.pack(tick, self._labels.setdefault(label, len(self._labels))))

    def add_text(self, tick: int, text: str, kind: int = smf.MARKER) -> None:
        """Add a text at a tick, a meta message of that kind."""
        if len(self._texts) < MAX_TEXTS:
            self._texts.append((tick, kind, text))

    def _add(self, event: tuple[int, int, int, int, int, bytes]) -> None:
        heapq.heappush(self._waiting, event)
        if self._newest is None or event[0] > self._newest:
            self._newest = event[0]
        while self._newest - self._waiting[0][0] > REORDER_TICKS:
            self._take_next()

    def _take_next(self) -> None:
        tick, kind, track, pitch, value, data = heapq.heappop(self._waiting)
        if self._begin is None:
            if kind == _CONTROL:
                self._early.append((tick, track, data))
                return
            self._begin = find_bar_start(self._metres, tick)
            for moved, number, message in self._early:
                self._tracks[number].add_message(max(0, moved - self._begin), message)
        at = tick - self._begin
        if at > LAST_TICK:
            return
        if kind == _CONTROL:
            self._tracks[track].add_message(at, data)
        else:
            self._tracks[track].add_note(at, pitch, value)

    def write(self, file: BinaryIO) -> bool:
        """Write the whole file; write nothing and return False where there was no note. Raises OSError."""
        while self._waiting:
            self._take_next()
        if self._begin is None:
            return False
        used = [number for number, chunk in enumerate(self._tracks) if chunk.size or not number]
        with _Chunk(self._folder) as opening, _Chunk(self._folder) as harmony:
            self._write_opening(opening, self._begin)
            self._write_harmony(harmony, self._begin)
            bodies = [(self._names[number], self._tracks[number]) for number in used]
            bodies += [(HARMONY.encode(), harmony)] if harmony.size else []
            tracks = [(_meta(smf.TRACK_NAME, name), chunk) for name, chunk in bodies]
            end = _meta(smf.END_OF_TRACK, b"")
            first = len(_meta(smf.TEXT, _MARK % 0)) + opening.size + len(end)
            sizes = [len(name) + chunk.size + len(end) for name, chunk in tracks]
            total = _HEADER.size + 8 + first + sum(8 + size for size in sizes)
            file.write(_HEADER.pack(b"MThd", 6, 1, 1 + len(tracks), FILE_TICKS))
            file.write(struct.pack(">4sI", b"MTrk", first) + _meta(smf.TEXT, _MARK % total))
            opening.copy_to(file)
            file.write(end)
            for (name, chunk), size in zip(tracks, sizes, strict=True):
                file.write(struct.pack(">4sI", b"MTrk", size) + name)
                chunk.copy_to(file)
                file.write(end)
        return True

    def _write_opening(self, chunk: _Chunk, begin: int) -> None:
        """Write the first track's messages: tempi, metres, markers. Of tempi before the beginning the last holds."""
        events = heapq.merge(
            ((tick, 0, smf.SET_TEMPO, us.to_bytes(3, "big")) for tick, us in _list_from(self._tempos, begin)),
            (
                (tick, 1, smf.TIME_SIGNATURE, bytes((metre.numerator, metre.denominator.bit_length() - 1, 24, 8)))
                for tick, metre in list_metres(self._metres, begin)
            ),
            sorted(
                ((max(0, tick - begin), 2, kind, text.encode(errors="replace")) for tick, kind, text in self._texts),
                key=lambda each: each[0],
            ),
        )
        for tick, _, kind, body in events:
            if tick <= LAST_TICK:
                chunk.add_meta(tick, kind, body)

    def _write_harmony(self, chunk: _Chunk, begin: int) -> None:
        """Write a marker for every change of chord; of chords before the beginning the last holds."""
        labels, last = list(self._labels), -1
        for tick, number in _list_from(self._chords, begin, holds_before=False):
            if number != last and tick <= LAST_TICK:
                chunk.add_meta(tick, smf.MARKER, labels[number].encode(errors="replace"))
                last = number


def _list_from(changes: _Chunk, begin: int, *, holds_before: bool = True) -> Iterator[tuple[int, int]]:
    """Yield (tick from `begin` on, value) of records in order: at 0 the last one of those before.

    holds_before: where there is none before, the first one holds from 0 on.
    """
    before: int | None = None
    begun = False
    for tick, value in changes.records(_TICK_RECORD):
        if tick <= begin:
            before = value
            continue
        if not begun:
            begun = True
            if before is not None or holds_before:
                yield 0, value if before is None else before
        yield tick - begin, value
    if not begun and before is not None:
        yield 0, before


class _Chunk:
    """Bytes that are collected, in memory and then on the disk; with a channel the events of a track."""

    def __init__(self, folder: Path | None, channel: int = 0) -> None:
        self.size = 0
        self.channel = channel
        self._folder = folder
        self._memory = bytearray()
        self._disk: IO[bytes] | None = None
        self._last = 0  # the file's tick of the event added last
        self._status = b""  # of the message added last, which the next one need not say again

    def __enter__(self) -> _Chunk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything."""
        if self._disk is not None:
            self._disk.close()

    def add(self, data: bytes) -> None:
        """Add bytes. Raises OSError."""
        self._memory += data
        self.size += len(data)
        if len(self._memory) > MEMORY_BYTES:
            if self._disk is None:
                self._disk = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by `close`
            self._disk.write(self._memory)
            self._memory.clear()

    def add_note(self, tick: int, pitch: int, velocity: int) -> None:
        """Add a note-on, of velocity 0 for an end."""
        self.add_message(tick, bytes((midi.NOTE_ON, pitch, velocity)))

    def add_message(self, tick: int, data: bytes) -> None:
        """Add a channel message, on the track's channel."""
        status = bytes((midi.kind_of(data) | self.channel,))
        self.add(self._delta(tick) + (b"" if status == self._status else status) + data[1:])
        self._status = status

    def add_meta(self, tick: int, kind: int, body: bytes) -> None:
        """Add a meta message."""
        self.add(self._delta(tick) + _meta(kind, body)[1:])

    def _delta(self, tick: int) -> bytes:
        at = max(tick * FILE_TICKS // TICKS_PER_BEAT, self._last)
        delta, self._last = at - self._last, at
        return _variable_length(delta)

    def copy_to(self, file: BinaryIO) -> None:
        """Write everything to a file. Raises OSError."""
        for piece in self._pieces():
            file.write(piece)

    def records(self, layout: struct.Struct) -> Iterator[tuple[int, int]]:
        """Yield the records that the bytes are made of."""
        rest = b""
        for piece in self._pieces():
            data = rest + piece
            whole = len(data) // layout.size * layout.size
            yield from layout.iter_unpack(data[:whole])
            rest = data[whole:]

    def _pieces(self) -> Iterator[bytes]:
        if self._disk is not None:
            self._disk.seek(0)
            while piece := self._disk.read(MEMORY_BYTES):
                yield piece
        yield bytes(self._memory)


def _meta(kind: int, body: bytes) -> bytes:
    return bytes((0, smf.META, kind)) + _variable_length(len(body)) + body


def _variable_length(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))
