"""The transformer on the shipped weights: causal, repeatable, whatever it was asked before, and no note left on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import Settings
from daemon.offline.extend import Extension, extend
from daemon.offline.render import render_notes
from daemon.players.chords import MelodyContext
from daemon.players.ensemble import Ensemble
from daemon.players.graph import Graph
from daemon.players.load import load_player
from daemon.players.transformer import AHEAD_STEPS, TransformerPlayer, _FeatureHistory, _PlanWriter
from music.analysis.key import Key, count_foreign_tones
from music.analysis.modulation import find_key_change
from music.encoding.chord_evidence import GivenChord, pack_tones
from music.errors import UserError
from music.midifile import Part, Song
from music.note import PITCHED_ROLES, ROLES, TICKS_PER_STEP, Metre, Note

TUNE = (60, 62, 64, 67, 65, 64, 62, 59, 60, 64, 69, 67, 65, 62, 59, 60)


@pytest.fixture(scope="module")
def player() -> TransformerPlayer:
    made = load_player("transformer")
    assert isinstance(made, TransformerPlayer)
    return made


def melody(bars: int, shift: int = 0) -> tuple[Note, ...]:
    return tuple(Note(24 * i, TUNE[i % len(TUNE)] + shift, 20, 80) for i in range(4 * bars))


def song(notes: tuple[Note, ...]) -> Song:
    return Song((Part("melody", notes, 0, 0),))


def requests(player: TransformerPlayer, notes: tuple[Note, ...], last: int) -> Iterator[tuple[PlanRequest, Plan]]:
    """As the conductor asks: every step, with what was committed from every plan's first step."""
    committed: dict[str, tuple[Note, ...]] = dict.fromkeys(ROLES, ())
    for now in range(1, last):
        heard = now * TICKS_PER_STEP - TICKS_PER_STEP // 2
        known = tuple(replace(n, length=min(n.end, heard) - n.start) for n in notes if n.start < heard)
        request = PlanRequest(now, now, heard, known, dict(committed), settings=Settings(player.info.styles[0], 3))
        plan = player.plan(request)
        yield request, plan
        for role in ROLES:
            ends = {(n.start, n.pitch): n for n in plan.held.get(role, ())}
            kept = tuple(ends.get((n.start, n.pitch), n) for n in committed[role])
            committed[role] = (*kept, *(n for n in plan.notes[role] if n.start == now * TICKS_PER_STEP))


@pytest.fixture(scope="module")
def late(player: TransformerPlayer) -> PlanRequest:
    """The request at the end of the tune's four bars."""
    return list(requests(player, melody(4), 60))[-1][0]


def test_equal_requests_give_equal_plans_whatever_was_asked_before(player: TransformerPlayer) -> None:
    asked = list(requests(player, melody(7), 108))  # the tune of four bars comes again, and is recalled
    other = load_player("transformer")
    for request, plan in (asked[70], asked[20], asked[106], asked[106]):
        again = other.plan(request)
        assert (again.notes, again.held) == (plan.notes, plan.held)


@pytest.mark.parametrize("change", ["leap", "edit", "metre", "cut"])
def test_leaps_edits_and_metres_leave_nothing_behind(player: TransformerPlayer, late: PlanRequest, change: str) -> None:
    request, edited = late, late.melody[9]
    player.plan(request)
    changed = {
        "leap": replace(request, now=43, heard=43 * TICKS_PER_STEP - 3, melody=request.melody[:11]),
        "edit": replace(request, melody=(*request.melody[:9], replace(edited, pitch=75), *request.melody[10:])),
        "metre": replace(request, metre=Metre(3, 4), bar_origin=48 * TICKS_PER_STEP),
        "cut": replace(
            request, committed={role: notes[len(notes) // 2 :] for role, notes in request.committed.items()}
        ),
    }[change]
    plan, fresh = player.plan(changed), load_player("transformer").plan(changed)
    assert (plan.notes, plan.held) == (fresh.notes, fresh.held)


def test_a_melody_that_changes_its_key_is_remembered_alike_by_who_comes_in_then(player: TransformerPlayer) -> None:
    notes = tuple(replace(n, pitch=n.pitch + 6 * (i >= 28)) for i, n in enumerate(melody(10)))
    asked = list(requests(player, notes, 156))
    request, plan = asked[-1]
    rows = [(n.start // TICKS_PER_STEP, n.pitch, n.length // TICKS_PER_STEP) for n in request.melody]
    change = find_key_change(rows, request.now)
    assert change is not None
    assert change.semitones == 6
    again = load_player("transformer").plan(request)
    assert (again.notes, again.held) == (plan.notes, plan.held)


STARTS = st.integers(0, 400)
PLAYED = st.tuples(st.integers(0, 420), st.sampled_from((36, 43, 60, 64, 67)), st.sampled_from((3, 6, 20, 48, 200)))
#: what happens between two requests: the band is somewhere else; a note is put in, is gone, or lasts as long; another
#: chord, or metre
TURNS = st.one_of(
    st.tuples(st.just("step"), st.integers(1, 3)),
    st.tuples(st.just("jump"), st.integers(2, 60)),
    st.tuples(st.sampled_from(("put", "melody")), PLAYED),
    st.tuples(st.sampled_from(("remove", "forget")), st.integers(0, 40)),
    st.tuples(st.just("last"), st.sampled_from((6, 30, 100))),
    st.tuples(st.just("chord"), st.integers(0, 60)),
    st.tuples(st.just("metre"), st.integers(3, 4)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PLAYED, max_size=24), st.lists(PLAYED, max_size=12), st.lists(TURNS, min_size=3, max_size=24))
def test_features_of_the_past_grow_as_they_are_made_anew(
    player: TransformerPlayer,
    monkeypatch: pytest.MonkeyPatch,
    played: list[tuple[int, int, int]],
    tune: list[tuple[int, int, int]],
    turns: list[tuple[str, Any]],
) -> None:
    chords = {step: (step // 8 % 12, 0) for step in range(-40, 500)}
    monkeypatch.setattr(
        player.chords, "list_chords", lambda _, first, now, following: [*map(chords.get, range(first, now)), following]
    )
    band, melody = {Note(*each) for each in played}, {each[0]: Note(*each) for each in tune}
    now, metre, before = 20, Metre(), dict[int, bytes]()
    for kind, value in [("step", 0), *turns]:
        if kind in {"step", "jump"}:
            now = value if kind == "jump" else now + value
        elif kind == "put":
            band.add(Note(*value))
        elif kind == "melody":
            melody[value[0]] = Note(*value)
        elif kind == "last" and melody:
            melody[max(melody)] = replace(melody[max(melody)], length=value)
        elif kind in {"remove", "forget"} and band:
            listed = sorted(band)
            band -= set(listed[:1]) if kind == "forget" else {listed[value % len(listed)]}
        elif kind == "chord":
            chords[value] = ((value + len(before)) % 12, 2)
        elif kind == "metre":
            metre = Metre(value, 4)
        tick = now * TICKS_PER_STEP
        parts = {
            role: tuple(n for n in sorted(band) if n.start < tick and n.pitch % 4 == i) for i, role in enumerate(ROLES)
        }
        heard = tuple(n for n in sorted(melody.values()) if n.start < tick)
        request = PlanRequest(1, now, tick - 3, heard, parts, metre, Settings(player.info.styles[0]))
        rows, changed = _PlanWriter(player, request, 0)._extract_past((0, 0))
        made = {now - len(rows) + i: row.tobytes() for i, row in enumerate(rows)}
        assert all(before.get(step, row) == row for step, row in made.items() if step < changed)
        before = made
        with monkeypatch.context() as anew:
            anew.setattr(player, "features", _FeatureHistory(player.cache.context_steps, player.cache.feature_count))
            fresh, _ = _PlanWriter(player, request, 0)._extract_past((0, 0))
        assert np.array_equal(rows, fresh)


def test_a_window_of_one_step_is_that_of_a_player_that_comes_in_then(player: TransformerPlayer) -> None:
    chosen = Settings(player.info.styles[0], 3)
    before, request = (PlanRequest(now + 1, now, None, melody(2), {}, settings=chosen) for now in (0, 1))
    player.plan(before)  # as `render --offline --replan step` asks
    plan, fresh = player.plan(request), load_player("transformer").plan(request)
    assert (plan.notes, plan.held) == (fresh.notes, fresh.held)


def test_a_tone_that_the_band_has_neglected_comes_sooner(player: TransformerPlayer, late: PlanRequest) -> None:
    long_since = {role: tuple(n for n in notes if n.end < 50 * 6) for role, notes in late.committed.items()}

    def begun(*sounded: int) -> Counter[int]:
        held = tuple(Note(52 * TICKS_PER_STEP, 48 + tone, 7 * TICKS_PER_STEP, 70) for tone in sounded)
        asked = replace(late, committed={**long_since, "pad": held})
        plans = [player.plan(replace(asked, settings=replace(asked.settings, seed=seed))) for seed in range(12)]
        return Counter(n.pitch % 12 for plan in plans for role in PITCHED_ROLES for n in plan.notes[role])

    (one, _), (other, _) = begun().most_common(2)
    assert begun(one)[other] > begun(other)[other]
    assert begun(other)[one] > begun(one)[one]


def test_a_plan_keeps_to_its_steps_and_every_note_ends(player: TransformerPlayer) -> None:
    sounded = 0
    for request, plan in requests(player, melody(3), 48):
        assert (plan.first, plan.last) == (request.now, request.now + AHEAD_STEPS)
        for role in ROLES:
            for note in plan.notes[role]:
                assert plan.first <= note.start // TICKS_PER_STEP < plan.last
                sounded += 1
            pitches = [(n.pitch, n.start, n.end) for n in sorted((*plan.held.get(role, ()), *plan.notes[role]))]
            for i, (pitch, _, end) in enumerate(pitches):
                assert all(other[0] != pitch or other[1] >= end for other in pitches[i + 1 :])
    assert sounded > 50


def test_nothing_that_has_not_been_heard_changes_what_was_written(player: TransformerPlayer) -> None:
    before, after = melody(6), (*melody(3), *(replace(n, pitch=n.pitch + 6) for n in melody(6)[12:]))
    settings = Settings(player.info.styles[0], 1)
    first, second = (render_notes(song(notes), player, settings)[0] for notes in (before, after))
    cut = 3 * 96
    for role in ROLES:
        assert [n for n in first[role] if n.end <= cut] == [n for n in second[role] if n.end <= cut]
    assert first != second


def test_the_same_seed_repeats_and_another_differs(player: TransformerPlayer) -> None:
    one, again, other = (
        render_notes(song(melody(4)), player, Settings(player.info.styles[0], seed))[0] for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


def test_with_little_time_it_gives_what_it_has(player: TransformerPlayer) -> None:
    hurried = load_player("transformer")
    assert isinstance(hurried, TransformerPlayer)
    hurried.set_time_budget(0)
    request, whole = list(requests(player, melody(2), 20))[-1]
    plan = hurried.plan(request)
    assert (whole.last, plan.last) == (request.now + AHEAD_STEPS, request.now + 1)
    assert set(plan.notes) == set(ROLES)


def test_a_style_it_does_not_know_is_refused(player: TransformerPlayer) -> None:
    with pytest.raises(UserError, match="no style 'polka'"):
        player.plan(PlanRequest(1, 4, 21, melody(1), {}, settings=Settings("polka")))


def test_chords_keep_to_a_key_that_is_given_and_those_that_are_known_stay(player: TransformerPlayer) -> None:
    key, f_sharp = Key(0, False), GivenChord(192, 240, 6, pack_tones((6, 10, 1)), 6, 1.0)
    notes = np.array([(4 * i, TUNE[i] + (i % 3 == 2), 4) for i in range(16)])  # chromatic
    free = MelodyContext(notes, False, Metre(), 0, seed=1, temperature=1.0, given=(f_sharp,))
    kept = replace(free, key=key)
    foreign = []
    for context in (free, kept):
        told = [player.chords.predict(context, now, 8).chords for now in range(16, 57)]
        foreign.append(sum(count_foreign_tones(key)[12 * quality + root] for each in told for root, quality in each))
    assert foreign[1] < foreign[0]
    assert player.chords.predict(kept, 32, 8).chords == player.chords.predict(free, 32, 8).chords  # F#, as known


def test_roles_are_given_to_players_by_the_settings(player: TransformerPlayer) -> None:
    both = Ensemble({"gan": load_player("gan"), "transformer": player})
    request = list(requests(player, melody(2), 24))[-1][0]
    mixed = both.plan(replace(request, settings=replace(request.settings, players={"chords": "transformer"})))
    alone = both.plan(request)
    theirs = player.plan(request)
    assert mixed.notes["chords"] == theirs.notes["chords"]
    assert mixed.notes["bass"] == alone.notes["bass"]
    assert mixed.last == min(alone.last, theirs.last)


def test_the_ring_is_written_in_place(player: TransformerPlayer) -> None:
    rings = player.cache._decoder.rings
    kept = {name: ring.copy() for name, ring in rings.items()}
    list(requests(player, melody(1, 3), 6))
    for name, ring in rings.items():
        changed = (kept[name] != ring).any((0, 2))
        assert 0 < changed.sum() < len(changed)


def test_a_song_goes_on(player: TransformerPlayer) -> None:
    added = extend(song(melody(4)), melody(4), player, Extension(3, Settings(player.info.styles[0], 4)))
    assert set(added) == {"melody", *ROLES}
    for notes in added.values():
        assert all(n.start >= 4 * 96 and n.end <= 7 * 96 for n in notes)
    assert sum(map(len, added.values())) > 20
    assert added == extend(song(melody(4)), melody(4), player, Extension(3, Settings(player.info.styles[0], 4)))


def test_a_graph_says_what_it_takes() -> None:
    signature = Graph(None, "transformer").signature
    assert signature.technique == "transformer"
    assert signature.inputs["features"][1] == "steps"


def test_chords_of_a_whole_melody_are_foreseen_as_they_are_predicted_one_by_one(player: TransformerPlayer) -> None:
    rows = np.array([(n.start // TICKS_PER_STEP, n.pitch, n.length // TICKS_PER_STEP) for n in melody(24)])
    context = MelodyContext(rows, heard_all=True, metre=Metre(), bar=0, seed=3, temperature=1.0)
    player.chords.list_chords(context, 96, 100, player.chords.predict(context, 100, 1).chords[0])
    later = player.chords.list_chords(context, 100, 104, player.chords.predict(context, 104, 1).chords[0])
    foreseen = [player.chords._chords[step] for step in range(104, 280)]
    one_by_one = [player.chords.predict(context, step, 1).chords[0] for step in range(101, 280)]
    assert later[1:] + foreseen[1:] == one_by_one
