"""Observers are called in turn, see everything and change nothing."""

from __future__ import annotations

from daemon.core.events import ControlChange, Event, MidiIn, PlanReady
from daemon.core.observers import ObservedOutput, ObservedWorld, Observer
from daemon.core.plan import Plan
from daemon.offline.virtual_world import RecordingOutput, VirtualWorld

ON, OFF = b"\x90\x3c\x50", b"\x80\x3c\x00"
PLAN = Plan(1, 4, 8, 24, {})


class Listener(Observer):
    """Keeps what it is called with."""

    def __init__(self, name: str = "", wake: int | None = None) -> None:
        self.name, self.wake = name, wake
        self.told: list[tuple[object, ...]] = []

    def on_wait(self, now: int, until: int | None) -> int | None:
        self.told.append(("wait", now, until))
        return self.wake if self.wake is not None and self.wake > now else None

    def on_input(self, data: bytes, at: int) -> None:
        self.told.append(("input", data, at))

    def on_plan(self, plan: Plan) -> None:
        self.told.append(("plan", plan))

    def on_output(self, data: bytes, due: int) -> None:
        self.told.append(("output", data, due))


def world_of(*events: Event) -> VirtualWorld:
    world = VirtualWorld()
    for event in events:
        world.put(event)
    return world


def test_events_are_told_and_handed_on() -> None:
    note, change, plan = MidiIn(5, ON), ControlChange(7, "panic", None), PlanReady(8, PLAN)
    listener = Listener()
    observed = ObservedWorld(world_of(note, change, plan), [listener])
    assert [observed.wait(None), observed.wait(7), observed.wait(9), observed.wait(9)] == [note, change, plan, None]
    assert observed.now() == 9
    assert listener.told == [
        ("wait", 0, None), ("input", ON, 5), ("wait", 5, 7), ("wait", 7, 9), ("plan", PLAN), ("wait", 8, 9),
    ]  # fmt: skip


def test_output_is_told_once_it_has_been_sent_to_every_observer_in_turn() -> None:
    recording = RecordingOutput(VirtualWorld())
    told: list[str] = []

    class Named(Listener):
        def on_output(self, data: bytes, due: int) -> None:
            assert [(sent.data, sent.due) for sent in recording.sent] == [(data, due)]
            told.append(self.name)

    ObservedOutput(recording, [Named("first"), Named("second")]).send(OFF, 8)
    assert told == ["first", "second"]


def test_an_observer_is_called_again_when_it_wants_to_be_and_no_wait_ends_for_it() -> None:
    listener, sleeper = Listener(), Listener(wake=4)
    assert ObservedWorld(world_of(), [listener, sleeper]).wait(10) is None
    assert listener.told == sleeper.told == [("wait", 0, 10), ("wait", 4, 10)]


def test_a_wait_without_end_is_one_still() -> None:
    sleeper = Listener(wake=4)
    assert ObservedWorld(world_of(MidiIn(50, ON)), [sleeper]).wait(None) == MidiIn(50, ON)
    assert sleeper.told == [("wait", 0, None), ("wait", 4, None), ("input", ON, 50)]
