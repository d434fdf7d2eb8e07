"""Beginnings on virtual time: the count-in, the introduction, bar 1 before the melody, and what calls them off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.clocks.clock import Clock
from daemon.clocks.midi_clock import MidiClock
from daemon.core.events import ControlChange, Event, MidiIn, PortsBack, PortsLost, Quit, Suspend, SystemResumed
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.core.tempo import TempoMap
from daemon.engine.conductor import Conductor
from daemon.engine.song import SongInfo
from daemon.harmony.chart_line import ChartLine, OpenedChart
from daemon.offline.virtual_world import InlineComposer, RecordingOutput, SentMessage, VirtualWorld
from music.charts.reading import parse_charts
from music.midi import is_note_on, is_system
from music.note import Metre, Note
from tests.support.fakes import MS, FakePlayer, pairs

BEAT, BAR = 500 * MS, 2000 * MS  # at 120 bpm
HALF_STEP = 62_500_000
PRESSED = 777 * MS
FREE = SongInfo(follows_chart=True)  # nobody has said where bar 1 is
NAMES = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]


def write(request: PlanRequest, step: int) -> dict[str, list[Note]]:
    """A bass note on every beat, whose pitch class is the root of the chord that is known, and drums."""
    tick = step * 6
    if step % 4:
        return {}
    root = next((each.root for each in request.harmony if each.start <= tick < each.end), 0)
    return {"bass": [Note(tick, 36 + root, 20, 80)], "drums": [Note(tick, 36, 6, 80)], "chords": [], "pad": []}


@dataclass
class Heard:
    """What came of a performance."""

    sent: list[SentMessage]  # of channels
    all_sent: list[SentMessage]
    conductor: Conductor
    player: FakePlayer
    waited_for: list[str]

    def list_on(self, channel: int) -> list[tuple[int, int]]:
        """(ns since `PRESSED`, pitch) of every note that begins on a channel, clicks apart."""
        on = [(at - PRESSED, pitch) for each, pitch, at, _ in pairs(self.sent) if each == channel]
        return sorted((at, pitch) for at, pitch in on if pitch not in (76, 77))

    @property
    def clicks(self) -> list[tuple[int, int]]:
        return sorted((at - PRESSED, pitch) for _, pitch, at, _ in pairs(self.sent) if pitch in (76, 77))

    @property
    def bass(self) -> list[int]:
        return [at for at, _ in self.list_on(1)]

    @property
    def drums(self) -> list[int]:
        return [at for at, _ in self.list_on(9)]

    @property
    def roots(self) -> str:
        """The roots of the bass, one a bar."""
        return " ".join(NAMES[pitch % 12] for _, pitch in self.list_on(1)[::4])


def chart(text: str) -> ChartLine:
    return ChartLine(parse_charts(text.encode(), Path("song.txt"))[0])


def key(at: int, pitch: int = 60, length: int = 100 * MS) -> list[MidiIn]:
    return [MidiIn(PRESSED + at, bytes((0x90, pitch, 80))), MidiIn(PRESSED + at + length, bytes((0x80, pitch, 0)))]


def turn(at: int, name: str, value: object = True) -> ControlChange:
    return ControlChange(PRESSED + at, name, value)


def begin(
    *events: Event,
    until: int = 4 * BAR,
    song: SongInfo = FREE,
    charted: str | None = None,
    clock: Clock | None = None,
    watched: Iterable[int] = (),
    pressed: str | None = "start",
    send_clock: bool = False,
    latency: int = 5 * MS,
    **settings: object,
) -> Heard:
    """Press a button at `PRESSED`, and then do what `events` say; all times count from then."""
    world, player = VirtualWorld(), FakePlayer(write)
    for event in ([turn(0, pressed)] if pressed else []) + list(events):
        world.put(event)
    world.put(Quit(PRESSED + until))
    output = RecordingOutput(world)
    chosen = Settings(**({"harmony": "chart" if charted else "melody", "key": "C"} | settings))  # type: ignore[arg-type]
    line = chart(charted) if charted else None
    conductor = Conductor(
        world, output, InlineComposer(world, player, latency), player.info, song, chosen,
        clock=clock, chart=line, send_clock=send_clock,
    )  # fmt: skip
    waited_for: list[str] = []
    for moment in watched:
        world.call(PRESSED + moment, lambda: waited_for.append(conductor.waiting_for or str(conductor.playing)))
    conductor.run()
    return Heard(
        [message for message in output.sent if not is_system(message.data)], output.sent, conductor, player, waited_for
    )


def counted(bars: int, first: int = 0, beats: int = 4) -> list[tuple[int, int]]:
    return [(first + i * BEAT, 77 if i % beats else 76) for i in range(bars * beats)]


def beats(first: int, until: int) -> list[int]:
    return list(range(first, until, BEAT))


# What start begins with


def test_a_count_in_clicks_from_the_button_on_and_the_band_comes_in_at_bar_1() -> None:
    heard = begin(start_with="count-in", watched=[1, BAR - HALF_STEP - 1, BAR])
    assert heard.clicks == counted(1)
    assert heard.bass == heard.drums == beats(BAR, 4 * BAR)
    assert heard.waited_for == ["count-in", "count-in", "True"]


def test_a_song_with_a_count_in_of_two_bars_in_three_four() -> None:
    song = SongInfo(metres=((0, Metre(3, 4)),))
    heard = begin(turn(-1, "count_in", 2), song=song, until=12 * BEAT)
    assert heard.clicks == counted(2, beats=3)
    assert heard.bass == beats(6 * BEAT, 12 * BEAT)


def test_the_band_alone_begins_half_a_step_after_the_button() -> None:
    heard = begin(start_with="band")
    assert heard.clicks == []
    assert heard.bass == beats(HALF_STEP, 4 * BAR)
    assert [request.heard for request in heard.player.asked][:2] == [-3, 3]


def test_an_intro_of_so_many_bars_leads_to_bar_1_in_key_and_style() -> None:
    heard = begin(*key(3 * BAR + HALF_STEP), intro_bars=3, until=3 * BAR, watched=[1])
    assert heard.bass == beats(HALF_STEP, 3 * BAR)
    assert heard.roots == "A F G"
    assert heard.waited_for == ["True"]


def test_a_count_in_comes_before_an_intro() -> None:
    heard = begin(intro_bars=2, count_in=1, until=3 * BAR)
    assert heard.clicks == counted(1)
    assert heard.roots == "F G"
    assert heard.bass == beats(BAR, 3 * BAR)


def test_an_intro_on_a_chart_is_its_last_bars_and_bar_1_comes_after_it() -> None:
    heard = begin(charted="| C | Db | D | Eb |\n", intro_bars=2, until=5 * BAR)
    assert heard.roots == "D Eb C Db D"


def test_a_chart_that_begins_with_an_intro_is_played_from_there() -> None:
    text = "[Intro]\n| Gb | Ab |\n[Verse]\n| C | Db |\n"
    assert begin(charted=text, intro_bars=8, until=5 * BAR).roots == "Gb Ab C Db Gb"


def test_without_a_key_the_drums_lead_in_alone_and_the_others_come_with_the_melody() -> None:
    heard = begin(*key(2 * BAR + HALF_STEP - 10 * MS), key="auto", start_with="band")
    assert heard.drums == beats(HALF_STEP, 4 * BAR)
    assert heard.bass == beats(2 * BAR + HALF_STEP + BEAT, 4 * BAR)


def test_the_first_note_begins_where_that_is_chosen() -> None:
    heard = begin(*key(BEAT), start_with="note", intro_bars=4, count_in=2, song=SongInfo(), watched=[1, BEAT + 1])
    assert heard.bass[0] == 2 * BEAT
    assert heard.waited_for == ["note", "True"]


def test_by_default_start_waits_for_the_first_note() -> None:
    assert begin(*key(BEAT)).bass[0] == 2 * BEAT


def test_a_note_begins_at_once_although_start_would_count_in() -> None:
    heard = begin(*key(0), pressed=None, start_with="intro")
    assert (heard.clicks, heard.bass[0]) == ([], BEAT)


def test_start_and_stop_share_a_button() -> None:
    again = [turn(3 * BAR, "start_stop"), turn(3 * BAR + 100 * MS, "start_stop")]
    heard = begin(*again, pressed="start_stop", start_with="count-in", until=6 * BAR)
    assert heard.clicks == counted(1) + counted(1, 3 * BAR + 100 * MS)
    assert heard.bass == beats(BAR, 3 * BAR + 1)[:-1] + beats(4 * BAR + 100 * MS, 6 * BAR)


def test_start_while_the_band_plays_or_counts_in_changes_nothing() -> None:
    heard = begin(turn(300 * MS, "start"), turn(BAR + 300 * MS, "start"), start_with="count-in")
    assert (heard.clicks, heard.bass) == (counted(1), beats(BAR, 4 * BAR))


def test_after_a_stop_the_song_begins_anew_with_its_count_in_and_its_bar_1() -> None:
    again = [turn(2 * BAR + 345 * MS, "stop"), turn(3 * BAR - 1, "start")]
    heard = begin(*again, charted="| C | Db | D |\n", start_with="count-in", until=6 * BAR)
    assert heard.clicks == counted(1) + counted(1, 3 * BAR - 1)
    assert [at for at in heard.bass if at > 3 * BAR] == beats(4 * BAR - 1, 6 * BAR)
    assert [NAMES[pitch % 12] for at, pitch in heard.list_on(1)] == [*"CCCC", "Db", *"CCCC", *["Db"] * 4, "D"]


def test_a_slow_synthesiser_has_clicks_and_bar_1_in_time() -> None:
    heard = begin(start_with="count-in", offsets_ms={"drums": 100.0}, until=2 * BAR)
    assert heard.clicks == counted(1)
    assert heard.drums == beats(BAR, 2 * BAR)
    assert [at - 100 * MS for at in heard.bass] == beats(BAR, 2 * BAR)[: len(heard.bass)]


def test_the_bands_own_clock_starts_with_bar_1() -> None:
    heard = begin(start_with="count-in", send_clock=True, until=2 * BAR)
    started = [message.at - PRESSED for message in heard.all_sent if message.data == b"\xfa"]
    ticks = [message.at - PRESSED for message in heard.all_sent if message.data == b"\xf8"]
    assert started == [BAR]
    assert ticks[:2] == [0, 20_833_334]


def test_whoever_waits_for_the_melody_is_not_taken_for_one_that_pauses() -> None:
    heard = begin(start_with="band", pause_bars=1, until=8 * BAR)
    assert heard.bass == beats(HALF_STEP, 8 * BAR)
    heard = begin(*key(2 * BAR), start_with="band", pause_bars=1, until=8 * BAR)
    assert max(heard.bass) == 5 * BAR + HALF_STEP


# The gesture `intro`


def test_intro_begins_with_an_intro_of_four_bars_or_of_as_many_as_are_set() -> None:
    heard = begin(*key(4 * BAR), pressed="intro", until=4 * BAR)
    assert (heard.clicks, heard.roots) == ([], "C A F G")
    assert begin(pressed="intro", intro_bars=1, until=BAR).roots == "G"
    heard = begin(pressed="intro", charted="| C | Db | D |\n", intro_bars=2, count_in=1, until=4 * BAR)
    assert (heard.clicks, heard.roots) == (counted(1), "Db D C")


def test_intro_while_the_band_plays_goes_to_it_at_the_next_bar_line() -> None:
    heard = begin(
        turn(BAR + 100 * MS, "intro"), charted="| C | Db | D | Eb |\n", start_with="band", intro_bars=2, until=6 * BAR
    )
    assert heard.roots == "C Db D Eb C Db"
    assert heard.bass == beats(HALF_STEP, 6 * BAR)


def test_intro_during_an_intro_or_an_ending_changes_nothing() -> None:
    usual = begin(intro_bars=2, charted="| C | Db | D | Eb |\n")
    assert begin(turn(BAR, "intro"), intro_bars=2, charted="| C | Db | D | Eb |\n").sent == usual.sent
    ended = begin(turn(2 * BAR, "ending"), intro_bars=1)
    assert begin(turn(2 * BAR, "ending"), turn(2 * BAR + 9, "intro"), intro_bars=1).sent == ended.sent


# What calls it off: nothing hangs


@pytest.mark.parametrize("at", range(0, 3 * BAR, 171 * MS))
@pytest.mark.parametrize("what", ["stop", "start_stop"])
def test_stop_ends_a_count_in_and_an_intro_at_once(at: int, what: str) -> None:
    heard = begin(turn(at, what), intro_bars=1, count_in=1, until=4 * BAR)
    assert [message for message in heard.sent if is_note_on(message.data) and message.at > PRESSED + at] == []
    assert max((off for *_, off in pairs(heard.sent)), default=0) <= PRESSED + at
    assert not heard.conductor.playing


@pytest.mark.parametrize("at", range(100 * MS, BAR - HALF_STEP, 271 * MS))
def test_an_ending_during_the_count_in_calls_it_off(at: int) -> None:
    heard = begin(turn(at, "ending"), start_with="count-in", watched=[at + 1])
    assert (heard.clicks, heard.bass) == ([each for each in counted(1) if each[0] <= at], [])
    assert heard.waited_for == ["start"]


def test_an_ending_during_the_intro_lands_on_the_next_bar_line() -> None:
    heard = begin(turn(BAR + 300 * MS, "ending"), intro_bars=4, until=6 * BAR)
    assert max(heard.bass) == 2 * BAR + HALF_STEP
    assert max(off for *_, off in pairs(heard.sent)) == PRESSED + 3 * BAR + HALF_STEP


@pytest.mark.parametrize("event", [
    turn(700 * MS, "panic"), PortsLost(PRESSED + 700 * MS), Suspend(PRESSED + 700 * MS, lambda: None),
])  # fmt: skip
def test_a_panic_during_the_count_in_ends_what_sounds_and_the_count_in_goes_on(event: Event) -> None:
    heard = begin(event, PortsBack(PRESSED + 900 * MS), start_with="count-in")
    begun = [(message.at - PRESSED, message.data[1]) for message in heard.sent if is_note_on(message.data)]
    assert [(at, pitch) for at, pitch in begun if pitch in (76, 77)] == counted(1)
    assert sorted({at for at, pitch in begun if pitch not in (76, 77)}) == beats(BAR, 4 * BAR)


def test_a_machine_that_has_slept_during_the_count_in_waits_for_a_note() -> None:
    heard = begin(SystemResumed(PRESSED + 700 * MS), start_with="count-in", watched=[701 * MS])
    assert (heard.clicks, heard.bass, heard.waited_for) == (counted(1)[:2], [], ["note"])


@pytest.mark.parametrize("at", [100 * MS, BAR + 100 * MS])
def test_another_chart_during_count_in_or_intro_begins_with_bar_1(at: int) -> None:
    other = OpenedChart("/other.txt", chart("| Gb | Ab | Bb |\n"))
    heard = begin(turn(at, "chart", other), charted="| C | Db | D | Eb |\n", count_in=1, intro_bars=2, until=5 * BAR)
    assert heard.clicks == counted(1)
    assert heard.roots.split()[-2:] == ["Gb", "Ab"]
    assert heard.bass == beats(BAR, 5 * BAR)


def test_a_chart_in_another_metre_during_the_intro_begins_with_bar_1() -> None:
    other = OpenedChart("/other.txt", chart("Time: 3/4\n| Gb | Ab |\n"))
    heard = begin(turn(100 * MS, "chart", other), charted="| C | Db |\n", intro_bars=2, until=5 * BAR)
    lines = {request.bar_origin for request in heard.player.asked if request.now >= 33}
    metres = {request.metre for request in heard.player.asked if request.now >= 33}
    assert metres == {Metre(3, 4)}
    assert {line % 72 for line in lines} == {192 % 72}


@pytest.mark.parametrize("at", [100 * MS, BAR + 100 * MS])
def test_another_metre_during_count_in_or_intro_holds_from_bar_1_on(at: int) -> None:
    heard = begin(turn(at, "metre", "3/4"), count_in=1, intro_bars=2, until=5 * BAR)
    assert heard.clicks == counted(1)
    assert heard.bass == beats(BAR, 5 * BAR)
    later = {(request.bar_origin % 72, request.metre) for request in heard.player.asked if request.now >= 48}
    assert later == {(288 % 72, Metre(3, 4))}


def test_a_tempo_that_is_set_during_the_count_in_holds_from_then_on() -> None:
    heard = begin(turn(BEAT + 1, "bpm", 60.0), start_with="count-in", until=4 * BAR)
    tempo = TempoMap(500_000)
    tempo.change(25, 1_000_000)  # the first tick that begins after it
    assert [at for at, _ in heard.clicks] == [tempo.ns_at(24 * beat) for beat in range(4)]
    assert heard.bass == [tempo.ns_at(tick) for tick in range(96, 193, 24)]


def clock_ticks(first: int, count: int) -> list[MidiIn]:
    return [MidiIn(PRESSED + first + round(i * BEAT / 24), b"\xf8") for i in range(count)]


@pytest.mark.parametrize("at", [130 * MS, BAR + 130 * MS, 2 * BAR])
@pytest.mark.parametrize("start_with", ["auto", "note"])
def test_a_clock_that_starts_during_count_in_or_intro_leads_and_the_band_plays_on_with_it(
    at: int, start_with: str
) -> None:
    events: list[Event] = [turn(at - 1, "start_with", start_with), MidiIn(PRESSED + at, b"\xfa"), *clock_ticks(at, 240)]
    heard = begin(*events, clock=MidiClock(500_000, False), count_in=1, intro_bars=4, until=at + 2 * BAR)
    assert [click for click in heard.clicks if click[0] > at] == []
    led = [on for on in heard.drums if on > at]
    assert abs(led[0] - (at + 5 * MS)) < MS  # as soon as it is known what it plays
    assert all(abs(on - (at + (i + 1) * BEAT)) < MS for i, on in enumerate(led[1:]))


def test_with_a_clock_the_band_plays_from_its_bar_1_on_before_the_melody() -> None:
    rolling = [MidiIn(PRESSED, b"\xfa"), *clock_ticks(0, 200)]
    heard = begin(*rolling, clock=MidiClock(500_000), pressed=None, start_with="band", charted="| C | Db |\n")
    assert heard.bass[0] == 5 * MS
    assert all(abs(on - (i + 1) * BEAT) < MS for i, on in enumerate(heard.bass[1:]))
    assert heard.roots.startswith("C Db C")


def test_with_a_clock_that_has_not_started_start_waits_for_it() -> None:
    rolling = [MidiIn(PRESSED + BAR, b"\xfa"), *clock_ticks(BAR, 100)]
    heard = begin(*rolling, clock=MidiClock(500_000), intro_bars=2, count_in=1, watched=[1, BAR + 1])
    assert (heard.clicks, heard.bass[0], heard.waited_for) == ([], BAR + 5 * MS, ["clock", "True"])


def test_start_while_a_clock_rolls_begins_at_once() -> None:
    rolling = [MidiIn(PRESSED - BAR // 2, b"\xfa"), *clock_ticks(-BAR // 2, 240)]
    heard = begin(*rolling, turn(BAR // 2, "stop"), turn(BAR + 10 * MS, "start"), clock=MidiClock(500_000),
                  start_with="band")  # fmt: skip
    again = [on for on in heard.bass if on > BAR // 2]
    assert again[0] == BAR + 15 * MS
    assert all(abs(on - (BAR + (i + 1) * BEAT)) < MS for i, on in enumerate(again[1:]))


def test_a_locate_during_the_intro_in_a_daw_leaves_no_note_on_and_the_band_goes_on_there() -> None:
    rolling = [MidiIn(PRESSED, b"\xfa"), *clock_ticks(0, 60)]
    at = round(60 * BEAT / 24)
    located = [MidiIn(PRESSED + at, b"\xfc"), MidiIn(PRESSED + at + 1, b"\xf2\x20\x00"),
               MidiIn(PRESSED + at + 2, b"\xfb"), *clock_ticks(at + 3, 200)]  # fmt: skip
    text = "| C | Db | D | Eb |\n"
    heard = begin(*rolling, *located, clock=MidiClock(500_000), pressed=None, start_with="band", charted=text)
    later = [on for on in heard.list_on(1) if on[0] > at + BEAT]
    assert {NAMES[pitch % 12] for _, pitch in later[:2]} == {"D"}


def test_in_a_song_that_says_where_its_bars_lie_the_count_in_begins_with_the_next() -> None:
    song = SongInfo(TempoMap(500_000))
    heard = begin(song=song, start_with="count-in", until=4 * BAR)
    assert heard.clicks == counted(1, BAR - PRESSED)
    assert heard.bass == beats(2 * BAR - PRESSED, 4 * BAR)
