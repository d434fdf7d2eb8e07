"""Logs of takes made into MIDI files: what they hold, what is wrong with them, how long they are."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.takes import conversion, midi_writer
from daemon.takes.conversion import Conversion, convert
from daemon.takes.take import Take
from daemon.takes.take_log import (
    format_chord,
    format_hand,
    format_header,
    format_message,
    format_metre,
    format_style,
    format_tempo,
)
from music import midifile, smf
from music.note import HAND, MELODY, Metre, Note

HEADER, MARK = format_header(Metre()), format_tempo((0, 0, 500_000))
MS = 1_000_000


def note(way: str, at_ms: int, pitch: int, channel: int = 0, length_ms: int = 250) -> str:
    """The two lines of a note."""
    on, off = bytes((0x90 | channel, pitch, 80)), bytes((0x80 | channel, pitch, 0))
    return format_message(way, at_ms * MS, on) + format_message(way, (at_ms + length_ms) * MS, off)


def converted(folder: Path, log: str | bytes) -> midifile.Song:
    path = folder / "one.take"
    path.write_bytes(log if isinstance(log, bytes) else log.encode())
    done = convert(path, folder / "one.mid")
    assert done is not None
    assert done.made
    return midifile.read(folder / "one.mid")


def test_a_log_cut_off_anywhere_holds_what_came_before(tmp_path: Path) -> None:
    lines = [format_header(Metre(3, 4)), MARK, format_style(0, "jazz")]
    lines += [format_hand(0, 15), format_chord(0, "C:maj")]
    lines += [format_message("i", n * 100 * MS, bytes((0x90, 60 + n, 9))) for n in range(6)]
    whole, path, out = "".join(lines).encode(), tmp_path / "one.take", tmp_path / "one.mid"
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        done = convert(path, out)
        complete = max(0, whole[:end].count(b"\n") - 5)
        assert done == Conversion(complete > 0, 0)
        if complete:
            song = midifile.read(out)
            (melody,) = song.parts
            assert len(melody.notes) == complete
            assert song.markers == ((0, "C:maj"),)


@pytest.mark.parametrize(
    "bad",
    [
        b"i 500000000 90ae64",  # a data byte above 127, from a broken cable
        b"i 500000000 90",  # a status alone
        b"o 500000000 3c3c3c",  # data bytes alone
        b"o 500000000 zz",
        b"i six 903c40",
        b"i 99999999999999999999 903c40",  # later than any clock
        b"i " + b"9" * 4000 + b" 903c40",
        b"i 5",
        b"x 5 903c40",
        b"t 1 2",
        b"t 9 9 0",  # no time at all for a beat
        b"h 5 x",
        b"c 5",
        b"c x C:maj",
        b"c 5 caf\xe9",
        b"c 5 C\x1b[2J",
        b"c 5 " + b"C" * 65,
        b"\x00\xff",
        b"",
    ],
)
def test_a_line_that_makes_no_sense_costs_that_line(bad: bytes, tmp_path: Path) -> None:
    path, out = tmp_path / "one.take", tmp_path / "one.mid"
    good = HEADER + MARK + note("i", 0, 60)
    path.write_bytes(good.encode() + bad + b"\n" + note("i", 500, 62).encode())
    assert convert(path, out) == Conversion(True, 1)
    assert [part.notes for part in midifile.read(out).parts] == [(Note(0, 60, 12, 80), Note(24, 62, 12, 80))]


def test_system_messages_of_older_logs_are_left_out_whatever_their_length(tmp_path: Path) -> None:
    path = tmp_path / "one.take"
    sysex = format_message("i", 5, b"\xf0" + bytes(100_000) + b"\xf7") + format_message("i", 6, b"\xf8")
    path.write_text(HEADER + MARK + sysex + note("i", 0, 60))
    assert convert(path, tmp_path / "one.mid") == Conversion(True, 0)


@pytest.mark.parametrize("contents", [b"something else\n", b"houseband-take 2 4 4\n", b"\xff" * 5000])
def test_what_is_no_log_is_none(contents: bytes, tmp_path: Path) -> None:
    (tmp_path / "one.take").write_bytes(contents)
    assert convert(tmp_path / "one.take", tmp_path / "one.mid") is None
    assert not (tmp_path / "one.mid").exists()


@pytest.mark.parametrize("header", ["houseband-take 1 0 4\n", "houseband-take 1 900 4\n", "houseband-take 1 x\n"])
def test_a_metre_that_is_none_is_four_four(header: str, tmp_path: Path) -> None:
    assert converted(tmp_path, header + MARK + note("i", 0, 60)).metres == ((0, Metre(4, 4)),)


def test_a_log_without_a_tempo_begins_with_its_first_message_at_120(tmp_path: Path) -> None:
    song = converted(tmp_path, HEADER + note("i", 7_000, 60) + note("i", 7_500, 62))
    assert song.parts[0].notes == (Note(0, 60, 12, 80), Note(24, 62, 12, 80))


def test_styles_are_markers_in_any_script(tmp_path: Path) -> None:
    styles = format_style(0, "jázz 日本") + format_style(2_000 * MS, "rock\nroll")
    song = converted(tmp_path, HEADER + MARK + styles + note("i", 0, 60))
    assert song.source is not None
    markers = [(tick, body.decode()) for tick, body in song.source.tracks[0].find_bodies(smf.MARKER)]
    assert markers == [(0, "jázz 日本"), (4 * 480, "rock roll")]
    converted(tmp_path, (HEADER + MARK).encode() + b"s 0 caf\xe9\x1b[2J\n" + note("i", 0, 60).encode())


def test_the_file_is_known_again_until_it_is_changed(tmp_path: Path) -> None:
    converted(tmp_path, HEADER + MARK + note("i", 0, 60))
    data = (tmp_path / "one.mid").read_bytes()
    assert midi_writer.is_take(data[:128], len(data))
    assert not midi_writer.is_take(data[:128], len(data) + 1)
    midifile.write(tmp_path / "own.mid", {MELODY: [Note(0, 60, 12, 80)]})
    other = (tmp_path / "own.mid").read_bytes()
    assert not midi_writer.is_take(other[:128], len(other))


def test_metres_are_where_they_change_and_the_last_before_the_first_note_holds(tmp_path: Path) -> None:
    waltz, march = Metre(3, 4), Metre(2, 4)
    marks = format_metre(-72, waltz) + format_metre(144, march) + format_metre(216, Metre(5, 4))
    log = HEADER + MARK + marks + format_metre(216, Metre()) + note("i", 2_000, 60) + note("i", 4_600, 62)
    song = converted(tmp_path, log)
    assert song.metres == ((0, waltz), (72, march), (144, Metre()))  # the file begins with the bar at tick 72
    assert [n.start for n in song.parts[0].notes] == [24, 149]
    cut = converted(tmp_path, log.encode()[: -len(note("i", 4_600, 62))] + b"m 300 7 ")
    assert cut.metres == song.metres
    old = converted(tmp_path, HEADER + MARK + note("i", 2_000, 60))
    assert old.metres == ((0, Metre()),)


@pytest.mark.parametrize("bad", ["m 96 0 4", "m 96 4 3", "m 96 256 4", "m 96 4", "m 96 4 4 4", "m 9x 4 4"])
def test_a_metre_that_is_none_costs_its_line(bad: str, tmp_path: Path) -> None:
    path = tmp_path / "one.take"
    path.write_text(HEADER + MARK + f"{bad}\n" + note("i", 0, 60))
    assert convert(path, tmp_path / "one.mid") == Conversion(True, 1)
    assert midifile.read(tmp_path / "one.mid").metres == ((0, Metre()),)


def test_metres_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_writer, "MAX_METRES", 3)
    marks = "".join(format_metre(48 * n, Metre(2 + n % 2, 4)) for n in range(1, 9))
    assert len(converted(tmp_path, HEADER + MARK + marks + note("i", 0, 60)).metres) == 3


LED = 15  # the channel of the hand that leads


def played(
    marks: list[tuple[int, int]],
    notes: list[tuple[int, int, int, int]],
    chords: list[tuple[int, str]],
    pedal: list[tuple[int, int, int]],
) -> tuple[str, Take, TempoMap]:
    """Notes (start, length, channel, pitch) over tempo marks (tick, microseconds per beat), as a log and as a take.

    pedal: (tick, channel, value) of its moves.
    """
    tempo = TempoMap.from_marks(marks)
    messages = [(start, 1, bytes((0x90 | c, p, 80)), "o" if 0 < c < LED else "i") for start, _, c, p in notes]
    messages += [(at + long, 0, bytes((0x80 | c, p, 0)), "o" if 0 < c < LED else "i") for at, long, c, p in notes]
    messages += [(tick, -1, bytes((0xB0 | channel, 64, value)), "i") for tick, channel, value in pedal]
    log, take, written = HEADER + format_hand(0, LED), Take(), None
    performance: Any = SimpleNamespace(tempo=tempo, settings=Settings(chord_channel=LED + 1))
    take.on_start(performance)
    for chord in chords:
        log += format_chord(*chord)
        take.on_chords([chord])
    for tick, _, data, way in sorted(messages):
        at = tempo.ns_at(tick)
        if (mark := tempo.mark_at(at)) != written:
            written, log = mark, log + format_tempo(mark)
        log += format_message(way, at, data)
        (take.on_input if way == "i" else take.on_output)(data, at)
    return log, take, tempo


@examples(max_examples=50)
@given(
    marks=st.dictionaries(st.integers(1, 900), st.integers(200_000, 2_000_000), max_size=6),
    notes=st.lists(
        st.tuples(st.integers(0, 1_000), st.integers(1, 90), st.sampled_from((0, 1, 2, 9, LED)), st.integers(50, 60)),
        min_size=1,
        max_size=40,
    ),
    chords=st.lists(st.tuples(st.integers(-96, 900), st.sampled_from(("C:maj", "A:min7/b7", "N", ""))), max_size=6).map(
        sorted
    ),
    pedal=st.lists(st.tuples(st.integers(0, 1_000), st.sampled_from((0, LED)), st.integers(0, 127)), max_size=10),
)
def test_a_log_holds_what_a_take_in_memory_does(
    marks: dict[int, int],
    notes: list[tuple[int, int, int, int]],
    chords: list[tuple[int, str]],
    pedal: list[tuple[int, int, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    log, take, tempo = played([(0, 500_000), *sorted(marks.items())], notes, chords, pedal)
    song = converted(tmp_path_factory.mktemp("log"), log)
    first = min(start for start, *_ in notes) // 96 * 96
    in_memory = tmp_path_factory.mktemp("take") / "take.mid"
    take.write(in_memory, tempo, Metre())
    expected = {
        name: sorted((n.start - first, n.pitch, n.length, n.velocity) for n in part)
        for name, part in take.parts(tempo).items()
        if part
    }
    found = {p.name: sorted((n.start, n.pitch, n.length, n.velocity) for n in p.notes) for p in song.parts}
    assert found == expected
    kept = midifile.read(in_memory)
    assert [part.channel for part in kept.parts if part.name == HAND] == ([LED] if HAND in expected else [])
    assert [part.channel for part in song.parts if part.name == HAND] == ([LED] if HAND in expected else [])
    assert song.markers == move(kept.markers, first)
    if HAND in expected:
        moved = [(max(0, tick - first), channel, value) for tick, channel, value in list_pedal(kept)]
        assert list_pedal(song) == sorted(moved)


def list_pedal(song: midifile.Song) -> list[tuple[int, int, int]]:
    """(tick, channel, value) of every move of the pedal."""
    assert song.source is not None
    return sorted(
        (tick // 20, status & 15, value)
        for track in song.source.tracks
        for tick, status, number, value, _ in track.events
        if status & 0xF0 == 0xB0 and number == 64
    )


def move(markers: tuple[tuple[int, str], ...], begin: int) -> tuple[tuple[int, str], ...]:
    """Markers of a file that begins at a later tick: what holds there holds from its beginning on."""
    before = [(0, label) for tick, label in markers if tick <= begin][-1:]
    return (*before, *((tick - begin, label) for tick, label in markers if tick > begin))


def test_a_note_ends_where_it_began_though_the_hands_channel_has_changed(tmp_path: Path) -> None:
    on, off = bytes((0x93, 60, 80)), bytes((0x83, 60, 0))
    log = HEADER + MARK + format_hand(0, 3) + format_message("i", 0, on) + format_hand(1, -1)
    log += format_message("i", 250 * MS, off) + format_message("i", 500 * MS, on) + format_hand(1, 3)
    log += format_message("i", 750 * MS, off)
    melody, hand = converted(tmp_path, log).parts
    assert (melody.name, melody.notes) == (MELODY, (Note(24, 60, 12, 80),))
    assert (hand.name, hand.channel, hand.notes) == (HAND, 3, (Note(0, 60, 12, 80),))


def test_a_take_without_chords_has_no_track_for_them(tmp_path: Path) -> None:
    converted(tmp_path, HEADER + MARK + format_hand(0, 15) + format_chord(5, "") + note("i", 0, 60))
    assert b"harmony" not in (tmp_path / "one.mid").read_bytes()
    assert b"hand" not in (tmp_path / "one.mid").read_bytes()


def long_log(notes: int, opening: str = HEADER + MARK) -> bytes:
    chords = ("C:maj", "F:maj", "G:7")
    lines = (note("io"[n % 2], 100 * n, 40 + n % 40, n % 2) + format_chord(6 * n, chords[n % 3]) for n in range(notes))
    return (opening + "".join(lines)).encode()


def test_memory_does_not_grow_with_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_writer, "MEMORY_BYTES", 4096)
    path = tmp_path / "one.take"
    peaks: list[int] = []
    for notes in (1_000, 10_000):
        path.write_bytes(long_log(notes))
        tracemalloc.start()
        convert(path, tmp_path / "one.mid")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 50_000
    song = midifile.read(tmp_path / "one.mid")
    assert sum(len(part.notes) for part in song.parts) == 10_000
    assert len(song.markers) == 10_000


def test_a_conversion_that_takes_too_long_is_given_up_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "_LOOK_LINES", 10)
    (tmp_path / "one.take").write_bytes(long_log(100))
    moments = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    with pytest.raises(TimeoutError, match="too long"):
        convert(tmp_path / "one.take", tmp_path / "one.mid", deadline_s=3)
    assert [file.name for file in tmp_path.iterdir()] == ["one.take"]
