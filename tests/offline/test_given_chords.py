"""Renderings that are given chords: by a track, a channel, a split or a chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.core.plan import PlanRequest
from daemon.core.settings import Settings
from daemon.harmony.chart_line import open_chart
from daemon.offline import render
from daemon.offline.render import RenderOptions
from music import midifile
from music.note import Note
from tests.support.fakes import FakePlayer

TUNE = [Note(i * 24, 72 + i % 5, 20) for i in range(16)]
#: C, F/A, G7 and a minor, a bar each
HAND = [[48, 52, 55], [45, 53, 60], [43, 47, 53], [45, 48, 52]]
ROOTS = [0, 5, 7, 9]
LABELS = [(0, "C:maj"), (96, "F:maj/3"), (192, "G:7"), (288, "A:min")]


def left_hand(late: int = 0) -> list[Note]:
    return [Note(bar * 96 + late, pitch, 90) for bar, pitches in enumerate(HAND) for pitch in pitches]


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.mid"
    midifile.write(path, {"melody": TUNE, "piano": left_hand(1), "bass": [Note(0, 36, 24)]})
    return path


@pytest.fixture
def players(monkeypatch: pytest.MonkeyPatch) -> list[FakePlayer]:
    given: list[FakePlayer] = []

    def load(technique: str, graph: Path | None = None) -> FakePlayer:
        given.append(FakePlayer())
        return given[-1]

    monkeypatch.setattr("daemon.players.load.load_band", load)
    return given


def perform(
    path: Path, *, chart: Path | None = None, track: str | None = None, **settings: object
) -> list[PlanRequest]:
    player = FakePlayer()
    song = midifile.read(path)
    options = RenderOptions(
        Settings(**settings),  # type: ignore[arg-type]
        chart=None if chart is None else open_chart(chart)[1],
        chord_track=track,
    )
    render.perform(song, midifile.choose_melody(song), player, options)
    return player.asked


def roots_at_now(asked: Sequence[PlanRequest]) -> list[int | None]:
    """The roots that the band is told of for the second step of every bar."""
    found: list[int | None] = []
    for request in asked:
        if request.now % 16 == 1:
            now = request.now * 6
            found.append(next((each.root for each in request.harmony if each.start <= now < each.end), None))
    return found


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["render", *map(str, arguments)])


def markers(path: Path) -> tuple[tuple[int, str], ...]:
    return midifile.read(path).markers


@pytest.mark.parametrize("channel", [0, 1, 12])
def test_a_track_is_heard_as_the_hand_whatever_channel_is_its(song: Path, channel: int) -> None:
    asked = perform(song, track="piano", harmony="hands", chord_channel=channel)
    assert roots_at_now(asked) == ROOTS
    assert {n.pitch for request in asked for n in request.melody} == {n.pitch for n in TUNE}


def test_a_channel_is_heard_as_the_hand(song: Path) -> None:
    asked = perform(song, harmony="hands", chord_channel=2)  # the bass of the file
    assert {root for root in roots_at_now(asked) if root is not None} == {0}


def test_what_is_below_the_split_is_the_hand(tmp_path: Path) -> None:
    path = tmp_path / "both.mid"
    midifile.write(path, {"melody": [*TUNE, *left_hand()]})
    asked = perform(path, harmony="auto", split=65)
    assert roots_at_now(asked) == ROOTS
    assert min(n.pitch for request in asked for n in request.melody) == 72


def test_a_chart_is_what_the_band_is_told(song: Path, tmp_path: Path) -> None:
    chart = tmp_path / "song.txt"
    chart.write_text("| Dm | G |\n")
    asked = perform(song, chart=chart, harmony="chart")
    assert roots_at_now(asked) == [2, 7, 2, 7]


def test_nothing_is_told_unless_chords_are_given(song: Path) -> None:
    assert {request.harmony for request in perform(song)} == {()}


def test_the_hand_and_the_chords_are_written(song: Path, tmp_path: Path, players: list[FakePlayer]) -> None:
    out = tmp_path / "out.mid"
    assert run(song, "-o", out, "--chord-track", "piano").exit_code == 0
    written = midifile.read(out)
    names = [part.name for part in written.parts]
    assert names[:2] == ["melody", "piano"]
    assert written.parts[1].notes == tuple(sorted(left_hand(1)))
    assert markers(out) == tuple(LABELS)
    again = tmp_path / "again.mid"
    assert run(out, "-o", again, "--chord-track", "piano").exit_code == 0
    assert again.read_bytes() == out.read_bytes()
    assert players[0].asked[5].settings.harmony == "auto"
    as_chart = run(song, "-o", again, "--chart", out, "--harmony", "chart")
    assert as_chart.exit_code == 0, as_chart.output
    assert markers(again) == tuple(LABELS)


def test_a_link_is_played_from_as_a_file_is(song: Path, tmp_path: Path, players: list[FakePlayer]) -> None:
    link = "irealbook://" + quote("A Song=Nobody=Ballad=C=n=T44C |F |G7 |C Z")
    file, outs = tmp_path / "song.html", (tmp_path / "link.mid", tmp_path / "file.mid")
    file.write_text(f'<a href="{link}">A Song</a>')
    for chart, out in zip((link, file), outs, strict=True):
        result = run(song, "-o", out, "--chart", chart)
        assert result.exit_code == 0, result.output
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert [label for _, label in markers(outs[0])][:2] == ["C:maj", "F:maj"]


def test_without_chords_there_is_no_track_for_them(song: Path, tmp_path: Path, players: list[FakePlayer]) -> None:
    plain, melody = tmp_path / "plain.mid", tmp_path / "melody.mid"
    assert run(song, "-o", plain).exit_code == run(song, "-o", melody, "--harmony", "melody").exit_code == 0
    assert markers(plain) == ()
    assert b"harmony" not in plain.read_bytes()
    assert plain.read_bytes() == melody.read_bytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--chord-track", "organ"], "no track 'organ' with notes in it"),
        (["--chord-track", "melody"], "the chords' track is the melody's"),
        (["--chord-channel", "7"], "no notes on channel 7"),
        (["--harmony", "chart"], "there is no chart to play from"),
        (["--chart", "nowhere.txt"], "nowhere.txt"),
        (["--technique", "arcnn", "--split", "60"], "--split: is not for --technique arcnn"),
    ],
)
def test_chords_that_cannot_be_had_are_refused_in_a_sentence(
    song: Path, tmp_path: Path, players: list[FakePlayer], options: list[str], sentence: str
) -> None:
    result = run(song, "-o", tmp_path / "out.mid", *options)
    assert result.exit_code == 2
    assert sentence in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not (tmp_path / "out.mid").exists()


def test_a_chord_ends_where_the_band_guesses_again(song: Path, tmp_path: Path, players: list[FakePlayer]) -> None:
    out, at = tmp_path / "out.mid", tmp_path / "turns.jsonl"
    at.write_text('{"tick": 192, "key": "harmony", "value": "melody"}\n')
    assert run(song, "-o", out, "--chord-track", "piano", "--harmony", "hands", "--automation", at).exit_code == 0
    assert markers(out) == (*LABELS[:2], (198, "N"))  # what begins bar 3 had been asked for


def test_a_hand_that_lets_go_leaves_no_chord_where_none_is_to_go_on(tmp_path: Path, players: list[FakePlayer]) -> None:
    path, out = tmp_path / "song.mid", tmp_path / "out.mid"
    hand = [Note(start, pitch, 48) for start, root in ((0, 48), (192, 53)) for pitch in (root, root + 4, root + 7)]
    midifile.write(path, {"melody": TUNE, "piano": hand})
    given = ["--chord-track", "piano", "--harmony", "hands"]
    assert run(path, "-o", out, *given, "--set", "harmony_hold=false").exit_code == 0
    assert markers(out) == ((0, "C:maj"), (48, "N"), (192, "F:maj"), (240, "N"))
    assert run(path, "-o", out, *given).exit_code == 0
    assert markers(out) == ((0, "C:maj"), (192, "F:maj"))


@pytest.mark.parametrize("way", ["hand", "chart"])
def test_markers_are_in_the_players_key_so_that_they_play_again(
    way: str, song: Path, tmp_path: Path, players: list[FakePlayer]
) -> None:
    out, again = tmp_path / "out.mid", tmp_path / "again.mid"
    (tmp_path / "song.txt").write_text("| C | F/A | G7 | Am |\n")
    chart = ["--harmony", "chart", "--chart", tmp_path / "song.txt"]
    given = ["--chord-track", "piano"] if way == "hand" else chart
    assert run(song, "-o", out, "--set", "transpose=3", *given).exit_code == 0
    assert markers(out) == tuple(LABELS)
    assert roots_at_now(players[-1].asked) == [root + 3 if root < 9 else root - 9 for root in ROOTS]
    assert run(out, "-o", again, "--set", "transpose=3", "--harmony", "chart", "--chart", out).exit_code == 0
    assert roots_at_now(players[-1].asked) == roots_at_now(players[-2].asked)
    assert markers(again) == tuple(LABELS)
