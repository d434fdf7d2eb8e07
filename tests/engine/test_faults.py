"""What can go wrong on a stage, on virtual time: nothing hangs, and the band is there again without a restart."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from daemon.clocks.midi_clock import MidiClock
from daemon.core.events import Event, MidiIn, PortsBack, PortsLost, Quit, Suspend
from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from daemon.players.player import Player
from music.note import Note
from tests.support.fakes import MS, FakePlayer, midi, pairs, perform

SECOND = 1_000 * MS
AT_120 = TempoMap(500_000)
TUNE = [Note(i * 24, 60 + i * 5 % 12, 20) for i in range(64)]


def on_stage(
    events: list[Event], until: int, clock: bool, latency: Callable[[PlanRequest], int] | int = 8 * MS
) -> Conductor:
    """A band whose notes are checked: every one that begins ends, and none begins twice."""
    world = VirtualWorld()
    for event in events:
        world.put(event)
    world.put(Quit(until))
    output = RecordingOutput(world)
    player = FakePlayer()
    conductor = Conductor(
        world,
        output,
        InlineComposer(world, player, latency),
        player.info,
        SongInfo(),
        clock=MidiClock(500_000, True) if clock else None,
    )
    conductor.run()
    pairs(output.sent)
    return conductor


def clocked(until: int, jitter: int = 0, seed: int = 0) -> list[Event]:
    rng = random.Random(seed)
    events: list[Event] = [MidiIn(0, b"\xfa")]
    came = i = 0
    while (true := round(i * 60e9 / 120 / 24)) < until:
        came = max(came, true + (rng.randrange(jitter) if jitter else 0))
        events.append(MidiIn(came, b"\xf8"))
        i += 1
    return events


@pytest.mark.parametrize("clock", [False, True])
def test_a_million_random_bytes(clock: bool) -> None:
    """In messages as they come and in nonsense, among them a tune before and after."""
    rng = random.Random(6)
    events: list[Event] = [*clocked(8 * SECOND), *midi(TUNE[:16], AT_120)] if clock else [*midi(TUNE[:16], AT_120)]
    left, at = 1_000_000, 4 * SECOND
    while left > 0:
        data = rng.randbytes(rng.choice([1, 1, 2, 3, 3, 3, 3, 16, 300]))
        left -= len(data)
        at += rng.choice([0, 1_000, 100_000])
        events.append(MidiIn(at, data))
    again = at + 3 * SECOND
    events += [MidiIn(again, b"\xfc")] + [
        MidiIn(event.at + again, event.data) for event in clocked(6 * SECOND) if isinstance(event, MidiIn)
    ]
    events += midi(TUNE[:8], TempoMap(500_000, 0, again))
    before = on_stage(events, again, clock).counters.onsets
    assert on_stage(events, again + 5 * SECOND, clock).counters.onsets > before + 20


@pytest.mark.parametrize("clock", [False, True])
def test_two_thousand_notes_in_a_second(clock: bool) -> None:
    rng = random.Random(7)
    events: list[Event] = [*(clocked(12 * SECOND) if clock else []), *midi(TUNE[:4], AT_120)]
    for i in range(2_000):
        at, pitch = 3 * SECOND + i * SECOND // 2_000, rng.randrange(128)
        events.append(MidiIn(at, bytes((0x90, pitch, 90))))
        events.append(MidiIn(at + rng.randrange(50 * MS), bytes((0x80, pitch, 0))))
    events += midi([Note(200 + n.start, n.pitch, n.length) for n in TUNE[:8]], AT_120)
    conductor = on_stage(events, 10 * SECOND, clock)
    assert conductor.counters.isr == 1.0
    assert conductor.counters.onsets > 200


@pytest.mark.parametrize("clock", [False, True])
def test_inference_hangs_for_five_seconds(clock: bool) -> None:
    """The old plan plays on to its end, then the band rests; with the first answer it is there again."""

    def latency(request: PlanRequest) -> int:
        return 5 * SECOND if request.now == 32 else 8 * MS

    events: list[Event] = [*(clocked(20 * SECOND) if clock else []), *midi(TUNE, AT_120)]
    conductor = on_stage(events, 16 * SECOND, clock, latency)
    counters = conductor.counters
    assert counters.uncovered > 0
    assert counters.steps - counters.in_time < 45
    assert counters.in_time > 70


class Dying(Player):
    """A player whose process is killed at some steps: the worker reports a failure."""

    info = FakePlayer(styles=("pop",)).info

    def __init__(self) -> None:
        self._player = FakePlayer()
        self.asked: list[PlanRequest] = []

    def plan(self, request: PlanRequest) -> Plan:
        if 30 <= request.now < 36:
            raise RuntimeError("ended with signal SIGKILL")
        return self._player.plan(request)


def test_the_worker_is_killed() -> None:
    world, player = VirtualWorld(), Dying()
    for event in midi(TUNE, AT_120):
        world.put(event)
    world.put(Quit(16 * SECOND))
    output = RecordingOutput(world)
    conductor = Conductor(world, output, InlineComposer(world, player, 8 * MS), player.info, SongInfo(), Settings())
    conductor.run()
    pairs(output.sent)
    assert conductor.counters.failed == 6
    assert conductor.counters.uncovered == 0
    assert conductor.counters.in_time == conductor.counters.steps - 6


def test_ten_milliseconds_of_jitter_cost_no_step() -> None:
    conductor = on_stage([*clocked(30 * SECOND, 10 * MS), *midi(TUNE, AT_120)], 28 * SECOND, True)
    assert conductor.counters.isr == 1.0
    assert conductor.counters.steps in range(221, 226)


@pytest.mark.parametrize("seed", range(20))
def test_everything_at_once_at_random_moments(seed: int) -> None:
    rng = random.Random(seed)
    events: list[Event] = [*midi(TUNE, AT_120)]
    at = 0
    while at < 20 * SECOND:
        at += rng.randrange(2 * SECOND)
        events += rng.choice(
            [
                [PortsLost(at), PortsBack(at + rng.randrange(SECOND))],
                [MidiIn(at, rng.randbytes(3)) for _ in range(50)],
                [MidiIn(at + i * 20 * MS, b"\xf8") for i in range(rng.randrange(60))],
                [MidiIn(at, bytes((rng.choice([0xFA, 0xFB, 0xFC]),)))],
                [MidiIn(at, bytes((0xF2, rng.randrange(128), 0)))],
            ]
        )
    end = at + 4 * SECOND
    events += [MidiIn(event.at + end, event.data) for event in clocked(8 * SECOND) if isinstance(event, MidiIn)]
    events += midi(TUNE[:16], TempoMap(500_000, 0, end))
    world, player = VirtualWorld(), FakePlayer()
    for event in events:
        world.put(event)
    world.put(Quit(end + 8 * SECOND))
    output = RecordingOutput(world)
    clock = MidiClock(500_000, rng.random() < 0.5)
    conductor = Conductor(world, output, InlineComposer(world, player, 8 * MS), player.info, SongInfo(), clock=clock)
    conductor.run()
    sounding = set()
    for message in output.sent:
        key = message.data[0] & 0x0F, message.data[1]
        if message.data[0] & 0xF0 == 0x90:
            sounding.add(key)
        elif message.data[0] & 0xF0 == 0x80:
            sounding.discard(key)
    assert not sounding
    assert sum(message.data[0] & 0xF0 == 0x90 and message.at > end + SECOND for message in output.sent) > 60


def test_a_minute_at_300_bpm_is_in_time() -> None:
    """The hour is tests.programs.virtual_hour; on virtual time a minute says the same."""
    tempo = TempoMap(200_000)
    tune = [Note(i * 24, 60 + i * 7 % 12, 20) for i in range(300)]
    stage = perform(FakePlayer(), tune, until=300 * 24, tempo=tempo, latency=40 * MS // 2, song=SongInfo(tempo))
    assert stage.counters.isr == 1.0
    assert stage.counters.steps > 1_190


class StoppableWorld(VirtualWorld):
    """A world whose time goes on while the program does not."""

    def stand_still(self, until: int) -> None:
        self._now = until


@pytest.mark.parametrize("clock", [False, True])
@pytest.mark.parametrize("seconds", [0.3, 3, 60])
def test_a_program_that_is_stopped_for_a_while_is_silent_before_and_plays_on_afterwards(
    seconds: float, clock: bool
) -> None:
    """The clock that is followed, and the player, are not heard while it is stopped."""
    world, at, until = StoppableWorld(), 4 * SECOND + 100 * MS, (16 + round(seconds)) * SECOND
    again = at + round(seconds * SECOND)
    tune = [Note(i * 24, 60 + i * 5 % 12, 20) for i in range(until // SECOND * 2)]
    events: list[Event] = [*midi(tune, AT_120), *(clocked(until) if clock else [])]
    output, player = RecordingOutput(world), FakePlayer()
    sounding: list[int] = []

    def stop() -> None:
        sent = [message for message in output.sent if message.data[0] & 0xF0 in (0x80, 0x90)]
        sounding.append(sum(1 if message.data[0] & 0xF0 == 0x90 and message.data[2] else -1 for message in sent))
        world.stand_still(again)

    for event in events:
        if not at <= event.at < again:
            world.put(event)
    world.put(Suspend(at, stop))
    world.put(Quit(until))
    composer = InlineComposer(world, player, 8 * MS)
    midi_clock = MidiClock(500_000, True) if clock else None
    Conductor(world, output, composer, player.info, SongInfo(), clock=midi_clock).run()
    pairs(output.sent)
    assert sounding == [0]
    onsets = [message.at for message in output.sent if message.data[0] & 0xF0 == 0x90 and message.data[2]]
    assert [onset for onset in onsets if at < onset < again] == []
    assert len([onset for onset in onsets if onset > again + 4 * SECOND]) > 20
