"""What the doctor says of every illness: its cause and its remedy."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from daemon import bench, doctor
from daemon.cli import main
from daemon.doctor import BAD, GOOD, ODD
from daemon.measure import Loop, questions
from daemon.plan import Settings
from daemon.soundfont import SoundFontError, find


def importer(**failures: Exception) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        if name in failures:
            raise failures[name]
        return SimpleNamespace(query_devices=lambda kind: {"name": "speakers"})

    return load


def test_no_midi_system(tmp_path: Path) -> None:
    found = doctor.midi_system("auto", [], tmp_path / "seq", tmp_path)
    assert found.state == BAD
    assert "no server runs" in found.found
    assert "no sequencer" in found.found
    assert "modprobe snd-seq" in found.remedy
    assert "start a JACK server" in found.remedy


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = tmp_path / "seq"
    sequencer.touch()
    monkeypatch.setattr("os.access", lambda *_: False)
    found = doctor.midi_system("auto", [], sequencer, tmp_path)
    assert (found.state, "no permission to open" in found.found) == (BAD, True)
    assert "usermod -aG" in found.remedy
    assert "modprobe" not in found.remedy


def test_a_jack_server_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jack_default_7_0").touch()
    monkeypatch.setattr(doctor, "_user_id", lambda: (tmp_path / "jack_default_7_0").stat().st_uid + 1)
    found = doctor.midi_system("jack", [], tmp_path / "seq", tmp_path)
    assert "is that of user" in found.found
    assert "same user" in found.remedy


def test_python_rtmidi_without_libasound(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def importing(name: str, *rest: Any) -> Any:
        if name == "rtmidi":
            raise ImportError("libasound.so.2: cannot open shared object file: No such file or directory")
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importing)
    found = doctor.python_rtmidi()
    assert found.state == BAD
    assert "libasound.so.2: cannot open" in found.found
    assert "Debian: libasound2" in found.remedy
    run = CliRunner().invoke(main, ["doctor", "--json"])
    assert run.exit_code == 1
    assert "MIDI system" not in [finding["what"] for finding in json.loads(run.output)["findings"]]


def test_no_soundfont(tmp_path: Path) -> None:
    *_, found = doctor.audio(None, importer(), (tmp_path / "nowhere",))
    assert (found.what, found.state) == ("soundfont", ODD)
    assert "built-in synthesiser" in found.found
    assert "fluid-soundfont-gm" in found.remedy


def test_a_soundfont_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.sf2").write_bytes(b"RIFF1234WAVE")
    with pytest.raises(SoundFontError, match=r"a\.sf2: not a soundfont"):
        find(tmp_path / "a.sf2")
    *_, found = doctor.audio(str(tmp_path / "a.sf2"), importer())
    assert (found.state, bool(found.remedy)) == (BAD, True)


def test_no_audio_packages() -> None:
    failures = {"sounddevice": OSError("PortAudio library not found"), "fluidsynth": ImportError("no libfluidsynth")}
    loud, player, _ = doctor.audio(None, importer(**failures))
    assert "libportaudio2" in loud.remedy
    assert "libfluidsynth3" in player.remedy
    _, player, _ = doctor.audio(None, importer(fluidsynth=OSError("libfluidsynth.so.3: file too short")))
    assert player.state == ODD
    loud, *_ = doctor.audio(None, importer(sounddevice=ImportError("no module")))
    assert "houseband[audio]" in loud.remedy


def test_a_broken_graph(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    run = CliRunner().invoke(main, ["doctor", "--graph", str(broken), "--json"])
    assert run.exit_code == 1
    (found,) = (f for f in json.loads(run.output)["findings"] if f["what"] == "graph and inference")
    assert found["state"] == BAD
    assert "not a graph that onnxruntime can load" in found["found"]
    assert "leave --graph out" in found["remedy"]


def test_real_time_and_memory() -> None:
    assert doctor.real_time(0, granted=True).state == GOOD
    assert "rtprio" in doctor.real_time(0, granted=False).remedy
    assert doctor.locking(-1).state == GOOD
    assert "memlock" in doctor.locking(64 << 10).remedy


def test_lookahead() -> None:
    finding, steps = doctor.lookahead(10)
    assert (finding.state, steps) == (GOOD, 1)
    finding, steps = doctor.lookahead(200)
    assert (finding.state, steps, "up to 50 bpm only" in finding.found) == (ODD, 3, True)


def test_a_loop() -> None:
    assert doctor.looped("alsa", Loop((200_000,) * 100, 0)).state == GOOD
    assert doctor.looped("jack", Loop((200_000,) * 100, 3)).found.endswith("3 of 103 messages lost")
    assert doctor.looped("jack", Loop((), 9)).state == BAD
    assert doctor.looped("jack", Loop((30_000_000,) * 100, 0)).state == ODD


def test_bench_compares_ratios_and_draws(tmp_path: Path) -> None:
    one: list[dict[str, Any]] = [
        {"figure": "plan", "against": "torch", "ratio": 2.0},
        {"figure": "x", "against": "", "ratio": None},
    ]
    other = [{"figure": "plan", "against": "torch", "ratio": 2.2}, {"figure": "y", "against": "", "ratio": 1.0}]
    assert bench.differences(one, other) == {"plan / torch": pytest.approx(0.1)}
    with pytest.raises(bench.BenchError, match="a measurement failed"):
        bench.part("nothing")
    found = bench.part("flood", 500, 2)
    assert (found["lost"], len(found["band"]), len(found["bare"])) == (0, 2, 2)
    pytest.importorskip("matplotlib")
    bench.draw(tmp_path / "a.png", {"plan, ms": {"a": [1.0, 2.0], "b": []}})
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_the_ratio_of_a_bench_is_that_of_the_best_rounds() -> None:
    measured = bench.Bench()
    measured._row("late", "ms", [[9.0, 9.0, 9.0], [2.0, 1.0, 2.0]], "waits", [[1.0], [5.0]], "6 ms", 6)
    (row,) = measured.rows
    assert (row.value, row.reference, row.ratio, row.kept) == (9.0, 5.0, 2.0, False)
    assert bench.pieces([1.0, 2.0, 3.0, 4.0]) == [[1.0, 2.0], [3.0, 4.0]]
    assert bench.pieces([]) == []


def test_who_edits_is_asked_about_a_loop_that_is_never_the_same() -> None:
    first, second = (request for request, _ in zip(questions(Settings(), edits=True), range(2), strict=False))
    assert first.loop
    assert second.loop
    assert first.loop.want == 1
    assert first.loop.notes != second.loop.notes
    assert next(questions(Settings())).loop is None
