"""The wheel, from outside the checkout: installed beside its declared dependencies alone, run from `/`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import mido
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path | str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel made from that sdist."""
    source = tmp_path_factory.mktemp("source")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for room in {name.partition(".")[0] for name in project["tool"]["setuptools"]["packages"]}:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "houseband.py"):
        shutil.copy(ROOT / name, source / name)
    made = run(sys.executable, "-m", "build", "--no-isolation", source, cwd=source)
    assert made.returncode == 0, made.stdout + made.stderr
    return source / "dist"


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    [path] = built.glob("houseband-*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and its runtime dependencies, linked from this one; no torch, no tools."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    placed = run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        scripts / "python",
        "install",
        "--no-deps",
        "--no-index",
        wheel,
        cwd="/",
    )
    assert placed.returncode == 0, placed.stdout + placed.stderr
    found = run(scripts / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd="/")
    site = Path(found.stdout.strip())
    [info] = site.glob("houseband-*.dist-info")
    wanted = [Requirement(text) for text in metadata.PathDistribution(info).requires or []]
    for name in closure(wanted):
        link(metadata.distribution(name), site)
    return scripts


def closure(wanted: list[Requirement]) -> set[str]:
    """Names of the distributions that requirements bring in, without extras."""
    names: set[str] = set()
    while wanted:
        requirement = wanted.pop()
        if requirement.name in names or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        names.add(requirement.name)
        wanted += [Requirement(text) for text in metadata.requires(requirement.name) or []]
    return names


def link(distribution: metadata.Distribution, site: Path) -> None:
    """Make a distribution's packages importable from another site-packages."""
    for top in {path.parts[0] for path in distribution.files or [] if path.parts[0] not in ("..", "__pycache__")}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(distribution.locate_file(top))))


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """An environment that knows nothing of the checkout, with a home of its own."""
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    return {**keep, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}


def test_the_sdist_builds_the_wheel_and_holds_what_it_needs(built: Path) -> None:
    [path] = built.glob("houseband-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "systemd/houseband.service", "daemon/cli.py"} <= names
    assert [name for name in names if name.startswith("models/pretrained/") and name.endswith(".onnx")]


def test_the_wheel_holds_the_rooms_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"daemon", "export", "models", "music", "plugin", "systemd", "houseband.py", "houseband-stubs"}
    assert {"daemon/py.typed", "music/py.typed", "houseband-stubs/__init__.pyi"} <= names
    assert {"daemon/cli.py", "models/cli.py", "export/command.py", "systemd/houseband.service"} <= names


def test_every_shipped_graph_is_in_the_wheel(wheel: Path) -> None:
    shipped = {
        f"models/pretrained/{path.name}": path.stat().st_size for path in (ROOT / "models/pretrained").glob("*.onnx")
    }
    packed = {entry.filename: entry.file_size for entry in zipfile.ZipFile(wheel).infolist()}
    assert "models/pretrained/gan.onnx" in shipped
    assert shipped.items() <= packed.items()
    assert max(shipped.values()) < 15_000_000


def test_the_studios_page_is_in_the_wheel_with_all_that_it_loads(wheel: Path) -> None:
    shipped = {
        str(path.relative_to(ROOT)): path.stat().st_size
        for path in (ROOT / "daemon/studio/static").rglob("*")
        if path.is_file()
    }
    packed = {entry.filename: entry.file_size for entry in zipfile.ZipFile(wheel).infolist()}
    assert {"daemon/studio/static/index.html", "daemon/studio/static/js/main.js"} <= shipped.keys()
    assert shipped.items() <= packed.items()


def test_the_studio_without_its_extra_says_what_to_install(installed: Path, elsewhere: dict[str, str]) -> None:
    done = run(installed / "houseband", "studio", "--no-browser", "--control", "off", cwd="/", env=elsewhere)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'houseband[studio]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_can_be_imported_from_elsewhere(installed: Path, elsewhere: dict[str, str]) -> None:
    code = "import houseband, sys\nprint(*(n for n in ('numpy', 'onnxruntime', 'torch', 'rtmidi') if n in sys.modules))"
    done = run(installed / "python", "-c", code, cwd="/", env=elsewhere)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_data_is_found_through_resources(installed: Path, elsewhere: dict[str, str]) -> None:
    code = (
        "from importlib.resources import files\n"
        "import sys, models\n"
        "unit = files('systemd') / 'houseband.service'\n"
        "assert 'Type=notify' in unit.read_text()\n"
        "assert 'subscribe' in (files('daemon.control') / 'protocol.md').read_text()\n"
        "graphs = [each for each in files('models.pretrained').iterdir() if each.name.endswith('.onnx')]\n"
        "assert graphs and all(len(each.read_bytes()) > 1000 for each in graphs)\n"
        "assert sys.prefix in models.__file__, models.__file__\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = run(installed / "python", "-c", code, cwd="/", env=elsewhere)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_installed_command_explains_itself(installed: Path, elsewhere: dict[str, str]) -> None:
    done = run(installed / "houseband", "--help", cwd="/", env=elsewhere)
    assert done.returncode == 0, done.stderr
    for command in ("run", "jam", "render", "evaluate", "train", "export"):
        assert f"\n  {command} " in done.stdout


def test_the_installed_command_renders_without_torch(
    installed: Path, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    melody, out = tmp_path / "melody.mid", tmp_path / "out.mid"
    write_melody(melody)
    done = run(installed / "houseband", "render", melody, "-o", out, "--seed", "1", cwd="/", env=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    names = {track.name for track in mido.MidiFile(out).tracks}
    assert {"melody", "bass", "chords", "pad", "drums"} <= names


def test_training_without_its_extra_says_what_to_install(installed: Path, elsewhere: dict[str, str]) -> None:
    done = run(installed / "houseband", "train", "gan", "--data", "/", cwd="/", env=elsewhere)
    assert done.returncode == 2
    assert "houseband[train,torch]" in done.stderr
    assert "Traceback" not in done.stderr


def write_melody(path: Path) -> None:
    """Two bars of quarters."""
    track = mido.MidiTrack([mido.MetaMessage("track_name", name="melody")])
    for pitch in (60, 64, 67, 64, 65, 69, 67, 64):
        track.append(mido.Message("note_on", note=pitch, velocity=80))
        track.append(mido.Message("note_off", note=pitch, time=480))
    mido.MidiFile(type=1, ticks_per_beat=480, tracks=[track]).save(path)
