"""Charts in all formats against what they say, their order, and the errors of bad ones."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import mido
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from music.charts.chart import Chart, ChartBar, ChartError, ChartMetre, PlacedChord, describe_charts
from music.charts.chord_names import ChordName, parse_chord_name
from music.charts.ireal import decode_music
from music.charts.reading import check_chart, parse_charts, read_charts
from music.charts.repeats import spread_endings, unfold
from music.charts.text_lines import parse_key, parse_text
from music.charts.text_writing import clean_text, format_text, place_on_beats, restate_chords
from music.chords import parse as parse_label

PATH = Path("song.txt")
SYMBOLS = {
    "C": "C:maj",
    "C-7": "C:min7",
    "C^": "C:maj7",
    "CM7": "C:maj7",
    "C6/9": "C:maj6(9)",
    "Cm7b5": "C:hdim7",
    "Bbø7": "Bb:hdim7",
    "F#o7": "F#:dim7",
    "C7+": "C:aug(b7)",
    "C+7": "C:aug(b7)",
    "C7#9": "C:7(#9)",
    "C7(b9,#11)": "C:7(b9,#11)",
    "C7alt": "C:aug(b7,#9)",
    "Csus": "C:sus4",
    "C13sus": "C:sus4(b7,9,13)",
    "Cmadd9": "C:min(9)",
    "Cm(maj7)": "C:minmaj7",
    "C-^7": "C:minmaj7",
    "C^7#5": "C:aug(7)",
    "F/A": "F:maj/3",
    "D7/C": "D:7/b7",
    "D:7/b7": "D:7/b7",
    "C/C": "C:maj",
    "F#m7/C#": "F#:min7/5",
    "N.C.": "N",
}


@pytest.mark.parametrize(("symbol", "label"), SYMBOLS.items())
def test_chord_symbols_in_every_spelling(symbol: str, label: str) -> None:
    assert parse_chord_name(symbol).label == label
    parse_label(label)


@pytest.mark.parametrize("text", ["", "H", "Chello", "C/", "C7/9", "C:foo", "B9x", "C/Q", "Cmajmajmaj" * 9])
def test_words_are_no_chords(text: str) -> None:
    with pytest.raises(ValueError, match=r"chord symbol|slash"):
        parse_chord_name(text)


@given(st.text(alphabet="CFB#b:m7maj9/()sus+-^o13,.dh x%", max_size=14))
def test_any_text_is_a_chord_or_a_value_error(text: str) -> None:
    try:
        name = parse_chord_name(text)
    except ValueError:
        return
    assert parse_chord_name(name.symbol) == name
    parse_label(name.label)


def read_text(text: str) -> Chart:
    return parse_text(text, PATH)


def name_bars(chart: Chart) -> list[str]:
    return [" ".join(f"{c.beat}:{c.name.symbol}" for c in bar) for bar in chart.list_bars()]


def test_plain_bars_hold_repeat_and_divide() -> None:
    chart = read_text("Title: T\nKey: F#m\nTime: 3/4\n\nA:\n| C | C / G7 | % |\n# Section B\n| F G | / / C |")
    assert name_bars(chart) == ["1:C", "1:C 3:G7", "1:C 3:G7", "1:F 5/2:G", "1:G 3:C"]
    assert (chart.title, chart.key, chart.metre) == ("T", "F#m", (3, 4))
    assert [bar.section for bar in chart.bars] == ["A", None, None, "B", None]


def test_repeats_with_endings_of_several_bars() -> None:
    chart = read_text("| C |: F | G |1. A | B :|2. D | E |\n|: Am :|")
    assert chart.order == [0, 1, 2, 3, 4, 1, 2, 5, 6, 7, 7]


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("|: C | D :|", [0, 1, 0, 1]),
        ("|: C :| x3 | D |", [0, 0, 0, 1]),
        ("| C | D :| E |", [0, 1, 0, 1, 2]),
        ("|: C :|: D :|", [0, 0, 1, 1]),
        ("|: C |1,2. D :|3. E |", [0, 1, 0, 1, 0, 2]),
        ("|: C |1. D :|2. E :| F :|", [0, 1, 0, 2, 3, 3]),
    ],
)
def test_order_of_repeats(line: str, order: list[int]) -> None:
    assert read_text(line).order == order


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Title: x\n| C | D F G |", "song.txt, line 2, bar 2: 3 symbols do not divide"),
        ("| C D E F G |", "song.txt, line 1, bar 1: 5 symbols in a bar of 4/4"),
        ("| C | Hello |", "song.txt, line 1, bar 2: 'Hello'"),
        ("| % |", "song.txt, line 1, bar 1: `%` has no bar"),
        ("| C |   | D |", "song.txt, line 1: a bar is empty"),
        ("Time: 4/x\n| C |", "song.txt, line 1: '4/x'"),
        ("lyrics without bars", "song.txt, line 1:"),
        ("Title: x\n", "song.txt: it holds no bars"),
    ],
)
def test_a_bad_chart_is_told_with_line_and_bar(text: str, place: str) -> None:
    with pytest.raises(ChartError) as caught:
        read_text(text)
    assert str(caught.value).startswith(place)
    assert "\n" not in str(caught.value)


def test_jumps_to_segno_coda_and_fine() -> None:
    four = ChartMetre(4, 4)
    bars = [ChartBar(four) for _ in range(6)]
    bars[1].is_segno, bars[2].to_coda, bars[4].jump, bars[5].is_coda = True, True, "D.S.", True
    assert unfold(bars) == [0, 1, 2, 3, 4, 1, 2, 5]
    bars = [ChartBar(four) for _ in range(3)]
    bars[1].is_fine, bars[2].jump = True, "D.C."
    assert unfold(bars) == [0, 1, 2, 0, 1]


def test_endless_repeats_are_refused() -> None:
    with pytest.raises(ChartError, match="more than"):
        read_text("|: C :| x99\n" * 400)


names = st.sampled_from([parse_chord_name(s) for s in ("C", "F#m7", "Bb7", "Am/G", "Ebmaj7", "N.C.")])
metres = st.sampled_from([ChartMetre(4, 4), ChartMetre(3, 4), ChartMetre(6, 8), ChartMetre(7, 8)])


TONICS = ("C", "F#", "Bb", "Db", "G#", "E")
keys = st.sampled_from([tonic + mode for tonic in TONICS for mode in ("", "m")])


@st.composite
def charts(draw: st.DrawFn) -> Chart:
    """A chart of any kind but with jumps; its chords begin anywhere."""
    metre = draw(metres)
    bars = []
    for _ in range(draw(st.integers(1, 12))):
        metre = draw(metres) if draw(st.integers(0, 9)) == 0 else metre
        parts = draw(st.sampled_from([1, 1, 2, 12]))  # of a beat
        places = draw(st.lists(st.integers(0, parts * metre.numerator - 1), max_size=4, unique=True))
        chords = [PlacedChord(1 + Fraction(place, parts), draw(names)) for place in sorted(places)]
        start = draw(st.booleans()) and draw(st.booleans())
        bars.append(ChartBar(metre, chords, None, start, draw(st.sampled_from([0, 0, 0, 2, 3]))))
    if len(bars) > 2 and draw(st.booleans()):
        at = draw(st.integers(1, len(bars) - 2))
        bars[at].repeat_end, bars[at].repeat_start = 2, False
        bars[at].endings, bars[at + 1].endings = frozenset({1}), frozenset({2})
        bars[at + 1].repeat_start = False
    spread_endings(bars)
    key, title = draw(keys), draw(st.text(max_size=12))
    return Chart("text", title, key=key, metre=bars[0].metre, bars=bars, order=unfold(bars))


@examples(max_examples=50)
@given(charts())
def test_a_chart_written_is_read_again_exactly(chart: Chart) -> None:
    (again,) = parse_charts(format_text(chart).encode(), PATH)
    assert again.describe() == place_on_beats(chart).describe() | {"title": clean_text(chart.title)}
    assert format_text(again) == format_text(chart)


@given(charts())
def test_chords_that_are_said_again_change_nothing(chart: Chart) -> None:
    again = restate_chords(chart)
    assert again.describe() == chart.describe()
    is_known = False
    for bar in again.bars:
        assert not is_known or bar.chords[0].beat == 1
        is_known = is_known or bool(bar.chords)


@given(charts())
def test_chords_are_moved_to_the_nearest_beat_and_no_further(chart: Chart) -> None:
    placed = place_on_beats(chart)
    assert place_on_beats(placed) == placed
    assert placed.order == chart.order
    before, after = (_list_times(each) for each in (chart, placed))
    for at, name in after:
        assert any(each == name and abs(at - then) < 1 for then, each in before)


def _list_times(chart: Chart) -> list[tuple[Fraction, ChordName]]:
    """When each written chord begins, in beats from the first bar, as the bars stand."""
    found, begin = [], Fraction(0)
    for bar in chart.bars:
        found += [(begin + chord.beat - 1, chord.name) for chord in bar.chords]
        begin += bar.metre.numerator
    return found


def test_a_chord_before_the_bar_line_begins_the_next_bar() -> None:
    four = ChartMetre(4, 4)
    early = [PlacedChord(Fraction(1), parse_chord_name("C")), PlacedChord(Fraction(19, 4), parse_chord_name("G"))]
    late = [PlacedChord(Fraction(7, 2), parse_chord_name("F"))]
    chart = Chart("midi", bars=[ChartBar(four, early), ChartBar(four, late)], order=[0, 1])
    assert format_text(chart).splitlines()[-1] == "| C | G / / F |"
    chart.bars[0].repeat_end, chart.order = 2, [0, 0, 1]
    assert format_text(chart).splitlines()[-1] == "| C / / G :| | / / / F |"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("F#", "F#"),
        ("C#m", "C#m"),
        ("A-", "Am"),
        ("bb minor", "Bbm"),
        ("E♭ major", "Eb"),
        ("A Dorian", "A"),
        ("Bmaj", "B"),
    ],
)
def test_keys_in_every_spelling(text: str, key: str) -> None:
    assert parse_key(text) == key


def test_chordpro_grid_and_lyrics() -> None:
    grid = "{title: T}\n{key: G}\n{time: 3/4}\n{sog}\nA || G . . | D7 . . |\n|: C~F . G . . . :| twice\n{eog}\n"
    (chart,) = parse_charts(grid.encode(), Path("t.cho"))
    assert name_bars(chart) == ["1:G", "1:D7", "1:C 5/4:F 2:G"]
    assert chart.order == [0, 1, 2, 2]
    (song,) = parse_charts(b"{t: T}\n[Intro] [G]Hello [C/E]world [*soft] [Dm7(b5)]end", Path("t.txt"))
    assert not song.is_timed
    assert [name.symbol for name in song.sequence or []] == ["G", "C/E", "Dm7b5"]
    with pytest.raises(ChartError, match=r"t\.cho, line 2, bar 1"):
        parse_charts(b"{sog}\n| C Q . . |\n{eog}", Path("t.cho"))


def write_score(measures: list[str], doctype: str = "") -> bytes:
    body = "".join(
        f'<measure number="{i}">{text}</measure>' if not text.startswith("<measure") else text
        for i, text in enumerate(measures, 1)
    )
    head = "<attributes><divisions>2</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    body = body.replace(">", f">{head}", 1)
    return f'<?xml version="1.0"?>{doctype}<score-partwise><part id="P1">{body}</part></score-partwise>'.encode()


def harmony(root: str, kind: str, extra: str = "") -> str:
    return f"<harmony><root><root-step>{root}</root-step></root><kind>{kind}</kind>{extra}</harmony>"


WHOLE, HALF = (f"<note><rest/><duration>{n}</duration></note>" for n in (8, 4))
SCORE = [
    HALF,
    harmony("C", "major") + HALF + harmony("A", "minor", "<bass><bass-step>C</bass-step></bass>") + HALF,
    '<barline location="left"><repeat direction="forward"/></barline>' + harmony("D", "half-diminished") + WHOLE,
    '<barline><ending number="1" type="start"/></barline>' + harmony("G", "dominant") + WHOLE,
    WHOLE + '<barline><ending number="1" type="stop"/><repeat direction="backward"/></barline>',
    '<barline><ending number="2" type="start"/></barline>' + harmony("C", "major") + WHOLE,
]


def test_musicxml_pickup_chords_and_endings() -> None:
    (chart,) = parse_charts(write_score(SCORE), Path("t.musicxml"))
    assert chart.has_pickup
    assert name_bars(chart) == ["1:C 3:Am/C", "1:Dm7b5", "1:G7", "1:G7", "1:C"]
    assert chart.order == [0, 1, 2, 3, 1, 4]
    assert chart.key == "C"


def test_compressed_musicxml_and_broken_ones() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/container.xml", '<c><rootfiles><rootfile full-path="s.xml"/></rootfiles></c>')
        archive.writestr("s.xml", write_score(SCORE))
    (chart,) = parse_charts(packed.getvalue(), Path("t.mxl"))
    assert len(chart.bars) == 5
    bomb = '<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    for data in (packed.getvalue()[:-40], b"PK\x03\x04junk", write_score(SCORE, bomb), write_score(SCORE)[:-9]):
        with pytest.raises(ChartError, match=r"t\.mxl"):
            parse_charts(data, Path("t.mxl"))


def make_link(music: str, title: str = "My Song") -> str:
    return "irealbook://" + quote("=".join((title, "Nobody", "Ballad", "Bb", "n", music)))


def test_ireal_cells_repeats_and_signs() -> None:
    music = "{*AT44C   |A-7 D7 | x   |N1G7   }|N2C6   |n   [*BT34F F7 |Bbh   Z"
    (chart,) = parse_charts(make_link(music).encode(), Path("t.txt"))
    assert name_bars(chart) == ["1:C", "1:Am7 3:D7", "1:Am7 3:D7", "1:G7", "1:C6", "1:N.C.", "1:F 3:F7", "1:Bbm7b5"]
    assert chart.order == [0, 1, 2, 3, 0, 1, 2, 4, 5, 6, 7]
    assert [bar.metre for bar in chart.bars][-2:] == [(3, 4), (3, 4)]
    assert (chart.title, chart.key) == ("My Song", "Bb")
    page = f'<a href="{make_link(music)}">one</a> <a href="{make_link(music, "Two")}">two</a>'
    assert [c.title for c in parse_charts(page.encode(), Path("t.html"))] == ["My Song", "Two"]
    assert read_charts(make_link(music))[0].order == chart.order


def test_ireal_music_is_put_in_order() -> None:
    assert decode_music("1r34LbKcu7" + "ABXyQ|CLZDKcl") == "AB   |C |D| x"
    block = "".join(chr(48 + i) for i in range(50))
    decoded = decode_music("1r34LbKcu7" + block + "zz")
    assert decoded[5:10] + decoded[24:26] == block[5:10] + block[24:26]
    assert (decoded[0], decoded[49], decoded[10], decoded[39]) == (block[49], block[0], block[39], block[10])


def test_chords_in_a_midi_file(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=480)
    first = mido.MidiTrack([mido.MetaMessage("time_signature", numerator=3, denominator=4)])
    chords = mido.MidiTrack([mido.MetaMessage("track_name", name="harmony")])
    chords += [mido.MetaMessage("marker", text=t, time=d) for t, d in (("Bb:maj", 1440), ("F7/A", 963), ("Gm", 477))]
    sections = mido.MidiTrack([mido.MetaMessage("marker", text=t, time=1440) for t in ("A", "B", "C", "D", "E")])
    file.tracks += [first, chords, sections]
    file.save(tmp_path / "t.mid")
    (chart,) = read_charts(tmp_path / "t.mid")
    assert name_bars(chart)[:4] == ["1:N.C.", "1:Bb 3:F7/A", "1:Gm", "1:Gm"]
    assert (chart.key, chart.metre, chart.first_bar_tick) == ("Gm", (3, 4), 0)


@given(st.binary(max_size=200), st.sampled_from(["t.txt", "t.cho", "t.mxl", "t.mid", "t.html"]))
def test_any_bytes_are_a_chart_or_one_sentence(data: bytes, name: str) -> None:
    with contextlib.suppress(ChartError):
        assert parse_charts(data, Path(name))


def test_the_collection_of_charts(shared_data: Path) -> None:
    folder = shared_data / "charts"
    truths = json.loads((folder / "truth.json").read_text())
    for name, truth in truths.items():
        got = describe_charts(read_charts(folder / name))
        for wanted, found in zip(truth.get("songs", [truth]), got.get("songs", [got]), strict=True):
            keys = {"format", "metre", "key"} | ({"sequence"} if "sequence" in wanted else {"bars"})
            assert {k: found[k] for k in keys if k in wanted} == {k: v for k, v in wanted.items() if k in keys}, name


def test_names_are_values() -> None:
    assert parse_chord_name("Bb7/D") == ChordName("Bb", "7", "D")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "no/such/folder.txt"])
def test_a_name_that_no_file_can_have_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(ChartError, match="the chart cannot be read: "):
        check_chart(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("song.txt", "| C | G |\n" * 30_000, "it is larger than 256 kB, which is no chart in text"),
        ("song.txt", "| C | G |\n" * 11_000, "line 10001, bar 20001: it has more than 20,000 bars, which is no song"),
        ("song.txt", "|C|" * 20_001 + "H7|\n", "bar 20001: it has more than 20,000 bars, which is no song"),
        ("song.cho", "{sog}\n" + "| C | G |\n" * 11_000, "it has more than 20,000 bars, which is no song"),
        ("song.html", "irealbook://A=B=C=C=n=T44" + "C|" * 20_002, "it has more than 20,000 bars, which is no song"),
        (
            "song.musicxml",
            "<score-partwise><part><measure><harmony><root><root-step>C</root-step></root></harmony></measure>"
            + "<measure/>" * 20_001
            + "</part></score-partwise>",
            "it has more than 20,000 bars, which is no song",
        ),
    ],
)
def test_what_is_far_longer_than_a_song_is_refused_before_it_is_read_to_the_end(
    name: str, text: str, sentence: str
) -> None:
    with pytest.raises(ChartError) as caught:
        parse_charts(text.encode(), Path(name))
    assert str(caught.value).endswith(sentence)


def test_a_link_is_checked_and_read_in_place_of_a_file() -> None:
    link = "irealbook://" + quote("A Song=Nobody=Ballad=C=n=T44C |F |G7 |C Z")
    check_chart(link)
    assert [bar.chords[0].name.root for bar in read_charts(link)[0].bars] == ["C", "F", "G", "C"]
    with pytest.raises(ChartError, match=r"^link: its link holds no song of iReal Pro$"):
        check_chart("irealb://nothing")


def test_a_large_file_is_not_read_to_be_checked(tmp_path: Path) -> None:
    song = tmp_path / "song.txt"
    song.write_text("no chart " * 10_000)
    check_chart(song)
    song.write_text("no chart")
    with pytest.raises(ChartError):
        check_chart(song)


@pytest.mark.parametrize(
    ("name", "text"), [("song.txt", "Key: D Dorian\n| Dm |\n"), ("song.cho", "{key: D dorian}\n{sog}\n| Dm |\n{eog}\n")]
)
def test_a_mode_is_kept_beside_the_key(name: str, text: str) -> None:
    (chart,) = parse_charts(text.encode(), Path(name))
    assert (chart.key, chart.mode) == ("D", "dorian")
    assert "Key: D\n" in format_text(chart)
