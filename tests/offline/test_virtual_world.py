from __future__ import annotations

import pytest

from daemon.core.events import ControlChange, Event, PlanReady, Quit, WorkerFailed
from daemon.core.plan import Plan, PlanRequest
from daemon.core.tempo import TempoMap
from daemon.offline.virtual_world import InlineComposer, VirtualWorld
from tests.support.fakes import FakePlayer


def request(number: int) -> PlanRequest:
    return PlanRequest(number, number, 0, (), {})


def test_time_jumps_to_whichever_comes_first() -> None:
    world = VirtualWorld(5)
    world.put(Quit(30))
    world.put(ControlChange(20, "stop", True))
    assert world.now() == 5
    assert (world.wait(10), world.now()) == (None, 10)
    assert (world.wait(100), world.now()) == (ControlChange(20, "stop", True), 20)
    assert (world.wait(30), world.now()) == (Quit(30), 30)
    assert (world.wait(29), world.now()) == (None, 30)


def test_events_of_one_moment_come_in_the_order_they_were_put() -> None:
    world = VirtualWorld()
    events: list[Event] = [Quit(7), ControlChange(7, "stop", True), Quit(7)]
    for event in events:
        world.put(event)
    assert [world.wait(7) for _ in range(4)] == [*events, None]


def test_what_is_scripted_for_ticks_goes_with_the_tempo_and_comes_before_all_else_at_its_time() -> None:
    world, tempo = VirtualWorld(), TempoMap(24_000)  # 1 ms a tick
    world.put(ControlChange(2_000_000, "stop", True))
    world.put_at_ticks(tempo, [(tick, Quit) for tick in (1, 2, 3)])
    assert world.wait(None) == Quit(1_000_000)
    tempo.change(2, 48_000)
    assert world.wait(None) == Quit(2_000_000)
    assert world.wait(None) == ControlChange(2_000_000, "stop", True)
    assert (world.wait(3_999_999), world.now()) == (None, 3_999_999)
    assert (world.wait(4_000_000), world.now()) == (Quit(4_000_000), 4_000_000)
    tempo.change(0, 24_000)
    world.put_at_ticks(tempo, [(1, Quit)])
    assert (world.wait(None), world.now()) == (Quit(4_000_000), 4_000_000)  # its tick has passed


def test_what_is_past_comes_at_once() -> None:
    world = VirtualWorld(50)
    world.put(Quit(7))
    assert (world.wait(None), world.now()) == (Quit(7), 50)


def test_waiting_for_nothing_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="nothing is scripted"):
        VirtualWorld().wait(None)


def test_an_answer_comes_after_the_latency() -> None:
    world = VirtualWorld(100)
    composer = InlineComposer(world, FakePlayer(), lambda r: 10 * r.number)
    composer.ask(request(3))
    answer = world.wait(None)
    assert isinstance(answer, PlanReady)
    assert (answer.at, answer.plan.number) == (130, 3)


def test_one_question_at_a_time_and_the_newest_of_those_that_wait() -> None:
    world, player = VirtualWorld(), FakePlayer()
    composer = InlineComposer(world, player, 10)
    for number in (1, 2, 3):
        composer.ask(request(number))
    answers = [world.wait(100) for _ in range(3)]
    assert [(a.at, a.plan.number) for a in answers if isinstance(a, PlanReady)] == [(10, 1), (20, 3)]
    composer.ask(request(4))
    assert [r.number for r in player.asked] == [1, 3, 4]


def test_an_exception_of_the_player_is_an_event() -> None:
    class OutOfTune(FakePlayer):
        def plan(self, request: PlanRequest) -> Plan:
            raise ArithmeticError("out of tune")

    world = VirtualWorld()
    InlineComposer(world, OutOfTune(), 10).ask(request(1))
    assert world.wait(None) == WorkerFailed(10, 1, "ArithmeticError: out of tune")
