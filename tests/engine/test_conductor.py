"""The loop on virtual time: what is asked when, what sounds when, exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daemon.clocks.clock import Clock
from daemon.clocks.midi_clock import MidiClock
from daemon.core.events import ControlChange, Event, MidiIn, Quit, SystemResumed
from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.looper import EditLoop
from daemon.engine.song import SongInfo
from daemon.harmony.hand_keys import HandKeys
from daemon.input.melody import MelodyTracker
from daemon.input.melody_channels import MelodyChannels
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from music.midi import concerns_keys
from music.note import Metre, Note
from tests.support.fakes import MS, FakePlayer, Stage, StandingStill, midi, only, pairs, perform

AT_120 = TempoMap(500_000)
STEP = 125 * MS  # at 120 bpm
TUNE = [Note(i * 24, 60 + i * 5 % 12, 20) for i in range(16)]


def at(tick: int) -> int:
    return AT_120.ns_at(tick)


def numbered() -> FakePlayer:
    """A bass player whose pitch tells the number of the plan."""
    return only("bass", lambda request, step: request.number % 128)


# Asking


def test_asked_in_the_middle_of_every_step_for_the_steps_after_it() -> None:
    player = FakePlayer()
    perform(player, [Note(0, 60, 24)], until=30)
    assert [(r.number, r.now, r.heard) for r in player.asked] == [
        (1, 1, 3),
        (2, 2, 9),
        (3, 3, 15),
        (4, 4, 21),
        (5, 5, 27),
    ]


@pytest.mark.parametrize(("start", "first"), [(0, 1), (2, 1), (3, 2), (5, 2), (6, 2), (8, 2), (9, 3), (95, 17)])
def test_asking_begins_with_the_step_the_first_note_belongs_to(start: int, first: int) -> None:
    player = FakePlayer()
    perform(player, [Note(start, 60, 24)], until=192)
    assert player.asked[0].now == first
    assert [n.start for n in player.asked[0].melody] == [start]


def test_a_player_hears_what_began_before_the_middle_of_the_step_and_no_more() -> None:
    player = FakePlayer()
    tune = [Note(0, 60, 6), Note(6, 62, 12), Note(21, 64, 6), Note(27, 65, 6)]
    perform(player, tune, until=36)
    assert [r.melody for r in player.asked] == [
        (Note(0, 60, 3),),
        (Note(0, 60, 6), Note(6, 62, 3)),
        (Note(0, 60, 6), Note(6, 62, 9)),
        (Note(0, 60, 6), Note(6, 62, 12)),
        (Note(0, 60, 6), Note(6, 62, 12), Note(21, 64, 6)),
        (Note(0, 60, 6), Note(6, 62, 12), Note(21, 64, 6), Note(27, 65, 6)),
    ]


def test_a_player_is_told_what_has_been_committed() -> None:
    player = only("bass", lambda request, step: step, length=9)
    perform(player, [Note(0, 60, 24)], until=24)
    assert [r.committed for r in player.asked] == [
        {"bass": ()},
        {"bass": (Note(6, 1, 9),)},
        {"bass": (Note(6, 1, 9), Note(12, 2, 9))},
        {"bass": (Note(6, 1, 9), Note(12, 2, 9), Note(18, 3, 9))},
    ]


def test_what_is_told_is_the_last_while_only() -> None:
    player = only("bass", lambda request, step: step % 128)
    perform(player, [Note(i * 12, 60 + i % 2, 12) for i in range(400)], until=4800)
    last = player.asked[-1]
    since = (last.now - player.info.past_steps) * 6 - 96
    assert last.melody[0].end > since >= last.melody[0].start - 12
    assert [n.start for n in last.committed["bass"]] == list(range(since, (last.now - 1) * 6 + 1, 6))


def test_a_player_with_a_memory_is_told_more_of_the_melody_than_of_what_was_played() -> None:
    player = only("bass", lambda request, step: step % 128)
    player.info = replace(player.info, memory_steps=320)
    perform(player, [Note(i * 12, 60 + i % 2, 12) for i in range(400)], until=4800)
    last = player.asked[-1]
    since, remembered = ((last.now - steps) * 6 - 96 for steps in (player.info.past_steps, player.info.memory_steps))
    assert last.melody[0].end > remembered >= last.melody[0].start - 12
    assert last.committed["bass"][0].start == since


@pytest.mark.parametrize(("replan", "steps"), [("beat", [3, 4, 8, 12, 16, 20]), ("bar", [3, 16])])
def test_asking_less_often(replan: str, steps: list[int]) -> None:
    player = FakePlayer()
    player.info = replace(player.info, future_steps=32)
    stage = perform(player, [Note(12, 60, 24)], until=138, replan=replan)
    assert [r.now for r in player.asked] == steps
    assert stage.counters.isr == 1.0


def test_asking_less_often_never_leaves_steps_without_a_plan() -> None:
    player = FakePlayer()
    player.info = replace(player.info, future_steps=5)
    stage = perform(player, [Note(0, 60, 24)], until=120, replan="bar")
    assert [r.now for r in player.asked] == [1, 6, 11, 16]
    assert stage.counters.uncovered == 0


def test_a_turned_control_asks_at_the_next_chance() -> None:
    player = FakePlayer()
    turned = ControlChange(at(30), "style", "rock")
    perform(player, [Note(0, 60, 24)], until=90, replan="bar", events=[turned])
    assert [(r.now, r.settings.style) for r in player.asked] == [(1, "pop"), (6, "rock")]


def test_metres_are_told() -> None:
    player = FakePlayer()
    metres = ((0, Metre(3, 4)), (72, Metre(4, 4)), (168, Metre(6, 8)))
    perform(player, [Note(0, 60, 24)], until=200, song=SongInfo(AT_120, metres=metres))
    told = {r.now: (r.bar_origin, str(r.metre)) for r in player.asked}
    assert (told[11], told[12], told[27], told[28]) == ((0, "3/4"), (72, "4/4"), (72, "4/4"), (168, "6/8"))


def test_offline_all_is_visible_from_the_bar_of_the_first_note_on() -> None:
    player = FakePlayer()
    tune = (Note(120, 60, 24), Note(168, 62, 24))
    stage = perform(player, tune, until=192, song=SongInfo(AT_120, melody=tune, begin=15))
    assert player.asked[0].now == 16
    assert {(r.heard, r.melody) for r in player.asked} == {(None, tune)}
    assert stage.notes[0][0] == 96
    assert stage.counters.age_ticks.count == 0


# Playing


def test_notes_sound_at_their_ticks_to_the_nanosecond() -> None:
    player = only("bass", lambda request, step: 40 + step, length=4)
    stage = perform(player, [Note(0, 60, 24)], until=19, latency=10 * MS)
    assert [(m.at, m.due, m.data) for m in stage.sent] == [
        (at(6), at(6), bytes((0x91, 41, 80))),
        (at(10), at(10), bytes((0x81, 41, 0))),
        (at(12), at(12), bytes((0x91, 42, 80))),
        (at(16), at(16), bytes((0x81, 42, 0))),
        (at(18), at(18), bytes((0x91, 43, 80))),
        (at(19), at(19), bytes((0x81, 43, 0))),
        (at(19), at(19), bytes((0xB1, 123, 0))),
    ]


def test_every_role_has_its_channel() -> None:
    stage = perform(FakePlayer(), [Note(0, 60, 48)], until=48)
    assert {m.data[0] & 0x0F for m in stage.sent if m.data[0] & 0xF0 == 0x90} == {1, 2, 3, 9}


@pytest.mark.parametrize(
    ("latency", "isr", "lag", "age"),
    [
        (0, 1.0, 0, 3),
        (STEP // 2, 1.0, 0, 3),  # comes at the very moment
        (STEP // 2 + 1, 0.0, 1, 9),
        (STEP, 0.0, 1, 9),
        (STEP + STEP // 2 + 1, 0.0, 3, 21),  # the player is busy while the next question comes
    ],
)
def test_a_late_plan_is_stood_in_for_by_the_tail_of_the_one_before(
    latency: int, isr: float, lag: int, age: int
) -> None:
    player = numbered()
    stage = perform(player, [Note(0, 60, 24)], until=240, latency=latency)
    sounded = {tick // 6: number for tick, _, number, _ in stage.notes}
    late = [step - number for step, number in sounded.items() if step > 8]
    assert max(late) == lag
    assert stage.counters.isr == isr
    assert stage.counters.age_ticks.quantile(1) == age
    assert stage.counters.age_ns.count == stage.counters.onsets == len(stage.notes)


def test_the_share_in_time_when_every_fourth_plan_is_late() -> None:
    stage = perform(
        numbered(), [Note(0, 60, 24)], until=6 * 41, latency=lambda r: STEP if r.number % 4 == 0 else 10 * MS
    )
    counters = stage.counters
    assert (counters.steps, counters.in_time, counters.late) == (40, 30, 10)
    assert (counters.asked, counters.answered, counters.used) == (41, 41, 30)
    assert [(tick // 6, number) for tick, _, number, _ in stage.notes][:6] == [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 3),
        (5, 5),
        (6, 6),
    ]


def test_of_the_questions_that_wait_only_the_newest_is_answered() -> None:
    player = numbered()
    stage = perform(player, [Note(0, 60, 24)], until=120, latency=3 * STEP - MS)
    assert [r.number for r in player.asked] == [1, 3, 6, 9, 12, 15, 18]
    assert stage.counters.asked == 20


def test_a_failed_inference_lets_the_old_plan_go_on() -> None:
    def fails_at_4(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        if request.number == 4:
            raise ArithmeticError("out of tune")
        return {"bass": [Note(step * 6, request.number, 6)]}

    stage = perform(FakePlayer(fails_at_4, roles=("bass",)), [Note(0, 60, 24)], until=40)
    assert [(tick // 6, number) for tick, _, number, _ in stage.notes] == [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 3),
        (5, 5),
        (6, 6),
    ]
    assert stage.counters.failed == 1
    assert (stage.counters.steps, stage.counters.in_time) == (6, 5)


def test_a_step_without_any_plan_takes_what_comes_within_half_a_step() -> None:
    """The first plan is late: what it wants at the step's beginning is played late, not later than half a step."""

    def first_is_late(by: int) -> Stage:
        return perform(
            numbered(), [Note(0, 60, 24)], until=18, latency=lambda r: STEP // 2 + by if r.number == 1 else 0
        )

    assert first_is_late(30 * MS).notes[0] == (7, 1, 1, 5)
    assert first_is_late(30 * MS).sent[0].at == at(6) + 30 * MS
    assert first_is_late(62 * MS).notes[0] == (8, 1, 1, 4)
    assert first_is_late(84 * MS).notes[0] == (12, 1, 2, 6)
    assert first_is_late(84 * MS).counters.dropped == 1


def test_a_plan_is_taken_only_for_what_is_not_committed() -> None:
    """Sub-step onsets of a committed step stay as they were when a newer plan has them otherwise."""

    def early_and_late(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        return {"bass": [Note(step * 6 + 5, request.number, 1)]}

    late = perform(FakePlayer(early_and_late, roles=("bass",)), [Note(0, 60, 24)], until=36, latency=STEP // 2 + MS)
    assert [(tick, number) for tick, _, number, _ in late.notes] == [(11, 1), (17, 1), (23, 2), (29, 3), (35, 4)]


def test_an_old_end_does_not_end_a_newer_note_of_its_pitch() -> None:
    player = only("bass", lambda request, step: 40, length=9)
    stage = perform(player, [Note(0, 60, 24)], until=24)
    assert stage.notes == [(6, 1, 40, 6), (12, 1, 40, 6), (18, 1, 40, 6)]
    assert player.asked[-1].committed["bass"] == (Note(6, 40, 6), Note(12, 40, 6), Note(18, 40, 9))


@pytest.mark.parametrize(("wanted", "sounds"), [(30, 24), (12, 6), (9, 6), (60, 54)])
def test_a_newer_plan_moves_the_end_of_a_sounding_note(wanted: int, sounds: int) -> None:
    """wanted: the tick at which the second plan wants the note of tick 6 to end, which it never can before tick 12."""

    def one_note(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        return {"pad": [Note(6, 50, 12)] if request.now == step == 1 else []}

    def hold(request: PlanRequest) -> dict[str, tuple[Note, ...]]:
        return {"pad": (Note(6, 50, wanted - 6),)} if request.number == 2 else {}

    player = FakePlayer(one_note, roles=("pad",), hold=hold)
    stage = perform(player, [Note(0, 60, 24)], until=96)
    assert stage.notes == [(6, 3, 50, sounds)]
    assert player.asked[2].committed["pad"] == (Note(6, 50, max(6, wanted - 6)),)


def test_a_sounding_note_that_a_late_plan_wants_to_have_ended_ends_at_the_next_tick() -> None:
    def one_note(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        return {"pad": [Note(6, 50, 60)] if request.now == step == 1 else []}

    def hold(request: PlanRequest) -> dict[str, tuple[Note, ...]]:
        return {"pad": (Note(6, 50, 6),)} if request.number == 2 else {}

    player = FakePlayer(one_note, roles=("pad",), hold=hold)
    stage = perform(player, [Note(0, 60, 24)], until=96, latency=lambda r: STEP if r.number == 2 else 0)
    assert stage.notes == [(6, 3, 50, 9)]
    assert stage.sent[1].at == stage.sent[1].due == at(15)


def test_roles_that_a_plan_does_not_name_are_left_alone() -> None:
    class Halves(FakePlayer):
        def plan(self, request: PlanRequest) -> Plan:
            role = ("bass", "pad")[request.number % 2]
            notes = tuple(Note(s * 6, request.number, 6) for s in range(request.now, request.now + 16))
            return Plan(request.number, request.now, request.now + 16, request.heard, {role: notes})

    stage = perform(Halves(roles=("bass", "pad")), [Note(0, 60, 24)], until=30)
    assert [(tick // 6, channel, number) for tick, channel, number, _ in stage.notes] == [
        (1, 3, 1), (2, 1, 2), (2, 3, 1), (3, 1, 2), (3, 3, 3), (4, 1, 4), (4, 3, 3),
    ]  # fmt: skip


# Causality


def _before(stage: Stage, tick: int) -> list[tuple[int, bytes]]:
    return [(m.at, m.data) for m in stage.sent if m.at < at(tick)]


@examples(max_examples=30)
@given(st.integers(1, 15), st.lists(st.integers(48, 84), min_size=16, max_size=16), st.integers(0, 200))
def test_what_is_played_later_changes_nothing_before(cut: int, other: list[int], latency_ms: int) -> None:
    changed = TUNE[:cut] + [Note(n.start, p, n.length, 99) for n, p in zip(TUNE[cut:], other[cut:], strict=True)]
    one = perform(FakePlayer(), TUNE, latency=latency_ms * MS)
    two = perform(FakePlayer(), changed, latency=latency_ms * MS)
    assert _before(one, cut * 24) == _before(two, cut * 24)


def test_the_band_answers_a_melody_note_at_the_next_step() -> None:
    one = perform(FakePlayer(), TUNE, latency=10 * MS)
    two = perform(FakePlayer(), [*TUNE[:4], Note(96, 61, 20), *TUNE[5:]], latency=10 * MS)
    assert TUNE[4].pitch != 61
    differing = sorted(set(one.notes) ^ set(two.notes))
    assert differing[0][0] == 108  # this player plays pitched notes on every other step


def test_the_same_again_is_the_same_to_the_byte() -> None:
    assert perform(FakePlayer(), TUNE, latency=MS).sent == perform(FakePlayer(), TUNE, latency=MS).sent


# Tempo


@pytest.mark.parametrize("bpm_us", [1_500_000, 500_000, 200_000, 666_667, 461_538])
def test_from_40_to_300_bpm_all_is_in_time_and_at_the_same_ticks(bpm_us: int) -> None:
    usual = perform(FakePlayer(), TUNE, latency=10 * MS)
    stage = perform(FakePlayer(), TUNE, latency=10 * MS, tempo=TempoMap(bpm_us))
    assert stage.notes == usual.notes
    assert stage.counters.isr == 1.0
    assert stage.counters.age_ticks.buckets == usual.counters.age_ticks.buckets


def test_a_change_of_tempo_moves_no_tick() -> None:
    faster = ControlChange(at(100), "bpm", 240)
    changed = TempoMap(500_000)
    changed.change(100, 250_000)
    world, player = VirtualWorld(), only("bass", lambda request, step: step % 128)
    world.put(faster)
    for event in midi(TUNE, changed):
        world.put(event)
    world.put(Quit(changed.ns_at(384)))
    output = RecordingOutput(world)
    conductor = Conductor(world, output, InlineComposer(world, player, MS), player.info, SongInfo(TempoMap(500_000)))
    conductor.run()
    assert conductor.tempo is not None
    assert conductor.tempo.marks == changed.marks
    begun = [m.at for m in output.sent if m.data[0] == 0x91]
    assert begun == [changed.ns_at(step * 6) for step in range(1, 64)]


def test_a_tempo_between_two_ticks_begins_at_the_coming_one() -> None:
    stage = perform(FakePlayer(), TUNE, until=96, events=[ControlChange(at(50) + 1, "bpm", 60)])
    assert stage.conductor.tempo is not None
    assert stage.conductor.tempo.marks == ((0, 500_000), (51, 1_000_000))


# Sync start, pickup, count-in


def live(song: SongInfo, events: list[Event], until: int, player: FakePlayer | None = None) -> Stage:
    player = player or numbered()
    world = VirtualWorld()
    for event in (*events, Quit(until)):
        world.put(event)
    output = RecordingOutput(world)
    conductor = Conductor(world, output, InlineComposer(world, player, 10 * MS), player.info, song)
    conductor.run()
    return Stage(output.sent, conductor, conductor.counters)


def key(at_ns: int, pitch: int = 60, velocity: int = 80) -> MidiIn:
    return MidiIn(at_ns, bytes((0x90, pitch, velocity)))


def test_the_first_note_is_bar_1_beat_1() -> None:
    player = numbered()
    stage = live(SongInfo(bpm=120), [MidiIn(5, b"\xb0\x40\x7f"), key(777)], 777 + at(18), player)
    assert [m.at - 777 for m in stage.sent if m.data[0] == 0x91] == [at(6), at(12)]
    assert player.asked[0].melody == (Note(0, 60, 3),)


def test_a_pickup_comes_before_bar_1() -> None:
    player = numbered()
    stage = live(SongInfo(bpm=120, pickup=24), [key(777)], 777 + at(48), player)
    assert [(r.now, r.heard) for r in player.asked][:4] == [(-3, -21), (-2, -15), (-1, -9), (0, -3)]
    assert stage.notes[0][0] == -18
    assert stage.conductor.tempo is not None
    assert stage.conductor.tempo.ns_at(0) == 777 + at(24)


def test_a_count_in_clicks_and_says_where_bar_1_is() -> None:
    player = numbered()
    stage = live(SongInfo(bpm=120, count_in=1), [key(at(96) + 5)], at(96 + 18), player)
    clicks = [(m.at, m.data[1]) for m in stage.sent if m.data[0] == 0x99]
    assert clicks == [(at(0), 76), (at(24), 77), (at(48), 77), (at(72), 77)]
    assert player.asked[0].now == 1
    assert stage.notes[4][:2] == (6, 1)


def test_a_count_in_of_six_eighths_clicks_eighths() -> None:
    stage = live(SongInfo(bpm=120, count_in=1, metres=((0, Metre(6, 8)),)), [], at(72))
    assert [m.at for m in stage.sent if m.data[0] == 0x99] == [at(t) for t in range(0, 72, 12)]


def turn_controls(at_ns: int, **values: object) -> list[Event]:
    return [ControlChange(at_ns, key, value) for key, value in values.items()]


def test_a_metre_that_is_set_while_the_band_plays_holds_from_the_next_bar_line_on() -> None:
    player = numbered()
    stage = live(SongInfo(bpm=120), [key(0), *turn_controls(at(30), metre="3/4, 2: 2/4")], at(400), player)
    assert {(request.bar_origin, request.metre) for request in player.asked} == {
        *((0, Metre()), (96, Metre(3, 4)), (168, Metre(2, 4)))
    }
    assert [stage.conductor.find_bar(tick).start for tick in (95, 96, 170, 399)] == [0, 96, 168, 360]


def test_a_pickup_and_a_metre_that_are_set_before_the_first_note_hold_for_it() -> None:
    player = numbered()
    live(SongInfo(bpm=120), [*turn_controls(5, metre="3/4", pickup=1.0), key(777)], 777 + at(48), player)
    assert (player.asked[0].now, player.asked[0].bar_origin % 72) == (-3, 0)
    assert {request.metre for request in player.asked} == {Metre(3, 4)}


def test_a_pickup_as_long_as_a_bar_is_refused_and_so_is_a_bar_as_short_as_the_pickup() -> None:
    said: list[str] = []
    done: list[bool] = []
    changes = [
        ControlChange(at, key, value, done=done.append, explain=said.append)
        for at, key, value in [(1, "pickup", 4.0), (2, "pickup", 3.0), (3, "metre", "3/4"), (4, "metre", "9/8")]
    ]
    stage = live(SongInfo(), list(changes), 100)
    assert done == [False, True, False, True]
    assert said[0] == "pickup: takes beats from 0 to less than a bar of 4/4, not 4"
    assert (stage.conductor.settings.pickup, stage.conductor.settings.metre) == (3.0, "9/8")


def test_keys_that_are_no_melody_do_not_start_the_band() -> None:
    stage = live(SongInfo(), [MidiIn(5, b"\x99\x24\x50"), MidiIn(6, b"\xc0\x07"), MidiIn(7, b"\x80\x3c\x00")], 10**10)
    assert stage.sent == []
    assert stage.counters.asked == 0


# Controls


def test_mute_ends_what_sounds_in_a_role_at_once_and_unmute_finds_the_part_where_it_is() -> None:
    player = only("bass", lambda request, step: step, length=5)
    turns = [ControlChange(at(14) + 7, "mute.bass", True), ControlChange(at(30) + 7, "mute.bass", False)]
    stage = perform(player, [Note(0, 60, 24)], until=42, events=turns)
    assert stage.notes == [(6, 1, 1, 5), (12, 1, 2, 2), (36, 1, 6, 5)]
    assert [m.at for m in stage.sent if m.data[:2] == b"\x81\x02"] == [at(14) + 7]
    assert [n.pitch for n in player.asked[-1].committed["bass"]] == [1, 2, 3, 4, 5, 6]
    assert [sorted(r.settings.muted) for r in player.asked][1:3] == [[], ["bass"]]


def test_mute_leaves_other_roles_alone() -> None:
    usual = perform(FakePlayer(), TUNE)
    muted = perform(FakePlayer(), TUNE, events=[ControlChange(0, "mute.pad", True)])
    assert [n for n in usual.notes if n[1] != 3] == muted.notes


@pytest.mark.parametrize(
    ("key", "value", "velocity"),
    [
        ("level.bass", 0.5, 40), ("level.bass", 1.5, 120), ("level.pad", 0.5, 80),
        ("intensity", 0.7, 80), ("intensity", 1, 104), ("intensity", 0, 24),
    ],
)  # fmt: skip
def test_levels_and_intensity_are_heard_at_the_next_note(key: str, value: float, velocity: int) -> None:
    player = only("bass", lambda request, step: step, length=5)
    stage = perform(player, [Note(0, 60, 24)], until=30, events=[ControlChange(at(17), key, value)])
    assert [m.data[2] for m in stage.sent if m.data[0] == 0x91] == [80, 80, velocity, velocity]


def test_a_crescendo_of_eight_bars_is_followed_note_by_note() -> None:
    """The band gets louder by the power of 0.53 of a mean over four beats, at the next note that it begins."""
    velocities = [40 + 2 * beat for beat in range(32)]
    player = only("bass", lambda request, step: step % 100, length=5)
    stage = perform(player, [Note(24 * i, 60 + i % 5, 20, v) for i, v in enumerate(velocities)], until=32 * 24)
    levels = [40.0]
    for velocity in velocities[1:]:
        levels.append(velocity + (levels[-1] - velocity) * math.exp(-1 / 4))
    wanted = {at(6 * step): round(80 * (levels[step // 4] / 80) ** 0.53) for step in range(2, 128)}
    played = {m.due: m.data[2] for m in stage.sent if m.data[0] == 0x91 and at(12) <= m.due < at(32 * 24)}
    assert played == wanted
    assert (min(wanted.values()), max(wanted.values())) == (55, 88)


def test_no_velocity_is_out_of_range() -> None:
    player = only("bass", lambda request, step: step, length=5)
    settings = Settings(intensity=0.0, levels={"bass": 0.01})
    quiet = perform(player, [Note(0, 60, 24)], until=30, settings=settings)
    assert {m.data[2] for m in quiet.sent if m.data[0] == 0x91} == {1}
    settings = Settings(intensity=1.0, levels={"bass": 1.5})
    loud = perform(player, [Note(0, 60, 24, 127)], until=30, settings=settings)
    assert {m.data[2] for m in loud.sent if m.data[0] == 0x91} == {127}


def test_a_level_of_zero_is_silence() -> None:
    stage = perform(FakePlayer(), TUNE, events=[ControlChange(0, "level.pad", 0)])
    assert [n for n in perform(FakePlayer(), TUNE).notes if n[1] != 3] == stage.notes


@pytest.mark.parametrize(("played", "velocity"), [(80, 80), (40, 55), (120, 99)])
def test_the_band_follows_how_hard_one_plays(played: int, velocity: int) -> None:
    player = only("bass", lambda request, step: step, length=5)
    stage = perform(player, [Note(0, 60, 24, played)], until=12)
    assert stage.sent[0].data == bytes((0x91, 1, velocity))


@pytest.mark.parametrize(
    ("swing", "ticks"),
    [
        (0.0, [(6, 4), (12, 4), (18, 4), (24, 4), (30, 4)]),
        (0.5, [(7, 3), (12, 4), (19, 3), (24, 4), (31, 3)]),
        (1.0, [(8, 2), (12, 5), (20, 2), (24, 5), (32, 2)]),
    ],
)
def test_swing_delays_off_beat_sixteenths(swing: float, ticks: list[tuple[int, int]]) -> None:
    player = only("bass", lambda request, step: step, length=4)
    stage = perform(player, [Note(0, 60, 24)], until=36, settings=Settings(swing=swing))
    assert [(tick, length) for tick, _, _, length in stage.notes] == ticks
    assert [n.start for n in player.asked[-1].committed["bass"]] == [6, 12, 18, 24, 30]


def test_a_command_that_makes_no_sense_is_refused_and_nothing_else() -> None:
    wrong = [
        ControlChange(at(20), "style", "polka"),
        ControlChange(at(20), "bpm", 0),
        ControlChange(at(20), "density", "much"),
        ControlChange(at(20), "louder", 1),
    ]
    stage = perform(FakePlayer(), TUNE, events=wrong)
    assert stage.counters.refused == 4
    assert stage.sent == perform(FakePlayer(), TUNE).sent


def test_a_style_switch_is_played_from_the_next_plan_on_without_a_gap() -> None:
    player = only("bass", lambda request, step: 40 if request.settings.style == "pop" else 50, length=5)
    stage = perform(player, TUNE, until=60, events=[ControlChange(at(32), "style", "rock")])
    assert [(tick // 6, pitch) for tick, _, pitch, _ in stage.notes] == [
        (1, 40), (2, 40), (3, 40), (4, 40), (5, 40), (6, 50), (7, 50), (8, 50), (9, 50),
    ]  # fmt: skip


def test_panic_silences_at_once_and_the_next_plan_goes_on() -> None:
    player = only("bass", lambda request, step: step, length=5)
    stage = perform(player, [Note(0, 60, 24)], until=36, events=[ControlChange(at(13) + 9, "panic", True)])
    assert stage.notes == [(6, 1, 1, 5), (12, 1, 2, 1), (18, 1, 3, 5), (24, 1, 4, 5), (30, 1, 5, 5)]
    assert (at(13) + 9, b"\xb1\x7b\x00") in [(m.at, m.data) for m in stage.sent]


def test_after_stop_nothing_sounds_until_start_and_a_melody_note() -> None:
    player = only("bass", lambda request, step: step, length=5)
    turns = [ControlChange(at(14), "stop", True), ControlChange(at(60), "start", True)]
    stage = perform(player, TUNE, until=102, events=turns, latency=10 * MS)
    assert [n[0] for n in stage.notes] == [6, 12, 78, 84, 90, 96]
    assert stage.notes[1] == (12, 1, 2, 2)


def test_a_plan_asked_before_a_stop_is_not_played_after_it() -> None:
    turns = [ControlChange(at(10), "stop", True), ControlChange(at(10), "start", True)]
    late = perform(numbered(), [Note(0, 60, 4), Note(12, 62, 12)], until=30, events=turns, latency=3 * STEP)
    assert late.notes == []


def test_live_the_note_after_a_stop_begins_a_later_bar() -> None:
    start = 777
    again = start + at(120) + 5  # in the second bar, anywhere
    events: list[Event] = [
        key(start),
        ControlChange(start + at(50), "stop", True),
        key(start + at(60), 64),
        ControlChange(start + at(100), "start", True),
        key(again, 67),
    ]
    player = only("bass", lambda request, step: step % 128, length=5)
    stage = live(SongInfo(bpm=120), events, again + at(18), player)
    sounded = [m.at for m in stage.sent if m.data[0] == 0x91]
    assert sounded == [start + at(t) for t in range(6, 49, 6)] + [again + at(6), again + at(12)]
    assert next((r.now, r.melody) for r in player.asked if r.now > 30) == (33, (Note(192, 67, 3),))


def test_a_tempo_set_before_the_first_note_is_the_tempo() -> None:
    stage = live(SongInfo(bpm=120), [ControlChange(5, "bpm", 60), key(777)], 777 + at(48))
    assert [m.at - 777 for m in stage.sent if m.data[0] == 0x91] == [at(12), at(24), at(36)]


# Whatever happens, no note is left on (`pairs` says so)

_KEYS: st.SearchStrategy[tuple[str, object]] = st.one_of(
    st.tuples(st.just("panic"), st.just(True)),
    st.tuples(st.just("stop"), st.just(True)),
    st.tuples(st.just("start"), st.just(True)),
    st.tuples(st.sampled_from(["mute.bass", "mute.chords", "mute.drums", "mute.pad"]), st.booleans()),
    st.tuples(st.just("bpm"), st.sampled_from([40, 97.3, 120, 300])),
    st.tuples(st.just("swing"), st.sampled_from([0, 0.4, 1])),
    st.tuples(st.just("style"), st.sampled_from(["pop", "rock"])),
)
_PLAYED = st.builds(
    bytes, st.tuples(st.sampled_from([0x80, 0x90, 0xB0]), st.sampled_from([60, 64, 67, 123]), st.integers(0, 127))
)
_LENGTHS: st.SearchStrategy[Callable[[PlanRequest, int], int]] = st.sampled_from(
    [lambda request, step: step % 3 + 40, lambda request, step: 40, lambda request, step: (request.number * 7) % 128]
)


@examples(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3_000), _KEYS), max_size=8),
    st.lists(st.tuples(st.integers(0, 3_000), _PLAYED), max_size=20),
    st.integers(0, 400),
    _LENGTHS,
    st.integers(1, 40),
    st.integers(0, 3_500),
    st.booleans(),
)
def test_no_note_is_left_on(
    turns: list[tuple[int, tuple[str, object]]],
    played: list[tuple[int, bytes]],
    latency_ms: int,
    pitch: Callable[[PlanRequest, int], int],
    length: int,
    quit_ms: int,
    anchored: bool,
) -> None:
    player = only("bass", pitch, length)
    player.hold = lambda r: {
        "bass": tuple(Note(n.start, n.pitch, 1 + (n.length * 5) % 30) for n in r.committed["bass"])
    }
    events: list[Event] = [ControlChange(ms * MS, *turn) for ms, turn in turns]
    events += [MidiIn(ms * MS, data) for ms, data in played]
    world = VirtualWorld()
    for event in (*events, Quit(quit_ms * MS)):
        world.put(event)
    output = RecordingOutput(world)
    composer = InlineComposer(world, player, latency_ms * MS)
    Conductor(world, output, composer, player.info, SongInfo(TempoMap(500_000) if anchored else None)).run()
    pairs(output.sent)
    assert all(m.at >= m.due for m in output.sent)
    assert all(m.at <= quit_ms * MS for m in output.sent)


@examples(max_examples=20)
@given(st.lists(st.binary(max_size=6), max_size=50))
def test_hostile_bytes_are_survived(garbage: list[bytes]) -> None:
    events = [MidiIn(at(i * 3), data) for i, data in enumerate(garbage)]
    stage = perform(FakePlayer(), TUNE, events=events)
    pairs(stage.sent)


def test_malformed_bytes_change_nothing() -> None:
    garbage = [
        b"",
        b"\x90",
        b"\x90\x3c",
        b"\x3c\x3c\x3c",
        b"\x90\x80\x50",
        b"\x90\x3c\xff",
        b"\xf0\x01\x02\xf7",
        b"\xff",
        b"\xf8",
    ]
    events = [MidiIn(at(7), data) for data in garbage * 100]
    assert perform(FakePlayer(), TUNE, events=events).sent == perform(FakePlayer(), TUNE).sent


def test_an_exception_ends_what_sounds() -> None:
    world, player = VirtualWorld(), only("bass", lambda request, step: step, length=24)

    class Broken(InlineComposer):
        def ask(self, request: PlanRequest) -> None:
            if request.number == 4:
                raise ArithmeticError("out of tune")
            super().ask(request)

    for event in midi([Note(0, 60, 24)], AT_120):
        world.put(event)
    output = RecordingOutput(world)
    conductor = Conductor(world, output, Broken(world, player), player.info, SongInfo(TempoMap(500_000)))
    with pytest.raises(ArithmeticError):
        conductor.run()
    assert len(pairs(output.sent)) == 3
    assert [m.data for m in output.sent][-4:] == [b"\x81\x01\x00", b"\x81\x02\x00", b"\x81\x03\x00", b"\xb1\x7b\x00"]


@pytest.mark.parametrize(("seconds", "first"), [(1, [0, 3, 9]), (19, [3, 9, 15])])
def test_after_the_machine_stood_still_the_band_is_where_it_would_have_been(seconds: int, first: list[int]) -> None:
    """A plan's tail still covers what comes after a second; later there is nothing before the next plan."""
    player = only("bass", lambda request, step: step % 128, length=24)
    world = StandingStill(at(27), seconds * 1_000 * MS)
    resumed = AT_120.tick_at(at(27) + seconds * 1_000 * MS)
    for event in midi([Note(0, 60, 24)], AT_120):
        world.put(event)
    world.put(Quit(at(resumed + 30)))
    output = RecordingOutput(world)
    conductor = Conductor(world, output, InlineComposer(world, player), player.info, SongInfo(TempoMap(500_000)))
    conductor.run()
    onsets = [AT_120.tick_at(on) for _, _, on, _ in sorted(pairs(output.sent), key=lambda pair: pair[2])]
    assert onsets[:4] == [6, 12, 18, 24]
    assert onsets[4:7] == [resumed + tick for tick in first]
    assert conductor.counters.isr is not None
    assert conductor.counters.isr < 1
    assert conductor.counters.asked < 20


@pytest.mark.parametrize("told", [False, True])
def test_after_a_sleep_the_band_begins_again_with_the_next_note(told: bool) -> None:
    """told: by the system, whose clock stands still meanwhile; otherwise the clock has leapt."""
    player = only("bass", lambda request, step: step % 128, length=24)
    world = VirtualWorld() if told else StandingStill(at(27), 3_600 * 1_000 * MS)
    awake = at(27) + (0 if told else 3_600 * 1_000 * MS)
    for event in midi([Note(0, 60, 400)], AT_120):
        world.put(event)
    if told:
        world.put(SystemResumed(awake))
    again = awake + 2_500 * MS + 7
    for event in midi([Note(0, 60, 24), Note(24, 62, 24)], TempoMap(500_000, 0, again)):
        world.put(event)
    world.put(Quit(again + 1_000 * MS))
    output = RecordingOutput(world)
    conductor = Conductor(world, output, InlineComposer(world, player), player.info, SongInfo())
    conductor.run()
    sounded = sorted(pairs(output.sent), key=lambda pair: pair[2])
    before = [pair for pair in sounded if pair[2] < again]
    assert [on for _, _, on, _ in before] == [at(6), at(12), at(18), at(24)]
    assert max(off for *_, off in before) == awake
    onsets = [on for _, _, on, _ in sounded if on > again]
    assert onsets == [again + i * 125 * MS for i in range(1, 8)]
    request = player.asked[-1]
    assert conductor.tempo is not None
    assert conductor.tempo.tick_at(again) % 96 == request.bar_origin == 0
    assert (conductor.counters.stalls, conductor.counters.isr) == (1, 1.0)


def test_a_long_song_leaves_nothing_behind() -> None:
    player = FakePlayer()
    player.asked = type("Last", (list,), {"append": lambda self, request: self.__setitem__(slice(None), [request])})()
    stage = perform(player, [Note(i * 48, 60 + i % 5, 40) for i in range(300)], until=14_400)
    schedule = stage.conductor._band.schedule
    assert sum(len(part.notes) for part in schedule._parts.values()) < 400
    assert len(schedule._heap) == 0
    assert len(stage.conductor._band.input.melody._past) < 20


# Waiting


def reasons_to_wait(
    moments: list[int], *events: Event, song: SongInfo | None = None, clock: Clock | None = None
) -> list[str]:
    """Return what the band waits for at each of these moments (ms)."""
    world, player, found = VirtualWorld(), FakePlayer(), list[str]()
    composer = InlineComposer(world, player)
    conductor = Conductor(world, RecordingOutput(world), composer, player.info, song, clock=clock)
    for event in (*events, Quit(moments[-1] * MS + 1)):
        world.put(event)
    for moment in moments:
        world.call(moment * MS, lambda: found.append(conductor.waiting_for))
    conductor.run()
    return found


def test_what_is_waited_for_is_said_truly() -> None:
    note = MidiIn(500 * MS, b"\x90\x3c\x50")
    turned = [ControlChange(1000 * MS, "stop", True), ControlChange(1500 * MS, "start", True)]
    assert reasons_to_wait([100, 600, 1100, 1600], note, *turned) == ["note", "", "start", "note"]
    counted = SongInfo(count_in=1)
    assert reasons_to_wait([100, 1999, 2001], song=counted) == ["count-in", "count-in", "note"]


def test_a_clock_that_is_followed_is_waited_for() -> None:
    ticks = [MidiIn(round((1000 + i * 1000 / 48) * MS), b"\xf8") for i in range(96)]
    rolling = [MidiIn(999 * MS, b"\xfa"), *ticks[:48], MidiIn(2000 * MS, b"\xfc")]
    played = MidiIn(1500 * MS, b"\x90\x3c\x50")
    moments = [900, 1400, 1600, 2100]
    assert reasons_to_wait(moments, *rolling, played, clock=MidiClock(500_000)) == ["clock", "note", "", "clock"]
    assert reasons_to_wait(moments, *rolling, played, clock=MidiClock(500_000, False)) == ["note", "note", "", "clock"]
    tempo_only = MidiClock(500_000, tempo_without_start=True)
    assert reasons_to_wait([900, 1900], *ticks, clock=tempo_only) == ["clock", "note"]


# What concerns no key


class KeyOwners:
    """All that keep account of the player's keys, with some of them down and a pedal."""

    def __init__(self) -> None:
        self.channels = MelodyChannels()
        self.melody, self.loop = MelodyTracker(0, self.channels), EditLoop(self.channels)
        self.hand = HandKeys(lambda tick: 0, self.channels.has)
        for tick, data in enumerate((b"\xb0\x40\x7f", b"\x90\x3c\x50", b"\x91\x40\x50", b"\x90\x43\x50")):
            self.hear(tick, data)

    def hear(self, tick: int, data: bytes) -> tuple[bool, ...]:
        """Take in a message; return whether anything came of it."""
        done = self.channels.hear(data), self.loop.hear(tick, data, False, 1), self.hand.hear(tick, data, 0)
        return (*map(bool, done), self.melody.hear(tick, data))

    def describe(self) -> list[str]:
        """Return the state of all, but for the time of the last message."""
        owners = self.channels, self.melody, self.loop, self.hand, self.hand.reader
        return [f"{key} {value}" for owner in owners for key, value in vars(owner).items() if key != "_last"]


@given(st.integers(0x80, 0xEF), st.integers(0, 127), st.integers(0, 127))
def test_what_does_not_concern_keys_would_change_nothing(status: int, number: int, value: int) -> None:
    data = bytes((status, number, value)[: 2 if 0xC0 <= status < 0xE0 else 3])
    owners = KeyOwners()
    before = owners.describe()
    assert concerns_keys(data) or (not any(owners.hear(5, data)) and owners.describe() == before)
