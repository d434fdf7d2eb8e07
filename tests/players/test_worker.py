from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from daemon.core import wire
from daemon.core.events import PlanReady, PlayerReplaced, WorkerFailed
from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.players import worker as worker_module
from daemon.players.worker import PlayerSpec, PreloadedWorker, Worker, WorkerError, WorkerLost
from daemon.system.live_world import LiveWorld
from music.note import Note

C, E, G = Note(0, 60, 6), Note(6, 64, 6, 90), Note(12, 67, 6)


def request(number: int, *melody: Note, seed: int = 0) -> PlanRequest:
    return PlanRequest(number, 4, 24, melody or (C,), {"bass": (G,)}, settings=Settings("plain", seed))


def answer(to: PlanRequest) -> Plan:
    notes = tuple(Note(24, n.pitch, 6, n.velocity) for n in to.melody)
    return Plan(to.number, 4, 8, 24, {"bass": notes}, to.committed)


@contextmanager
def working(maker: str, *arguments: str, limit: float = 20.0) -> Iterator[tuple[Worker, LiveWorld]]:
    world = LiveWorld()
    worker = Worker(PlayerSpec(f"tests.support.worker_players:{maker}", arguments), world.put, world.now, limit)
    worker.start()
    try:
        yield worker, world
    finally:
        worker.close()


def test_asked_it_answers_in_order() -> None:
    with working("echo") as (worker, world):
        assert worker.wait_ready() == PlayerInfo(8, 8, 4, ("bass",), ("plain",))
        for number, melody in enumerate([(C,), (C, E), (C, E, G)], 1):
            asked = request(number, *melody)
            worker.ask(asked)
            event = world.wait(None)
            assert isinstance(event, PlanReady)
            assert event.plan == answer(asked)
            assert event.at <= world.now()


def test_the_newest_question_wins_while_the_worker_is_busy() -> None:
    with working("echo") as (worker, world):  # still loading: that counts as busy
        for number in range(1, 1001):
            worker.ask(request(number))
        worker.wait_ready()
        numbers: list[int] = []
        while not numbers or numbers[-1] != 1000:
            event = world.wait(None)
            assert isinstance(event, PlanReady)
            numbers.append(event.plan.number)
        assert numbers == sorted(set(numbers))
        assert len(numbers) < 1000


def test_what_the_player_prints_does_not_end_up_between_the_answers() -> None:
    with working("echo") as (worker, world):
        worker.wait_ready()
        worker.ask(request(1, seed=4))
        event = world.wait(None)
        assert isinstance(event, PlanReady)
        assert event.plan == answer(request(1))


@pytest.mark.parametrize(
    ("seed", "limit", "reason"),
    [
        (1, 20.0, "RuntimeError: the graph is tired"),
        pytest.param(
            2, 20.0, "the worker ended with signal SIGKILL", marks=pytest.mark.skipif(os.name == "nt", reason="POSIX")
        ),
        (3, 2.0, "the worker gave no answer in time"),
    ],
    ids=["raises", "crashes", "hangs"],
)
def test_a_failure_is_reported_logged_once_and_survived(
    seed: int, limit: float, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), working("echo", limit=limit) as (worker, world):
        worker.wait_ready()
        for number in (1, 2):
            worker.ask(request(number, seed=seed))
            event = world.wait(None)
            assert event == WorkerFailed(event.at if event else 0, number, reason)
        worker.ask(request(3))
        event = world.wait(None)
        assert isinstance(event, PlanReady)
        assert event.plan == answer(request(3))
    assert [record.getMessage() for record in caplog.records] == [f"inference failed, the old plan goes on: {reason}"]


def test_a_worker_killed_between_two_questions_is_replaced() -> None:
    with working("echo") as (worker, world):
        worker.wait_ready()
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        event = world.wait(None)
        assert isinstance(event, WorkerFailed)
        worker.ask(request(1))
        event = world.wait(None)
        assert isinstance(event, PlanReady)
        assert event.plan.number == 1


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_a_question_that_does_not_fit_into_the_pipe_of_a_stopped_worker_holds_up_nobody() -> None:
    many = tuple(Note(6 * i, 60, 6) for i in range(40_000))
    with working("echo", limit=1.0) as (worker, world):
        worker.wait_ready()
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        worker.ask(request(1, *many))
        event = world.wait(None)
        assert event == WorkerFailed(event.at if event else 0, 1, "the worker gave no answer in time")
        worker.ask(request(2, *many))
        event = world.wait(None)
        assert isinstance(event, PlanReady)
        assert (event.plan.number, len(event.plan.notes["bass"])) == (2, len(many))


def test_a_worker_whose_thread_cannot_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        if thread.name == "worker-reader":
            raise RuntimeError("can't start new thread")
        start(thread)

    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with working("echo") as (worker, _), pytest.raises(WorkerLost, match="can't start new thread"):
        worker.wait_ready()


def test_a_worker_that_cannot_start_again_is_reported_and_closes(tmp_path: Path) -> None:
    with working("starts_once", str(tmp_path / "flag")) as (worker, world):
        worker.wait_ready()
        worker.ask(request(1, seed=2))
        first, second = world.wait(None), world.wait(None)
        assert isinstance(first, WorkerFailed)
        assert first.number == 1
        assert isinstance(second, WorkerFailed)
        assert second.reason.startswith("the worker does not start again: ")


def test_a_child_that_hangs_as_it_takes_anothers_place_is_replaced_in_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "RESTART_LIMIT_S", 0.0)
    with working("starts_twice", str(tmp_path)) as (worker, world):
        worker.wait_ready()
        worker.ask(request(1, seed=2))
        reasons = []
        while isinstance(event := world.wait(None), WorkerFailed):
            reasons.append(event.reason)
            worker.ask(request(2))
        assert isinstance(event, PlanReady)
        assert event.plan.number == 2
        assert reasons[1] == "the worker does not start again: gave no answer in time"


@pytest.mark.parametrize(
    ("maker", "arguments", "sentence"),
    [
        ("broken", ("band.onnx: not a graph",), "band.onnx: not a graph"),
        ("forgotten", (), "KeyError: 'nothing by that name'"),
        ("nobody", (), "AttributeError: module 'tests.support.worker_players' has no attribute 'nobody'"),
    ],
)
def test_a_player_that_does_not_load_is_one_sentence(maker: str, arguments: tuple[str, ...], sentence: str) -> None:
    with working(maker, *arguments) as (worker, _), pytest.raises(WorkerError) as caught:
        worker.wait_ready()
    assert str(caught.value) == sentence
    assert not isinstance(caught.value, WorkerLost)


def test_a_player_that_dies_while_it_loads_may_do_better_another_time() -> None:
    with working("dies") as (worker, _), pytest.raises(WorkerLost) as caught:
        worker.wait_ready()
    assert str(caught.value) == "the worker ended with exit status 7 while it loaded its player"


def test_closing_ends_the_child_even_one_that_hangs() -> None:
    with working("echo") as (worker, _):
        worker.wait_ready()
        pid = worker.pid
        assert pid is not None
        worker.ask(request(1, seed=3))
    assert worker.pid is None
    if os.name != "nt":
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_goes_wrong_between_two_questions_is_told_and_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), working("restless") as (worker, world):
        worker.wait_ready()
        for number in (1, 2):
            worker.ask(request(number))
            event = world.wait(None)
            assert isinstance(event, PlanReady)
            assert event.plan == answer(request(number))
    assert "the organ cannot be loaded" in [record.getMessage() for record in caplog.records]


def test_a_child_begun_early_is_the_workers_and_another_is_none_of_its() -> None:
    spec = PlayerSpec("tests.support.worker_players:echo")
    with closing(PreloadedWorker(spec)) as early:
        child = early._process
        assert child is not None
        world = LiveWorld()
        with closing(Worker(spec, world.put, world.now, preloaded=early)) as worker:
            worker.start()
            worker.wait_ready()
            assert worker.pid == child.pid
            worker.ask(request(1, seed=2))  # it crashes, and the next one is begun as usual
            assert isinstance(world.wait(None), WorkerFailed)
            worker.ask(request(2))
            assert isinstance(world.wait(None), PlanReady)
            assert worker.pid != child.pid
    assert child.exit_status is not None


def test_a_child_begun_early_that_nobody_takes_is_ended() -> None:
    with closing(PreloadedWorker(PlayerSpec("tests.support.worker_players:echo"))) as early:
        child = early._process
    assert child is not None
    assert child.exit_status is not None


@pytest.mark.parametrize("pack_and_back", [lambda p: wire.unpack_plan(wire.pack_plan(p))])
def test_plans_travel_whole(pack_and_back: Callable[[Plan], Plan]) -> None:
    plan = Plan(3, 4, 8, None, {"bass": (C, E), "drums": ()}, {"pad": (G,)}, 123)
    assert pack_and_back(plan) == plan


def test_requests_travel_whole() -> None:
    asked = PlanRequest(1, 2, None, (C, E), {"pad": (G,)}, settings=Settings("jazz", 3, muted=frozenset({"bass"})))
    assert wire.RequestUnpacker().unpack(wire.RequestPacker().pack(asked)) == asked


@pytest.mark.parametrize(("seed", "fails"), [(1, 4), (2, 2), (3, 2)], ids=["raises", "crashes", "hangs"])
def test_a_player_that_keeps_failing_is_replaced_by_its_stand_in(
    seed: int, fails: int, caplog: pytest.LogCaptureFixture
) -> None:
    spec = PlayerSpec("tests.support.worker_players:echo", stand_in=PlayerSpec("tests.support.worker_players:steady"))
    world = LiveWorld()
    with caplog.at_level(logging.WARNING), closing(Worker(spec, world.put, world.now, 2.0)) as worker:
        worker.start()
        worker.wait_ready()
        for number in range(fails):
            worker.ask(request(number, seed=seed))
            assert isinstance(world.wait(None), WorkerFailed)
        assert isinstance(world.wait(None), PlayerReplaced)
        worker.ask(request(9, seed=seed))
        event = world.wait(None)
        assert isinstance(event, PlanReady)
        assert event.plan == answer(request(9))
    assert caplog.records[-1].getMessage().startswith("the graph keeps failing, the shipped weights play instead of it")


def test_a_player_that_does_not_load_again_is_replaced_by_its_stand_in(tmp_path: Path) -> None:
    stand_in = PlayerSpec("tests.support.worker_players:steady")
    spec = PlayerSpec("tests.support.worker_players:starts_once", (str(tmp_path / "flag"),), stand_in)
    world = LiveWorld()
    with closing(Worker(spec, world.put, world.now)) as worker:
        worker.start()
        worker.wait_ready()
        worker.ask(request(1, seed=2))
        events = [world.wait(None) for _ in range(3)]
        assert [type(event) for event in events] == [WorkerFailed, WorkerFailed, PlayerReplaced]
        worker.ask(request(2, seed=2))
        assert isinstance(world.wait(None), PlanReady)
