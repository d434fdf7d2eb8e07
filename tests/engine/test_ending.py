"""Endings on virtual time: where the final chord falls, and the ritardando before it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from daemon.clocks.midi_clock import MidiClock
from daemon.core.events import ControlChange, Event, MidiIn, Quit
from daemon.core.plan import PlanRequest
from daemon.core.settings import FINAL_CHORDS, Settings
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, VirtualWorld
from music.note import Metre, Note
from tests.support.fakes import MS, FakePlayer, Stage, only, pairs, perform

AT_120 = TempoMap(500_000)
HELD = [Note(0, 60, 3000)]
BALLAD = ("pop", "ballad")


def at(tick: int) -> int:
    return AT_120.ns_at(tick)


def turn(tick: int, key: str, value: object = True) -> ControlChange:
    return ControlChange(at(tick), key, value)


def under_c(request: PlanRequest, step: int) -> dict[str, list[Note]]:
    """A chord on every beat, a bass note on every step."""
    tick = step * 6
    chord = [Note(tick, p, 12, 70) for p in (60, 64, 67)] if step % 4 == 0 else []
    return {"bass": [Note(tick, 36, 4, 75)], "chords": chord, "pad": [], "drums": []}


def play(melody: Iterable[Note], *events: Event, style: str = "pop", **settings: object) -> Stage:
    player = FakePlayer(under_c, styles=BALLAD)
    chosen = Settings(style=style, **settings)  # type: ignore[arg-type]
    return perform(player, melody, until=1200, events=events, settings=chosen)


def find_final(stage: Stage) -> tuple[int, int]:
    """Return the tick and the length of the final chord."""
    start, _, _, length = max(note for note in stage.notes if note[1] == 2)
    return start, length


# Where the final chord falls


@pytest.mark.parametrize(("pressed", "chord"), [(96, 192), (150, 192), (185, 192), (186, 288), (191, 288), (192, 288)])
def test_it_falls_on_the_next_bar_line_and_a_sixteenth_before_one_is_meant_for_it(pressed: int, chord: int) -> None:
    assert find_final(play(HELD, turn(pressed, "ending"))) == (chord, 96)


@pytest.mark.parametrize(("pressed", "chord"), [(96, 288), (191, 288), (192, 384)])
def test_it_falls_a_bar_later_where_that_is_wanted(pressed: int, chord: int) -> None:
    assert find_final(play(HELD, turn(pressed, "ending"), final_chord="bar-later")) == (chord, 96)


@pytest.mark.parametrize(
    ("played", "chord"),
    [
        (132, 132),  # on a step
        (133, 133), (134, 134),  # behind one: at once
        (135, 138), (137, 138),  # before one: with it
        (189, 192), (200, 200),
    ],
)  # fmt: skip
def test_it_falls_on_the_next_note(played: int, chord: int) -> None:
    tune = [Note(0, 60, 20), Note(96, 62, 20), Note(played, 64, 400)]
    stage = play(tune, turn(121, "ending"), final_chord="next-note")
    assert find_final(stage) == (chord, 96)
    assert max(start for start, *_ in stage.notes) == chord
    assert {(channel, pitch, length) for start, channel, pitch, length in stage.notes if start == chord} == {
        (1, 36, 96), (2, 60, 96), (2, 64, 96), (2, 67, 96), (9, 36, 96), (9, 49, 96),
    }  # fmt: skip


@pytest.mark.parametrize(("pressed", "chord"), [(96, 96), (101, 101), (102, 288)])
def test_a_note_that_has_just_been_played_is_the_last_one(pressed: int, chord: int) -> None:
    stage = play([Note(0, 60, 20), Note(96, 62, 700)], turn(pressed, "ending"), final_chord="next-note")
    assert find_final(stage) == (chord, 96)


def test_without_another_note_it_falls_where_it_would_a_bar_later() -> None:
    assert find_final(play(HELD, turn(100, "ending"), final_chord="next-note")) == (288, 96)


def test_a_slow_synthesiser_has_its_final_chord_with_the_note_too() -> None:
    tune = [Note(0, 60, 20), Note(132, 64, 400)]
    stage = play(tune, turn(121, "ending"), final_chord="next-note", offsets_ms={"bass": 60.0})
    final = {(channel, start) for start, channel, *_ in stage.notes if start >= 132}
    assert final == {(1, 132), (2, 134), (9, 134)}  # the bass leaves at once, the others when it is heard


@pytest.mark.parametrize("final_chord", FINAL_CHORDS)
@pytest.mark.parametrize("style", BALLAD)
def test_whenever_it_is_asked_for_and_whatever_comes_then_no_note_is_left_on(final_chord: str, style: str) -> None:
    later = [
        [], [turn(230, "stop")], [turn(230, "panic")], [turn(170, "bpm", 90.0), turn(180, "tap"), turn(200, "tap")],
        [turn(150, "stop"), turn(160, "start")], [turn(140, "ending"), turn(205, "start")],
    ]  # fmt: skip
    tune = [Note(tick, 60 + tick % 7, 20) for tick in range(0, 500, 31)]
    for pressed in range(96, 200, 7):
        for events in later:
            player = FakePlayer(under_c, styles=BALLAD)
            stage = perform(
                player, tune, until=600, events=[turn(pressed, "ending"), *events], latency=MS,
                settings=Settings(style=style, final_chord=final_chord),
            )  # fmt: skip
            pairs(stage.sent)


def find_root(request: PlanRequest, tick: int) -> int | None:
    return next((each.root for each in request.harmony if each.start <= tick < each.end), None)


@pytest.mark.parametrize(("key", "root"), [("G", 7), ("auto", None)])
def test_where_the_key_is_known_and_nothing_else_it_ends_on_the_tonic(key: str, root: int | None) -> None:
    player = FakePlayer(under_c)
    perform(player, HELD, until=600, events=[turn(100, "ending")], settings=Settings(key=key))
    last = player.asked[-1]
    assert (last.now, find_root(last, 192)) == (32, root)
    assert find_root(last, 191) is None


# Ritardando


def marks(stage: Stage) -> list[tuple[int, int]]:
    assert stage.conductor.tempo is not None
    return list(stage.conductor.tempo.marks)


#: microseconds per beat from step 1 of the bar before the final chord on: 90 of 96 ticks slow down by 32 of 35 %
SLOWER = [500_000 * 200 * 90 // (200 * 90 - 32 * (12 * i + 6)) for i in range(15)]


def test_a_ballad_slows_down_over_the_last_bar_and_stays_slow_while_its_chord_is_held() -> None:
    stage = play(HELD, turn(96, "ending"), style="ballad")
    steps = [(102 + 6 * i, us) for i, us in enumerate(SLOWER)]
    assert marks(stage) == [(0, 500_000), *steps, (192, 500_000 * 100 // 68), (288, 500_000)]
    assert find_final(stage) == (192, 96)
    assert stage.conductor.us_per_beat == 500_000


def test_the_less_of_the_bar_is_left_the_less_it_slows_down() -> None:
    assert marks(play(HELD, turn(168, "ending"), style="ballad")) == [
        (0, 500_000), (174, 500_000 * 200 * 18 // (200 * 18 - 6 * 6)), (180, 500_000 * 200 * 18 // (200 * 18 - 6 * 18)),
        (186, 500_000 * 200 * 18 // (200 * 18 - 6 * 30)), (192, 500_000 * 100 // 94), (288, 500_000),
    ]  # fmt: skip


def test_a_bar_later_is_the_bar_that_slows_down() -> None:
    stage = play(HELD, turn(100, "ending"), style="ballad", final_chord="bar-later")
    assert marks(stage)[1][0] == 198
    assert marks(stage)[-2:] == [(288, 500_000 * 100 // 68), (384, 500_000)]


@pytest.mark.parametrize(
    ("style", "ritardando", "slows"),
    [("pop", "auto", False), ("pop", "on", True), ("ballad", "auto", True), ("ballad", "off", False)],
)
def test_the_style_or_the_control_says_whether_it_does(style: str, ritardando: str, slows: bool) -> None:
    assert (len(marks(play(HELD, turn(96, "ending"), style=style, ritardando=ritardando))) > 1) is slows


def test_stop_and_a_tempo_that_is_set_end_a_ritardando() -> None:
    stage = play(HELD, turn(96, "ending"), ControlChange(at(130), "stop", True), style="ballad")
    tempo = stage.conductor.tempo
    assert tempo is not None
    stopped = next(tick for tick, us in tempo.marks[1:] if us == 500_000)
    assert tempo.ns_at(stopped - 1) < at(130) <= tempo.ns_at(stopped)
    assert tempo.marks[-1] == (stopped, 500_000)
    stage = play(HELD, turn(96, "ending"), ControlChange(at(130), "bpm", 60.0), style="ballad")
    assert [us for _, us in marks(stage)][-1] == 1_000_000
    assert find_final(stage) == (192, 96)


def test_a_pauses_ending_slows_down_and_whoever_plays_again_has_the_tempo_again() -> None:
    tune = [Note(0, 60, 30), Note(240, 62, 900)]
    stage = play(tune, style="ballad", pause_bars=1)
    slow = [tick for tick, us in marks(stage) if us != 500_000]
    assert slow[0] == 198
    assert marks(stage)[-1] == (slow[-1] + 6, 500_000) or slow[-1] < marks(stage)[-1][0] <= 240
    assert find_final(stage)[0] > 1000


def test_a_clock_that_is_followed_says_how_fast_the_last_bar_is() -> None:
    beat = 500 * MS // 24
    world, player = VirtualWorld(), FakePlayer(under_c, styles=BALLAD)
    output = RecordingOutput(world)
    world.put(MidiIn(0, b"\xfa"))
    for tick in range(500):
        world.put(MidiIn(tick * beat, b"\xf8"))
    for event in (MidiIn(5, b"\x90\x3c\x50"), ControlChange(100 * beat, "ending", True), Quit(480 * beat)):
        world.put(event)
    settings = Settings(style="ballad")
    clock = MidiClock(500_000)
    conductor = Conductor(world, output, InlineComposer(world, player), player.info, SongInfo(), settings, clock=clock)
    conductor.run()
    assert conductor.tempo is not None
    assert {round(us, -4) for _, us in conductor.tempo.marks} == {500_000}
    pairs(output.sent)


def test_three_four_has_its_chord_for_a_bar_of_its_own() -> None:
    song = SongInfo(TempoMap(500_000), metres=((0, Metre(3, 4)),))
    stage = perform(only("bass", lambda r, s: 36, 4), HELD, until=600, events=[turn(80, "ending")], song=song)
    assert stage.notes[-1] == (144, 1, 36, 72)
