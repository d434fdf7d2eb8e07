"""`make fuzz`: configuration files, options, environment variables and gestures as nobody should write them, as JSON.

    python -m tests.programs.fuzz_config [--seconds 60] [--seed 0]

Each is read as `houseband` would: `config`, `learn --list`, `status` and `run`, which is stopped where it would open
ports. A configuration is either taken, and then written and read again to the same, or refused with one sentence and
exit code 2. Exit status 1 where anything else happened; what was tried then is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner

from daemon.cli import main as houseband
from daemon.commands.run import build_setup
from daemon.config.cli_options import load_config
from daemon.config.config import KEYS
from daemon.system.paths import VARIABLES
from daemon.system.text_files import format_toml
from music.errors import HousebandError
from tests.support.hostile import WORDS, make_text, make_value


def make_toml(rng: random.Random) -> bytes:
    """Return a file: keys that there are, with values that they need not take; sometimes cut, changed or anything."""
    lines = [_make_pair(rng, list(KEYS)) for _ in range(rng.randrange(4))]
    for table in rng.sample(["gestures", "presets.a", 'presets."b\\u007f"', "mute", "level", "program", "x"], 2):
        lines.append(f"[{table}]")
        if table == "gestures":
            keys = [
                "cc 80",
                "note 38 channel 16",
                "program",
                "cc 0",
                "note 200",
                "cc 1 channel 17",
                make_text(rng)[:5000],
            ]
            lines += [_make_pair(rng, keys) for _ in range(rng.randrange(4))]
        else:
            lines += [_make_pair(rng, [*KEYS, "bass", "drums", "edits"]) for _ in range(rng.randrange(4))]
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    match rng.randrange(12):
        case 0:
            return text[: rng.randrange(len(text) + 1)]
        case 1:
            return rng.randbytes(200)
        case 2:
            return rng.choice((b"a = ", b"")) + rng.choice((b"[", b"{a=", b"9", b'"""')) * rng.choice(
                (9, 5_000, 100_000)
            )
        case _:
            return text


def _make_pair(rng: random.Random, keys: list[str]) -> str:
    key, value = rng.choice(keys), make_value(rng)
    if rng.random() < 0.8:
        return f"{format_toml(key)} = {_make_likely_value(rng, key)}"
    try:
        written = json.dumps(value) if rng.random() < 0.5 else format_toml(make_text(rng))
    except (ValueError, RecursionError):
        written = '"x"'
    return f"{format_toml(key)} = {written}"


def _make_likely_value(rng: random.Random, key: str) -> str:
    """Return a value that the key is likely to take."""
    if key not in KEYS:
        return format_toml(
            rng.choice(("fill", "intensity", "style=pop", "mute.bass", "bpm=90", "lock_bars=1-4", "0.5"))
        )
    spec = KEYS[key]
    near = ("1", "0.5", "3/4", "true", "pop", "/tmp/x", "1-4", spec.to_toml(spec.default))
    return format_toml(rng.choice(spec.type.suggestions or near))


def make_options(rng: random.Random) -> list[str]:
    """Return options of `houseband run`."""
    found = []
    for _ in range(rng.randrange(3)):
        spec = KEYS[rng.choice(list(KEYS))]
        text = make_text(rng) if rng.random() < 0.3 else str(rng.choice(spec.type.suggestions or ("1", spec.default)))
        text = text.replace("\0", "")[:5000]
        found += [spec.option, text] if spec.has_option and rng.random() < 0.7 else ["--set", f"{spec.name}={text}"]
    return found


def try_one(rng: random.Random, folder: Path) -> str:
    """Try one configuration; return what became of it. Raises whatever ought not to be raised."""
    file = folder / "config.toml"
    file.write_bytes(make_toml(rng) if rng.random() < 0.8 else b"")
    (folder / "config.learnt.toml").unlink(missing_ok=True)
    if rng.random() < 0.2:
        (folder / "config.learnt.toml").write_bytes(make_toml(rng))
    environment = {"HOUSEBAND_CONFIG": str(file)}
    for name in VARIABLES:
        if name != "HOUSEBAND_CONFIG" and rng.random() < 0.2:
            environment[name] = make_text(rng).replace("\0", "").encode("utf-8", "replace").decode()[:5000]
    with mock.patch.dict(os.environ, environment):
        shown = CliRunner().invoke(houseband, ["config"])
        _check(shown, "config")
        _check(CliRunner().invoke(houseband, ["learn", "--list"]), "learn --list")
        _check(CliRunner().invoke(houseband, ["status"]), "status")
        if shown.exit_code == 0:
            again = folder / "again.toml"
            again.write_text(shown.stdout, encoding="utf-8")
            repeated = CliRunner().invoke(houseband, ["config", "--config", str(again)])
            assert repeated.stdout == shown.stdout, f"written, it reads otherwise: {repeated.output[:300]}"
        return "taken" if _starts(make_options(rng)) else "refused"


def _check(result: Any, what: str) -> None:
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(what) from result.exception
    if result.exit_code:
        said = result.stderr.splitlines()
        assert result.exit_code in (2, 3), f"{what}: exit code {result.exit_code}: {said}"
        assert len(said) == 1, f"{what}: {said}"
        assert len(said[0]) < 1500, f"{what}: {said[0]}"


def _starts(options: list[str]) -> bool:
    """Tell whether a band would start: up to where it would open ports."""
    started = mock.Mock(side_effect=SystemExit(0))
    with mock.patch("daemon.commands.run.PreloadedWorker"), mock.patch("daemon.live.run.play", started):
        result = CliRunner().invoke(houseband, ["run", *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"run {options}") from result.exception
    assert result.exit_code in (0, 2), f"run {options}: {result.output}"
    with suppress(HousebandError):
        build_setup(load_config())
    return bool(started.called)


def main() -> int:
    """Try for some seconds, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    slowest = 0.0
    end, number = time.monotonic() + args.seconds, args.seed * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end and counts["failed"] < 20:
            number += 1
            began = time.process_time()
            try:
                counts[try_one(random.Random(number), Path(folder))] += 1
            except Exception:  # noqa: BLE001 - to be told
                counts["failed"] += 1
                sys.stderr.write(f"seed {number}:\n{traceback.format_exc()[-1500:]}\n")
            slowest = max(slowest, time.process_time() - began)
    json.dump({"tried": dict(counts), "slowest_cpu_s": round(slowest, 2), "words": len(WORDS)}, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
