"""`make fuzz`: damaged and hostile graphs, loaded and played as `render` does, as JSON.

    python -m tests.programs.fuzz_graphs [--seconds 60] [--seed 0] [--keep DIR]

Each graph is a changed copy of a shipped one, and is loaded by a process that this one watches. Exit status 1 unless
each was played or refused in one sentence: no crash, no traceback, nothing printed, nothing that takes longer than
minutes, and no more memory than a graph may take. Those for which that does not hold are kept in DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from daemon.system.child_process import guard_stdout
from tests.support.damaged_graphs import damage

ROOT = Path(__file__).resolve().parents[2]
TECHNIQUES = ("gan", "arcnn", "transformer")
LIMIT_S = 300
#: what the process may have in all: itself, and what a graph of eight megabytes may take
LIMIT_MB = 1800
Json = dict[str, Any]


def serve() -> None:
    """Play the graphs that are named on stdin, a line of JSON for each; answer with a line of JSON."""
    answers = guard_stdout()
    for line in sys.stdin:
        technique, path = json.loads(line)
        answers.write(json.dumps(try_graph(technique, path)).encode() + b"\n")
        answers.flush()


def try_graph(technique: str, path: str) -> Json:
    """Load a graph and let it play; return how that ended, and what was said."""
    from daemon.core.plan import PlanRequest
    from daemon.core.settings import Settings
    from daemon.players.load import load_player
    from music.errors import HousebandError
    from music.note import Note

    melody = tuple(Note(24 * i, 60 + i % 5, 20) for i in range(16))
    try:
        player = load_player(technique, path)
        for now in (8, 12, 64):
            heard = tuple(note for note in melody if note.start < now * 6)
            player.plan(PlanRequest(now, now, now * 6, heard, {}, settings=Settings(player.info.styles[-1])))
    except HousebandError as error:
        text = str(error)
        good = text.isprintable() and len(text) < 1000
        return {"end": "refused" if good else "a sentence that is none", "said": text}
    except Exception as error:  # noqa: BLE001 - which is what is looked for
        return {"end": "a traceback", "said": f"{type(error).__name__}: {error}"}
    return {"end": "played", "said": ""}


class Child:
    """The process that loads the graphs."""

    def __init__(self) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": tempfile.mkdtemp()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.programs.fuzz_graphs", "--serve"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            text=True,
        )

    def ask(self, technique: str, path: Path) -> Json:
        """Return how a graph fared."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([technique, str(path)]) + "\n")
        self._process.stdin.flush()
        timer = threading.Timer(LIMIT_S, self._process.kill)
        begun = time.monotonic()
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if printed := self._read_printed():
            return {"end": "printed", "said": printed}
        if line:
            return dict(json.loads(line))
        late = time.monotonic() - begun >= LIMIT_S
        return {"end": "hung" if late else "crashed", "said": f"status {self._process.wait()}"}

    def _read_printed(self) -> str:
        self._printed.seek(0)
        found = self._printed.read().decode(errors="replace")
        self._printed.seek(0)
        self._printed.truncate()
        return found

    @property
    def peak_mb(self) -> int:
        """The most memory that it has had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) >> 10

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._printed.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "houseband-fuzz")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve()
        return 0
    whole = {name: (ROOT / "models" / "pretrained" / f"{name}.onnx").read_bytes() for name in TECHNIQUES}
    ends: Counter[str] = Counter()
    wrong: list[Json] = []
    peak, child, until, seed = 0, Child(), time.monotonic() + args.seconds, args.seed
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < until:
            technique = TECHNIQUES[seed % len(TECHNIQUES)]
            path = Path(folder) / "graph.onnx"
            path.write_bytes(damage(whole[technique], seed))
            found = child.ask(technique, path)
            ends[found["end"]] += 1
            if found["end"] not in ("played", "refused"):
                wrong.append({"technique": technique, "seed": seed, **found})
                args.keep.mkdir(exist_ok=True)
                path.replace(args.keep / f"{technique}-{seed}.onnx")
            if found["end"] in ("crashed", "hung", "printed"):
                child.close()
                child = Child()
            else:
                peak = max(peak, child.peak_mb)
            seed += 1
    child.close()
    good = not wrong and peak <= LIMIT_MB
    print(json.dumps({"graphs": sum(ends.values()), "ends": ends, "peak_mb": peak, "wrong": wrong}, indent=1))  # noqa: T201
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
