"""A drummer's feel over plans: deterministic, reproducible by seed, only where it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.arranging.drummer_feel import MAX_OFFSET, DrummerFeel, RunGraph
from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import Settings
from daemon.core.wire import pack_plan, unpack_plan
from daemon.players.ensemble import Ensemble
from daemon.players.graph import open_graph
from daemon.players.load import load_feel
from music.encoding.drum_feel import (
    COMING_STEPS,
    LANE_OF,
    LANES,
    PAST_STEPS,
    PLACE_FEATURES,
    cut_windows,
    mark_places,
)
from music.note import Metre, Note
from music.signature import Signature
from tests.support.fakes import FakePlayer

BEAT = {0: (36, 42), 2: (42,), 4: (38, 42), 6: (42,), 7: (36,)}
DRUMS = tuple(Note(6 * step, pitch, 6, 80) for step in range(256) for pitch in BEAT.get(step % 8, ()))
#: steps that a plan covers
PLANNED = 17


@pytest.fixture(scope="module")
def feel() -> DrummerFeel:
    made = load_feel()
    assert made is not None
    return made


def ask(now: int = 64, **settings: Any) -> PlanRequest:
    committed = {"drums": tuple(n for n in DRUMS if n.start < 6 * now)}
    return PlanRequest(1, now, 6 * now, (), committed, settings=replace(Settings("pop"), **settings))


def write(now: int = 64, drums: tuple[Note, ...] = DRUMS) -> Plan:
    inside = tuple(n for n in drums if 6 * now <= n.start < 6 * (now + PLANNED))
    return Plan(1, now, now + PLANNED, 6 * now, {"drums": inside, "bass": (Note(6 * now, 40, 12),)})


def test_drums_get_a_drummers_velocities_and_nothing_else_changes(feel: DrummerFeel) -> None:
    written = write()
    played = feel.play(ask(), written)
    assert [(n.start, n.pitch, n.length) for n in played.notes["drums"]] == [
        (n.start, n.pitch, n.length) for n in written.notes["drums"]
    ]
    assert played.notes["bass"] == written.notes["bass"]
    assert len({n.velocity for n in played.notes["drums"]}) > 4
    assert len(played.offsets) == PLANNED
    assert all(abs(offset) <= MAX_OFFSET for step in played.offsets for offset in step)
    assert unpack_plan(pack_plan(played)) == played


def test_it_depends_on_the_seed_and_the_place_never_on_when_it_was_asked(feel: DrummerFeel) -> None:
    one, again, other = (feel.play(ask(seed=seed), write()) for seed in (3, 3, 4))
    assert one == again
    assert one.offsets != other.offsets
    later = feel.play(ask(68, seed=3), write(68))
    assert later.offsets[:5] == one.offsets[4:9]  # beyond, the earlier plan did not see all that was to come
    assert feel.play(ask(-8, seed=-3), write(-8)).offsets


def test_a_bass_locks_to_the_kick_and_chords_to_what_is_hit(feel: DrummerFeel) -> None:
    plan = feel.play(ask(), write())
    for step, offsets in enumerate(plan.offsets):
        hit = BEAT.get((64 + step) % 8, ())
        drums = [plan.find_offset("drums", Note(6 * (64 + step), pitch, 6)) for pitch in hit]
        if 36 in hit:
            assert offsets.bass == offsets.kick == drums[hit.index(36)]
        elif hit:
            assert offsets.bass == offsets.chords
        if len(hit) == 1:
            assert offsets.chords == drums[0]
        note = Note(6 * (64 + step), 40, 6)
        assert plan.find_offset("pad", note) == plan.find_offset("chords", note) == offsets.chords
    assert plan.find_offset("bass", Note(6 * (64 + PLANNED), 40, 6)) is None
    assert write().find_offset("bass", Note(6 * 64, 40, 6)) is None


def test_snares_on_the_backbeat_are_louder_than_off_beats_by_most_hands(feel: DrummerFeel) -> None:
    extra = tuple(sorted((*DRUMS, *(Note(6 * step, 38, 6) for step in range(3, 256, 8)))))
    louder = 0
    for seed in range(12):
        notes = feel.play(ask(seed=seed), write(drums=extra)).notes["drums"]
        ghosts, backbeats = (
            [n.velocity for n in notes if n.pitch == 38 and n.start // 6 % 8 == place] for place in (3, 4)
        )
        louder += max(ghosts) < min(backbeats)
    assert louder > 9


def test_a_swing_that_is_set_takes_the_place_of_the_drummers_own(feel: DrummerFeel) -> None:
    """Where nothing is drawn, an off-beat sixteenth lies where the control puts it; on the beat nothing changes."""
    own, half, whole = (feel.play(ask(temperature=0.0, swing=swing), write()).offsets for swing in (0.0, 0.5, 1.0))
    off_beats = [i for i in range(PLANNED) if (64 + i) % 2]
    assert any(own[i].cymbals for i in off_beats)
    for i, offsets in enumerate(own):
        if i in off_beats:
            assert whole[i].cymbals == 0
            assert half[i].cymbals == pytest.approx(offsets.cymbals / 2, abs=1)
        else:
            assert whole[i] == offsets


def test_styles_and_metres_that_no_drummer_taught_are_played_as_well(feel: DrummerFeel) -> None:
    for metre in (Metre(3, 4), Metre(6, 8), Metre(7, 8), Metre(5, 4), Metre(1, 16)):
        request = replace(ask(), metre=metre, settings=replace(Settings("pop"), style="polka"), bpm=300)
        assert len(feel.play(request, write()).offsets) == PLANNED
        places = mark_places(0, 2 * metre.steps_per_bar, metre)
        assert places.shape == (2 * metre.steps_per_bar, PLACE_FEATURES)
        assert (places[: metre.steps_per_bar] == places[metre.steps_per_bar :]).all()
    assert {LANE_OF[pitches[0]] for pitches in LANES.values()} == set(range(len(LANES)))


def test_an_ensemble_plays_with_the_feel_that_it_has(feel: DrummerFeel) -> None:
    request = PlanRequest(1, 64, 384, (Note(0, 60, 384),), {}, settings=Settings("pop", technique="gan"))
    plain, felt = (Ensemble({"gan": FakePlayer()}, feel=each).plan(request) for each in (None, feel))
    assert plain.offsets == ()
    assert len(felt.offsets) == felt.last - felt.first
    assert {role: len(notes) for role, notes in felt.notes.items()} == {
        role: len(notes) for role, notes in plain.notes.items()
    }


def test_it_reaches_over_what_is_played_of_a_plan_and_some_steps_more(feel: DrummerFeel) -> None:
    """From beat to beat it reaches as far, so that its graph has nothing new to tell within one."""
    whole = feel.play(ask(), write())
    for played, reach in ((1, 8), (4, 8), (8, 12), (64, PLANNED)):
        part = feel.play(replace(ask(), played_steps=played), write())
        assert part.offsets == whole.offsets[:reach]
        assert [n.velocity for n in part.notes["drums"] if n.start < 6 * (64 + reach)] == [
            n.velocity for n in whole.notes["drums"] if n.start < 6 * (64 + reach)
        ]
        assert all(n.velocity == 80 for n in part.notes["drums"] if n.start >= 6 * (64 + reach))
    assert [len(feel.play(replace(ask(now), played_steps=1), write(now)).offsets) for now in range(64, 69)] == [
        *(8, 7, 6, 5, 8)
    ]


def test_a_plan_without_notes_asks_for_no_feel(feel: DrummerFeel) -> None:
    empty = replace(write(), notes={"edits": (), "drums": ()})
    assert feel.play(ask(), empty) is empty


@pytest.fixture(scope="module")
def graph() -> tuple[Signature, RunGraph]:
    return open_graph((resources.files("models.pretrained") / "feel.onnx").read_bytes())


def test_its_windows_are_those_of_the_training(graph: tuple[Signature, RunGraph]) -> None:
    signature, run = graph
    asked: list[Any] = []

    def listen(inputs: Mapping[str, Any]) -> list[Any]:
        asked.append(inputs["windows"])
        return [*run(inputs)]

    DrummerFeel(signature, listen).play(ask(), write())
    hits = np.zeros((len(LANES), PAST_STEPS + PLANNED + COMING_STEPS), np.float32)
    for note in DRUMS:
        at = note.start // 6 - 64 + PAST_STEPS
        if 0 <= at < PAST_STEPS + PLANNED:  # what comes after the plan is not known
            hits[LANE_OF[note.pitch], at] = 1
    (windows,) = asked
    assert (windows == cut_windows(hits, mark_places(64, PLANNED, Metre()), 120)).all()


MOMENTS = st.tuples(
    st.integers(-40, 200),  # now
    st.sets(st.tuples(st.integers(-20, 24), st.sampled_from([36, 38, 42, 46, 56, 51, 3])), max_size=40),
    st.sampled_from([Metre(), Metre(3, 4), Metre(6, 8), Metre(7, 8)]),
    st.sampled_from([60, 120, 121]),
    st.sampled_from([0, 24, 42]),  # where a bar begins
    st.sampled_from([Settings("pop"), Settings("jazz", seed=-5), Settings("pop", swing=0.5, temperature=0.3)]),
    st.sampled_from([None, 1, 4]),
)


@settings(max_examples=40, deadline=None)
@given(moments=st.lists(st.tuples(st.booleans(), MOMENTS), min_size=2, max_size=6))
def test_what_is_kept_is_what_a_fresh_one_plays(
    moments: list[tuple[bool, tuple[Any, ...]]], graph: tuple[Signature, RunGraph]
) -> None:
    """At leaps, edits of the past, other metres, tempos and settings; else a step further with the same drums."""
    kept = DrummerFeel(*graph)
    now, played = 0, set[tuple[int, int]]()
    for goes_on, (leap, hits, metre, bpm, origin, controls, steps) in moments:
        now = now + 1 if goes_on else leap
        played = played if goes_on else {(now + step, pitch) for step, pitch in hits}
        notes = tuple(Note(6 * step, pitch, 6) for step, pitch in sorted(played))
        committed = {"drums": tuple(n for n in notes if n.start < 6 * now)}
        request = PlanRequest(1, now, None, (), committed, metre, controls, origin, bpm=bpm, played_steps=steps)
        coming = tuple(n for n in notes if 6 * now <= n.start < 6 * (now + PLANNED))
        plan = Plan(1, now, now + PLANNED, None, {"drums": coming, "bass": (Note(6 * now, 40, 6),)})
        assert kept.play(request, plan) == DrummerFeel(*graph).play(request, plan)
