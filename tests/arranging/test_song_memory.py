"""The memory of the song: it finds the place that the melody returns to, and tells what was played there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from daemon.arranging.song_memory import HORIZON_STEPS, MEMORY_STEPS, SongMemory
from daemon.core.plan import Recollection
from daemon.core.settings import Settings
from music.note import TICKS_PER_STEP, Metre, Note

VERSE = (60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72, 71, 67, 64, 62)
OTHER = (50, 53, 57, 58, 50, 49, 46, 45, 50, 57, 62, 61, 57, 56, 53, 52)
SETTINGS = Settings()


@dataclass
class Played:
    note: Note


class Song:
    """Plays a melody of eighths, and a chord on every beat that names its step, to a memory."""

    def __init__(self, metre: Metre = Metre()) -> None:
        self.memory, self.metre, self.step = SongMemory(), metre, 0
        self.melody: list[Note] = []
        self.found: dict[int, Recollection | None] = {}

    def play(self, pitches: tuple[int, ...], settings: Settings = SETTINGS) -> None:
        for pitch in pitches:
            self.melody.append(Note(self.step * TICKS_PER_STEP, pitch, 2 * TICKS_PER_STEP))
            for _ in range(2):
                self.step += 1
                played = {
                    step: [("chords", Played(Note(step * TICKS_PER_STEP, step % 128, 12)))]
                    for step in self.memory.list_missing(self.step)
                    if step % 4 == 0
                }
                self.memory.remember(self.step, 0, self.metre, settings, self.melody, played)
                self.found[self.step] = self.memory.recall(self.step)

    def leap(self, step: int) -> None:
        self.step, self.melody = step, []
        self.memory.remember(step, 0, self.metre, SETTINGS, (), {})


def test_a_new_melody_recalls_nothing() -> None:
    song = Song()
    song.play((*VERSE, *OTHER))
    assert set(song.found.values()) == {None}


def test_a_verse_that_comes_again_recalls_what_was_played_in_it_moved_to_now() -> None:
    song = Song()
    song.play((*VERSE, *OTHER, *VERSE))
    found = song.found[88]
    assert found is not None
    assert found.until == 88 + HORIZON_STEPS
    assert found.notes == {
        "chords": tuple(Note(step * TICKS_PER_STEP, step - 64, 12) for step in range(88, 88 + HORIZON_STEPS, 4))
    }
    assert found.trust > 0.45


def test_notes_that_sounded_there_are_told_with_the_end_that_they_had() -> None:
    song = Song()
    song.play((*VERSE, *OTHER, *VERSE))
    found = song.found[81]
    assert found is not None
    assert found.notes["chords"][0] == Note(80 * TICKS_PER_STEP, 16, 12)


def test_what_was_played_in_another_style_does_not_come_again() -> None:
    song = Song()
    song.play(VERSE)
    song.play((*OTHER, *VERSE), replace(SETTINGS, style="jazz"))
    assert song.found[88] is None


def test_a_mute_changes_nothing_of_what_comes_again() -> None:
    song = Song()
    song.play(VERSE)
    song.play((*OTHER, *VERSE), replace(SETTINGS, muted=frozenset({"pad"})))
    assert song.found[88] is not None


def test_after_a_leap_to_another_place_the_song_is_recognised_by_its_bars() -> None:
    song = Song()
    song.play((*VERSE, *OTHER))
    song.leap(16 * 1000 + 16)
    song.play(VERSE)
    found = song.found[16 * 1000 + 16 + 24]
    assert found is not None
    assert found.notes["chords"][0] == Note((16 * 1000 + 40) * TICKS_PER_STEP, 24, 12)


def test_after_a_leap_into_the_middle_of_a_bar_places_in_bars_agree() -> None:
    song = Song()
    song.play((*VERSE, *OTHER))
    song.leap(1608)  # half a bar
    song.play(VERSE[4:])
    found = song.found[1632]
    assert found is not None
    assert found.notes["chords"][0] == Note(1632 * TICKS_PER_STEP, 32, 12)


def test_bars_of_another_metre_are_not_taken_for_the_same() -> None:
    song = Song()
    song.play((*VERSE, *OTHER))
    song.metre = Metre(3, 4)
    song.play(VERSE)
    assert song.found[88] is None


@given(
    st.lists(
        st.tuples(st.integers(-40, 4000), st.sampled_from([Metre(), Metre(3, 4), Metre(6, 8)]), st.integers(0, 127)),
        max_size=30,
    )
)
def test_whatever_happens_what_is_told_lies_ahead_and_has_been_played(
    calls: list[tuple[int, Metre, int]],
) -> None:
    memory, told = SongMemory(), []
    for step, metre, pitch in calls:
        for each in (step, step + 1, step + 9):
            melody = (Note((each - 1) * TICKS_PER_STEP, pitch, 6),)
            played = {at: [("bass", Played(Note(at * TICKS_PER_STEP, 40, 6)))] for at in memory.list_missing(each)}
            memory.remember(each, 0, metre, SETTINGS, melody, played)
            told.append((each, memory.recall(each)))
    for step, found in told:
        if found is not None:
            assert step < found.until <= step + HORIZON_STEPS
            assert all(note.end > step * TICKS_PER_STEP for note in found.notes.get("bass", ()))
            assert all(note.start < found.until * TICKS_PER_STEP for note in found.notes.get("bass", ()))


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    memory = SongMemory()
    for step in range(1, MEMORY_STEPS + 100):
        memory.remember(step, 0, Metre(), SETTINGS, (), {step - 1: [("bass", Played(Note(step * 6, 40, 6)))]})
    assert memory.recall(MEMORY_STEPS + 99) is None
