"""The reader of Standard MIDI Files, on bytes that are wrong in the ways of files that people have."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from music import midi, smf
from tests.support.smf_bytes import DIVISION, END, PITCHES, chunk, file, header, meta, number, track, tune

BEAT = DIVISION
NOTES = [(BEAT * index, pitch) for index, pitch in enumerate(PITCHES)]
ON = b"\x00\x90\x3c\x50"  # C4 begins
OFF = b"\x60\x80\x3c\x00"  # and ends a beat later


def onsets(read: smf.SmfFile, index: int = 0) -> list[tuple[int, int]]:
    """(tick, pitch) of the notes that begin in a track."""
    events = read.tracks[index].events
    return [(tick, first) for tick, status, first, second, _ in events if status & 0xF0 == midi.NOTE_ON and second]


def test_a_file_in_order_needs_no_mending() -> None:
    read = smf.parse(file(track(meta(smf.TRACK_NAME, b"melody"), tune()), track(tune(9))))
    assert (read.format, read.division, dict(read.mended)) == (1, DIVISION, {})
    assert [onsets(read, index) for index in (0, 1)] == [NOTES, NOTES]
    assert read.tracks[0].end == BEAT * len(PITCHES)
    assert list(read.tracks[0].find_bodies(smf.TRACK_NAME)) == [(0, b"melody")]


def test_every_kind_of_message_is_read_as_it_stands() -> None:
    messages = [
        b"\x00\xc3\x11",  # program 17 on channel 4
        b"\x01\xd3\x22",  # pressure
        b"\x01\xe3\x00\x40",  # bend
        b"\x01\xb3\x40\x7f",  # pedal
        b"\x01\x07\x64",  # volume, by running status
        b"\x01\xf0\x03\x7e\x7f\xf7",  # system exclusive, in one piece
        b"\x01\xf0\x02\x43\x10" + b"\x01\xf7\x02\x4c\xf7",  # and in two
        b"\x01\xff\x7f\x02\x00\x41",  # a sequencer's own meta message
    ]
    read = smf.parse(file(track(*messages)))
    assert read.tracks[0].events == [
        (0, 0xC3, 0x11, 0, b""),
        (1, 0xD3, 0x22, 0, b""),
        (2, 0xE3, 0x00, 0x40, b""),
        (3, 0xB3, 0x40, 0x7F, b""),
        (4, 0xB3, 0x07, 0x64, b""),
        (5, midi.SYSEX, 0, 0, b"\x7e\x7f"),
        (6, midi.SYSEX, 0, 0, b"\x43\x10"),
        (7, midi.SYSEX, 0, 0, b"\x4c"),
        (8, smf.META, 0x7F, 0, b"\x00\x41"),
    ]
    assert not read.mended


@pytest.mark.parametrize("between", [meta(smf.TEXT, b"verse"), b"\x00\xf0\x02\x7e\xf7"])
def test_running_status_goes_on_after_meta_and_exclusive_messages(between: bytes) -> None:
    read = smf.parse(file(track(ON, between, b"\x60\x3e\x50")))
    assert onsets(read) == [(0, 60), (BEAT, 62)]
    assert not read.mended


WRONG: list[tuple[str, bytes, str]] = [
    # what players of files read without a word, and this reader mends
    ("controller of 255", file(track(tune(), b"\x00\xb0\x07\xff")), smf.CLIPPED),
    ("timing clock", file(track(tune(), b"\x00\xf8")), smf.SYSTEM),
    ("timing clock first", file(track(b"\x00\xf8", tune())), smf.SYSTEM),
    ("active sensing", file(track(b"\x00\xfe", tune())), smf.SYSTEM),
    ("quarter frame", file(track(b"\x00\xf1\x7f", tune())), smf.SYSTEM),
    ("song position", file(track(b"\x00\xf2\x7f\x7f", tune())), smf.SYSTEM),
    ("song select", file(track(b"\x00\xf3\x7f", tune())), smf.SYSTEM),
    ("undefined", file(track(b"\x00\xf4", b"\x00\xf5", tune())), smf.SYSTEM),
    ("end of exclusive", file(track(b"\x00\xf7", tune())), smf.SYSTEM),
    ("tune request", file(track(b"\x00\xf6", tune())), smf.SYSTEM),
    ("key of 255 sharps, scale 255", file(track(meta(smf.KEY_SIGNATURE, b"\xff\xff"), tune())), smf.BAD_META),
    ("key of 9 flats", file(track(meta(smf.KEY_SIGNATURE, b"\xf7\x00"), tune())), smf.BAD_META),
    ("key of one byte", file(track(b"\x00\xff\x59\x01\x00", tune())), smf.BAD_META),
    ("tempo of 0", file(track(meta(smf.SET_TEMPO, b"\0\0\0"), tune())), smf.BAD_META),
    ("tempo of two bytes", file(track(meta(smf.SET_TEMPO, b"\7\xa1"), tune())), smf.BAD_META),
    ("a minute of 99", file(track(meta(smf.SMPTE_OFFSET, b"\x21\x63\0\0\0"), tune())), smf.BAD_META),
    ("meta type 255", file(track(b"\x00\xff\xff\x00", tune())), smf.BAD_META),
    ("tempo of a wrong length", file(track(b"\x00\xff\x51\x04\x07\xa1\x20", tune())), smf.BAD_LENGTH),
    ("text longer than the file", file(track(b"\x00\xff\x01\x7f" + b"text", tune())), smf.BAD_LENGTH),
    ("exclusive without a length", file(track(b"\x00\xf0\x43\x10\x4c\x00\xf7", tune())), smf.BAD_LENGTH),
    ("exclusive with a note in it", file(track(b"\x00\xf0\x04\x43\x90\x3c\xf7", tune())), smf.BAD_SYSEX),
    ("delta of 32 bits", file(track(b"\x8f\xff\xff\xff\x00\x90\x3c\x50" + tune()[4:])), smf.BAD_DELTA),
    ("delta of 64 bits", file(track(b"\x81" + b"\x80" * 8 + b"\x00\x90\x3c\x50" + tune()[4:])), smf.BAD_DELTA),
    ("status of the track before", file(track(tune()), track(b"\x00" + tune()[2:])), smf.LOST_STATUS),
    ("no status at all", file(track(b"\x00\x07\x08", tune())), smf.NO_MESSAGE),
    ("the last byte is missing", file(track(tune()))[:-1], smf.TRUNCATED),
    ("the end is missing", file(track(tune()))[:-4], smf.TRUNCATED),
    ("half a note more", file(track(tune(), b"\x00\x90\x3c", end=b"")), smf.TRUNCATED),
    ("a length of 0", header(1) + chunk(b"MTrk", tune() + END, 0), smf.WRONG_SIZE),
    ("a length of 4 GiB", header(1) + chunk(b"MTrk", tune() + END, 0xFFFFFFFF), smf.WRONG_SIZE),
    ("a length too short", header(1) + chunk(b"MTrk", tune() + END, 9), smf.WRONG_SIZE),
    ("a length that reaches into the next", header(2) + chunk(b"MTrk", tune() + END, 60) + track(), smf.WRONG_SIZE),
    ("XF information", header(1) + chunk(b"XFIH", bytes(8)) + track(tune()), smf.UNKNOWN_CHUNK),
    ("a chunk behind", header(1) + track(tune()) + chunk(b"CASM", b"style"), smf.UNKNOWN_CHUNK),
    ("mtrk", header(1) + chunk(b"mtrk", tune() + END), smf.BAD_NAME),
    ("MThx", b"MThx" + file(track(tune()))[4:], smf.BAD_NAME),
    ("zeros between", header(2) + track(tune()) + bytes(9) + track(tune()), ""),
    ("bytes after the end", file(track(tune(), end=END + b"\x00\x90\x3c\x50")), smf.BETWEEN),
    ("another file behind", file(track(tune())) + file(track(tune())), smf.BETWEEN),
    ("65,535 tracks", header(0xFFFF) + track(tune()), smf.WRONG_COUNT),
    ("no track", header(0) + track(tune()), smf.WRONG_COUNT),
    ("MacBinary", bytes(128) + file(track(tune())), smf.LEADING),
    ("header of 4 bytes", b"MThd\0\0\0\4" + header(1)[8:] + track(tune()), ""),
    ("header of 8 bytes", b"MThd\0\0\0\x08" + header(1)[8:] + b"\0\0" + track(tune()), ""),
    ("a newline behind", file(track(tune())) + b"\n", ""),
    ("RIFF", b"RIFF\0\0\0\0RMIDdata" + len(file(track(tune()))).to_bytes(4, "little") + file(track(tune())), ""),
    (
        "RIFF with a display name",
        b"RIFF\0\0\0\0RMIDDISP\5\0\0\0abcde\0data"
        + len(file(track(tune()))).to_bytes(4, "little")
        + file(track(tune()))
        + b"LIST\4\0\0\0INFO",
        "",
    ),
]


@pytest.mark.parametrize(("content", "mended"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_one_wrong_thing_costs_no_note(content: bytes, mended: str) -> None:
    read = smf.parse(content)
    assert onsets(read)[: len(NOTES)] == NOTES
    assert mended in read.mended if mended else not read.mended


def test_a_real_time_byte_inside_a_message_is_dropped() -> None:
    read = smf.parse(file(track(b"\x00\x90\x3c\xf8\x50", OFF, tune())))
    assert onsets(read) == [(0, 60), *((tick + BEAT, pitch) for tick, pitch in NOTES)]
    assert dict(read.mended) == {smf.SYSTEM: 1}


@pytest.mark.parametrize(
    ("message", "clipped", "count"),
    [
        (b"\x90\x3c\xc8", (0x90, 60, 127), 1),
        (b"\x90\xff\x50", (0x90, 127, 80), 1),
        (b"\xc0\xfe", (0xC0, 127, 0), 1),
        (b"\xe0\x80\x90", (0xE0, 127, 127), 2),
    ],
)
def test_data_bytes_above_127_are_clipped(message: bytes, clipped: tuple[int, int, int], count: int) -> None:
    read = smf.parse(file(track(b"\x00" + message, OFF, tune())))
    assert read.tracks[0].events[0][1:4] == clipped
    assert dict(read.mended) == {smf.CLIPPED: count}


def test_a_track_that_runs_on_a_status_of_the_one_before_keeps_its_notes() -> None:
    read = smf.parse(file(track(b"\x00\x93\x3c\x50"), track(b"\x00\x3e\x50", b"\x60\x3e\x00")))
    assert [event[1:4] for event in read.tracks[1].events] == [(0x93, 62, 80), (0x93, 62, 0)]


def test_a_tempo_and_a_metre_may_be_longer_or_shorter_than_usual() -> None:
    read = smf.parse(file(track(b"\x00\xff\x51\x04\x07\xa1\x20\x00", b"\x00\xff\x58\x02\x03\x02", tune())))
    assert list(read.tracks[0].find_bodies(smf.SET_TEMPO)) == [(0, b"\x07\xa1\x20")]
    assert list(read.tracks[0].find_bodies(smf.TIME_SIGNATURE)) == [(0, b"\x03\x02")]
    assert onsets(read) == NOTES


def test_a_truncated_file_holds_what_came_before() -> None:
    whole = file(track(tune()), track(tune(1)))
    for size in range(30, len(whole)):
        read = smf.parse(whole[:size])
        assert onsets(read) == NOTES[: len(onsets(read))]
        assert read.mended
    assert onsets(smf.parse(whole[:-6]), 1) == NOTES


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"do re mi", "it has no MIDI header"),
        (b"SMF2CLIP" + bytes(40), "it has no MIDI header"),
        (b"MThd\0\0\0\6\0\1", "it ends within its header"),
        (header(1), "there is no track in it"),
        (header(1) + b"MTrk\0\0\1\0", "it ends before its first message"),
        (b"MThd" + bytes(smf.MAX_MUSIC_BYTES), "it is larger than 4 MiB"),
    ],
)
def test_what_cannot_be_mended_is_said(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        smf.parse(content)


def test_a_file_may_announce_and_hold_no_track() -> None:
    assert smf.parse(header(0)).tracks == []


@pytest.mark.parametrize(
    ("division", "tempo", "ticks_per_beat"),
    [
        (
            0xE728,
            None,
            500,
        ),  # 25 frames a second of 40 parts: milliseconds, at 120 beats a minute
        (0xE250, None, 1200),  # 30 frames of 80 parts
        (0xE350, None, 1199),  # 29.97, rounded up
        (0xE850, 1_000_000, 1920),  # 24 frames of 80 parts, 60 beats a minute
    ],
)
def test_frames_of_a_second_are_laid_on_beats(division: int, tempo: int | None, ticks_per_beat: int) -> None:
    marks = [meta(smf.SET_TEMPO, tempo.to_bytes(3, "big"))] if tempo else []
    read = smf.parse(file(track(*marks, tune(beat=ticks_per_beat)), division=division))
    assert (read.division, dict(read.mended)) == (480, {})
    assert onsets(read) == [(480 * index, pitch) for index, pitch in enumerate(PITCHES)]


def test_frames_follow_a_tempo_that_changes() -> None:
    slow, fast = (meta(smf.SET_TEMPO, us.to_bytes(3, "big"), delta) for us, delta in ((1_000_000, 0), (500_000, 1000)))
    read = smf.parse(file(track(slow, fast, ON, number(500) + b"\x80\x3c\x00"), division=0xE728))
    assert [event[0] for event in read.tracks[0].events] == [0, 480, 480, 960]
    assert read.tracks[0].end == 960


@pytest.mark.parametrize(("division", "meant"), [(0, 480), (0xFE20, 480), (0x8060, 96), (0xE700, 0x1900)])
def test_a_division_that_makes_no_sense_is_guessed(division: int, meant: int) -> None:
    read = smf.parse(file(track(tune()), division=division))
    assert (read.division, onsets(read), dict(read.mended)) == (meant, NOTES, {smf.BAD_DIVISION: 1})


# --- properties ----------------------------------------------------------------------------------------------------

data_bytes = st.integers(0, 127)
messages = st.one_of(
    st.tuples(st.sampled_from([0x80, 0x90, 0xA0, 0xB0, 0xE0]), st.integers(0, 15), data_bytes, data_bytes).map(
        lambda m: (m[0] | m[1], m[2], m[3], b"")
    ),
    st.tuples(st.sampled_from([0xC0, 0xD0]), st.integers(0, 15), data_bytes).map(lambda m: (m[0] | m[1], m[2], 0, b"")),
    st.tuples(st.sampled_from([1, 3, 5, 6, 0x7F, 0x60]), st.binary(max_size=200)).map(
        lambda m: (smf.META, m[0], 0, m[1])
    ),
    st.lists(data_bytes, max_size=200).map(lambda body: (midi.SYSEX, 0, 0, bytes(body))),
)
deltas = st.one_of(st.integers(0, 200), st.integers(0, 0x0FFFFFFF))
tracks = st.lists(st.tuples(deltas, messages), max_size=30)


def written(events: Iterable[tuple[int, tuple[int, int, int, bytes]]]) -> list[bytes]:
    """The events of a track as a file has them."""
    parts = []
    for delta, (status, first, second, body) in events:
        if status == smf.META:
            message = bytes((status, first)) + number(len(body)) + body
        elif status == midi.SYSEX:
            message = b"\xf0" + number(len(body) + 1) + body + b"\xf7"
        else:
            message = bytes((status, first) if 0xC0 <= status < 0xE0 else (status, first, second))
        parts.append(number(delta) + message)
    return parts


@given(st.lists(tracks, min_size=1, max_size=4), st.integers(1, 0x7FFF))
def test_what_is_written_is_read(made: list[list[tuple[int, tuple[int, int, int, bytes]]]], division: int) -> None:
    read = smf.parse(file(*(track(*written(events)) for events in made), division=division))
    assert not read.mended
    for events, found in zip(made, read.tracks, strict=True):
        tick = 0
        expected = []
        for delta, message in events:
            tick += delta
            expected.append((tick, *message))
        assert found.events == expected
        assert found.end == tick


@given(tracks, st.sampled_from([b"XFIH", b"CASM", b"MdMd", b"junk"]), st.binary(max_size=60), st.data())
def test_chunks_and_real_time_messages_between_cost_nothing(
    made: list[tuple[int, tuple[int, int, int, bytes]]], name: bytes, content: bytes, data: st.DataObject
) -> None:
    parts = written(made)
    clean = smf.parse(file(track(*parts))).tracks[0].events
    places = data.draw(st.lists(st.integers(0, len(parts)), max_size=5))
    for place in sorted(places, reverse=True):
        parts.insert(place, bytes((0, data.draw(st.integers(0xF8, 0xFE)))))
    read = smf.parse(header(1) + chunk(name, content) + track(*parts) + chunk(name, content))
    assert read.tracks[0].events == clean
    assert read.mended[smf.SYSTEM] == len(places)
    assert read.mended[smf.UNKNOWN_CHUNK] == 2


SONG = file(
    track(meta(smf.SET_TEMPO, b"\x07\xa1\x20"), meta(smf.TIME_SIGNATURE, b"\x04\x02\x18\x08")),
    track(meta(smf.TRACK_NAME, b"melody"), b"\x00\xf0\x05\x7e\x7f\x09\x01\xf7", tune()),
    track(meta(smf.TRACK_NAME, "Mélodie".encode()), tune(1)),
)
mutations = st.lists(
    st.tuples(st.integers(0, len(SONG)), st.integers(0, 3), st.binary(min_size=1, max_size=6)), min_size=1, max_size=12
)


def mutated(content: bytes, changes: Iterable[tuple[int, int, bytes]]) -> bytes:
    """The bytes with some replaced, put in or taken out, or all cut off."""
    data = bytearray(content)
    for place, how, new in changes:
        if how == 0:
            data[place : place + len(new)] = new
        elif how == 1:
            data[place:place] = new
        elif how == 2:
            del data[place : place + len(new)]
        elif len(new) == 6:
            del data[place:]
    return bytes(data)


@settings(max_examples=500)
@given(mutations)
def test_mutated_bytes_are_read_or_refused_with_a_reason(changes: list[tuple[int, int, bytes]]) -> None:
    try:
        read = smf.parse(mutated(SONG, changes))
    except ValueError:
        return
    assert read.division > 0
    for found in read.tracks:
        ticks = [event[0] for event in found.events]
        assert ticks == sorted(ticks)
        assert all(0 <= event[2] <= 127 and 0 <= event[3] <= 127 for event in found.events)


@given(st.binary(max_size=400))
def test_any_bytes_in_a_track_are_read(content: bytes) -> None:
    smf.parse(file(track(tune()), chunk(b"MTrk", content)))


@pytest.mark.parametrize(
    "pattern",
    [
        b"\x00", b"\xff", b"\x80", b"\xf0\xff\xff\xff\x7f", b"\x00\xff\x51\x04", b"\x00\xff\x01\xff\xff\x7f", b"MTrk",
        b"\x00\x90\xff\xff", b"\x00\xf8", b"ABCD\0\0\0\0", b"\x00\xff\x03\x7f" + b"\xa1" * 127,
    ],
)  # fmt: skip
def test_the_time_of_reading_is_in_proportion_to_the_bytes(pattern: bytes) -> None:
    def seconds(size: int) -> float:
        content = header(1) + chunk(b"MTrk", (pattern * size)[:size])
        begin = time.thread_time()
        with contextlib.suppress(ValueError):
            smf.parse(content)
        return time.thread_time() - begin

    assert min(seconds(1 << 18) for _ in range(3)) < 3
