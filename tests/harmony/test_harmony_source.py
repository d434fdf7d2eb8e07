"""Where the harmony comes from, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemon.core.settings import Settings
from daemon.harmony.chart_line import ChartLine
from daemon.harmony.harmony_source import HarmonySource, HarmonyState, find_split
from music.analysis.key import Key
from music.charts.reading import parse_charts
from music.encoding.chord_evidence import HELD_FADE, GivenChord
from music.midi import note_off, note_on

C, F, G = [48, 52, 55], [41, 45, 48], [43, 47, 50]


@dataclass
class Bar:
    """A bar of 4/4."""

    start: int

    @property
    def end(self) -> int:
        return self.start + 96


class Player:
    """A player in front of a source."""

    def __init__(self, mode: str, chart: str = "", **settings: object) -> None:
        self.source = HarmonySource(lambda tick: Bar(tick // 96 * 96), lambda channel, port: channel != 9)
        self.settings = replace(Settings(split=60), harmony=mode, **settings)  # type: ignore[arg-type]
        self.source.use(self.settings)
        if chart:
            line = ChartLine(parse_charts(chart.encode(), Path("song.txt"))[0])
            self.source.route.change_chart(line, None)

    def strike(self, tick: int, pitches: list[int], length: int = 90) -> None:
        for pitch in pitches:
            self.source.hear(tick, note_on(0, pitch, 80))
        for pitch in pitches:
            self.source.hear(tick + length, note_off(0, pitch))

    def roots(self, step: int) -> list[tuple[int, int, int]]:
        return [(each.start, each.end, each.root) for each in self.source.list_chords(step)]


@pytest.mark.parametrize("mode", ["auto", "melody", "hands", "chart"])
def test_nothing_is_known_where_nothing_is_given(mode: str) -> None:
    player = Player(mode)
    player.source.hear(0, note_on(0, 72, 80))
    player.source.advance(400)
    assert player.source.list_chords(20) == ()
    assert player.source.find_state(20) == HarmonyState()


def test_melody_is_told_of_no_chords() -> None:
    player = Player("melody", "| C |\n")
    player.strike(0, C)
    assert player.source.list_chords(4) == ()
    assert player.source.take_change() is None


def test_a_chord_that_is_held_is_sure_now_and_less_so_with_every_beat_to_come() -> None:
    player = Player("hands")
    player.strike(0, C)
    player.strike(96, F)
    found = player.source.list_chords(17)
    assert player.roots(17)[:3] == [(0, 96, 0), (96, 120, 5), (120, 144, 5)]
    assert [each.certainty for each in found] == [1.0, *(pytest.approx(HELD_FADE**i) for i in range(9))]
    assert found[-1].end == 96 + 9 * 24


def test_the_past_of_a_chord_reaches_up_to_the_beat_of_now() -> None:
    player = Player("hands")
    player.strike(0, C)
    assert player.roots(14)[:2] == [(0, 72, 0), (72, 96, 0)]


def test_a_chord_that_came_within_the_beat_has_what_is_left_of_it() -> None:
    player = Player("hands")
    player.strike(0, C)
    player.strike(84, F)
    assert player.roots(15)[:3] == [(0, 84, 0), (84, 96, 5), (96, 120, 5)]


def test_a_chart_is_known_for_sure_as_far_as_players_look() -> None:
    player = Player("chart", "| C | F G | Am | Em |\n")
    form = [(0, 96, 0), (96, 144, 5), (144, 192, 7), (192, 288, 9), (288, 384, 4)]
    assert player.roots(16) == [(-96, 0, 4), *form]
    assert {each.certainty for each in player.source.list_chords(16)} == {1.0}
    player.strike(0, G)
    assert (0, 96, 0) in player.roots(0)  # the hand does not count
    assert player.source.take_change() is None


def test_auto_plays_from_the_chart_until_the_hand_plays_and_again_when_it_stops() -> None:
    player = Player("auto", "| C | F | C | F |\n")
    assert (96, 192, 5) in player.roots(4)
    player.strike(0, G, 40)
    assert {root for *_, root in player.roots(4)[-8:]} == {7}
    assert player.source.find_state(24).source == "hands"
    assert player.roots(36)[-1][2] in (0, 5)
    assert player.source.find_state(220).source == "chart"


def test_auto_takes_the_chords_to_come_from_the_chart_where_the_hand_agrees_with_it() -> None:
    player = Player("auto", "| C | F | C | F |\n")
    player.strike(0, C)
    found = player.roots(4)
    assert (96, 192, 5) in found


def test_auto_remembers_what_the_hand_has_played_when_it_is_free() -> None:
    player = Player("auto")
    for bar, pitches in enumerate([C, F, G, C]):
        player.strike(bar * 96, pitches, 80)
    for tick in range(384, 960, 3):
        player.source.advance(tick)
    now = 5 * 16
    assert [root for start, _, root in player.roots(now) if start >= 480][:5] == [5, 5, 5, 5, 7]
    assert player.source.find_state(480).source == "memory"


def test_a_hand_that_has_stopped_fades_where_nothing_else_is_known() -> None:
    player = Player("auto")
    player.strike(0, C, 40)
    held = [player.source.list_chords(step)[-9:] for step in (16, 48, 60)]
    first = [next((each.certainty for each in found if each.certainty < 1), 1.0) for found in held]
    assert first == sorted(first, reverse=True)
    assert player.source.list_chords(400)[-1:] == ()


def test_a_new_chord_is_told_of_once() -> None:
    player = Player("auto")
    player.strike(0, C)
    changed = player.source.take_change()
    assert changed is not None
    assert changed.root == 0
    assert player.source.take_change() is None
    player.strike(96, C)
    assert player.source.take_change() is None


def test_state_names_what_holds_and_what_follows() -> None:
    player = Player("chart", "| C | F/A |\n")
    state = player.source.find_state(30)
    assert state == HarmonyState(
        GivenChord(0, 96, 0, state.now.tones if state.now else 0, 0, 1.0), state.following, "chart"
    )
    assert state.following is not None
    assert (state.following.start, state.following.root, state.following.bass) == (96, 5, 9)


def test_where_bar_1_moves_what_holds_begins_there() -> None:
    player = Player("hands")
    player.strike(0, C, 400)
    player.source.forget(40, 40)
    assert player.roots(8)[0] == (40, 48, 0)


def test_the_chart_begins_where_bar_1_lies() -> None:
    player = Player("chart", "| C | F |\n")
    player.source.forget(96, 96)
    assert (96, 192, 0) in player.roots(16)


def test_keys_and_chart_are_transposed_alike() -> None:
    player = Player("chart", "| C |\n", transpose=3)
    assert {root for *_, root in player.roots(0)} == {3}
    assert find_split(player.settings) == 63
    assert find_split(Settings(transpose=3)) == 0


def test_the_key_is_the_one_that_is_set_as_the_band_sounds() -> None:
    assert Player("auto").source.find_key() is None
    assert Player("auto", key="D minor").source.find_key() == Key(2, True)
    assert Player("melody", key="D minor", transpose=-3).source.find_key() == Key(11, True)


def test_a_chart_that_is_played_from_tells_the_key_unless_another_is_set() -> None:
    text = "Key: Eb\n| Eb | Ab |\n"
    assert Player("chart", text, transpose=2).source.find_key() == Key(5, False)
    assert Player("auto", text).source.find_key() == Key(3, False)
    assert Player("auto", text, key="C minor").source.find_key() == Key(0, True)
    assert Player("melody", text).source.find_key() is None
    assert Player("hands", text).source.find_key() is None
    assert Player("auto", "| Eb | Ab |\n").source.find_key() is None


@pytest.mark.parametrize(("mode", "split"), [("auto", 66), ("hands", 66), ("melody", 0), ("chart", 0)])
def test_keys_of_a_left_hand_that_has_shown_are_no_melody_where_it_leads(mode: str, split: int) -> None:
    source = Player(mode, split=0).source
    assert [source.hear(0, note_on(0, pitch, 80)) for pitch in (48, 52, 55, 76)] == [0, 0, 0, split]


def test_a_band_that_waits_for_its_first_note_takes_any_key_for_it_unless_a_split_is_set() -> None:
    player = Player("auto", split=0)
    for pitch in (36, 43, 48, 76):
        player.source.hear(0, note_on(0, pitch, 80))
    player.source.advance(24)
    assert player.source.hear(24, note_off(0, 76)) > 48  # a left hand has shown
    assert player.source.hear(30, note_on(0, 76, 80), is_armed=True) == 0
    assert Player("hands").source.hear(0, note_on(0, 36, 80), is_armed=True) == 60


def test_a_chord_that_was_let_go_of_is_not_taken_into_the_next_song_and_one_that_is_held_is() -> None:
    player = Player("auto")
    player.strike(0, C, length=40)
    player.source.begin_song(96)
    assert player.source.find_state(96) == HarmonyState()
    player.source.advance(400)
    assert player.source.find_state(400) == HarmonyState()
    for pitch in F:
        player.source.hear(440, note_on(0, pitch, 80))
    player.source.begin_song(480)
    assert player.source.list_chords(80)[0][:3] == (480, 504, 5)


def test_what_leads_in_to_a_melody_that_has_not_come_in_goes_on_in_the_next_song() -> None:
    player = Player("auto", key="C")
    player.source.lead_in.begin(0, 0)
    player.source.begin_song(192)
    assert player.source.lead_in.lasts(400)
    assert player.source.find_state(192).now is not None
    player.source.lead_in.hear_melody(500)
    player.source.begin_song(576)
    assert not player.source.lead_in.lasts(600)
