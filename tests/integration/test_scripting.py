"""`import houseband`, as docs/scripting.md has it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import houseband
from daemon.control.control_socket import ControlSocket, ServerSetup
from daemon.core.events import ControlChange, Event, MidiIn
from music import midifile
from music.note import Note
from tests.house.source import ROOT
from tests.support.fakes import FakePlayer

DOCS = (ROOT / "docs" / "scripting.md").read_text(encoding="utf-8")
TUNE = tuple(Note(96 + beat * 24, 60 + beat % 5, 22) for beat in range(16))


@pytest.fixture
def tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A melody that begins in bar 2, and a band that needs no graph."""
    monkeypatch.setattr("daemon.api._load_band", lambda technique, graph: FakePlayer())
    midifile.write(tmp_path / "melody.mid", {"melody": TUNE})
    return tmp_path / "melody.mid"


def test_render_writes_what_the_command_writes_and_returns_it(tune: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    done = houseband.render(tune, str(tmp_path / "out.mid"), style="rock", seed=3, progress=shares.append)
    assert done.file == tmp_path / "out.mid"
    assert done.data == done.file.read_bytes()
    assert done.bars == (2, 5)
    assert {part.name: part.notes for part in midifile.parse(done.data).parts if part.name != "melody"} == done.parts
    assert shares == sorted(shares)
    assert houseband.render(tune, style="rock", seed=3).data == done.data


def test_regenerate_takes_a_file_or_its_bytes_and_overwrites_nothing_unasked(tune: Path, tmp_path: Path) -> None:
    rendered = houseband.render(tune, tmp_path / "out.mid")
    done = houseband.regenerate(rendered.data, bars=(3, 4), roles=["bass"], settings={"density": 0.5})
    assert (done.bars, list(done.parts), done.file) == ((3, 4), ["bass"], None)
    assert {192 <= note.start < 384 for note in done.parts["bass"]} == {True}
    assert (tmp_path / "out.mid").read_bytes() == rendered.data
    again = houseband.regenerate(tmp_path / "out.mid", tmp_path / "out.mid", bars=(3, 4), roles=["bass"])
    assert (tmp_path / "out.mid").read_bytes() == again.data
    assert houseband.regenerate(rendered.data, bars=3).bars == (3, 3)


def test_settings_reach_the_player(tune: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    player = FakePlayer()
    monkeypatch.setattr("daemon.api._load_band", lambda technique, graph: player)
    (tmp_path / "chart.txt").write_text("| C | F | G | C |\n")
    houseband.render(tune, chart=tmp_path / "chart.txt", settings={"mute.pad": True, "swing": 0.5})
    asked = player.asked[-1]
    assert (asked.settings.muted, asked.settings.swing, asked.settings.harmony) == (frozenset({"pad"}), 0.5, "auto")
    assert asked.harmony


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"style": "polka"}, "no style"), ({"settings": {"wah": 1}}, "no such control"), ({"chart": "no.txt"}, "no.txt")],
)
def test_errors_are_sentences(tune: Path, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(houseband.HousebandError, match=sentence):
        houseband.render(tune, **arguments)  # type: ignore[arg-type]


def test_what_must_not_be_written_is_refused(tune: Path, tmp_path: Path) -> None:
    for output, sentence in (
        (tune, "is the input"),
        ("out.wav", "MIDI files are written"),
        (tmp_path / "no/out", "no folder"),
    ):
        with pytest.raises(houseband.HousebandError, match=sentence):
            houseband.render(tune, output)
    with pytest.raises(houseband.HousebandError, match="no folder"):
        houseband.regenerate(tune, tmp_path / "no/out")
    with pytest.raises(houseband.HousebandError, match="no such file"):
        houseband.regenerate(tmp_path / "none.mid")


def test_evaluate_measures_what_is_in_a_file(tmp_path: Path) -> None:
    chords = [Note(bar * 96, pitch, 90) for bar in range(4) for pitch in (48, 52, 55)]
    midifile.write(tmp_path / "song.mid", {"melody": TUNE, "piano": chords})
    report = houseband.evaluate(tmp_path / "song.mid", technique=None)
    assert json.loads(json.dumps(report))["files"] == 1


def test_charts_are_read(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text("Key: G\n| G | Em7 | C D | G |\n")
    chart = houseband.read_chart(tmp_path / "song.txt")
    assert (chart.key, len(chart.bars)) == ("G", 4)


def test_all_that_is_offered_is_documented_and_there() -> None:
    for name in houseband.__all__:
        assert getattr(houseband, name).__doc__
    for name in ("render", "regenerate", "evaluate", "read_chart", "connect", "Rendering", "HousebandError"):
        assert name in DOCS


def test_the_example_has_twenty_lines() -> None:
    found = re.search(r"<!-- example: client -->\n```python\n(.*?)```", DOCS, re.DOTALL)
    assert found is not None
    assert len(found[1].splitlines()) <= 20


@pytest.fixture
def band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Event]]:
    """A band that does what it is told, plays 32 bars once a client hears of them, and notes what comes in."""
    where, came, over = str(tmp_path / "control.sock"), list[Event](), threading.Event()

    def put(event: Event) -> None:
        came.append(event)
        if isinstance(event, ControlChange) and event.done is not None:
            event.done(True)
            control.tell("done", *control.outcomes.popleft())

    def play() -> None:
        while "bars" not in control.wanted and not over.wait(0.01):
            pass
        control.tell("chord", "F:maj", "C:maj", "chart")
        for number in range(1, 33):
            control.tell("bar", number, "4/4", 96 * (number - 1), 96 * number, number)

    control = ControlSocket(put, lambda: 0)
    control.start(ServerSetup(where, ("pop",), ("gan",), (), {"style": "pop", "intensity": 0.7}, 120.0))
    monkeypatch.setenv("HOUSEBAND_CONTROL", where)
    playing = threading.Thread(target=play)
    playing.start()
    for _ in range(2_000):
        with contextlib.suppress(houseband.HousebandError):
            houseband.connect().close()
            break
        over.wait(0.01)
    yield came
    over.set()
    playing.join()
    control.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets there")
def test_the_client_of_the_documentation_runs(band: list[Event]) -> None:
    found = re.search(r"<!-- example: client -->\n```python\n(.*?)```", DOCS, re.DOTALL)
    assert found is not None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(found[1], "docs/scripting.md", "exec"), {})
    lines = printed.getvalue().splitlines()
    assert lines[:3] == ["style pop at 120.0 bpm", "chord F:maj and then C:maj", "bar 1 4/4"]
    assert lines[-1] == "bar 32 4/4"
    turned = [(event.key, event.value) for event in band if isinstance(event, ControlChange)]
    assert turned == [("pause_bars", 0), *[("fill", True)] * 4, ("ending", True)]
    keys = [tuple(event.data) for event in band if isinstance(event, MidiIn)]
    assert keys == [*((0x90, pitch, 80) for pitch in (48, 55, 64)), *((0x80, pitch, 0) for pitch in (48, 55, 64))]
