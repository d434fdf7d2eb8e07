"""The program where little is there: no home, no passwd entry, nothing to write to, no devices, no environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.house.source import ROOT
from tests.support.smf_bytes import file, track, tune

HOUSEBAND = [sys.executable, "-m", "daemon"]
#: a container of nothing but the file system, read-only, for a user that /etc/passwd does not know
CONTAINER = [
    "bwrap", "--unshare-user", "--uid", "4321", "--gid", "4321", "--ro-bind", "/", "/", "--dev", "/dev",
    "--proc", "/proc", "--die-with-parent", "--chdir", str(ROOT), "env", "-i", "PYTHONDONTWRITEBYTECODE=1",
]  # fmt: skip
NO_FOLDER = "Error: there is no control socket: there is no folder for it; set XDG_RUNTIME_DIR to one of yours\n"
NO_HOME = "Error: you have no home folder here; set HOME to a folder, or name what is needed with an option\n"


@cache
def has_containers() -> bool:
    """Tell whether this machine lets its users make such containers."""
    if shutil.which("bwrap") is None:
        return False
    return subprocess.run([*CONTAINER, "true"], capture_output=True, timeout=60, check=False).returncode == 0


def run(*words: str, environment: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the program in the container."""
    if not has_containers():
        pytest.skip("needs bubblewrap, and user namespaces that are allowed")
    command = [*CONTAINER, *environment, *HOUSEBAND, *words]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--help", 0, ""),
        ("config", 0, ""),
        ("learn --list", 0, ""),
        ("control", 0, ""),
        ("control --path", 2, NO_FOLDER),
        ("config --path", 2, NO_HOME),
        ("config --edit", 2, NO_HOME),
        ("takes list", 2, NO_HOME),
        ("service install", 2, NO_HOME),
        ("status", 3, NO_FOLDER),
        ("panic", 3, NO_FOLDER),
    ],
)  # fmt: skip
def test_a_command_works_or_says_what_it_misses(words: str, code: int, said: str) -> None:
    done = run(*words.split(), environment=("TMPDIR=/nowhere",))
    assert (done.returncode, done.stderr) == (code, said)


def test_a_file_is_rendered_and_a_band_gets_as_far_as_its_ports(tmp_path: Path) -> None:
    melody = tmp_path / "melody.mid"
    melody.write_bytes(file(track(tune())))
    done = run("render", str(melody), "-o", "-")
    assert done.returncode == 0
    assert done.stdout.startswith("MThd")
    done = run("run", environment=("LANG=C", "JACK_NO_START_SERVER=1", "JACK_DEFAULT_SERVER=none"))
    assert done.returncode == 2
    assert "WARNING daemon.commands.run: takes are not kept: you have no home folder here" in done.stderr
    assert "Error: no MIDI system found" in done.stderr


def test_closed_streams_end_nothing() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *HOUSEBAND, "config"], cwd=ROOT, timeout=120, check=False
    )
    assert done.returncode in (0, 1)  # there is nowhere to write to
