"""The band in a DAW, on virtual time: blocks, loops, locates, tempo, metre, stops, offline, several connections."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daemon.core.events import Event, PlanReady, WorkerFailed
from daemon.core.plan import PlanRequest
from daemon.core.settings import BAND_START, Settings
from daemon.players.player import Player
from daemon.plugin.lines import read_line
from daemon.plugin.timeline import SNAP
from daemon.plugin.world import FromPlugin, PluginWorld
from music.note import Metre, Note
from tests.support.fakes import FakePlayer, only
from tests.support.plugin_host import BAR, BEAT, TICK, Host, Placed, Session, run_feed, run_session, turn

TUNE = [Note(i * 24, 60 + i * 5 % 12, 20) for i in range(64)]
STEP = 6 * TICK


def by_step() -> FakePlayer:
    """A bass note on every step, whose pitch tells the step."""
    return only("bass", lambda _request, step: 36 + step % 64)


def take(host: Host, *moves: tuple[int, int], block: int = 500) -> Host:
    """Start at the first position and play to the second, then jump to the next first one, and so on; then stop."""
    for begin, end in moves:
        host.move(begin, host.mode or 1)
        host.play(end, TUNE, block)
    host.stop()
    return host


def connected(**keys: object) -> Host:
    host = Host(**keys)  # type: ignore[arg-type]
    host.connect()
    return host


def begins(session: Session, epoch: int, number: int = 1) -> list[int]:
    return sorted({note.begin for note in session.notes(number) if note.epoch == epoch})


def test_notes_lie_on_the_hosts_grid_from_the_step_after_the_first_note() -> None:
    session = run_session(by_step(), [take(connected(), (0, 2 * BAR))])
    notes = [note for note in session.notes() if note.begin < 2 * BAR]
    assert [note.begin for note in notes] == [step * STEP for step in range(1, 32)]
    assert [note.pitch for note in notes] == [36 + step for step in range(1, 32)]
    assert {note.end - note.begin for note in notes[:-1] if note.end is not None} == {STEP}


def test_a_start_in_the_middle_of_a_song_has_its_steps_there() -> None:
    session = run_session(by_step(), [take(connected(), (8 * BAR + 2 * BEAT, 10 * BAR))])
    first, *_ = session.notes()
    assert (first.begin, first.pitch) == (8 * BAR + 2 * BEAT + STEP, 36 + (8 * 16 + 8 + 1) % 64)


@pytest.mark.parametrize(("block", "end"), [(1, BEAT), (7, BAR), (250, BAR), (1999, BAR)])
def test_what_is_played_does_not_depend_on_the_blocks(block: int, end: int) -> None:
    whole = run_session(FakePlayer(), [take(connected(), (0, end), block=1000)])
    assert whole.notes()
    assert run_session(FakePlayer(), [take(connected(), (0, end), block=block)]).notes() == whole.notes()


@pytest.mark.parametrize("block", [250, 1000])
def test_samples_that_a_host_rounds_to_change_nothing(block: int) -> None:
    exact, rounded = take(connected(), (0, 2 * BAR)), take(connected(), (0, 2 * BAR), block=block)
    moves = itertools.cycle((0, 5, -7, 12, -20, 20))
    for index, line in enumerate(rounded.lines):
        if line.startswith("in "):
            word, epoch, position, *data = line.split()
            moved = max(0, int(position) + next(moves))
            rounded.lines[index] = " ".join((word, epoch, str(moved), *data))
    assert run_session(FakePlayer(), [rounded]).notes() == run_session(FakePlayer(), [exact]).notes()


def test_every_take_is_like_the_first() -> None:
    host = connected()
    for _ in range(3):
        take(host, (0, 2 * BAR))
    session = run_session(FakePlayer(), [host])
    takes: dict[int, list[Placed]] = {}
    for note in session.notes():
        takes.setdefault(note.epoch, []).append(Placed(0, note.role, note.begin, note.pitch, note.velocity))
    assert len(takes) == 3
    first, *others = takes.values()
    assert first
    assert others == [first, first]


def test_offline_is_like_in_real_time() -> None:
    live = run_session(FakePlayer(), [take(connected(), (0, 4 * BAR))])
    offline = run_session(FakePlayer(), [take(connected(mode=2), (0, 4 * BAR), block=2000)])
    assert offline.notes() == live.notes()


@given(st.lists(st.integers(20_000, 4_000_000), min_size=1, max_size=8))
@examples(max_examples=10, deadline=None)
def test_a_tempo_that_changes_moves_no_note(tempos: list[int]) -> None:
    host, usual = connected(), connected()
    for each, changing in ((usual, False), (host, True)):
        each.move(0)
        for beat in range(16):
            each.us = tempos[beat % len(tempos)] if changing else 500_000
            each.play((beat + 1) * BEAT, TUNE)
    assert run_session(FakePlayer(), [host]).notes() == run_session(FakePlayer(), [usual]).notes()


def test_a_loop_that_is_announced_is_played_from_its_first_step() -> None:
    host = connected(loop=(0, 4 * BAR))
    session = run_session(by_step(), [take(host, *[(0, 4 * BAR)] * 3)])
    for epoch in (2, 3):
        assert [begin for begin in begins(session, epoch) if begin < 4 * BAR] == [step * STEP for step in range(64)]
    told = [line for line in session.lines[1] if line.startswith("note 2 ")]
    assert len(told) == len(set(told))  # none twice
    assert session.lines[1].index(f"until 2 {2 * TICK - SNAP}") < session.lines[1].index(told[-1])


def test_a_host_that_goes_on_behind_its_loop_is_played_on() -> None:
    session = run_session(by_step(), [take(connected(loop=(0, 2 * BAR)), (0, 4 * BAR))])
    assert [begin for begin in begins(session, 1) if begin < 4 * BAR] == [step * STEP for step in range(1, 64)]
    assert f"until 1 {3 * BAR + 2 * TICK - SNAP}" in session.lines[1]


def test_a_loop_that_is_turned_off_and_on_again_is_played_from_its_first_step() -> None:
    host = connected(loop=(0, 2 * BAR))
    host.move(0)
    for until, loop in ((2 * BAR - 1000, (0, 0)), (2 * BAR - 500, (0, 2 * BAR))):
        host.play(until, TUNE)
        host.loop = loop
    session = run_session(by_step(), [take(host, (2 * BAR - 500, 2 * BAR), (0, BAR))])
    assert [begin for begin in begins(session, host.epoch - 1) if begin < BAR] == [step * STEP for step in range(16)]


def test_a_loop_that_is_not_announced_is_played_from_its_first_step_though_told_later() -> None:
    session = run_session(by_step(), [take(connected(), *[(0, 4 * BAR)] * 2)])
    assert [begin for begin in begins(session, 2) if begin < 4 * BAR] == [step * STEP for step in range(64)]


@pytest.mark.parametrize("place", [2 * BAR, 9 * BAR + BEAT + 3 * TICK + 217, BEAT, 5 * BAR + 7 * STEP, -2 * BAR])
def test_a_locate_plays_on_from_the_very_step(place: int) -> None:
    session = run_session(by_step(), [take(connected(), (0, 3 * BAR + BEAT + 2 * STEP), (place, place + 2 * BAR))])
    step = -(-place // STEP)
    found = [note for note in session.notes() if note.epoch == 2 and note.begin < place + BAR]
    assert [note.begin for note in found][:4] == [(step + each) * STEP for each in range(4)]


def test_a_stop_ends_and_nothing_follows() -> None:
    host = take(connected(), (0, BAR))
    session = run_session(by_step(), [host])
    assert begins(session, 2) == []


def test_the_band_knows_nothing_that_was_played_later_than_its_lead() -> None:
    player = FakePlayer()
    run_session(player, [take(connected(), (0, 2 * BAR))])
    assert {request.now * 6 - request.heard for request in player.asked if request.heard is not None} == {6}


def test_a_plugin_with_long_blocks_gets_its_notes_earlier() -> None:
    session = run_session(by_step(), [take(connected(ahead=10_000), (0, BAR), block=8000)])
    assert "lead 12" in session.lines[1]
    told = session.lines[1].index("note 1 bass 48000 44 80 0")
    assert session.lines[1].index(f"until 1 {60 * TICK - SNAP}") > told


def test_a_metre_is_that_of_the_host() -> None:
    player = FakePlayer()
    host = connected(metre=(3, 4))
    host.move(0)
    host.play(3 * 72 * TICK, TUNE)
    host.metre, host.bar = (4, 4), 3 * 72 * TICK
    host.play(3 * 72 * TICK + 2 * BAR, TUNE)
    host.stop()
    run_session(player, [host])
    metres = {request.now: request.metre for request in player.asked}
    assert metres[20] == Metre(3, 4)
    assert metres[36 + 8] == Metre(4, 4)
    origins = {request.now: request.bar_origin % 96 for request in player.asked if request.metre == Metre(4, 4)}
    assert set(origins.values()) == {3 * 72 % 96}


def test_a_band_that_begins_with_bar_1_plays_its_first_step() -> None:
    settings = Settings(start_with=BAND_START)
    player = only("drums", lambda _request, step: 36 + step % 16)
    session = run_session(player, [take(connected(mode=2), (0, BAR))], settings)
    assert begins(session, 1)[:3] == [0, STEP, 2 * STEP]


def test_controls_are_turned_where_the_host_turns_them() -> None:
    host = connected()
    host.move(0)
    host.play(BAR, TUNE)
    host.say(f"set {host.epoch} {BAR + BEAT} mute.bass on")
    host.play(2 * BAR, TUNE)
    host.stop()
    session = run_session(by_step(), [host])
    last = max(note.begin for note in session.notes())
    assert last == BAR + BEAT - STEP
    assert session.conductors[-1].settings.muted == {"bass"}


def test_what_is_muted_ends_though_it_was_told_ahead() -> None:
    host = connected()
    host.move(0)
    host.play(BAR + TICK, TUNE)
    host.say("set 0 0 mute.bass on")
    host.play(2 * BAR, TUNE)
    session = run_session(only("bass", lambda _request, step: 36 + step % 2, length=96), [host])
    assert all(note.end is not None for note in session.notes())


def test_controls_outlive_a_stop() -> None:
    host = take(connected(), (0, BAR))
    host.say("set 0 0 density 1.5")
    take(host, (0, BAR))
    session = run_session(by_step(), [host])
    assert [each.settings.density for each in session.conductors] == [1.0, 1.5, 1.5]


def test_keys_go_up_when_the_connection_ends() -> None:
    def feed() -> Iterator[Event | FromPlugin | None]:
        host = connected()
        host.move(0)
        host.play(BAR, [Note(24, 60, 500)])
        for text in host.lines:
            yield FromPlugin(1, read_line(text.encode()))
        yield FromPlugin(1, None)
        yield turn("density", 0.5)

    session = run_feed(by_step(), feed())
    assert session.conductors[-1].settings.density == 0.5
    assert session.conductors[-1].waiting_for == "clock"


class Late:
    """A Composer whose answers come after so many looks at it."""

    def __init__(self, world: PluginWorld, player: Player) -> None:
        self.world, self.player = world, player
        self.waiting: list[tuple[int, PlanRequest]] = []

    def ask(self, request: PlanRequest) -> None:
        self.waiting = [(4, request)]  # as the worker: the newest wins

    def look(self) -> None:
        for count, request in self.waiting:
            if count == 0:
                self.world.put(PlanReady(0, self.player.plan(request)))
        self.waiting = [(count - 1, request) for count, request in self.waiting if count]


def run_late(host: Host, player: Player, *, answers: bool = True) -> Session:
    found: list[Late] = []

    def make(world: PluginWorld, player: Player) -> Late:
        found.append(Late(world, player))
        return found[0]

    def feed() -> Iterator[Event | FromPlugin | None]:
        for text in host.lines:
            yield FromPlugin(host.number, read_line(text.encode()))
            for _ in range(6 if host.mode == 2 else 1):
                if answers:
                    found[0].look()
                yield None

    return run_feed(player, feed(), composer=make, pause_ns=1_000_000 if answers else 50_000_000)


def test_plans_that_come_late_but_in_time_change_nothing() -> None:
    host = take(connected(ahead=2000), (0, 2 * BAR), block=500)
    assert run_late(host, FakePlayer()).notes() == run_session(FakePlayer(), [host]).notes()


def test_players_that_never_answer_hold_up_nobody() -> None:
    host = take(connected(), (0, 2 * BAR))
    session = run_late(host, FakePlayer(), answers=False)
    untils = [int(line.split()[2]) for line in session.lines[1] if line.startswith("until 1 ")]
    assert untils == sorted(untils)
    assert untils[-1] >= 2 * BAR - TICK


def test_failures_are_not_waited_for() -> None:
    class Failing:
        def __init__(self, world: PluginWorld, _player: Player) -> None:
            self.world = world

        def ask(self, request: PlanRequest) -> None:
            self.world.put(WorkerFailed(0, request.number, "no"))

    host = take(connected(mode=2), (0, BAR))
    session = run_feed(FakePlayer(), (FromPlugin(1, read_line(text.encode())) for text in host.lines), composer=Failing)
    assert f"until 1 {BAR + 3 * TICK - SNAP}" in session.lines[1]
    assert session.conductors[-1].counters.failed > 0


def test_a_receiver_gets_what_the_lead_gets() -> None:
    lead, other = connected(), connected(number=2, mask=2, lead=False)
    take(lead, (0, BAR), (3 * BAR, 4 * BAR))
    take(other, (0, BAR), (3 * BAR, 4 * BAR))
    lines: list[tuple[int, str]] = []
    for pair in zip(lead.lines, [*other.lines, *[""] * 99], strict=False):
        lines += [(1, pair[0]), (2, pair[1])]

    def feed() -> Iterator[Event | FromPlugin | None]:
        transports = [line for line in other.lines if line.startswith(("plays", "at"))]
        for text in lead.lines:
            if text.startswith(("plays", "at")):
                yield FromPlugin(2, read_line(transports.pop(0).encode()))
            yield FromPlugin(1, read_line(text.encode()))

    session = run_feed(by_step(), feed())
    assert session.notes(1)
    assert [(n.begin, n.pitch) for n in session.notes(2)] == [(n.begin, n.pitch) for n in session.notes(1)]
    assert "taken 3" in session.lines[1]
    assert len(session.conductors) == 2


def test_a_receiver_alone_is_answered_at_its_first_block() -> None:
    host = connected(mask=2, lead=False, mode=2)
    host.move(BAR)
    session = run_session(by_step(), [host])
    assert session.lines[1][-1] == f"until 1 {BAR + 3 * TICK - SNAP}"


def test_programs_are_told_once() -> None:
    settings = Settings(programs={"bass": 34}, banks={"bass": 129})
    host = take(connected(), (0, BAR))
    take(host, (0, BAR))
    session = run_session(by_step(), [host], settings)
    assert [line for line in session.lines[1] if line.startswith("program")] == ["program bass 34 129"]


@given(st.data())
@examples(max_examples=25, deadline=None)
def test_whatever_the_host_does_nothing_is_left_on_and_until_rises(data: st.DataObject) -> None:
    host = connected(ahead=data.draw(st.integers(0, 20_000)))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(-2 * BAR, 20 * BAR))
        host.us = data.draw(st.integers(100_000, 2_000_000))
        host.move(place, data.draw(st.sampled_from([1, 2])))
        host.play(place + data.draw(st.integers(0, BAR)), TUNE, data.draw(st.integers(1, 9000)) + 200)
        if data.draw(st.booleans()):
            host.stop()
    host.stop()
    session = run_session(FakePlayer(), [host])
    last: dict[str, int] = {}
    for line in session.lines[1]:
        word, *fields = line.split()
        if word == "until":
            assert int(fields[1]) > last.get(fields[0], -(1 << 60))
            last[fields[0]] = int(fields[1])
        elif word == "note" and int(fields[4]):
            assert int(fields[2]) >= last.get(fields[0], -(1 << 60))  # never what was said to be told
