"""Bad input: one clear sentence that names the remedy, exit code 2, nothing half-written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import mido
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

from daemon.cli import main
from daemon.midi import port_diagnosis
from music import signature
from music.signature import Signature


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a good melody and files that are wrong, each in its own way."""
    monkeypatch.chdir(tmp_path)
    notes = [mido.Message("note_on", note=60, velocity=80), mido.Message("note_off", note=60, time=960)]
    save("good.mid", [mido.MetaMessage("track_name", name="melody"), *notes])
    save("no-notes.mid", [mido.MetaMessage("track_name", name="melody")])
    save("drums.mid", [message.copy(channel=9) for message in notes])
    whole = Path("good.mid").read_bytes()
    Path("cut.mid").write_bytes(whole[:13])
    Path("no-track.mid").write_bytes(whole[:14])
    Path("empty.mid").write_bytes(b"")
    Path("text.mid").write_text("do re mi")
    Path("folder").mkdir()
    Path("wrong.jsonl").write_text('{"tick": 0, "key": "density", "value": 0.5}\n{"tick": 24, "key": "volume"}\n')
    Path("broken.onnx").write_bytes(b"\x08\x09 no graph")
    graph("unsigned.onnx", None)
    fits = Signature("gan", {"x": (1,)}, {"y": (1,)}, ("pop",))
    graph("other.onnx", replace(fits, technique="transformer"))
    graph("shapes.onnx", replace(fits, inputs={"x": (2,)}))
    return tmp_path


def save(name: str, messages: list[mido.Message | mido.MetaMessage]) -> None:
    mido.MidiFile(type=1, ticks_per_beat=480, tracks=[mido.MidiTrack(messages)]).save(name)


def graph(name: str, signed: Signature | None) -> None:
    """A graph that hands through one number."""
    x, y = (helper.make_tensor_value_info(each, TensorProto.FLOAT, [1]) for each in "xy")
    node = helper.make_node("Identity", ["x"], ["y"])
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(helper.make_graph([node], "through", [x], [y]), opset_imports=[opset], ir_version=9)
    if signed is not None:
        helper.set_model_props(model, {signature.METADATA_KEY: signed.to_json()})
    onnx.save(model, name)


def houseband(arguments: str) -> Result:
    return CliRunner().invoke(main, arguments.split())


def said(result: Result) -> str:
    """The one sentence; fails on a traceback, a wrong code or a second line."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    beside = ("Usage:", "Try ", "reading ")  # click's own way to the help, and what takes long says that it began
    lines = [line for line in result.output.splitlines() if line and not line.startswith(beside)]
    assert len(lines) == 1, result.output
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


RENDER = [
    ("absent.mid -o out.mid", "absent.mid: no such file"),
    ("text.mid -o out.mid", "text.mid: not a readable MIDI file"),
    ("empty.mid -o out.mid", "empty.mid: not a readable MIDI file"),
    ("cut.mid -o out.mid", "cut.mid: not a readable MIDI file (it ends within its header)"),
    ("no-track.mid -o out.mid", "no-track.mid: not a readable MIDI file (there is no track in it)"),
    ("folder -o out.mid", "folder: not a readable MIDI file"),
    ("no-notes.mid -o out.mid", "no-notes.mid: no melody"),
    ("drums.mid -o out.mid", "drums.mid: no melody"),
    ("good.mid -o out.mid --track flute", "good.mid: no track 'flute' with notes in it; the file has: melody"),
    ("good.mid -o folder", "folder: cannot be written"),
    ("good.mid -o nowhere/out.mid", "nowhere/out.mid: cannot be written"),
    ("good.mid -o good.mid", "good.mid: is the input, which would be lost; name another file"),
    ("good.mid -o out.mid --bpm 0", "bpm: takes a number from 10 to 400, not '0'"),
    ("good.mid -o out.mid --bpm nan", "bpm: takes a number from 10 to 400, not 'nan'"),
    ("good.mid -o out.mid --bpm fast", "bpm: takes a number from 10 to 400, not 'fast'"),
    ("good.mid -o out.mid --style polka", "style: no style 'polka'; the player knows "),
    ("good.mid -o out.mid --seed seven", "seed: takes a whole number, not 'seven'"),
    ("good.mid -o out.mid --density 3", "density: takes a number from 0 to 2, not '3'"),
    ("good.mid -o out.mid --set volume=3", "volume: no such control; there are style, seed, "),
    ("good.mid -o out.mid --set density", "takes KEY=VALUE"),
    ("good.mid -o out.mid --automation absent.jsonl", "absent.jsonl: cannot be read"),
    ("good.mid -o out.mid --automation wrong.jsonl", "wrong.jsonl, line 2: volume: no such control"),
    ("good.mid -o out.mid --technique kazoo", "no technique 'kazoo'; there are gan, arcnn, transformer"),
    ("good.mid -o out.mid --graph absent.onnx", "absent.onnx: no such file"),
    ("good.mid -o out.mid --graph folder", "folder: a folder, not a graph"),
    ("good.mid -o out.mid --graph broken.onnx", "broken.onnx: not a graph that onnxruntime can load"),
    ("good.mid -o out.mid --graph unsigned.onnx", "it was not made by `houseband export`"),
    ("good.mid -o out.mid --graph other.onnx", "it is a graph for the transformer, not for the gan"),
    ("good.mid -o out.mid --graph shapes.onnx", "input x: wanted (1,), found (2,)"),
    ("good.mid -o out.mid --latency-ms -1", "'--latency-ms'"),
    ("good.mid", "Missing option '-o'"),
]


@pytest.mark.parametrize(("arguments", "sentence"), RENDER)
def test_render_says_what_is_wrong_and_writes_nothing(desk: Path, arguments: str, sentence: str) -> None:
    before = listing(desk)
    assert sentence in said(houseband(f"render {arguments}"))
    assert listing(desk) == before


def test_render_leaves_an_older_file_as_it_was_when_it_fails(desk: Path) -> None:
    Path("out.mid").write_bytes(b"yesterday's take")
    said(houseband("render no-notes.mid -o out.mid"))
    assert Path("out.mid").read_bytes() == b"yesterday's take"


RUN = [
    ("--bpm 0", "bpm: takes a number from 10 to 400, not '0'"),
    ("--metre 4", "metre: takes auto, a time signature"),
    ("--pickup 9", "pickup: takes beats"),
    ("--count-in -1", "count_in: takes a whole number"),
    ("--technique kazoo", "no technique 'kazoo'"),
    ("--style polka", "style: no style 'polka'; the player knows "),
    ("--graph broken.onnx", "broken.onnx: not a graph that onnxruntime can load"),
    ("--graph other.onnx", "it is a graph for the transformer, not for the gan"),
    ("--api tin-can", "api: takes one of auto"),
    (
        "--record nowhere/take.mid",
        "nowhere/take.mid: cannot be written, for there is no folder nowhere; choose another",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), RUN)
def test_run_says_what_is_wrong_before_anything_sounds(
    desk: Path, no_midi_system: None, arguments: str, sentence: str
) -> None:
    before = listing(desk)
    assert sentence in said(houseband(f"run {arguments}"))
    assert listing(desk) == before


@pytest.fixture
def no_midi_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """python-rtmidi is there, and finds no system it was built for."""
    fake = ModuleType("rtmidi")
    for name in ("API_LINUX_ALSA", "API_UNIX_JACK", "API_MACOSX_CORE", "API_WINDOWS_MM"):
        setattr(fake, name, len(name))
    fake.get_compiled_api = list  # type: ignore[attr-defined]
    fake.RtMidiError = OSError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rtmidi", fake)
    monkeypatch.setitem(sys.modules, "jack", None)  # nor a JACK server that another test has started
    nowhere = Path("/nowhere")
    monkeypatch.setattr(port_diagnosis, "PLACES", port_diagnosis.Places(nowhere, nowhere, nowhere))


def test_run_without_a_midi_system_says_how_to_get_one(desk: Path, no_midi_system: None) -> None:
    sentence = said(houseband("run"))
    assert "no MIDI system found" in sentence
    assert "start a JACK server" in sentence


def test_run_without_rtmidi_says_what_to_install(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    monkeypatch.setitem(sys.modules, "jack", None)
    assert "pip install python-rtmidi" in said(houseband("run"))


OTHERS: list[tuple[str, str]] = [
    ("sing", "No such command 'sing'"),
    ("evaluate --data nowhere", "nowhere"),
    ("evaluate --data folder --collection polkas", "polkas"),
    ("train gan", "Missing option"),
    ("train gan --data nowhere -o run", "nowhere"),
    ("train gan --data folder -o run", "folder"),
    ("export nowhere -o out.onnx", "nowhere"),
    ("export folder -o out.onnx", "folder"),
]


@pytest.mark.parametrize(("arguments", "sentence"), OTHERS)
def test_other_commands_say_what_is_wrong_and_write_nothing(desk: Path, arguments: str, sentence: str) -> None:
    before = listing(desk)
    assert sentence in said(houseband(arguments))
    assert listing(desk) == before


@pytest.fixture
def installed_without_torch(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Result]:
    for name in [each for each in sys.modules if each.partition(".")[0] in ("torch", "models", "export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    return houseband


@pytest.mark.parametrize("command", ["train gan --help", "export --help"])
def test_what_needs_torch_says_how_to_install_it(
    installed_without_torch: Callable[[str], Result], command: str
) -> None:
    assert "pip install 'houseband[train,torch]'" in said(installed_without_torch(command))
