"""`houseband run` and `jam` refuse what they cannot do: one sentence, exit code 2, nothing left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.commands.run import build_setup, build_song
from daemon.config.checks import ConfigError
from daemon.config.cli_options import LoadedConfig
from daemon.config.reading import build_config
from daemon.live import run
from daemon.players.worker import WorkerLost
from music.note import Metre
from tests.midi.test_rtmidi_ports import FakeSystem


@pytest.fixture
def alsa(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    system = FakeSystem({2}, ["Keys 20:0"])
    monkeypatch.setitem(sys.modules, "rtmidi", system.module())
    monkeypatch.setattr(sys, "platform", "linux")
    return system


@pytest.fixture
def no_midi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", FakeSystem(set(), []).module())
    monkeypatch.setitem(sys.modules, "jack", None)  # nor a JACK server that another test has started
    monkeypatch.setattr(sys, "platform", "linux")


def houseband(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def refused(result: Result) -> str:
    """The one sentence. Fails when it was anything else."""
    assert result.exit_code == 2, result.output
    lines = result.output.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--bpm", "0"], "bpm: takes a number from 10 to 400, not '0'"),
        (["--metre", "7"], "metre: takes auto, a time signature such as 3/4, 6/8 or"),
        (
            ["--metre", "4/5"],
            "metre: takes auto, a time signature such as 3/4, 6/8 or",
        ),
        (["--pickup", "4"], "pickup: takes beats from 0 to less than a bar of 4/4, not 4"),
        (["--count-in", "-1"], "count_in: takes a whole number from 0 to 16, not '-1'"),
        (["--technique", "kazoo"], "technique: no technique 'kazoo'; there are gan, arcnn, transformer"),
        (["--graph", "nowhere.onnx"], "nowhere.onnx: no such file"),
        (["--style", "polka"], "style: no style 'polka'; the player knows "),
        (["--temperature", "9"], "temperature: takes a number from 0 to 2, not '9'"),
        (
            ["--record", "nowhere/take.mid"],
            "nowhere/take.mid: cannot be written, for there is no folder nowhere; choose another",
        ),
        (["--report", "."], ".: cannot be written, for it is a folder; name a file in it"),
    ],
)
def test_mistakes_are_one_sentence(alsa: FakeSystem, options: list[str], sentence: str) -> None:
    assert refused(houseband("run", *options)).startswith(sentence)


def test_a_broken_graph_is_one_sentence(alsa: FakeSystem, tmp_path: Path) -> None:
    graph = tmp_path / "band.onnx"
    graph.write_bytes(b"not a graph")
    assert refused(houseband("run", "--graph", str(graph))).startswith(
        f"{graph}: not a graph that onnxruntime can load"
    )


def test_no_midi_system_is_one_sentence(no_midi: None) -> None:
    assert refused(houseband("run")).startswith("no MIDI system found (jack: ")


def test_a_wrong_graph_is_said_even_where_there_is_no_midi_system(no_midi: None) -> None:
    assert refused(houseband("run", "--graph", "nowhere.onnx")) == "nowhere.onnx: no such file"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--bpm", "0"], "bpm: takes a number from 10 to 400, not '0'"),
        (["--api", "jack"], "no MIDI system found (jack: "),
        (["--out-port", "Synth"], "no MIDI system found (jack: "),
        (["--style", "polka"], "style: no style 'polka'; the player knows "),
        (["--chart", "nowhere.txt"], "nowhere.txt: the chart cannot be read"),
        (
            ["-o", "nowhere/take.mid"],
            "nowhere/take.mid: cannot be written, for there is no folder nowhere; choose another",
        ),
    ],
)
def test_so_are_those_of_a_jam_and_no_file_is_left(
    no_midi: None, options: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(houseband("jam", *options))
    assert list(tmp_path.iterdir()) == []


def test_the_song_is_what_the_options_say() -> None:
    song = build_song(build_config(values={"bpm": 96.0, "metre": "6/8", "pickup": 1.5, "count_in": 2}))
    assert (song.bpm, song.metres, song.pickup, song.count_in) == (96.0, ((0, Metre(6, 8)),), 36, 2)
    with pytest.raises(ConfigError):
        build_config(values={"metre": "3/4", "pickup": 3.0})


def test_a_chart_gives_the_metre_and_the_chords(tmp_path: Path) -> None:
    chart = tmp_path / "waltz.txt"
    chart.write_text("Time: 3/4\n| C | F . G |\n")
    setup = build_setup(LoadedConfig(build_config(values={"chart": str(chart)}), tmp_path / "config.toml", {}))
    assert setup.metre == Metre(3, 4)
    assert setup.chart is not None
    assert setup.chart.length == 144
    given = build_config(values={"chart": str(chart), "metre": "6/8"})
    there = build_setup(LoadedConfig(given, tmp_path / "config.toml", {}))
    assert (there.metre, there.song.follows_chart) == (Metre(6, 8), False)
    assert setup.song.follows_chart


def test_a_chart_that_is_none_or_not_there_is_one_sentence(alsa: FakeSystem, tmp_path: Path) -> None:
    chart = tmp_path / "song.txt"
    chart.write_text("| C | H7 |\n")
    assert "song.txt, line 1" in refused(houseband("run", "--chart", str(chart)))
    assert "nowhere.txt" in refused(houseband("run", "--chart", "nowhere.txt"))
    chart.write_text("Time: 5/32\n| C |\n")
    assert refused(houseband("run", "--chart", str(chart))) == (
        f"{chart}: it has a metre that no grid of sixteenths shows; give --metre"
    )
    assert refused(houseband("run", "--harmony", "chart")) == (
        "harmony: there is no chart to play from; name one with --chart"
    )


def test_a_worker_that_dies_is_a_failure_and_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(*_: object) -> None:
        raise WorkerLost("the worker ended with signal SIGKILL while it loaded its player")

    monkeypatch.setattr(run, "play", play)
    result = houseband("run")
    assert (result.exit_code, result.output) == (
        1,
        "Error: the worker ended with signal SIGKILL while it loaded its player\n",
    )
