"""The chords of an introduction of which only key and style are known."""

from __future__ import annotations

import pytest

from daemon.core.settings import Settings
from daemon.engine.song import SongInfo
from daemon.harmony.harmony_source import HarmonySource
from daemon.harmony.lead_in import LeadIn
from music.analysis.key import read_key
from music.encoding.chord_evidence import GivenChord
from music.note import Metre

NAMES = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]
BAR = 96


def spell(chord: GivenChord) -> tuple[int, int, str, str]:
    """Start, end, root and tones, from the root up."""
    tones = sorted((tone - chord.root) % 12 for tone in chord.list_tones())
    return chord.start, chord.end, NAMES[chord.root], " ".join(map(str, tones))


def lead_in(begin: int, bar_1: int, metre: Metre = Metre()) -> LeadIn:
    leading = LeadIn(SongInfo(metres=((0, metre),)).bar_at)
    leading.begin(begin, bar_1)
    return leading


@pytest.mark.parametrize(
    ("style", "key", "chords"),
    [
        ("pop", "C", [("C", "0 4 7"), ("A", "0 3 7"), ("F", "0 4 7"), ("G", "0 4 7 10")]),
        ("rock", "G", [("G", "0 4 7"), ("C", "0 4 7"), ("G", "0 4 7"), ("D", "0 4 7 10")]),
        ("jazz", "Bb", [("Bb", "0 4 7 11"), ("G", "0 3 7 10"), ("C", "0 3 7 10"), ("F", "0 4 7 10")]),
        ("pop", "A minor", [("A", "0 3 7"), ("F", "0 4 7"), ("D", "0 3 7"), ("E", "0 4 7 10")]),
        ("a style of one's own", "C", [("C", "0 4 7"), ("A", "0 3 7"), ("F", "0 4 7"), ("G", "0 4 7 10")]),
    ],
)
def test_a_turnaround_of_the_style_in_the_key(style: str, key: str, chords: list[tuple[str, str]]) -> None:
    found = lead_in(-4 * BAR, 0).list_chords(-1000, 0, read_key(key), style)
    assert [spell(chord) for chord in found] == [
        (start, start + BAR, *chord) for start, chord in zip(range(-4 * BAR, 0, BAR), chords, strict=True)
    ]


def test_it_leads_to_bar_1_whatever_its_length_and_metre() -> None:
    short = lead_in(-144, 0, Metre(3, 4)).list_chords(-1000, 0, read_key("C"), "pop")
    assert [spell(chord)[:3] for chord in short] == [(-144, -72, "F"), (-72, 0, "G")]
    late = lead_in(192, 192 + 5 * BAR).list_chords(0, 192 + 5 * BAR, read_key("C"), "pop")
    assert "".join(spell(chord)[2] for chord in late) == "GCAFG"


def test_before_a_melody_of_which_nobody_knows_when_it_comes_it_goes_round() -> None:
    leading = lead_in(0, 0)
    found = leading.list_chords(4 * BAR, 6 * BAR, read_key("C"), "pop")
    assert [spell(chord)[:3] for chord in found] == [(384, 480, "C"), (480, 576, "A")]
    leading.hear_melody(500)
    assert [leading.lasts(tick) for tick in (-1, 0, 499, 500)] == [False, True, True, False]
    assert not leading.hear_melody(400)
    assert leading.lasts(499)
    leading.cancel()
    assert not leading.lasts(499)


def test_a_melody_that_comes_in_before_bar_1_leaves_the_introduction_as_it_is() -> None:
    leading = lead_in(0, 4 * BAR)
    assert leading.hear_melody(90)
    assert [leading.lasts(tick) for tick in (0, 383, 384)] == [True, True, False]


def source(**settings: object) -> HarmonySource:
    found = HarmonySource(SongInfo().bar_at, lambda channel, port: True)
    found.use(Settings(**settings))  # type: ignore[arg-type]
    return found


def test_the_band_is_told_of_it_until_bar_1_and_hears_where_it_is_from() -> None:
    harmony = source(key="D", transpose=2)
    assert harmony.list_chords(-16) == ()
    harmony.lead_in.begin(-2 * BAR, 0)
    assert [spell(chord)[:3] for chord in harmony.list_chords(-16)][:2] == [(-192, -96, "A"), (-96, 0, "B")]
    assert harmony.find_state(-90).source == "key"
    assert not harmony.lacks_chords(-16)
    assert harmony.find_state(6).source == "key"  # the melody may be late
    harmony.lead_in.hear_melody(-40)
    assert harmony.list_chords(0) == ()
    assert not harmony.lacks_chords(0)


def test_without_a_key_there_are_no_chords_to_lead_in_with() -> None:
    harmony = source()
    harmony.lead_in.begin(-2 * BAR, 0)
    harmony.lead_in.hear_melody(-2)
    assert [harmony.lacks_chords(step) for step in (-33, -32, -1, 0)] == [False, True, True, False]


def test_a_hand_that_plays_leads_instead() -> None:
    harmony = source(key="D", harmony="auto", split=60)
    harmony.lead_in.begin(0, 4 * BAR)
    for pitch in (48, 52, 55):
        harmony.hear(30, bytes((0x90, pitch, 80)))
    harmony.advance(60)
    assert [spell(chord)[2] for chord in harmony.list_chords(10) if chord.start <= 60 < chord.end] == ["C"]
    assert harmony.find_state(60).source == "hands"
