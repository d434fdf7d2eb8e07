"""What the doctor says of every illness: its cause and its remedy."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from daemon.cli import main
from daemon.core.plan import Plan, PlanRequest
from daemon.core.settings import Settings
from daemon.diagnostics import bench, doctor
from daemon.diagnostics.doctor import BAD, GOOD, ODD
from daemon.diagnostics.measure import WireLoop, questions
from daemon.midi import port_diagnosis
from daemon.midi.port_diagnosis import Places
from daemon.sound.soundfont import SoundFontError, find
from tests.support.fakes import FakePlayer


def importer(**failures: Exception) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        if name in failures:
            raise failures[name]
        return SimpleNamespace(query_devices=lambda kind: {"name": "speakers"})

    return load


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Where nothing is."""
    return Places(tmp_path / "seq", tmp_path / "clients", tmp_path / "unix")


def test_no_midi_system(places: Places) -> None:
    found = doctor.midi_system("auto", [], places)
    assert found.state == BAD
    assert "JACK: no server runs" in found.found
    assert "ALSA: the kernel's sequencer is not loaded" in found.found
    assert found.remedy.startswith("load ALSA's sequencer: sudo modprobe snd-seq; or start a JACK server (")


def test_no_permission(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    places.sequencer.touch()

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    monkeypatch.setenv("USER", "ann")
    monkeypatch.setattr(port_diagnosis, "_group", lambda _: "audio")
    monkeypatch.setattr(port_diagnosis, "_joined", lambda _: False)
    found = doctor.midi_system("auto", [], places)
    assert (found.state, f"no permission to open {places.sequencer}" in found.found) == (BAD, True)
    assert found.remedy == "join the group audio: sudo usermod -aG audio ann, then log in anew"
    monkeypatch.setattr(port_diagnosis, "_joined", lambda _: True)
    assert doctor.midi_system("auto", [], places).remedy.endswith(
        "into the group audio since you logged in: log in anew"
    )


def test_a_container_without_the_device(places: Places) -> None:
    places.kernel.touch()
    found = doctor.midi_system("alsa", [], places)
    assert "the kernel has a sequencer" in found.found
    assert "--device /dev/snd" in found.remedy


def _listening(places: Places, *names: str) -> None:
    lines = [f"00: 00000002 00000000 00010000 0001 01 7 /dev/shm/jack_{name}_0" for name in names]
    lines.append("00: 00000003 00000000 00000000 0001 03 7 /dev/shm/jack_client_5_0")
    places.sockets.write_text("\n".join(lines) + "\n")


def test_a_jack_server_of_somebody_else(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JACK_DEFAULT_SERVER", raising=False)
    monkeypatch.setattr(port_diagnosis, "_user_id", lambda: 5)
    _listening(places, "default_7")
    found = doctor.midi_system("jack", [], places)
    assert "is that of user 7" in found.found
    assert "same user" in found.remedy
    _listening(places, "studio_5")
    found = doctor.midi_system("auto", [], places)
    assert "called 'studio', not 'default'" in found.found
    assert found.remedy == "say which one: export JACK_DEFAULT_SERVER=studio"
    _listening(places)
    assert "no server runs" in doctor.midi_system("jack", [], places).found


def test_pipewire_without_its_jack(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipewire-0").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert "pw-jack houseband run" in doctor.midi_system("jack", [], places).remedy


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
    assert "apt install libasound2" in found.remedy
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
    assert (found.state, bool(found.remedy)) == (ODD, True)
    *_, found = doctor.audio(str(tmp_path / "a.sf2"), importer(), wanted=True)
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
    assert loud.state == ODD
    deeper = OSError("cannot load library 'libportaudio.so.2': libasound.so.2: cannot open shared object file")
    loud, *_ = doctor.audio(None, importer(sounddevice=deeper), wanted=True)
    assert loud.remedy == "install libasound (Debian: apt install libasound2, or libasound2t64)"
    assert loud.state == BAD


def test_a_broken_graph(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    run = CliRunner().invoke(main, ["doctor", "--graph", str(broken), "--json"])
    assert run.exit_code == 1
    (found,) = (f for f in json.loads(run.output)["findings"] if f["what"] == "graph and inference")
    assert found["state"] == BAD
    assert "not a graph that onnxruntime can load" in found["found"]
    assert "leave --graph out" in found["remedy"]


def test_a_graph_that_answers_with_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FakePlayer):
        def plan(self, request: PlanRequest) -> Plan:
            np.full(3, np.nan, np.float32).astype(int)
            return super().plan(request)

    monkeypatch.setattr("daemon.players.load.load_player", lambda *_: Broken())
    found = doctor._inference("gan", "mine.onnx", {})
    assert (found.state, "answers with NaN" in found.found) == (BAD, True)
    assert "leave --graph out" in found.remedy


def test_where_takes_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.takes(None, 1).state == GOOD
    assert doctor.takes(tmp_path / "not" / "yet", 1 << 20).found.startswith("0 in ")
    (tmp_path / "a.mid").write_bytes(bytes(1 << 20))
    assert doctor.takes(tmp_path, 4 << 20).found == f"1 in {tmp_path}, 1.0 of 4 MB"
    (tmp_path / "file").touch()
    found = doctor.takes(tmp_path / "file", 1)
    assert (found.state, "no folder one can write to" in found.found, "--takes DIR" in found.remedy) == (
        ODD,
        True,
        True,
    )
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3 << 20))
    assert doctor.takes(tmp_path, 1).found.startswith("3 MB are left")


def test_what_is_looked_at_is_what_the_configuration_plays_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[doctor.Patient] = []

    def examine(patient: doctor.Patient, _tell: object) -> doctor.Examined:
        seen.append(patient)
        return doctor.Examined((), {})

    monkeypatch.setattr(doctor, "examine", examine)
    mine = tmp_path / "mine.toml"
    mine.write_text('graph = "mine.onnx"\naudio = true\ntakes = "here"\ntakes_mb = 7\n')
    run = CliRunner().invoke(main, ["doctor", "--config", str(mine), "--technique", "arcnn"])
    assert (run.exit_code, "All is well" in run.output) == (0, True)
    assert seen == [doctor.Patient("auto", "arcnn", "mine.onnx", None, True, seen[0].takes, 7 << 20)]
    mine.write_text("bpm = 0\n")
    run = CliRunner().invoke(main, ["doctor", "--config", str(mine), "--json"])
    told = json.loads(run.output)
    assert (run.exit_code, told["fit"]) == (1, False)
    assert [(f["what"], f["state"]) for f in told["findings"]] == [("configuration", BAD)]
    assert "bpm: takes a number" in told["findings"][0]["found"]


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
    assert doctor.looped("alsa", WireLoop((200_000,) * 100, 0)).state == GOOD
    assert doctor.looped("jack", WireLoop((200_000,) * 100, 3)).found.endswith("3 of 103 messages lost")
    assert doctor.looped("jack", WireLoop((), 9)).state == BAD
    assert doctor.looped("jack", WireLoop((30_000_000,) * 100, 0)).state == ODD


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


def test_who_edits_is_asked_about_a_loop_that_is_never_the_same() -> None:
    first, second = (request for request, _ in zip(questions(Settings(), edits=True), range(2), strict=False))
    assert first.loop
    assert second.loop
    assert first.loop.want == 1
    assert first.loop.notes != second.loop.notes
    assert next(questions(Settings())).loop is None
