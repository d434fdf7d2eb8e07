"""What of a file that is rendered stays beside the melody and the band."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import mido
import pytest

from daemon.offline.render import render_file
from music.note import CHANNELS
from tests.support.fakes import FakePlayer

Track = list[tuple[int, "mido.Message | mido.MetaMessage"]]  # tick, message


def notes(channel: int, *pitches: int) -> Track:
    return [
        (index * 480 + late, mido.Message(kind, channel=channel, note=pitch, velocity=80))
        for index, pitch in enumerate(pitches)
        for late, kind in ((0, "note_on"), (470, "note_off"))
    ]


def write(path: Path, *tracks: tuple[str, Track]) -> Path:
    file = mido.MidiFile(ticks_per_beat=480)
    for name, events in tracks:
        track, last = mido.MidiTrack([mido.MetaMessage("track_name", name=name)] if name else []), 0
        for tick, message in sorted(events, key=lambda event: event[0]):
            track.append(message.copy(time=tick - last))
            last = tick
        file.tracks.append(track)
    file.save(path)
    return path


def read(path: Path, name: str) -> list[tuple[int, mido.Message]]:
    [track] = [track for track in mido.MidiFile(path).tracks if track.name == name]
    return list(timed(track))


def timed(track: Iterable[mido.Message]) -> Iterable[tuple[int, mido.Message]]:
    tick = 0
    for message in track:
        tick += message.time
        if message.type not in ("end_of_track", "track_name"):
            yield tick, message.copy(time=0)


def render(source: Path) -> Path:
    render_file(source, source.with_name("out.mid"), FakePlayer())
    return source.with_name("out.mid")


MELODY = ("melody", notes(0, 60, 62, 64, 65, 67, 69, 71, 72))
HEAD: Track = [
    (0, mido.MetaMessage("key_signature", key="Am")),
    (0, mido.MetaMessage("marker", text="Verse")),
    (480, mido.MetaMessage("lyrics", text="la")),
    (960, mido.MetaMessage("cue_marker", text="lights")),
    (1920, mido.MetaMessage("marker", text="Chorus")),
    (1920, mido.MetaMessage("key_signature", key="C")),
]


def test_markers_and_key_signatures_stay_on_the_first_track(tmp_path: Path) -> None:
    out = render(write(tmp_path / "in.mid", ("", [*HEAD, (0, mido.MetaMessage("set_tempo", tempo=600_000))]), MELODY))
    first = list(timed(mido.MidiFile(out).tracks[0]))
    assert [event for event in first if event[1].type not in ("set_tempo", "time_signature")] == HEAD
    assert (0, mido.MetaMessage("set_tempo", tempo=600_000)) in first


def test_other_tracks_stay_as_they_are_with_pedal_programs_and_words(tmp_path: Path) -> None:
    strings: Track = [
        (0, mido.Message("program_change", channel=6, program=48)),
        (100, mido.Message("control_change", channel=6, control=64, value=127)),
        *notes(6, 50, 52),
        (500, mido.MetaMessage("lyrics", text="la")),
        (900, mido.Message("pitchwheel", channel=6, pitch=300)),
        (1919, mido.Message("control_change", channel=6, control=64, value=0)),
    ]
    words: Track = [(0, mido.MetaMessage("text", text="Once")), (480, mido.MetaMessage("text", text="upon"))]
    out = render(write(tmp_path / "in.mid", ("", []), MELODY, ("Strings", strings), ("Words", words)))
    assert read(out, "Strings") == sorted(strings, key=lambda event: event[0])
    assert read(out, "Words") == words
    assert [track.name for track in mido.MidiFile(out).tracks] == [
        *("", "melody", "bass", "chords", "pad", "drums"),
        *("Strings", "Words"),
    ]


@pytest.mark.parametrize("name", ["bass", "Drums", "piano", "harmony", "melody"])
def test_the_band_plays_in_the_place_of_an_accompaniment(tmp_path: Path, name: str) -> None:
    out = render(write(tmp_path / "in.mid", ("", []), MELODY, (name, notes(5, 40, 43))))
    on_5 = [m for track in mido.MidiFile(out).tracks for m in track if getattr(m, "channel", None) == 5]
    assert on_5 == []


def test_a_track_on_a_channel_of_the_bands_moves_to_a_free_one(tmp_path: Path) -> None:
    bass = CHANNELS["bass"]
    source = write(
        tmp_path / "in.mid",
        *(("", []), MELODY, ("Flute", notes(bass, 80)), ("Oboe", notes(bass, 81)), ("Horn", notes(5, 60))),
        ("Shaker", notes(9, 70)),
    )
    out = render(source)
    moved = {name: {m.channel for _, m in read(out, name)} for name in ("Flute", "Oboe", "Horn", "Shaker")}
    assert moved == {"Flute": {6}, "Oboe": {6}, "Horn": {5}, "Shaker": {9}}
    assert [m.note for _, m in read(out, "Flute")] == [80, 80]
    assert {m.channel for _, m in read(out, "bass")} == {bass}


def test_tracks_without_a_name_stay_too_and_so_does_a_second_of_a_name(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mid", ("", []), MELODY, ("", notes(6, 50)), ("Horn", notes(7, 60)), ("Horn", []))
    assert [track.name for track in mido.MidiFile(render(source)).tracks][6:] == ["", "Horn"]


def test_a_melody_on_the_first_track_has_its_markers_once(tmp_path: Path) -> None:
    out = render(write(tmp_path / "in.mid", ("melody", [*HEAD, *MELODY[1]])))
    markers = [m.text for track in mido.MidiFile(out).tracks for m in track if m.type == "marker"]
    assert markers == ["Verse", "Chorus"]
