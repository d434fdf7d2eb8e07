"""`houseband evaluate`: judging files, means over songs, the report and the command."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import mido
import pytest
from click.testing import CliRunner, Result
from rich.table import Table

from daemon.cli import main
from daemon.core.counters import quantile_of_counts
from daemon.core.plan import PlanRequest
from daemon.evaluation import scoring
from daemon.evaluation.report import Report
from daemon.evaluation.scoring import (
    BLOCKS,
    FOLLOWER,
    GIVEN,
    LIVE,
    OFFLINE,
    OTHER,
    OWN,
    SILENCE,
    BandUnderTest,
    EngineTiming,
    FileScore,
    ScoringJob,
)
from music import midifile
from music.corpus import SkippedFile, SongFile
from music.evaluation.metrics import GROUPS, MEMORY, METRICS, MOVED, POOLED, RHYTHM
from music.note import Note
from tests.house.source import ROOT
from tests.programs.figures_table import make_table
from tests.support.fakes import FakePlayer

TUNE = [60, 64, 67, 72, 62, 65, 69, 74]


def song(path: Path, up: int = 0, piano: bool = True) -> None:
    """Four bars of melody in quarters over a chord a bar, C:maj and D:min by turns, with markers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {"melody": [Note(24 * i, TUNE[i % 8] + up, 24) for i in range(16)]}
    if piano:
        parts["piano"] = [
            Note(96 * bar, pitch + up, 96) for bar in range(4) for pitch in ((50, 53, 57) if bar % 2 else (48, 52, 55))
        ]
    labels = ["C:maj", "D:min"] if not up else ["F:maj", "G:min"]
    markers = [mido.MetaMessage("marker", text=labels[bar % 2], time=1920 if bar else 0) for bar in range(4)]
    midifile.write(path, parts, copied={"harmony": markers})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "pop909" / "valid"
    for name, up in (("001-a", 0), ("001-b", 0), ("002", 5)):
        song(folder / f"{name}.mid", up)
    song(folder / "003.mid", piano=False)
    return tmp_path


@pytest.fixture
def fake_player(monkeypatch: pytest.MonkeyPatch) -> FakePlayer:
    player = FakePlayer()
    monkeypatch.setattr(scoring, "load_cached_player", lambda technique, graph: player)
    return player


def entry(data: Path, name: str) -> SongFile:
    return SongFile("pop909", "valid", name, (data / "pop909" / "valid" / f"{name}.mid").read_bytes())


def test_a_file_is_judged_beside_everything_it_is_measured_against(data: Path, fake_player: FakePlayer) -> None:
    job = ScoringJob(entry(data, "001-a"), entry(data, "002"), BandUnderTest(), (LIVE, OFFLINE))
    score = scoring.score_file(job)
    assert isinstance(score, FileScore)
    assert list(score.rows) == [OWN, BLOCKS, FOLLOWER, OTHER, SILENCE, LIVE, OFFLINE, GIVEN]
    assert (score.song, score.bars) == ("001", 4)
    assert score.rows[OWN]["chroma"] == pytest.approx(1)
    assert score.rows[OWN]["chord_hit"] == score.rows[BLOCKS]["chord_hit"] == 1
    assert score.rows[BLOCKS]["chroma"] > score.rows[OTHER]["chroma"]
    assert score.rows[SILENCE]["ur"] == 1
    assert score.rows[LIVE]["drum_onsets"] > 8


def test_live_players_have_heard_less_than_offline_ones(data: Path, fake_player: FakePlayer) -> None:
    for mode, heard in ((LIVE, False), (OFFLINE, True)):
        fake_player.asked.clear()
        score = scoring.score_file(ScoringJob(entry(data, "001-a"), None, BandUnderTest(), (mode,)))
        assert isinstance(score, FileScore)
        assert {GIVEN, mode} == set(score.timing)
        assert {request.heard is None for request in fake_player.asked} == {heard}
        assert (max(n.end for n in fake_player.asked[0].melody) == 4 * 96) is heard


def test_inference_is_charged_and_the_engine_says_what_that_costs(data: Path, fake_player: FakePlayer) -> None:
    found = []
    for latency in (10, 400):
        score = scoring.score_file(ScoringJob(entry(data, "001-a"), None, BandUnderTest(latency_ms=latency), (LIVE,)))
        assert isinstance(score, FileScore)
        found.append(score.timing[LIVE])
    quick, slow = found
    assert quick.steps == slow.steps > 0
    assert slow.in_time < quick.in_time
    age = quantile_of_counts(slow.age_ns, 0.5), quantile_of_counts(quick.age_ns, 0.5)
    assert age[0] is not None
    assert age[1] is not None
    assert age[0] > age[1]


def test_the_style_is_the_bands_or_the_files_own(data: Path, fake_player: FakePlayer) -> None:
    made = SongFile("bands", "valid", "001-rock", entry(data, "001-a").content)
    for band, style in ((BandUnderTest(style=None), "rock"), (BandUnderTest(style="pop"), "pop")):
        fake_player.asked.clear()
        assert isinstance(scoring.score_file(ScoringJob(made, None, band, (LIVE,))), FileScore)
        assert {request.settings.style for request in fake_player.asked} == {style}


def play_given(request: PlanRequest, step: int) -> dict[str, list[Note]]:
    """A triad of what the player is told of; nothing where that is nothing."""
    at = step * 6
    chord = next((each for each in request.harmony if each.start <= at < each.end and each.tones), None)
    if chord is None:
        return {}
    bass, third = 36 + chord.root, 3 if chord.tones >> (chord.root + 3) % 12 & 1 else 4
    return {"bass": [Note(at, bass, 6)], "chords": [Note(at, bass + up, 6) for up in (12, 12 + third, 19)]}


@pytest.fixture
def follower(monkeypatch: pytest.MonkeyPatch) -> FakePlayer:
    """A player that plays the chords it is given, and else nothing."""
    player = FakePlayer(play_given)
    monkeypatch.setattr(scoring, "load_cached_player", lambda technique, graph: player)
    return player


def test_the_band_is_given_the_chords_that_a_song_has(data: Path, follower: FakePlayer) -> None:
    score = scoring.score_file(ScoringJob(entry(data, "002"), None, BandUnderTest(), (LIVE,)))
    assert isinstance(score, FileScore)
    told = [score.rows[GIVEN][key] for key in ("half_bar_root", "half_bar_triad", "root_on_1", "chord_hit")]
    assert told == [1, 1, 1, 1]
    assert score.rows[LIVE]["half_bar_root"] == 0
    assert score.rows[LIVE]["ur"] == 1


def test_a_song_without_chords_has_no_figures_of_given_ones(data: Path, follower: FakePlayer) -> None:
    plain = data / "plain.mid"
    midifile.write(
        plain, {part.name: part.notes for part in midifile.read(data / "pop909" / "valid" / "002.mid").parts}
    )
    job = ScoringJob(SongFile("mine", "", "plain", plain.read_bytes(), True), None, BandUnderTest(), (LIVE,))
    score = scoring.score_file(job)
    assert isinstance(score, FileScore)
    assert all(math.isnan(value) for value in score.rows[GIVEN].values())
    assert list(score.timing) == [LIVE]
    found = report(score)
    assert found.as_json()["rows"]["gan given chords"]["consonant"]["value"] is None
    assert found.as_json()["songs_with_chords"] == 0
    cells = [cell for table in found.make_tables()[:-1] for cell in find_column(table, "gan given chords")]
    assert set(cells) == {"n/a"}


def test_a_chart_is_given_instead_and_measured_against_where_nothing_is_annotated(
    data: Path, follower: FakePlayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.evaluation.evaluate.Graph", lambda graph, technique: FakeGraph())
    song_file, chart, bare = data / "pop909" / "valid" / "002.mid", data / "chart.txt", data / "bare.mid"
    midifile.write(bare, {part.name: part.notes for part in midifile.read(song_file).parts})
    chart.write_text("| F | Gm |\n")
    for path, chords, right in ((song_file, "| F | Gm |", 1), (song_file, "| C | D |", 0), (bare, "| C | Dm |", 1)):
        chart.write_text(f"{chords}\n")
        result = run("--data", path, "--chart", chart, "--live", "--jobs", 1, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["rows"]["gan given chords"]["half_bar_triad"]["value"] == right
    chart.write_text("| C | D E F |\n")
    assert "bar 2" in refusal("--data", song_file, "--chart", chart)


def test_a_file_without_an_accompaniment_has_no_score(data: Path) -> None:
    assert isinstance(scoring.score_file(ScoringJob(entry(data, "003"))), SkippedFile)


def find_column(table: Table, heading: str) -> list[str]:
    """Return the cells of a column."""
    return [str(cell) for cell in next(each for each in table.columns if each.header == heading).cells]


def score(name: str, bars: int, live: float, own: float = 1.0) -> FileScore:
    rows = {row: dict.fromkeys((f.key for f in METRICS), value) for row, value in ((OWN, own), (LIVE, live))}
    return FileScore(
        name, name.partition("-")[0], bars, rows, {LIVE: EngineTiming(10, 9, Counter({6: 3}), Counter({100: 3}))}
    )


def test_a_song_of_many_files_is_one_song_weighted_by_bars() -> None:
    means = scoring.average_songs([score("1-a", 30, 0.2), score("1-b", 10, 0.6), score("2", 500, 0.7)])
    assert means[LIVE]["consonant"].value == pytest.approx((0.3 + 0.7) / 2)
    assert means[LIVE]["consonant"].songs == 2


def test_files_without_a_figure_have_no_say_in_it() -> None:
    means = scoring.average_songs([score("1-a", 30, math.nan), score("1-b", 10, 0.6), score("2", 5, math.nan)])
    assert means[LIVE]["consonant"].value == pytest.approx(0.6)
    assert means[LIVE]["consonant"].songs == 1


def report(*scores: FileScore, style_parts: tuple[FileScore, ...] | None = None) -> Report:
    return Report("pop909", "valid", "pop", (LIVE,), BandUnderTest(style="pop"), {}, 3, scores, style_parts)


def test_figures_of_all_songs_together_are_made_of_all_files(data: Path, fake_player: FakePlayer) -> None:
    scores = []
    for name in ("001-a", "001-b", "002"):
        found = scoring.score_file(ScoringJob(entry(data, name), None, BandUnderTest(), (LIVE,)))
        assert isinstance(found, FileScore)
        scores.append(found)
    means = scoring.average_songs(scores)
    human, live = means[OWN], means[LIVE]
    assert human["memory_same"].value == 1  # the melody returns after two bars, and so does the piano
    assert human["sync_distance"].value == 0
    assert human["length_entropy"].value == 0  # a chord a bar
    assert human["note_in_chord_pooled"].value == pytest.approx(human["note_in_chord"].value)
    assert human["memory_same"].songs == 2
    assert human["nic_before"].songs == live["nic_beat_17"].songs == 0  # people did not play to it; it ends before
    assert live["nic_before"].songs == means[FOLLOWER]["nic_before"].songs == 2


def test_the_band_plays_live_to_a_melody_that_moves(data: Path, fake_player: FakePlayer) -> None:
    path = data / "long.mid"
    tune = [Note(96 + 24 * i, TUNE[i % 8], 24) for i in range(60)]
    midifile.write(path, {"melody": tune, "piano": [Note(96 * bar, 48, 96) for bar in range(1, 16)]})
    job = ScoringJob(SongFile("mine", "", "long", path.read_bytes(), True), None, BandUnderTest(), (LIVE,))
    found = scoring.score_file(job)
    assert isinstance(found, FileScore)
    newest = {note for request in fake_player.asked for note in request.melody}
    assert {note.pitch for note in newest if note.start >= 96 + 16 * 24} >= {pitch + 6 for pitch in TUNE}
    beats = found.tallies[LIVE][MOVED]
    made = report(found).as_json()["recovery"]
    assert list(made) == ["chord follower", "gan live"]
    assert made["gan live"] == [ratio if there else None for ratio, there in beats]
    assert len(made["gan live"]) == 48
    follower = made["chord follower"]
    assert sum(follower[16:20]) < sum(follower[12:16])


def test_only_the_first_bars_are_played(data: Path, fake_player: FakePlayer) -> None:
    job = ScoringJob(entry(data, "001-a"), None, BandUnderTest(), (LIVE,), bars=2)
    found = scoring.score_file(job)
    assert isinstance(found, FileScore)
    assert found.bars == 2
    assert max(note.end for request in fake_player.asked for note in request.melody) <= 2 * 96
    result = run("--data", data, "--baselines", "--bars", 3, "--json", "--jobs", 1)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["first_bars"], told["bars"]) == (3, 9)
    assert "the first 3 bars of each" in run("--data", data, "--baselines", "--bars", 3, "--jobs", 1).stdout


def test_renders_are_measured_beside_their_songs(data: Path, tmp_path: Path) -> None:
    renders = tmp_path / "renders"
    song(renders / "001-a.mid", up=1)
    song(renders / "else.mid", up=1)
    result = run("--data", data, "--baselines", "--renders", renders, "--json", "--jobs", 1)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert rows["renders"]["own_root"] == {"value": 1.0, "low": 1.0, "high": 1.0, "songs": 1}
    assert rows["renders"]["half_bar_triad"]["value"] == 0  # a semitone above the song's chords
    (renders / "001-a.mid").unlink()
    assert "001-a.mid" in refusal("--data", data, "--baselines", "--renders", renders, "--jobs", 1)


def test_a_figure_that_only_some_songs_have_says_so() -> None:
    found = report(score("1", 4, math.nan), score("2", 4, 0.5))
    table = found.make_tables()[0]
    assert find_column(table, "human part")[0] == "1.000 ±0.000"
    assert find_column(table, "gan live")[0] == "0.500 (1)"


def test_the_interaction_success_rate_counts_any_plan(data: Path, fake_player: FakePlayer) -> None:
    job = ScoringJob(entry(data, "001-a"), None, BandUnderTest(latency_ms=400), (LIVE,))
    found = scoring.score_file(job)
    assert isinstance(found, FileScore)
    timing = found.timing[LIVE]
    assert timing.in_time < timing.covered <= timing.steps
    told = report(found).as_json()["timing"]["gan live"]
    assert told["covered_share"] == timing.covered / timing.steps > told["in_time_share"]


def test_the_report_is_plain_json_and_says_how_time_was_kept() -> None:
    found = json.loads(json.dumps(report(score("1", 4, math.nan), score("2", 4, 0.5)).as_json(), allow_nan=False))
    assert (found["songs"], found["files"], found["bars"]) == (2, 2, 8)
    assert list(found["rows"]) == ["human part", "gan live"]
    assert found["rows"]["gan live"]["consonant"] == {"value": 0.5, "low": 0.5, "high": 0.5, "songs": 1}
    assert found["timing"]["gan live"]["in_time_share"] == 0.9
    assert found["timing"]["gan live"]["knowledge_age_ticks_p99"] == 6


def test_deviation_from_the_parts_of_the_style() -> None:
    parts = (score("9", 4, 0.0, own=0.4), score("10", 4, 0.0, own=0.4))
    found = report(score("1", 4, 0.5), style_parts=parts)
    assert found.compute_deviations(LIVE)["onsets"] == pytest.approx(0.25)
    assert found.as_json()["by_style"]["parts"]["onsets"]["value"] == pytest.approx(0.4)
    tables = {str(table.title): [str(column.header) for column in table.columns] for table in found.make_tables()}
    assert list(tables) == [*GROUPS, "timing"]
    rhythm = next(table for table in found.make_tables() if table.title == RHYTHM)
    assert find_column(rhythm, "parts in pop")[0] == "0.4 ±0.0"  # of two songs, as many as there are
    assert tables[RHYTHM] == tables[MEMORY] == ["", "human part", "gan live", "parts in pop", "live to them"]


def test_a_style_without_a_figure_has_no_deviation() -> None:
    found = report(score("1", 4, 0.5), style_parts=(score("9", 4, 0.0, own=0.0),))
    assert set(found.compute_deviations(LIVE).values()) == {None}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def test_the_command_prints_a_table(data: Path) -> None:
    result = run("--data", data, "--baselines", "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert "pop909, valid: 2 songs, 3 files, 12 bars" in result.stdout
    assert "(1 without a melody or an accompaniment left out)" in " ".join(result.stdout.split())
    for heading in ("human part", BLOCKS, FOLLOWER, OTHER, SILENCE, *(figure.title for figure in (*METRICS, *POOLED))):
        assert heading in result.stdout
    for group in GROUPS:
        assert group in result.stdout


def test_any_folder_of_songs_is_evaluated(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    parts = {
        "Lead Vocal": [Note(24 * i, TUNE[i % 8], 24) for i in range(16)],
        "Slap Bass": [Note(96 * bar, 40, 96) for bar in range(4)],
    }
    for name in ("Some Band - One", "Some Band - Two", "album/Three"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        midifile.write(folder / f"{name}.mid", parts)
    midifile.write(folder / "solo.mid", {"melody": parts["Lead Vocal"]})
    (folder / "none.mid").write_bytes(b"no music")
    (folder / "gone.mid").symlink_to("nowhere")
    found = run("--data", folder, "--baselines", "--json", "--jobs", 1)
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout)
    assert (report["collection"], report["split"], report["songs"], report["bars"]) == ("mine", "all", 3, 12)
    assert {each["file"]: each["reason"] for each in report["skipped"]} == {
        "gone.mid": "is a link that leads nowhere",
        "none": "cannot be played: not a readable MIDI file (it has no MIDI header)",
        "solo": "has no melody, or no accompaniment of its own",
    }
    told = run("--data", folder, "--baselines", "--jobs", 1, "--songs", 4)
    assert told.exit_code == 0, told.output
    assert "mine, all: " in told.stdout
    assert "skipped: gone.mid is a link that leads nowhere" in told.stderr
    assert run("--data", folder, "--baselines", "--collection", "pop909").exit_code == 2
    (tmp_path / "empty").mkdir()
    empty = run("--data", tmp_path / "empty", "--baselines")
    assert empty.exit_code == 2
    assert "no music to judge by" in empty.output


def test_so_many_processes_find_what_one_finds(data: Path) -> None:
    found: list[dict[str, Any]] = []
    for jobs in (1, 2):
        result = run("--data", data, "--baselines", "--json", "--jobs", jobs)
        assert result.exit_code == 0, result.output
        found.append(json.loads(result.stdout))
    assert found[0] == found[1]
    assert found[0]["rows"]["human part"]["chroma"]["value"] == pytest.approx(1)


def test_the_command_plays_live_and_offline(
    data: Path, fake_player: FakePlayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.evaluation.evaluate.Graph", lambda graph, technique: FakeGraph())
    everything = ["--data", data, "--jobs", 1, "--json"]
    for option, modes in (
        ([], ["gan live", "gan offline", "gan given chords"]),
        (["--live"], ["gan live", "gan given chords"]),
        (["--offline"], ["gan offline", "gan given chords"]),
    ):
        result = run(*everything, *option)
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert list(found["rows"])[5:] == modes == list(found["timing"])
        assert found["graph"] == {"commit": "abc"}
        assert found["band"]["settings"]["style"] == "pop"


class FakeGraph:
    def __init__(self) -> None:
        self.signature = self
        self.provenance = {"commit": "abc"}


def test_pictures_are_drawn(data: Path, tmp_path: Path) -> None:
    result = run("--data", data, "--baselines", "--jobs", 1, "--pictures", tmp_path / "drawn")
    assert result.exit_code == 0, result.output
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert [path.name for path in drawn] == ["pop909-001-a.png", "pop909-001-b.png", "pop909-002.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def refusal(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_pictures_need_matplotlib(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = refusal("--data", data, "--baselines", "--jobs", 1, "--pictures", tmp_path / "drawn")
    assert "pip install matplotlib" in message
    assert not (tmp_path / "drawn").exists()


def test_refusals(data: Path, tmp_path: Path, fake_player: FakePlayer) -> None:
    assert "--data" in refusal("--data", tmp_path / "nowhere")
    assert "pop909" in refusal("--data", data, "--split", "train", "--baselines")
    assert "polka" in refusal("--data", data, "--style", "polka")
    (data / "pop909" / "valid" / "004.mid").write_bytes(b"MThd")
    assert "pop909/004" in refusal("--data", data, "--baselines", "--jobs", 1)
    (data / "songs" / "valid").mkdir(parents=True)
    assert "holds no MIDI file" in refusal("--data", data, "--collection", "songs", "--baselines")


def test_a_graph_that_is_none_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    assert "broken.onnx" in refusal("--data", data, "--graph", tmp_path / "broken.onnx")


def test_help_says_what_the_figures_mean() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for figure in (*METRICS, *POOLED):
        assert figure.title in result.stdout
    assert "interaction success rate" in " ".join(result.stdout.split())


@pytest.mark.shared
def test_people_beat_blocks_beat_followers_beat_strangers(shared_data: Path) -> None:
    result = run("--data", shared_data, "--songs", 4, "--bars", 24, "--baselines", "--json", "--jobs", 1)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    chroma = [rows[row]["chroma"]["value"] for row in ("human part", BLOCKS, FOLLOWER, OTHER, SILENCE)]
    assert chroma == sorted(chroma, reverse=True)
    assert rows["human part"]["consonant"]["value"] > 0.8
    assert rows["human part"]["chord_hit"]["value"] > 0.9
    assert rows["human part"]["clash"]["value"] < rows[OTHER]["clash"]["value"]


def test_the_page_of_figures_has_the_rows_that_the_figures_say() -> None:
    page = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    means = {figure.key: {"value": 0.5} for figure in (*METRICS, *POOLED)}
    for mark, given, first in (("evaluate", False, "chord hit"), ("given chords", True, "half-bar root")):
        pasted = page.partition(f"<!-- {mark}: begin")[2].partition(f"<!-- {mark}: end")[0].splitlines()
        made = make_table({"human part": means, "silence": means, "gan given chords": means}, given=given)
        names = [[line.split("|")[1].strip() for line in lines if line.startswith("|")] for lines in (pasted, made)]
        assert names[0] == names[1]
        assert made[2] == f"| {first} | 0.500 |" + " 0.500 |" * given
