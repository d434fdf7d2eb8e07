"""Fills, variations, endings and pauses: the state machine alone, then what is heard of it on virtual time."""

from __future__ import annotations

from random import Random

import pytest

from daemon.core.events import ControlChange, Event, MidiIn
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TapTempo, TempoMap
from daemon.engine.form import FILL_DENSITY, FILL_TEMPERATURE, SEED_STEP, Form, Phase
from daemon.engine.song import BarLines, SongInfo
from music.note import Metre, Note
from tests.support.fakes import MS, FakePlayer, Stage, only, pairs, perform

AT_120 = TempoMap(500_000)
FOUR = ((0, Metre()),)
TUNE = [Note(i * 24, 60 + i * 5 % 12, 20) for i in range(48)]
HELD = [Note(0, 60, 2000)]
LATER = Settings(final_chord="bar-later")


def at(tick: int) -> int:
    return AT_120.ns_at(tick)


def turn(tick: int, key: str, value: object = True) -> ControlChange:
    return ControlChange(at(tick), key, value)


# The state machine


def fill_of(pressed: int) -> tuple[int, int]:
    form = Form(BarLines(FOUR))
    form.fill(pressed)
    filled = [t for t in range(0, 400, 6) if form.settings(t, Settings()) != Settings()]
    return filled[0], filled[-1] + 6


@pytest.mark.parametrize(("pressed", "span"), [(0, (48, 96)), (47, (48, 96)), (72, (48, 96)), (73, (144, 192))])
def test_a_fill_ends_with_its_bar_or_is_the_next_bars(pressed: int, span: tuple[int, int]) -> None:
    assert fill_of(pressed) == span


def test_a_fill_raises_density_and_temperature_within_their_range() -> None:
    form = Form(BarLines(FOUR))
    form.fill(0)
    raised = form.settings(48, Settings(density=1.0, temperature=1.0))
    assert (raised.density, raised.temperature) == (1 + FILL_DENSITY, 1 + FILL_TEMPERATURE)
    assert raised.recall == 0  # else it would be played without a fill where the song has been before
    most = form.settings(48, Settings(density=1.9, temperature=2.0))
    assert (most.density, most.temperature) == (2.0, 2.0)


def test_a_variation_is_another_seed_from_the_next_bar_on_and_two_are_two() -> None:
    form = Form(BarLines(FOUR))
    form.next_variation(10)
    form.next_variation(90)
    seeds = [form.settings(t, Settings(seed=5)).seed for t in (90, 95, 96, 500)]
    assert seeds == [5, 5, 5 + 2 * SEED_STEP, 5 + 2 * SEED_STEP]
    form.next_variation(500)
    assert form.settings(575, Settings()).seed == 2 * SEED_STEP
    assert form.settings(576, Settings()).seed == 3 * SEED_STEP


def test_a_variation_wanted_before_a_stop_is_there_after_it() -> None:
    form = Form(BarLines(FOUR))
    form.next_variation(10)
    form.reset()
    form.next_variation(None)
    assert form.settings(0, Settings()).seed == 2 * SEED_STEP


def test_an_ending_is_a_chord_for_a_bar_on_the_next_bar_line_or_a_bar_later() -> None:
    form = Form(BarLines(FOUR))
    form.end(100, "next-bar")
    found = [form.phase(t) for t in (100, 186, 192, 198, 282, 288)]
    assert [p.value for p in found] == ["playing", "playing", "chord", "held", "held", "over"]
    form = Form(BarLines(FOUR))
    form.end(100, "bar-later")
    phases = {t: form.phase(t) for t in (100, 192, 282, 288, 294, 378, 384, 390)}
    assert [p.value for p in phases.values()] == [
        "playing", "playing", "playing", "chord", "held", "held", "over", "over",
    ]  # fmt: skip
    form.end(290)
    assert form.phase(288) is Phase.CHORD


def test_a_pause_of_so_many_bars_ends_and_playing_calls_it_off() -> None:
    form = Form(BarLines(FOUR))
    for line, since in ((96, 50), (192, 50), (288, None)):
        form.end_after_pause(line, since, 2)
        assert form.ending is None
    form.end_after_pause(288 + 6, 50, 2)  # no bar line
    form.end_after_pause(288, 50, 0)
    assert form.ending is None
    form.end_after_pause(288, 50, 2)
    assert form.phase(384) is Phase.CHORD
    form.melody_played(383)
    assert form.ending is None
    form.end_after_pause(384, 50, 2)
    form.end(400)  # now it is wanted
    form.melody_played(401)
    assert form.phase(480) is Phase.CHORD


# Taps


@pytest.mark.parametrize(
    ("taps", "bpm"),
    [
        ([0], None),
        ([0, 500], 120.0),
        ([0, 500, 1000, 1900, 2400], 120.0),  # one of them clumsy
        ([0, 500, 5000], None),
        ([0, 500, 5000, 5600], 100.0),
        ([0, 50, 600], 100.0),  # a bouncing key
    ],
)
def test_taps_are_a_tempo(taps: list[int], bpm: float | None) -> None:
    tapping = TapTempo()
    assert [tapping.tap(t * MS) for t in taps][-1] == bpm


def test_a_tapped_tempo_holds_from_the_next_tick_on() -> None:
    stage = perform(FakePlayer(), TUNE, until=96, events=[ControlChange(t * MS, "tap", True) for t in (100, 500)])
    assert stage.conductor.tempo is not None
    assert stage.conductor.tempo.marks == ((0, 500_000), (24, 400_000))


# What is heard


def asked(player: FakePlayer) -> dict[int, PlanRequest]:
    return {request.now: request for request in player.asked}


@pytest.mark.parametrize("replan", ["step", "bar"])
def test_a_fill_is_asked_for_where_it_is_and_nowhere_else(replan: str) -> None:
    player = FakePlayer()
    perform(player, TUNE, until=288, events=[turn(100, "fill")], replan=replan)
    dense = {step: r.settings.density for step, r in asked(player).items() if step < 34}
    assert dense[24] == dense.get(31, 1 + FILL_DENSITY) == 1 + FILL_DENSITY
    assert {value for step, value in dense.items() if not 24 <= step < 32} == {1.0}
    assert all(r.fill == (24 <= step < 32) for step, r in asked(player).items())
    assert 32 in dense


def test_a_variation_is_asked_for_from_the_bar_line_on() -> None:
    player = FakePlayer()
    perform(player, TUNE, until=288, events=[turn(100, "variation")])
    assert {step for step, r in asked(player).items() if r.settings.seed} == set(range(32, 49))


def under_c(request: PlanRequest, step: int) -> dict[str, list[Note]]:
    """A chord on every beat, a bass note on every bar, a hi-hat on every step."""
    tick = step * 6
    chord = [Note(tick, p, 12, 70) for p in (60, 64, 67)] if step % 4 == 0 else []
    bass = [Note(tick, 36, 90, 75)] if step % 16 == 0 else []
    return {"bass": bass, "chords": chord, "pad": [], "drums": [Note(tick, 42, 3, 60)]}


def test_an_ending_plays_its_bar_then_holds_the_last_harmony_for_a_bar() -> None:
    stage = perform(FakePlayer(under_c), HELD, until=800, events=[turn(100, "ending")], settings=LATER)
    final = [n for n in stage.notes if n[0] >= 288]
    assert final == [
        (288, 1, 36, 96), (288, 2, 60, 96), (288, 2, 64, 96), (288, 2, 67, 96), (288, 9, 36, 96), (288, 9, 49, 96),
    ]  # fmt: skip
    assert [n[0] for n in stage.notes if n[1] == 9][-4:-2] == [276, 282]
    assert max(m.at for m in stage.sent if m.data[0] & 0xF0 == 0x80) == at(384)
    assert stage.counters.steps == 288 // 6 - 1


def test_what_an_ending_finds_sounding_is_its_harmony_and_ends_at_its_chord() -> None:
    def one_long(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        return {"pad": [Note(6, 50, 900, 66)] if step == 1 else []}

    stage = perform(FakePlayer(one_long, roles=("pad",)), HELD, until=800, events=[turn(100, "ending")], settings=LATER)
    assert stage.notes == [(6, 3, 50, 282), (288, 3, 50, 96)]


def test_after_an_ending_the_band_waits_for_start_and_a_note() -> None:
    tune = [Note(0, 60, 20), Note(400, 62, 20), Note(500, 64, 200)]
    quiet = perform(FakePlayer(), tune, until=700, events=[turn(10, "ending")])
    assert max(n[0] for n in quiet.notes) == 96
    again = perform(FakePlayer(), tune, until=700, events=[turn(10, "ending"), turn(450, "start")])
    assert [n for n in again.notes if n[0] < 400] == quiet.notes
    assert min(n[0] for n in again.notes if n[0] > 400) == 504


def test_notes_played_over_the_final_chord_begin_nothing() -> None:
    stage = perform(FakePlayer(), TUNE, until=1000, events=[turn(10, "ending")])
    assert max(n[0] for n in stage.notes) == 96


def last_onset(tune: list[Note], bars: int, *events: Event) -> int:
    stage = perform(FakePlayer(under_c), tune, until=1500, events=events, settings=Settings(pause_bars=bars))
    return max(n[0] for n in stage.notes)


def test_when_the_player_pauses_the_band_goes_on_for_so_many_bars_then_ends() -> None:
    assert last_onset([Note(0, 60, 30)], 1) == 288  # bars 2 and 3, of which the latter ends it
    assert last_onset([Note(0, 60, 30)], 3) == 480
    assert last_onset([Note(0, 60, 96)], 1) == 288
    assert last_onset([Note(0, 60, 30)], 0) == 1494


def test_a_held_chord_is_no_pause_whatever_holds_it() -> None:
    assert last_onset([Note(0, 60, 1000)], 1) > 1000
    pedal: list[Event] = [MidiIn(at(1), b"\xb0\x40\x7f"), MidiIn(at(1000), b"\xb0\x40\x00")]
    assert last_onset([Note(0, 60, 30)], 1, *pedal) > 1000
    low = [Note(0, 70, 30), Note(5, 40, 1000)]
    stage = perform(FakePlayer(under_c), low, until=1500, settings=Settings(pause_bars=1, split=60))
    assert 1000 < max(n[0] for n in stage.notes) < 1400


def test_who_plays_again_before_the_chord_calls_the_ending_off_and_after_it_begins_anew() -> None:
    begun = last_onset([Note(0, 60, 30), Note(280, 62, 1000)], 1)
    assert begun > 1400
    stage = perform(
        FakePlayer(under_c), [Note(0, 60, 30), Note(600, 62, 900)], until=1500, settings=Settings(pause_bars=1)
    )
    gap = [n[0] for n in stage.notes if 288 < n[0] < 700]
    assert gap[0] == 606


def test_live_the_note_after_a_pause_says_anew_where_the_bar_is() -> None:
    events = [MidiIn(at(i), d) for i, d in ((5, b"\x90\x3c\x50"), (40, b"\x80\x3c\x50"), (700, b"\x90\x3e\x50"))]
    stage = perform(
        only("bass", lambda r, s: 40, 3), until=760, events=events, song=SongInfo(), settings=Settings(pause_bars=1)
    )
    # bar 1 began at tick 5 of the clock's, the chord a bar and a beat after the bar in which the player fell silent
    onsets = [AT_120.tick_at(on) for _, _, on, _ in pairs(stage.sent)]
    assert max(t for t in onsets if t < 700) == 5 + 288
    assert min(t for t in onsets if t >= 700) == 706


# Nothing hangs, at any moment


def _random_turns(random: Random) -> list[Event]:
    keys = ["fill", "ending", "style", "panic", "variation", "technique", "tap", "start", "stop"]
    turns: list[Event] = []
    for _ in range(random.randint(1, 4)):
        key = random.choice(keys)
        value: object = {"style": random.choice(["pop", "rock"]), "technique": "gan"}.get(key, True)
        turns.append(ControlChange(random.randrange(4_000 * MS), key, value))
    turns.append(ControlChange(random.randrange(4_000 * MS), "humanise", random.choice([0, 0.5, 1])))
    turns.append(ControlChange(random.randrange(4_000 * MS), "offset_ms.bass", random.choice([-40, 0, 7, 60])))
    return turns


def test_fill_ending_style_and_panic_at_hundreds_of_moments_leave_no_note_on() -> None:
    random = Random(7)
    for _ in range(250):
        length = random.randint(1, 60)
        player = only("bass", lambda r, s: 40 + s * r.number % 3, length)
        notes = [Note(i * 24, 60 + i % 3, random.choice([5, 20, 40])) for i in range(6)]
        settings = Settings(pause_bars=random.randrange(2), humanise=random.choice([0, 1]))
        tempo = TempoMap(random.choice([200_000, 500_000]))
        stage = perform(
            player, notes, until=random.randrange(60, 500), tempo=tempo, events=_random_turns(random),
            settings=settings, latency=random.randrange(150) * MS,
        )  # fmt: skip
        pairs(stage.sent)


@pytest.mark.parametrize("key", ["fill", "ending", "style", "panic"])
def test_one_gesture_at_any_tick_leaves_no_note_on(key: str) -> None:
    for tick in range(108):  # all of the first bar, and past the next bar line
        value: object = "rock" if key == "style" else True
        stage = perform(
            only("bass", lambda r, s: 40, 9), TUNE[:12], until=300, events=[turn(tick, key, value)], latency=MS
        )
        pairs(stage.sent)


def test_an_ending_is_the_same_in_every_tempo() -> None:
    def notes(us: int) -> list[tuple[int, int, int, int]]:
        tempo = TempoMap(us)
        ending = ControlChange(tempo.ns_at(100), "ending", True)
        stage: Stage = perform(FakePlayer(under_c), HELD, until=800, events=[ending], tempo=tempo)
        return stage.notes

    assert notes(1_500_000) == notes(200_000) == notes(461_538)
