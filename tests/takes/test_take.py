from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.takes.take import Take
from music import midifile
from music.note import Metre, Note, remove_overlaps

TEMPO = TempoMap(500_000, 0, 1_000_000_007)


def on(channel: int, pitch: int, velocity: int = 80) -> bytes:
    return bytes((0x90 | channel, pitch, velocity))


def off(channel: int, pitch: int) -> bytes:
    return bytes((0x80 | channel, pitch, 0))


notes = st.lists(
    st.builds(Note, st.integers(0, 500), st.integers(40, 60), st.integers(1, 60), st.integers(1, 127)), max_size=30
).map(remove_overlaps)


@given(melody=notes, bass=notes)
def test_what_was_heard_and_sent_is_what_the_take_holds(melody: list[Note], bass: list[Note]) -> None:
    take = Take()
    for played, channel, tell in ((melody, 0, take.on_input), (bass, 1, take.on_output)):
        messages = [(n.start, 1, on(channel, n.pitch, n.velocity)) for n in played]
        messages += [(n.end, 0, off(channel, n.pitch)) for n in played]
        for tick, _, data in sorted(messages):
            tell(data, TEMPO.ns_at(tick))
    expected = {"melody": melody, "bass": bass} if bass else {"melody": melody}
    assert {name: sorted(part) for name, part in take.parts(TEMPO).items()} == expected


def test_a_melody_note_a_little_off_a_tick_belongs_to_the_nearest() -> None:
    take = Take()
    take.on_input(on(0, 60), TEMPO.ns_at(24) - 1_000_000)
    take.on_input(off(0, 60), TEMPO.ns_at(48) + 1_000_000)
    assert take.parts(TEMPO) == {"melody": [Note(24, 60, 24, 80)]}


def test_the_edited_loop_is_a_part_of_its_own_and_its_edits_as_midi_are_no_notes() -> None:
    take = Take()
    take.on_output(on(4, 67), TEMPO.ns_at(0))
    take.on_output(bytes.fromhex("f07d6862010001003c000450007bf7"), TEMPO.ns_at(6))
    take.on_output(off(4, 67), TEMPO.ns_at(12))
    assert take.parts(TEMPO) == {"melody": [], "edits": [Note(0, 67, 12, 80)]}


def test_a_note_never_ended_ends_with_the_last_message_and_a_second_onset_ends_the_first() -> None:
    take = Take()
    take.on_output(on(9, 42), TEMPO.ns_at(0))
    take.on_output(on(9, 42), TEMPO.ns_at(6))
    take.on_output(on(1, 30), TEMPO.ns_at(6))
    take.on_output(bytes((0xB1, 123, 0)), TEMPO.ns_at(12))
    assert take.parts(TEMPO) == {
        "melody": [],
        "bass": [Note(6, 30, 6, 80)],
        "drums": [Note(0, 42, 6, 80), Note(6, 42, 6, 80)],
    }


def test_the_file_has_the_parts_the_tempo_and_the_metre(tmp_path: Path) -> None:
    tempo = TempoMap(500_000, 0, 0)
    take = Take()
    take.on_input(on(0, 60), tempo.ns_at(-24))
    take.on_input(off(0, 60), tempo.ns_at(0))
    tempo.change(72, 400_000)
    take.on_output(on(1, 30), tempo.ns_at(72))
    take.on_output(off(1, 30), tempo.ns_at(96))
    take.write(tmp_path / "take.mid", tempo, Metre(3, 4))
    song = midifile.read(tmp_path / "take.mid")
    assert {part.name: part.notes for part in song.parts} == {
        "melody": (Note(48, 60, 24, 80),),
        "bass": (Note(144, 30, 24, 80),),
    }
    assert song.tempos == ((0, 500_000), (144, 400_000))
    assert song.metres == ((0, Metre(3, 4)),)


def test_the_file_has_all_of_the_tempo_though_the_performance_forgets_the_oldest(tmp_path: Path) -> None:
    tempo, whole = TempoMap(500_000, 0, 0, kept_ticks=48), TempoMap(500_000, 0, 0)
    performance: Any = SimpleNamespace(tempo=None, settings=Settings(), playing=False)
    take = Take()
    take.on_start(performance)
    take.on_wait(0, None)
    performance.tempo = tempo
    take.on_input(on(0, 60), 0)
    for tick in range(24, 24_000, 24):
        take.on_wait(tempo.ns_at(tick), None)
        for each in (tempo, whole):
            if tick % 240 == 0:  # a leap that began a little before now, when a mark had been passed since
                each.jump(tick + 2, each.ns_at(tick) - 1_000, 400_000)
            else:
                each.change(tick, 500_000 + tick)
    take.on_input(off(0, 60), tempo.ns_at(24_000))
    assert len(tempo.marks) < len(whole.marks) // 2
    take.write(tmp_path / "take.mid", tempo, Metre(4, 4))
    assert midifile.read(tmp_path / "take.mid").tempos == whole.marks
