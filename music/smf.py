"""Standard MIDI Files, byte by byte: a reader that mends what it can instead of refusing the whole file.

One bad message costs that message. What was mended is counted by kind in `SmfFile.mended`. Reading takes time in
proportion to the bytes, whatever they are: nothing is tried again over a distance longer than `SEARCH_BYTES`.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from music.midi import SYSEX, SYSEX_END

#: One message: (tick from the start of the file, status, first data byte, second data byte, body). A channel message
#: has its two data bytes (the second is 0 where it has only one) and no body; a meta message (status META) its type,
#: 0 and its body; a system exclusive one (status SYSEX) 0, 0 and what stands between F0 and F7.
Event = tuple[int, int, int, int, bytes]

#: Status of a message that is in files only.
META = 0xFF
TEXT, COPYRIGHT, TRACK_NAME, LYRIC, MARKER, CUE_POINT = 0x01, 0x02, 0x03, 0x05, 0x06, 0x07
END_OF_TRACK, SET_TEMPO, SMPTE_OFFSET, TIME_SIGNATURE, KEY_SIGNATURE = 0x2F, 0x51, 0x54, 0x58, 0x59
SEQUENCER_SPECIFIC = 0x7F

#: The bytes that a meta message of fixed length has, and the fewest that make sense of it.
_META_BYTES = {0x00: 2, 0x20: 1, 0x21: 1, END_OF_TRACK: 0, SET_TEMPO: 3, SMPTE_OFFSET: 5, TIME_SIGNATURE: 4} | {
    KEY_SIGNATURE: 2
}
_FEWEST_BYTES = _META_BYTES | {0x00: 0, TIME_SIGNATURE: 2}
#: Data bytes after the status of a system common message, which no file should hold.
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_REAL_TIME = 0xF8

_MAX_NUMBER = 0x0FFFFFFF
#: A number of more bytes than that is none; the standard allows 4, broken writers made 64 bits of it.
_MAX_NUMBER_BYTES = 10
_FRAME_RATES = {24: Fraction(24), 25: Fraction(25), 29: Fraction(30_000, 1001), 30: Fraction(30)}
#: Ticks per beat of a file that counts frames, and of one that says 0, once it has been read.
ASSUMED_DIVISION = 480
_DEFAULT_TEMPO_US = 500_000
_FRACTION_BITS = 40

#: How far the reader looks for the next message that makes sense.
SEARCH_BYTES = 1 << 16
#: Messages in a row that must make sense for the reader to go on there.
_CLEAN_EVENTS = 4
#: After so many data bytes above 127 the next ones are clipped without a look at what follows.
_MAX_DOUBTS = 1000
#: A file with more bytes of music than that is refused: it would hold millions of notes.
MAX_MUSIC_BYTES = 4 << 20

CLIPPED = "data bytes above 127 clipped"
SYSTEM = "system messages left out"
BAD_META = "malformed meta messages left out"
BAD_SYSEX = "malformed system exclusive messages left out"
BAD_LENGTH = "messages with a wrong length"
BAD_DELTA = "impossible delta times taken as 0"
LOST_STATUS = "messages without a status"
NO_MESSAGE = "stretches of bytes that are no message skipped"
TRUNCATED = "truncated tracks read up to there"
WRONG_SIZE = "tracks with a wrong length"
UNKNOWN_CHUNK = "unknown chunks skipped"
BAD_NAME = "chunks with a damaged name"
BETWEEN = "stretches of bytes outside the tracks skipped"
LEADING = "bytes before the header skipped"
WRONG_COUNT = "wrong number of tracks in the header"
BAD_DIVISION = "time division that makes no sense replaced"


@dataclass(slots=True)
class Track:
    """One track: its messages in order, without the end of track."""

    events: list[Event]
    end: int  #: tick at which the track ends

    def find_bodies(self, kind: int) -> Iterator[tuple[int, bytes]]:
        """Yield (tick, body) of every meta message of a type."""
        return ((tick, body) for tick, status, first, _, body in self.events if status == META and first == kind)


@dataclass(slots=True)
class SmfFile:
    """A Standard MIDI File. Files that count frames are read as if they counted beats."""

    format: int
    division: int  #: ticks per beat, above 0
    tracks: list[Track]
    mended: Counter[str] = field(default_factory=Counter)  #: kind -> how often


def parse(data: bytes) -> SmfFile:
    """Read a file's bytes; a RIFF wrapper (.rmi) is taken off.

    Raises ValueError, with half a sentence on why, when there is nothing to be mended: no header, no track, too large.
    """
    mended: Counter[str] = Counter()
    data = _unwrap(data, mended)
    if len(data) > MAX_MUSIC_BYTES:
        raise ValueError(f"it is larger than {MAX_MUSIC_BYTES >> 20} MiB")
    kind, announced, division, at = _read_header(data)
    reader = _TrackReader(mended)
    tracks = [reader.read(piece, told) for piece, told in _split_tracks(data, at, mended)]
    if announced and not tracks:
        raise ValueError("there is no track in it")
    if TRUNCATED in mended and not any(track.events for track in tracks):
        raise ValueError("it ends before its first message")
    if announced != len(tracks):
        mended[WRONG_COUNT] += 1
    return _lay_on_beats(SmfFile(kind, division, tracks, mended))


# --- chunks --------------------------------------------------------------------------------------------------------


def _unwrap(data: bytes, mended: Counter[str]) -> bytes:
    """Return a file's bytes from its header on, without what is wrapped around."""
    if not data:
        raise ValueError("it is empty")
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        at = 12
        while at + 8 <= len(data):
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            if data[at : at + 4] == b"data" and data[at + 8 : at + 12] == b"MThd":
                return data[at + 8 : at + 8 + size] if size >= 14 else data[at + 8 :]
            at += 8 + size + size % 2
    begin = data.find(b"MThd")
    if begin < 0 and data[4:8] == b"\0\0\0\6" and data[14:18] == b"MTrk":
        mended[BAD_NAME] += 1
        return data
    if begin < 0:
        raise ValueError("it has no MIDI header")
    if begin:
        mended[LEADING] += begin
    return data[begin:]


def _read_header(data: bytes) -> tuple[int, int, int, int]:
    """Return (format, announced tracks, division, where the header ends)."""
    if len(data) < 14:
        raise ValueError("it ends within its header")
    size, kind, announced, division = struct.unpack_from(">IHHH", data, 4)
    end = 8 + size
    if size < 6 or not _is_boundary(data, end):
        end = data.find(b"MTrk", 10)
        if end < 0:
            end = 14
        elif end < 14:  # some of its bytes are lost; the division is the last of them
            division = int.from_bytes(data[end - 2 : end], "big")
    return kind, announced, division, end


def _is_boundary(data: bytes, at: int) -> bool:
    """Tell whether a chunk may begin, or the file end, at this place."""
    if at >= len(data):
        return at == len(data)
    name = data[at : at + 4]
    if name == b"MTrk":
        return True
    if len(data) < at + 8 or not (name.isascii() and name.decode("ascii").isprintable()):
        return False
    return at + 8 + int.from_bytes(data[at + 4 : at + 8], "big") <= len(data)


def _split_tracks(data: bytes, at: int, mended: Counter[str]) -> Iterator[tuple[bytes, int | None]]:
    """Yield (bytes, None) of every track.

    A length that leads nowhere is not believed: such a track goes on to the next one, and its pair is (bytes, length
    that it claims).
    """
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        if name == b"MThd":  # another file behind this one
            mended[BETWEEN] += 1
            return
        end = at + 8 + size
        believed = _is_boundary(data, end)
        if not believed:
            following = data.find(b"MTrk", at + 4)
            end = following if following >= 0 else len(data)
        if name == b"MTrk" or (believed and _is_nearly_track(name)):
            mended.update([BAD_NAME] if name != b"MTrk" else [])
            yield data[at + 8 : end], None if believed else size
        elif believed:
            mended[UNKNOWN_CHUNK] += 1
        elif end < len(data):  # what follows the last track is of no interest to anybody
            mended[BETWEEN] += 1
        at = end


def _is_nearly_track(name: bytes) -> bool:
    """Tell whether the name of a chunk is a track's but for one letter, or for capitals."""
    return sum(byte == right for byte, right in zip(name.lower(), b"mtrk", strict=True)) >= 3


# --- messages ------------------------------------------------------------------------------------------------------


class _TrackReader:
    """Reads the messages of one track after another."""

    def __init__(self, mended: Counter[str]) -> None:
        self._mended = mended
        #: the status that holds when a message has none; some files rely on that of the track before
        self._running = 0

    def read(self, data: bytes, told: int | None = None) -> Track:
        """Return the messages of a track's bytes, up to its end or theirs.

        told: the length that the track claims, where that is doubtful.
        """
        events: list[Event] = []
        add = events.append
        at = tick = 0
        running, own = self._running, False
        ended = cut = False
        try:
            while at < len(data):
                delta = data[at]
                at += 1
                if delta > 0x7F:
                    delta, at = self._read_long_delta(data, at - 1)
                tick += delta
                status = data[at]
                if status > 0x7F:
                    at += 1
                elif running:
                    status = running
                    if not own:
                        self._mended[LOST_STATUS] += 1
                else:
                    at = self._find_next(data, at)
                    continue
                if status < SYSEX:
                    running, own = status, True
                    first = data[at]
                    second = 0
                    if 0xC0 <= status < 0xE0:
                        at += 1
                    else:
                        second = data[at + 1]
                        at += 2
                    if first > 0x7F or second > 0x7F:
                        first, second, at = self._mend_data(data, at, status)
                    add((tick, status, first, second, b""))
                elif status == META and data[at] == END_OF_TRACK:
                    ended, at = True, _read_number(data, at + 1)[1]
                    break
                else:
                    event, at = self._read_other(data, at, status, tick)
                    if event is not None:
                        add(event)
        except IndexError:
            cut = True
        self._running = running
        self._judge_end(len(data) if cut else at, len(data), told, ended=ended and not cut, cut=cut)
        return Track(events, tick)

    def _judge_end(self, at: int, size: int, told: int | None, *, ended: bool, cut: bool) -> None:
        """Count what is wrong with the end of a track of `size` bytes that was read up to `at`."""
        if cut or (told is not None and not ended):
            self._mended[TRUNCATED] += 1
        elif told is not None and told != at:
            self._mended[WRONG_SIZE] += 1
        elif told is None and at < size:
            self._mended[BETWEEN] += 1

    def _read_long_delta(self, data: bytes, at: int) -> tuple[int, int]:
        """Return (delta time, what follows it) for one of several bytes."""
        delta, after = _read_number(data, at)
        if delta > _MAX_NUMBER:
            self._mended[BAD_DELTA] += 1
            return 0, after
        return delta, after

    def _find_next(self, data: bytes, at: int) -> int:
        """Return the next place at which messages make sense: a delta time of one byte and a status.

        Raises IndexError when there is none near.
        """
        for place in range(at, min(at + SEARCH_BYTES, len(data) - 1)):
            if data[place] < 0x80 < data[place + 1] and _reads_cleanly(data, place, 0):
                self._mended[NO_MESSAGE] += 1
                return place
        raise IndexError(at)

    def _mend_data(self, data: bytes, after: int, status: int) -> tuple[int, int, int]:
        """Return (first, second, what follows) of a message with a data byte above 127.

        Either a real-time message has come between, or the value is too large.
        """
        count = 1 if 0xC0 <= status < 0xE0 else 2
        begin = after - count
        if self._mended[CLIPPED] < _MAX_DOUBTS and not _reads_cleanly(data, after, status):
            kept = [place for place in range(begin, min(begin + 4, len(data))) if data[place] < _REAL_TIME][:count]
            if len(kept) == count and all(data[place] < 0x80 for place in kept):
                following = kept[-1] + 1
                if following > after and _reads_cleanly(data, following, status):
                    self._mended[SYSTEM] += following - after
                    return data[kept[0]], data[kept[-1]] if count == 2 else 0, following
        self._mended[CLIPPED] += sum(byte > 0x7F for byte in data[begin:after])
        return min(data[begin], 0x7F), min(data[begin + 1], 0x7F) if count == 2 else 0, after

    def _read_other(self, data: bytes, at: int, status: int, tick: int) -> tuple[Event | None, int]:
        """Return (message, what follows) of all that is no channel message; None for what is left out."""
        if status == META:
            return self._read_meta(data, at, tick)
        if status in (SYSEX, SYSEX_END):
            return self._read_sysex(data, at, status, tick)
        self._mended[SYSTEM] += 1
        for _ in range(_SYSTEM_BYTES.get(status, 0)):
            if at < len(data) and data[at] < 0x80:
                at += 1
        return None, at

    def _read_meta(self, data: bytes, at: int, tick: int) -> tuple[Event | None, int]:
        kind = data[at]
        length, begin = _read_number(data, at + 1)
        end = begin + length
        usual = _META_BYTES.get(kind)
        if usual not in (None, length) or end > len(data):
            end = self._find_end(data, end, begin + usual if usual is not None else None, begin)
        if kind > 0x7F or end > len(data) or not is_well_formed(kind, data[begin:end]):
            self._mended[BAD_META] += 1
            return None, end
        return (tick, META, kind, 0, data[begin : min(end, begin + (length if usual is None else usual))]), end

    def _read_sysex(self, data: bytes, at: int, status: int, tick: int) -> tuple[Event | None, int]:
        length, begin = _read_number(data, at)
        end = begin + length
        body = data[begin:end]
        if status == SYSEX_END and not _reads_cleanly(data, end, 0) and _reads_cleanly(data, at, 0):
            self._mended[SYSTEM] += 1  # a lone F7
            return None, at
        if end > len(data) or (status == SYSEX and not body.removesuffix(b"\xf7").isascii()):
            closing = data.find(b"\xf7", at, at + SEARCH_BYTES) + 1
            found = self._find_end(data, end, closing or None, begin)
            if found != end:  # as it goes over a cable: no length, up to F7
                body, end = data[at:found], found
        body = body.removeprefix(b"\xf0").removesuffix(b"\xf7")
        if not body.isascii():
            self._mended[BAD_SYSEX if status == SYSEX else SYSTEM] += 1
            return None, end
        return (tick, SYSEX, 0, 0, body), end

    def _find_end(self, data: bytes, told: int, usual: int | None, begin: int) -> int:
        """Return where a message whose length is doubtful ends.

        Where it says, where it should, or where messages make sense again. Raises IndexError when it goes on behind the
        end of the track.
        """
        if told <= len(data) and _reads_cleanly(data, told, 0):
            return told
        if usual is not None and usual <= len(data) and _reads_cleanly(data, usual, 0):
            self._mended[BAD_LENGTH] += 1
            return usual
        if told <= len(data):
            return told
        found = self._find_next(data, begin)
        self._mended[BAD_LENGTH] += 1
        return found


def is_well_formed(kind: int, body: bytes) -> bool:
    """Tell whether the body of a meta message can be what its type says."""
    if len(body) < _FEWEST_BYTES.get(kind, 0):
        return False
    if kind == SET_TEMPO:
        return any(body[:3])
    if kind == KEY_SIGNATURE:
        return (body[0] + 7) % 256 <= 14 and body[1] <= 1
    if kind == SMPTE_OFFSET:
        return body[0] < 0x80 and body[1] < 60 and body[2] < 60
    return True


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return (a number of 7 bits a byte, what follows it); one above 28 bits stands for all that are too large."""
    value = 0
    for place in range(at, at + _MAX_NUMBER_BYTES):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return min(value, _MAX_NUMBER + 1), place + 1
    return _MAX_NUMBER + 1, at + _MAX_NUMBER_BYTES


def _reads_cleanly(data: bytes, at: int, running: int) -> bool:
    """Tell whether the next few messages, or all up to the end, are as the standard has them, delta times included.

    running: the status of a message that has none; 0: it must have one.
    """
    for _ in range(_CLEAN_EVENTS):
        if at == len(data):
            return True
        try:
            delta, at = _read_number(data, at)
            status = data[at]
            if status < 0x80:
                status = running
            else:
                at += 1
            if status == META and data[at] == END_OF_TRACK:
                return delta <= _MAX_NUMBER and data[at + 1] == 0
            following = _find_clean_end(data, at, status)
        except IndexError:
            return False
        if following is None or delta > _MAX_NUMBER:
            return False
        at, running = following, status if status < SYSEX else running
    return True


def _find_clean_end(data: bytes, at: int, status: int) -> int | None:
    """Return what follows the message whose data begins here; None when it is not as the standard has it."""
    if 0x80 <= status < SYSEX:
        end = at + (1 if 0xC0 <= status < 0xE0 else 2)
        return end if end <= len(data) and data[at:end].isascii() else None
    if status == META:
        length, begin = _read_number(data, at + 1)
        clean = data[at] < 0x80 and _META_BYTES.get(data[at], length) == length and begin + length <= len(data)
        return begin + length if clean else None
    if status in (SYSEX, SYSEX_END):
        length, begin = _read_number(data, at)
        return begin + length if begin + length <= len(data) else None
    return None


# --- time ----------------------------------------------------------------------------------------------------------


def _lay_on_beats(file: SmfFile) -> SmfFile:
    """Return a file with ticks per beat: one that counts frames of a second is laid on the beats of its tempo."""
    rate, per_frame = 256 - (file.division >> 8), file.division & 0xFF
    if 0 < file.division < 0x8000:
        return file
    if rate not in _FRAME_RATES or not per_frame:
        file.mended[BAD_DIVISION] += 1
        file.division = min(file.division & 0x7FFF, -file.division & 0xFFFF) or ASSUMED_DIVISION
        return file
    place = _make_beat_map(file.tracks, _FRAME_RATES[rate] * per_frame)
    for track in file.tracks:
        track.events = [
            (place(tick), status, first, second, body) for tick, status, first, second, body in track.events
        ]
        track.end = place(track.end)
    file.division = ASSUMED_DIVISION
    return file


def _make_beat_map(tracks: Sequence[Track], per_second: Fraction) -> Callable[[int], int]:
    """Return the function from a tick of so many a second to one of ASSUMED_DIVISION a beat."""
    tempos = {0: _DEFAULT_TEMPO_US}
    for track in tracks:
        tempos |= {tick: int.from_bytes(body, "big") for tick, body in track.find_bodies(SET_TEMPO)}
    ticks = sorted(tempos)
    # binary fractions, so that thousands of tempi stay numbers of a reasonable size
    unit = per_second.denominator * ASSUMED_DIVISION * 1_000_000 << _FRACTION_BITS
    slopes = [unit // (tempos[tick] * per_second.numerator) for tick in ticks]
    starts = [0]
    for index in range(1, len(ticks)):
        starts.append(starts[-1] + (ticks[index] - ticks[index - 1]) * slopes[index - 1])

    def place(tick: int) -> int:
        index = bisect_right(ticks, tick) - 1
        return (starts[index] + (tick - ticks[index]) * slopes[index] + (1 << _FRACTION_BITS - 1)) >> _FRACTION_BITS

    return place
