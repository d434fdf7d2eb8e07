"""A log made into a MIDI file, line by line: melody, leading hand, a track for each role and one for the chords.

The first track has the tempo map, markers for the styles, and all controls. What is no note, such as pedal,
bend, pressure and programs, is on the track of whoever played it.

The file begins with the bar in which the first note begins. Time and memory do not depend on what the log holds but for
its length, and the time can be limited.
"""

from __future__ import annotations

import os
import time
from binascii import unhexlify
from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from daemon.core.tempo import NS_PER_US
from daemon.takes import take_log
from daemon.takes.chord_history import ChordCollector
from daemon.takes.midi_writer import MidiWriter
from daemon.takes.settings_history import SET_PREFIX
from music import midi, smf
from music.files import open_atomically
from music.midi_text import make_printable
from music.note import CHANNELS, HAND, MELODY, TICKS_PER_BEAT

_ROLES = [(role, channel) for role, channel in CHANNELS.items() if role != MELODY]
_TRACKS = [(MELODY, CHANNELS[MELODY]), (HAND, CHANNELS[MELODY]), *_ROLES]
_MELODY_TRACK, _HAND_TRACK = 0, 1
_TRACK_OF_CHANNEL = {channel: number for number, (_, channel) in enumerate(_ROLES, _HAND_TRACK + 1)}
#: a longer label is no chord's
MAX_LABEL_LENGTH = 64
#: a log without a tempo mark in its first lines has none
MARK_SEARCH_LINES = 10_000
ASSUMED_TEMPO_US = 500_000
#: lines between two looks at the time
_LOOK_LINES = 4096
#: tempo marks that are kept to place what comes a little late
_RECENT_MARKS = 256
_MAX_NUMBER = 1 << 62


@dataclass(frozen=True, slots=True)
class Conversion:
    """The result of a conversion."""

    made: bool  #: False where the log holds no note: there is no file
    bad_lines: int  #: lines that make no sense and were left out


def convert(log: Path, target: Path, *, private: bool = False, deadline_s: float | None = None) -> Conversion | None:
    """Write a log as a MIDI file; return None for a file that is no log.

    private: only the owner may read the file; deadline_s: the moment (of time.monotonic) at which to give up. Raises
    TimeoutError at that moment, and OSError; then there is no file.
    """
    with log.open("rb") as file:
        header = file.readline(take_log.MAX_LINE_BYTES)
        if not take_log.is_log(header):
            return None
        reader = _LogReader(file, deadline_s)
        with MidiWriter(_TRACKS, take_log.read_metre(header), target.parent if private else None) as writer:
            reader.read(writer)
            if not reader.notes:
                return Conversion(False, reader.bad_lines)
            with open_atomically(target) as opened:
                if private and hasattr(os, "fchmod"):
                    os.fchmod(opened.fileno(), 0o600)
                writer.write(opened)
    return Conversion(True, reader.bad_lines)


class _LogReader:
    """Reads a log from its second line on, once."""

    def __init__(self, file: BinaryIO, deadline_s: float | None) -> None:
        self.notes = self.bad_lines = 0
        self._file, self._deadline_s = file, deadline_s
        self._timeline = _Timeline(*_find_first_mark(file))
        self._sounding: dict[tuple[int, int, int], int] = {}  # track, channel, pitch -> tick
        self._hand_channel = -1
        self._chords = ChordCollector()
        self._end = 0  # ns of the latest message

    def read(self, writer: MidiWriter) -> None:
        """Hand on what the log holds to the writer."""
        for number, line in enumerate(take_log.read_lines(self._file)):
            if number % _LOOK_LINES == 0 and self._deadline_s is not None and time.monotonic() > self._deadline_s:
                raise TimeoutError("it is too long to be converted now")
            try:
                self._read_line(line, writer)
            except ValueError:
                self.bad_lines += 1
        end = self._timeline.nearest_tick(self._end)
        for (track, _, pitch), start in self._sounding.items():
            writer.end_note(max(start + 1, end), track, pitch)
        writer.add_tempo(*self._timeline.last)
        for change in self._chords.finish():
            writer.add_chord(*change)

    def _read_line(self, line: bytes, writer: MidiWriter) -> None:
        kind, at, rest = line.split(b" ", 2)
        if kind in (b"i", b"o"):
            if not rest.startswith(b"f"):
                self._read_message(kind == b"i", _number(at), unhexlify(rest), writer)
        elif kind == b"t":
            place, us = rest.split(b" ")
            passed = self._timeline.add(_number(at), _number(place), _number(us))
            if passed is not None:
                writer.add_tempo(*passed)
        elif kind == b"s":
            style = make_printable(rest.decode("utf-8", "replace"))
            writer.add_text(self._timeline.tick_at(_number(at)), style)
        elif kind == b"k":
            turned = make_printable(rest.decode("ascii"))
            writer.add_text(self._timeline.tick_at(_number(at)), f"{SET_PREFIX}{turned}", smf.SEQUENCER_SPECIFIC)
        elif kind == b"m":
            writer.add_metre(_number(at), take_log.parse_metre(rest.split(b" ")))
        elif kind == b"h":
            self._hand_channel = _number(rest)
        elif kind == b"c":
            label = rest.decode("ascii")
            if len(label) > MAX_LABEL_LENGTH or not label.isprintable():
                raise ValueError("no label of a chord")
            for change in self._chords.add(_number(at), label):
                writer.add_chord(*change)
        else:
            raise ValueError(f"no such line: {kind!r}")

    def _read_message(self, heard: bool, at: int, data: bytes, writer: MidiWriter) -> None:
        if not midi.is_valid_message(data):
            raise ValueError("no MIDI message")
        self._end = max(self._end, at)
        is_note = midi.is_note(data)
        track = self._find_input_track(data) if heard else _TRACK_OF_CHANNEL.get(data[0] & 0x0F)
        if track is None or not midi.is_performed(data):
            return
        if track == _HAND_TRACK:
            writer.set_channel(track, data[0] & 0x0F)
        if not is_note:
            writer.add_message(self._timeline.nearest_tick(at), track, data)
            return
        key, tick = (track, data[0] & 0x0F, data[1]), self._timeline.nearest_tick(at)
        begun = self._sounding.pop(key, None)
        if begun is not None:
            writer.end_note(max(begun + 1, tick), track, data[1])
        if midi.is_note_on(data):
            self.notes += 1
            self._sounding[key] = tick
            writer.begin_note(tick, track, data[1], data[2])

    def _find_input_track(self, data: bytes) -> int:
        """Return the track of a message that came in: the hand's or the melody's. A note ends where it began."""
        if not midi.is_note_off(data):
            return _HAND_TRACK if data[0] & 0x0F == self._hand_channel else _MELODY_TRACK
        return _HAND_TRACK if (_HAND_TRACK, data[0] & 0x0F, data[1]) in self._sounding else _MELODY_TRACK


class _Timeline:
    """Where the ticks lie in time, from the newest tempo marks of a log that is read in order."""

    def __init__(self, tick: int, ns: int, us: int) -> None:
        self._ticks, self._ns, self._us = [tick], [ns], [us]

    @property
    def last(self) -> tuple[int, int]:
        """The newest mark: (tick, microseconds per beat)."""
        return self._ticks[-1], self._us[-1]

    def add(self, tick: int, ns: int, us: int) -> tuple[int, int] | None:
        """Add a mark, unless it does not come after the newest one; return that one, now that it is over.

        Where marks between the two were never written down, the tempo is the one that leads from the one to the other.
        Raises ValueError for a tempo that is none.
        """
        if us < 1:
            raise ValueError("no such tempo")
        before, then, last = self._ticks[-1], self._ns[-1], self._us[-1]
        if tick <= before or ns <= then:
            return None
        for marks, value in ((self._ticks, tick), (self._ns, ns), (self._us, us)):
            marks.append(value)
            if len(marks) > _RECENT_MARKS:
                del marks[: _RECENT_MARKS // 2]
        needed = (ns - then) * TICKS_PER_BEAT // ((tick - before) * NS_PER_US)
        return before, last if abs(needed - last) <= 1 else max(1, needed)

    def tick_at(self, ns: int) -> int:
        """Return the tick that a time lies in."""
        i = max(0, bisect_right(self._ns, ns) - 1)
        return self._ticks[i] + (ns - self._ns[i]) * TICKS_PER_BEAT // (self._us[i] * NS_PER_US)

    def nearest_tick(self, ns: int) -> int:
        """Return the tick nearest to a time; what was due at a tick is exactly there."""
        i = max(0, bisect_right(self._ns, ns) - 1)
        beat = self._us[i] * NS_PER_US
        return self._ticks[i] + (2 * (ns - self._ns[i]) * TICKS_PER_BEAT + beat) // (2 * beat)


def _find_first_mark(file: BinaryIO) -> tuple[int, int, int]:
    """Return the first tempo mark of a log: without one, 120 beats per minute from the first message on."""
    begin, first = file.tell(), None
    try:
        for line in islice(take_log.read_lines(file), MARK_SEARCH_LINES):
            words = line.split(b" ")
            try:
                if words[0] == b"t":
                    tick, ns, us = map(_number, words[1:])
                    if us > 0:
                        return tick, ns, us
                elif first is None and words[0] in (b"i", b"o"):
                    first = _number(words[1])
            except (ValueError, IndexError):
                continue
    finally:
        file.seek(begin)
    return 0, first or 0, ASSUMED_TEMPO_US


def _number(word: bytes) -> int:
    """Return a whole number of a log. Raises ValueError for what is none, or larger than any time or tick."""
    number = int(word)
    if not -_MAX_NUMBER < number < _MAX_NUMBER:
        raise ValueError("not a time")
    return number
