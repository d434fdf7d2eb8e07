"""The house: which rooms there are, which arrows run between them, and how large what lies in them may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.house import source
from tests.house.source import ROOT, arrows, modules, package_of

#: package -> the packages it may import
PACKAGES = {
    "music": set(),
    "models": {"music"},
    "export": {"models", "music"},
    "daemon": {"music"},
    "plugin": set(),
    "systemd": set(),
} | {"houseband": {"daemon", "music"}}
#: room of daemon/ -> its floor: what lies in it imports its own room and lower floors, nothing beside or above it
FLOORS = {
    "__main__": 12,
    "cli": 11,
    "commands": 10,
    "api": 10,
    "evaluation": 8,
    "diagnostics": 8,
    "studio": 9,
    "projects": 8,
    "plugin": 8,
    "live": 7,
    "offline": 7,
    "engine": 6,
    "config": 6,
    "screen": 6,
    "players": 5,
    "harmony": 5,
    "midi": 5,
    "control": 5,
    "output": 5,
    "sound": 5,
    "takes": 5,
    "arranging": 4,
    "clocks": 4,
    "input": 4,
    "system": 4,
    "core": 3,
}
#: the engine is pure: no players, ports or threads
ENGINE_IMPORTS = {"arranging", "core", "clocks", "harmony", "input", "output"}
MAX_MODULES = 15
#: folders of tests/ that mirror no room
OTHER_TESTS = {"browser", "house", "integration", "programs", "support"}

MAX_CLASS_LINES = 260
MAX_ATTRIBUTES = 14
MAX_FUNCTION_LINES = 60
MAX_FUNCTION_LINES_P90 = 20
#: openings that leave the reader to guess what a thing is
RIDDLE = re.compile(r"(What|Whether|Who|Whose|How|Which|As the|The other)\b")

#: what the live side may not load
TRAINING = {"torch", "lightning_fabric", "lightning", "onnx", "onnxscript", "safetensors", "matplotlib"}
EXTRAS = {"aalink", "fluidsynth", "jack", "matplotlib", "sounddevice"}


def room_of(module: str) -> str:
    """Return the room of a module in daemon/; empty for daemon/__init__.py."""
    return module.removeprefix("daemon").removeprefix(".").partition(".")[0]


def test_imports_are_read_wherever_they_stand(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nimport a.b\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import unseen\ndef f():\n    from . import near\n"
        "    from ..up import x\n    import late\n"
    )
    path = tmp_path / "module.py"
    path.write_text(text)
    found = source.imports("room.sub.module", path)
    assert {"a.b", "room.sub.near", "room.up.x", "late"} <= found
    assert "unseen" not in found
    assert "unseen" in source.imports("room.sub.module", path, for_types=True)


def test_only_the_arrows_of_the_design_run_between_packages() -> None:
    wrong = [
        f"{name} imports {used}"
        for name, uses in arrows().items()
        for used in sorted(uses)
        if package_of(used) not in PACKAGES[package_of(name)] | {package_of(name)}
    ]
    assert wrong == []


def test_no_circles_between_modules() -> None:
    try:
        order = list(TopologicalSorter(arrows()).static_order())
    except CycleError as error:
        pytest.fail("a circle: " + " -> ".join(error.args[1]))
    assert set(order) == set(modules())


def test_every_room_of_the_daemon_has_a_floor() -> None:
    assert {room_of(name) for name in modules() if name.startswith("daemon.")} == set(FLOORS)


def test_arrows_run_downwards_only() -> None:
    against = [
        f"{name} imports {used}"
        for name, uses in arrows(for_types=True).items()
        for used in uses
        if room_of(used) != room_of(name)
        and FLOORS.get(room_of(used), 0) >= FLOORS.get(room_of(name), 99)
        and package_of(name) == package_of(used) == "daemon"
    ]
    assert against == []


def test_the_engine_is_pure() -> None:
    used = {
        room_of(used)
        for name, uses in arrows(for_types=True).items()
        if name.startswith("daemon.engine.")
        for used in uses
        if used.startswith("daemon.")
    }
    assert used <= ENGINE_IMPORTS | {"engine"}


def test_no_room_is_crowded() -> None:
    packages = Counter(name.rpartition(".")[0] for name, path in modules().items() if path.name != "__init__.py")
    crowded = {room: count for room, count in packages.items() if count > MAX_MODULES and room != "daemon.commands"}
    assert crowded == {}


def test_importing_a_room_loads_nothing() -> None:
    for path in modules().values():
        assert path.name != "__init__.py" or not path.read_text(encoding="utf-8"), f"{path} is not empty"


def test_the_tests_mirror_the_rooms() -> None:
    tested = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    rooms = {room for room in FLOORS if (ROOT / "daemon" / room).is_dir()}
    assert rooms <= tested
    assert tested <= rooms | set(PACKAGES) | OTHER_TESTS


def test_nothing_is_too_large() -> None:
    networks = _network_classes()
    found = set()
    for name, node in source.definitions():
        if isinstance(node, ast.ClassDef):
            many = node.name not in networks and len(source.attributes(node)) > MAX_ATTRIBUTES
            too_large = many or source.length(node) > MAX_CLASS_LINES
        else:
            too_large = source.length(node) > MAX_FUNCTION_LINES
        if too_large:
            found.add(f"{name}:{node.name}")
    assert found == set()


def _network_classes() -> set[str]:
    """Return the names of all subclasses of nn.Module."""
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for _, node in source.definitions()
        if isinstance(node, ast.ClassDef)
    }
    found: set[str] = set()
    while more := {name for name, above in bases.items() if name not in found and above & (found | {"nn.Module"})}:
        found |= more
    return found


def test_functions_are_short() -> None:
    lengths = sorted(source.length(node) for _, node in source.definitions() if not isinstance(node, ast.ClassDef))
    assert lengths[int(0.9 * len(lengths))] <= MAX_FUNCTION_LINES_P90


def test_no_two_classes_share_a_name() -> None:
    names = Counter(node.name for _, node in source.definitions() if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_docstrings_say_what_a_thing_is() -> None:
    riddles = [f"{where} {text.splitlines()[0]}" for where, text in source.docstrings() if RIDDLE.match(text)]
    assert riddles == []


def test_the_top_level_is_the_one_agreed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    agreed = {"daemon", "export", "models", "music", "plugin", "systemd", "tests", ".ci", ".gitignore"} | {
        "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "LICENSE", "ARCHITECTURE.md", "CONTRIBUTING.md",
        "docs", "houseband.py", "houseband-stubs",
    }  # fmt: skip
    assert {name.partition("/")[0] for name in listed.stdout.split("\0") if name} <= agreed


def test_a_daemon_with_every_module_loaded_has_no_torch() -> None:
    names = sorted(
        name for name in modules() if package_of(name) in ("daemon", "music") and not name.endswith("__main__")
    )
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint(*sys.modules, sep='\\n')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert "daemon.core.plan" in loaded
    assert {name for name in loaded if package_of(name) in TRAINING | EXTRAS | {"export"}} == set()
    assert {name for name in loaded if package_of(name) == "models"} <= {"models", "models.pretrained"}


def loads(library: str, names: list[str]) -> bool:
    """Tell whether a program that imports these modules has loaded a library then."""
    code = f"import sys, {', '.join(names)}; print({library!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout == "True\n"


def test_what_runs_before_or_beside_the_players_loads_no_arrays() -> None:
    core = [name for name in modules() if name.startswith("daemon.core.")]
    for names in ([*core, "daemon.commands.run"], ["daemon.control.server"], ["daemon.players.worker"]):
        assert not loads("numpy", names), names


def test_getting_ready_to_play_does_not_wait_for_the_reading_of_midi_files() -> None:
    assert not loads("mido", ["daemon.live.run"])
    assert loads("mido", ["music.midifile"])
