"""The planner alone: when a plan is asked for, what the request says, and which answers count."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from daemon.core.counters import Counters
from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.engine.looper import EditLoop
from daemon.engine.planner import Planner
from daemon.engine.song import SongInfo
from daemon.input.melody import MelodyTracker
from daemon.output.schedule import NoteSchedule
from music.midi import note_off, note_on
from music.note import Metre, Note

PLAYER = PlayerInfo(past_steps=4, memory_steps=8, future_steps=8, roles=("bass",), styles=("pop",))
LOUD = Settings(intensity=1.0)


@dataclass
class Asked:
    """A composer that only remembers what it was asked."""

    requests: list[PlanRequest] = field(default_factory=list)

    def ask(self, request: PlanRequest) -> None:
        self.requests.append(request)

    @property
    def steps(self) -> list[int]:
        return [request.now for request in self.requests]


@dataclass
class Desk:
    """A planner and what it reads."""

    replan: str = "step"
    song: SongInfo = field(default_factory=SongInfo)
    player: PlayerInfo = PLAYER

    def __post_init__(self) -> None:
        self.asked, self.counters = Asked(), Counters()
        self.melody, self.schedule, self.loop = MelodyTracker(), NoteSchedule(), EditLoop()
        self.planner = Planner(
            *(self.asked, self.player, self.song, self.melody, self.schedule, self.loop, self.counters),
            replan=self.replan,
        )

    def request(self, *steps: int, settings: Settings = Settings()) -> None:
        for step in steps:
            self.planner.request(step, settings, step * 6 - 3, 0)


def plan(number: int) -> Plan:
    return Plan(number, 1, 9, 3, {}, inference_ns=4_000_000)


@pytest.mark.parametrize(
    ("replan", "steps"),
    [
        ("step", list(range(1, 20))),
        ("beat", [1, 4, 8, 12, 16]),
        ("two-beats", [1, 8, 16]),
        ("bar", [1, 9, 16]),
    ],
)
def test_a_plan_is_asked_for_at_every_step_beat_or_bar_and_before_the_last_one_ends(
    replan: str, steps: list[int]
) -> None:
    desk = Desk(replan)
    desk.request(*range(1, 20))
    assert desk.asked.steps == steps
    assert [request.number for request in desk.asked.requests] == list(range(1, len(steps) + 1))
    assert desk.counters.asked == desk.planner.number == len(steps)


def test_two_beats_are_counted_from_the_bar_line() -> None:
    desk = Desk("two-beats", SongInfo(metres=((0, Metre(3, 4)),)))
    desk.request(*range(1, 28))
    assert desk.asked.steps == [1, 8, 12, 20, 24]


def test_how_far_the_plans_of_the_chosen_techniques_reach_is_what_counts() -> None:
    desk = Desk("bar", player=replace(PLAYER, technique_steps={"gan": 16, "transformer": 4}))
    desk.request(*range(1, 10), settings=Settings(technique="gan"))
    desk.request(*range(10, 20), settings=Settings(technique="gan", players={"bass": "transformer"}))
    assert desk.asked.steps == [1, 10, 14, 16]


def test_a_bar_begins_where_the_metre_has_it() -> None:
    desk = Desk("bar", SongInfo(metres=((0, Metre()), (30, Metre(2, 4)))))
    desk.request(*range(1, 20))
    assert desk.asked.steps == [1, 5, 13]
    assert (desk.asked.requests[0].bar_origin, desk.asked.requests[1].bar_origin) == (0, 30)
    assert desk.asked.requests[1].metre == Metre(2, 4)


def test_other_settings_and_a_wish_to_renew_ask_at_once() -> None:
    desk = Desk("bar")
    desk.request(1, 2)
    desk.request(3, settings=LOUD)
    desk.request(4, settings=LOUD)
    desk.planner.renew()
    desk.request(5, 6, settings=LOUD)
    assert desk.asked.steps == [1, 3, 5]
    assert desk.asked.requests[1].settings is LOUD


def test_a_late_request_gets_a_number_only_and_is_made_up_for() -> None:
    desk = Desk("bar")
    desk.planner.request(1, Settings(), 3, 0, late=True)
    assert (desk.planner.number, desk.asked.steps, desk.counters.asked) == (1, [], 0)
    desk.request(2, 3)
    assert (desk.planner.number, desk.asked.steps) == (2, [2])


def test_a_request_says_what_was_heard_and_committed_as_far_back_as_the_player_looks() -> None:
    desk = Desk()
    for start in range(0, 48 * 6, 12):
        desk.melody.hear(start, note_on(0, 60, 80))
        desk.melody.hear(start + 6, note_off(0, 60))
        desk.schedule.add("bass", Note(start, 40, 6))
        for tick in (start, start + 6):
            list(desk.schedule.take(tick, tick))
    desk.request(48)
    (request,) = desk.asked.requests
    bar, now = 96, 48 * 6
    assert request.heard == now - 3
    assert [n.start for n in request.melody] == [start for start in range(0, now - 3, 12) if start + 6 > now - 48 - bar]
    assert [n.start for n in request.committed["bass"]] == [
        start for start in range(0, now, 12) if start + 6 > now - 24 - bar
    ]
    assert request.loop is None
    assert desk.melody.notes(0, now)[0] == request.melody[0]  # what nobody asks for any more is forgotten


def test_whoever_may_see_the_whole_melody_is_shown_it() -> None:
    whole = (Note(0, 60, 24), Note(960, 62, 24))
    desk = Desk(song=SongInfo(melody=whole))
    desk.request(1)
    (request,) = desk.asked.requests
    assert (request.heard, request.melody) == (None, whole)


def test_answers_from_before_a_stop_do_not_count() -> None:
    desk = Desk()
    desk.request(1, 2)
    assert desk.planner.receive(plan(2))
    desk.planner.discard_pending()
    assert not desk.planner.receive(plan(2))
    desk.request(3)
    assert desk.planner.receive(plan(3))
    assert (desk.counters.answered, desk.counters.inference_ns.buckets) == (3, {4_000_000: 3})


def test_warming_up_asks_for_what_nobody_will_play() -> None:
    desk = Desk()
    desk.planner.warm_up(LOUD)
    (request,) = desk.asked.requests
    assert (request.number, request.settings) == (1, LOUD)
    assert not desk.planner.receive(plan(1))


def test_a_step_is_in_time_when_its_own_plan_is_there() -> None:
    desk = Desk()
    desk.request(1, 2)
    for number in (2, 1, None):
        desk.planner.count_step(number)
    counters = desk.counters
    assert (counters.steps, counters.in_time, counters.uncovered) == (3, 1, 1)
