"""Roles that agree, and music that comes again, in the plan of one request."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from daemon.arranging.arrangement import arrange_plan
from daemon.core.plan import PlanRequest, Recollection
from daemon.core.settings import Settings
from music.chords import NO_CHORD
from music.encoding.chord_evidence import GivenChord, pack_tones
from music.note import PITCHED_ROLES, TICKS_PER_STEP, Note, list_numbers

C_MAJOR, F_MAJOR, NONE = (0, 0), (5, 0), (NO_CHORD, NO_CHORD)
Plan = dict[str, tuple[Note, ...]]


def at(step: int, pitch: int, steps: int = 4) -> Note:
    return Note(step * TICKS_PER_STEP, pitch, steps * TICKS_PER_STEP)


def ask(now: int = 16, **given_: object) -> PlanRequest:
    return replace(PlanRequest(1, now, now * TICKS_PER_STEP - 3, (), {}), **given_)  # type: ignore[arg-type]


def arrange(
    notes: Plan,
    request: PlanRequest | None = None,
    chords: list[tuple[int, int]] | None = None,
    held: Plan | None = None,
    last: int = 1000,
) -> tuple[Plan, Plan]:
    numbers = {role: list_numbers(each) for role, each in notes.items()}
    made, ends = arrange_plan(request or ask(), numbers, held or {}, chords or [C_MAJOR] * 8, last)
    return dict(made), dict(ends)


def test_on_a_beat_the_bass_plays_the_root_in_the_octave_that_is_nearest() -> None:
    made, _ = arrange({"bass": (at(16, 43), at(18, 43), at(20, 41))})
    assert [note.pitch for note in made["bass"]] == [48, 43, 36]


def test_a_bass_note_that_is_held_over_a_change_is_begun_anew_on_the_root() -> None:
    request = ask(committed={"bass": (at(12, 36, 12),)})
    made, ends = arrange({"bass": ()}, request, [F_MAJOR] * 8)
    assert [(note.start // TICKS_PER_STEP, note.pitch) for note in made["bass"]] == [(16, 41)]
    assert ends["bass"] == (at(12, 36, 4),)


def test_the_bass_goes_on_under_chords_that_sound_over_a_beat() -> None:
    request = ask(committed={"bass": (at(14, 36, 4),), "chords": (at(14, 60, 20),)})
    assert arrange({}, request, [C_MAJOR] * 8)[1]["bass"] == (at(14, 36, 10),)  # to the end of what is planned
    made, ends = arrange({}, request, [C_MAJOR] * 4 + [F_MAJOR] * 4)
    assert ends["bass"] == (at(14, 36, 6),)
    assert made["bass"] == (at(20, 41, 4),)
    alone = ask(committed={"bass": (at(14, 36, 4),)})
    assert arrange({}, alone)[1]["bass"] == (at(14, 36, 4),)
    played = ask(20, committed={"bass": (at(14, 36, 4),), "chords": (at(14, 60, 20),)})
    assert not arrange({}, played, [C_MAJOR] * 8)[1]["bass"]  # it is over: nothing is begun anew


def test_what_is_held_for_too_long_is_struck_anew_on_a_bar_line() -> None:
    committed = {"bass": (at(8, 36, 20),), "chords": (at(0, 60, 24), at(8, 64, 16)), "pad": (at(0, 67, 40),)}
    made, ends = arrange({}, ask(committed=committed), [C_MAJOR] * 8)
    assert made == {"bass": (at(16, 36, 12),), "chords": (at(16, 60, 8),), "pad": ()}
    assert [note.end // TICKS_PER_STEP for role in PITCHED_ROLES for note in ends[role]] == [16, 16, 24, 40]
    assert not arrange({}, ask(12, committed=committed), [C_MAJOR] * 4)[0]["bass"]


def test_within_a_beat_chords_stand_on_the_root_that_the_bass_has_told() -> None:
    on_the_beat = ask(18, committed={"bass": (at(16, 36, 8),), "chords": (at(16, 64, 1),)})
    struck: Plan = {"chords": (at(18, 57, 2), at(18, 60, 2), at(18, 65, 2))}  # F major, thought of too late
    made, _ = arrange(struck, on_the_beat, [F_MAJOR] * 8)
    assert {note.pitch % 12 for note in made["chords"] if note.start == 18 * TICKS_PER_STEP} <= {0, 4, 7}
    walking = replace(on_the_beat, settings=Settings(style="jazz"))
    made, _ = arrange(struck, walking, [F_MAJOR] * 8)
    assert {note.pitch % 12 for note in made["chords"] if note.start == 18 * TICKS_PER_STEP} <= {0, 5, 9}
    approach = ask(18, committed={"bass": (at(16, 36, 1), at(17, 38, 8))})  # it has left the note of the beat
    made, _ = arrange(struck, approach, [F_MAJOR] * 8)
    assert {note.pitch % 12 for note in made["chords"] if note.start == 18 * TICKS_PER_STEP} <= {0, 5, 9}


def test_the_bass_does_not_go_on_under_what_would_have_grated_on_it() -> None:
    request = ask(committed={"bass": (at(8, 43, 13),)})
    chords = [C_MAJOR] * 4 + [(6, 0)] + [C_MAJOR] * 4
    made, _ = arrange({"chords": (at(22, 54, 3),)}, request, chords)
    [begun] = [note for note in made["bass"] if note.pitch == 42]
    assert begun == at(20, 42, 2)


def test_a_bass_that_walks_is_free_within_the_chord_on_weak_beats() -> None:
    request = ask(settings=Settings(style="jazz"))
    made, _ = arrange({"bass": (at(16, 43), at(20, 43), at(24, 40))}, request, [C_MAJOR] * 16)
    assert [note.pitch % 12 for note in made["bass"]] == [0, 7, 0]


def test_the_lowest_note_that_the_player_gave_is_the_bass() -> None:
    over_e = GivenChord(0, 1000, 0, pack_tones((0, 4, 7)), 4, 1.0)
    made, _ = arrange({"bass": (at(16, 43),)}, ask(harmony=(over_e,)))
    assert [note.pitch % 12 for note in made["bass"]] == [4]


def test_without_a_chord_nothing_moves() -> None:
    notes = {"bass": (at(16, 43),), "chords": (at(16, 60), at(16, 66)), "pad": (at(17, 58),)}
    assert arrange(notes, chords=[NONE] * 8)[0] == notes


def test_what_would_grate_on_the_bass_ends_or_does_not_begin() -> None:
    request = ask(committed={"pad": (at(12, 49, 12),)})
    made, ends = arrange({"bass": (at(16, 36),), "chords": (at(17, 61),)}, request, [NONE] * 8)
    assert ends["pad"][0].end == 16 * TICKS_PER_STEP
    assert made["chords"] == (at(17, 61),)


def test_chords_keep_above_the_bass() -> None:
    made, _ = arrange({"bass": (at(16, 48),), "chords": (at(16, 43), at(16, 60))})
    assert min(note.pitch for note in made["chords"]) > 48


def test_what_the_chord_lacks_makes_way_for_the_melody_at_the_now_line() -> None:
    melody = (Note(16 * TICKS_PER_STEP, 65, 4),)
    request = ask(17, melody=melody, committed={"pad": (at(16, 64, 12), at(16, 69, 12))})
    _, ends = arrange({}, request, [F_MAJOR] * 8)
    assert [note.end // TICKS_PER_STEP for note in ends["pad"]] == [17, 28]


def test_within_a_beat_voices_follow_a_chord_that_the_melody_asks_for() -> None:
    committed = {"chords": (at(16, 60, 8), at(16, 64, 8), at(16, 67, 8))}
    foreign = ask(18, melody=(Note(16 * TICKS_PER_STEP, 65, 9),), committed=committed)
    made, _ = arrange({"chords": ()}, foreign, [F_MAJOR] * 8)
    assert [(note.start // TICKS_PER_STEP, note.pitch) for note in made["chords"]] == [(18, 65)]
    inside = replace(foreign, melody=(Note(16 * TICKS_PER_STEP, 67, 9),))
    made, _ = arrange({"chords": ()}, inside, [F_MAJOR] * 8)
    assert [(note.start // TICKS_PER_STEP, note.pitch) for note in made["chords"]] == [(20, 65)]


def recall(trust: float = 0.3, **notes: tuple[Note, ...]) -> Recollection:
    return Recollection(24, trust, notes)


def test_what_was_played_comes_again_and_what_lies_behind_it_is_the_networks() -> None:
    recalled = recall(chords=(at(16, 60), at(20, 64)), drums=(at(18, 36, 1),))
    written = {"chords": (at(17, 67), at(24, 55)), "drums": (at(16, 42, 1),)}
    made, _ = arrange(written, ask(recalled=recalled), [C_MAJOR] * 12)
    assert [(note.start // TICKS_PER_STEP, note.pitch) for note in made["chords"]] == [(16, 60), (20, 64), (24, 55)]
    assert made["drums"] == (at(18, 36, 1),)


def test_a_chord_of_today_moves_what_comes_again_unless_the_place_is_sure() -> None:
    notes = (at(17, 60), at(17, 64))
    made, _ = arrange({"chords": ()}, ask(recalled=recall(chords=notes)), [F_MAJOR] * 8)
    assert [note.pitch for note in made["chords"]] == [60, 65]


def test_with_recall_0_nothing_comes_again() -> None:
    request = ask(recalled=recall(chords=(at(16, 60),)), settings=Settings(recall=0.0))
    made, _ = arrange({"chords": (at(18, 64),)}, request)
    assert made["chords"] == (at(18, 64),)


def test_a_note_that_came_again_keeps_the_length_that_it_had() -> None:
    committed = {"pad": (at(14, 60, 3),)}
    request = ask(recalled=recall(pad=(at(14, 60, 9),)), committed=committed)
    _, ends = arrange({"pad": ()}, request, held={"pad": (at(14, 60, 3),)})
    assert ends["pad"] == (at(14, 60, 9),)


def test_what_was_held_at_a_sure_place_sounds_instead_of_what_is_held_now() -> None:
    recalled = recall(0.9, bass=(at(12, 41, 8),), chords=(at(13, 60, 9), at(13, 65, 9)))
    committed = {"bass": (at(14, 43, 9),), "chords": (at(12, 60, 9), at(12, 67, 9))}
    made, ends = arrange({"bass": (), "chords": ()}, ask(recalled=recalled, committed=committed), [C_MAJOR] * 8)
    assert made == {"bass": (at(16, 41, 4),), "chords": (at(16, 60, 6), at(16, 65, 6)), "pad": ()}
    assert {note.end // TICKS_PER_STEP for role in ("bass", "chords") for note in ends[role]} == {16}
    same = {"bass": (at(14, 41, 9),), "chords": (at(12, 60, 9),)}
    made, ends = arrange({"bass": (), "chords": ()}, ask(recalled=recalled, committed=same), [F_MAJOR] * 8)
    assert not made["bass"]
    assert not made["chords"]
    assert ends["bass"][0].end > 16 * TICKS_PER_STEP


def test_a_bass_that_is_held_under_chords_that_come_again_without_it_moves_to_their_root() -> None:
    recalled = recall(0.9, chords=(at(16, 60, 8), at(16, 65, 8), at(16, 69, 8)))
    held = ask(recalled=recalled, committed={"bass": (at(14, 43, 9),)})
    made, ends = arrange({"bass": (), "chords": ()}, held, [F_MAJOR] * 8)
    assert (made["bass"], ends["bass"]) == ((at(16, 41, 7),), (at(14, 43, 2),))
    assert not arrange({"bass": (), "chords": ()}, held, [(7, 0)] * 8)[0]["bass"]  # G: the chords have none


NOTES = st.dictionaries(
    st.sampled_from(PITCHED_ROLES),
    st.lists(st.builds(at, st.integers(16, 30), st.integers(30, 84), st.integers(1, 9)), max_size=12),
)
COMMITTED = st.dictionaries(
    st.sampled_from(PITCHED_ROLES),
    st.lists(st.builds(at, st.integers(8, 15), st.integers(30, 84), st.integers(1, 14)), max_size=6),
)
CHORDS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 7)), min_size=1, max_size=16)


def _by_role(notes: dict[str, list[Note]]) -> Plan:
    return {role: tuple(sorted({(n.start, n.pitch): n for n in each}.values())) for role, each in notes.items()}


@given(NOTES, COMMITTED, CHORDS)
def test_every_plan_is_in_order_and_nothing_it_begins_grates(
    notes: dict[str, list[Note]], committed: dict[str, list[Note]], chords: list[tuple[int, int]]
) -> None:
    request = ask(committed=_by_role(committed))
    made, ends = arrange(_by_role(notes), request, chords)
    for role in PITCHED_ROLES:
        begun = made.get(role, ())
        assert list(begun) == sorted(begun)
        assert all(note.length > 0 and note.start >= 16 * TICKS_PER_STEP and 0 <= note.pitch < 128 for note in begun)
        known = {(note.start, note.pitch) for note in request.committed.get(role, ())}
        assert {(note.start, note.pitch) for note in ends.get(role, ())} <= known
        assert all(note.end >= 16 * TICKS_PER_STEP for note in ends.get(role, ()))
    told = (16 + len(chords)) * TICKS_PER_STEP
    flat = [note for role in PITCHED_ROLES for note in (*made.get(role, ()), *ends.get(role, ()))]
    for new in (note for role in PITCHED_ROLES for note in made.get(role, ()) if note.start < told):
        for other in flat:
            if other is not new and other.start < told and other.start <= new.start < other.end:
                assert abs(other.pitch - new.pitch) not in (1, 13)


@given(NOTES, COMMITTED, CHORDS)
def test_the_same_request_gives_the_same_plan(
    notes: dict[str, list[Note]], committed: dict[str, list[Note]], chords: list[tuple[int, int]]
) -> None:
    request = ask(committed=_by_role(committed))
    assert arrange(_by_role(notes), request, chords) == arrange(_by_role(notes), request, chords)


@given(NOTES, COMMITTED, CHORDS, st.integers(1, 14))
def test_a_shorter_plan_is_the_beginning_of_a_longer_one(
    notes: dict[str, list[Note]], committed: dict[str, list[Note]], chords: list[tuple[int, int]], steps: int
) -> None:
    request, last = ask(committed=_by_role(committed)), 16 + steps
    whole, part = (arrange(_by_role(notes), request, chords, last=until) for until in (1000, last))
    for before, after in zip(whole, part, strict=True):
        assert _clip(before, last) == _clip(after, last)
    assert all(note.start < last * TICKS_PER_STEP for played in part[0].values() for note in played)


@given(NOTES, COMMITTED, CHORDS, st.integers(1, 8))
def test_what_is_played_of_a_plan_is_the_same_whether_the_rest_is_arranged_or_not(
    notes: dict[str, list[Note]], committed: dict[str, list[Note]], chords: list[tuple[int, int]], played: int
) -> None:
    request, sure = ask(committed=_by_role(committed)), 16 + played + 4
    whole, part = (arrange(_by_role(notes), replace(request, played_steps=steps), chords) for steps in (None, played))
    for before, after in zip(whole, part, strict=True):
        assert _clip(before, sure) == _clip(after, sure)


def test_late_notes_of_a_plan_stay_as_they_are_written() -> None:
    notes: Plan = {"bass": (at(16, 43, 12),), "chords": (at(20, 61, 4), at(24, 61, 4))}
    made, _ = arrange(notes, ask(played_steps=1), [C_MAJOR] * 16)
    assert [(n.start // TICKS_PER_STEP, n.pitch) for n in made["chords"]] == [(20, 60), (24, 61)]


def _clip(notes: Plan, last: int) -> Plan:
    """The notes that begin before a step, ended there."""
    tick = last * TICKS_PER_STEP
    begun = {role: [note for note in each if note.start < tick] for role, each in notes.items()}
    return {role: tuple(replace(n, length=min(n.end, tick) - n.start) for n in each) for role, each in begun.items()}
