"""A technique from outside the program, and what is said of techniques and styles that there are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from daemon.cli import main
from daemon.config.checks import ConfigError
from daemon.config.reading import ConfigFile, build_config, parse_key
from daemon.control import automation
from daemon.core import techniques
from daemon.core.controls import parse
from daemon.core.events import ControlChange
from daemon.core.plan import Plan, PlanRequest
from daemon.core.player_info import PlayerInfo
from daemon.core.settings import Settings
from daemon.core.techniques import Technique
from daemon.players.graph import Graph, GraphPlayer
from daemon.players.load import load_band, load_player
from music import midifile, signature
from music.errors import UserError
from music.note import TICKS_PER_STEP, Note
from music.signature import Signature
from tests.support.fakes import perform

KAZOO = Technique("kazoo", "tests.players.test_registry:KazooPlayer")
TUNE = tuple(Note(beat * 24, 60 + beat % 5, 24) for beat in range(16))


class KazooPlayer(GraphPlayer):
    """Plays the melody's newest pitch as bass, an interval lower that its graph knows."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.info = self.describe(graph.signature.styles)

    @classmethod
    def describe(cls, styles: tuple[str, ...]) -> PlayerInfo:
        return PlayerInfo(past_steps=16, memory_steps=16, future_steps=4, roles=("bass",), styles=styles)

    def plan(self, request: PlanRequest) -> Plan:
        techniques.check_style(request.settings.style, self.info.styles)
        last = request.now + 4
        notes: tuple[Note, ...] = ()
        if request.melody:
            down = int(self._graph.run({})["interval"][0])
            pitch = request.melody[-1].pitch - down
            notes = tuple(Note(step * TICKS_PER_STEP, pitch, TICKS_PER_STEP) for step in range(request.now, last))
        return Plan(request.number, request.now, last, request.heard, {"bass": notes})


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """The kazoo's graph: no input, and one number as its output."""
    value = helper.make_tensor_value_info("interval", TensorProto.FLOAT, [1])
    node = helper.make_node("Constant", [], ["interval"], value_floats=[24.0])
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(helper.make_graph([node], "kazoo", [], [value]), opset_imports=[opset], ir_version=9)
    signed = Signature("kazoo", {}, {"interval": (1,)}, ("hum", "buzz"))
    helper.set_model_props(model, {signature.METADATA_KEY: signed.to_json()})
    path = tmp_path / "kazoo.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of techniques, which is again as it was after the test."""
    monkeypatch.setattr(techniques, "_TECHNIQUES", dict(techniques._TECHNIQUES))


@pytest.fixture
def kazoo(table: None) -> None:
    """The kazoo is registered."""
    techniques.register(KAZOO)


def test_a_registered_technique_plays(kazoo: None, graph: Path) -> None:
    player = load_player("kazoo", graph)
    assert (player.info.techniques, player.info.styles) == (("kazoo",), ("hum", "buzz"))
    stage = perform(player, TUNE, until=384, settings=Settings("hum", technique="kazoo"))
    assert stage.counters.isr == 1.0
    assert {note[2] for note in stage.notes} == {note.pitch - 24 for note in TUNE}


def test_it_takes_turns_with_the_programs_own(kazoo: None, graph: Path) -> None:
    band = load_band("kazoo", graph)
    assert band.info.techniques == ("kazoo", "gan", "arcnn", "transformer")
    assert {"hum", "pop"} <= set(band.info.styles)
    events = [ControlChange(2_000_000_000, "technique", "gan"), ControlChange(2_000_000_000, "style", "pop")]
    stage = perform(band, TUNE, until=384, settings=Settings("hum", technique="kazoo"), events=events)
    assert {channel for tick, channel, _, _ in stage.notes if tick < 90} == {1}
    assert {channel for _, channel, _, _ in stage.notes} > {1}


def test_the_command_line_plays_it(kazoo: None, graph: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.mid", tmp_path / "out.mid"
    midifile.write(source, {"melody": TUNE})
    words = ["render", str(source), "-o", str(target), "--technique", "kazoo", "--graph", str(graph)]
    done = CliRunner().invoke(main, [*words, "--style", "buzz"])
    assert done.exit_code == 0, done.output
    written = midifile.read(target)
    assert {note.pitch for note in midifile.choose_melody(written, "bass").notes} <= {n.pitch - 24 for n in TUNE}


def test_an_installed_package_brings_one(table: None, monkeypatch: pytest.MonkeyPatch, graph: Path) -> None:
    point = EntryPoint("kazoo", "tests.players.test_registry:KAZOO", techniques.ENTRY_POINTS)
    monkeypatch.setattr(techniques, "_entry_points", lambda: [point])
    assert techniques.list_names() == ("gan", "arcnn", "transformer", "kazoo")
    assert load_player("kazoo", graph).info.roles == ("bass",)
    with pytest.raises(UserError, match=r"^no technique 'comb'; there are gan, arcnn, transformer, kazoo$"):
        techniques.find("comb")


def test_one_name_is_one_technique(kazoo: None) -> None:
    with pytest.raises(ValueError, match="there is a technique 'kazoo' already"):
        techniques.register(KAZOO)


def test_one_without_weights_of_its_own_needs_a_graph(kazoo: None) -> None:
    with pytest.raises(UserError, match="without weights for the kazoo; name a graph with --graph"):
        load_player("kazoo")


# What there is not

NO_TECHNIQUE = "technique: no technique 'comb'; there are gan, arcnn, transformer"
NO_STYLE = "style: no style 'polka'; the player knows hum, buzz"
INFO = PlayerInfo(16, 16, 4, ("bass",), ("hum", "buzz"), ("gan", "arcnn", "transformer"))


def refused_by_command(*words: str) -> str:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    return done.stderr.removeprefix("Error: ").strip()


def in_configuration(key: str, value: str) -> None:
    build_config(values={key: parse_key(key, value)}).make_settings(INFO)


def in_preset(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=r"^presets\.loud\.") as error:
        build_config(ConfigFile(presets={"loud": ((key, value),)})).make_settings(INFO)
    raise UserError(str(error.value).removeprefix("presets.loud."))


def in_automation(key: str, value: str, folder: Path) -> None:
    file = folder / "turns.jsonl"
    file.write_text(json.dumps({"tick": 0, "key": key, "value": value}))
    with pytest.raises(automation.AutomationError) as error:
        automation.read_automation(file, INFO)
    raise UserError(str(error.value).removeprefix(f"{file}, line 1: "))


def on_the_socket(key: str, value: str) -> None:
    parse(key, value, list(INFO.styles), list(INFO.techniques))  # as the server does


@pytest.mark.parametrize("refuse", [in_configuration, in_preset, in_automation, on_the_socket])
@pytest.mark.parametrize(
    ("key", "value", "sentence"), [("technique", "comb", NO_TECHNIQUE), ("style", "polka", NO_STYLE)]
)
def test_it_is_refused_in_the_same_words(
    refuse: Callable[..., None], key: str, value: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        refuse(key, value, *([tmp_path] if refuse is in_automation else []))
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "words", [("render", "in.mid", "-o", "out.mid"), ("run",), ("jam",), ("evaluate",), ("bench",)], ids=lambda w: w[0]
)
def test_every_command_refuses_a_technique_that_there_is_not(words: tuple[str, ...]) -> None:
    assert refused_by_command(*words, "--technique", "comb") == NO_TECHNIQUE


def test_commands_refuse_a_style_that_its_graph_does_not_know(kazoo: None, graph: Path, tmp_path: Path) -> None:
    midifile.write(tmp_path / "in.mid", {"melody": TUNE})
    files = [str(tmp_path / "in.mid"), "-o", str(tmp_path / "out.mid")]
    words = ["--technique", "kazoo", "--graph", str(graph), "--style", "polka"]
    assert refused_by_command("render", *files, *words).startswith(NO_STYLE)
    data = tmp_path / "songs" / "valid"
    data.mkdir(parents=True)
    midifile.write(data / "one.mid", {"melody": TUNE})
    assert refused_by_command("evaluate", "--data", str(tmp_path), "--collection", "songs", *words) == NO_STYLE
