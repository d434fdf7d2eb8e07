"""Music from elsewhere: MIDI files, charts, recordings and examples; and out again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.controls import change_settings
from daemon.core.settings import Settings
from daemon.projects.exporting import make_midi, name_file
from daemon.projects.importing import (
    MAX_UPLOAD_BYTES,
    ImportedChart,
    check_upload,
    decode_file_name,
    import_file,
    import_midi,
    make_example,
    parse_recording,
    read_chart,
)
from daemon.projects.item import ITEM_ROLES, Item, ItemError
from daemon.projects.techniques_on_offer import build_mix
from music import midifile
from music.errors import UserError
from music.midifile import MidiFileError
from music.note import MELODY, Metre, Note
from music.tunes import TUNES
from tests.projects.items import items, make_input


@settings(deadline=None, max_examples=15)
@given(items(edits=False).filter(lambda item: item.get(MELODY)))
def test_an_item_comes_back_from_its_midi_file(item: Item) -> None:
    again = import_midi(make_midi(item), f"{item.name}.mid").item
    assert again.notes == {role: item.get(role) for role in ITEM_ROLES if item.get(role)}
    assert again.metres == item.metres
    assert again.bars == item.bars
    assert again.name == item.name
    assert abs(again.bpm - item.bpm) < 0.01
    assert again.chords == tuple(chord for chord in item.chords if chord[0] < max(n.end for n in _all(item)))


def _all(item: Item) -> list[Note]:
    return [note for line in item.notes.values() for note in line]


def test_a_midi_file_has_a_track_for_each_role_with_its_instrument() -> None:
    notes = {role: (Note(0, 60, 24),) for role in ITEM_ROLES}
    item = Item("r1", "result", "x", 90.0, ((0, Metre(3, 4)),), 1, notes, chords=((0, "C:maj"),))
    path = Path("item.mid")
    song = midifile.parse(make_midi(item), str(path))
    assert [part.name for part in song.parts] == list(ITEM_ROLES)
    assert {part.name: part.program for part in song.parts} == {
        "melody": 0,
        "hand": 0,
        "bass": 33,
        "chords": 4,
        "pad": 89,
        "drums": 0,
        "edits": 0,
    }
    assert len({part.channel for part in song.parts}) == len(ITEM_ROLES)
    assert song.metres == ((0, Metre(3, 4)),)
    assert song.markers == ((0, "C:maj"),)
    mixed = midifile.parse(make_midi(item, build_mix({"program.bass": 39, "level.pad": 0.5})))
    assert {part.name: part.program for part in mixed.parts}["bass"] == 38


def write_song(tmp_path: Path, **tracks: list[int]) -> bytes:
    """Return a MIDI file with tracks of quarters of the given pitches."""
    path = tmp_path / "song.mid"
    parts = {
        name.replace("_", " "): [Note(24 * at, pitch, 24) for at, pitch in enumerate(line)]
        for name, line in tracks.items()
    }
    channels = {name: number for number, name in enumerate(parts)}
    midifile.write(path, parts, tempos=[(0, 600_000), (48, 300_000)], metres=[(0, Metre(3, 4))], channels=channels)
    return path.read_bytes()


def test_the_melody_is_taken_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    data = write_song(tmp_path, Strings=[40, 41], Lead_voice=[70, 72, 74, 76], bass=[30, 31], Oboe=[60])
    music = import_midi(data, "My_song.mid")
    assert music.item.name == "My song"
    assert (music.item.kind, music.item.bpm, music.item.bars) == ("input", 100.0, 2)
    assert [note.pitch for note in music.item.get("melody")] == [70, 72, 74, 76]
    assert [note.pitch for note in music.item.get("bass")] == [30, 31]
    assert music.told == "the melody is Lead voice; left out: Oboe, Strings; the tempo is the first of 2"


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 30))
def test_a_damaged_file_gives_an_item_or_a_sentence(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(make_midi(make_input()))
    for _ in range(chance.randint(1, 20)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    data = data[: chance.randint(4, len(data))]
    said = "an item"
    try:
        import_midi(bytes(data), "x.mid")
    except UserError as error:
        said = str(error)
    assert said
    assert "\n" not in said


def test_a_file_that_is_too_much_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the file is larger than 8 MiB; choose another"):
        check_upload(bytes(MAX_UPLOAD_BYTES + 1))
    with pytest.raises(UserError, match="the file is empty; choose another"):
        check_upload(b"")
    with pytest.raises(MidiFileError, match="it has 20001 notes, and an item at most 20000"):
        import_midi(write_song(tmp_path, melody=[60] * 20_001), "x.mid")
    with pytest.raises(MidiFileError, match="it has 1334 bars, and an item at most 1000"):
        import_midi(write_song(tmp_path, melody=[60] * 4000), "x.mid")
    with pytest.raises(MidiFileError, match="no pitched notes"):
        import_midi(write_song(tmp_path), "x.mid")


def test_a_type_0_file_of_a_keyboard_is_a_melody(tmp_path: Path) -> None:
    file = mido.MidiFile(type=0)
    track = mido.MidiTrack()
    for pitch in (60, 64, 67):
        track.append(mido.Message("note_on", note=pitch, velocity=90, time=0))
        track.append(mido.Message("note_off", note=pitch, time=480))
    file.tracks.append(track)
    file.save(tmp_path / "a.mid")
    music = import_midi((tmp_path / "a.mid").read_bytes(), "a.mid")
    assert [note.pitch for note in music.item.get(MELODY)] == [60, 64, 67]
    assert music.told == ""


def test_a_midi_file_of_chord_names_is_a_chart(tmp_path: Path) -> None:
    midifile.write(tmp_path / "a.mid", {}, harmony=[(0, "C:maj"), (96, "G:7"), (192, "C:maj")])
    chart = import_file((tmp_path / "a.mid").read_bytes(), "a.mid")
    assert isinstance(chart, ImportedChart)
    assert (chart.title, chart.bars) == ("a", 3)
    with pytest.raises(MidiFileError, match="no pitched notes"):
        import_file(write_song(tmp_path), "a.mid")


def test_charts_that_can_be_played_from_are_read() -> None:
    assert read_chart(b"title: Blues\n| C7 | F7 | C7 | G7 |", "blues.txt").bars == 4
    with pytest.raises(UserError, match="write them in a grid"):
        read_chart(b"{title: Song}\n[C]words [F]more", "song.cho")
    with pytest.raises(UserError):
        read_chart(b"\0\1\2", "blues.txt")


RECORDING: dict[str, Any] = {
    "name": "",
    "bpm": 100,
    "metres": [[0, "3/4"]],
    "notes": {"melody": [[80, 60, 30, 90], [0, 60, 100, 80]]},
}


def test_a_recording_is_an_input() -> None:
    item = parse_recording(RECORDING)
    assert (item.kind, item.name, item.bpm, item.bars) == ("input", "Recording", 100.0, 2)
    assert item.get(MELODY) == (Note(0, 60, 80, 80), Note(80, 60, 30, 90))
    assert parse_recording({**RECORDING, "bars": 8}).bars == 8


@pytest.mark.parametrize(
    ("notes", "bars", "end"),
    [
        ([[0, 60, 72 * 8 + 5, 80]], 8, 72 * 8),  # held a moment too long
        ([[0, 60, 72 * 8 + 24, 80]], 9, 72 * 8 + 24),  # held for a beat more
        ([[0, 60, 72, 80], [72 * 8 + 2, 60, 5, 80]], 9, 72 * 8 + 7),  # another note
    ],
)
def test_a_recording_ends_where_the_player_meant_it_to(notes: list[list[int]], bars: int, end: int) -> None:
    for given_bars in ({}, {"bars": 9}):
        item = parse_recording({**RECORDING, "notes": {"melody": notes}, **given_bars})
        assert (item.bars, max(note.end for note in item.get(MELODY))) == (bars, end)
    assert parse_recording({**RECORDING, "notes": {"melody": notes}, "bars": 10}).bars == 10


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"notes": {}}, "nothing was recorded"),
        ({"notes": {"melody": []}}, "nothing was recorded"),
        ({"notes": {"melody": [[0, 60, 0, 80]]}}, "notes of melody: [0, 60, 0, 80] is none"),
        ({"notes": {"melody": [[96 * 1000, 60, 10, 80]]}}, "a recording has at most 1000 bars"),
        ({"bpm": 5}, "bpm: a number from 10 to 400 is needed here"),
        ({"metres": [[96, "4/4"]]}, "metres: the first one has to begin at tick 0"),
    ],
)
def test_what_is_no_recording_is_refused_in_a_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ItemError) as caught:
        parse_recording({**RECORDING, **change})
    assert str(caught.value).startswith(sentence)


def test_examples_are_inputs() -> None:
    for name, tune in TUNES.items():
        item = make_example(name)
        assert item.bars == tune.bars
        assert item.name in tune.title
    with pytest.raises(ItemError, match="there is no example 'x'; there are ode"):
        make_example("x")


@pytest.mark.parametrize(
    ("header", "name"),
    [("Lied%20%C3%BC.mid", "Lied ü.mid"), ("..%2F..%2Fx.mid", "x.mid"), ("C:\\music\\a.mid", "a.mid"), ("%00", "file")],
)
def test_a_file_name_is_decoded(header: str, name: str) -> None:
    assert decode_file_name(header) == name


def test_files_are_named_after_their_items() -> None:
    assert name_file(make_input(name="AR-CNN, pop, seed 3"), ".mid", "Melody 2") == "melody-2-ar-cnn-pop-seed-3.mid"
    assert name_file(make_input(name="Österreich"), ".mid") == "österreich.mid"
    assert name_file(make_input(name="!!"), ".wav") == "i1.wav"


def test_a_mix_takes_what_belongs_to_it_alone() -> None:
    mix = build_mix({"level.bass": 0.5, "mute.pad": True, "swing": 1, "bpm": 90})
    assert mix == change_settings(Settings(), [("level.bass", 0.5), ("mute.pad", True)], _info())


def _info() -> Any:
    from daemon.projects.techniques_on_offer import describe_techniques

    return describe_techniques()
