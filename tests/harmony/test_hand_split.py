"""Where the left hand ends on a keyboard that both hands share, in ticks and pitches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.harmony.hand_split import KEPT_TICKS, HandSplit
from music.note import Note


def play(notes: list[Note], hands: HandSplit | None = None) -> HandSplit:
    """Both hands, after keys that go down and up as notes begin and end."""
    hands = hands or HandSplit()
    down: dict[int, int] = {}
    for tick, begins, pitch in sorted(
        (at, begins, n.pitch) for n in notes for at, begins in ((n.start, 1), (n.end, 0))
    ):
        if begins:
            hands.strike(tick, pitch, [*down.items()])
            down[pitch] = tick
        else:
            down.pop(pitch, None)
    return hands


def test_a_chord_under_a_melody_note_shows_where_the_left_hand_ends() -> None:
    assert play([Note(0, pitch, 90) for pitch in (48, 52, 55, 76)]).find(0) == 66
    assert play([Note(0, 76, 90), *(Note(i, pitch, 90) for i, pitch in enumerate((48, 52, 55), 1))]).find(3) == 64


def test_a_bass_that_is_held_under_two_melody_notes_shows_it() -> None:
    bass, *tune = Note(0, 40, 90), Note(0, 72, 20), Note(24, 72, 20), Note(48, 74, 20)
    assert play([bass, *tune[:2]]).find(24) == 0
    assert play([bass, *tune]).find(48) == 56


def test_a_chord_without_a_gap_is_no_two_hands() -> None:
    assert play([Note(0, pitch, 90) for pitch in (48, 52, 55, 58)]).find(0) == 0


def test_the_boundary_follows_and_is_forgotten() -> None:
    hands = play([Note(0, pitch, 40) for pitch in (48, 52, 55, 76)])
    play([Note(48 + 12 * i, pitch, 8) for i in range(16) for pitch in (36, 40, 43, 64)], hands)
    assert hands.find(240) == 54
    assert hands.find(228 + KEPT_TICKS) == 54
    assert hands.find(229 + KEPT_TICKS) == 0
    hands.move(0)
    assert hands.find(0) == 54
    hands.forget()
    assert hands.find(0) == 0


@given(st.lists(st.tuples(st.integers(6, 48), st.integers(0, 127), st.integers(0, 8)), max_size=60))
def test_a_melody_alone_never_shows_a_left_hand_legato_or_not(played: list[tuple[int, int, int]]) -> None:
    notes, tick = [], 0
    for length, pitch, overlap in played:
        notes.append(Note(tick, pitch, length + min(overlap, length - 1)))
        tick += length
    assert play(notes).find(tick) == 0
