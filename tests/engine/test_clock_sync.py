"""The conductor under a master clock, on virtual time: start, stop, tempo, jumps, loops, dropouts, lost ports."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daemon.clocks.midi_clock import SILENCE_TIMEOUT_NS, MidiClock
from daemon.core.counters import Counters
from daemon.core.events import ControlChange, Event, MidiIn, OutputLatency, PortsBack, PortsLost, Quit
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.harmony.chart_line import ChartLine
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, SentMessage, VirtualWorld
from music.charts.reading import parse_charts
from music.note import Metre, Note
from tests.support.fakes import MS, FakePlayer, StandingStill, midi, only, pairs

STEP = 125 * MS  # at 120 bpm
BEAT, BAR = 4 * STEP, 16 * STEP
SECOND = 1_000 * MS
TUNE = [Note(i * 24, 60 + i * 5 % 12, 20) for i in range(64)]
AT_120 = TempoMap(500_000)


def spp(value: int) -> bytes:
    return bytes((0xF2, value & 0x7F, value >> 7))


def master(bpm: float, count: int, at: int = 0, first: bytes | None = b"\xfa") -> list[Event]:
    """Start (or nothing) and `count` ticks."""
    beats = [MidiIn(at + round(i * 60e9 / bpm / 24), b"\xf8") for i in range(count)]
    return [*([] if first is None else [MidiIn(at, first)]), *beats]


@dataclass
class Show:
    """What came of it."""

    sent: list[SentMessage]
    conductor: Conductor
    player: FakePlayer

    @property
    def onsets(self) -> list[int]:
        """When (ns) notes began."""
        return [message.at for message in self.sent if message.data[0] & 0xF0 == 0x90]

    @property
    def counters(self) -> Counters:
        return self.conductor.counters


def show(
    events: Iterable[Event],
    *,
    until: int,
    player: FakePlayer | None = None,
    commands: bool = True,
    metre: Metre = Metre(),
    send_clock: bool = False,
    clock: bool = True,
    tempo_without_start: bool = False,
    latency: int = 5 * MS,
    whole: bool = True,
    settings: Settings = Settings(),
    chart: ChartLine | None = None,
) -> Show:
    """A band at 120 bpm under a MIDI clock."""
    player = player or only("bass", lambda request, step: 40 + step % 40, length=5)
    world = VirtualWorld()
    for event in events:
        world.put(event)
    world.put(Quit(until))
    output = RecordingOutput(world)
    conductor = Conductor(
        world,
        output,
        InlineComposer(world, player, latency),
        player.info,
        SongInfo(metres=((0, metre),)),
        settings,
        clock=MidiClock(500_000, commands, tempo_without_start=tempo_without_start) if clock else None,
        send_clock=send_clock,
        chart=chart,
    )
    conductor.run()
    if whole:
        pairs([message for message in output.sent if message.data[0] < 0xF0])  # nothing hangs, nothing begins twice
    return Show(output.sent, conductor, player)


def tune(at: int = 0, us: int = 500_000, notes: Iterable[Note] = TUNE) -> list[Event]:
    return [*midi(notes, TempoMap(us, 0, at))]


def on(at: int, pitch: int = 60) -> MidiIn:
    return MidiIn(at, bytes((0x90, pitch, 80)))


# Start and stop


def test_nothing_plays_before_the_master_starts() -> None:
    assert show(tune(), until=8 * BEAT).sent == []


def test_the_band_begins_with_the_melody_after_start_on_the_masters_steps() -> None:
    start = 3 * SECOND + 17
    done = show([*master(120, 200, start), *tune(start)], until=start + 2 * BAR)
    grid = [start + i * STEP for i in range(1, 32)]
    assert all(abs(onset - true) <= 100_000 for onset, true in zip(done.onsets, grid, strict=True))
    assert done.player.asked[0].melody == (Note(0, 60, 3),)


@pytest.mark.parametrize("early", [1, 49 * MS])
def test_a_first_note_that_overtakes_start_belongs_to_it(early: int) -> None:
    start = 3 * SECOND
    done = show([on(start - early), *master(120, 100, start)], until=start + BAR)
    assert done.player.asked[0].melody == (Note(0, 60, 3),)
    assert abs(done.onsets[0] - (start + STEP)) < 0.1 * MS


def test_a_note_that_was_played_long_before_does_not() -> None:
    start = 3 * SECOND
    assert show([on(start - 51 * MS), *master(120, 100, start)], until=start + BAR).player.asked == []


def test_a_note_that_was_over_before_start_does_not_count() -> None:
    start = 3 * SECOND
    over = [on(start - 30 * MS), MidiIn(start - 10 * MS, b"\x80\x3c\x00")]
    assert show([*over, *master(120, 100, start)], until=start + BAR).player.asked == []


@pytest.mark.parametrize("stop", [7 * STEP + 1, 8 * STEP, 9 * STEP + 60 * MS])
def test_stop_silences_at_once(stop: int) -> None:
    player = only("bass", lambda request, step: 40 + step % 40, length=30)
    ticks = [event for event in master(120, 400) if event.at < stop]
    done = show([*ticks, *tune(), MidiIn(stop, b"\xfc")], until=4 * BAR, player=player)
    assert max(message.at for message in done.sent if message.data[0] < 0xB0) == stop
    after = [(message.at, message.data) for message in done.sent if message.at > stop]
    assert after == [(stop + 100 * MS, b"\xb1\x7b\x00"), (4 * BAR, b"\xb1\x7b\x00")]  # once more, and on leaving


def test_continue_resumes_where_it_was_and_start_waits_for_the_melody() -> None:
    first = [event for event in master(120, 400) if event.at < 20 * STEP]
    again = master(120, 200, 10 * SECOND, b"\xfb")
    done = show([*first, *tune(notes=TUNE[:4]), MidiIn(20 * STEP, b"\xfc"), *again], until=10 * SECOND + BAR)
    resumed = [onset for onset in done.onsets if onset > 5 * SECOND]
    assert resumed
    assert all(min((onset - 10 * SECOND) % STEP, -(onset - 10 * SECOND) % STEP) < 0.2 * MS for onset in resumed)
    anew = [*first, *tune(notes=TUNE[:4]), MidiIn(20 * STEP, b"\xfc"), *master(120, 200, 10 * SECOND)]
    assert not [onset for onset in show(anew, until=10 * SECOND + BAR).onsets if onset > 5 * SECOND]


def test_the_bar_is_the_masters_after_continuing_anywhere() -> None:
    """Continue at beat 2 of bar 5: what the players are told agrees with the bar of the master."""
    events = [MidiIn(0, spp(4 * 16 + 4)), *master(120, 300, 1000, b"\xfb"), *tune(1000)]
    done = show(events, until=2 * BAR)
    request = done.player.asked[0]
    assert (request.now * 6 - request.bar_origin) % 96 == 24 + 6


# Tempo


@pytest.mark.parametrize(("before", "after"), [(120, 132), (120, 90), (100, 160), (60, 121), (60, 200), (200, 90)])
def test_a_tempo_change_is_followed_within_a_beat(before: float, after: float) -> None:
    events = master(before, 97)
    change = events[-1].at
    events += master(after, 300, change, None)[1:]
    melody = tune(0, round(60e6 / before), TUNE[:5])
    done = show([*events, *melody], until=change + 5 * SECOND)
    step = 60e9 / after / 4
    late = [onset - change for onset in done.onsets if onset > change + 60e9 / after + 20 * MS]
    assert len(late) > 20
    assert all(abs(ns - round(ns / step) * step) < 1 * MS for ns in late)
    assert done.counters.isr == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_ten_ms_of_jitter_do_not_shake_the_band(seed: int) -> None:
    rng, came = random.Random(seed), 0
    events: list[Event] = [MidiIn(0, b"\xfa")]
    for event in master(120, 1_000, 0, None):
        came = max(came, event.at + round(rng.uniform(0, 10 * MS)))
        events.append(MidiIn(came, b"\xf8"))
    done = show([*events, *tune()], until=18 * SECOND)
    offsets = [(onset + STEP // 2) % STEP - STEP // 2 for onset in done.onsets if onset > 4 * SECOND]
    mean = sum(offsets) / len(offsets)
    assert len(offsets) > 100
    assert max(abs(offset - mean) for offset in offsets) < 3 * MS
    assert done.counters.isr == 1.0


def test_no_step_is_played_twice_or_left_out_while_the_tempo_wanders() -> None:
    at = 0.0
    events: list[Event] = [MidiIn(0, b"\xfa")]
    for i in range(24 * 32):
        events.append(MidiIn(round(at), b"\xf8"))
        at += 60e9 / (120 + 40 * ((i // 96) % 2)) / 24
    player = only("bass", lambda request, step: step % 128, length=3)
    done = show([*events, on(0)], until=round(at), player=player)
    pitches = [message.data[1] for message in done.sent if message.data[0] & 0xF0 == 0x90]
    assert pitches == [step % 128 for step in range(1, len(pitches) + 1)]
    assert len(pitches) >= 126


# Jumps


def looped(times: int, bars: int, shift: int = 0) -> list[Event]:
    """A master at 120 bpm that loops its first bars, as Ardour says it: Stop, position, Continue, tick, at one
    moment."""
    events = master(120, bars * 96)
    for i in range(1, times):
        at = i * bars * BAR + shift
        events += [MidiIn(at, b"\xfc"), MidiIn(at, spp(0)), *master(120, bars * 96, at, b"\xfb")]
    return events


@pytest.mark.parametrize("lead", [-1 * MS, 0, 1 * MS])
def test_a_loop_in_step_with_the_bar_goes_on_without_a_gap(lead: int) -> None:
    """Every step sounds, on its time, though the loop's stop has silenced what sounded."""
    done = show([*looped(4, 2, lead), *tune(notes=TUNE[:2])], until=8 * BAR)
    steps = sorted({(onset + STEP // 2) // STEP for onset in done.onsets})
    assert steps[:127] == list(range(1, 128))
    assert all(abs(onset - round(onset / STEP) * STEP) < 2 * MS for onset in done.onsets)
    assert done.counters.jumps == 0


def test_at_a_loop_what_sounded_ends() -> None:
    player = only("bass", lambda request, step: 40 + step % 40, length=60)
    done = show([*looped(2, 2), *tune(notes=TUNE[:2])], until=3 * BAR, player=player)
    early = [(key, begun, over) for _, key, begun, over in pairs(done.sent) if begun < 2 * BAR - 10 * MS < over]
    assert early
    assert {over for _, _, over in early} == {2 * BAR}


@pytest.mark.parametrize("value", [0, 16 * 8, 4])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_jump_aligns_to_the_masters_bar_at_once(value: int, stopped: bool) -> None:
    """From the middle of beat 2 of bar 3 to bar 1, bar 9, or beat 2."""
    at = 2 * BAR + BEAT + 3 * STEP // 2
    events = [event for event in master(120, 500) if event.at < at]
    events += [MidiIn(at, b"\xfc")] if stopped else []
    events += [MidiIn(at, spp(value)), *master(120, 200, at, b"\xfb" if stopped else None)]
    player = only("bass", lambda request, step: 40 + step % 40, length=60)
    done = show([*events, *tune(notes=TUNE[:4])], until=at + BAR, player=player)
    assert {over for *_, begun, over in pairs(done.sent) if begun < at and over > at - 10 * MS} <= {at}
    after = [onset for onset in done.onsets if onset > at]
    assert after[0] <= at + STEP + 1 * MS  # silent for a step, no longer
    assert all(min((onset - at) % STEP, (at - onset) % STEP) < 0.2 * MS for onset in after)
    asked = [request for request in done.player.asked if request.heard is not None][-1]
    tempo = done.conductor.tempo
    assert tempo is not None
    bar = asked.bar_origin + value % 16 * 6
    assert (tempo.tick_at(at + 1000) - bar) % 96 == 0
    assert done.counters.jumps == 1


def test_a_clock_that_is_far_off_all_at_once_is_followed_by_a_leap() -> None:
    """A master that was away for a second and a half and comes back half a bar off."""
    events = [*master(120, 96), *master(120, 300, BAR + 1500 * MS + 210 * MS, None)]
    done = show([*events, *tune(notes=TUNE[:4])], until=5 * BAR)
    late = [onset for onset in done.onsets if onset > 3 * BAR]
    assert late
    origin = BAR + 1710 * MS
    ticks = 60e9 / 120 / 24
    assert all(abs((onset - origin) / ticks - round((onset - origin) / ticks)) * ticks < 1 * MS for onset in late)


# Metres


@pytest.mark.parametrize("metre", [Metre(4, 4), Metre(3, 4), Metre(6, 8), Metre(2, 4)])
def test_metres_are_in_step_after_a_jump(metre: Metre) -> None:
    at = 5 * STEP + 1000
    bars = metre.ticks_per_bar * 7 // 6
    events = [event for event in master(120, 500) if event.at < at]
    events += [MidiIn(at, spp(bars)), *master(120, 300, at, None), *tune(notes=TUNE[:2])]
    done = show(events, until=at + BAR, metre=metre)
    tempo = done.conductor.tempo
    assert tempo is not None
    request = done.player.asked[-1]
    assert request.metre == metre
    assert (tempo.tick_at(at + 1000) - request.bar_origin) % metre.ticks_per_bar == 0


# What goes wrong


def test_a_clock_that_dies_in_the_middle_of_a_bar_leaves_nothing_on_and_is_found_again() -> None:
    player = only("bass", lambda request, step: 40 + step % 40, length=30)
    first = [event for event in master(120, 400) if event.at < BAR + 3 * STEP]
    back = [event for event in master(120, 2_000) if event.at > 20 * SECOND]
    done = show([*first, *back[1:], *tune(notes=TUNE[:4])], until=24 * SECOND, player=player)
    gone = first[-1].at + SILENCE_TIMEOUT_NS
    silent = [message.data for message in done.sent if gone < message.at < 20 * SECOND]
    assert silent == [b"\xb1\x7b\x00"]
    again = [onset for onset in done.onsets if onset > 20 * SECOND]
    assert len(again) > 20
    assert all(min(onset % STEP, -onset % STEP) < 0.2 * MS for onset in again)


def test_a_lost_stop_ends_in_silence_all_the_same() -> None:
    first = [event for event in master(120, 400) if event.at < BAR]
    done = show([*first, *tune()], until=10 * BAR)
    assert max(done.onsets) <= BAR + SILENCE_TIMEOUT_NS


def test_half_a_beat_without_clock_is_not_heard() -> None:
    ticks = [event for event in master(120, 400) if not BAR < event.at < BAR + 2 * STEP]
    done = show([*ticks, *tune()], until=3 * BAR)
    assert done.onsets == [i * STEP for i in range(1, 48)]


def test_the_chart_is_where_the_master_is() -> None:
    chart = ChartLine(parse_charts(b"| C | F | G | Am |\n", Path("song.txt"))[0])
    jump = [MidiIn(BAR, b"\xfc"), MidiIn(BAR + 10 * MS, spp(48)), *master(120, 90, 2 * BAR, b"\xfb")]
    player = FakePlayer()
    show(
        [*tune(), *master(120, 96), *jump],
        until=2 * BAR + 3 * BEAT,
        player=player,
        settings=Settings(harmony="chart"),
        chart=chart,
    )
    heard = [
        next(each.root for each in request.harmony if each.start <= request.now * 6 < each.end)
        for request in player.asked
    ]
    assert heard[3] == 0
    assert heard[-1] == 9


def chart_roots(done: Show) -> list[int]:
    """The root that was heard of in the middle of every half bar."""
    roots = {
        request.now: next(each.root for each in request.harmony if each.start <= request.now * 6 < each.end)
        for request in done.player.asked
    }
    return [root for step, root in sorted(roots.items()) if step % 8 == 4]


@pytest.mark.parametrize(("vamp", "expected"), [(False, [5, 5, 5, 5, 0, 0]), (True, [5] * 6)])
def test_a_vamp_repeats_the_section_at_which_the_master_begins(vamp: bool, expected: list[int]) -> None:
    chart = ChartLine(parse_charts(b"[A]\n| C | C |\n[B]\n| F | F |\n", Path("song.txt"))[0])
    events = [MidiIn(0, spp(32)), *master(120, 4 * 96, 1000, b"\xfb"), *tune(1000)]
    done = show(events, until=3 * BAR, chart=chart, settings=Settings(harmony="chart", vamp=vamp))
    assert chart_roots(done) == expected


def test_an_ending_of_the_chart_goes_on_when_its_master_loops() -> None:
    chart = ChartLine(parse_charts(b"[A]\n| C | F | G | Am |\n[Ending]\n| D | D | E |\n", Path("song.txt"))[0])
    loop = 2 * BAR + BAR // 2
    events = [
        *tune(),
        *(event for event in master(120, 2 * 96 + 48) if event.at < loop),
        ControlChange(BAR + BEAT, "ending", True),
        MidiIn(loop - 2, b"\xfc"),
        MidiIn(loop - 1, spp(8)),
        *master(120, 4 * 96, loop, b"\xfb"),
    ]
    done = show(
        sorted(events, key=lambda event: event.at), until=6 * BAR, chart=chart, settings=Settings(harmony="chart")
    )
    assert done.counters.jumps == 0
    assert chart_roots(done) == [0, 0, 5, 5, 2, 2, 2, 2]
    assert round(max(done.onsets) / STEP) == 4 * 16  # the final chord


@pytest.mark.parametrize(
    ("how", "seconds"),
    [
        *((how, seconds) for how in ("clock goes on", "clock bunches up") for seconds in (0.3, 1.7, 3, 12)),
        *(("clock stood still, too", seconds) for seconds in (0.3, 1.7, 3, 12, 3_600)),
    ],
)
def test_when_the_machine_has_stood_still_nothing_hangs_and_the_band_is_where_its_master_is(
    how: str, seconds: float
) -> None:
    """The program was held up in the middle of a bar: what its master said meanwhile was stamped in time, or all at
    once when it went on, or the master, on the same machine, was held up as well."""
    since, held = BAR + 5 * STEP + 30 * MS, round(seconds * SECOND)
    awake = since + held
    world = StandingStill(since, held)
    events = master(120, 24 * (30 + round(2 * min(seconds, 20))))
    for event in events:
        assert isinstance(event, MidiIn)
        at = event.at
        if how == "clock bunches up" and since < at < awake:
            at = awake
        elif how == "clock stood still, too" and at > since:
            at += held
        world.put(MidiIn(at, event.data))
    for event in tune(notes=[Note(0, 60, 20_000_000)]):
        world.put(event)
    world.put(Quit(awake + 4 * BAR))
    output, player = RecordingOutput(world), only("bass", lambda request, step: 40 + step % 40, length=5)
    clock = MidiClock(500_000)
    conductor = Conductor(world, output, InlineComposer(world, player, 5 * MS), player.info, SongInfo(), clock=clock)
    conductor.run()
    sounded = pairs([message for message in output.sent if message.data[0] < 0xF0])
    onsets = [on for _, _, on, _ in sounded]
    assert sum(awake <= on < awake + 20 * MS for on in onsets) <= 2  # no burst of what is late
    assert all(off <= awake + 40 * MS or off - on < 2 * STEP for _, _, on, off in sounded)
    origin = held if how == "clock stood still, too" else 0
    late = [on - origin for on in onsets if on > awake + BAR]
    assert len(late) > 16
    assert all(min(on % STEP, -on % STEP) < 1.5 * MS for on in late)
    assert conductor.tempo is not None
    request = player.asked[-1]
    bars = (conductor.tempo.tick_at(origin + conductor_bar(awake - origin) + 1000) - request.bar_origin) % 96
    assert bars == 0


def conductor_bar(at: int) -> int:
    """When the master's next bar but one begins."""
    return (at // BAR + 2) * BAR


@pytest.mark.parametrize("noticed", [0, 1, 16, 100])
@pytest.mark.parametrize("lost", [0, 1, 3, 50])
def test_ports_that_are_lost_leave_nothing_on_when_they_are_back(lost: int, noticed: int) -> None:
    """What was on when they went is ended again when they are there: the first end went nowhere, and so may have those
    that were sent before the loss was noticed."""
    player = only("bass", lambda request, step: 40 + step % 40, length=30)
    gone = 10 * STEP + 20 * MS
    at = gone + noticed * STEP
    events = [*tune(), PortsLost(at), PortsBack(at + lost * STEP)]
    done = show(events, until=at + 64 * STEP, player=player, clock=False, whole=False)
    sounding: set[int] = set()
    for message in done.sent:
        if gone <= message.at < at + lost * STEP:
            continue  # nobody heard this
        if message.data[0] & 0xF0 == 0x90:
            sounding.add(message.data[1])
        elif message.data[0] & 0xF0 == 0x80:
            sounding.discard(message.data[1])
    assert not sounding
    assert max(done.onsets) > at + 60 * STEP
    assert done.counters.losses == 1


def test_what_comes_back_of_ones_own_is_no_melody() -> None:
    """The band's output wired to its input, 3 ms late: it is asked about the player's notes alone."""
    world = VirtualWorld()
    player = only("bass", lambda request, step: 40 + step % 40, length=5)
    output = RecordingOutput(world)

    class Wired:
        def send(self, data: bytes, due: int, at: int | None = None) -> None:
            output.send(data, due)
            world.put(MidiIn(world.now() + 3 * MS, data))

    for event in tune(notes=TUNE[:8]):
        world.put(event)
    world.put(Quit(2 * BAR))
    conductor = Conductor(
        world, Wired(), InlineComposer(world, player), player.info, SongInfo(), clock=MidiClock(500_000, False)
    )
    conductor.run()
    pairs(output.sent)
    assert conductor.counters.echoes >= 60
    assert {note.pitch for request in player.asked for note in request.melody} == {n.pitch for n in TUNE[:8]}


# auto


def test_in_auto_the_first_note_starts_the_band_while_there_is_no_clock() -> None:
    done = show(tune(123 * MS), until=2 * BAR, commands=False)
    assert done.onsets[:3] == [123 * MS + i * STEP for i in (1, 2, 3)]


def test_in_auto_a_master_takes_over_when_it_starts() -> None:
    at = 3 * BAR + 77 * MS
    done = show([*tune(), *master(100, 400, at)], until=at + 2 * BAR, commands=False)
    step = 60e9 / 100 / 4
    after = [onset - at for onset in done.onsets if onset > at + 600 * MS]
    assert len(after) > 10
    assert all(abs(ns - round(ns / step) * step) < 0.3 * MS for ns in after)


def test_in_auto_start_lets_the_player_go_on_alone() -> None:
    events = [
        *master(120, 96),
        MidiIn(BAR, b"\xfc"),
        ControlChange(3 * BAR, "start", True),
        *tune(4 * BAR + 5, notes=TUNE[:8]),
    ]
    done = show(events, until=6 * BAR, commands=False)
    assert done.onsets[0] == 4 * BAR + 5 + STEP


def test_a_clock_that_only_beats_gives_the_tempo_and_the_first_note_the_bar() -> None:
    events = master(90, 600, 0, None)
    first = round(60e9 / 90 * 2)
    melody = tune(first, 666_667, TUNE[:8])
    done = show([*events, *melody], until=first + 4 * SECOND, tempo_without_start=True)
    step = 60e9 / 90 / 4
    assert len(done.onsets) > 20
    assert all(abs((onset - first) / step - round((onset - first) / step)) * step < 0.5 * MS for onset in done.onsets)


def test_in_auto_a_clock_that_never_starts_leaves_the_tempo_to_the_player() -> None:
    asked: list[float] = []
    events = [*master(90, 600, 0, None), *tune(BEAT, notes=TUNE[:12])]
    events += [ControlChange(3 * BAR, "bpm", 100.0, done=asked.append)]
    done = show(events, until=6 * BAR, commands=False)
    assert asked == [True]
    early = [onset - BEAT for onset in done.onsets if onset < 3 * BAR]
    assert early == [i * STEP for i in range(1, len(early) + 1)]
    late = [onset for onset in done.onsets if onset > 4 * BAR]
    assert {later - onset for onset, later in pairwise(late)} <= {150 * MS}


def test_midi_waits_for_a_start_whatever_beats() -> None:
    assert show([*master(120, 600, 0, None), *tune()], until=8 * BEAT).sent == []


def test_continue_while_the_master_rolls_cuts_nothing() -> None:
    player = only("bass", lambda request, step: 40 + step % 40, length=30)
    plain = [*master(120, 700), *tune()]
    spoken = [*plain, *(MidiIn(i * BAR + MS, b"\xfb") for i in range(1, 6))]
    assert show(spoken, until=6 * BAR, player=player).sent == show(plain, until=6 * BAR, player=player).sent


def test_a_reset_stops_a_master() -> None:
    at = 20 * STEP + MS
    assert max(show([*master(120, 700), on(0), MidiIn(at, b"\xff")], until=4 * BAR).onsets) < at


def test_a_reset_releases_the_players_keys() -> None:
    done = show([on(0), MidiIn(20 * STEP, b"\xff")], until=4 * BAR, clock=False)
    assert max(done.onsets) > 3 * BAR
    assert done.player.asked[-1].melody == (Note(0, 60, 20 * 6),)


# Being the master


def test_as_master_the_band_beats_and_starts_on_bar_one_and_stops() -> None:
    events = [*tune(1000), ControlChange(BAR + 1000, "stop", True)]
    done = show(events, until=2 * BAR, clock=False, send_clock=True)
    system = [(message.at, message.data) for message in done.sent if message.data[0] >= 0xF8]
    assert system[:3] == [(1000, b"\xfa"), (1000, b"\xf8"), (AT_120.ns_at(1) + 1000, b"\xf8")]
    assert (BAR + 1000, b"\xfc") in system
    beats = [at for at, data in system if data == b"\xf8"]
    assert beats[:97] == [TempoMap(500_000, 0, 1000).ns_at(tick) for tick in range(97)]


# Whatever comes


@pytest.mark.parametrize(("masters", "between"), [((60, 120), 4 * SECOND), ((60, 60, 120, 120), 1_495_929_609)])
def test_after_several_masters_at_once_one_is_followed(masters: tuple[int, ...], between: int) -> None:
    """Their ticks together make no line; the one that follows does."""
    events = [*tune(), *(event for bpm in masters for event in master(bpm, 60))]
    if between < 4 * SECOND:
        events += [MidiIn(0, b"\xfb"), *master(60, 60, between)]
    end = between + 4 * SECOND
    done = show([*events, *master(120, 400, end), *tune(end)], until=end + 4 * BAR, commands=False, whole=False)
    after = [onset for onset in done.onsets if onset > end + 2 * BAR]
    assert len(after) > 24
    assert all(min((onset - end) % STEP, (end - onset) % STEP) < 1 * MS for onset in after)


@examples(max_examples=40)
@given(st.data())
def test_whatever_a_master_does_nothing_hangs_and_the_band_is_there_again(data: st.DataObject) -> None:
    at = 0
    events: list[Event] = [*tune()]
    for _ in range(data.draw(st.integers(1, 12))):
        at += data.draw(st.integers(0, 3 * BEAT))
        kind = data.draw(st.sampled_from(["start", "stop", "continue", "jump", "ticks", "lost", "back"]))
        match kind:
            case "start":
                events += master(data.draw(st.sampled_from([60, 120, 240])), 60, at)
            case "stop":
                events.append(MidiIn(at, b"\xfc"))
            case "continue":
                events.append(MidiIn(at, b"\xfb"))
            case "jump":
                events.append(MidiIn(at, spp(data.draw(st.integers(0, 400)))))
            case "ticks":
                events += master(data.draw(st.sampled_from([60, 120, 240])), 60, at, None)
            case "lost":
                events.append(PortsLost(at))
            case _:
                events.append(PortsBack(at))
    end = at + 4 * SECOND
    events += [*master(120, 400, end), *tune(end)]
    done = show(events, until=end + 4 * BAR, commands=data.draw(st.booleans()), whole=False)
    after = [onset for onset in done.onsets if onset > end + 2 * BAR]  # it has to learn that this one does not jitter
    assert len(after) > 24
    assert all(min((onset - end) % STEP, (end - onset) % STEP) < 1 * MS for onset in after)


@examples(max_examples=30)
@given(st.integers(0, 1 << 32))
def test_random_bytes_do_no_harm(seed: int) -> None:
    rng = random.Random(seed)
    at = 0
    events: list[Event] = []
    for _ in range(2_000):
        at += rng.choice([0, 1000, MS, 20 * MS])
        events.append(MidiIn(at, rng.randbytes(rng.choice([1, 2, 3, 3, 3, 5]))))
    events += [*master(120, 300, at + SECOND), *tune(at + SECOND)]
    done = show(events, until=at + SECOND + 2 * BAR, commands=rng.random() < 0.5)
    assert [onset for onset in done.onsets if onset > at + SECOND]


@examples(max_examples=40)
@given(st.integers(0, 2), st.integers(0, 12), st.integers(-2, 3), st.integers(1, 4))
def test_a_stop_while_a_struck_chord_waits_for_its_step_leaves_nothing_of_it(
    held: int, struck: int, early: int, bars: int
) -> None:
    def write(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        roots = [each.root for each in request.harmony if each.start <= step * 6 < each.end]
        root = roots[-1] if roots else 0
        chord = [Note(step * 6, 60 + (root + up) % 12, 20, 70) for up in (0, 4, 7)]
        return {} if step % 4 else {"bass": [Note(step * 6, 36 + root, 20, 80)], "chords": chord}

    tick = STEP / 6
    stop = BAR + round((held + 0.5) * tick)  # just after notes began
    again = stop + bars * BAR + round(early * tick)
    hand = [on(0, 48), on(0, 52), on(0, 55), *(MidiIn(BAR - STEP, bytes((0x80, key, 0))) for key in (48, 52, 55))]
    other = [on(BAR + round(struck * tick / 2), pitch) for pitch in (48, 53, 57)]
    events = [each for each in master(120, 400) if each.at < stop]
    events += [*tune(notes=TUNE[:5]), *hand, *other, MidiIn(stop, b"\xfc"), *master(120, 200, again, b"\xfb")]
    played = show(
        sorted(events, key=lambda event: event.at),
        until=again + 2 * BAR,
        player=FakePlayer(write, roles=("bass", "chords")),
        settings=Settings(harmony="hands", split=60),
    )
    assert any(at > again for at in played.onsets)


def early_by(found: Show) -> set[int]:
    """Return by how much (ns) notes left before they were due."""
    return {message.due - message.at for message in found.sent if message.data[0] & 0xF0 == 0x90}


@pytest.mark.parametrize("waits", [True, False])
def test_notes_leave_earlier_by_what_the_ports_take_while_a_clock_is_followed(waits: bool) -> None:
    events = [OutputLatency(0, 40 * MS), *master(120, 192, at=BAR), *tune(BAR)]
    found = show(events, until=3 * BAR, commands=waits)
    assert len(found.onsets) > 20
    assert early_by(found) == {40 * MS}
    assert {at % STEP for at in found.onsets} == {STEP - 40 * MS}


def test_a_band_that_keeps_its_own_tempo_is_not_ahead_of_it() -> None:
    events = [OutputLatency(0, 40 * MS), *tune(BAR)]
    for found in (show(events, until=3 * BAR, clock=False), show(events, until=3 * BAR, commands=False)):
        assert len(found.onsets) > 20
        assert early_by(found) == {0}


@given(st.lists(st.tuples(st.integers(0, 3 * BAR // MS), st.integers(0, 100)), max_size=6))
@examples(max_examples=25, deadline=None)
def test_whenever_the_latency_of_the_ports_changes_nothing_hangs_and_no_note_is_earlier_than_asked(
    changes: list[tuple[int, int]],
) -> None:
    news = [OutputLatency(at * MS, latency * MS) for at, latency in sorted(changes)]
    events: list[Event] = sorted([*news, *master(120, 192), *tune()], key=lambda event: event.at)
    found = show(events, until=4 * BAR)
    assert found.onsets
    assert max(early_by(found)) <= max((0, *(latency * MS for _, latency in changes)))
