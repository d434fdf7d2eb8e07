"""Where the program's folders and files are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.system import paths

ROOT = Path(__file__).resolve().parents[2]


def test_variables_name_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.CONFIG_VARIABLE, str(tmp_path / "other.toml"))
    assert paths.find_config_file() == tmp_path / "other.toml"
    assert paths.find_learned_gestures_file(paths.find_config_file()) == tmp_path / "other.learnt.toml"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="each system has folders of its own")
def test_places_are_those_that_the_manual_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, runtime = tmp_path / "home", tmp_path / "run"
    runtime.mkdir()
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", *paths.VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    found = [
        paths.find_config_file(),
        paths.find_learned_gestures_file(paths.find_config_file()),
        paths.find_takes_folder(),
        paths.find_takes_folder() / "studio",
        paths.find_graph_cache_folder(),
        paths.find_control_socket_file(),
        paths.find_plugin_socket_file(),
        *paths.find_plugin_bundles(),
        paths.find_systemd_folder() / "houseband.service",
    ]
    named = [name.replace("~", str(home)).replace("$XDG_RUNTIME_DIR", str(runtime)) for name in paths.FILES]
    assert [str(path) for path in found] == [name.rstrip("/") for name in named]
    assert (home.exists(), [*runtime.iterdir()]) == (False, [])  # nothing is made by asking


def test_every_variable_of_the_program_is_in_the_table() -> None:
    found = set()
    for file in (ROOT / "daemon").rglob("*.py"):
        found |= set(re.findall(r"\bHOUSEBAND_[A-Z_]+\b", file.read_text(encoding="utf-8")))
    fields_of_the_journal, completion = {"HOUSEBAND_EVENT"}, {"HOUSEBAND_COMPLETE"}
    macros = {"HOUSEBAND_INSTALLED_PROGRAM"}  # of the plugin's C code
    assert found - fields_of_the_journal - completion - macros == set(paths.VARIABLES)


def test_to_know_a_place_loads_nothing() -> None:
    code = "import sys, daemon.system.paths; sys.exit('platformdirs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere platformdirs knows better")
def test_the_sessions_runtime_directory_is_trusted_whoever_its_parents_belong_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(_name: str) -> Path:
        raise PermissionError("no safe temporary directory")  # as platformdirs does in a service's user namespace

    monkeypatch.setattr("platformdirs.user_runtime_path", no)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert paths.find_runtime_folder() == tmp_path / "houseband"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert paths.find_runtime_folder() == tmp_path / "cache" / "houseband" / "run"


def test_without_a_home_what_needs_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    for name in ("HOUSEBAND_CONFIG", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    for kind in ("user_config_path", "user_data_path", "user_cache_path"):
        monkeypatch.setattr(f"platformdirs.{kind}", no)
    monkeypatch.setattr(Path, "home", no)
    for find in (paths.find_config_file, paths.find_takes_folder, paths.find_systemd_folder, paths.find_home):
        with pytest.raises(paths.NoHomeError, match="you have no home folder here; set HOME"):
            find()
    assert paths.find_graph_cache_folder() is None
    monkeypatch.setattr("platformdirs.user_config_path", lambda _: Path("~/.config/houseband"))  # before 4.10
    with pytest.raises(paths.NoHomeError):
        paths.find_config_file()
    monkeypatch.setattr("platformdirs.user_runtime_path", lambda _: Path("/tmp/runtime-7/houseband"))
    assert paths.find_runtime_folder() == Path("/tmp/runtime-7/houseband")
