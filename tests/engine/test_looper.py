"""The loop on virtual time: what goes round, and when an edit is heard, exactly."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.control.publisher import Publisher
from daemon.core.events import ControlChange, Event, MidiIn, PortsBack, PortsLost, Quit
from daemon.core.observers import ObservedOutput, ObservedWorld, Observer
from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.looper import EditLoop
from daemon.engine.song import SongInfo
from daemon.live.edit_log import EditLog
from daemon.live.listeners import Listeners
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from daemon.players.ensemble import Ensemble
from daemon.players.player import Player
from music.edits.edit import ADD, REMOVE, Edit
from music.edits.sysex import decode_sysex
from music.note import Metre, Note
from tests.support.fakes import MS, FakePlayer, Stage, midi, only, perform

AT_120 = TempoMap(500_000)
STEP = 125 * MS
LOOPING = Settings(style="chorale", technique="arcnn", loop_bars=1, edits_per_second=50.0, remove_max=100.0)
Asked = Callable[[PlanRequest], list[Edit]]


def at(tick: int) -> int:
    return AT_120.ns_at(tick)


@dataclass
class Editor(Player):
    """Answers with what `edits` says, or with what is due at the step it is asked for."""

    edits: Asked = lambda request: []
    asked: list[PlanRequest] = field(default_factory=list)

    info = PlayerInfo(128, 128, 64, ("edits",), ("chorale", "pop"), ("arcnn",), ("arcnn",))

    def plan(self, request: PlanRequest) -> Plan:
        self.asked.append(request)
        made = self.edits(request) if request.loop is not None and request.loop.wanted_edits else []
        last = request.now + self.info.future_steps
        return Plan(request.number, request.now, last, request.heard, {"edits": ()}, edits=tuple(made))


def once(now: int, *edits: Edit) -> Asked:
    return lambda request: list(edits) if request.now == now else []


def add(step: int, pitch: int, length: int = 1) -> Edit:
    return Edit(1, ADD, step, pitch, length, 80)


def remove(step: int, pitch: int, length: int = 1) -> Edit:
    return Edit(1, REMOVE, step, pitch, length, 80)


def play(
    melody: Iterable[Note],
    edits: Asked = lambda request: [],
    *,
    until: int,
    settings: Settings = LOOPING,
    events: Iterable[Event] = (),
    latency: int = 0,
    song: SongInfo | None = None,
) -> Stage:
    player = Editor(edits)
    return perform(
        player,
        melody,
        until=until,
        settings=settings,
        events=events,
        latency=latency,
        song=song,
    )


def heard(stage: Stage) -> list[tuple[int, int, int]]:
    """(tick, pitch, ticks) of what sounds on the loop's channel."""
    return [(tick, pitch, ticks) for tick, channel, pitch, ticks in stage.notes if channel == 4]


BAR = [Note(0, 60, 24), Note(48, 64, 12)]


# Going round


def test_what_was_played_comes_again_a_loop_later_and_for_ever() -> None:
    stage = play(BAR, until=96 * 4)
    assert heard(stage) == [(96 * n + tick, pitch, ticks) for n in (1, 2, 3) for tick, pitch, ticks in
                            ((0, 60, 24), (48, 64, 12))]  # fmt: skip
    assert stage.counters.isr == 1.0


@pytest.mark.parametrize("bars", range(1, 9))
def test_the_last_n_bars_go_round(bars: int) -> None:
    tune = [Note(96 * bar, 60 + bar, 24) for bar in range(bars)]
    settings = Settings(style="chorale", technique="arcnn", loop_bars=bars)
    found = heard(play(tune, until=96 * bars * 2, settings=settings))
    assert found == [(96 * (bars + bar), 60 + bar, 24) for bar in range(bars)]


def test_notes_played_between_steps_go_round_on_the_grid() -> None:
    assert heard(play([Note(4, 60, 10)], until=192)) == [(102, 60, 6)]


def test_all_keys_go_round_and_not_the_top_voice_alone() -> None:
    chord = [Note(0, pitch, 12) for pitch in (60, 64, 67)]
    assert heard(play(chord, until=190)) == [(96, pitch, 12) for pitch in (60, 64, 67)]


def test_a_note_held_over_the_end_goes_round_over_it() -> None:
    found = heard(play([Note(0, 72, 6), Note(84, 60, 24)], until=96 * 3 - 1, settings=Settings(
        style="chorale", technique="arcnn", loop_bars=1, overdub=True)))  # fmt: skip
    assert found == [(96, 72, 6), (180, 60, 24), (192, 72, 6), (276, 60, 11)]


def test_playing_again_replaces_the_bars_that_are_played_in() -> None:
    tune = [Note(0, 60, 12), Note(48, 62, 12), Note(96, 64, 12), Note(192 + 48, 72, 12)]
    settings = Settings(style="chorale", technique="arcnn", loop_bars=2)
    found = heard(play(tune, until=96 * 6, settings=settings))
    # bar 3 is bar 1 of the loop again: what it had from its beat 3 on is gone at once, all of it the next time round
    assert found == [(192, 60, 12), (288, 64, 12), (384 + 48, 72, 12), (480, 64, 12)]


def test_overdubbing_adds_to_what_is_there() -> None:
    tune = [Note(0, 60, 12), Note(48, 62, 12), Note(96 + 24, 72, 12)]
    settings = Settings(style="chorale", technique="arcnn", loop_bars=1, overdub=True)
    found = heard(play(tune, until=96 * 3, settings=settings))
    assert found == [(96, 60, 12), (144, 62, 12), (192, 60, 12), (216, 72, 12), (240, 62, 12)]


def test_replacing_ends_what_sounds_of_the_bar() -> None:
    tune = [Note(0, 60, 90), Note(96 + 30, 72, 6)]
    assert heard(play(tune, until=96 * 3)) == [(96, 60, 30), (192 + 30, 72, 6)]


@pytest.mark.parametrize("metre", ["3/4", "6/8", "5/4", "2/4"])
def test_in_any_metre(metre: str) -> None:
    numerator, denominator = map(int, metre.split("/"))
    made = Metre(numerator, denominator)
    song = SongInfo(AT_120, metres=((0, made),))
    bar = made.ticks_per_bar
    assert heard(play([Note(0, 60, 12)], until=3 * bar, song=song)) == [(bar, 60, 12), (2 * bar, 60, 12)]


def test_a_loop_goes_by_bars_of_another_metre_from_where_they_begin() -> None:
    """Two bars of 4/4 and then 3/4, as another chart's may be: the last 3/4 that were played go round."""
    song = SongInfo(AT_120, metres=((0, Metre()), (192, Metre(3, 4))))
    found = heard(play([Note(0, 60, 12), Note(168, 64, 12)], until=192 + 3 * 72, song=song))
    assert found == [(96, 60, 12), *((192 + 48 + 72 * turn, 64, 12) for turn in range(3))]


def test_a_pause_does_not_end_a_loop() -> None:
    settings = Settings(style="chorale", technique="arcnn", loop_bars=1, pause_bars=1)
    assert len(heard(play([Note(0, 60, 12)], until=96 * 9, settings=settings))) == 8


# Edits


def test_an_edit_ahead_of_the_playhead_sounds_in_this_pass_one_behind_it_in_the_next() -> None:
    # answered in the middle of step 20, which is step 4 of the loop's second pass
    stage = play(BAR, once(21, add(5, 70), add(4, 71), add(3, 72)), until=96 * 3)
    edits = [(tick, pitch) for tick, pitch, _ in heard(stage) if pitch >= 70]
    assert edits == [(96 + 30, 70), (192 + 18, 72), (192 + 24, 71), (192 + 30, 70)]


def test_an_answer_that_takes_a_while_is_ahead_or_behind_when_it_comes() -> None:
    stage = play(BAR, once(21, add(5, 70), add(6, 71)), until=96 * 2, latency=STEP)
    assert [(tick, pitch) for tick, pitch, _ in heard(stage) if pitch >= 70] == [(96 + 36, 71)]


def test_removing_a_sounding_note_ends_it_at_once() -> None:
    stage = play([Note(0, 60, 72)], once(21, remove(0, 60, 12)), until=96 * 3)
    assert heard(stage) == [(96, 60, 27)]  # the middle of step 20, and it does not come again


def test_removing_one_that_has_not_come_yet() -> None:
    assert heard(play(BAR, once(21, remove(8, 64, 2)), until=96 * 3)) == [(96, 60, 24), (192, 60, 24)]


def test_edits_in_the_first_pass_are_heard_while_it_is_still_recorded() -> None:
    found = heard(play([Note(0, 60, 12)], once(4, add(4, 67, 2)), until=190))
    assert found == [(24, 67, 12), (96, 60, 12), (96 + 24, 67, 12)]


def test_edits_a_second_are_limited() -> None:
    """120 bpm, 8 steps a second: at 2 edits a second one every fourth step."""
    every = lambda request: [add(step, 72) for step in range(16)]  # noqa: E731
    settings = Settings(style="chorale", technique="arcnn", loop_bars=1, edits_per_second=2.0)
    stage = play([Note(0, 60, 12)], every, until=240, settings=settings)
    assert [told.at for told in stage.conductor.loop.applied] == [at(tick) for tick in range(27, 240, 24)]
    assert [told.edit.step for told in stage.conductor.loop.applied] == list(range(9))


def test_no_edits_a_second_are_none() -> None:
    settings = Settings(style="chorale", technique="arcnn", loop_bars=1, edits_per_second=0.0)
    stage = play(BAR, lambda request: [add(1, 72)], until=400, settings=settings)
    assert not stage.conductor.loop.applied


@pytest.mark.parametrize(
    ("key", "value", "made"),
    [
        ("add_max", 0, ["remove"]),
        ("remove_max", 0.0, ["add"]),
        ("lock_bars", "1", []),
        ("lock_pitches", "60", ["add"]),
        ("register_low", 61, ["add"]),
        ("register_high", 65, ["remove"]),
    ],
)
def test_what_is_forbidden_while_an_answer_is_under_way_is_not_done(key: str, value: object, made: list[str]) -> None:
    turned = [ControlChange(at(96 + 30), key, value)]  # asked in the middle of step 20, answered a step later
    stage = play(BAR, once(21, add(9, 70), remove(0, 60, 4)), until=290, latency=STEP, events=turned)
    assert [told.edit.action for told in stage.conductor.loop.applied] == made


def test_a_cap_is_exact_though_two_answers_know_nothing_of_each_other() -> None:
    settings = Settings(style="chorale", technique="arcnn", loop_bars=1, edits_per_second=50.0, add_max=3)
    stage = play(BAR, lambda request: [add(request.now % 16, 70), add(request.now % 16, 72)], until=600,
                 latency=STEP, settings=settings)  # fmt: skip
    assert len(stage.conductor.loop.applied) == 3


def test_an_edit_that_does_not_fit_any_more_is_left_out() -> None:
    stage = play(BAR, once(21, add(1, 60), remove(3, 50), add(9, 64)), until=290)
    assert not stage.conductor.loop.applied


def test_an_answer_to_a_question_from_before_something_was_played_is_dropped() -> None:
    tune = [*BAR, Note(96 + 30, 72, 12)]
    edits = once(21, add(14, 70))
    assert play(BAR, edits, until=290, latency=STEP).conductor.loop.applied
    assert not play(tune, edits, until=290, latency=STEP).conductor.loop.applied


def test_undo_takes_edits_back_newest_first() -> None:
    undo = [ControlChange(at(tick), "undo", True) for tick in (140, 150, 160)]
    stage = play(BAR, once(18, remove(0, 60, 4), add(12, 70)), until=96 * 3, events=undo)
    told = [(t.edit.action, t.edit.pitch, t.undone) for t in stage.conductor.loop.applied]
    assert told == [("remove", 60, False), ("add", 70, False), ("remove", 70, True), ("add", 60, True)]
    assert heard(stage) == [(96, 60, 9), (144, 64, 12), (192, 60, 24), (240, 64, 12)]


def test_what_was_taken_back_is_not_done_again_until_something_new_is_played_there() -> None:
    again = lambda request: [add(12, 70), remove(0, 60, 4)]  # noqa: E731
    undo = [ControlChange(at(150), "undo", True), ControlChange(at(151), "undo", True)]
    stage = play(BAR, again, until=96 * 6, events=undo)
    assert [(t.edit.action, t.undone) for t in stage.conductor.loop.applied][-2:] == [("add", True), ("remove", True)]
    tune = [*BAR, Note(96 * 3 + 30, 65, 6)]  # replaces the bar, in which C may now be edited again
    more = [told.edit.pitch for told in play(tune, again, until=96 * 6, events=undo).conductor.loop.applied][4:]
    assert more == [70]


def test_undoing_what_sounds_ends_it() -> None:
    stage = play(BAR, once(18, add(2, 70, 6)), until=190, events=[ControlChange(at(96 + 20), "undo", True)])
    assert [n for n in heard(stage) if n[1] == 70] == [(96 + 12, 70, 8)]


def test_edits_are_told_as_sysex_where_that_is_wanted() -> None:
    settings = Settings(style="chorale", technique="arcnn", loop_bars=2, edits_per_second=50.0, edit_sysex=True)
    stage = play(BAR, once(21, add(20, 70, 3), remove(0, 60, 4)), until=200, settings=settings)
    messages = [(m.at, decode_sysex(m.data)) for m in stage.sent if m.data[0] == 0xF0]
    told = [(when, a.action, a.bar, a.step, a.pitch, a.length) for when, a in messages]
    assert told == [(at(123), "add", 2, 4, 70, 3), (at(123), "remove", 1, 0, 60, 4)]


def test_the_player_is_shown_the_loop_and_what_it_may_do() -> None:
    player = Editor(once(18, add(2, 70, 6)))
    perform(player, BAR, until=140, settings=LOOPING)
    state = player.asked[-1].loop
    assert state is not None
    assert (state.steps, state.bars, state.given, state.removed) == (16, (0,), 2, 0)
    assert state.notes == ((0, 60, 4, 80, False), (2, 70, 6, 80, True), (8, 64, 2, 80, False))
    assert [r.loop.request_count for r in player.asked if r.loop] == list(range(1, len(player.asked) + 1))


# Switching


def band(edits: Asked = lambda request: []) -> Ensemble:
    return Ensemble({"gan": only("bass", lambda request, step: 36, length=12), "arcnn": Editor(edits)})


def switched(settings: Settings, events: list[Event], until: int, edits: Asked = lambda request: []) -> Stage:
    return perform(band(edits), BAR, until=until, settings=settings, events=events)


def test_switching_away_ends_the_loop_at_once() -> None:
    away = ControlChange(at(96 + 10), "technique", "gan")
    stage = switched(LOOPING, [away], 96 * 3)
    assert heard(stage) == [(96, 60, 10)]
    assert {channel for _, channel, *_ in stage.notes} == {1, 4}


def test_switching_to_it_takes_up_the_last_bars_that_were_played() -> None:
    to = ControlChange(at(96 - 10), "technique", "arcnn")
    settings = Settings(style="pop", technique="gan", loop_bars=1)
    stage = switched(settings, [to], 96 * 3)
    assert heard(stage) == [(96, 60, 24), (144, 64, 12), (192, 60, 24), (240, 64, 12)]
    bass = [tick for tick, channel, *_ in stage.notes if channel == 1]
    assert max(bass) <= 96  # the other player rests from the next answer on


def test_there_and_back_again_and_nothing_is_left_on() -> None:
    events: list[Event] = [
        ControlChange(at(tick), "technique", name)
        for tick, name in ((50, "gan"), (100, "arcnn"), (150, "gan"), (160, "arcnn"), (200, "gan"))
    ]
    stage = switched(LOOPING, events, 96 * 4, lambda request: [add(request.now % 16, 72, 9)])
    assert stage.notes  # `notes` fails on what is left on


@pytest.mark.parametrize("key", ["stop", "panic"])
def test_stop_and_panic_end_all_and_only_stop_forgets(key: str) -> None:
    stage = play([Note(0, 60, 72)], until=96 * 3, events=[ControlChange(at(96 + 20), key, True)])
    assert heard(stage) == [(96, 60, 20)] + ([] if key == "stop" else [(192, 60, 72)])


def test_more_bars_repeat_what_there_was_and_fewer_keep_the_last() -> None:
    tune = [Note(96 * bar, 60 + bar, 12) for bar in range(4)]
    settings = Settings(style="chorale", technique="arcnn", loop_bars=4)
    fewer = [ControlChange(at(96 * 4 - 20), "loop_bars", 2)]
    found = heard(play(tune, until=96 * 6, settings=settings, events=fewer))
    assert found == [(384, 62, 12), (480, 63, 12)]
    more = [ControlChange(at(96 * 2 - 20), "loop_bars", 4)]
    settings = Settings(style="chorale", technique="arcnn", loop_bars=2)
    found = heard(play(tune[:2], until=96 * 6, settings=settings, events=more))
    assert found == [(96 * bar, 60 + bar % 2, 12) for bar in range(2, 6)]


def test_lost_ports_leave_nothing_on_and_the_loop_goes_on() -> None:
    events: list[Event] = [PortsLost(at(100)), PortsBack(at(120))]
    stage = play([Note(0, 60, 72)], until=96 * 3, events=events)
    sent = [(m.at, m.data) for m in stage.sent if m.data[0] & 0xF0 in (0x80, 0x90)]
    on, off = b"\x94\x3c\x50", b"\x84\x3c\x00"
    # the second end makes up for the first, which nobody may have heard
    assert sent == [(at(96), on), (at(100), off), (at(120), off), (at(192), on), (at(264), off)]


@given(
    st.lists(st.tuples(st.integers(0, 380), st.integers(58, 64), st.integers(1, 100)), max_size=12),
    st.lists(st.tuples(st.integers(1, 64), st.integers(0, 31), st.integers(58, 64), st.integers(1, 20)), max_size=12),
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from(
                [("undo", True), ("panic", True), ("stop", True), ("start", True), ("overdub", "toggle"),
                 ("technique", "gan"), ("technique", "arcnn"), ("loop_bars", 1), ("loop_bars", 3), ("swing", 1.0),
                 ("offset_ms.edits", 30.0), ("humanise", 1.0)]
            ),
        ),
        max_size=8,
    ),
    st.integers(0, 300),
)  # fmt: skip
def test_whatever_happens_every_note_ends_once(
    tune: list[tuple[int, int, int]],
    edits: list[tuple[int, int, int, int]],
    turned: list[tuple[int, tuple[str, object]]],
    latency: int,
) -> None:
    def answer(request: PlanRequest) -> list[Edit]:
        rows = {(s, p): length for s, p, length, *_ in request.loop.notes} if request.loop else {}
        found = []
        for now, step, pitch, length in edits:
            if now == request.now:
                there = rows.get((step, pitch))
                found.append(remove(step, pitch, there) if there else add(step, pitch, length))
        return found

    events: list[Event] = [ControlChange(at(tick), key, value) for tick, (key, value) in turned]
    for start, pitch, length in tune:
        events += [MidiIn(at(start), bytes((0x90, pitch, 80))), MidiIn(at(start + length), bytes((0x80, pitch, 0)))]
    settings = Settings(style="chorale", technique="arcnn", loop_bars=2, edits_per_second=50.0)
    stage = perform(band(answer), until=420, events=events, settings=settings, latency=latency * MS)
    if stage.conductor.tempo is not None:
        assert stage.notes is not None  # `notes` fails on what is left on and on what begins twice


def test_a_loop_that_nothing_goes_round_in_says_nothing() -> None:
    loop = EditLoop()
    assert loop.state(0, LOOPING) is None
    assert not loop.take([add(0, 60)], 1, 0, 0, LOOPING)
    assert not loop.undo(1, 0, 0)
    assert not loop.notes_at(3)


def test_a_gan_alone_knows_no_loop() -> None:
    player = FakePlayer()
    perform(player, BAR, until=100, settings=LOOPING)
    assert all(request.loop is None for request in player.asked)


# Telling


class Watcher:
    """Wants to hear of some topics."""

    def __init__(self, *wanted: str) -> None:
        self.wanted = frozenset(wanted)
        self.outcomes: deque[tuple[int, bool, str]] = deque()
        self.told: list[tuple[object, ...]] = []

    def tell(self, *fact: object) -> None:
        self.told.append(fact)


def watched(watcher: Watcher, log: EditLog | None = None) -> Conductor:
    """An edit in the loop's second pass, and its undoing, with somebody watching."""
    world = VirtualWorld(at(-96))
    events: list[Event] = [*midi(BAR, AT_120), ControlChange(at(140), "undo", True), Quit(at(200))]
    for event in events:
        world.put(event)
    player = Editor(once(21, add(5, 70), remove(0, 60, 4)))
    observers: list[Observer] = [Publisher(watcher)] if log is None else [Publisher(watcher), log]
    hears, output = ObservedWorld(world, observers), ObservedOutput(RecordingOutput(world), observers)
    composer = InlineComposer(world, player, 0)
    conductor = Conductor(hears, output, composer, player.info, SongInfo(AT_120), LOOPING)
    for observer in observers:
        observer.on_start(conductor)
    conductor.run()
    return conductor


def test_every_edit_is_told_once_to_who_has_subscribed_and_to_nobody_else() -> None:
    watcher = Watcher("edits")
    watched(watcher)
    edits = [fact for fact in watcher.told if fact[0] == "edit"]
    assert [(f[1], f[2], f[3], f[4], f[5], f[6], f[7][1:4]) for f in edits] == [  # type: ignore[index]
        (1, at(123), 123, 1, 5, False, ("add", 70, 1)),
        (2, at(123), 123, 1, 0, False, ("remove", 60, 4)),
        (3, at(140), 140, 1, 0, True, ("add", 60, 4)),
    ]
    deaf = Watcher("notes")
    watched(deaf)
    assert not [fact for fact in deaf.told if fact[0] == "edit"]


def test_every_edit_is_a_line_of_the_log_where_everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "daemon.live.edit_log"):
        log = EditLog()
        watched(Watcher(), log)
        log.close()
    assert [record.getMessage() for record in caplog.records] == [
        "edit 1: made, add pitch 70, bar 1 step 5, 1 steps long, log-probability 0.00",
        "edit 2: made, remove pitch 60, bar 1 step 0, 4 steps long, log-probability 0.00",
        "edit 3: undone, add pitch 60, bar 1 step 0, 4 steps long, log-probability 0.00",
    ]
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


@pytest.mark.parametrize(("level", "wanted"), [(logging.DEBUG, True), (logging.INFO, False)])
def test_edits_are_logged_with_vv_only(level: int, wanted: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(level, "daemon.live.edit_log"), ExitStack() as stack:
        observers, _ = Listeners().start(Metre(), stack)
        assert [type(observer) for observer in observers] == ([EditLog] if wanted else [])
