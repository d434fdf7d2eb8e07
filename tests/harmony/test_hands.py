"""Hands, in ticks: which chord holds after what was played."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.harmony.hand_keys import HandKeys
from daemon.harmony.hands import HandReader
from music.encoding.chord_evidence import pack_tones
from music.midi import control_change, note_off, note_on
from music.note import Note

C, AM, F, G, G7 = [48, 52, 55], [45, 48, 52], [41, 45, 48], [43, 47, 50], [43, 47, 50, 53]


def find_bar(tick: int) -> int:
    return tick // 96 * 96


def play(notes: list[Note], *, until: int = 960, reader: HandReader | None = None) -> list[tuple[int, int]]:
    """The chords that a hand plays with these notes, as (tick, root)."""
    hand = reader or HandReader(find_bar)
    events = sorted((tick, down, n.pitch) for n in notes for tick, down in ((n.start, True), (n.end, False)))
    for tick, down, pitch in events:
        if down:
            hand.strike(tick, pitch, pitch)
        else:
            hand.release(tick, pitch)
    hand.advance(until)
    return [(each.start, -1 if each.chord is None else each.chord.root) for each in hand.chords]


def block(tick: int, pitches: list[int], length: int = 90, scatter: int = 1) -> list[Note]:
    return [Note(tick + i * scatter, pitch, length) for i, pitch in enumerate(pitches)]


@pytest.mark.parametrize("scatter", [0, 1])
@pytest.mark.parametrize("length", [6, 90, 97, 110])
def test_chords_that_are_struck_together_hold_until_the_next(scatter: int, length: int) -> None:
    notes = [n for i, chord in enumerate((C, AM, F, G7)) for n in block(96 * i, chord, length, scatter)]
    assert play(notes) == [(0, 0), (96, 9), (192, 5), (288, 7)]


@pytest.mark.parametrize(("tick", "start"), [(93, 96), (96, 96), (98, 96), (99, 102), (94, 96)])
def test_a_chord_that_is_late_or_early_by_half_a_step_counts_for_its_beat(tick: int, start: int) -> None:
    assert play([*block(0, C), *block(tick, F, scatter=0)]) == [(0, 0), (start, 5)]


def test_passing_notes_and_slips_change_nothing() -> None:
    passing = [Note(12, 50, 10), Note(36, 53, 10), Note(60, 54, 4)]
    assert play([*block(0, C, 90), *passing]) == [(0, 0)]


def test_chord_tones_alone_restate_a_chord() -> None:
    assert play([*block(0, AM, 90), Note(96, 45, 20), Note(120, 52, 20), *block(144, [52, 57], 20)]) == [(0, 9)]


def test_broken_chords_are_gathered_over_their_beat() -> None:
    first = [Note(i * 6, pitch, 6) for i, pitch in enumerate([48, 52, 55, 60])]
    second = [Note(96 + i * 6, pitch, 6) for i, pitch in enumerate([41, 45, 48, 53])]
    assert play([*first, *second]) == [(0, 0), (96, 5)]


@pytest.mark.parametrize("then", [[Note(192, 33, 40), Note(240, 40, 40)], [Note(192, 33, 40), Note(198, 40, 40)]])
def test_a_single_bass_or_a_broken_fifth_is_the_chord_that_was_last_played_on_its_root(then: list[Note]) -> None:
    reader = HandReader(find_bar)
    notes = [*block(0, AM), *block(96, G), *then]
    assert play(notes, reader=reader) == [(0, 9), (96, 7), (192, 9)]
    assert reader.current is not None
    assert reader.current.tones == pack_tones(AM)


@pytest.mark.parametrize(("tick", "read"), [(192, [(0, 0), (96, 9), (192, 4)]), (216, [(0, 0), (96, 9)])])
def test_a_low_note_that_begins_a_bar_is_a_new_bass_even_of_the_chords_tones(
    tick: int, read: list[tuple[int, int]]
) -> None:
    assert play([*block(0, C), *block(96, AM), Note(tick, 40, 40)]) == read


def test_a_low_note_on_the_major_third_turns_the_chord_over() -> None:
    assert play([*block(0, C), Note(96, 40, 40)]) == [(0, 0)]


def test_what_follows_tells_whether_a_low_note_was_a_new_chord() -> None:
    notes = [*block(0, C), Note(96, 43, 6), *(Note(102 + 6 * i, pitch, 6) for i, pitch in enumerate((48, 52)))]
    assert play(notes) == [(0, 0)]  # G, C and E


def test_the_last_chords_tell_the_third_of_a_broken_fifth() -> None:
    reader = HandReader(find_bar)
    notes = [*block(0, C), *block(96, F), *block(192, G), Note(288, 38, 40), Note(294, 45, 40)]
    assert play(notes, reader=reader) == [(0, 0), (96, 5), (192, 7), (288, 2)]
    assert reader.current is not None
    assert reader.current.tones == pack_tones([2, 5, 9])


def test_the_melody_tells_the_third_of_a_single_bass_note() -> None:
    reader = HandReader(find_bar)
    reader.hear_elsewhere(0, 75)
    assert play([Note(0, 36, 40)], reader=reader) == [(0, 0)]
    assert reader.current is not None
    assert reader.current.tones == pack_tones([0, 3, 7])


def test_a_foreign_note_that_stays_is_a_chord() -> None:
    assert play([*block(0, C, 30), Note(48, 41, 48)]) == [(0, 0), (48, 5)]


def test_a_chord_ends_with_its_keys_where_that_is_wanted() -> None:
    reader = HandReader(find_bar)
    reader.holds = False
    assert play([*block(0, C, 40), *block(96, F, 40)], reader=reader) == [(0, 0), (42, -1), (96, 5), (138, -1)]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(24, 60), st.integers(1, 90)), max_size=40))
def test_chords_come_in_the_order_of_their_ticks_and_each_is_another(played: list[tuple[int, int, int]]) -> None:
    reader = HandReader(find_bar)
    starts = [start for start, _ in play([Note(*each) for each in played], reader=reader)]
    assert starts == sorted(set(starts))
    chords = [each.chord for each in reader.chords]
    assert all(a != b for a, b in pairwise(chords))


# Whose keys


def hear(keys: HandKeys, *messages: tuple[int, bytes]) -> list[tuple[int, int]]:
    for tick, data in messages:
        keys.hear(tick, data, 0)
    return [(each.start, each.chord.root) for each in keys.reader.chords if each.chord is not None]


def keys_of(split: int = 0, channel: int = -1, *, holds: bool = True) -> HandKeys:
    keys = HandKeys(find_bar, lambda on, port: on not in (9, channel))
    keys.use(split, channel, holds=holds)
    return keys


def chord(pitches: list[int], channel: int = 0, tick: int = 0) -> list[tuple[int, bytes]]:
    return [(tick, note_on(channel, pitch, 80)) for pitch in pitches]


def test_keys_below_the_split_lead() -> None:
    assert hear(keys_of(60), *chord([*C, 65, 69, 72])) == [(0, 0)]
    assert hear(keys_of(60), *chord([65, 69, 72])) == []


def test_keys_of_the_chord_channel_lead() -> None:
    keys = keys_of(channel=4)
    assert hear(keys, *chord(C), *chord(F, 4, 24)) == [(24, 5)]


def test_of_all_keys_only_chords_count() -> None:
    keys = keys_of()
    for tick in range(0, 96, 12):
        pitch = 60 + tick // 6
        assert hear(keys, (tick, note_on(0, pitch, 80)), (tick + 13, note_off(0, pitch))) == []
    assert hear(keys, *chord([48, 52, 55, 76], tick=96)) == [(96, 0)]


def test_a_pedal_holds_a_chord() -> None:
    keys = keys_of(60, holds=False)
    hear(keys, *chord(C), (6, control_change(0, 64, 127)), *((12, note_off(0, pitch)) for pitch in C))
    assert [each.start for each in keys.reader.chords] == [0]
    hear(keys, (48, control_change(0, 64, 0)))
    assert [(each.start, each.chord is None) for each in keys.reader.chords] == [(0, False), (48, True)]


def test_another_split_takes_the_keys_as_up() -> None:
    keys = keys_of(60)
    hear(keys, *chord(C))
    downs = [keys.reader.is_down]
    keys.use(50, -1, holds=True)
    downs.append(keys.reader.is_down)
    assert downs == [True, False]
    assert keys.reader.current is not None


def test_a_key_whose_note_off_was_lost_is_none_of_a_chord() -> None:
    """Where all keys are one hand's, every key that is held counts: one that nobody holds any longer would, too."""
    arpeggio = [Note(2_016 + 6 * i, pitch, 400) for i, pitch in enumerate([60, 64, 67])]
    readers = HandReader(find_bar), HandReader(find_bar)
    for hand in readers:
        hand.fewest = 3
    readers[1].strike(0, 45, 45)
    found = [play(arpeggio, until=2_300, reader=hand) for hand in readers]
    assert found[0] == found[1]
    assert found[0][-1][1] == 0


def test_a_chord_that_is_held_for_long_is_one() -> None:
    hand = HandReader(find_bar)
    for pitch in C:
        hand.strike(0, pitch, pitch)
    hand.strike(2_000, 59, 59)
    assert len(hand._down) == 4


# Both hands on one keyboard


def press(notes: list[Note], channel: int = 0) -> list[tuple[int, bytes]]:
    events = [(n.start, 1, note_on(channel, n.pitch, 80)) for n in notes]
    events += [(n.end, 0, note_off(channel, n.pitch)) for n in notes]
    return [(tick, data) for tick, _, data in sorted(events)]


TUNE = [
    Note(24 * i, pitch, 20) for i, pitch in enumerate((76, 74, 72, 71, 69, 71, 72, 74, 76, 77, 79, 77, 76, 74, 72, 71))
]


def test_a_left_hand_that_shows_is_read_without_the_melody() -> None:
    hand = [n for i, chord in enumerate((C, AM, F, G7)) for n in block(96 * i, chord, 90, 0)]
    keys = keys_of()
    assert hear(keys, *press([*TUNE, *hand])) == [(0, 0), (96, 9), (192, 5), (288, 7)]
    assert 55 < keys.split < 71
    current = keys.reader.current
    assert current is not None
    assert current.tones == pack_tones(G7)


def test_single_bass_notes_under_a_melody_are_roots_of_which_it_tells_the_third() -> None:
    bass = [Note(96 * i, pitch, 90) for i, pitch in enumerate((36, 45, 41, 43))]
    assert hear(keys_of(), *press([*TUNE, *bass])) == [(96, 9), (192, 5), (288, 7)]


def test_a_chord_of_both_hands_is_one_but_for_the_melody() -> None:
    both = [[36, 64, 67, 84], [41, 60, 69, 84], [43, 62, 71, 86]]
    played = [Note(48 * i, pitch, 40) for i, keys in enumerate(both) for pitch in keys]
    keys = keys_of()
    assert hear(keys, *press(played)) == [(0, 0), (48, 5), (96, 7)]


def test_a_melody_note_just_after_a_bass_that_comes_before_the_beat_tells_nothing() -> None:
    keys = keys_of()
    hear(keys, *press([Note(0, pitch, 40) for pitch in (48, 52, 55, 76)]))
    assert hear(keys, *press([Note(188, 50, 20), Note(191, 74, 20)])) == [(0, 0), (186, 2)]


def test_a_hand_that_has_long_not_shown_leaves_all_keys_to_the_melody() -> None:
    keys = keys_of()
    hear(keys, *press([*block(0, [*C, 76], 90, 0)]))
    assert keys.split > 0
    low = [Note(1000 + 24 * i, pitch, 20) for i, pitch in enumerate((50, 53, 57, 62))]
    assert hear(keys, *press(low)) == [(0, 0)]
    assert keys.split == 0


@given(st.booleans(), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 127), st.booleans()), max_size=150))
def test_after_whatever_is_played_a_chord_is_read(both: bool, played: list[tuple[int, int, bool]]) -> None:
    keys, tick = keys_of(), 96
    hear(keys, *press([*block(0, [*C, 76], 90, 0)] if both else []))
    for wait, pitch, down in played:
        tick += wait
        keys.hear(tick, note_on(0, pitch, 80) if down else note_off(0, pitch), 0)
    tick += 480
    keys.hear(tick, control_change(0, 123, 0), 0)
    hear(keys, *chord([48, 52, 55, 79], tick=tick + 96))
    assert keys.reader.current is not None
    assert keys.reader.current.root == 0
