"""The plugin for DAWs, built from its C sources: an LV2 bundle and a CLAP file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from music.errors import UserError

LV2_BUNDLE, CLAP_FILE = "houseband.lv2", "houseband.clap"
#: C sources that both plugins are made of, then the one of each interface
_SHARED = ("core.c", "link.c", "epochs.c", "ramp.c", "tempo.c", "start.c", "state.c", "parameters.c")
_LV2, _CLAP = "lv2.c", "clap.c"
_TURTLE = ("manifest.ttl", "houseband.ttl", "presets.ttl")
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-shared", "-pthread")
_COMPILERS = ("cc", "gcc", "clang")
#: seconds that a compiler may take
_TIMEOUT_S = 300


def find_sources() -> Path:
    """Return the folder of the C sources."""
    return Path(str(files("plugin")))


def find_compiler() -> str:
    """Return the C compiler: what the variable CC names, else the first one on PATH. Raises UserError."""
    named = os.environ.get("CC")
    for name in (named,) if named else _COMPILERS:
        if found := shutil.which(name):
            return found
    missing = (
        f"CC names {named!r}, which is no program" if named else "the plugin is built from C, and there is no compiler"
    )
    raise UserError(f"{missing}: install one (Debian: apt install gcc libc6-dev) and try again")


def build(folder: Path, program: str, extra_flags: Sequence[str] = ()) -> list[Path]:
    """Build both plugins into a folder and return their paths.

    program: the path of houseband, which the plugin starts where no band runs; empty: the one on PATH.
    extra_flags: more for the compiler. Raises UserError where there is no compiler, or it fails.
    """
    compiler, sources = find_compiler(), find_sources()
    lv2, clap = folder / LV2_BUNDLE, folder / CLAP_FILE
    lv2.mkdir(parents=True, exist_ok=True)
    flags = [*_FLAGS, *extra_flags, f"-I{sources}", f"-I{sources / 'include'}"]
    if program:
        escaped = program.replace("\\", "\\\\").replace('"', '\\"')
        flags.append(f'-DHOUSEBAND_INSTALLED_PROGRAM="{escaped}"')
    _compile(compiler, flags, [sources / name for name in (*_SHARED, _LV2)], lv2 / "houseband.so")
    _compile(compiler, flags, [sources / name for name in (*_SHARED, _CLAP)], clap)
    for name in _TURTLE:
        shutil.copyfile(sources / name, lv2 / name)
    return [lv2, clap]


def _compile(compiler: str, flags: Sequence[str], sources: Sequence[Path], target: Path) -> None:
    """Compile and link, then move the result to its place, so that a host never loads half of it."""
    unfinished = target.with_name(f".{target.name}.new")
    command = [compiler, *flags, *map(str, sources), "-o", str(unfinished), "-lm"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode:
            lines = done.stderr.splitlines()
            first = next((line for line in lines if "error" in line), lines[-1] if lines else "no message")
            raise UserError(
                f"{compiler} cannot build the plugin ({first.strip()}): install a C11 compiler and its headers"
            )
        unfinished.replace(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{compiler} cannot build the plugin ({error}): set CC to another compiler") from None
    finally:
        unfinished.unlink(missing_ok=True)
