"""The declared dependencies, packages and service unit agree with the code."""

from __future__ import annotations

import ast
import configparser
import sys
import tomllib
from pathlib import Path

import pytest

import houseband
from tests.house import source
from tests.house.source import PACKAGES, ROOT, modules, package_of

#: What the live side may import beside the standard library: the runtime dependencies ...
RUNTIME = {"click", "defusedxml", "mido", "numpy", "onnxruntime", "platformdirs", "rich", "rtmidi"}
#: ... of which music/ needs these ...
MUSIC = {"defusedxml", "mido", "numpy"}
#: ... and the extras audio, jack, link and studio, and what draws pictures.
EXTRAS = {"aalink", "fluidsynth", "jack", "matplotlib", "sounddevice", "h11", "starlette", "uvicorn", "websockets"}


@pytest.mark.parametrize(
    ("package", "allowed"), [("music", {"numpy", "mido", "defusedxml"}), ("daemon", RUNTIME | EXTRAS)]
)
def test_the_live_side_imports_only_what_the_runtime_installs(package: str, allowed: set[str]) -> None:
    known = set(sys.stdlib_module_names) | set(PACKAGES) | allowed
    strangers = {
        f"{name} imports {used}"
        for name, path in modules().items()
        if package_of(name) == package
        for used in source.imports(name, path)
        if package_of(used) not in known
    }
    assert strangers == set()


def test_the_runtime_dependencies_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    import_names = {"python-rtmidi": "rtmidi"}
    names = {text.split(">")[0].strip() for text in project["dependencies"]}
    assert {import_names.get(name, name) for name in names} == RUNTIME


def test_every_package_is_listed() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in modules().values()} - {""}
    assert set(tool["setuptools"]["packages"]) == {*packages, "houseband-stubs"}
    assert [f"{name}.py" for name in tool["setuptools"]["py-modules"]] == [path.name for path in ROOT.glob("*.py")]


def list_imports(path: Path) -> set[tuple[str | None, str]]:
    """Return (module, name) of everything that a file imports by `from module import name`."""
    nodes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {(node.module, name.name) for node in nodes for name in node.names if node.module != "__future__"}


def test_type_checkers_see_what_the_top_level_file_offers() -> None:
    stub = ROOT / "houseband-stubs/__init__.pyi"
    assert list_imports(stub) == list_imports(ROOT / "houseband.py")
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    [names] = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert ast.literal_eval(names) == houseband.__all__


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
