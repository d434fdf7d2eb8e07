"""The plugin itself, driven by a host of ours in C that checks every note, with a daemon of ours that answers."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.core.controls import CONTROLS
from daemon.core.value_types import Integer, Number
from daemon.plugin import bundles
from music.errors import UserError
from tests.plugin.instances import compile_library

NATIVE = Path(__file__).parent / "native"
FORMATS = ("lv2", "clap")
#: of a host whose few seconds have jumps, loops and ramps of the tempo
EVENTFUL_SEED = 12
STRICT = ("-Wpedantic", "-Wconversion", "-Werror")
#: the host counts the blocks of code that are run through, which no load of the machine changes
COUNTED = "-fsanitize-coverage=trace-pc"
#: those of a run, but for what each sample and each note may cost
MOST_WORK = 1500

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")


def compile_host(target: Path, *flags: str) -> Path:
    sources = bundles.find_sources()
    command = [
        "cc",
        "-std=c11",
        "-g",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{sources}",
        f"-I{sources / 'include'}",
        "-pthread",
    ]
    command += [
        *flags,
        *map(str, sorted(NATIVE.glob("*.c"))),
        str(sources / "parameters.c"),
        "-o",
        str(target),
        "-rdynamic",
        "-ldl",
        "-lm",
    ]
    subprocess.run(command, check=True, timeout=600)
    return target


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both plugins and the host, built without a warning."""
    made = tmp_path_factory.mktemp("plugin")
    bundles.build(made, "", (*STRICT, COUNTED))
    compile_host(made / "host")
    return made


def find_binary(folder: Path, name: str) -> Path:
    return folder / bundles.CLAP_FILE if name == "clap" else folder / bundles.LV2_BUNDLE / "houseband.so"


def play(folder: Path, name: str, *arguments: object, **variables: str) -> dict[str, Any]:
    """Let the host play; what it found, of which everything that is wrong was printed."""
    command = [folder / "host", name, find_binary(folder, name), folder / f"{name}.sock", *arguments]
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "HOUSEBAND_PROGRAM": "", **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_every_note_lies_on_its_sample_and_ends(folder: Path, name: str) -> None:
    found = play(folder, name, 120, 8)
    assert found["notes"] > 500
    assert found["wraps"] > 0
    assert (found["wrong"], found["hanging"]) == (0, 0)
    assert found["worst_deviation_samples"] <= 0.52
    assert found["worst_ramp_deviation_samples"] <= 0.65
    assert found["melody"][0] == found["melody"][1]
    assert found["work"] > 0
    assert found["worst_own_work"] <= MOST_WORK


@pytest.mark.parametrize("name", FORMATS)
def test_without_a_daemon_there_is_silence_and_the_status_says_so(folder: Path, name: str) -> None:
    assert play(folder, name, 5, 1, "nodaemon")["notes"] == 0


@pytest.mark.parametrize(("name", "sanitizer"), [("lv2", "address,undefined"), ("clap", "thread")])
def test_sanitizers_find_nothing(name: str, sanitizer: str, tmp_path: Path) -> None:
    flags = ("-g", "-O0", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all")
    binary = find_binary(tmp_path, name)
    binary.parent.mkdir(exist_ok=True)
    hidden = "-fvisibility=hidden"  # as it is built for use; the host has some of the same names
    compile_library(binary, *flags, hidden, str(bundles.find_sources() / f"{name}.c"))
    compile_host(tmp_path / "host", *flags)
    found = play(tmp_path, name, 10, EVENTFUL_SEED)
    assert min(found[each] for each in ("notes", "wraps", "ramp_notes")) > 0
    assert found["wrong"] == 0


def test_it_starts_the_band_once_where_none_runs(folder: Path, tmp_path: Path) -> None:
    program, log = tmp_path / "a program", tmp_path / "log"
    program.write_text(f'#!/bin/sh\necho "$*" "$HOUSEBAND_PLUGIN_SOCKET" "$LD_PRELOAD" >> "{log}"\n')
    program.chmod(0o755)
    play(folder, "clap", 1, 1, "start", HOUSEBAND_PROGRAM=str(program))
    deadline = time.monotonic() + 20  # it is started beside the host, and nobody is told when it runs
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log.read_text() == f"run --plugin {folder / 'clap.sock'} \n"


def save(library: ctypes.CDLL, band: int) -> dict[str, str]:
    text = ctypes.create_string_buffer(4096)
    library.band_save(band, text, len(text))
    return dict(line.split(" ", 1) for line in text.value.decode().splitlines())


def test_states_of_other_versions_are_read(library: ctypes.CDLL) -> None:
    band = library.band_create(48000.0)
    standard = save(library, band)
    assert library.band_load(band, b"houseband 1\nsession old-1\nplays 2\nstyle jazz\n")
    older = save(library, band)
    assert older == {**standard, "session": "old-1", "plays": "2", "style": "jazz"}
    assert library.band_load(band, b"houseband 7\nsession new\nlater thing\nintensity 0.25\nstyle unheard of\n")
    assert save(library, band) == {**standard, "houseband": "1", "session": "new", "intensity": "0.250"}
    library.band_destroy(band)


@pytest.mark.parametrize("text", [b"", b"nonsense", b"houseband", b"houseband x\n", b"houseband 0\n"])
def test_what_is_no_state_changes_nothing(library: ctypes.CDLL, text: bytes) -> None:
    band = library.band_create(48000.0)
    before = save(library, band)
    assert not library.band_load(band, text)
    assert save(library, band) == before
    library.band_destroy(band)


def test_new_instances_join_the_session_of_the_project(library: ctypes.CDLL) -> None:
    first, second = library.band_create(48000.0), library.band_create(48000.0)
    assert save(library, first)["session"] == save(library, second)["session"]
    assert library.band_load(first, b"houseband 1\nsession project\n")
    third = library.band_create(48000.0)
    assert save(library, third)["session"] == "project"
    assert save(library, second)["session"] != "project"
    for band in (first, second, third):
        library.band_destroy(band)


class Parameter(ctypes.Structure):
    """The `struct parameter` of parameters.h."""

    _fields_ = (
        ("symbol", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("control", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("low", ctypes.c_double),
        ("high", ctypes.c_double),
        ("standard", ctypes.c_double),
        ("unit", ctypes.c_char_p),
        ("labels", ctypes.POINTER(ctypes.c_char_p)),
        ("words", ctypes.POINTER(ctypes.c_char_p)),
    )


def list_texts(texts: Any) -> list[str]:
    found: list[str] = []
    while texts and texts[len(found)]:
        found.append(texts[len(found)].decode())
    return found


@pytest.fixture(scope="session")
def parameters(folder: Path) -> list[Parameter]:
    """The table of parameters, out of the C code."""
    library = folder / "parameters.so"
    source = bundles.find_sources() / "parameters.c"
    subprocess.run(
        ["cc", "-std=c11", "-shared", "-fPIC", str(source), "-o", str(library), "-lm"], check=True, timeout=60
    )
    count = (
        (bundles.find_sources() / "parameters.h")
        .read_text()
        .split("enum parameter_number {")[1]
        .split("}")[0]
        .count(",")
    )
    return list((Parameter * count).in_dll(ctypes.CDLL(str(library)), "PARAMETERS"))


def test_the_parameters_are_controls_with_the_same_values(parameters: list[Parameter]) -> None:
    for parameter in parameters:
        if not parameter.control:
            continue
        spec = CONTROLS[parameter.control.decode()]
        for word in list_texts(parameter.words):
            assert spec.parse(word) == word or spec.name == "key", (spec.name, word)
        if parameter.words:
            assert list_texts(parameter.words)[int(parameter.standard)] == spec.default or spec.name == "start_with"
        if isinstance(spec.type, Number):
            assert (parameter.low, parameter.high, parameter.standard) == (spec.type.low, spec.type.high, spec.default)
        if isinstance(spec.type, Integer) and spec.type.low is not None:
            assert (parameter.low, parameter.high, parameter.standard) == (spec.type.low, spec.type.high, spec.default)


def test_the_description_for_lv2_has_the_same_parameters(parameters: list[Parameter]) -> None:
    text = (bundles.find_sources() / "houseband.ttl").read_text(encoding="utf-8")
    ports = text.split("lv2:index ")[1:]
    assert len(ports) == 4 + len(parameters)
    for number, parameter in enumerate(parameters):
        port = ports[4 + number]
        assert port.startswith(f"{4 + number} ;")
        assert f'lv2:symbol "{parameter.symbol.decode()}"' in port
        assert f'lv2:name "{parameter.name.decode()}"' in port
        for key, value in (("default", parameter.standard), ("minimum", parameter.low), ("maximum", parameter.high)):
            assert f"lv2:{key} {value:g}" in port, (parameter.symbol, key)
        assert port.count("rdfs:label") == len(list_texts(parameter.labels))


@pytest.mark.skipif(not shutil.which("lv2_validate"), reason="no lv2_validate")
def test_the_description_for_lv2_is_valid(folder: Path) -> None:
    turtle = sorted((folder / bundles.LV2_BUNDLE).glob("*.ttl"))
    done = subprocess.run(["lv2_validate", *map(str, turtle)], capture_output=True, text=True, timeout=60, check=False)
    assert "Found 0 errors" in done.stdout + done.stderr


def test_without_a_compiler_one_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt install gcc"):
        bundles.build(tmp_path, "")


def test_a_compiler_that_fails_leaves_nothing_half_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "false")
    with pytest.raises(UserError, match="cannot build the plugin"):
        bundles.build(tmp_path, "")
    assert not list(tmp_path.rglob("*.so*"))
