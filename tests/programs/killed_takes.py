"""kill -9 in the middle of takes: what is lost of each, and of older ones.

    python -m tests.programs.killed_takes [--takes 100]

A band records into one folder, several at once, and each is killed after a random while. Prints JSON; exit status 1
when a message older than a second is lost, or an older take has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from daemon.takes import storage, take_log
from music import midifile
from tests.support.jack.stage import ROOT

AT_ONCE = 4


def one(folder: Path, seconds: float) -> dict[str, float]:
    """One take, killed. lost: messages older than a second; lost_ms: the age of the oldest that is lost."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.take_child", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    first = child.stdout.readline()
    lines: list[str] = [first]
    reader = threading.Thread(target=lambda: lines.extend(child.stdout or ()), daemon=True)
    reader.start()
    time.sleep(seconds)
    child.kill()
    killed = time.monotonic_ns()
    child.wait()
    reader.join()
    told = {tuple(line.split()) for line in lines if line.endswith("\n")}
    (path,) = (file for file in storage.list_takes(folder) if file.suffix == take_log.LOG_SUFFIX)
    written = {tuple(line.split()) for line in path.read_text().splitlines()}
    ages = [(killed - int(at)) / 1e6 for _, at, _ in told - written]
    (made,) = storage.recover(folder)
    notes = sum(len(part.notes) for part in midifile.read(made).parts)
    return {"told": len(told), "lost": sum(age > 1000 for age in ages), "lost_ms": max(ages, default=0), "notes": notes}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=100)
    args = parser.parse_args()
    found: list[dict[str, float]] = []
    changed: list[str] = []

    def several(number: int, folder: Path) -> None:
        rng, known = random.Random(number), dict[Path, str]()
        for _ in range(number, args.takes, AT_ONCE):
            found.append(one(folder, rng.uniform(0.3, 4)))
            now = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in storage.list_takes(folder)}
            changed.extend(str(file) for file, digest in known.items() if now.get(file) != digest)
            known = now

    with tempfile.TemporaryDirectory() as temporary:
        threads = []
        for number in range(AT_ONCE):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            threads.append(threading.Thread(target=several, args=(number, folder)))
            threads[-1].start()
        for thread in threads:
            thread.join()
    summary = {
        "takes": len(found),
        "messages": sum(one["told"] for one in found),
        "lost_older_than_a_second": sum(one["lost"] for one in found),
        "oldest_lost_ms": round(max(one["lost_ms"] for one in found)),
        "without_notes": sum(not one["notes"] for one in found),
        "older_takes_changed": len(changed),
    }
    json.dump(summary, sys.stdout, indent=1)
    return 0 if len(found) == args.takes and not summary["lost_older_than_a_second"] and not changed else 1


if __name__ == "__main__":
    sys.exit(main())
