"""What an accompaniment is measured against."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from music.chords import ChordTrack
from music.evaluation import baselines, metrics
from music.evaluation.passage import find_passage
from music.midifile import Part, Song
from music.note import Metre, Note

BAR = 16


def note(step: int, pitch: int, steps: int) -> Note:
    return Note(step * 6, pitch, steps * 6)


def song(metre: Metre | None = None, **tracks: list[Note]) -> Song:
    parts = tuple(Part(name, tuple(notes), index, index) for index, (name, notes) in enumerate(tracks.items()))
    return Song(parts, metres=((0, metre or Metre()),))


SCALE = [note(4 * i, p, 4) for i, p in enumerate([60, 62, 64, 65, 67, 69, 71, 72] * 4)]


def test_human_parts_are_told_by_track_name_and_hold_no_melody() -> None:
    played = song(melody=SCALE, piano=[note(4, 50, 4)], counter=[note(0, 70, 4)], soprano=[note(0, 80, 4)])
    assert baselines.extract_human_parts(played) == {"chords": [note(4, 50, 4)], "pad": [note(0, 70, 4)]}


def test_inner_voices_join_in_one_role() -> None:
    found = baselines.extract_human_parts(song(soprano=SCALE, alto=[note(4, 60, 4)], tenor=[note(0, 55, 4)]))
    assert found == {"chords": [note(0, 55, 4), note(4, 60, 4)]}


def test_blocks_are_struck_at_bars_and_changes_and_rest_where_there_is_no_chord() -> None:
    where = find_passage([note(0, 72, 3 * BAR)])
    blocks = baselines.play_chord_blocks(where, ChordTrack([(0, "C:maj"), (6 * 24, "A:min7/b3"), (8 * 24, "N")]))
    assert blocks["bass"] == [note(0, 36, BAR), note(BAR, 36, 8), note(BAR + 8, 36, 8)]
    assert [n.pitch for n in blocks["chords"] if n.start == (BAR + 8) * 6] == [48, 52, 55, 57]
    assert all(n.end <= 2 * BAR * 6 for n in blocks["chords"])


def test_blocks_hit_every_chord() -> None:
    where = find_passage([note(BAR + 3, 72, 3 * BAR)])
    chords = ChordTrack([(0, "G:7"), (100, "C:maj"), (250, "D:hdim7/b5")])
    assert metrics.measure_all(where, baselines.play_chord_blocks(where, chords), None, chords)["chord_hit"] == 1


def test_the_follower_finds_the_chord_of_a_broken_triad_half_a_bar_later() -> None:
    where = find_passage([note(2 * i, [67, 71, 74, 67][i % 4], 2) for i in range(16)])
    found = baselines.follow_chords(where)
    assert found["bass"] == [note(start, 36 + 7, 8) for start in (8, 16, 24)]
    assert [n.pitch - 48 for n in found["chords"] if n.start == 8 * 6] == [2, 7, 11]


def test_the_follower_stays_in_the_key() -> None:
    found = baselines.follow_chords(find_passage(SCALE))
    assert {n.pitch % 12 for n in found["chords"]} <= {0, 2, 4, 5, 7, 9, 11}


def test_the_follower_rests_until_something_was_heard() -> None:
    where = find_passage([note(12, 60, 4), note(BAR, 60, BAR)])
    assert min(n.start for n in baselines.follow_chords(where)["chords"]) == BAR * 6


def test_the_follower_keeps_to_half_bars_of_every_metre() -> None:
    starts = {n.start // 6 for n in baselines.follow_chords(find_passage(SCALE, Metre(3, 4)))["bass"]}
    assert starts == set(range(6, 128 + 4, 6))


lines = st.lists(st.builds(note, st.integers(0, 90), st.integers(50, 80), st.integers(1, 12)), min_size=1, max_size=24)


@given(lines, lines, st.integers(1, 90))
def test_the_follower_hears_nothing_before_its_time(heard: list[Note], later: list[Note], now: int) -> None:
    known = [note(0, 60, 1), *(n for n in heard if n.start < now * 6), note(200, 60, 1)]
    held = max(n.end for n in known[:-1])
    changed = known + [n for n in later if n.start >= max(now * 6, held)]
    one, two = (baselines.follow_chords(find_passage(line)) for line in (known, changed))
    for role in ("bass", "chords"):
        assert [n for n in one[role] if n.start <= now * 6] == [n for n in two[role] if n.start <= now * 6]


def test_somebody_elses_part_meets_the_melody_bar_by_bar_and_goes_round() -> None:
    other = song(melody=[note(2 * BAR + 1, 60, 4), note(3 * BAR, 60, 4)], piano=[note(0, 40, 4), note(2 * BAR, 50, 4)])
    where = find_passage([note(BAR + 8, 72, 3 * BAR)])
    assert baselines.borrow_part(where, other) == {"chords": [note(BAR, 50, 4), note(3 * BAR, 50, 4)]}
