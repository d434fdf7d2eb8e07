"""The chord looper: what is expected again, where, and how surely."""

from __future__ import annotations

from daemon.harmony.chord_memory import ChordMemory
from daemon.harmony.chord_reading import read_chord
from daemon.harmony.hands import PlayedChord

ROOTS = [0, 9, 5, 7, 0, 4, 5, 7]


def played(roots: list[int], first: int = 0) -> list[PlayedChord]:
    """A triad in every bar of 4/4."""
    return [PlayedChord((first + i) * 96, read_chord([48 + r, 52 + r, 55 + r])) for i, r in enumerate(roots)]


def expect(memory: ChordMemory, bar: int) -> tuple[int, float] | None:
    found = memory.list_chords(bar * 96, bar * 96 + 1)
    return (found[0].root, found[0].certainty) if found else None


def learn(memory: ChordMemory, chords: list[PlayedChord]) -> None:
    memory.learn(chords, chords[-1].start + 96, 96, 0)


def test_nothing_is_expected_before_anything_was_played() -> None:
    assert ChordMemory().list_chords(0, 960) == []


def test_one_pass_of_a_likely_length_comes_round() -> None:
    memory = ChordMemory()
    learn(memory, played(ROOTS, 2))
    roots = [expect(memory, bar) for bar in range(10, 18)]
    assert [each and each[0] for each in roots] == ROOTS
    assert expect(memory, 26) == expect(memory, 10)


def test_a_pass_that_was_repeated_is_surer_than_one_of_a_likely_length_and_that_than_any_other() -> None:
    certainties = []
    for roots in (ROOTS[:7], ROOTS, ROOTS + ROOTS):
        memory = ChordMemory()
        learn(memory, played(roots))
        found = expect(memory, len(roots))
        assert found is not None
        certainties.append(found[1])
    assert certainties == sorted(set(certainties))


def test_the_shortest_likely_length_that_repeats_is_the_form() -> None:
    memory = ChordMemory()
    learn(memory, played(ROOTS * 2 + ROOTS[:3]))
    found = expect(memory, 19)
    assert found is not None
    assert found[0] == ROOTS[3]


def test_what_was_played_last_is_what_comes() -> None:
    memory = ChordMemory()
    learn(memory, played([*ROOTS, *ROOTS[:7], 2]))
    found = expect(memory, 23)
    assert found is not None
    assert found[0] == 2


def test_it_can_be_forgotten() -> None:
    memory = ChordMemory()
    learn(memory, played(ROOTS))
    memory.forget()
    assert expect(memory, 8) is None


def test_only_the_last_beats_are_remembered() -> None:
    memory = ChordMemory()
    learn(memory, played([*[2] * 8, *ROOTS * 10]))
    assert expect(memory, 88) is not None
    assert expect(memory, 12) is None
