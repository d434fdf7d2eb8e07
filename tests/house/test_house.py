"""The house: which rooms there are, which arrows run between them, and that torch stays in its own."""

from __future__ import annotations

import ast
import configparser
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("daemon", "export", "models", "music", "systemd")
ARROWS = {"music": set(), "models": {"music"}, "export": {"models", "music"}, "daemon": {"music"}, "systemd": set()}
#: What the live side may import beside the standard library: the runtime dependencies ...
RUNTIME = {"click", "mido", "numpy", "onnxruntime", "platformdirs", "rich", "rtmidi"}
#: ... and the extras audio, jack and link, and what draws pictures.
EXTRAS = {"aalink", "fluidsynth", "jack", "matplotlib", "sounddevice"}
TRAINING = {"torch", "lightning_fabric", "lightning", "onnx", "onnxscript", "safetensors", "matplotlib"}


def modules() -> dict[str, Path]:
    """Every module of the house by its dotted name."""
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path) -> set[str]:
    """Dotted names a module imports, wherever in it; `if TYPE_CHECKING` does not run and does not count."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names: set[str] = set()
    for node in _running_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def _running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _running_nodes(child)


def graph(found: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> the modules of the house it imports."""
    return {
        name: {used for used in imports(name, path) if used in found and used != name} for name, path in found.items()
    }


def room_of(module: str) -> str:
    return module.partition(".")[0]


def test_imports_are_read_wherever_they_stand(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nimport a.b\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import unseen\ndef f():\n    from . import near\n"
        "    from ..up import x\n    import late\n"
    )
    path = tmp_path / "module.py"
    path.write_text(text)
    found = imports("room.sub.module", path)
    assert {"a.b", "room.sub.near", "room.up.x", "late"} <= found
    assert "unseen" not in found


def test_only_the_arrows_of_the_design_run_between_rooms() -> None:
    wrong = [
        f"{name} imports {used}"
        for name, uses in graph(modules()).items()
        for used in sorted(uses)
        if room_of(used) != room_of(name) and room_of(used) not in ARROWS[room_of(name)]
    ]
    assert wrong == []


def test_no_circles_between_modules() -> None:
    try:
        order = list(TopologicalSorter(graph(modules())).static_order())
    except CycleError as error:
        pytest.fail("a circle: " + " -> ".join(error.args[1]))
    assert set(order) == set(modules())


@pytest.mark.parametrize(("room", "allowed"), [("music", {"numpy", "mido"}), ("daemon", RUNTIME | EXTRAS)])
def test_rooms_of_the_live_side_import_only_what_the_runtime_installs(room: str, allowed: set[str]) -> None:
    known = set(sys.stdlib_module_names) | set(ROOMS) | allowed
    strangers = {
        f"{name} imports {used}"
        for name, path in modules().items()
        if room_of(name) == room
        for used in imports(name, path)
        if room_of(used) not in known
    }
    assert strangers == set()


def test_the_runtime_dependencies_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    import_names = {"python-rtmidi": "rtmidi"}
    names = {text.split(">")[0].strip() for text in project["dependencies"]}
    assert {import_names.get(name, name) for name in names} == RUNTIME


def test_every_package_is_listed() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in modules().values()}
    assert set(tool["setuptools"]["packages"]) == packages


def test_the_top_level_is_the_one_agreed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    agreed = {"daemon", "export", "models", "music", "systemd", "tests", ".ci", ".gitignore"} | {
        "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "LICENSE",
    }  # fmt: skip
    assert {name.partition("/")[0] for name in listed.stdout.split("\0") if name} <= agreed


def test_a_daemon_with_every_module_loaded_has_no_torch() -> None:
    names = sorted(name for name in modules() if room_of(name) in ("daemon", "music") and not name.endswith("__main__"))
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint(*sys.modules, sep='\\n')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert "daemon.core.plan" in loaded
    assert {name for name in loaded if room_of(name) in TRAINING | EXTRAS | {"export"}} == set()
    assert {name for name in loaded if room_of(name) == "models"} <= {"models", "models.pretrained"}


@pytest.mark.parametrize("module", ["daemon.commands.run", "daemon.control.server", "daemon.players.worker"])
def test_what_runs_before_or_beside_the_players_loads_no_arrays(module: str) -> None:
    code = f"import sys, {module}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(("ci", "outcome", "status"), [("true", "1 error", 1), ("", "1 skipped", 0)])
def test_a_port_test_without_a_server_is_skipped_but_never_under_ci(
    ci: str, outcome: str, status: int, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_port.py").write_text("import pytest\n@pytest.mark.jack\ndef test_port(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = jack\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    there_is_no_jackd = {**os.environ, "CI": ci, "PATH": str(tmp_path)}
    run = subprocess.run(
        command, cwd=tmp_path, env=there_is_no_jackd, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, outcome in run.stdout) == (status, True), run.stdout
    assert ("no port test may be skipped under CI: Skipped: needs jackd" in run.stdout) == bool(ci)


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((ROOT / "systemd" / "houseband.service").read_text(encoding="utf-8"))
    return parser


def test_the_unit_is_a_notifying_user_service_that_does_not_loop_on_a_wrong_configuration() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
    assert "2" in service["RestartPreventExitStatus"].split()
    assert service["ExecStart"].split()[:2] == ["%h/.local/bin/houseband", "run"]
    assert unit()["Install"]["WantedBy"] == "default.target"
