"""The chords of a take: changes and corrections as they are written down, and what they come to."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from daemon.takes.chord_history import CORRECTION_TICKS, ChordCollector, ChordHistory

Chords = list[tuple[int, str]]


def collect(changes: Chords) -> Chords:
    collector = ChordCollector()
    return [*(done for change in changes for done in collector.add(*change)), *collector.finish()]


def list_named(changes: Chords) -> Chords:
    """What is left of changes in a file: those that have a label, and change it."""
    found: Chords = []
    for tick, label in changes:
        if label and (not found or found[-1][1] != label):
            found.append((tick, label))
    return found


def test_what_has_been_written_is_not_written_again() -> None:
    history = ChordHistory()
    assert history.update([(0, "C:maj")]) == [(0, "C:maj")]
    assert history.update([(0, "C:maj")]) == []
    assert history.update([(0, "C:maj"), (96, "F:maj")]) == [(96, "F:maj")]
    assert history.update([(96, "F:maj")]) == []
    assert history.update([]) == []


def test_corrections_take_the_place_of_what_was_there() -> None:
    history = ChordHistory()
    written = history.update([(0, "C:maj"), (96, "F:maj")])
    written += history.update([(0, "C:maj"), (102, "D:min")])
    assert written[2:] == [(96, "C:maj"), (102, "D:min")]
    assert list_named(collect(written)) == [(0, "C:maj"), (102, "D:min")]
    written += history.update([(0, "C:maj")])
    assert list_named(collect(written)) == [(0, "C:maj")]
    assert history.update([(6, "G:maj")]) == [(6, "G:maj")]


def test_the_first_chord_of_all_may_be_taken_back() -> None:
    history = ChordHistory()
    written = [*history.update([(90, "C:maj")]), *history.update([(84, "D:min")])]
    assert list_named(collect(written)) == [(84, "D:min")]
    history = ChordHistory()
    written = [*history.update([(84, "C:maj"), (96, "F:maj")]), *history.update([(84, "F:maj"), (96, "F:maj")])]
    assert list_named(collect(written)) == [(84, "F:maj")]


@st.composite
def windows(draw: st.DrawFn) -> list[Chords]:
    """What the band is told of from one request to the next: of ever later stretches, corrected at will."""
    found, begin = [], 0
    for _ in range(draw(st.integers(1, 12))):
        begin += draw(st.integers(0, 60))
        ticks = draw(st.lists(st.integers(begin, begin + 200), min_size=1, max_size=5, unique=True))
        found.append([(tick, draw(st.sampled_from(["C:maj", "G:7", "N"]))) for tick in sorted(ticks)])
    return found


@given(windows())
def test_what_is_written_comes_to_what_was_told_last(told: list[Chords]) -> None:
    history, written, expected = ChordHistory(), [], dict[int, str]()
    for chords in told:
        expected = {tick: label for tick, label in expected.items() if tick < chords[0][0]} | dict(chords)
        written += history.update(chords)
    assert list_named(collect(written)) == list_named(sorted(expected.items()))


def test_memory_does_not_grow_with_a_take() -> None:
    peaks = []
    for count in (1_000, 20_000):
        history, collector = ChordHistory(), ChordCollector()
        tracemalloc.start()
        for n in range(count):
            for change in history.update([(6 * n, "CDE"[n % 3])]):
                for _ in collector.add(*change):
                    pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_what_stands_is_handed_on_and_changes_no_more() -> None:
    collector = ChordCollector()
    assert list(collector.add(0, "C:maj")) == []
    assert list(collector.add(CORRECTION_TICKS + 1, "G:7")) == [(0, "C:maj")]
    assert list(collector.add(-5, "F:maj")) == []
    assert list(collector.finish()) == [(1, "F:maj")]
