"""Following the player's left hand on virtual time: when the band is asked, told and corrected, exactly."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daemon.core.events import ControlChange, Event, MidiIn
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from music import midi as midi_bytes
from music.note import CHANNELS, Note
from tests.support.fakes import MS, FakePlayer, Stage, midi, perform

AT_120 = TempoMap(500_000)
HANDS = Settings(harmony="hands", split=60)
C, F, C_LOW = [48, 52, 55], [53, 57, 48], [43, 48, 52]
MELODY = [Note(i * 24, 72, 24) for i in range(16)]
BASS, CHORDS = CHANNELS["bass"], CHANNELS["chords"]


def strike(tick: int, pitches: list[int], length: int = 400) -> list[Event]:
    return [*midi([Note(tick, pitch, length) for pitch in pitches], AT_120)]


def long_notes(every: int = 16, obeys: bool = True) -> FakePlayer:
    """A player whose bass and chords begin on every so many steps, as the chord it is told of at the now-line says."""

    def write(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        if step % every:
            return {}
        held = [each for each in request.harmony if each.start <= step * 6 < each.end]
        root = held[-1].root if held and obeys else 0
        at, length = step * 6, every * 6
        chord = [Note(at, 60 + (root + up) % 12, length, 70) for up in (0, 4, 7)]
        return {"bass": [Note(at, 36 + root, length, 80)], "chords": chord}

    return FakePlayer(write, roles=("bass", "chords"))


def stage(player: FakePlayer, *events: Event, until: int = 200, latency: int = 0, settings: Settings = HANDS) -> Stage:
    return perform(player, MELODY, until=until, events=events, latency=latency, settings=settings)


def notes_of(stage: Stage, channel: int) -> list[tuple[int, int, int]]:
    return [(tick, pitch, length) for tick, on, pitch, length in stage.notes if on == channel]


@pytest.mark.parametrize(
    ("tick", "twice", "first"),
    [(96, {16}, 16), (98, set(), 17), (99, set(), 17), (100, {17}, 17), (101, {17}, 17), (102, {17}, 17)],
)
def test_a_plan_of_the_next_step_is_asked_for_at_once(tick: int, twice: set[int], first: int) -> None:
    player = long_notes()
    stage(player, *strike(0, C, 90), *strike(tick, F))
    steps = [request.now for request in player.asked if request.now > 1]
    assert {a for a, b in pairwise(steps) if a == b} == twice
    assert next(r.now for r in player.asked if any(each.root == 5 for each in r.harmony)) == first


def test_what_sounds_and_does_not_belong_to_the_new_chord_moves_at_the_next_step() -> None:
    heard = stage(long_notes(), *strike(0, C, 90), *strike(98, F), until=190)
    assert [each for each in notes_of(heard, BASS) if each[0] >= 96] == [(96, 36, 6), (102, 41, 88)]
    chords = [each for each in notes_of(heard, CHORDS) if each[0] >= 96]
    assert chords == [(96, 60, 94), (96, 64, 6), (96, 67, 6), (102, 65, 88), (102, 69, 88)]  # C is in both


def test_a_bass_that_is_right_is_not_struck_again() -> None:
    heard = stage(long_notes(), *strike(0, C, 90), *strike(98, C_LOW), until=190)
    assert [each for each in notes_of(heard, BASS) if each[0] >= 96] == [(96, 36, 94)]


def test_a_wrong_bass_that_the_new_plan_ends_is_struck_again_on_the_chord() -> None:
    player = long_notes()
    player.hold = lambda request: {
        role: tuple(replace(n, length=min(n.end, request.now * 6) - n.start) for n in notes if n.end > request.now * 6)
        for role, notes in request.committed.items()
        if request.now == 17
    }
    heard = stage(player, *strike(0, C, 90), *strike(98, F), until=190)
    assert [each for each in notes_of(heard, BASS) if each[0] >= 96] == [(96, 36, 6), (102, 41, 88)]
    assert [pitch for tick, pitch, _ in notes_of(heard, CHORDS) if tick == 102] == [65, 69]


def test_a_right_bass_that_the_new_plan_ends_goes_on() -> None:
    player = long_notes()
    player.hold = lambda request: {
        "bass": tuple(replace(note, length=102 - note.start) for note in request.committed["bass"] if note.end > 102)
        if request.now == 17
        else ()
    }
    minor = [48, 51, 55]
    heard = stage(player, *strike(0, C, 90), *strike(98, minor), until=190)
    assert [each for each in notes_of(heard, BASS) if each[0] >= 96] == [(96, 36, 94)]


def test_a_plan_that_knows_the_chord_begins_on_its_bass() -> None:
    def write(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        return {"bass": [Note(step * 6, 40, 6, 80)]}  # an approach note, everywhere

    heard = stage(FakePlayer(write, roles=("bass",)), *strike(0, C, 90), *strike(98, F), until=130)
    bass = {tick: pitch for tick, pitch, _ in notes_of(heard, BASS) if tick >= 96}
    assert (bass[102], bass[108]) == (41, 40)


def test_the_plan_tells_the_third_of_a_chord_that_is_played_without() -> None:
    def write(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        if step % 16 == 0:
            return {"chords": [Note(step * 6, pitch, 96, 70) for pitch in (60, 64, 67)]}
        knows = any(each.root == 5 for each in request.harmony)
        return {"chords": [Note(step * 6, 68, 6, 70)]} if step == 19 and knows else {}

    heard = stage(FakePlayer(write, roles=("chords",)), *strike(0, C, 90), *strike(98, [41, 48]), until=112)
    assert {pitch for tick, pitch, _ in notes_of(heard, CHORDS) if tick == 102} == {65, 68}  # F minor: C goes on


def test_what_takes_the_place_of_a_bass_note_lies_in_its_compass() -> None:
    def write(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        return {"bass": [Note(step * 6, 28, 96, 80)]} if step % 16 == 0 else {}

    player = FakePlayer(write, roles=("bass",))
    heard = stage(player, *strike(0, [52, 56, 59], 90), *strike(98, [51, 55, 58]), until=190)
    assert [pitch for tick, pitch, _ in notes_of(heard, BASS) if tick >= 96] == [28, 39]  # not 27, below a bass's E


@pytest.mark.parametrize(("hand", "bass"), [(F, [(96, 36, 6), (132, 41, 24)]), (C_LOW, [(96, 36, 6)])])
def test_a_bass_that_rests_follows_where_its_last_note_was_another(
    hand: list[int], bass: list[tuple[int, int, int]]
) -> None:
    def write(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        return {"bass": [Note(step * 6, 36, 6, 80)]} if step % 16 == 0 else {}

    player = FakePlayer(write, roles=("bass",), future_steps=8)
    heard = stage(player, *strike(0, C, 90), *strike(128, hand), until=190)
    assert [each for each in notes_of(heard, BASS) if each[0] >= 96] == bass


def test_a_plan_that_knows_nothing_of_the_chord_is_adapted_to_it() -> None:
    for latency in (0, 10 * MS, 200 * MS):
        heard = stage(long_notes(every=1), *strike(0, C, 90), *strike(97, F), latency=latency)
        bass = {tick: pitch % 12 for tick, pitch, _ in notes_of(heard, BASS)}
        assert bass[102] == 5
        assert {bass[tick] for tick in range(120, 192, 6)} == {5}
        chords = {pitch % 12 for tick, pitch, _ in notes_of(heard, CHORDS) if tick >= 102}
        assert chords == {5, 9, 0}, latency


@pytest.mark.parametrize("mode", ["melody", "chart"])
def test_where_the_harmony_is_not_the_hands_nothing_is_corrected(mode: str) -> None:
    settings = Settings(harmony=mode, split=60)
    with_hand = stage(long_notes(obeys=False), *strike(98, F), settings=settings)
    without = stage(long_notes(obeys=False), settings=settings)
    assert with_hand.notes == without.notes


def test_the_harmony_is_switched_while_the_band_plays() -> None:
    player = long_notes(every=4)
    turned = [
        ControlChange(AT_120.ns_at(120), "harmony", "melody"),
        ControlChange(AT_120.ns_at(150), "harmony", "hands"),
    ]
    stage(player, *strike(2, F), *turned)
    told = {request.now: bool(request.harmony) for request in player.asked}
    assert (told[19], told[21], told[25], told[27]) == (True, False, False, True)


def test_a_chord_that_was_struck_before_the_band_begins_holds_from_there() -> None:
    player = long_notes()
    perform(player, [Note(48, 72, 24)], until=100, events=strike(-40, F), settings=HANDS)
    assert {each.root for each in player.asked[0].harmony} == {5}


def test_keys_are_transposed_and_end_where_they_began() -> None:
    player = long_notes()
    settings = Settings(harmony="hands", split=60, transpose=2)
    turned = ControlChange(AT_120.ns_at(30), "transpose", -3)
    stage(player, *strike(0, C, 90), turned, settings=settings)
    assert player.asked[0].harmony[0].root == 2
    assert [(n.pitch, n.start, n.end) for n in player.asked[8].melody[:3]] == [(74, 0, 24), (74, 24, 48), (69, 48, 51)]


@pytest.mark.parametrize("latency", [0, 60 * MS])
@examples(max_examples=25, deadline=None)
@given(
    struck=st.lists(
        st.tuples(st.integers(-20, 300), st.lists(st.integers(30, 59), min_size=1, max_size=4), st.integers(1, 60)),
        max_size=12,
    )
)
def test_whatever_the_hand_plays_every_note_ends_once(latency: int, struck: list[tuple[int, list[int], int]]) -> None:
    events = [event for tick, pitches, length in struck for event in strike(tick, pitches, length)]
    heard = stage(long_notes(every=3), *events, until=320, latency=latency, settings=Settings(harmony="auto", split=60))
    assert heard.notes  # pairs() has checked them


def test_a_channel_of_its_own_has_chords_and_no_melody() -> None:
    player = long_notes()
    events = [MidiIn(AT_120.ns_at(0), midi_bytes.note_on(5, pitch, 80)) for pitch in (77, 81, 84)]
    stage(player, *events, settings=Settings(harmony="hands", chord_channel=6))
    assert {n.pitch for request in player.asked for n in request.melody} == {72}
    assert {each.root for each in player.asked[-1].harmony} == {5}
