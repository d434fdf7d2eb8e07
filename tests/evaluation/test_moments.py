"""`houseband moments`: what a run's weights play at several moments, as a picture, as sound and as MIDI."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from daemon.cli import main
from daemon.core.plan import PlanRequest
from daemon.evaluation import moments
from daemon.players.graph import GraphError, read_technique
from daemon.sound.builtin_synth import BuiltInSynth
from music import midifile
from music.midifile import Part, Song
from music.note import Metre, Note
from tests.support.fakes import FakePlayer, under_the_melody

STEPS = (0, 4, 16)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run whose graphs stand for nothing: a fake player plays them."""
    pytest.importorskip("matplotlib")

    @click.command()
    @click.argument("run", type=click.Path(path_type=Path))
    @click.option("--moments", type=click.Path(path_type=Path))
    def export(run: Path, moments: Path) -> None:
        for step in STEPS:
            (moments / f"step-{step:06}.onnx").write_bytes(b"")
        (moments / "other.onnx").write_bytes(b"")
        click.echo("step-000000.onnx")

    own = main.get_command

    def find(_: click.Group, context: click.Context, name: str) -> click.Command | None:
        return export if name == "export" else own(context, name)

    def play(request: PlanRequest, step: int) -> dict[str, list[Note]]:
        return under_the_melody(request, step)

    monkeypatch.setattr(type(main), "get_command", find)
    monkeypatch.setattr(moments, "read_technique", lambda path: "gan")
    monkeypatch.setattr(moments, "load_player", lambda technique, path: FakePlayer(play))
    monkeypatch.setattr("daemon.sound.fluid_synth.open_synth", lambda soundfont: BuiltInSynth())
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def play(run: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["moments", str(run), *map(str, arguments)])


def test_all_moments_play_the_same_bars_one_after_the_other(run: Path, tmp_path: Path) -> None:
    tune = tmp_path / "tune.mid"
    notes = [Note(72 + beat * 24, 60 + beat % 5, 30) for beat in range(18)]  # from bar 2 of 3/4 on
    midifile.write(tune, {"melody": notes}, metres=((0, Metre(3, 4)),), tempos=((0, 400_000),))
    done = play(run, tune, "--bars", 2, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["updates"] == list(STEPS)
    png, wav, mid = map(Path, told["files"])
    assert png.read_bytes().startswith(b"\x89PNG")
    song = midifile.read(mid)
    assert (song.tempos, song.metres) == (((0, 400_000),), ((0, Metre(3, 4)),))
    melody = song.part("melody")
    assert melody is not None
    bar = Metre(3, 4).ticks_per_bar
    assert [note.start for note in melody.notes] == [n * 3 * bar + beat * 24 for n in range(3) for beat in range(6)]
    for part in song.parts:
        each = [[(n.start % (3 * bar), n.pitch) for n in part.notes if n.start // (3 * bar) == i] for i in range(3)]
        assert each[0] == each[1] == each[2] != []
    with wave.open(str(wav)) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    assert seconds == pytest.approx((3 * 3 - 1) * 3 * 0.4 + 2, abs=1.3)


def test_without_a_melody_a_tune_is_played_into_the_runs_folder(run: Path) -> None:
    done = play(run, "--tune", "ode", "--bars", 1, "--bpm", 200)
    assert done.exit_code == 0, done.output
    assert "after 0, 4, 16 updates" in done.stdout
    assert sorted(path.name for path in (run / "played").iterdir()) == ["moments.mid", "moments.png", "moments.wav"]
    assert midifile.read(run / "played" / "moments.mid").tempos == ((0, 300_000),)


def test_the_beginning_of_a_song_is_cut_where_its_bars_end() -> None:
    song = Song((), ((0, 500_000), (96, 400_000)), ((0, Metre()), (96, Metre(3, 4))))
    melody = Part("lead", (Note(100, 60, 200), Note(180, 62, 10), Note(400, 64, 10)), 0, 1)
    cut, line = moments.cut_beginning(song, melody, 1)
    assert line.notes == (Note(4, 60, 68),)
    assert (cut.tempos, cut.metres) == (((0, 400_000),), ((0, Metre(3, 4)),))


def test_what_is_no_graph_has_no_technique(tmp_path: Path) -> None:
    (tmp_path / "step-000001.onnx").write_bytes(b"nothing")
    with pytest.raises(GraphError):
        read_technique(tmp_path / "step-000001.onnx")
