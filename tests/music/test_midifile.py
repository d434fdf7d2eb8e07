from __future__ import annotations

from io import BytesIO
from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music import midifile
from music.note import Metre, Note, quantise

notes = st.lists(
    st.builds(Note, st.integers(0, 900), st.integers(0, 127), st.integers(1, 60), st.integers(1, 127)), max_size=40
)


@given(notes)
def test_file_round_trip(tmp_path_factory: pytest.TempPathFactory, played: list[Note]) -> None:
    path = tmp_path_factory.mktemp("files") / "song.mid"
    made = quantise(played)
    midifile.write(path, {"melody": made}, tempos=[(0, 600_000)], metres=[(0, Metre(3, 4))])
    song = midifile.read(path)
    part = song.part("melody")
    assert (list(part.notes) if part else []) == made
    assert (song.tempos, song.metres) == (((0, 600_000),), ((0, Metre(3, 4)),))


@pytest.mark.parametrize("content", [b"", b"MThd", b"RIFF not midi at all", bytes(range(256)) * 4])
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mid"
    path.write_bytes(content)
    with pytest.raises(midifile.MidiFileError, match=r"broken\.mid") as error:
        midifile.read(path)
    assert "\n" not in str(error.value)


def parsed(file: mido.MidiFile) -> midifile.Song:
    data = BytesIO()
    file.save(file=data)
    return midifile.parse(data.getvalue())


def test_a_note_never_ended_in_the_file_ends_with_its_track() -> None:
    file = mido.MidiFile(ticks_per_beat=24)
    file.tracks.append(
        mido.MidiTrack(
            [mido.Message("note_on", note=60, velocity=70, time=0), mido.MetaMessage("end_of_track", time=48)]
        )
    )
    assert parsed(file).parts[0].notes == (Note(0, 60, 48, 70),)


def test_melody_is_the_named_track_else_the_first_pitched_one() -> None:
    drums = midifile.Part("kit", (Note(0, 36, 6),), 9, 0)
    lead = midifile.Part("flute", (Note(0, 60, 6),), 0, 1)
    melody = midifile.Part("melody", (Note(0, 62, 6),), 0, 2)
    assert midifile.choose_melody(midifile.Song((drums, lead, melody))) == melody
    assert midifile.choose_melody(midifile.Song((drums, lead))) == lead
    assert midifile.choose_melody(midifile.Song((drums, lead, melody)), "1") == lead
    with pytest.raises(midifile.MidiFileError, match="no pitched notes"):
        midifile.choose_melody(midifile.Song((drums,)))
    with pytest.raises(midifile.MidiFileError, match="the file has: kit"):
        midifile.choose_melody(midifile.Song((drums,)), "flute")
