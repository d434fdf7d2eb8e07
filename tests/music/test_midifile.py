"""Songs read from files and written to them; the bytes that are wrong are in test_smf."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from music import midifile, smf
from music.midifile import MidiFileError, Part, Song, choose_melody
from music.note import Metre, Note, quantise
from tests.support.smf_bytes import PITCHES, chunk, file, header, meta, number, track, tune

notes = st.lists(
    st.builds(Note, st.integers(0, 900), st.integers(0, 127), st.integers(1, 60), st.integers(1, 127)), max_size=40
)
TUNE = tuple(Note(24 * index, pitch, 24) for index, pitch in enumerate(PITCHES))


def named(name: bytes | str, *messages: bytes) -> bytes:
    """A track of that name."""
    return track(meta(smf.TRACK_NAME, name if isinstance(name, bytes) else name.encode()), *messages)


@given(notes)
def test_file_round_trip(tmp_path_factory: pytest.TempPathFactory, played: list[Note]) -> None:
    path = tmp_path_factory.mktemp("files") / "song.mid"
    made = quantise(played)
    midifile.write(path, {"melody": made}, tempos=[(0, 600_000)], metres=[(0, Metre(3, 4))])
    song = midifile.read(path)
    part = song.part("melody")
    assert (list(part.notes) if part else []) == made
    assert (song.tempos, song.metres) == (((0, 600_000),), ((0, Metre(3, 4)),))


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"MThd", b"RIFF not midi at all", bytes(range(256)) * 4])
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mid"
    path.write_bytes(content)
    with pytest.raises(MidiFileError, match=r"broken\.mid") as error:
        midifile.read(path)
    assert "\n" not in str(error.value)


def test_what_is_no_file_is_one_sentence(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "absent.mid", "no such file"),
        (tmp_path, "not a readable MIDI file (Is a directory)"),
        (tmp_path / "a\0b.mid", "not a readable MIDI file"),
        (tmp_path / ("a" * 300), "not a readable MIDI file (File name too long)"),
    ):
        with pytest.raises(MidiFileError) as error:
            midifile.read(path)
        assert reason in str(error.value)


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(MidiFileError, match="larger than"):
        midifile.read("/dev/zero")


def test_an_error_shows_no_control_characters_of_the_name(tmp_path: Path) -> None:
    with pytest.raises(MidiFileError) as error:
        midifile.read(tmp_path / "\x1b[31m.mid")
    assert "\x1b" not in str(error.value)


def test_a_file_may_come_through_a_pipe() -> None:
    out, into = os.pipe()
    os.write(into, file(named("melody", tune())))
    os.close(into)
    try:
        assert midifile.read(f"/dev/fd/{out}").parts[0].notes == TUNE
    finally:
        os.close(out)


def test_what_was_mended_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "worn.mid"
    path.write_bytes(file(named("melody", b"\x00\xb0\x07\xff", b"\x00\xf8", b"\x00\xf8", tune())))
    with caplog.at_level(logging.WARNING):
        song = midifile.read(path)
    assert song.mended == "data bytes above 127 clipped (1), system messages left out (2)"
    assert [record.getMessage() for record in caplog.records] == [f"{path}: mended while reading: {song.mended}"]


def test_a_file_in_order_is_read_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "song.mid"
    path.write_bytes(file(named("melody", tune())))
    assert midifile.read(path).mended == ""
    assert not caplog.records


def parsed(source: mido.MidiFile) -> Song:
    data = BytesIO()
    source.save(file=data)
    return midifile.parse(data.getvalue())


def test_a_note_never_ended_in_the_file_ends_with_its_track() -> None:
    source = mido.MidiFile(ticks_per_beat=24)
    source.tracks.append(
        mido.MidiTrack(
            [mido.Message("note_on", note=60, velocity=70, time=0), mido.MetaMessage("end_of_track", time=48)]
        )
    )
    assert parsed(source).parts[0].notes == (Note(0, 60, 48, 70),)


METRES = [
    ((13, 5), None),  # 13/32
    ((12, 5), Metre(6, 16)),  # 12/32 are 6/16
    ((8, 6), Metre(2, 16)),
    ((5, 6), None),
    ((0, 2), None),
    ((0, 5), None),
    ((4, 255), None),
    ((255, 0), Metre(255, 1)),
    ((7, 3), Metre(7, 8)),
]


@pytest.mark.parametrize(("written", "metre"), METRES)
def test_a_metre_that_sixteenths_cannot_show_costs_that_mark(written: tuple[int, int], metre: Metre | None) -> None:
    first = meta(smf.TIME_SIGNATURE, b"\x03\x02\x18\x08")
    odd = meta(smf.TIME_SIGNATURE, bytes((*written, 24, 8)), 288)
    song = midifile.parse(file(track(first, odd), named("melody", tune())))
    assert song.metres == ((0, Metre(3, 4)), *([(72, metre)] if metre else []))
    assert song.mended == ("" if metre else f"{midifile.BAD_METRE} (1)")
    assert song.parts[0].notes == TUNE


def test_a_song_lasts_as_long_as_its_longest_track() -> None:
    song = midifile.parse(file(track(meta(smf.SET_TEMPO, b"\x0f\x42\x40", 96)), track(tune(), meta(1, b"end", 96))))
    assert song.seconds == 0.5 + 4
    assert Song(()).seconds == 0


# --- choosing the melody -------------------------------------------------------------------------------------------


def part(name: str, pitch: int = 60, channel: int = 0, index: int = 0) -> Part:
    return Part(name, (Note(0, pitch, 6),), channel, index)


def test_melody_is_the_named_track_else_the_first_pitched_one() -> None:
    drums, lead, melody = part("kit", 36, 9, 0), part("flute", 60, 0, 1), part("melody", 62, 0, 2)
    assert choose_melody(Song((drums, lead, melody))) == melody
    assert choose_melody(Song((drums, lead))) == lead
    assert choose_melody(Song((drums, lead, melody)), "1") == lead
    with pytest.raises(MidiFileError, match="no pitched notes"):
        choose_melody(Song((drums,)))
    with pytest.raises(MidiFileError, match="the file has: kit"):
        choose_melody(Song((drums,)), "flute")


@pytest.mark.parametrize(
    "name",
    [
        *(b"Melody", b"MELODY", b" melody ", b"Melody\0", "Mélodie".encode(), "Mélodie".encode("latin-1")),
        *("Melodía".encode("utf-16"), "メロディ".encode("shift-jis"), "主旋律".encode(), b"Lead Synth", b"Vocal 1"),
    ],
)
def test_a_melody_is_told_by_its_name_in_whatever_encoding(name: bytes) -> None:
    song = midifile.parse(file(named("bass", tune(1)), named(name, tune())))
    assert choose_melody(song).index == 1


def test_of_several_the_likeliest_is_the_melody() -> None:
    parts = tuple(part(name, index=i) for i, name in enumerate(("Lead Guitar", "Vocals", "Melody", "violin1")))
    assert choose_melody(Song(parts)).name == "Melody"
    assert choose_melody(Song(parts[:2])).name == "Vocals"


@pytest.mark.parametrize("wanted", ["Mélodie", "mélodie", "MELODIE", "Melodie", "mel", "1"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_a_track_is_chosen_by_its_name(wanted: str, encoding: str) -> None:
    song = midifile.parse(file(named("bass", tune(1)), named("Mélodie".encode(encoding), tune())))
    assert choose_melody(song, wanted).index == 1


def test_a_name_comes_before_a_number_and_a_number_before_a_word() -> None:
    parts = part("1", index=0), part("flute 2", index=1), part("oboe", index=2)
    assert choose_melody(Song(parts), "1").name == "1"
    assert choose_melody(Song(parts), "2").name == "oboe"
    for wanted in ("9" * 5000, "٣"):
        with pytest.raises(MidiFileError, match="no track"):
            choose_melody(Song(parts), wanted)


def test_the_channels_of_one_track_are_chosen_by_number() -> None:
    song = midifile.parse(file(named("song", tune(0), tune(2), tune(9)), kind=0))
    assert choose_melody(song).channel == 0
    assert choose_melody(song, channel=3).channel == 2
    assert choose_melody(song, "song", 3).channel == 2
    assert choose_melody(song, channel=10).channel == 9
    with pytest.raises(MidiFileError, match=r"no notes on channel 5; the file has: song \(channels 1, 3, 10\)"):
        choose_melody(song, channel=5)
    with pytest.raises(MidiFileError, match="no track 'flute' with notes in it on channel 3"):
        choose_melody(song, "flute", 3)


def test_on_a_channel_the_track_that_is_called_a_melody_comes_first() -> None:
    parts = part("bass", index=0), part("Melody", index=1), part("flute", channel=1, index=2)
    assert choose_melody(Song(parts), channel=1).name == "Melody"
    assert choose_melody(Song(parts), channel=2).name == "flute"


def test_an_error_names_the_file_and_no_more_than_some_tracks() -> None:
    tracks = [named(b"\x1b[2J" + bytes((65 + n % 26, 65 + n // 26)), tune()) for n in range(60)]
    song = midifile.parse(file(*tracks), "song.mid")
    with pytest.raises(MidiFileError, match=r"song\.mid: no track 'flute' .* and 40 more$") as error:
        choose_melody(song, "flute")
    assert str(error.value).isprintable()


def test_a_name_has_no_more_than_a_hundred_characters() -> None:
    assert midifile.parse(file(named(b"x" * 5000, tune()))).parts[0].name == "x" * 100


# --- length --------------------------------------------------------------------------------------------------------


def lasting(*starts: int) -> list[Note]:
    return [Note(24 * start, 60, 24) for start in starts]


def test_music_of_a_usual_length_is_fine() -> None:
    song = Song(())
    midifile.check_length(song, lasting(*range(3000)))
    midifile.check_length(song, [])
    midifile.check_length(song, lasting(0, 127))
    midifile.check_length(song, lasting(*range(100), *range(600, 700)))
    midifile.check_length(song, lasting(*range(5_000, 5_003)))


@pytest.mark.parametrize(
    ("starts", "sentence"),
    [
        ((0, 90_000), "lasts 90001 beats, and that is too long for its 2 notes"),
        (tuple(range(0, 1536, 96)), "lasts 1441 beats, and that is too long for its 16 notes"),
        ((*range(100), *range(700, 800)), "stands still for 601 beats"),
        (tuple(range(0, 100_100, 10)), "lasts 100091 beats"),
        ((200_000, 200_001), "ends at beat 200002"),
    ],
)
def test_music_that_is_absurdly_long_is_refused(starts: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(MidiFileError, match=f"song.mid: the melody {sentence}"):
        midifile.check_length(Song((), name="song.mid"), lasting(*starts))


def test_what_is_counted_from_the_beginning_may_not_begin_late() -> None:
    midifile.check_length(Song(()), lasting(400, 401), 24 * 300)
    with pytest.raises(MidiFileError, match="lasts 402 beats"):
        midifile.check_length(Song(()), lasting(400, 401), 0)


# --- writing what was read -----------------------------------------------------------------------------------------


def copied(content: bytes, channel: int | None = None) -> list[mido.Message]:
    return midifile.copy_track(midifile.parse(content), 0, channel)


def test_a_track_is_copied_message_by_message() -> None:
    odd = [meta(0x7F, b"\0\0\x41"), meta(0x05, "là".encode()), meta(smf.KEY_SIGNATURE, b"\xfd\1"), b"\0\xf0\2\x7e\xf7"]
    kept = [m.bytes() for m in copied(file(named("melody", meta(smf.SET_TEMPO, b"\7\xa1\x20"), *odd, tune())))]
    assert kept[:4] == [
        [0xFF, 0x7F, 3, 0, 0, 0x41],
        [0xFF, 0x05, 3, *"là".encode()],
        [0xFF, 0x59, 2, 0xFD, 1],
        [0xF0, 0x7E, 0xF7],
    ]
    assert len(kept) == 4 + 2 * len(PITCHES)


def test_of_several_channels_one_is_copied() -> None:
    assert {m.channel for m in copied(file(track(tune(0), tune(3))), 3)} == {3}


def test_messages_too_late_for_a_file_are_left_out(tmp_path: Path) -> None:
    late = number(0x0FFFFFFF) + b"\x90\x3c\x50"
    song = midifile.parse(file(track(tune(), late), division=1))
    midifile.write(
        tmp_path / "o.mid", {}, tempos=[(0, 500_000), (10**9, 1)], copied={"m": midifile.copy_track(song, 0)}
    )
    again = midifile.read(tmp_path / "o.mid")
    assert (len(again.parts[0].notes), again.tempos) == (len(PITCHES), ((0, 500_000),))


def test_markers_of_any_text_are_written(tmp_path: Path) -> None:
    midifile.write(tmp_path / "o.mid", {"harmony": ()}, markers=[(0, "日本 é"), (24, "bell\x07\ud800")])
    source = midifile.read(tmp_path / "o.mid").source
    assert source is not None
    assert [body.decode() for _, body in source.tracks[0].find_bodies(smf.MARKER)] == ["日本 é", "bell"]


SONG = file(
    track(meta(smf.SET_TEMPO, b"\x07\xa1\x20"), meta(smf.TIME_SIGNATURE, b"\x04\x02\x18\x08")),
    named("melody", b"\0\xf0\5\x7e\x7f\x09\x01\xf7", tune(), meta(5, "là".encode())),
    named("harmony", meta(smf.MARKER, b"C:maj"), meta(smf.MARKER, b"G:7", 96)),
)
mutations = st.lists(
    st.tuples(st.integers(0, len(SONG)), st.booleans(), st.binary(min_size=1, max_size=6)), min_size=1, max_size=8
)


@settings(max_examples=300)
@given(mutations)
def test_mutated_files_are_refused_in_a_sentence_or_read_and_written_again(
    tmp_path_factory: pytest.TempPathFactory, changes: Iterable[tuple[int, bool, bytes]]
) -> None:
    data = bytearray(SONG)
    for place, insert, new in changes:
        data[place : place + len(new) * (not insert)] = new
    begin = time.thread_time()
    try:
        song = midifile.parse(bytes(data), "song.mid")
        melody = choose_melody(song)
        midifile.check_length(song, melody.notes)
    except MidiFileError as error:
        assert str(error).startswith("song.mid: ")  # noqa: PT017
        return
    finally:
        assert time.thread_time() - begin < 1
    path = tmp_path_factory.mktemp("again") / "o.mid"
    tracks = {str(n): midifile.copy_track(song, n) for n in range(len(song.source.tracks if song.source else ()))}
    midifile.write(
        path,
        {"melody": quantise(melody.notes)},
        tempos=song.tempos,
        metres=song.metres,
        markers=song.markers,
        copied=tracks,
    )
    again = midifile.read(path)
    assert again.mended == ""
    assert again.tempos[0] == song.tempos[0]
    assert sum(len(p.notes) for p in again.parts if p.index == len(tracks) + 1) == len(quantise(melody.notes))


@given(notes, st.sampled_from([b"XFIH", b"junk"]), st.binary(max_size=30), st.integers(0xF8, 0xFE))
def test_junk_between_changes_no_note(
    tmp_path_factory: pytest.TempPathFactory, played: list[Note], name: bytes, junk: bytes, real_time: int
) -> None:
    path = tmp_path_factory.mktemp("junk") / "song.mid"
    midifile.write(path, {"melody": quantise(played)})
    whole = path.read_bytes()
    clean = midifile.parse(whole)
    first = whole.index(b"MTrk")
    second = whole.index(b"MTrk", first + 4)
    stray = bytes((0, real_time)) + whole[second + 8 :]
    mixed = (
        header(2, division=480) + chunk(name, junk) + whole[first:second] + chunk(name, junk) + chunk(b"MTrk", stray)
    )
    dirty = midifile.parse(mixed)
    assert dirty.parts == clean.parts
    assert "unknown chunks skipped (2)" in dirty.mended
    assert "system messages left out (1)" in dirty.mended
