"""Check that this checkout can be released: version, changelog, wheel, clean installation.

    python -m tests.programs.release_check

Prints one line for each check and exits with 1 if one failed. The installation fetches the runtime dependencies.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Callable
from pathlib import Path

import mido

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Return what a command printed. Raises RuntimeError with its last lines if it failed."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError("\n".join((done.stdout + done.stderr).strip().splitlines()[-5:]))
    return done.stdout


def read_version() -> str:
    """Return the version that pyproject.toml declares."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def check_clean(_: Path) -> None:
    """Check that everything is committed."""
    changed = run("git", "status", "--porcelain", cwd=ROOT).strip()
    if changed:
        raise RuntimeError(f"not committed:\n{changed}")


def check_changelog(_: Path) -> None:
    """Check that the changelog has a dated section for the version."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(read_version())}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE):
        raise RuntimeError(f"CHANGELOG.md has no line '## [{read_version()}] - YYYY-MM-DD': turn [Unreleased] into it")


def check_build(folder: Path) -> None:
    """Build the source archive, and the wheel from it."""
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT, cwd=ROOT)


def check_installation(folder: Path) -> None:
    """Install the wheel into an empty environment, and play along with a melody there, outside the checkout."""
    [wheel] = (folder / "dist").glob("houseband-*.whl")
    venv.create(folder / "venv", with_pip=True)
    program = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    run(program / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    version = run(program / "houseband", "--version", cwd=folder)
    if read_version() not in version:
        raise RuntimeError(f"houseband --version says {version.strip()}, pyproject.toml {read_version()}")
    write_melody(folder / "melody.mid")
    run(program / "houseband", "render", "melody.mid", "-o", "band.mid", cwd=folder)
    roles = {track.name for track in mido.MidiFile(folder / "band.mid").tracks}
    if not {"melody", "bass", "chords", "pad", "drums"} <= roles:
        raise RuntimeError(f"the rendered file has the tracks {', '.join(sorted(roles))}")


def write_melody(path: Path) -> None:
    """Write a melody of four bars."""
    file = mido.MidiFile(ticks_per_beat=24)
    track = file.add_track("melody")
    for pitch in (60, 64, 67, 64) * 4:
        track.append(mido.Message("note_on", note=pitch, velocity=90))
        track.append(mido.Message("note_off", note=pitch, time=24))
    file.save(path)


CHECKS: dict[str, Callable[[Path], None]] = {
    "everything is committed": check_clean,
    "the changelog has the version": check_changelog,
    "the wheel and the source archive build": check_build,
    "the wheel works in an empty environment": check_installation,
}


def main() -> int:
    """Run every check, whatever became of those before; return the exit status."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, check in CHECKS.items():
            try:
                check(Path(folder))
            except (RuntimeError, ValueError, OSError) as error:
                failed += 1
                print(f"FAILED  {name}: {error}")  # noqa: T201
            else:
                print(f"ok      {name}")  # noqa: T201
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
